/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gates: a page of the tracee's that is not there.  Whoever reads it, the
 * kernel too, stops in the midst of the read until the page is given, and
 * which bytes it then holds is for the one who gives it to say.
 */
#ifndef GATES_H
#define GATES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pinrace.h"

#define PAGE		4096
#define REGION		(2 * PAGE)	/* one that is there, then one behind the gate */
#define FD		20		/* what a call works on; inherited by the tracee */
#define PEER		21		/* where the supervisor sees what it did */
#define ECHO		"gates-echo"	/* argv[0] of a program that tells its argv, */
#define ECHO_ENV	"gates-echo-env"	/* and of one that tells its environment */
#define ROOM		512		/* of an effect, in bytes */

/* The two that an argument can be, and what is neither: the head of A, the tail of B. */
enum seen { IS_A, IS_B, IS_TORN, IS_OTHER };

/* An argument in two parts, of which the second lies behind the gate when it is to be torn. */
struct value {
	size_t head, tail;		/* in bytes; a string's NUL is part of its tail */
	const char *a_head, *a_tail;
	const char *b_head, *b_tail;
};

/* What FD and PEER are. */
enum object { NOTHING, FILES, INOTIFY, DGRAM, STREAM, TCP, UDP, PIPES };

struct result {
	long ret;
	int err;
};

struct row {
	const char *call;
	const char *note;		/* tells rows of one argument apart; "" */
	int nr;
	int slot;
	int kind;			/* SECCOMP_PIN_* */
	bool whole;			/* nothing of it can be torn by a page */
	enum object on;
	long args[6];			/* the slot's own is overwritten */
	const struct value *value;	/* NULL: a table of strings, laid out by lay_out() */
	enum seen (*look)(const struct row *row, const struct result *result);
	int codes[3];			/* of A, B and torn, for look_at_code() and _option() */
};

extern const struct row rows[];
extern const size_t nr_rows;
void rows_init(void);

/* What a read of memory sees: does it begin with the text of A, of B, or of both? */
enum seen compare(const struct value *value, const char *text, size_t size);
enum seen compare_strings(unsigned int count, const char *second);

/* Observers: by the call's return, or by what it did. */
enum seen look_at_code(const struct row *row, const struct result *result);
enum seen look_at_option(const struct row *row, const struct result *result);
enum seen look_at_option_bytes(const struct row *row, const struct result *result);
enum seen look_at_peer(const struct row *row, const struct result *result);
enum seen look_at_link(const struct row *row, const struct result *result);
enum seen look_at_mount(const struct row *row, const struct result *result);
enum seen look_at_echo(const struct row *row, const struct result *result);

/* Make FD and PEER, and the files around them, as they are before every call. */
void objects_init(void);
void objects_make(enum object what);

/* The gate. */
struct gate {
	char *pages;			/* REGION, at the same place in both processes */
	int memfd;
	char image[2][REGION];		/* as A, as B */
	int uffd;
	int stop[2];
	_Atomic int gives;		/* IS_A or IS_B */
	_Atomic bool checked;		/* the supervisor has seen the argument and agreed */
	_Atomic unsigned int before, after;	/* reads stopped, by then and since */
};

void gate_init(struct gate *gate);
void gate_reset(struct gate *gate);	/* A in the first page, nothing in the second */
void gate_close(struct gate *gate);	/* the second page is gone again */
int gate_register(const struct gate *gate);	/* by the tracee: its userfaultfd */
void *gate_serve(void *gate);		/* a thread: gives the page until `stop` is written */

/* One call. */
enum mode {
	USE,		/* all of it behind the gate; replaced after the check */
	TORN,		/* half of it; replaced after the check, in the midst of the use */
	SHOWN,		/* half of it; replaced in the midst of the check, which sees that */
	NR_MODES
};

struct outcome {
	bool absent;		/* the kernel has no such call */
	enum seen shown;	/* to the supervisor */
	enum seen used;		/* by the call */
	unsigned int stopped;	/* reads that the gate stopped after the check */
	char what[128];		/* what went wrong, or "" */
};

extern struct gate gate;
void run_init(void);
struct outcome run_call(const struct row *row, enum mode mode, bool pinned);
bool kernel_has_it(void);

__attribute__((noreturn)) void die(const char *what);

#endif
