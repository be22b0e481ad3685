// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Supervisors at once: two threads and another process each play a script of a
 * few events, on all CPUs, while T runs and is signalled.  The table is the
 * judge: some order of the events has to explain what came of all of them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "model.h"

#define SAME_T		25	/* rounds */
#define TURNS		4000	/* about as long as a call takes */

static uint64_t state_of_draw;

static uint32_t below(uint32_t limit)
{
	state_of_draw = mix(state_of_draw, 1);
	return (state_of_draw >> 33) % limit;
}

struct round {
	struct walk walk;	/* what kind of call */
	bool received, pinned;	/* before the scripts begin */
	bool with_c, signals, interrupts;
};

static const uint8_t any_op[] = {
	OP_PIN, OP_PIN, OP_PIN, OP_PIN_SMALL, OP_PIN_NO_BUF, OP_PIN_RO_BUF, OP_PIN_RO_REQ,
	OP_PIN_BAD, OP_PIN_NO_REQ, OP_CP, OP_CP, OP_CP, OP_CP, OP_DENY, OP_SPOOF, OP_PLAIN,
	OP_CP_ALONE, OP_SEND_NONE, OP_ADDFD, OP_ADDFD, OP_ADDFD_SEND, OP_ADDFD_BAD,
	OP_ADDFD_NONE, OP_VALID, OP_VALID_NONE,
};

static void draw_script(struct script *script, bool receives)
{
	memset(script, 0, sizeof(*script));
	script->nr = 1 + below(MAX_SCRIPT);
	for (int i = 0; i < script->nr; i++) {
		script->op[i] = any_op[below(sizeof(any_op))];
		script->wait[i] = below(4) ? below(TURNS) : 0;
	}
	if (receives)
		script->op[0] = below(3) ? OP_RECV : OP_RECV_RO;
}

static void draw(struct round *round, unsigned int i, bool exact)
{
	struct script *scripts = shared->scripts;
	uint32_t dice = below(4);

	memset(round, 0, sizeof(*round));
	round->walk.killable = i / SAME_T % 4 == 3;
	round->walk.data = below(2);
	round->received = !exact || dice;
	round->pinned = round->received && dice == 3;
	round->with_c = below(2);
	round->signals = !below(3);
	for (int who = A; who < NR_ACTORS; who++)
		draw_script(&scripts[who], who == A && !round->received);
	if (!round->with_c)
		scripts[C].nr = 0;
	memset(&scripts[SIGNALLER], 0, sizeof(scripts[SIGNALLER]));
	if (round->signals) {
		/* Who still has to receive would wait for another call. */
		scripts[SIGNALLER].op[0] = round->received && below(2) ? OP_SIG_INTR :
					   OP_SIG_RESTART;
		scripts[SIGNALLER].wait[0] = below(3 * TURNS);
		scripts[SIGNALLER].nr = 1;
	}
}

static bool before(const struct round *round, struct states *set)
{
	struct states next;
	struct seen seen;

	memset(set, 0, sizeof(*set));
	set->nr = 1;
	set->s[0] = (struct state){
		.n = N_NEW, .source = 'A', .open_here = 1, .killable = round->walk.killable,
		.open_there = round->with_c, .had_c = round->with_c,
	};
	stage_begin(&round->walk);
	if (!round->received)
		return true;
	if (!stage_receive())
		return false;
	set->s[0].n = N_SENT;
	if (!round->pinned)
		return true;
	stage_do((struct event){ OP_PIN, A }, &set->s[0], &seen);
	step_all(set, (struct event){ OP_PIN, A }, &next);
	*set = next;
	return !seen.stuck && keep_seen(set, seen.obs);
}

static void tell_history(const struct round *round)
{
	say("# %s%s%s%s", round->walk.data ? "data" : "path",
	    round->walk.killable ? " killable" : "", round->received ? " received" : "",
	    round->pinned ? " pinned" : "");
	for (int who = 0; who < NR_SCRIPTS; who++) {
		const struct script *script = &shared->scripts[who];

		for (int i = 0; i < script->nr; i++)
			say("#   %2u to %2u: %c.%s: %d", script->began[i], script->ended[i],
			    who == SIGNALLER ? 'T' : 'A' + who, op_name(script->op[i]),
			    script->err[i]);
	}
}

/* What T's call came to against the states that are left. */
static const char *judge_end(const struct states *set)
{
	int over = 0, not_over = 0, result = 0;
	bool is_over;

	for (int i = 0; i < set->nr; i++) {
		struct states then = { 0 };

		step_run(&set->s[i], &then);
		/* Those that T does not rest in are on their way to others. */
		if (then.nr != 1 || memcmp(&then.s[0], &set->s[i], sizeof(then.s[0])))
			continue;
		over += set->s[i].over;
		not_over += !set->s[i].over;
	}
	is_over = stage_rest(&result, over && !not_over);
	if (!is_over)
		return not_over ? NULL : "the call does not come back";
	for (int i = 0; i < set->nr; i++) {
		if (set->s[i].over && set->s[i].result == result)
			return NULL;
	}
	say("# the call gave %d", result);
	return "the call gave what no order of these gives";
}

static const char *play_round(const struct round *round)
{
	struct states set;
	const char *wrong = NULL;

	if (!before(round, &set))
		return "the first steps went wrong";
	if (!stage_at_once(round->with_c))
		return "a supervisor does not come back";
	states_lost = false;
	may_lose_states = true;
	if (!linear_explain(&set, shared->scripts))
		wrong = "no order of these explains what came of them";
	if (!wrong) {
		linear_runs(&set);
		wrong = judge_end(&set);
	}
	may_lose_states = false;
	return states_lost ? NULL : wrong;
}

/* Returns whether all rounds could be explained; *ran: how many there were. */
bool atonce_run(uint64_t seed, unsigned int rounds, unsigned int *ran)
{
	const char *wrong = NULL;
	bool exact = true;

	stage_free(true);
	for (*ran = 0; *ran < rounds && !wrong; ++*ran) {
		struct round round;

		state_of_draw = mix(seed, *ran);
		draw(&round, *ran, exact);
		wrong = play_round(&round);
		if (wrong) {
			tell_history(&round);
			say("# C3: %s", wrong);
			break;
		}
		exact = !round.signals;
		if (!stage_clear()) {
			tell_history(&round);
			say("# C20: T cannot be brought to its end");
			wrong = "stuck";
			break;
		}
		stage_keep(1);
	}
	stage_free(false);
	return !wrong;
}
