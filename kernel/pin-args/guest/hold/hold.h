/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two operations that meet in the kernel, for a debugger that decides how.
 *
 * Side a runs on CPU 0, side b on CPU 1, each in a thread of the supervisor; a
 * tracee runs on side b's CPU. What the sides do is the scenario's.
 */
#ifndef HOLD_H
#define HOLD_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "race.h"

#define PATH_ROOM	16	/* read in two words, or four */
#define GOOD		"/tmp/goodgoodgo"
#define EVIL		"/tmp/evilevilev"
#define THIRD		"/tmp/thirdthird"
#define TRACEE		"hold-tracee"	/* argv[0] of a tracee, and */
#define CHILD		"hold-child"	/* of the program that it starts */
#define SHARED_SIZE	4096
#define WAIT_MS		20000	/* for anything; the clock stands still while all is held */

/* How a call of the tracee's went: the first letter of the file, or one of these. */
enum { NOT_FOUND = 'n', DENIED = 'a', INTERRUPTED = 'i', NO_LISTENER = 's', DEAD = 'k',
       OTHER = '?', NOTHING = '-' };

/* What a side did: the errno of its operation, and what its PIN_ARGS showed. */
struct side {
	int err;
	char text[PATH_ROOM];
};

struct round {
	pid_t pid;		/* of the tracee, 0 when there is none */
	int listener, answers, orders;
	uint64_t id;
	uint64_t path;		/* of the call: where the tracee has it */
	struct side a, b;
	char what;		/* how the tracee's call went */
	bool may_stray;		/* a signal may have come after the call that it was for */
	bool stray;		/* and has: nobody knows what the tracee is at */
};

struct scenario {
	const char *name;
	bool (*prepare)(struct round *r);
	void (*a)(struct round *r);
	void (*b)(struct round *r);
	const char *(*check)(struct round *r);	/* what is violated, or NULL */
	bool alone;		/* needs no tracee */
	bool two_threads;	/* the tracee has a thread that takes orders */
	bool again;		/* the tracee's next call can be the next round's */
	/*
	 * Where a gate stops side a: in its read of what it is given, after that
	 * many bytes, or in its use of race_answer_place.
	 */
	size_t gate_after;
	bool gate_in_answer;
};

extern const struct scenario scenarios[];
extern const struct scenario plain_scenarios[];	/* lost by their nature: no PIN_ARGS in them */

/* The path that is approved and mutated; shared with tracees. */
extern char *shared_path;
extern int shared_memory;

/* What several scenarios share. */
void flip(struct round *r);
char meaning(const char *text);

/* What a tracee's second thread does when told. */
enum { ORDER_EXIT = 'x', ORDER_EXEC = 'e' };

char open_and_tell(const char *path);
void start_tracee(struct round *r, const struct scenario *scenario);
void next_call(struct round *r);
void end_tracee(struct round *r);
char wait_answer(struct round *r);
int tracee_main(char **argv);
int child_main(int answers);

#endif
