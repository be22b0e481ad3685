// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The rounds of one scenario, for a debugger that holds CPUs.
 *
 *   hold SCENARIO
 *
 * A system call that fails anyway, getpgid() of a number that is no process,
 * tells the debugger where a side is: it sees the number in a register of
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

#include "pinrace.h"
#include "hold.h"

#define MAGIC		0x5a000000
#define MAX_ERR		63

enum mark { MARK_NEXT = 1, MARK_READY_A, MARK_READY_B, MARK_DONE_A, MARK_DONE_B, MARK_END,
	    MARK_HELLO };

char *shared_path;
int shared_memory;

static struct round round_now;
static const struct scenario *scenario;
static sem_t begin_b, end_b;
static atomic_bool b_is_there;

void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static bool mark(enum mark kind, unsigned int what)
{
	return syscall(SYS_getpgid, (pid_t)(MAGIC | kind << 20 | what)) >= 0;
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
	use_cpu(1);
	/* A tracee that it wakes runs when it waits, and not at some other time. */
	if (sched_setscheduler(0, SCHED_FIFO, &first))
		die("sched_setscheduler");
	for (;;) {
		wait_for(&begin_b);
		b_is_there = true;
		mark(MARK_READY_B, 0);
		scenario->b(&round_now);
		mark(MARK_DONE_B, 0);
		sem_post(&end_b);
	}
	return NULL;
}

static unsigned int small(int err)
{
	return err < 0 || err > MAX_ERR ? MAX_ERR : err;
}

static void one_round(unsigned int number)
{
	struct round *r = &round_now;
	const char *why;

	r->a = r->b = (struct side){ 0 };
	r->what = NOTHING;
	memcpy(shared_path, GOOD, PATH_ROOM);
	if (!scenario->alone && !r->pid)
		start_tracee(r, scenario);
	if (!scenario->alone)
		next_call(r);
	if (scenario->prepare && !scenario->prepare(r))
		die("cannot prepare a round");
	b_is_there = false;
	sem_post(&begin_b);
	while (!b_is_there)
		;	/* once held, neither side may need the other's CPU to get ready */
	mark(MARK_READY_A, 0);
	scenario->a(r);
	mark(MARK_DONE_A, 0);
	wait_for(&end_b);
	why = scenario->check(r);
	if (!scenario->alone && (why || !scenario->again))
		end_tracee(r);
	rec("hold round=%u scenario=%s violated=%d what=%c a=%d b=%d why=%s", number,
	    scenario->name, !!why, r->what, r->a.err, r->b.err, why ? why : "");
	mark(MARK_END, !!why << 19 | r->what << 12 | small(r->a.err) << 6 | small(r->b.err));
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
	for (scenario = scenarios; argc == 2 && scenario->name; scenario++)
		if (!strcmp(scenario->name, argv[1]))
			break;
	if (argc != 2 || !scenario->name) {
		printf("usage: hold SCENARIO\n");
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
	sem_init(&end_b, 0, 0);
	use_cpu(0);
	if (pthread_create(&thread, NULL, side_b, NULL))
		die("pthread_create");
	if (mlockall(MCL_CURRENT))	/* no page changes its place later */
		die("mlockall");
	while (!mark(MARK_HELLO, 0))
		usleep(10000);
	for (unsigned int number = 0; !mark(MARK_NEXT, number & 0xfffff); number++)
		one_round(number);
	return 0;
}
