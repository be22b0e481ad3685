// SPDX-License-Identifier: GPL-2.0-or-later
/* As T: what the kernel acted on, held against what V saw and how it replied. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "torture.h"

/* What the kernel acted on and what V saw, as far as they differ; "" otherwise. */
static void compare(const struct trial *trial, const char *letters, const char *expected,
		    char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < SLOTS; i++) {
		if (trial->pinned & 1u << i && letters[i] != expected[i])
			used += snprintf(text + used, size - used, "%sslot %d did %c and not %c",
					 used ? ", " : "", i, letters[i], expected[i]);
	}
}

/*
 * Without memory calls fail, and so does looking at what they did.  Even then
 * the opposite letter is never excused.
 */
static bool is_excused(const struct lane *lane, long ret, const char *letters)
{
	const struct trial *trial = &lane->trial;
	bool any = false;

	for (int i = 0; i < SLOTS; i++) {
		char other = lane->outcome.letters[i] == 'T' ? 'M' : 'T';

		if (!(trial->pinned & 1u << i))
			continue;
		if (letters[i] == other)
			return false;
		any = any || letters[i] != '0';
	}
	/* EINTR: a signal in the call itself */
	return under_pressure(trial) || (!any && ret == -EINTR);
}

static bool trial_has_same(const struct trial *trial)
{
	for (int i = 0; i < SLOTS; i++) {
		if (trial->mask & 1u << i && trial->slots[i].same)
			return true;
	}
	return false;
}

/* A slot whose pointer is that of a pinned one, and that is not pinned itself. */
static void judge_same(struct lane *lane, const char *letters)
{
	const struct trial *trial = &lane->trial;

	for (int i = 0; i < SLOTS; i++) {
		if (trial->mask & ~trial->pinned & 1u << i && letters[i] == 'T' &&
		    lane->outcome.exposed && !trial->free)
			violation(lane, "C10", "slot %d did T as the other slot with its pointer",
				  i);
	}
}

static void judge_pinned(struct lane *lane, long ret, const char *letters)
{
	char text[160];

	if (trial_has_same(&lane->trial))
		judge_same(lane, letters);
	compare(&lane->trial, letters, lane->outcome.letters, text, sizeof(text));
	if (!text[0])
		return;
	if (is_excused(lane, ret, letters))
		lane->murky++;
	else
		violation(lane, "C5", "%s, result %ld", text, ret);
}

static void judge_nothing(struct lane *lane, long ret, long expected, const char *letters)
{
	const struct trial *trial = &lane->trial;

	if (under_pressure(trial))
		return;
	if (ret != expected)
		violation(lane, "C4", "the reply was %ld, the call gave %ld", expected, ret);
	for (int i = 0; i < SLOTS; i++) {
		if (trial->mask & 1u << i && letters[i] != '0')
			violation(lane, "C4", "slot %d did %c in a call that was not to be", i,
				  letters[i]);
	}
}

/* Whether the call is not made at all. */
static bool is_answer(uint8_t reply)
{
	return reply == R_DENY || reply == R_SPOOF || reply == R_ADDFD;
}

static void count(struct lane *lane, const char *letters)
{
	const struct trial *trial = &lane->trial;
	struct count *c = &lane->counts[trial->family][trial->mutator][trial->free];
	const struct outcome *out = &lane->outcome;

	if (!out->replied)
		return;
	lane->replies[out->reply]++;
	lane->befores[trial->before]++;
	lane->betweens[trial->between]++;
	if (out->reply == R_PINNED) {
		c->pinned++;
		c->exposed += out->exposed;
	} else if (out->reply == R_CONTROL) {
		char text[160];

		compare(trial, letters, out->letters, text, sizeof(text));
		c->control++;
		c->lost += !!text[0];
	}
}

/* Two runs with the same fingerprint went the same way, trial by trial and to the nanosecond. */
static void fold(struct lane *lane, long ret, const char *letters)
{
	const struct outcome *out = &lane->outcome;
	uint64_t what = mix(lane->trial.seq, ret);

	for (int i = 0; i < SLOTS; i++)
		what = mix(what, letters[i]);
	what = mix(what, out->replied | out->exposed << 1 | out->refused << 2 | out->reply << 3);
	lane->fingerprint = mix(mix(lane->fingerprint, what), now_ns() - torture->began);
}

/*
 * A pinned reply that comes while the snapshot is taken is noted once V knows
 * both; V may be killed before.
 */
static bool died_with_it(const struct lane *lane)
{
	const struct trial *trial = &lane->trial;

	return !lane->v_pid && trial->meanwhile == N_PINNED && lane->raced == trial->seq;
}

/* signals: that T had taken before the call */
void judge(struct lane *lane, const struct op *op, long ret, int signals)
{
	struct trial *trial = &lane->trial;
	const struct outcome *out = &lane->outcome;
	char letters[SLOTS] = { 0 };
	long result = ret;
	bool interrupted = ret == -EINTR && lane->signals != signals && trial->between == W_INTR;

	/* A made-up result is none that a probe should take for a descriptor. */
	if (!out->replied || is_answer(out->reply))
		result = -ENOSYS;
	op->probe(lane, trial, result, letters);
	fold(lane, ret, letters);
	if (!trap_kept_registers(&trial->call) && op->run == NULL)
		violation(lane, "C21", "the call changed a register of its arguments");
	count(lane, letters);
	/*
	 * A reply is accepted up to when T, which a signal has woken, takes the
	 * lock, and is then lost: so without this series, too.
	 */
	if (interrupted && (!out->replied || is_answer(out->reply))) {
		judge_nothing(lane, ret, -EINTR, letters);
		return;
	}
	if (!out->replied) {
		if (died_with_it(lane))
			lane->murky++;
		else if (ret != -ENOSYS)
			violation(lane, "C3", "nobody replied, and the call gave %ld", ret);
		return;
	}
	switch (out->reply) {
	case R_PINNED:
		judge_pinned(lane, ret, letters);
		break;
	case R_PLAIN:
		/* The snapshot is gone: the call runs on what is there. */
		for (int i = 0; i < SLOTS && out->exposed && !trial->free; i++) {
			if (trial->mask & 1u << i && trial->slots[i].lettered &&
			    letters[i] == 'T')
				violation(lane, "C4", "slot %d of a plain CONTINUE did T", i);
		}
		break;
	case R_DENY:
		judge_nothing(lane, ret, -trial->error, letters);
		break;
	case R_SPOOF:
		judge_nothing(lane, ret, trial->spoof, letters);
		break;
	case R_ADDFD:
		judge_nothing(lane, ret, out->fd < 0 ? ret : out->fd, letters);
		break;
	}
	if (out->reply == R_ADDFD && !op->run && ret > STDERR_FILENO)
		close(ret);
}
