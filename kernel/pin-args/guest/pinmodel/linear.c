// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Explain what came of several scripts that were played at the same time: find
 * an order of their events that the table allows.  An event takes effect at
 * some moment while its call lasts; a call that reads or writes the memory of
 * its supervisor does so at two of them, between which others can act.  T may
 * run at any moment.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define HALVES	(2 * MAX_SCRIPT + 1)	/* how far a script can be */
#define NODES	(HALVES * HALVES * HALVES * HALVES)

static struct states *nodes[NODES];
static const struct script *played;

static bool receives(enum op op)
{
	return op == OP_RECV || op == OP_RECV_RO;
}

static bool pins(enum op op)
{
	return op >= OP_PIN && op <= OP_PIN_LATE_REQ && op != OP_PIN_BAD && op != OP_PIN_NO_REQ;
}

/* Others fail, or receive, before they look for a notification. */
static bool looks_up(enum op op)
{
	switch (op) {
	case OP_PIN_BAD:
	case OP_PIN_NO_REQ:
	case OP_CP_ALONE:
	case OP_SEND_NONE:
	case OP_ADDFD_NONE:
	case OP_VALID_NONE:
		return false;
	default:
		return !receives(op);
	}
}

/* As the table has it; a buffer that is too small is one more that fails. */
static int seen_of(enum op op, int err)
{
	return op == OP_PIN_SMALL && err == ENOSPC ? EFAULT : err;
}

static void take_some(struct states *to, const struct states *from, int obs)
{
	for (int i = 0; i < from->nr; i++) {
		if (from->obs[i] == obs)
			push(to, &from->s[i], 0);
	}
}

/* Add what T may have done by itself. */
void linear_runs(struct states *set)
{
	for (int i = 0; i < set->nr; i++) {
		struct states then = { 0 };

		step_run(&set->s[i], &then);
		step_install(&set->s[i], &then);
		for (int j = 0; j < then.nr; j++)
			push(set, &then.s[j], 0);
	}
}

static void begin_one(const struct state *s, enum op op, uint8_t who, int err, struct states *out)
{
	struct event ev = { op, who };
	struct states one = { .nr = 1, .s = { *s } }, then;

	if (who == SIGNALLER) {
		if (s->over) {
			push(out, s, 0);
			return;
		}
		ev.who = A;
		step_all(&one, ev, &then);
		take_some(out, &then, 0);
		return;
	}
	if (s->act[who].doing)
		return;
	/* T can be between two of them just when there is to be one. */
	if (receives(op) && err == ENOENT && played[SIGNALLER].nr)
		push(out, s, 0);
	if (receives(op) && s->n != N_NEW)
		return;		/* it waits for one */
	/* The number is that of the first notification. */
	if (s->serial && looks_up(op)) {
		if (err == ENOENT)
			push(out, s, 0);
		return;
	}
	if (receives(op))
		ev.op = OP_RECV_LATE;
	if (pins(op))
		ev.op = OP_PIN_LATE_BUF;
	step_all(&one, ev, &then);
	take_some(out, &then, PENDING);
	if (err != PENDING)
		take_some(out, &then, err);
}

static void end_one(const struct state *s, enum op op, uint8_t who, int err, struct states *out)
{
	struct event ev = { OP_FINISH, who };
	struct states one = { .nr = 1, .s = { *s } }, then;
	struct state next = *s;

	switch (who == SIGNALLER ? D_NOTHING : s->act[who].doing) {
	case D_NOTHING:
		push(out, s, 0);	/* it was over when it began */
		return;
	case D_ADDFD:
		if (s->act[who].res != err && s->act[who].res != ANYTHING)
			return;
		memset(&next.act[who], 0, sizeof(next.act[who]));
		push(out, &next, 0);
		return;
	}
	if (op == OP_RECV_RO || (pins(op) && op != OP_PIN))
		ev.op = OP_FAIL;
	step_all(&one, ev, &then);
	take_some(out, &then, op == OP_RECV && s->serial && err == WRONG_ID ? 0 : err);
}

static int node_of(const int at[NR_SCRIPTS])
{
	int node = 0;

	for (int i = 0; i < NR_SCRIPTS; i++)
		node = node * HALVES + at[i];
	return node;
}

/* Whether all calls that had ended by then are behind us. */
static bool may_begin(const int at[NR_SCRIPTS], uint32_t began)
{
	for (int i = 0; i < NR_SCRIPTS; i++) {
		for (int j = at[i] / 2; j < played[i].nr; j++) {
			if (played[i].ended[j] < began)
				return false;
		}
	}
	return true;
}

static void go_on(const int at[NR_SCRIPTS], int who)
{
	const struct states *from = nodes[node_of(at)];
	int which = at[who] / 2, next[NR_SCRIPTS];
	enum op op = played[who].op[which];
	int err = seen_of(op, played[who].err[which]);
	struct states *to;

	if (at[who] % 2 == 0 && !may_begin(at, played[who].began[which]))
		return;
	memcpy(next, at, sizeof(next));
	next[who]++;
	to = nodes[node_of(next)];
	if (!to)
		to = nodes[node_of(next)] = calloc(1, sizeof(*to));
	if (!to)
		bail("calloc");
	for (int i = 0; i < from->nr; i++) {
		if (at[who] % 2)
			end_one(&from->s[i], op, who, err, to);
		else
			begin_one(&from->s[i], op, who, err, to);
	}
}

/* From those that are behind by all to those that are at the end, in order. */
static void visit_all(void)
{
	int at[NR_SCRIPTS];

	for (at[0] = 0; at[0] <= 2 * played[0].nr; at[0]++)
	for (at[1] = 0; at[1] <= 2 * played[1].nr; at[1]++)
	for (at[2] = 0; at[2] <= 2 * played[2].nr; at[2]++)
	for (at[3] = 0; at[3] <= 2 * played[3].nr; at[3]++) {
		struct states *here = nodes[node_of(at)];

		if (!here || !here->nr)
			continue;
		linear_runs(here);
		for (int who = 0; who < NR_SCRIPTS; who++) {
			if (at[who] < 2 * played[who].nr)
				go_on(at, who);
		}
	}
}

/* From the states before to those after; false when no order explains them. */
bool linear_explain(struct states *set, const struct script scripts[NR_SCRIPTS])
{
	int first[NR_SCRIPTS] = { 0 }, last[NR_SCRIPTS];
	struct states *end;

	played = scripts;
	for (int i = 0; i < NR_SCRIPTS; i++)
		last[i] = 2 * scripts[i].nr;
	nodes[node_of(first)] = malloc(sizeof(*set));
	if (!nodes[node_of(first)])
		bail("malloc");
	*nodes[node_of(first)] = *set;
	visit_all();
	end = nodes[node_of(last)];
	set->nr = 0;
	if (end)
		*set = *end;
	for (int i = 0; i < NODES; i++) {
		free(nodes[i]);
		nodes[i] = NULL;
	}
	return set->nr;
}
