// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * C17: who may read T's memory changes between the steps of a pinned call.  The
 * snapshot is refused from the change on; one that was taken before is as good
 * as it was, or is refused too.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kinds.h"

#define NOBODY		1000
#define OTHER		1001
#define TEXT		"/tmp/pinmodel/A"
#define SOON_MS		5000

enum change { T_UNDUMPABLE, V_OTHER_USER, NOTHING };
enum step { BEFORE_PIN, BEFORE_REPLY };

#define ARG(step, change)	((uint64_t)(step) << 8 | (change))

/* A thread of T's, while T waits. */
static void *changer(void *arg)
{
	struct play *play = arg;

	await_int(&play->cue, 1, 1000000);
	prctl(PR_SET_DUMPABLE, 0);
	play->words[0] = 1;
	for (;;)
		pause();
	return NULL;
}

static void body(struct play *play)
{
	struct call call = { .nr = SYS_openat, .args = { AT_FDCWD, (long)TEXT, O_RDONLY } };
	pthread_t thread;

	become(NOBODY, NOBODY);
	if (pthread_create(&thread, NULL, changer, play))
		skip_kind("no threads");
	play_trap(play);
	play_call(play, &call);
	if (call.ret >= 0)
		(void)!read(call.ret, play->seen, 1);
	play->acted = 1;
	for (;;)
		pause();
}

static void make(struct play *play, enum change change)
{
	if (change == T_UNDUMPABLE) {
		play->cue = 1;
		if (!await_int(&play->words[0], 1, SOON_MS))
			skip_kind("T does not change");
	} else if (change == V_OTHER_USER) {
		become(OTHER, OTHER);
	}
}

/* The whole of it as another user than root; false when it broke the promise. */
static bool supervise(struct play *play, enum step step, enum change change)
{
	struct seccomp_notif req;
	char buf[64];
	int error;

	if (sup_recv(play, &req))
		no_call(play);
	if (step == BEFORE_PIN)
		make(play, change);
	error = sup_pin(play->listener, req.id, 1, SECCOMP_PIN_CSTRING, sizeof(buf), buf,
			sizeof(buf), NULL);
	if (error != (step == BEFORE_PIN && change != NOTHING ? EPERM : 0)) {
		note("C17: the snapshot gave %s", errno_name(-error));
		return false;
	}
	if (step == BEFORE_REPLY)
		make(play, change);
	if (error) {
		error = sup_send(play->listener, req.id, PR_PINNED, 0);
		if (error != ENOENT)
			note("C3: CONTINUE_PINNED without a snapshot gave %s", errno_name(-error));
		sup_send(play->listener, req.id, 0, EPERM);
		return error == ENOENT;
	}
	error = sup_send(play->listener, req.id, PR_PINNED, 0);
	if (error) {
		note("C3: the reply gave %s", errno_name(-error));
		return change != NOTHING && (error == ENOENT || error == EPERM);
	}
	if (!await_int(&play->acted, 1, SOON_MS) || play->seen[0] != 'A') {
		note("C5: the pinned call gave %s", errno_name(play->ret));
		return false;
	}
	return true;
}

static bool check(uint64_t arg)
{
	struct play *play = play_start(body, NULL);
	int status;
	pid_t v = fork();

	if (v == 0) {
		become(NOBODY, OTHER);
		_exit(supervise(play, arg >> 8, arg & 0xff) ? 0 : 1);
	}
	if (waitpid(v, &status, 0) != v || !WIFEXITED(status))
		return false;
	if (WEXITSTATUS(status) == EXIT_SKIP)
		_exit(EXIT_SKIP);
	play_end(play);
	return !WEXITSTATUS(status);
}

const struct kind cred_kinds[] = {
	{ "C17 nothing changes", check, ARG(BEFORE_PIN, NOTHING), false },
	{ "C17 T is undumpable before the snapshot", check, ARG(BEFORE_PIN, T_UNDUMPABLE), false },
	{ "C17 T is undumpable before the reply", check, ARG(BEFORE_REPLY, T_UNDUMPABLE), false },
	{ "C17 the supervisor is another user before the snapshot", check,
	  ARG(BEFORE_PIN, V_OTHER_USER), false },
	{ "C17 the supervisor is another user before the reply", check,
	  ARG(BEFORE_REPLY, V_OTHER_USER), false },
	{ NULL, NULL, 0, false },
};
