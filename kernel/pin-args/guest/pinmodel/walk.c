// SPDX-License-Identifier: GPL-2.0-or-later
/* Take one walk with the kernel and with the model, until they differ. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model.h"

#define LETTERS	18	/* A to R; S is what ADDFD brings */

static struct states set;
static unsigned int steps;
static bool saw_pin;
static const char *override;	/* the statement, whatever the event */

static bool holds_listener(const struct state *s, uint8_t who)
{
	if (who == C)
		return s->open_there || (!s->had_c && s->open_here);
	return s->open_here;
}

static bool is_enabled_in(const struct state *s, struct event ev)
{
	const struct acting *act = &s->act[ev.who];

	if (ev.op == OP_FINISH || ev.op == OP_FAIL)
		return act->doing && act->doing != D_ADDFD;
	if (!op_has_actor(ev.op))
		return !s->over && (ev.op != OP_CLOSE || s->open_here);
	if (s->over || (ev.op < OP_FINISH && act->doing))
		return false;
	if (ev.op == OP_INTR)
		return act->doing == D_ADDFD;
	if (ev.op >= OP_CLOSE_C)
		return s->open_there && (!act->doing || ev.op == OP_KILL_C);
	if (is_late(ev.op) && (ev.who == C || !can_be_late))
		return false;
	/* It would wait for a notification that does not come. */
	if (ev.op == OP_RECV || ev.op == OP_RECV_LATE || ev.op == OP_RECV_RO)
		return s->n == N_NEW && holds_listener(s, ev.who);
	return holds_listener(s, ev.who);
}

bool is_enabled(const struct states *states, struct event ev)
{
	for (int i = 0; i < states->nr; i++) {
		if (!is_enabled_in(&states->s[i], ev))
			return false;
	}
	return states->nr;
}

/* Whether an event can lead anywhere else. */
bool changes(const struct states *states, struct event ev)
{
	struct states next = { 0 };

	step_all(states, ev, &next);
	return !same_states(states, &next);
}

/* Whose promise is broken when this event comes out otherwise. */
const char *statement_of(const struct states *states, struct event ev)
{
	if (override)
		return override;
	if (ev.op == OP_PIN_BAD || (ev.op >= OP_CP_ALONE && ev.op <= OP_UNKNOWN))
		return "C2";
	if (ev.op == OP_KILL_C || ev.op == OP_EXEC_C || ev.op == OP_SIG_STOP)
		return "C4";
	if (ev.op != OP_RUN)
		return "C3";
	for (int i = 0; i < states->nr; i++) {
		if (states->s[i].answer == ANS_PINNED || states->s[i].answer == ANS_ENOSYS)
			return "C3";
	}
	return "C4";
}

static const char *word_of(int obs)
{
	const char *name = obs > 0 ? strerrorname_np(obs) : NULL;

	switch (obs) {
	case 0:
		return "success";
	case PENDING:
		return "no end yet";
	case WRONG_ID:
		return "another notification";
	case WRONG_BYTES:
		return "other bytes";
	case SPOOFED:
		return "the spoofed value";
	case -1:
		return "a descriptor";
	}
	return name ? name : "an unknown errno";
}

static void describe(char *text, size_t size, int result)
{
	if (result < 0)
		snprintf(text, size, "%s", word_of(-result));
	else if (result == SPOOFED)
		snprintf(text, size, "the spoofed value");
	else
		snprintf(text, size, "'%c'", result);
}

__attribute__((format(printf, 3, 4)))
static bool differs(struct difference *diff, const char *statement, const char *fmt, ...)
{
	va_list args;

	diff->statement = statement;
	va_start(args, fmt);
	vsnprintf(diff->text, sizeof(diff->text), fmt, args);
	va_end(args);
	return false;
}

/* ---- what was seen against the states ---- */

static bool agrees(const struct state *s, const struct seen *seen)
{
	for (enum who who = A; who < NR_ACTORS; who++) {
		const struct acting *act = &s->act[who];

		if (seen->done[who] != (act->res != 0))
			return false;
		if (act->res && act->res != ANYTHING && act->res != seen->err[who])
			return false;
	}
	if (s->dead != seen->t_dead)
		return false;
	if (!s->dead && (s->over != seen->t_over || (s->over && s->result != seen->t_result)))
		return false;
	return !seen->looked || s->over || (s->n == N_NEW) == seen->has_new;
}

