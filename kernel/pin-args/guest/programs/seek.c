// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The race of race.c under a scheduler that a seed chooses.
 *
 *   seek SEED ROUNDS plain|pinned MUTATORS POINTS
 *
 * All actors are bound to one CPU and have real-time priorities of their own,
 * drawn anew for each round, so that who runs is decided by them alone.  At
 * POINTS of the round's steps the one who takes the step falls behind all the
 * others: the algorithm of Burckhardt and others, "A randomized scheduler with
 * probabilistic guarantees of finding bugs", 2010.  Which step came behind
 * which one of another actor is what a run has covered.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "marks.h"
#include "open_race.h"

#define MAX_MUTATORS	4
#define MAX_POINTS	8
#define LOWEST		10	/* the first priority that is no change point's */

/* The steps: what an actor is about to do. */
enum step { T_CALL, T_DONE, V_LOOK, V_ANSWER, V_DONE, M_EVIL, M_GOOD, M_DONE, NR_STEPS };

struct shared {
	struct target target;
	_Atomic unsigned int taken;	/* steps of this round */
	_Atomic int last, last_actor;	/* the latest step, and whose it was */
	_Atomic uint64_t pairs;		/* bit first * NR_STEPS + second */
	unsigned int points[MAX_POINTS], nr_points;
	pid_t tids[1 + MAX_MUTATORS];	/* the tracee's, the mutators' */
	sem_t begin[MAX_MUTATORS], ended;
};

static struct shared *shared;
static unsigned int nr_mutators;

static void set_priority(pid_t tid, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	if (sched_setscheduler(tid, SCHED_FIFO, &param))
		die("sched_setscheduler");
}

/* Take a step; at a change point, after everybody else. */
static void step(int actor, enum step what)
{
	unsigned int number = shared->taken++;

	for (unsigned int i = 0; i < shared->nr_points; i++)
		if (shared->points[i] == number)
			set_priority(0, 1 + i);
	if (shared->last >= 0 && shared->last_actor != actor)
		shared->pairs |= 1ull << (shared->last * NR_STEPS + what);
	shared->last = what;
	shared->last_actor = actor;
}

static void *mutate(void *arg)
{
	int me = (intptr_t)arg;

	shared->tids[1 + me] = syscall(SYS_gettid);
	sem_post(&shared->ended);
	for (;;) {
		sem_wait(&shared->begin[me]);
		step(2 + me, M_EVIL);
		shared->target.word = word("evil");
		step(2 + me, M_GOOD);
		shared->target.word = word("good");
		step(2 + me, M_DONE);
		sem_post(&shared->ended);
	}
	return NULL;
}

static enum outcome open_once(void)
{
	enum outcome what;

	step(0, T_CALL);
	what = open_target(&shared->target);
	step(0, T_DONE);
	return what;
}

static void prepare(void)
{
	pthread_t thread;

	shared->tids[0] = getpid();
	for (unsigned int i = 0; i < nr_mutators; i++)
		if (pthread_create(&thread, NULL, mutate, (void *)(intptr_t)i))
			_exit(2);
	for (unsigned int i = 0; i < nr_mutators; i++)
		sem_wait(&shared->ended);
}

/* Draw this round's priorities and change points. */
static void draw(void)
{
	unsigned int actors = 2 + nr_mutators, place[2 + MAX_MUTATORS];

	for (unsigned int i = 0; i < actors; i++) {
		unsigned int j = random32() % (i + 1);

		place[i] = place[j];
		place[j] = i;
	}
	shared->taken = 0;
	shared->last = -1;
	for (unsigned int i = 0; i < shared->nr_points; i++)
		shared->points[i] = random32() % (5 + 3 * nr_mutators);
	/* The tracee waits for us already, and the mutators too. */
	for (unsigned int i = 0; i < 1 + nr_mutators; i++)
		set_priority(shared->tids[i], LOWEST + place[i]);
	set_priority(0, LOWEST + place[actors - 1]);
}

static enum outcome round_once(int listener, int answers, bool pinned)
{
	struct seccomp_notif req;
	enum outcome what;
	bool good;

	receive(listener, &req);
	draw();
	for (unsigned int i = 0; i < nr_mutators; i++)
		sem_post(&shared->begin[i]);
	step(1, V_LOOK);
	good = looks_good(listener, &req, pinned);
	step(1, V_ANSWER);
	answer(listener, &req, good, pinned);
	step(1, V_DONE);
	what = outcome_of(answers);
	for (unsigned int i = 0; i < nr_mutators; i++)
		sem_wait(&shared->ended);
	return what;
}

static void make_shared(unsigned int points)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	shared = make_target(sizeof(*shared));
	if (sched_setaffinity(0, sizeof(one), &one))
		die("sched_setaffinity");
	shared->last = -1;
	shared->nr_points = points;
	sem_init(&shared->ended, 1, 0);
	for (int i = 0; i < MAX_MUTATORS; i++)
		sem_init(&shared->begin[i], 1, 0);
}

int main(int argc, char **argv)
{
	struct tally tally = { .first_lost = -1 };
	unsigned int rounds, points;
	int listener, answers;
	bool pinned;

	if (argc != 6) {
		printf("usage: seek SEED ROUNDS plain|pinned MUTATORS POINTS\n");
		return 2;
	}
	seed_random(argv[1]);
	rounds = strtoul(argv[2], NULL, 0);
	pinned = !strcmp(argv[3], "pinned");
	nr_mutators = strtoul(argv[4], NULL, 0);
	points = strtoul(argv[5], NULL, 0);
	if (nr_mutators < 1 || nr_mutators > MAX_MUTATORS || points > MAX_POINTS)
		die("too many");
	make_shared(points);
	start(prepare, open_once, &listener, &answers);
	if (!make_marks(rounds))
		die("no place for the marks");
	for (unsigned int i = 0; i < rounds; i++) {
		call_mark(i);
		count(&tally, i, round_once(listener, answers, pinned));
	}
	rec("race rounds=%u kept=%u lost=%u denied=%u broken=%u first_lost=%d pairs=%016llx",
	    rounds, tally.count[KEPT], tally.count[LOST], tally.count[DENIED],
	    tally.count[BROKEN], tally.first_lost, (unsigned long long)shared->pairs);
	return 0;
}
