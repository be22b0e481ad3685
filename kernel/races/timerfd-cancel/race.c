// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CVE-2017-10661, mended by 1e38da300e1e ("timerfd: Protect the might cancel mechanism
 * proper"). Side a puts a timer on the list of those that a change of the clock cancels, side b
 * takes it off; the state and the list must change together.
 */
#include <sys/timerfd.h>
#include <unistd.h>

#include "race.h"

static int timer = -1;

static void prepare(void)
{
	if (timer >= 0)
		close(timer);
	timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC);
	if (timer < 0)
		race_die("timerfd_create");
}

static void set(int flags)
{
	const struct itimerspec far = { .it_value.tv_sec = 2000000000 };

	race_said.a = timerfd_settime(timer, flags, &far, NULL) ? 1 : 0;
}

static void a(void)
{
	set(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
}

static void b(void)
{
	set(TFD_TIMER_ABSTIME);
}

RACE(.prepare = prepare, .a = a, .b = b);
