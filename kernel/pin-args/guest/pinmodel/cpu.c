// SPDX-License-Identifier: GPL-2.0-or-later
/* Waiting for words in memory, and for a CPU. */
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "model.h"

void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void futex_wait(_Atomic uint32_t *word, uint32_t value, unsigned int us)
{
	const struct timespec limit = { us / 1000000, us % 1000000 * 1000l };

	syscall(SYS_futex, word, FUTEX_WAIT, value, us ? &limit : NULL, NULL, 0);
}

/* One CPU for all; 0 is no real-time priority. */
void on_cpu(int fifo)
{
	struct sched_param param = { .sched_priority = fifo };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(0, sizeof(set), &set) ||
	    sched_setscheduler(0, fifo ? SCHED_FIFO : SCHED_OTHER, &param))
		bail("cannot have a CPU for itself");
}
