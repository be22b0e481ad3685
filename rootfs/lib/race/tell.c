// SPDX-License-Identifier: GPL-2.0-or-later
/* See tell.h. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "meet.h"
#include "pinrace.h"
#include "tell.h"

#define MAGIC		0x5a000000
#define MAX_ERR		63
#define LOST		(1 << 19)

struct race_said race_said;

void race_die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

void race_use_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		race_die("sched_setaffinity");
}

bool mark(enum mark kind, unsigned int what)
{
	return meeting == HELD &&
	       syscall(SYS_getpgid, (pid_t)(MAGIC | kind << 20 | what)) >= 0;
}

static long long number_of(int fd)
{
	char text[32] = "";

	return fd >= 0 && pread(fd, text, sizeof(text) - 1, 0) > 0 ? atoll(text) : 0;
}

long long race_reports(void)
{
	static int count = -2, taint = -1;
	const char *wanted = getenv("RACE_REPORTS");

	if (count == -2) {
		count = open("/sys/kernel/warn_count", O_RDONLY | O_CLOEXEC);
		taint = open("/proc/sys/kernel/tainted", O_RDONLY | O_CLOEXEC);
		if (wanted && *wanted == '0')
			count = taint = -1;
	}
	return number_of(count) + (number_of(taint) << 32);
}

static unsigned int small(int err)
{
	return err < 0 || err > MAX_ERR ? MAX_ERR : err;
}

void tell_round(const char *name, unsigned int number, const char *why)
{
	if (meeting == HELD || why)
		rec("hold round=%u scenario=%s violated=%d what=%c a=%d b=%d why=%s", number, name,
		    !!why, race_said.what, race_said.a, race_said.b, why ? why : "");
	mark(MARK_END, (why ? LOST : 0) | race_said.what << 12 | small(race_said.a) << 6 |
	     small(race_said.b));
}

void tell_so_far(unsigned int rounds)
{
	if (rounds && (!(rounds & (rounds - 1)) || !(rounds % 1024)))
		rec("meet rounds=%u", rounds);
}

void tell_rounds(unsigned int rounds, const char *lost)
{
	rec("race rounds=%u kept=%u lost=%d denied=0 broken=0 first_lost=%d", rounds,
	    rounds - !!lost, !!lost, lost ? (int)rounds - 1 : -1);
}
