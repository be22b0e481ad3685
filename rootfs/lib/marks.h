/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A place to stop at before each round of a program: before round N it calls
 * the Nth of the empty functions that lie at MARKS, and nothing else comes
 * across a breakpoint there.
 */
#ifndef MARKS_H
#define MARKS_H

#include <stdbool.h>

#define MARKS		0x5eed1000ul	/* one instruction a round; harness/pinrace/races/replay/stop.py */
#define MOST_MARKS	65536u		/* later rounds have none */

/* Returns false when there is no room; processes forked later have them, too. */
bool make_marks(unsigned int rounds);
void call_mark(unsigned int round);

#endif
