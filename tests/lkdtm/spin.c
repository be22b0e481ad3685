// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * spin SECONDS: keep every CPU from all tasks that are not real-time tasks.
 *
 * RCU's kthread is none, so that a grace period that goes on by then cannot end:
 * the kernel reports a stall, and that the kthread is starved.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int spin(int cpu, double until)
{
	const struct sched_param param = { .sched_priority = 50 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) ||
	    sched_setscheduler(0, SCHED_FIFO, &param)) {
		fprintf(stderr, "spin: %s\n", strerror(errno));
		return 1;
	}
	while (now() < until)
		;
	return 0;
}

/* One grace period after the other. */
static int wait_for_rcu(void)
{
	while (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0)
		;
	fprintf(stderr, "spin: membarrier: %s\n", strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	const double until = now() + (argc > 1 ? atof(argv[1]) : 1);
	const int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	const pid_t busy = fork();
	int failed = 0, status;

	if (busy == 0)
		return wait_for_rcu();
	usleep(200000);
	for (int cpu = 0; cpu < cpus; cpu++)
		if (fork() == 0)
			return spin(cpu, until);
	for (int cpu = 0; cpu < cpus; cpu++)
		if (wait(&status) > 0)
			failed |= status;
	kill(busy, SIGKILL);
	return failed ? 1 : 0;
}
