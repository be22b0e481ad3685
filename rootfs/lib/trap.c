// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The one system call instruction that the filter traps, known by its address:
 * whatever else a tracee does goes on untrapped.  It keeps the registers as
 * they are after the call, to be looked at.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trap.h"

/* struct call is 14 longs: nr, six arguments, the result, six registers. */
_Static_assert(offsetof(struct call, ret) == 7 * sizeof(long), "layout of struct call");
_Static_assert(offsetof(struct call, after) == 8 * sizeof(long), "layout of struct call");

extern const char trap_call_ip[];	/* behind the instruction */

#if defined(__x86_64__)
#define CALL(name) \
	".text\n" \
	".globl " name "\n" \
	".type " name ", @function\n" \
	"" name ":\n" \
	"	push %rbx\n" \
	"	mov %rdi, %rbx\n" \
	"	mov 0(%rbx), %rax\n" \
	"	mov 8(%rbx), %rdi\n" \
	"	mov 16(%rbx), %rsi\n" \
	"	mov 24(%rbx), %rdx\n" \
	"	mov 32(%rbx), %r10\n" \
	"	mov 40(%rbx), %r8\n" \
	"	mov 48(%rbx), %r9\n" \
	"	syscall\n" \
	".globl " name "_ip\n" \
	"" name "_ip:\n" \
	"	mov %rax, 56(%rbx)\n" \
	"	mov %rdi, 64(%rbx)\n" \
	"	mov %rsi, 72(%rbx)\n" \
	"	mov %rdx, 80(%rbx)\n" \
	"	mov %r10, 88(%rbx)\n" \
	"	mov %r8, 96(%rbx)\n" \
	"	mov %r9, 104(%rbx)\n" \
	"	pop %rbx\n" \
	"	ret\n"
#define FIRST_KEPT 0
#elif defined(__i386__)
#define CALL(name) \
	".text\n" \
	".globl " name "\n" \
	".type " name ", @function\n" \
	"" name ":\n" \
	"	push %ebp\n" \
	"	push %ebx\n" \
	"	push %esi\n" \
	"	push %edi\n" \
	"	mov 20(%esp), %eax\n" \
	"	push %eax\n" \
	"	mov 4(%eax), %ebx\n" \
	"	mov 8(%eax), %ecx\n" \
	"	mov 12(%eax), %edx\n" \
	"	mov 16(%eax), %esi\n" \
	"	mov 20(%eax), %edi\n" \
	"	mov 24(%eax), %ebp\n" \
	"	mov 0(%eax), %eax\n" \
	"	int $0x80\n" \
	".globl " name "_ip\n" \
	"" name "_ip:\n" \
	"	push %ebp\n" \
	"	mov 4(%esp), %ebp\n" \
	"	mov %eax, 28(%ebp)\n" \
	"	mov %ebx, 32(%ebp)\n" \
	"	mov %ecx, 36(%ebp)\n" \
	"	mov %edx, 40(%ebp)\n" \
	"	mov %esi, 44(%ebp)\n" \
	"	mov %edi, 48(%ebp)\n" \
	"	pop %eax\n" \
	"	mov %eax, 52(%ebp)\n" \
	"	add $4, %esp\n" \
	"	pop %edi\n" \
	"	pop %esi\n" \
	"	pop %ebx\n" \
	"	pop %ebp\n" \
	"	ret\n"
#define FIRST_KEPT 0
#elif defined(__aarch64__)
#define CALL(name) \
	".text\n" \
	".globl " name "\n" \
	".type " name ", %function\n" \
	"" name ":\n" \
	"	stp x29, x30, [sp, #-32]!\n" \
	"	str x19, [sp, #16]\n" \
	"	mov x19, x0\n" \
	"	ldr x8, [x19]\n" \
	"	ldp x0, x1, [x19, #8]\n" \
	"	ldp x2, x3, [x19, #24]\n" \
	"	ldp x4, x5, [x19, #40]\n" \
	"	svc #0\n" \
	".globl " name "_ip\n" \
	"" name "_ip:\n" \
	"	stp x0, x0, [x19, #56]\n" \
	"	stp x1, x2, [x19, #72]\n" \
	"	stp x3, x4, [x19, #88]\n" \
	"	str x5, [x19, #104]\n" \
	"	ldr x19, [sp, #16]\n" \
	"	ldp x29, x30, [sp], #32\n" \
	"	ret\n"
#define FIRST_KEPT 1	/* x0 has the result */
#elif defined(__arm__)
#ifdef __thumb__
#define THUMB ".thumb\n"
#else
#define THUMB ""
#endif
#define CALL(name) \
	".text\n" \
	".syntax unified\n" \
	".arm\n" \
	".align 2\n" \
	".globl " name "\n" \
	".type " name ", %function\n" \
	"" name ":\n" \
	"	push {r4, r5, r6, r7, r8, lr}\n" \
	"	mov r8, r0\n" \
	"	ldr r7, [r8]\n" \
	"	ldr r0, [r8, #4]\n" \
	"	ldr r1, [r8, #8]\n" \
	"	ldr r2, [r8, #12]\n" \
	"	ldr r3, [r8, #16]\n" \
	"	ldr r4, [r8, #20]\n" \
	"	ldr r5, [r8, #24]\n" \
	"	svc #0\n" \
	".globl " name "_ip\n" \
	"" name "_ip:\n" \
	"	str r0, [r8, #28]\n" \
	"	str r0, [r8, #32]\n" \
	"	str r1, [r8, #36]\n" \
	"	str r2, [r8, #40]\n" \
	"	str r3, [r8, #44]\n" \
	"	str r4, [r8, #48]\n" \
	"	str r5, [r8, #52]\n" \
	"	pop {r4, r5, r6, r7, r8, pc}\n" \
	THUMB
#define FIRST_KEPT 1
#else
#error "no trap for this ABI"
#endif

asm(CALL("trap_call"));
asm(CALL("plain_call"));

static int install(struct sock_filter *filter, unsigned short len, unsigned int flags)
{
	struct sock_fprog program = { .len = len, .filter = filter };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

int trap_install(bool nested, unsigned int flags)
{
	struct sock_filter allow[] = {
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_filter notify[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(uintptr_t)trap_call_ip, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	int listener;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	if (nested && install(allow, 1, 0))
		return -1;
	listener = install(notify, 4, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags);
	if (listener >= 0 && nested && install(allow, 1, 0))
		return -1;
	return listener;
}

bool trap_kept_registers(const struct call *call)
{
	for (int i = FIRST_KEPT; i < 6; i++) {
		if (call->after[i] != call->args[i])
			return false;
	}
	return true;
}
