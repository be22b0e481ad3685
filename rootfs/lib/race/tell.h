/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a program of rounds tells: to a debugger where a side is, to the harness what came of it.
 *
 * A system call that fails anyway, getpgid() of a number that is no process,
 * tells a debugger where a side is: it sees the number in a register of
 * find_task_by_vpid(). When it replaces the number by that of a process, it has
 * said something: at MARK_HELLO that it is there, at MARK_NEXT that it is enough.
 */
#ifndef TELL_H
#define TELL_H

#include <stdbool.h>

/* The same numbers as in harness/pinrace/races/preempt/stage.py. */
enum mark { MARK_NEXT = 1, MARK_READY_A, MARK_READY_B, MARK_DONE_A, MARK_DONE_B, MARK_END,
	    MARK_HELLO, MARK_READY_C, MARK_DONE_C };

/* Whether the debugger answered; false without one. */
bool mark(enum mark kind, unsigned int what);

/* A number that changes when the kernel reports something of itself. */
long long race_reports(void);

/* A round has ended: why it was lost, or NULL. */
void tell_round(const char *name, unsigned int number, const char *why);

/* Now and then, how far the rounds are; and at their end, whether the last one was lost. */
void tell_so_far(unsigned int rounds);
void tell_rounds(unsigned int rounds, const char *lost);

#endif
