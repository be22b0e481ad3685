// SPDX-License-Identifier: GPL-2.0-or-later
/* Load buffering: a store passes an earlier load. */
#include "litmus.h"

static void a(void)
{
	LITMUS(RACE_A, { at->r[0] = LOAD(x); STORE(y, 1); });
}

static void b(void)
{
	LITMUS(RACE_B, { at->r[1] = LOAD(y); STORE(x, 1); });
}

static const char *check(void)
{
	return litmus_seen(1, 1) ? "two stores went before two loads" : NULL;
}

static void control(void)
{
	litmus_pretend(1, 1);
}

RACE(.prepare = litmus_prepare, .a = a, .b = b, .check = check, .control = control);
