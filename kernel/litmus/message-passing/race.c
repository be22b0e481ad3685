// SPDX-License-Identifier: GPL-2.0-or-later
/* Message passing: two stores, or two loads, change places. */
#include "litmus.h"

static void a(void)
{
	LITMUS(RACE_A, { STORE(x, 1); STORE(y, 1); });
}

static void b(void)
{
	LITMUS(RACE_B, { at->r[0] = LOAD(y); at->r[1] = LOAD(x); });
}

static const char *check(void)
{
	return litmus_seen(1, 0) ? "a flag went before its data" : NULL;
}

static void control(void)
{
	litmus_pretend(1, 0);
}

RACE(.prepare = litmus_prepare, .a = a, .b = b, .check = check, .control = control);
