/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A litmus test of memory order as a race: two sides make two accesses each to x and y of a cell,
 * and check() looks for an outcome that no order of the four explains. A round has many cells;
 * in each the sides wait for each other first.
 *
 *	static void a(void) { LITMUS(RACE_A, { STORE(x, 1); at->r[0] = LOAD(y); }); }
 *
 * Which outcomes can be seen is up to QEMU and to the CPUs that it runs on, as guests' accesses
 * become the host's.
 */
#ifndef LITMUS_H
#define LITMUS_H

#include <string.h>

#include "race.h"

#define LITMUS_CELLS	256

/* What one side stores the other loads: in cache lines of their own, so that a store may wait. */
struct litmus {
	int x __attribute__((aligned(64)));
	int y __attribute__((aligned(64)));
	int there[2] __attribute__((aligned(64)));
	int r[2] __attribute__((aligned(64)));
};

static struct litmus litmus_cells[LITMUS_CELLS];

#define STORE(what, value)	(*(volatile int *)&at->what = (value))
#define LOAD(what)		(*(volatile int *)&at->what)
#define FENCE()			__sync_synchronize()

static inline void litmus_meet(struct litmus *at, enum race_side side)
{
	__atomic_store_n(&at->there[side], 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&at->there[!side], __ATOMIC_SEQ_CST))
		;
}

#define LITMUS(side, ...)						\
	for (struct litmus *at = litmus_cells; at < litmus_cells + LITMUS_CELLS; at++) {	\
		litmus_meet(at, side);					\
		__VA_ARGS__						\
	}

static inline void litmus_prepare(void)
{
	memset(litmus_cells, 0, sizeof(litmus_cells));
	for (int i = 0; i < LITMUS_CELLS; i++)
		litmus_cells[i].r[0] = litmus_cells[i].r[1] = -1;
}

/* Whether any cell has these results. */
static inline bool litmus_seen(int first, int second)
{
	for (int i = 0; i < LITMUS_CELLS; i++)
		if (litmus_cells[i].r[0] == first && litmus_cells[i].r[1] == second)
			return true;
	return false;
}

static inline void litmus_pretend(int first, int second)
{
	litmus_cells[LITMUS_CELLS / 2].r[0] = first;
	litmus_cells[LITMUS_CELLS / 2].r[1] = second;
}

#endif
