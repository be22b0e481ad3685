// SPDX-License-Identifier: GPL-2.0-or-later
/* As T: which races go with a trial, besides that for its arguments. */
#include "torture.h"

#define RACED	45	/* of 100 trials that a second thread of V's takes part in */

/* Rare ones are those that end a generation; a cut needs a string. */
static const uint8_t weights[NR_MEANWHILE] = {
	[N_PINNED] = 30, [N_PIN] = 50, [N_SIGNAL] = 50, [N_DENY] = 20, [N_PLAIN] = 10,
	[N_MUTATE] = 30, [N_CUT] = 70, [N_REPLY] = 30, [N_KILL_T] = 3,
};

static bool has_string(const struct trial *trial)
{
	for (int i = 0; i < SLOTS; i++) {
		if (trial->pinned & 1u << i && trial->slots[i].lettered &&
		    trial->slots[i].kind == SECCOMP_PIN_CSTRING)
			return true;
	}
	return false;
}

static enum meanwhile draw_meanwhile(struct lane *lane)
{
	uint32_t sum = 0, dice;
	int i = 0;

	for (int j = 0; j < NR_MEANWHILE; j++)
		sum += weights[j];
	dice = random_below(lane, sum);
	while (dice >= weights[i])
		dice -= weights[i++];
	return i;
}

/* Of a sealed mapping none of this may be true; moments without the seal are short. */
static enum probe draw_probe(struct lane *lane)
{
	static const uint8_t probes[10] = {
		P_NOTHING, P_NOTHING, P_NOTHING, P_MUNMAP, P_MPROTECT, P_MPROTECT, P_MREMAP,
		P_WRITE, P_WRITE, P_DONTNEED,
	};

	return probes[random_below(lane, 10)];
}

/* At once, at any time, or about the end, which is when things are attached. */
static uint32_t draw_moment(struct lane *lane)
{
	switch (random_below(lane, 4)) {
	case 0:
		return random_below(lane, MOMENTS / 20);
	case 1:
		return random_below(lane, MOMENTS);
	default:
		return MOMENTS * 3 / 4 + random_below(lane, MOMENTS / 2);
	}
}

/*
 * Of a timer, whose time is that of the call and some before it: requests meet
 * as they begin, a signal meets what is attached at the end.
 */
static uint32_t draw_timer(struct lane *lane, enum meanwhile what)
{
	if (one_in(lane, 4))
		return random_below(lane, MOMENTS * 6 / 5);
	if (what == N_SIGNAL)
		return MOMENTS * 6 / 10 + random_below(lane, MOMENTS * 5 / 10);
	return MOMENTS * 2 / 10 + random_below(lane, MOMENTS * 6 / 10);
}

/* Whether what came of it tells early from late: aim.c. */
static bool can_be_aimed(enum meanwhile what)
{
	return what == N_PIN || what == N_SIGNAL || what == N_DENY || what == N_PLAIN ||
	       what == N_REPLY;
}

/* other: the call is made by a new process, which a signal would end. */
void plan_races(struct lane *lane, struct trial *trial, bool other)
{
	uint32_t gate = random_below(lane, 4), dice = random_below(lane, 100);
	enum meanwhile what = draw_meanwhile(lane);

	trial->moment = draw_moment(lane);
	trial->probe = draw_probe(lane);
	trial->anew = one_in(lane, 25) && !lane->two_vs;
	if (trial->reply != R_PINNED)
		trial->probe = P_NOTHING;
	if (what == N_SIGNAL && other)
		what = N_PIN;
	if (what == N_MUTATE && trial->free)
		what = N_PINNED;
	if (what == N_CUT && !has_string(trial))
		what = N_PIN;
	trial->meanwhile = trial->reply == R_CONTROL || dice >= RACED ? N_NOTHING : what;
	trial->gate = gate > GATE_REQUEST || what == N_CUT ? GATE_NONE : gate;
	trial->preempts = !trial->gate && what != N_MUTATE && one_in(lane, 2);
	trial->aimed = !trial->gate && can_be_aimed(what) && one_in(lane, 2);
	if (trial->aimed)
		return;
	if (trial->preempts)
		trial->moment = draw_timer(lane, what);
	/* Two requests, or replies, have to begin at the same time; the strings are read early. */
	else if ((what == N_PIN || what == N_REPLY || what == N_CUT) && !one_in(lane, 4))
		trial->moment %= MOMENTS / 20;
}
