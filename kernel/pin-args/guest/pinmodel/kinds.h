/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks of a kind each: what memory, limits, locks, credentials may be, and
 * what must hold whatever they are.  Most compare with the same call unpinned,
 * which the promise is about.  Each runs in a process of its own, all of them
 * at once, and says what is wrong with "# " before it.
 */
#ifndef KINDS_H
#define KINDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pinrace.h"
#include "trap.h"

#define EXIT_SKIP	4
#define SEEN		64		/* bytes of a result that are kept */
#define GONE_MS		20000		/* guest time in which what was killed is gone */
#define WAIT_MS		20000		/* for what nothing hinders */

/* What T and its supervisor share. */
struct play {
	pid_t pid;			/* T */
	int listener;			/* in the supervisor */
	int sock;
	void *arg;
	_Atomic int ready, done;	/* calls that T is about to make, and has made */
	_Atomic int cue;		/* what the supervisor tells T's threads */
	_Atomic int acted;		/* what they did */
	_Atomic int words[8];
	long ret;			/* of the last call; -errno */
	bool kept;			/* its registers */
	char seen[SEEN];
};

typedef void (*body_fn)(struct play *play);

/* Start T, which runs body and has its calls of play_call() trapped once it called play_trap(). */
struct play *play_start(body_fn body, void *arg);
void play_trap(struct play *play);
void play_call(struct play *play, struct call *call);
void play_end(struct play *play);
/* T made no call: skip when it said that it cannot, else fail. */
void no_call(const struct play *play) __attribute__((noreturn));
/* Another user, who can become `saved` later. */
void become(int user, int saved);

/* Of the supervisor; 0 or an errno. */
int sup_recv(const struct play *play, struct seccomp_notif *req);
int sup_pin(int listener, uint64_t id, int slot, int kind, uint32_t max, void *buf, uint32_t size,
	    struct seccomp_notif_pin_args *pin);
int sup_send(int listener, uint64_t id, uint32_t flags, int error);

bool await_int(_Atomic int *word, int at_least, int ms);
bool await_gone(pid_t pid, int ms);
char task_state(pid_t pid);
unsigned int stuck_workers(void);
__attribute__((format(printf, 1, 2)))
void note(const char *fmt, ...);
__attribute__((format(printf, 1, 2), noreturn))
void skip_kind(const char *fmt, ...);
const char *errno_name(long ret);

struct kind {
	const char *name;
	bool (*check)(uint64_t arg);	/* false: note() said why */
	uint64_t arg;
	bool alone;			/* it changes the whole system */
};

/* memory.c, nature.c, locked.c, limits.c, creds.c: end with a name of NULL */
extern const struct kind memory_kinds[], nature_kinds[], locked_kinds[], limit_kinds[],
			 cred_kinds[];

int kinds_count(void);
void kinds_run(void);

#endif