static void forget_ended(struct state *s)
{
	for (enum who who = A; who < NR_ACTORS; who++) {
		if (s->act[who].res)
			memset(&s->act[who], 0, sizeof(s->act[who]));
	}
}

static bool keep_agreeing(const struct seen *seen)
{
	struct states kept = { 0 };

	for (int i = 0; i < set.nr; i++) {
		struct state s = set.s[i];

		if (!agrees(&s, seen))
			continue;
		forget_ended(&s);
		push(&kept, &s, 0);
	}
	set = kept;
	return kept.nr;
}

static void tell_result(struct difference *diff, const struct states *before, struct event ev,
			const struct seen *seen)
{
	char states[160], got[40] = "waiting";

	if (seen->t_dead)
		snprintf(got, sizeof(got), "dead");
	else if (seen->t_over)
		describe(got, sizeof(got), seen->t_result);
	state_text(before, states, sizeof(states));
	differs(diff, statement_of(before, ev),
		"after %s the call is %s%s, of a notification that was: %s", op_name(ev.op), got,
		seen->looked && seen->has_new ? ", a notification new" : "", states);
}

static void union_of(struct states *into, const struct states *from)
{
	for (int i = 0; i < from->nr; i++)
		push(into, &from->s[i], from->obs[i]);
}

/* The next states when T had the CPU meanwhile: before the event or after it. */
static void step_with_run(struct event ev, struct states *out)
{
	static const struct event run = { OP_RUN, A };
	struct states first, then;

	step_all(&set, run, &first);
	step_all(&first, ev, &then);
	union_of(out, &then);
	step_all(&set, ev, &first);
	for (int i = 0; i < first.nr; i++) {
		struct states one = { .nr = 1, .s = { first.s[i] } };

		step_all(&one, run, &then);
		for (int j = 0; j < then.nr; j++)
			push(out, &then.s[j], first.obs[i]);
	}
}

static void begin_c(struct event ev)
{
	for (int i = 0; i < set.nr; i++) {
		if (op_has_actor(ev.op) && ev.who == C && !set.s[i].had_c)
			set.s[i].had_c = set.s[i].open_there = 1;
	}
}

static void next_letter(void)
{
	char letter = 'A' + ++steps % LETTERS;

	set_source(letter);
	for (int i = 0; i < set.nr; i++)
		set.s[i].source = letter;
}

/* One event; false when the kernel did what the model does not know. */
static bool take_step(struct event ev, struct difference *diff)
{
	struct states before, expected;
	struct seen seen;
	int obs;

	begin_c(ev);
	before = set;
	if (verbose)
		say("#   %c.%s", 'A' + ev.who, op_name(ev.op));
	stage_do(ev, &set.s[0], &seen);
	if (verbose && seen.ran)
		say("#   (T had the CPU)");
	if (seen.stuck)
		return differs(diff, ev.op == OP_RUN ? "C20" : "C16",
			       "%s does not come back", op_name(ev.op));
	step_all(&set, ev, &expected);
	if (seen.ran)
		step_with_run(ev, &expected);
	obs = op_has_actor(ev.op) && ev.op != OP_KILL_C && ev.op != OP_EXEC_C ? seen.obs : 0;
	set = expected;
	if (!keep_seen(&set, obs)) {
		char states[160];
		size_t len = 0;
		char wanted[120] = "";

		state_text(&before, states, sizeof(states));
		for (int i = 0; i < expected.nr && len < sizeof(wanted); i++)
			len += snprintf(wanted + len, sizeof(wanted) - len, "%s%s",
					i ? " or " : "", word_of(expected.obs[i]));
		return differs(diff, statement_of(&before, ev),
			       "%c.%s gave %s, not %s, of a notification that was: %s",
			       'A' + ev.who, op_name(ev.op), word_of(obs), wanted, states);
	}
	if (!keep_agreeing(&seen)) {
		tell_result(diff, &before, ev, &seen);
		return false;
	}
	for (int i = 0; i < set.nr; i++)
		saw_pin |= set.s[i].pin || set.s[i].answer == ANS_PINNED;
	next_letter();
	return true;
}

static bool try_step(enum op op, enum who who, struct difference *diff)
{
	struct event ev = { op, who };

	return !is_enabled(&set, ev) || take_step(ev, diff);
}

/* ---- a whole walk ---- */

static bool is_over(void)
{
	return set.s[0].over;
}

