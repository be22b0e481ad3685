// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "torture.h"

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* Make one number of two: splitmix64, Steele, Lea and Flood 2014. */
uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t z = a + (b + 1) * 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint32_t random_below(struct lane *lane, uint32_t limit)
{
	lane->random = mix(lane->random, 0);
	return (lane->random >> 32) % limit;
}

bool one_in(struct lane *lane, uint32_t n)
{
	return random_below(lane, n) == 0;
}

/* Not through libc: some of the callers share its errno with a tracee. */
void futex_wait(_Atomic uint32_t *word, uint32_t value, unsigned int ms)
{
	struct { long sec, nsec; } limit = { ms / 1000, (ms % 1000) * 1000000l };
	struct call call = {
		.nr = SYS_futex, .args = { (long)word, FUTEX_WAIT, value, (long)&limit },
	};

	plain_call(&call);
}

void futex_wake(_Atomic uint32_t *word)
{
	struct call call = { .nr = SYS_futex, .args = { (long)word, FUTEX_WAKE, INT_MAX } };

	plain_call(&call);
}

/*
 * Run only where nobody else wants to, or as others do again.  Whoever spins
 * does: T and V, when they wake, would else wait for its whole turn.
 */
void background(bool on)
{
	int priority = 0;
	struct call call = {
		.nr = SYS_sched_setscheduler,
		.args = { 0, on ? SCHED_IDLE : SCHED_OTHER, (long)&priority },
	};

	plain_call(&call);
}

/*
 * Stay on one CPU, that of a lane or another one: two that are to meet have
 * to run at the same time.  Chaos may have it otherwise for a while.
 */
void stay_on(const struct lane *lane, int other)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((lane->number + other) % cpus, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Tell an actor what to do; wait until it has, or for DO_FREE, has begun. */
void actor_do(struct actor *actor, uint32_t what, bool wait)
{
	uint32_t cmd = actor->cmd + 1, seen;

	actor->what = what;
	actor->cmd = cmd;
	futex_wake(&actor->cmd);
	while (wait && (int32_t)((seen = actor->ack) - cmd) < 0)
		futex_wait(&actor->ack, seen, 1000);
}

/* As an actor: wait for what comes after the command `last`. */
uint32_t actor_next(struct actor *actor, uint32_t last)
{
	uint32_t cmd;

	while ((cmd = actor->cmd) == last)
		futex_wait(&actor->cmd, last, 1000);
	return cmd;
}

void actor_done(struct actor *actor, uint32_t cmd)
{
	actor->ack = cmd;
	futex_wake(&actor->ack);
}

void violation(struct lane *lane, const char *statement, const char *fmt, ...)
{
	const struct trial *trial = &lane->trial;
	uint32_t n = torture->absent ? MAX_VIOLATIONS : torture->nr_violations++;
	struct violation *v;
	char text[256];
	va_list args;

	if (n >= MAX_VIOLATIONS)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	v = &torture->violations[n];
	snprintf(v->text, sizeof(v->text),
		 "statement=%s family=%s mutator=%s free=%d trial=%u number=%u lane=%d ns=%llu call=%s "
		 "before=%d between=%d reply=%d meanwhile=%d gate=%d private=%d v=%d "
		 "generation=%u age=%u seed=%llu text=%s",
		 statement, family_names[trial->family], mutator_names[trial->mutator],
		 trial->free, trial->seq, trial->number, lane->number,
		 (unsigned long long)(now_ns() - torture->began),
		 trial->call_name ? trial->call_name : "-", trial->before, trial->between,
		 trial->reply, trial->meanwhile, trial->gate, trial->private, lane->v_pid > 0,
		 lane->generation, trial->seq - lane->first,
		 (unsigned long long)torture->seed, text);
	v->ready = true;
	if (torture->stop_at_first)
		torture->stop = true;
}

/*
 * Give up.  With chaos about, T or V may find the other one dead, or no memory,
 * before the first trial: then the lane begins again.
 */
void bail(const char *what)
{
	if (torture->chaos && torture->began) {
		torture->aborted++;
		snprintf(torture->why_aborted, sizeof(torture->why_aborted), "%s: %s", what,
			 strerror(errno));
		_exit(0);
	}
	rec("torture bail what=%s: %s", what, strerror(errno));
	_exit(3);
}

bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return false;
	good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return good;
}

/* Whether memory was short on purpose at any time since the trial began. */
bool under_pressure(const struct trial *trial)
{
	uint32_t now = torture->pressure;

	return now % 2 || now != trial->pressure;
}
