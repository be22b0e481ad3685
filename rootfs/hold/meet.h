/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the sides of a round meet when no debugger decides it. */
#ifndef MEET_H
#define MEET_H

#include "hold.h"

enum meeting {
	HELD,	/* by a debugger */
	SPIN,	/* one of them counts to a random number first */
	TIMER,	/* side b is woken by a timer, at a random moment of side a's operation */
	GATE,	/* side b runs while side a waits for a page */
};

extern enum meeting meeting;

/* Take the mode and the seed from the command line; false when there is no such mode. */
bool meet_as(const char *mode, const char *seed);

void meet_prepare(const struct scenario *scenario);	/* once, before there are threads */
void meet_draw(const struct scenario *scenario);	/* before each round */
void meet_a(void);					/* side a, right before its operation */
void meet_b(const struct scenario *scenario, struct round *r);	/* side b's whole part */

#endif
