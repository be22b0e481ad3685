/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's PID 1: runs the jobs of a plan one after the other and reports
 * on a channel of its own, so that the console stays the kernel's.
 */
#ifndef PINRACE_INIT_H
#define PINRACE_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_PATH	"/pinrace/plan"
#define MAX_WORDS	256	/* arguments, or variables, of one job */
#define RECORD_MAX	4096	/* bytes of payload in one record */

struct job {
	const char *name;
	const char *cwd;		/* NULL: /tmp */
	bool quiet;			/* it gets no descriptor for records */
	unsigned int timeout;		/* seconds */
	char *argv[MAX_WORDS + 1];	/* NULL-terminated, as is envp */
	char *envp[MAX_WORDS + 1];
	int argc;
	int envc;
};

struct plan {
	const char *channel;	/* tty names without /dev/ */
	const char *console;
	const char *then;	/* NULL, or what to do when the jobs are done */
	bool shell;
	struct job *jobs;
	size_t nr_jobs;
};

/* plan.c: false after having said on the console what is wrong with it. */
bool plan_load(struct plan *plan, const char *path);

/* channel.c */
bool channel_open(const char *tty);
void channel_send(const char *type, const void *payload, size_t len);
__attribute__((format(printf, 2, 3)))
void channel_sendf(const char *type, const char *fmt, ...);
void channel_drain(void);

/* job.c */
void job_setup(void);
void job_run(const struct job *job);
void kill_everything(void);

/* init.c */
__attribute__((format(printf, 1, 2)))
void say(const char *fmt, ...);
uint64_t uptime_ns(void);

#endif
