/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest's programs share: seccomp's user notification, PIN_ARGS, and
 * records for the harness.
 *
 * Functions return -1 with errno set when they fail, unless said otherwise.
 */
#ifndef PINRACE_H
#define PINRACE_H

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

/* The interface of PIN_ARGS, for headers of a kernel that does not have it. */
#ifndef SECCOMP_IOCTL_NOTIF_PIN_ARGS
#define SECCOMP_PIN_MAX_ARGS		6

#define SECCOMP_PIN_FIXED		0	/* max_bytes bytes */
#define SECCOMP_PIN_CSTRING		1	/* up to the NUL */
#define SECCOMP_PIN_CSTRING_ARRAY	2	/* NULL-terminated array of strings */

#define SECCOMP_PIN_TRUNCATED_BYTES	(1U << 0)
#define SECCOMP_PIN_TRUNCATED_ENTRIES	(1U << 1)

#define SECCOMP_USER_NOTIF_FLAG_CONTINUE_PINNED (1UL << 1)

struct seccomp_pin_arg {
	__u8 arg_idx;
	__u8 kind;
	__u16 _reserved;
	__u32 max_bytes;
	__u32 max_entries;
	__u32 _reserved2;
	__u32 actual_size;
	__u32 actual_entries;
	__u32 truncated;
	__u32 _reserved3;
	__u64 user_addr;
	__u64 buf_offset;
};

struct seccomp_notif_pin_args {
	__u64 id;
	__u32 nr_args;
	__u32 buf_size;
	__u64 buf;
	struct seccomp_pin_arg args[SECCOMP_PIN_MAX_ARGS];
};

#define SECCOMP_IOCTL_NOTIF_PIN_ARGS	SECCOMP_IOWR(5, struct seccomp_notif_pin_args)
#endif

_Static_assert(sizeof(struct seccomp_pin_arg) == 48, "layout of seccomp_pin_arg");
_Static_assert(sizeof(struct seccomp_notif_pin_args) == 312,
	       "layout of seccomp_notif_pin_args");
_Static_assert(SECCOMP_IOCTL_NOTIF_PIN_ARGS == 0xC1382105, "number of PIN_ARGS");

#define PR_PINNED	(SECCOMP_USER_NOTIF_FLAG_CONTINUE | \
			 SECCOMP_USER_NOTIF_FLAG_CONTINUE_PINNED)

/* Trap this system call of the calling thread; returns the listener. */
int pr_listen(int nr);

/* Send a descriptor through a socket, with one byte; receive it. */
int pr_send_fd(int sock, int fd);
int pr_recv_fd(int sock);

/* Wait at most that long for a notification; ETIMEDOUT when none came. */
int pr_recv(int listener, struct seccomp_notif *req, int timeout_ms);

/* Answer it: flags for PR_PINNED or a plain CONTINUE, else an error (> 0). */
int pr_continue(int listener, uint64_t id, uint32_t flags);
int pr_deny(int listener, uint64_t id, int error);

/* Describe one more argument of a request that began as { 0 }. */
void pr_pin_add(struct seccomp_notif_pin_args *pin, int arg, int kind, uint32_t max_bytes);
int pr_pin(int listener, struct seccomp_notif_pin_args *pin, uint64_t id,
	   void *buf, uint32_t size);

/* Whether the kernel knows PIN_ARGS at all. */
bool pr_has_pin_args(int listener);

/* One record line for the harness; the newline is added. */
__attribute__((format(printf, 1, 2)))
void rec(const char *fmt, ...);

#endif
