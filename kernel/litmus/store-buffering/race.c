// SPDX-License-Identifier: GPL-2.0-or-later
/* Store buffering: a store passes a later load of something else. */
#include "litmus.h"

static void a(void)
{
	LITMUS(RACE_A, { STORE(x, 1); at->r[0] = LOAD(y); });
}

static void b(void)
{
	LITMUS(RACE_B, { STORE(y, 1); at->r[1] = LOAD(x); });
}

static const char *check(void)
{
	return litmus_seen(0, 0) ? "two loads went before two stores" : NULL;
}

static void control(void)
{
	litmus_pretend(0, 0);
}

RACE(.prepare = litmus_prepare, .a = a, .b = b, .check = check, .control = control);