/* Bring T's call to its end, as any supervisor would. */
static bool come_to_end(struct difference *diff)
{
	for (enum who who = A; who < NR_ACTORS; who++) {
		if (!try_step(OP_FINISH, who, diff))
			return false;
	}
	if (!is_over() && !try_step(OP_RUN, A, diff))
		return false;
	for (int tries = 0; tries < 3 && !is_over(); tries++) {
		enum who who = set.s[0].open_here ? A : C;

		if (!try_step(OP_VALID, who, diff) || !try_step(OP_RECV, who, diff) ||
		    !try_step(OP_DENY, who, diff) || !try_step(OP_RUN, A, diff))
			return false;
	}
	return is_over() || differs(diff, "C20", "the call does not come back");
}

static void begin(const struct walk *walk)
{
	stage_begin(walk);
	steps = 0;
	memset(&set, 0, sizeof(set));
	set.nr = 1;
	set.s[0] = (struct state){
		.n = N_NEW, .source = 'A', .open_here = 1, .killable = walk->killable,
	};
}

/* The next call of the same task can be pinned as if nothing had been. */
static bool pin_once_more(const struct walk *walk, struct difference *diff)
{
	static const enum op ops[] = { OP_RECV, OP_PIN, OP_CP, OP_RUN };

	override = "C4";
	begin(walk);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (!take_step((struct event){ ops[i], A }, diff))
			return false;
	}
	if (!is_over())
		return differs(diff, "C4", "a later call does not come back");
	return true;
}

static bool end(const struct walk *walk, struct difference *diff)
{
	const char *left;

	if (!come_to_end(diff))
		return false;
	if (set.s[0].dead || set.s[0].detached || !set.s[0].open_here)
		return stage_drop() || differs(diff, "C20", "T or a supervisor cannot be ended");
	left = stage_after(saw_pin);
	if (left)
		return differs(diff, NULL, "%s", left);
	stage_keep(set.s[0].serial + 1);
	if (!saw_pin)
		return true;
	if (!pin_once_more(walk, diff))
		return false;
	stage_keep(1);
	return true;
}

static bool fail(struct difference *diff)
{
	override = NULL;
	if (verbose)
		say("#   differs: %s", diff->text);
	if (!diff->statement) {		/* it is in the text */
		diff->statement = strncmp(diff->text, "C21", 3) ? "C4" : "C21";
	}
	if (!stage_drop())
		bail("a supervisor or a task cannot be ended");
	return false;
}

bool walk_make(struct walk *walk, pick_fn pick, const struct tail *tail, struct difference *diff)
{
	struct event ev;

	if (verbose)
		say("# walk");
	begin(walk);
	saw_pin = false;
	override = NULL;
	while (walk->nr < MAX_EVENTS && pick(&set, walk->nr, &ev)) {
		walk->events[walk->nr] = ev;
		diff->at = walk->nr++;
		if (!take_step(ev, diff))
			return fail(diff);
	}
	for (int i = 0; tail && i < tail->nr && walk->nr < MAX_EVENTS; i++) {
		if (!is_enabled(&set, tail->events[i]) || changes(&set, tail->events[i]))
			continue;
		walk->events[walk->nr] = tail->events[i];
		diff->at = walk->nr++;
		if (!take_step(tail->events[i], diff))
			return fail(diff);
	}
	diff->at = walk->nr;
	if (!end(walk, diff))
		return fail(diff);
	override = NULL;
	return true;
}

/* A walk that is known. */
static const struct walk *known;
static int known_at;

static int pick_known(const struct states *states, int depth, struct event *ev)
{
	(void)depth;
	while (known_at < known->nr && !is_enabled(states, known->events[known_at]))
		known_at++;
	if (known_at == known->nr)
		return 0;
	*ev = known->events[known_at++];
	return 1;
}

bool walk_run(const struct walk *walk, struct difference *diff)
{
	struct walk again = { .data = walk->data, .killable = walk->killable };

	known = walk;
	known_at = 0;
	return walk_make(&again, pick_known, NULL, diff);
}

/* Leave out what it differs without. */
void walk_minimise(struct walk *walk, struct difference *diff)
{
	bool shorter = true;

	if (diff->at + 1 < walk->nr)
		walk->nr = diff->at + 1;
	while (shorter) {
		shorter = false;
		for (int i = walk->nr - 1; i >= 0; i--) {
			struct difference other = { 0 };
			struct walk less = *walk;

			memmove(less.events + i, less.events + i + 1,
				(less.nr - i - 1) * sizeof(less.events[0]));
			less.nr--;
			if (walk_run(&less, &other))
				continue;
			*walk = less;
			*diff = other;
			shorter = true;
		}
	}
}
