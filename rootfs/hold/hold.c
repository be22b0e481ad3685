// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rounds of one scenario, for a debugger that holds CPUs, or without one.
 *
 *   hold SCENARIO
 *   hold SCENARIO spin|timer|gate SEED ROUNDS
 *
 * Without a debugger the sides meet as the mode has it (meet.c), and the rounds
 * end with the first one that is violated.
 *
 * With one, a system call that fails anyway, getpgid() of a number that is no process,
 * tells it where a side is: it sees the number in a register of
 * find_task_by_vpid(). When it replaces the number by that of a process, it has
 * said something: at MARK_HELLO that it is there, at MARK_NEXT that it is enough.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "marks.h"
#include "pinrace.h"
#include "hold.h"
#include "meet.h"

#define MAGIC		0x5a000000
#define MAX_ERR		63

enum mark { MARK_NEXT = 1, MARK_READY_A, MARK_READY_B, MARK_DONE_A, MARK_DONE_B, MARK_END,
	    MARK_HELLO };

char *shared_path;
int shared_memory;
int cpu_a, cpu_b = 1;

static struct round round_now;
static const struct scenario *scenario;
static sem_t begin_b, there_b, end_b;
static atomic_bool b_is_there;

void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static bool mark(enum mark kind, unsigned int what)
{
	return meeting == HELD &&
	       syscall(SYS_getpgid, (pid_t)(MAGIC | kind << 20 | what)) >= 0;
}

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem))
		;
}

static void *side_b(void *unused)
{
	const struct sched_param first = { .sched_priority = 1 };

	(void)unused;
	use_cpu(cpu_b);
	/* A tracee that it wakes runs when it waits, and not at some other time. */
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		die("sched_setscheduler");
	for (;;) {
		wait_for(&begin_b);
		b_is_there = true;
		if (meeting == TIMER)
			sem_post(&there_b);
		mark(MARK_READY_B, 0);
		meet_b(scenario, &round_now);
		mark(MARK_DONE_B, 0);
		sem_post(&end_b);
	}
	return NULL;
}

static unsigned int small(int err)
{
	return err < 0 || err > MAX_ERR ? MAX_ERR : err;
}

/* Returns what was violated, or NULL. */
static const char *one_round(unsigned int number)
{
	struct round *r = &round_now;
	const char *why;

	r->a = r->b = (struct side){ 0 };
	r->what = NOTHING;
	r->may_stray = r->stray = false;
	memcpy(shared_path, GOOD, PATH_ROOM);
	if (!scenario->alone && !r->pid)
		start_tracee(r, scenario);
	if (!scenario->alone)
		next_call(r);
	if (scenario->prepare && !scenario->prepare(r))
		die("cannot prepare a round");
	meet_draw(scenario);
	b_is_there = false;
	sem_post(&begin_b);
	/* Where CPUs take turns, to look for it again and again is to do so for the whole turn. */
	if (meeting == TIMER)
		wait_for(&there_b);
	while (!b_is_there)
		;	/* once held, neither side may need the other's CPU to get ready */
	mark(MARK_READY_A, 0);
	meet_a();
	scenario->a(r);
	mark(MARK_DONE_A, 0);
	wait_for(&end_b);
	why = scenario->check(r);
	if (!scenario->alone && (why || r->stray || !scenario->again))
		end_tracee(r);
	if (meeting == HELD || why)
		rec("hold round=%u scenario=%s violated=%d what=%c a=%d b=%d why=%s", number,
		    scenario->name, !!why, r->what, r->a.err, r->b.err, why ? why : "");
	mark(MARK_END, !!why << 19 | r->what << 12 | small(r->a.err) << 6 | small(r->b.err));
	return why;
}

/* As the other programs that race: how many rounds, and which was lost.  Now and then, how far. */
static void meet_rounds(unsigned int rounds)
{
	const char *why = NULL;
	unsigned int number;

	if (!make_marks(rounds))
		die("no place for the marks");
	for (number = 0; number < rounds && !why; number++) {
		call_mark(number);
		if (number && (!(number & (number - 1)) || !(number % 1024)))
			rec("meet rounds=%u", number);
		why = one_round(number);
	}
	rec("race rounds=%u kept=%u lost=%d denied=0 broken=0 first_lost=%d", number,
	    number - !!why, !!why, why ? (int)number - 1 : -1);
}

static const struct scenario *find_scenario(const char *name)
{
	const struct scenario *const lists[] = { scenarios, plain_scenarios };

	for (int i = 0; i < 2; i++)
		for (const struct scenario *s = lists[i]; s->name; s++)
			if (!strcmp(s->name, name))
				return s;
	return NULL;
}

static void write_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, path + 5, 4) != 4)
		die(path);
	close(fd);
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc == 7 && !strcmp(argv[0], TRACEE))
		return tracee_main(argv);
	if (argc == 2 && !strcmp(argv[0], CHILD))
		return child_main(atoi(argv[1]));
	scenario = argc > 1 ? find_scenario(argv[1]) : NULL;
	if (!scenario || (argc != 2 && (argc != 5 || !meet_as(argv[2], argv[3])))) {
		printf("usage: hold SCENARIO [spin|timer|gate SEED ROUNDS]\n");
		return 2;
	}
	write_file(GOOD);
	write_file(EVIL);
	write_file(THIRD);
	shared_memory = memfd_create("hold", 0);
	if (shared_memory < 0 || ftruncate(shared_memory, SHARED_SIZE))
		die("memfd_create");
	shared_path = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, shared_memory, 0);
	if (shared_path == MAP_FAILED)
		die("mmap");
	sem_init(&begin_b, 0, 0);
	sem_init(&there_b, 0, 0);
	sem_init(&end_b, 0, 0);
	meet_prepare(scenario);
	use_cpu(cpu_a);
	if (pthread_create(&thread, NULL, side_b, NULL))
		die("pthread_create");
	if (meeting == HELD && mlockall(MCL_CURRENT))	/* no page changes its place later */
		die("mlockall");
	if (meeting != HELD) {
		meet_rounds(strtoul(argv[4], NULL, 0));
		return 0;
	}
	while (!mark(MARK_HELLO, 0))
		usleep(10000);
	for (unsigned int number = 0; !mark(MARK_NEXT, number & 0xfffff); number++)
		one_round(number);
	return 0;
}
