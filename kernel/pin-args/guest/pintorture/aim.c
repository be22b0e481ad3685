// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When the second thread is to begin, for the two to meet.
 *
 * What came of a trial says whether it was early or late: it took what the
 * first one came for, or found it taken.  Between the two lies the moment at
 * which neither was first, and a race is lost there or nowhere.  It is not
 * known beforehand, and another one on each host; so the next trial begins
 * later after one that was early, and earlier after one that was late, by steps
 * that grow while it is far away (the up-and-down method: W. J. Dixon, A. M.
 * Mood, "A Method for Obtaining and Analyzing Sensitivity Data", 1948).
 */
#include <errno.h>

#include "meanwhile.h"

#define FINEST_NS	200	/* of a step; finer than two CPUs can be started */
#define FAREST_NS	2000000

static struct aim *current(void)
{
	struct aim *aim = &lane->aims[trial->meanwhile][trial->preempts];

	if (!aim->step) {
		aim->step = usual_ns[meet.usual] / 4;
		aim->ns = trial->meanwhile == N_PIN || trial->meanwhile == N_REPLY ?
			  0 : (int32_t)usual_ns[meet.usual];
	}
	return aim;
}

/* How long after the first one to begin; below zero, how long before. */
int32_t aim_ns(void)
{
	const struct aim *aim = current();

	/* Two steps to either side: what meets is seldom where it met the last time. */
	return aim->ns + ((int32_t)(trial->moment % MOMENTS) - MOMENTS / 2) *
	       (int64_t)aim->step * 4 / MOMENTS;
}

static void learn(bool early)
{
	struct aim *aim = current();

	if (early == aim->early)
		aim->step *= 2;
	else
		aim->step /= 2;
	if (aim->step < FINEST_NS)
		aim->step = FINEST_NS;
	if (aim->step > usual_ns[meet.usual])
		aim->step = usual_ns[meet.usual];
	aim->early = early;
	aim->ns += early ? (int32_t)aim->step : -(int32_t)aim->step;
	if (aim->ns > FAREST_NS || aim->ns < -FAREST_NS)
		aim->step = 0;
}

/* error: what the first one's call gave, 0 or an errno. */
void aim_learn(int error)
{
	int second = meet.ret ? meet.error : 0;

	if (!trial->aimed || !meet.done)
		return;
	switch (trial->meanwhile) {
	case N_SIGNAL:
	case N_DENY:
	case N_PLAIN:
	case N_REPLY:
		if (!error || error == ENOENT || error == EINPROGRESS || error == ESRCH)
			learn(error);
		break;
	case N_PIN:
		if (error == EBUSY || error == EEXIST)
			learn(true);
		else if (second == EBUSY || second == EEXIST)
			learn(false);
		break;
	}
}
