// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * For every argument that PIN_ARGS must accept: the race that is lost without
 * it each time, and never with it.
 *
 * The supervisor checks an argument, which is A, and lets the call go on.  The
 * kernel's own read of it then stops at the gate, and what it gets there is B.
 * Nothing of this is chance, so the control is as sure as what it controls: a
 * case of the pinned call is good only where the unpinned one was lost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gates.h"

static const char missing[] = "no PIN_ARGS in this kernel";
static const char absent[] = "no such call in this kernel";
static const char *const names[] = { "A", "B", "torn", "neither" };
static const char *const modes[] = { "use", "torn", "shown" };

static int test_nr;
static bool failed;
static bool has_pin;

void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void case_result(bool good, const struct row *row, enum mode mode, bool pinned,
			const char *skip)
{
	printf("%s %d %s/%d%s%s %s %s%s%s\n", good ? "ok" : "not ok", ++test_nr,
	       row->call, row->slot, row->note[0] ? " " : "", row->note, modes[mode],
	       pinned ? "pinned" : "unpinned", skip ? " # SKIP " : "", skip ? skip : "");
	fflush(stdout);
	failed |= !good;
}

static void explain(const struct row *row, enum mode mode, bool pinned, const struct outcome *o)
{
	printf("# %s/%d%s%s %s %s: shown %s, used %s, %u reads stopped after the check%s%s\n",
	       row->call, row->slot, row->note[0] ? " " : "", row->note, modes[mode],
	       pinned ? "pinned" : "unpinned", names[o->shown], names[o->used], o->stopped,
	       o->what[0] ? ": " : "", o->what);
}

/* Without PIN_ARGS: the call takes what the supervisor has not seen. */
static bool is_lost(const struct outcome *o, enum mode mode)
{
	return !o->what[0] && o->stopped && o->shown == IS_A &&
	       o->used == (mode == USE ? IS_B : IS_TORN);
}

/* With it: it takes what it has seen, and does not even look at its memory again. */
static bool is_kept(const struct outcome *o, enum mode mode)
{
	if (o->what[0] || o->stopped || o->used != o->shown)
		return false;
	return mode == SHOWN ? o->shown == IS_TORN || o->shown == IS_B : o->shown == IS_A;
}

static bool do_unpinned(const struct row *row, enum mode mode, bool *gone)
{
	struct outcome o = run_call(row, mode, false);
	bool lost = is_lost(&o, mode);

	*gone = o.absent;
	if (!lost && !o.absent)
		explain(row, mode, false, &o);
	case_result(lost || o.absent, row, mode, false, o.absent ? absent : NULL);
	return lost;
}

static void do_pinned(const struct row *row, enum mode mode, bool control, bool gone)
{
	struct outcome o;
	bool kept;

	if (gone || !has_pin) {
		case_result(true, row, mode, true, gone ? absent : missing);
		return;
	}
	o = run_call(row, mode, true);
	kept = is_kept(&o, mode);
	if (!kept)
		explain(row, mode, true, &o);
	if (!control)
		printf("# its control was not lost\n");
	case_result(kept && control, row, mode, true, NULL);
}

enum tested { NOT_HERE, TESTED, NOT_TESTED };

/* All cases of an argument. */
static enum tested do_row(const struct row *row)
{
	bool gone, lost = do_unpinned(row, USE, &gone);

	do_pinned(row, USE, lost, gone);
	if (!row->whole) {
		bool torn = do_unpinned(row, TORN, &gone);

		do_pinned(row, TORN, torn, gone);
		do_pinned(row, SHOWN, torn, gone);
		lost &= torn;
	}
	return gone ? NOT_HERE : lost ? TESTED : NOT_TESTED;
}

static bool same_argument(const struct row *a, const struct row *b)
{
	return a->nr == b->nr && a->slot == b->slot;
}

/* How many arguments these are: several rows may be of the same one, and the worst one counts. */
static unsigned int count(const enum tested *tested, enum tested what)
{
	unsigned int found = 0;

	for (size_t i = 0; i < nr_rows; i++) {
		bool first = true, worse = false;

		for (size_t j = 0; j < nr_rows; j++) {
			if (!same_argument(&rows[i], &rows[j]))
				continue;
			first &= j >= i || tested[j] != what;
			worse |= tested[j] > what;
		}
		found += tested[i] == what && first && !worse;
	}
	return found;
}

static void list(const enum tested *tested, enum tested what)
{
	const char *sep = "";

	for (size_t i = 0; i < nr_rows; i++) {
		if (tested[i] != what)
			continue;
		printf("%s%s/%d%s%s", sep, rows[i].call, rows[i].slot,
		       rows[i].note[0] ? " " : "", rows[i].note);
		sep = ", ";
	}
	printf("%s\n", sep[0] ? "" : "none");
}

/* What all this covers. */
static void summary(const enum tested *tested)
{
	unsigned int good = count(tested, TESTED), bad = count(tested, NOT_TESTED);

	printf("# tested %u of %u named arguments, %s; in %zu ways\n", good, good + bad,
	       has_pin ? "unpinned and pinned" : "unpinned only", nr_rows);
	printf("# missing: ");
	list(tested, NOT_TESTED);
	printf("# not in this kernel: ");
	list(tested, NOT_HERE);
	printf("%s %d every named argument was tested\n", bad ? "not ok" : "ok", ++test_nr);
	failed |= bad;
	rec("gates tested=%u total=%u rows=%zu pinned=%d", good, good + bad, nr_rows, has_pin);
}

/* Tell the supervisor what this program was given. */
static int echo(char *const *strings)
{
	char text[ROOM];
	int count = 0, len;

	while (strings[count])
		count++;
	len = snprintf(text, sizeof(text), "%d %s\n", count, count > 1 ? strings[1] : "-");
	return write(FD, text, len) != len;
}

int main(int argc, char **argv, char **envp)
{
	enum tested *tested;
	unsigned int plan = 1;

	if (argc && !strcmp(argv[0], ECHO))
		return echo(argv);
	if (argc && !strcmp(argv[0], ECHO_ENV))
		return echo(envp);
	for (size_t i = 0; i < nr_rows; i++)
		plan += rows[i].whole ? 2 : 5;
	printf("KTAP version 1\n1..%u\n", plan);
	rows_init();
	objects_init();
	run_init();
	has_pin = kernel_has_it();
	rec("feature pin_args=%d", has_pin);
	tested = calloc(nr_rows, sizeof(*tested));
	if (!tested)
		die("calloc");
	for (size_t i = 0; i < nr_rows; i++)
		tested[i] = do_row(&rows[i]);
	summary(tested);
	return failed;
}
