// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which walks are taken: for each family of events, all of a length in which
 * each event changes something, with those that change nothing at their end;
 * and longer ones, drawn.
 */
#include <stdio.h>
#include <string.h>

#include "model.h"

#define MAX_FAMILY	48
#define WOBBLES		4	/* differences that did not come again */

struct family {
	const char *name;
	bool killable;
	int length;			/* of its complete walks */
	int stride;			/* one in so many of them is taken, if not all are to be */
	struct event events[MAX_FAMILY];	/* ends with OP_RECV of A, which comes first */
};

#define ONE(op, who)	{ op, who }
#define END		{ NR_OPS, A }

static const struct family families[] = {
	{
		"C3 one supervisor", .length = 4,
		.events = {
			ONE(OP_RECV, A), ONE(OP_PIN, A), ONE(OP_PIN_SHORT, A), ONE(OP_CP, A),
			ONE(OP_DENY, A), ONE(OP_SPOOF, A), ONE(OP_PLAIN, A), ONE(OP_ADDFD, A),
			ONE(OP_ADDFD_SEND, A), ONE(OP_ADDFD_BAD, A), ONE(OP_RUN, A),
			ONE(OP_INTR, A), ONE(OP_VALID, A), ONE(OP_CP_OLD, A),
			ONE(OP_CP_ALONE, A), ONE(OP_CP_ERROR, A), ONE(OP_UNKNOWN, A),
			ONE(OP_PIN_BAD, A), END,
		},
	},
	{
		"C3 copies that fail", .length = 4,
		.events = {
			ONE(OP_RECV, A), ONE(OP_RECV_RO, A), ONE(OP_RECV_NONE, A),
			ONE(OP_PIN, A), ONE(OP_PIN_SHORT, A), ONE(OP_PIN_SMALL, A),
			ONE(OP_PIN_RO_BUF, A), ONE(OP_PIN_NO_BUF, A), ONE(OP_PIN_RO_REQ, A),
			ONE(OP_PIN_NO_REQ, A), ONE(OP_CP, A), ONE(OP_SEND_NONE, A),
			ONE(OP_ADDFD_NONE, A), ONE(OP_VALID_NONE, A), END,
		},
	},
	{
		"C3 two supervisors", .length = 4,
		.events = {
			ONE(OP_RECV, A), ONE(OP_PIN, A), ONE(OP_PIN, B), ONE(OP_PIN, C),
			ONE(OP_PIN_SHORT, B), ONE(OP_CP, A), ONE(OP_CP, B), ONE(OP_CP, C),
			ONE(OP_DENY, B), ONE(OP_PLAIN, C), ONE(OP_ADDFD_SEND, B),
			ONE(OP_VALID, C), ONE(OP_SPOOF, C), END,
		},
	},
	{
		"C3 copies that come late, or not, while another supervisor acts",
		.stride = 3, .length = 5,
		.events = {
			ONE(OP_RECV_LATE, A), ONE(OP_FINISH, A), ONE(OP_FAIL, A), ONE(OP_PIN, B),
			ONE(OP_PIN_LATE_BUF, B), ONE(OP_FINISH, B), ONE(OP_FAIL, B),
			ONE(OP_CP, B), ONE(OP_DENY, B), ONE(OP_PLAIN, B), ONE(OP_RECV, A),
			ONE(OP_VALID, B), ONE(OP_ADDFD_SEND, B), END,
		},
	},
	{
		"C3 snapshots that come late, or not, while another supervisor acts",
		.stride = 5, .length = 4,
		.events = {
			ONE(OP_RECV, A), ONE(OP_PIN_LATE_BUF, A), ONE(OP_PIN_LATE_REQ, A),
			ONE(OP_FINISH, A), ONE(OP_FAIL, A), ONE(OP_CP_LATE, B), ONE(OP_FINISH, B),
			ONE(OP_FAIL, B), ONE(OP_CP, B), ONE(OP_DENY, B), ONE(OP_PIN, B),
			ONE(OP_PIN, C), ONE(OP_CP, C), ONE(OP_PLAIN, B), ONE(OP_DENY_LATE, B), END,
		},
	},
	{
		"C4 signals, stops and runs", .stride = 4, .length = 4,
		.events = {
			ONE(OP_RECV, A), ONE(OP_PIN, A), ONE(OP_CP, A), ONE(OP_DENY, A),
			ONE(OP_SIG_RESTART, A), ONE(OP_SIG_INTR, A), ONE(OP_SIG_STOP, A),
			ONE(OP_RUN, A), ONE(OP_CP_OLD, A), ONE(OP_VALID, A), END,
		},
	},
	{
		"C4 signals where replies are waited for killably", .stride = 10,
		.killable = true, .length = 5,
		.events = {
			ONE(OP_RECV, A), ONE(OP_RECV_LATE, B), ONE(OP_FAIL, B), ONE(OP_FINISH, B),
			ONE(OP_PIN, A), ONE(OP_CP, A), ONE(OP_SIG_INTR, A), ONE(OP_SIG_STOP, A),
			ONE(OP_RUN, A), ONE(OP_CP_OLD, A), END,
		},
	},
	{
		"C4 a supervisor that dies or becomes another program", .length = 4,
		.events = {
			ONE(OP_RECV, A), ONE(OP_PIN, C), ONE(OP_CP, C), ONE(OP_CP, A), ONE(OP_KILL_C, C),
			ONE(OP_EXEC_C, C), ONE(OP_PIN, A), ONE(OP_DENY, C), ONE(OP_CLOSE_C, C),
			ONE(OP_ADDFD_SEND, C), END,
		},
	},
	{
		"C3 listeners that close", .stride = 2, .length = 5,
		.events = {
			ONE(OP_RECV, A), ONE(OP_PIN, A), ONE(OP_CP, A), ONE(OP_CLOSE, A), ONE(OP_PIN, C),
			ONE(OP_CP, C), ONE(OP_CLOSE_C, C), ONE(OP_KILL_C, C), ONE(OP_PIN_LATE_BUF, B),
			ONE(OP_FINISH, B), ONE(OP_FAIL, B), ONE(OP_RUN, A), ONE(OP_DENY, A), END,
		},
	},
	{
		"C20 a task that is killed", .length = 4,
		.events = {
			ONE(OP_RECV, A), ONE(OP_PIN, A), ONE(OP_PIN_LATE_BUF, B), ONE(OP_CP, A),
			ONE(OP_FINISH, B), ONE(OP_FAIL, B), ONE(OP_SIG_KILL, A), ONE(OP_RUN, A),
			ONE(OP_ADDFD_SEND, A), ONE(OP_CLOSE, A), END,
		},
	},
	{
		"C3 receipts that fail after a reply, and the listener closes", .length = 5,
		.events = {
			ONE(OP_RECV_LATE, A), ONE(OP_FAIL, A), ONE(OP_PIN, B), ONE(OP_CP, B),
			ONE(OP_PLAIN, B), ONE(OP_CLOSE, A), ONE(OP_RUN, A), ONE(OP_FINISH, A), END,
		},
	},
};

