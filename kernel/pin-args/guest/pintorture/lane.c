// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A lane's leader: starts T, V and the actor outside, sees them end, clears
 * up, and begins again with the next generation.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

#define AFTER_T_NS	500000000	/* for V to end what it does with T's memory */
#define AFTER_V_NS	20000000000ull	/* for T to see that nobody listens */

static pid_t start(struct lane *lane, void (*fn)(struct lane *, int), int sock, int other)
{
	pid_t pid = fork();

	if (pid < 0)
		bail("fork");
	if (!pid) {
		setpgid(0, 0);
		chaos_join();
		close(other);
		fn(lane, sock);
		_exit(0);
	}
	setpgid(pid, pid);
	return pid;
}

static void outside(struct lane *lane, int sock)
{
	(void)sock;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	mutate_outside(lane);
}

static void draw_generation(struct lane *lane)
{
	static const uint32_t offsets[] = { LETTER_ROOM, 4095, 4096 - 4, 4096, 700 };

	lane->generation++;
	lane->generations++;
	lane->random = mix(mix(torture->seed, lane->number), lane->generation);
	lane->letter_off = offsets[random_below(lane, 5)];
	/* The end of long arguments still has to lie in the slot. */
	if (lane->letter_off + MAX_DATA > SLOT_BYTES - 1024)
		lane->letter_off = one_in(lane, 2) ? LETTER_ROOM : 1000;
	lane->nested = one_in(lane, 3);
	lane->two_vs = one_in(lane, 3);
	lane->crowd = one_in(lane, 2) ? MAX_CROWD : 0;
	lane->crowded = 0;
	lane->receiving = lane->spoiling = false;
	lane->first = lane->seq;
	lane->busy = 0;
	lane->mutated = false;
	memset(&lane->thread, 0, sizeof(lane->thread));
	memset(&lane->vmproc, 0, sizeof(lane->vmproc));
	memset(&lane->outside, 0, sizeof(lane->outside));
	memset(&lane->second, 0, sizeof(lane->second));
	memset(&lane->prober, 0, sizeof(lane->prober));
}

/* Remove what T left in its folder; its mounts went with its namespace. */
static void clear_folder(const struct lane *lane)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf /tmp/pt/%d-%u", lane->number,
		 lane->generation);
	(void)!system(command);
}

/*
 * V may have killed T while the kernel took a snapshot, which goes on for as
 * long as V lives: then V has to see what comes of that.
 */
static void let_v_end(const struct lane *lane)
{
	const struct trial *trial = &lane->trial;
	uint64_t limit = now_ns() + AFTER_T_NS;

	if (trial->meanwhile != N_KILL_T || !trial->gate || lane->raced != trial->seq)
		return;
	while (lane->busy && now_ns() < limit)
		usleep(1000);
}

/* What no supervisor and no chaos sends, and T does not do of itself. */
static bool is_crash(const struct lane *lane, int status)
{
	if (under_pressure(&lane->trial) || !WIFSIGNALED(status))
		return false;
	switch (WTERMSIG(status)) {
	case SIGSEGV:
	case SIGBUS:
	case SIGILL:
	case SIGFPE:
	case SIGTRAP:
		return true;
	}
	return false;
}

/* Wait until T and V have ended; whichever is first, the other has to follow. */
static void attend(struct lane *lane, pid_t t, pid_t v)
{
	uint64_t limit = 0;
	int status;

	for (;;) {
		pid_t pid = waitpid(-1, &status, limit ? WNOHANG : 0);

		if (pid == t) {
			lane->t_pid = 0;
			lane->deaths += WIFSIGNALED(status);
			lane->crashes += is_crash(lane, status);
			if (WIFEXITED(status) && WEXITSTATUS(status))
				lane->deaths += 1000000;
			let_v_end(lane);
			return;
		}
		if (pid == v) {
			lane->v_pid = 0;
			limit = now_ns() + AFTER_V_NS;
		}
		if (pid == 0)
			usleep(1000);
		if (limit && now_ns() > limit) {
			violation(lane, "C4", "T does not see that V has gone");
			return;
		}
	}
}

static void generation(struct lane *lane)
{
	int pair[2];
	pid_t t, v, x;

	draw_generation(lane);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		bail("socketpair");
	lane->v_pid = -1;
	t = start(lane, tracee, pair[1], pair[0]);
	lane->t_pid = t;
	v = start(lane, supervisor, pair[0], pair[1]);
	lane->v_pid = v;
	x = start(lane, outside, -1, pair[0]);
	close(pair[0]);
	close(pair[1]);
	attend(lane, t, v);
	lane->t_pid = lane->v_pid = 0;
	kill(-t, SIGKILL);
	kill(-v, SIGKILL);
	kill(-x, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	clear_folder(lane);
}

pid_t lane_start(struct lane *lane)
{
	pid_t pid = fork();

	if (pid < 0)
		bail("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The children of T that share its memory come to us when it ends. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	while (!torture->stop)
		generation(lane);
	_exit(0);
}
