/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests of the Linux Test Project that race two threads: the calls of their header of this
 * name, on our rounds. Found before theirs, it gives an unchanged test all ways of race.h.
 *
 * The ways are in the environment, as the test's arguments are its own: RACE_MODE, RACE_SEED,
 * RACE_ROUNDS, RACE_SECONDS, RACE_SKIP. Without RACE_MODE a debugger decides.
 */
#ifndef TST_FUZZY_SYNC_H__
#define TST_FUZZY_SYNC_H__

#include <stdbool.h>
#include <stddef.h>

#include "tst_atomic.h"
#include "tst_safe_pthread.h"

struct tst_fzsync_stat {
	float avg, avg_dev, dev_ratio;
};

/* What tests set and look at; only the rounds count here. */
struct tst_fzsync_pair {
	float avg_alpha;
	struct tst_fzsync_stat diff_ss, diff_sa, diff_sb, diff_ab, spins_avg;
	int spins, delay, delay_bias, sampling, min_samples;
	float max_dev_ratio;
	tst_atomic_t a_cntr, b_cntr, exit;
	float exec_time_start;
	int exec_loops, exec_loop;
	pthread_t thread_b;
	bool yield_in_wait;
};

void tst_fzsync_pair_init(struct tst_fzsync_pair *pair);
void tst_fzsync_pair_cleanup(struct tst_fzsync_pair *pair);
void tst_fzsync_pair_reset(struct tst_fzsync_pair *pair, void *(*run_b)(void *));
int tst_fzsync_run_a(struct tst_fzsync_pair *pair);
int tst_fzsync_run_b(struct tst_fzsync_pair *pair);
void tst_fzsync_start_race_a(struct tst_fzsync_pair *pair);
void tst_fzsync_start_race_b(struct tst_fzsync_pair *pair);
void tst_fzsync_end_race_a(struct tst_fzsync_pair *pair);
void tst_fzsync_end_race_b(struct tst_fzsync_pair *pair);

static inline void tst_fzsync_pair_info(struct tst_fzsync_pair *pair)
{
	(void)pair;
}

static inline void tst_fzsync_pair_add_bias(struct tst_fzsync_pair *pair, int change)
{
	pair->delay_bias += change;
}

#endif
