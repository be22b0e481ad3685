// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CVE-2025-38352, mended by f90fff1e152d ("posix-cpu-timers: fix race between
 * handle_posix_cpu_timers() and posix_cpu_timer_del()"). Side a is a process that exits; the tick
 * that comes after exit_notify() finds a CPU timer of it expired. Side b, which has made that
 * timer, reaps the process and deletes the timer while the tick has it in hand.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "race.h"

#define SOON_NS		8000000		/* of a's CPU time: more than its exit takes */
#define WHILE_NS	40000000	/* of b's: ticks have come meanwhile */
#define SECOND_NS	1000000000LL

static void setup(void)
{
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &blocked, NULL))
		race_die("sigprocmask");
}

static timer_t timer_of(pid_t pid)
{
	const struct itimerspec soon = { .it_value.tv_nsec = SOON_NS };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	clockid_t clock;
	timer_t timer;

	if (clock_getcpuclockid(pid, &clock) || timer_create(clock, &event, &timer) ||
	    timer_settime(timer, 0, &soon, NULL))
		race_die("a timer of another process");
	return timer;
}

static long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND_NS + time.tv_nsec;
}

static void let_time_pass(void)
{
	long long until = now() + WHILE_NS;

	while (now() < until)
		;
}

static void a(void)
{
	_exit(0);
}

static void b(void)
{
	pid_t pid = race_pid(RACE_A);
	timer_t timer = timer_of(pid);

	sched_yield();		/* a mark: the timer is set */
	let_time_pass();
	waitpid(pid, NULL, 0);
	race_said.b = timer_delete(timer) ? errno : 0;
}

RACE(.setup = setup, .a = a, .b = b, .processes = 1 << RACE_A);
