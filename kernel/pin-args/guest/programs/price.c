// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What system calls cost, in ticks of the virtual machine's clock.
 *
 * On a machine whose clock advances with each instruction (icount), and with
 * one CPU, that is a count of instructions: the same number each time.  Each
 * call is made in batches, of which the cheapest counts: the others had a
 * timer's interrupt among them.  A call that leaves work for later (execve(),
 * whose old memory is freed by others) is made alone, after that was done.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pinrace.h"

#define FILE_NAME	"/tmp/price"
#define CALLS		4000	/* of each kind, in batches */
#define MOST_BATCHES	200
#define SETTLE_US	20000
#define WAIT_MS		60000

static int pair[2];
static int file;
static char *self;
static char text[64];

/* The counter that user space reads without a system call. */
static uint64_t ticks(void)
{
#if defined(__x86_64__) || defined(__i386__)
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high) :: "memory");
	return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
	uint64_t now;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(now) :: "memory");
	return now;
#elif defined(__arm__)
	uint64_t now;

	__asm__ volatile(".arch armv7-a\n\t.arch_extension virt\n\t"
			 "isb; mrrc p15, 1, %Q0, %R0, c14" : "=r"(now) :: "memory");
	return now;
#else
#error "no counter is known for this ABI"
#endif
}

/* How many nanoseconds of virtual time one tick is. */
static double tick_ns(void)
{
#if defined(__aarch64__)
	uint64_t hz;

	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hz));
	return 1e9 / hz;
#elif defined(__arm__)
	uint32_t hz;

	__asm__ volatile("mrc p15, 0, %0, c14, c0, 0" : "=r"(hz));
	return 1e9 / hz;
#else
	return 1;	/* QEMU's time stamp counter under icount */
#endif
}

__attribute__((noreturn))
static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void check(bool ok, const char *what)
{
	if (!ok)
		die(what);
}

static void do_getppid(void)
{
	check(syscall(SYS_getppid) > 0, "getppid");
}

static void do_open_close(void)
{
	int fd = syscall(SYS_openat, AT_FDCWD, FILE_NAME, O_RDONLY | O_CLOEXEC, 0);

	check(fd >= 0, "openat");
	close(fd);
}

static void do_stat(void)
{
	struct stat st;

	check(!stat(FILE_NAME, &st), "stat");
}

static void do_write(void)
{
	check(pwrite(file, text, sizeof(text), 0) == sizeof(text), "write");
}

static void do_sendto(void)
{
	check(sendto(pair[0], text, sizeof(text), 0, NULL, 0) == sizeof(text), "sendto");
	check(recv(pair[1], text, sizeof(text), 0) == sizeof(text), "recv");
}

static void do_execve(void)
{
	static char *const argv[] = { "price", "leave", NULL };
	static char *const envp[] = { NULL };
	int status;
	pid_t pid = vfork();

	if (!pid) {
		execve(self, argv, envp);
		_exit(1);
	}
	check(pid > 0, "vfork");
	check(waitpid(pid, &status, 0) == pid && !status, "execve");
}

static void measure(const char *name, void (*call)(void), int batch)
{
	int batches = CALLS / batch < MOST_BATCHES ? CALLS / batch : MOST_BATCHES;
	uint64_t best = ~0ull;

	for (int i = 0; i < batch; i++)
		call();
	for (int round = 0; round < batches; round++) {
		uint64_t begin, spent;

		if (batch == 1)
			usleep(SETTLE_US);
		begin = ticks();

		for (int i = 0; i < batch; i++)
			call();
		spent = ticks() - begin;
		if (spent < best)
			best = spent;
	}
	rec("price call=%s ns=%.3f", name, best * tick_ns() / batch);
}

/* Answer every notification of one listener, until nobody is left. */
static void supervise(int listener, bool pinned)
{
	struct seccomp_notif req;
	char buf[256];

	while (!pr_recv(listener, &req, WAIT_MS)) {
		uint32_t flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		struct seccomp_notif_pin_args pin = { 0 };

		if (pinned) {
			pr_pin_add(&pin, 1, SECCOMP_PIN_CSTRING, sizeof(buf));
			check(!pr_pin(listener, &pin, req.id, buf, sizeof(buf)), "PIN_ARGS");
			flags = PR_PINNED;
		}
		check(!pr_continue(listener, req.id, flags), "reply");
	}
}

/* The same call when a supervisor lets it pass, without a snapshot and with. */
static void measure_supervised(const char *name, bool pinned)
{
	int sock[2], status, listener;
	pid_t pid;

	check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock), "socketpair");
	pid = fork();
	check(pid >= 0, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		listener = pr_listen(SYS_openat);
		check(listener >= 0 && !pr_send_fd(sock[1], listener), "listener");
		close(listener);
		measure(name, do_open_close, 20);
		exit(0);
	}
	close(sock[1]);
	listener = pr_recv_fd(sock[0]);
	check(listener >= 0, "no listener came");
	supervise(listener, pinned);
	check(waitpid(pid, &status, 0) == pid && !status, "the supervised process failed");
	close(listener);
	close(sock[0]);
}

/* Whether PIN_ARGS is there, asked of a listener that nobody uses otherwise. */
static bool has_pin_args(void)
{
	int status;
	pid_t pid = fork();

	check(pid >= 0, "fork");
	if (!pid) {
		int listener = pr_listen(SYS_getpgid);

		_exit(listener >= 0 && pr_has_pin_args(listener) ? 0 : 1);
	}
	check(waitpid(pid, &status, 0) == pid, "waitpid");
	return !status;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "leave"))
		_exit(0);
	self = argv[0];
	setvbuf(stdout, NULL, _IONBF, 0);
	file = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	check(file >= 0, FILE_NAME);
	check(!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair), "socketpair");
	measure("getppid", do_getppid, 200);
	measure("open+close", do_open_close, 100);
	measure("stat", do_stat, 100);
	measure("write", do_write, 100);
	measure("sendto+recv", do_sendto, 100);
	measure("execve", do_execve, 1);
	measure_supervised("open+close,continued", false);
	if (has_pin_args())
		measure_supervised("open+close,pinned", true);
	return 0;
}
