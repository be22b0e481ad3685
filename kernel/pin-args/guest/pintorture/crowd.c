// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tasks that stay in a notification each for as long as their generation
 * lasts.  The kernel goes past all of them whenever it looks for T's, with the
 * lock held: what is short becomes long.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "torture.h"

#define STACK	(8u << 10)
#define MARK	0xc404dl	/* an argument that no call of a trial has */
#define WAIT_US	1000

bool crowd_is(const struct seccomp_notif *req)
{
	return req->data.args[5] == MARK;
}

/* Nothing here may touch T's errno. */
static int stay(void *unused)
{
	struct call call = { .nr = SYS_getppid, .args = { [5] = MARK } };
	struct call end = { .nr = SYS_exit_group };

	(void)unused;
	do {
		trap_call(&call);
	} while (call.ret != -ENOSYS);
	plain_call(&end);
	return 0;
}

/* As T, behind the filter. */
void crowd_start(struct lane *lane)
{
	char *stacks;

	if (!lane->crowd)
		return;
	stacks = mmap(NULL, lane->crowd * STACK, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stacks == MAP_FAILED)
		bail("mmap");
	for (uint32_t i = 1; i <= lane->crowd; i++) {
		pid_t pid = clone(stay, stacks + i * STACK, CLONE_VM | SIGCHLD, NULL);

		if (pid < 0)
			bail("clone");
		lane->crowd_pids[i - 1] = pid;
	}
}

/* As anybody: they would fill a list of all tasks, and tell nothing. */
void crowd_end(struct lane *lane)
{
	for (uint32_t i = 0; i < lane->crowd; i++) {
		if (lane->crowd_pids[i] > 0)
			kill(lane->crowd_pids[i], SIGKILL);
	}
}

/* As T: its own notifications come last. */
void crowd_await(struct lane *lane)
{
	while (lane->crowded < lane->crowd && lane->v_pid)
		usleep(WAIT_US);
}

/* As V. */
void crowd_receive(struct lane *lane)
{
	while (lane->crowded < lane->crowd && lane->t_pid) {
		struct seccomp_notif req = { 0 };

		if (!ioctl(lane->listener, SECCOMP_IOCTL_NOTIF_RECV, &req))
			lane->crowded++;
	}
}
