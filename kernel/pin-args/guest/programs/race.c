// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The race itself, a fixed number of times, and a fingerprint of how it went.
 *
 *   race SEED ROUNDS plain|pinned
 *
 * A thread rewrites the path of openat() all the time, at moments that come
 * from the seed; the supervisor looks, and lets the call go on when it saw the
 * good path.  Of each round the outcome and the moment are folded into the
 * fingerprint: on a machine that replays exactly it is the same every time,
 * and on any other it never is.
 *
 * A debugger can stop before any round, and finds at PROGRESS the fingerprint
 * so far.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "marks.h"
#include "open_race.h"

#define LONGEST_SPIN	4000
#define LONGEST_SLEEP	20000		/* nanoseconds */
#define PROGRESS	0x5eed0000ul	/* harness/pinrace/races/replay/stop.py knows it */

static struct target *target;

static void *mutate(void *unused)
{
	const uint32_t words[] = { word("evil"), word("good") };

	(void)unused;
	for (unsigned int n = 0;; n++) {
		target->word = words[n % 2];
		for (volatile uint32_t i = random32() % LONGEST_SPIN; i; i--)
			;
	}
	return NULL;
}

static void prepare(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, mutate, NULL))
		_exit(2);
}

static enum outcome open_once(void)
{
	return open_target(target);
}

/*
 * Let time pass between the look and the answer, now and then. Where CPUs
 * take turns, all of a round may else fit into one turn, and the race goes
 * one way for a thousand rounds.
 */
static void dawdle(void)
{
	const struct timespec some = { .tv_nsec = random32() % LONGEST_SLEEP };

	if (random32() % 4 == 0)
		nanosleep(&some, NULL);
}

static enum outcome round_once(int listener, int answers, bool pinned)
{
	struct seccomp_notif req;
	bool good;

	receive(listener, &req);
	good = looks_good(listener, &req, pinned);
	dawdle();
	answer(listener, &req, good, pinned);
	return outcome_of(answers);
}

/* FNV-1a, 64 bits */
static uint64_t fold(uint64_t hash, const void *data, size_t size)
{
	for (const unsigned char *at = data; size--; at++)
		hash = (hash ^ *at) * 0x100000001b3ull;
	return hash;
}

static void make_progress(void)
{
	void *place = mmap((void *)PROGRESS, sizeof(uint64_t), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (place != (void *)PROGRESS)
		die("no place for the progress");
}

int main(int argc, char **argv)
{
	uint64_t half = 0, hash = 0xcbf29ce484222325ull;
	struct tally tally = { .first_lost = -1 };
	int listener, answers;
	unsigned int rounds;
	bool pinned;

	if (argc != 4) {
		printf("usage: race SEED ROUNDS plain|pinned\n");
		return 2;
	}
	seed_random(argv[1]);
	rounds = strtoul(argv[2], NULL, 0);
	pinned = !strcmp(argv[3], "pinned");
	target = make_target(sizeof(*target));
	start(prepare, open_once, &listener, &answers);
	make_progress();
	if (!make_marks(rounds))
		die("no place for the marks");
	for (unsigned int i = 0; i < rounds; i++) {
		enum outcome what;
		struct timespec now;

		*(volatile uint64_t *)PROGRESS = hash;
		if (i == rounds / 2)
			half = hash;
		call_mark(i);
		what = round_once(listener, answers, pinned);
		clock_gettime(CLOCK_MONOTONIC, &now);
		hash = fold(hash, &what, sizeof(what));
		hash = fold(hash, &now.tv_nsec, sizeof(now.tv_nsec));
		count(&tally, i, what);
	}
	rec("race rounds=%u kept=%u lost=%u denied=%u broken=%u "
	    "first_lost=%d half=%016llx fingerprint=%016llx",
	    rounds, tally.count[KEPT], tally.count[LOST], tally.count[DENIED],
	    tally.count[BROKEN], tally.first_lost, (unsigned long long)half,
	    (unsigned long long)hash);
	return 0;
}
