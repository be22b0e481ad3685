/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the sides of a round meet when no debugger decides it. */
#ifndef MEET_H
#define MEET_H

#include "race.h"

#define RACE_WAIT_MS	20000	/* for anything; the clock stands still while all is held */

enum meeting { HELD, NAIVE, SPIN, TIMER, GATE, CONTROL };

extern enum meeting meeting;

/* Take the mode and the seed from the command line; false when there is no such mode. */
bool meet_as(const char *mode, const char *seed);

void meet_prepare(const struct race *race);	/* once, before there are threads */
void meet_draw(void);				/* for each round, also those that are skipped */
void meet_open(const struct race *race);	/* before each round */
void meet_a(void);				/* side a, right before its operation */
void meet_wait(enum race_side side);	/* another one, so too; not behind a gate */
void meet_other(const struct race *race, enum race_side side);	/* another side's whole part */

#endif