static const char drawn[] = "C3 walks of all events, drawn";
static const char at_once[] = "C3 supervisors at once, on all CPUs";
static const struct family *family;
static int nr_events;
static unsigned int nr_walks, wobbles;

static uint64_t random_state;

static uint32_t below(uint32_t limit)
{
	random_state = mix(random_state, 1);
	return (random_state >> 33) % limit;
}

/* ---- all of a length ---- */

static int choice[MAX_EVENTS], choices[MAX_EVENTS];

/* The next in the order of an odometer; the first family event that goes is choice 0. */
static int pick_next(const struct states *set, int depth, struct event *ev)
{
	int nr = 0;

	if (depth == family->length)
		return 0;
	for (int i = 0; i < nr_events; i++) {
		struct event candidate = family->events[i];

		if (!is_enabled(set, candidate) || !changes(set, candidate))
			continue;
		if (nr++ == choice[depth])
			*ev = candidate;
	}
	choices[depth] = nr;
	return nr > 0;
}

/* Of the last events some are left out: how many is drawn. */
static bool advance(int depth)
{
	for (int i = depth - 1; i >= 0; i--) {
		choice[i] += i == depth - 1 && !complete && family->stride > 1 ?
			     1 + below(2 * family->stride - 1) : 1;
		if (choice[i] < choices[i])
			return true;
		choice[i] = 0;
	}
	return false;
}

/* ---- drawn ---- */

static int wanted;

static int pick_any(const struct states *set, int depth, struct event *ev)
{
	if (depth == wanted)
		return 0;
	for (int tries = 0; tries < 60; tries++) {
		*ev = (struct event){ below(NR_OPS), below(NR_ACTORS) };
		if (!op_has_actor(ev->op))
			ev->who = A;
		if (ev->op >= OP_CLOSE_C && ev->op < NR_OPS)
			ev->who = C;
		/* What ends a walk early, or changes nothing, less often. */
		if ((ev->op == OP_SIG_KILL || ev->op == OP_CLOSE) && below(4))
			continue;
		if (is_enabled(set, *ev) && (changes(set, *ev) || !below(4)))
			return 1;
	}
	return 0;
}

