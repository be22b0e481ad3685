// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rounds of a test that uses tst_fuzzy_sync.h. Side a is the test's own thread, side b the one
 * that it has started; start_race and end_race are where their operations begin and end.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "marks.h"
#include "meet.h"
#include "tell.h"

struct tst_fzsync_pair;

static void *(*body_b)(void *);
static pthread_t thread;
static bool running, ending;
static sem_t begin_b, there_b, ended_b;
static atomic_bool b_is_there;

static unsigned long rounds, seconds, skip, number;
static long long before;
static const char *lost;
static struct timespec began;

static unsigned long number_of(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 0) : 0;
}

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem))
		;
}

static void *run_b(void *arg)
{
	const struct sched_param first = { .sched_priority = 1 };

	race_use_cpu(race_cpu[RACE_B]);
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		race_die("sched_setscheduler");
	return body_b(arg);
}

static void set_up(void)
{
	static const struct race plain;
	const char *mode = getenv("RACE_MODE"), *seed = getenv("RACE_SEED");
	static bool done;

	if (done)
		return;
	done = true;
	if (mode && !meet_as(mode, seed ? seed : "1"))
		race_die(mode);
	rounds = number_of("RACE_ROUNDS");
	seconds = number_of("RACE_SECONDS");
	skip = number_of("RACE_SKIP");
	meet_prepare(&plain);
	if (meeting != HELD && !make_marks(rounds))
		race_die("no place for the marks");
	for (unsigned long i = 0; i < skip; i++)
		meet_draw();
	if (meeting == HELD)
		while (!mark(MARK_HELLO, 0))
			usleep(10000);
	clock_gettime(CLOCK_MONOTONIC, &began);
}

void tst_fzsync_pair_init(struct tst_fzsync_pair *pair)
{
	(void)pair;
}

void tst_fzsync_pair_cleanup(struct tst_fzsync_pair *pair)
{
	(void)pair;
	if (!running)
		return;
	running = false;
	ending = true;
	sem_post(&begin_b);
	pthread_join(thread, NULL);
}

void tst_fzsync_pair_reset(struct tst_fzsync_pair *pair, void *(*run)(void *))
{
	tst_fzsync_pair_cleanup(pair);
	set_up();
	sem_init(&begin_b, 0, 0);
	sem_init(&there_b, 0, 0);
	sem_init(&ended_b, 0, 0);
	race_use_cpu(race_cpu[RACE_A]);
	ending = false;
	body_b = run;
	/* A test without a function for b starts one of its own, which calls run_b(). */
	if (run && pthread_create(&thread, NULL, run_b, NULL))
		race_die("pthread_create");
	running = run;
	if (meeting == HELD && mlockall(MCL_CURRENT))	/* no page changes its place later */
		race_die("mlockall");
}

static bool enough(void)
{
	struct timespec now;

	if (lost && meeting != HELD)
		return true;
	if (meeting == HELD)
		return mark(MARK_NEXT, number & 0xfffff);
	clock_gettime(CLOCK_MONOTONIC, &now);
	return number >= rounds || (seconds && now.tv_sec - began.tv_sec >= (time_t)seconds);
}

int tst_fzsync_run_a(struct tst_fzsync_pair *pair)
{
	static bool told;

	if (enough()) {
		if (!told && meeting != HELD)
			tell_rounds(number, lost);
		told = true;
		tst_fzsync_pair_cleanup(pair);
		return 0;
	}
	if (meeting != HELD)
		call_mark(number);
	tell_so_far(number);
	before = race_reports();
	race_said = (struct race_said){ .what = '-' };
	meet_draw();
	b_is_there = false;
	sem_post(&begin_b);
	return 1;
}

int tst_fzsync_run_b(struct tst_fzsync_pair *pair)
{
	(void)pair;
	wait_for(&begin_b);
	return !ending;
}

void tst_fzsync_start_race_a(struct tst_fzsync_pair *pair)
{
	(void)pair;
	/* Where CPUs take turns, to look again and again is to do so for the whole turn. */
	if (meeting == TIMER)
		wait_for(&there_b);
	while (!b_is_there)
		;	/* once held, neither side may need the other's CPU to get ready */
	mark(MARK_READY_A, 0);
	meet_a();
}

void tst_fzsync_start_race_b(struct tst_fzsync_pair *pair)
{
	(void)pair;
	b_is_there = true;
	if (meeting == TIMER)
		sem_post(&there_b);
	mark(MARK_READY_B, 0);
	meet_wait(RACE_B);
}

void tst_fzsync_end_race_b(struct tst_fzsync_pair *pair)
{
	(void)pair;
	mark(MARK_DONE_B, 0);
	sem_post(&ended_b);
}

void tst_fzsync_end_race_a(struct tst_fzsync_pair *pair)
{
	const char *why = NULL;

	(void)pair;
	mark(MARK_DONE_A, 0);
	wait_for(&ended_b);
	if (race_reports() != before)
		lost = why = "the kernel reported something";
	tell_round("ltp", number++, why);
}
