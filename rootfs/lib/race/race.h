/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A race as a program: two operations, or three, that meet in the kernel.
 *
 *	#include "race.h"
 *
 *	static void prepare(void) { ... }	before each round
 *	static void a(void) { ... }		runs on CPU 0
 *	static void b(void) { ... }		runs on CPU 1 at the same time
 *	static const char *check(void)		after both: what was lost, or NULL
 *	{
 *		return broken ? "the lock stayed" : NULL;
 *	}
 *	RACE(.prepare = prepare, .a = a, .b = b, .check = check);
 *
 * The library has main(), and the ways in which the sides of a round meet:
 *
 *	race MODE SEED ROUNDS [SECONDS [SKIP]]
 *
 *	naive	both begin at once
 *	spin	one of them counts to a random number first
 *	timer	b is woken by a timer, at a random moment of a's operation
 *	gate	b runs while the kernel waits for a page of a's argument
 *	control	once, with `control` in place of the sides: check() has to see it
 *
 * Rounds end with the first one that is lost, after ROUNDS, or after SECONDS of
 * the guest's clock. SKIP rounds are drawn and not run. Without arguments, a
 * debugger decides how the sides meet (pinrace hunt).
 *
 * A round is lost when check() says so, or when the kernel has reported something of
 * itself meanwhile (a warning, KASAN; not with RACE_REPORTS=0 in the environment).
 *
 * Every side has a CPU of its own and its thread keeps it. Nothing that a side needs may
 * wait for another side's CPU: what wakes or starts tasks belongs into prepare().
 */
#ifndef RACE_H
#define RACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum race_side { RACE_A, RACE_B, RACE_C, RACE_SIDES };

struct race {
	void (*setup)(void);		/* once, before there are threads */
	void (*prepare)(void);
	void (*a)(void);
	void (*b)(void);
	void (*c)(void);
	const char *(*check)(void);
	/* Leaves by itself what a lost round leaves, on any kernel: it shows that check() sees. */
	void (*control)(void);
	/*
	 * Sides that are processes, 1 << RACE_B and so on: forked for the round, so that they may
	 * exit, fork and exec. Their end belongs to the operation. Share memory with mmap().
	 */
	unsigned int processes;
	/* What a gate stops: see race_argument() and race_answer. */
	bool gate_in_argument;
	size_t gate_after;
	bool gate_in_answer;
	const char *name;		/* in records; NULL is fine */
};

#define RACE(...) const struct race race_program = { __VA_ARGS__ }

extern const struct race race_program;

/*
 * Memory for an argument of side a's system call, and where side a has it. The sides and
 * prepare() write to race_argument(); what side a hands to the kernel is race_source() of it.
 * Behind a gate the kernel finds the bytes from the `gate_after`th on missing, stops there, and
 * side b runs; elsewhere both are the same. Use them with .gate_in_argument = true.
 */
void *race_argument(void);
void *race_source(void *in_argument);

/* A page that side a's calls use, missing behind a gate; and what is then found in it. */
#define RACE_PAGE	4096
extern void *race_answer_place;
extern char race_answer[RACE_PAGE];

/* What a side may say of its operation, for a verdict: an errno below 63, and one letter. */
struct race_said {
	char what;
	int a, b;
};
extern struct race_said race_said;

/* The CPU of each side; the process that a side is in this round, 0 for one that is none. */
extern int race_cpu[RACE_SIDES];
pid_t race_pid(enum race_side side);

void race_use_cpu(int cpu);

/* The race cannot be run: say so with errno's words, and end. */
void race_die(const char *what) __attribute__((noreturn));

/* What main() does; 2 for a wrong command line. */
int race_main(const struct race *race, int argc, char **argv);

#endif
