// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pinmodel [--seed N] [--walks N] [--rounds N] [--length N] [--only TEXT] [--verbose 1]
 *          [--complete 1] [--walk "path A.recv ..."]
 *
 * Prints KTAP.  A difference is printed with its shortest walk, which --walk
 * takes again.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kinds.h"
#include "model.h"

bool has_pin, verbose, complete;
static const char *only = "";
static int test_nr;
static bool failed;

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* splitmix64 */
uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t z = a + b * 0x9e3779b97f4a7c15ull + 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

void say(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

void result(bool good, const char *fmt, ...)
{
	va_list args;

	printf("%s %d ", good ? "ok" : "not ok", ++test_nr);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	failed |= !good;
}

void skip(const char *name, const char *why)
{
	say("ok %d %s # SKIP %s", ++test_nr, name, why);
}

bool is_wanted(const char *name)
{
	return strstr(name, only);
}

static int take_one(const char *text)
{
	struct difference diff = { 0 };
	struct walk walk;
	bool good;

	if (!walk_parse(text, &walk)) {
		fprintf(stderr, "pinmodel: no such walk: %s\n", text);
		return 2;
	}
	say("KTAP version 1\n1..1");
	good = walk_run(&walk, &diff);
	if (!good)
		say("# %s: %s", diff.statement, diff.text);
	result(good, "%s", text);
	return !good;
}

int main(int argc, char **argv)
{
	unsigned int walks = 60, rounds = 60;
	const char *walk = NULL;
	uint64_t seed = 1;
	int length = 0;

	if (argc == 2 && !strcmp(argv[1], "--rest"))
		return pause();
	if (argc == 6 && !strcmp(argv[1], "--actor"))
		return stage_helper(argv + 2);
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--walks"))
			walks = strtoul(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--rounds"))
			rounds = strtoul(argv[i + 1], NULL, 0);
		else if (!strcmp(argv[i], "--length"))
			length = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--walk"))
			walk = argv[i + 1];
		else if (!strcmp(argv[i], "--only"))
			only = argv[i + 1];
		else if (!strcmp(argv[i], "--complete"))
			complete = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--verbose"))
			verbose = atoi(argv[i + 1]);
	}
	stage_init();
	has_pin = stage_has_pin();
	rec("feature pin_args=%d", has_pin);
	if (walk)
		return take_one(walk);
	say("KTAP version 1\n1..%d", families_count() + kinds_count());
	families_run(seed, length, walks, rounds);
	kinds_run();
	return failed;
}
