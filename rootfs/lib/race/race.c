// SPDX-License-Identifier: GPL-2.0-or-later
/* The rounds of a race, for a debugger that holds CPUs, or without one. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "marks.h"
#include "meet.h"
#include "pinrace.h"
#include "tell.h"

static const enum mark ready[] = { MARK_READY_A, MARK_READY_B, MARK_READY_C };
static const enum mark done[] = { MARK_DONE_A, MARK_DONE_B, MARK_DONE_C };

/* What sides that are processes share with the rest. */
struct shared {
	sem_t begin[RACE_SIDES], there, ended;
	atomic_bool is_there[RACE_SIDES];
	_Atomic pid_t pids[RACE_SIDES];
};

static const struct race *race;
static struct shared *shared;

pid_t race_pid(enum race_side side)
{
	/* Where the sides meet freely, this one may be there before the other's process is. */
	while (race->processes & 1u << side && !shared->pids[side])
		;
	return shared->pids[side];
}

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem))
		;
}

/* ---- the sides ---- */

static enum race_side last_side(void)
{
	return race->c ? RACE_C : RACE_B;
}

/*
 * Under a debugger the CPU of a side that is ready stands still. To make another side's process
 * needs an answer of every CPU that has run this one, so that all are made before any is ready.
 */
static void wait_for_all(void)
{
	for (enum race_side side = RACE_A; side <= last_side(); side++)
		while (!shared->is_there[side])
			;
}

static void run_side(enum race_side side)
{
	shared->is_there[side] = true;
	if (side != RACE_A && meeting == TIMER)
		sem_post(&shared->there);
	if (meeting == HELD)
		wait_for_all();
	mark(ready[side], 0);
	if (side != RACE_A) {
		meet_other(race, side);
		return;
	}
	meet_a();
	race->a();
}

static void as_process(enum race_side side)
{
	siginfo_t info;
	pid_t pid = fork();

	if (pid < 0)
		race_die("fork");
	if (!pid) {
		shared->pids[side] = getpid();
		run_side(side);
		_exit(0);
	}
	/* Who reaps it, if it is not another side, is one_round(). */
	while (waitid(P_PID, pid, &info, WEXITED | WNOWAIT) && errno == EINTR)
		;
}

static void whole_side(enum race_side side)
{
	if (race->processes & 1u << side)
		as_process(side);
	else
		run_side(side);
	mark(done[side], 0);
}

static void *side_thread(void *arg)
{
	const struct sched_param first = { .sched_priority = 1 };
	enum race_side side = (intptr_t)arg;

	race_use_cpu(race_cpu[side]);
	/* A task that it wakes runs when it waits, and not at some other time. */
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		race_die("sched_setscheduler");
	for (;;) {
		wait_for(&shared->begin[side]);
		whole_side(side);
		sem_post(&shared->ended);
	}
	return NULL;
}

/* Start the other sides, and wait until they are there. */
static void begin_others(void)
{
	for (enum race_side side = RACE_A; side <= last_side(); side++)
		shared->is_there[side] = false;
	for (enum race_side side = RACE_B; side <= last_side(); side++)
		sem_post(&shared->begin[side]);
	for (enum race_side side = RACE_B; side <= last_side(); side++) {
		/* Where CPUs take turns, to look again and again is to do so for the whole turn. */
		if (meeting == TIMER)
			wait_for(&shared->there);
		while (!shared->is_there[side])
			;	/* once held, no side may need another's CPU to get ready */
	}
}

static void reap(void)
{
	for (enum race_side side = RACE_A; side <= last_side(); side++)
		if (shared->pids[side]) {
			waitpid(shared->pids[side], NULL, 0);	/* another side may have */
			shared->pids[side] = 0;
		}
}

/* ---- rounds ---- */

static void meet_once(void)
{
	if (meeting == CONTROL) {
		race->control();
		return;
	}
	begin_others();
	whole_side(RACE_A);
	for (enum race_side side = RACE_B; side <= last_side(); side++)
		wait_for(&shared->ended);
}

/* Returns what was lost, or NULL. */
static const char *one_round(unsigned int number)
{
	long long before = race_reports();
	const char *why;

	race_said = (struct race_said){ .what = '-' };
	if (race->prepare)
		race->prepare();
	meet_draw();
	meet_open(race);
	meet_once();
	why = race->check ? race->check() : NULL;
	reap();
	if (!why && race_reports() != before)
		why = "the kernel reported something";
	tell_round(race->name ? race->name : "race", number, why);
	return why;
}

/* As the other programs that race: how many rounds, and which was lost.  Now and then, how far. */
static void meet_rounds(unsigned int rounds, time_t seconds, unsigned int skip)
{
	struct timespec now, began;
	const char *why = NULL;
	unsigned int number;

	if (!make_marks(rounds))
		race_die("no place for the marks");
	for (number = 0; number < skip; number++)
		meet_draw();
	clock_gettime(CLOCK_MONOTONIC, &began);
	for (number = 0; number < rounds && !why; number++) {
		call_mark(number);
		tell_so_far(number);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (seconds && now.tv_sec - began.tv_sec >= seconds)
			break;
		why = one_round(number);
	}
	tell_rounds(number, why);
}

static void make_shared(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		race_die("mmap");
	sem_init(&shared->there, 1, 0);
	sem_init(&shared->ended, 1, 0);
	for (int side = 0; side < RACE_SIDES; side++)
		sem_init(&shared->begin[side], 1, 0);
}

static void start_sides(void)
{
	pthread_t thread;

	for (enum race_side side = RACE_B; side <= last_side(); side++)
		if (pthread_create(&thread, NULL, side_thread, (void *)(intptr_t)side))
			race_die("pthread_create");
}

int race_main(const struct race *which, int argc, char **argv)
{
	unsigned long numbers[3] = { 0 };	/* rounds, seconds, rounds to skip */

	race = which;
	if (argc != 1 && (argc < 4 || argc > 6 || !meet_as(argv[1], argv[2])))
		return 2;
	for (int i = 3; i < argc; i++)
		numbers[i - 3] = strtoul(argv[i], NULL, 0);
	if (meeting == CONTROL && !race->control) {
		errno = ENOTSUP;
		race_die("no control in this race");
	}
	make_shared();
	meet_prepare(race);
	race_use_cpu(race_cpu[RACE_A]);
	if (race->setup)
		race->setup();
	start_sides();
	if (meeting == HELD && mlockall(MCL_CURRENT))	/* no page changes its place later */
		race_die("mlockall");
	if (meeting != HELD) {
		meet_rounds(numbers[0], numbers[1], numbers[2]);
		return 0;
	}
	while (!mark(MARK_HELLO, 0))
		usleep(10000);
	for (unsigned int number = 0; !mark(MARK_NEXT, number & 0xfffff); number++)
		one_round(number);
	return 0;
}