/* ---- results ---- */

static void report(const struct walk *found, struct difference *diff)
{
	struct walk walk = *found;
	char text[600];

	walk_text(&walk, text, sizeof(text));
	say("# differs: %s: %s", text, diff->text);
	walk_minimise(&walk, diff);
	walk_text(&walk, text, sizeof(text));
	say("# %s: %s", diff->statement, diff->text);
	say("# walk: %s", text);
	rec("model statement=%s walk=%s", diff->statement, text);
}

/* The same from the beginning, with another T; true when it does not come again. */
static bool was_chance(const struct walk *walk, struct difference *diff)
{
	for (int tries = 0; tries < 2; tries++) {
		struct difference again = { 0 };

		if (walk_run(walk, &again)) {
			char text[600];

			walk_text(walk, text, sizeof(text));
			say("# once, and not again: %s: %s", text, diff->text);
			wobbles++;
			return true;
		}
		*diff = again;
	}
	return false;
}

static bool take(struct walk *walk, pick_fn pick, const struct tail *tail)
{
	struct difference diff = { 0 };

	nr_walks++;
	if (walk_make(walk, pick, tail, &diff))
		return true;
	if (was_chance(walk, &diff) && wobbles <= WOBBLES)
		return true;
	report(walk, &diff);
	return false;
}

static void run_family(int length, uint64_t seed)
{
	unsigned int before = nr_walks;
	uint64_t began = now_ns();
	struct family longer = *family;
	struct tail tail = { family->events, 0 };
	bool good = true;

	while (family->events[nr_events].op != NR_OPS)
		nr_events++;
	tail.nr = nr_events;
	if (length)
		longer.length = length;
	family = &longer;
	memset(choice, 0, sizeof(choice));
	random_state = seed;
	for (int depth = 0; good; ) {
		struct walk walk = { .killable = family->killable, .data = nr_walks % 2 };

		good = take(&walk, pick_next, &tail);
		for (depth = 0; depth < family->length && depth < walk.nr; depth++)
			;
		if (!advance(depth))
			break;
	}
	say("# %u walks of %d events, %u ms", nr_walks - before, family->length,
	    (unsigned int)((now_ns() - began) / 1000000));
	result(good, "%s", family->name);
}

static void run_drawn(uint64_t seed, unsigned int walks)
{
	uint64_t began = now_ns();
	bool good = true;

	for (unsigned int i = 0; i < walks && good; i++) {
		struct walk walk = { 0 };

		random_state = mix(seed, i);
		walk.killable = below(4) == 0;
		walk.data = below(2);
		wanted = 4 + below(12);
		good = take(&walk, pick_any, NULL);
	}
	say("# %u walks drawn from seed %llu, %u ms", walks, (unsigned long long)seed,
	    (unsigned int)((now_ns() - began) / 1000000));
	result(good, "%s", drawn);
}

static void run_at_once(uint64_t seed, unsigned int rounds)
{
	uint64_t began = now_ns();
	unsigned int ran;
	bool good = atonce_run(seed, rounds, &ran);

	say("# %u rounds drawn from seed %llu, %u ms", ran, (unsigned long long)seed,
	    (unsigned int)((now_ns() - began) / 1000000));
	rec("model rounds=%u", ran);
	result(good, "%s", at_once);
}

void families_run(uint64_t seed, int length, unsigned int walks, unsigned int rounds)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		if (!is_wanted(families[i].name))
			continue;
		if (!has_pin) {
			skip(families[i].name, "no PIN_ARGS in this kernel");
			continue;
		}
		family = &families[i];
		nr_events = 0;
		run_family(length, seed);
	}
	if (!is_wanted(drawn))
		;
	else if (has_pin)
		run_drawn(seed, walks);
	else
		skip(drawn, "no PIN_ARGS in this kernel");
	if (!is_wanted(at_once))
		;
	else if (has_pin)
		run_at_once(seed, rounds);
	else
		skip(at_once, "no PIN_ARGS in this kernel");
	rec("model walks=%u wobbles=%u seed=%llu late=%d", nr_walks, wobbles,
	    (unsigned long long)seed, can_be_late);
}

int families_count(void)
{
	int nr = is_wanted(drawn) + is_wanted(at_once);

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		nr += is_wanted(families[i].name);
	return nr;
}
