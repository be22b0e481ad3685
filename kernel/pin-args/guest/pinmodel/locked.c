// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * C16, C20: somebody holds the lock of T's memory for good: a reader of
 * /proc/PID/mem that waits for a page of a slow file.  At whatever step of a
 * pinned call that begins, T and its supervisor can be killed, if they can
 * where the same call is not pinned.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kinds.h"
#include "slowfs.h"

#define SLOW_AT		0x20000000ul	/* in T, a page of the slow file */
#define SOON_MS		20000
#define REST_MS		300

enum step { BEFORE_PIN, BEFORE_REPLY, IN_THE_CALL };
enum call_kind { OPENS, OPENS_AND_DIES, EXECUTES, EXECUTES_AFTER_VFORK };

#define ARG(step, kind)		((uint64_t)(step) << 8 | (kind))

static struct slow_fs *fs;
static const char *name;	/* that T opens or executes */

static void map_slow(void)
{
	char file[80];
	void *at;
	int fd;

	snprintf(file, sizeof(file), "%s/f", fs->where);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	at = mmap((void *)SLOW_AT, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
	if (fd < 0 || at == MAP_FAILED)
		skip_kind("no slow file: %s", strerror(errno));
	madvise(at, 4096, MADV_RANDOM);
}

static void body(struct play *play)
{
	enum call_kind kind = (uintptr_t)play->arg & 0xff;
	char *argv[] = { (char *)"pinmodel", (char *)"--rest", NULL };
	struct call opens = {
		.nr = SYS_openat, .args = { AT_FDCWD, (long)name, O_RDONLY | O_NOFOLLOW },
	};
	struct call executes = {
		.nr = SYS_execve, .args = { (long)name, (long)argv, 0 },
	};

	map_slow();
	play_trap(play);
	if (kind == EXECUTES_AFTER_VFORK) {
		pid_t pid = vfork();

		if (pid == 0) {
			play_call(play, &executes);
			_exit(1);
		}
	} else {
		play_call(play, kind == EXECUTES ? &executes : &opens);
	}
	for (;;)
		pause();
}

/* Takes T's lock, and keeps it. */
static pid_t hold(struct play *play)
{
	int reads = fs->reads;
	pid_t pid = fork();

	if (pid == 0) {
		char file[40], byte;
		int fd;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(file, sizeof(file), "/proc/%d/mem", play->pid);
		fd = open(file, O_RDONLY | O_CLOEXEC);
		(void)!pread(fd, &byte, 1, SLOW_AT);
		_exit(0);
	}
	if (!await_int(&fs->reads, reads + 1, SOON_MS))
		skip_kind("the lock of T's memory is not held");
	return pid;
}

/* By another process, as it may hang: errno, or -1 if it does. */
static int pin_elsewhere(struct play *play, uint64_t id, int slot, pid_t *v)
{
	static char buf[4096];

	play->words[0] = 0;
	*v = fork();
	if (*v == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		play->words[1] = sup_pin(play->listener, id, slot, SECCOMP_PIN_CSTRING, 4096, buf,
					 sizeof(buf), NULL);
		play->words[0] = 1;
		for (;;)
			pause();	/* a snapshot goes with who was shown it */
	}
	return await_int(&play->words[0], 1, SOON_MS) ? play->words[1] : -1;
}

static bool kill_all(struct play *play, pid_t task, pid_t v, bool say)
{
	bool good = true;

	kill(task, SIGKILL);
	if (v > 0)
		kill(v, SIGKILL);
	if (!await_gone(task, GONE_MS)) {
		if (say)
			note("C16: T cannot be killed (state %c) while the lock of its memory is held",
			     task_state(task));
		good = false;
	}
	if (v > 0 && !await_gone(v, GONE_MS)) {
		if (say)
			note("C16: the supervisor cannot be killed (state %c)", task_state(v));
		good = false;
	}
	kill(play->pid, SIGKILL);
	return good;
}

/* One call; true when all can be ended. */
static bool stage(enum step step, enum call_kind kind, bool pinned, bool say)
{
	struct play *play = play_start(body, (void *)(uintptr_t)ARG(step, kind));
	bool good = true, stays = false;
	struct seccomp_notif req;
	pid_t holder = 0, v = 0;
	int error = 0;

	fs->let_go = 0;
	if (sup_recv(play, &req))
		no_call(play);
	if (step == BEFORE_PIN)
		holder = hold(play);
	if (pinned)
		error = pin_elsewhere(play, req.id, kind >= EXECUTES ? 0 : 1, &v);
	if (step == BEFORE_REPLY)
		holder = hold(play);
	if (!error) {
		int lookups = fs->lookups;

		error = sup_send(play->listener, req.id, pinned ? PR_PINNED :
				 SECCOMP_USER_NOTIF_FLAG_CONTINUE, 0);
		stays = step == IN_THE_CALL && !error && (kind == OPENS_AND_DIES ||
			await_int(&fs->lookups, lookups + 1, SOON_MS));
	}
	if (step == IN_THE_CALL) {
		if (!stays)
			skip_kind("the call does not come to its name: %s", errno_name(-error));
		usleep(REST_MS * 1000);
		holder = hold(play);
		fs->let_go = 1;
	}
	usleep(REST_MS * 1000);
	good = kill_all(play, req.pid, v, say);
	if (say && stuck_workers()) {
		note("C16: a worker of the kernel's waits for the lock of T's memory");
		good = false;
	}
	/* Everything that waits for the slow file goes on. */
	slow_fs_end(fs);
	kill(holder, SIGKILL);
	await_gone(holder, GONE_MS);
	play_end(play);
	return good;
}

static void start_fs(int number, enum step step, enum call_kind kind)
{
	static char in_fs[80];
	char where[48];

	snprintf(where, sizeof(where), "/tmp/locked-%d-%d", getpid(), number);
	fs = slow_fs_start(where, "/proc/self/exe");
	if (!fs)
		skip_kind("no FUSE: %s", strerror(errno));
	snprintf(in_fs, sizeof(in_fs), "%s/l", where);
	name = in_fs;
	if (kind == OPENS_AND_DIES) {	/* nobody will ever write to it */
		snprintf(in_fs, sizeof(in_fs), "%s-fifo", where);
		mkfifo(in_fs, 0600);
	} else if (step != IN_THE_CALL) {
		name = kind == OPENS ? "/tmp/pinmodel/A" : "/proc/self/exe";
	}
}

static bool check(uint64_t arg)
{
	enum call_kind kind = arg & 0xff;
	enum step step = arg >> 8;

	start_fs(0, step, kind);
	if (!stage(step, kind, false, false))
		skip_kind("not even the unpinned call can be ended");
	start_fs(1, step, kind);
	return stage(step, kind, true, true);
}

const struct kind locked_kinds[] = {
	{ "C16 T's memory locked before the snapshot", check, ARG(BEFORE_PIN, OPENS), false },
	{ "C16 T's memory locked before the reply", check, ARG(BEFORE_REPLY, OPENS), false },
	{ "C16 T's memory locked before the reply to an exec", check,
	  ARG(BEFORE_REPLY, EXECUTES), false },
	{ "C16 T's memory locked in the call", check, ARG(IN_THE_CALL, OPENS), false },
	{ "C16 T's memory locked in a call that is killed", check,
	  ARG(IN_THE_CALL, OPENS_AND_DIES), false },
	{ "C16 T's memory locked in an exec", check, ARG(IN_THE_CALL, EXECUTES), false },
	{ "C16 T's memory locked in an exec after vfork", check,
	  ARG(IN_THE_CALL, EXECUTES_AFTER_VFORK), false },
	{ NULL, NULL, 0, false },
};
