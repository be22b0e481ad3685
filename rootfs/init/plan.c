// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The plan: what to run.  Lines, each value verbatim up to the end of its line:
 *
 *   channel TTY
 *   console TTY
 *   shell			or any number of
 *   job NAME TIMEOUT_SECONDS
 *   cwd FOLDER			where it starts; a relative program is looked up there
 *   quiet			it gets no descriptor for records
 *   env KEY=VALUE
 *   arg WORD
 *   end
 * and then
 *   then reboot|remain
 *
 * The last word is not looked at until all is done, and both of its values are
 * of one length: a run that remains is the same one until then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

/* Return a file's whole content, NUL-terminated, or NULL with errno set. */
static char *slurp(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	struct stat st;
	char *text;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) || !(text = malloc(st.st_size + 1))) {
		close(fd);
		return NULL;
	}
	while (used < (size_t)st.st_size) {
		ssize_t got = read(fd, text + used, st.st_size - used);

		if (got <= 0)
			break;
		used += got;
	}
	text[used] = '\0';
	close(fd);
	return text;
}

static bool begin_job(struct plan *plan, char *value)
{
	char *space = strrchr(value, ' ');
	struct job *jobs, *job;
	char *rest;

	jobs = realloc(plan->jobs, (plan->nr_jobs + 1) * sizeof(*jobs));
	if (!jobs || !space)
		return false;
	plan->jobs = jobs;
	job = &jobs[plan->nr_jobs++];
	memset(job, 0, sizeof(*job));
	*space = '\0';
	job->name = value;
	errno = 0;
	job->timeout = strtoul(space + 1, &rest, 10);
	return !errno && rest != space + 1 && !*rest && job->timeout > 0 && *value;
}

static bool add_word(char **words, int *count, char *word)
{
	if (*count == MAX_WORDS)
		return false;
	words[(*count)++] = word;
	return true;
}

/* Take one line; job is the one that is open, or NULL.  False for a bad line. */
static bool take_line(struct plan *plan, bool *in_job, char *line)
{
	char *value = strchr(line, ' ');
	struct job *job = *in_job ? &plan->jobs[plan->nr_jobs - 1] : NULL;

	if (value)
		*value++ = '\0';
	if (job) {
		if (!strcmp(line, "env") && value)
			return strchr(value, '=') && add_word(job->envp, &job->envc, value);
		if (!strcmp(line, "arg"))
			return add_word(job->argv, &job->argc, value ? value : "");
		if (!strcmp(line, "cwd") && value && !job->cwd)
			return (job->cwd = value);
		if (!strcmp(line, "quiet") && !value)
			return (job->quiet = true);
		*in_job = false;
		return !strcmp(line, "end") && !value && job->argc > 0;
	}
	if (!strcmp(line, "channel") && value)
		return (plan->channel = value);
	if (!strcmp(line, "console") && value)
		return (plan->console = value);
	if (!strcmp(line, "shell") && !value)
		return (plan->shell = true);
	if (!strcmp(line, "then") && value)
		return (plan->then = value);
	if (!strcmp(line, "job") && value)
		return (*in_job = begin_job(plan, value));
	return false;
}

bool plan_load(struct plan *plan, const char *path)
{
	char *text = slurp(path);
	char *line, *next;
	bool in_job = false;
	int number = 1;

	memset(plan, 0, sizeof(*plan));
	if (!text) {
		say("no plan at %s: %s", path, strerror(errno));
		return false;
	}
	for (line = text; *line; line = next, number++) {
		next = strchr(line, '\n');
		if (!next) {
			say("%s:%d: the last line is cut off", path, number);
			return false;
		}
		*next++ = '\0';
		if (!take_line(plan, &in_job, line)) {
			say("%s:%d: bad line, it begins with '%s'", path, number, line);
			return false;
		}
	}
	if (in_job || !plan->channel || !plan->console) {
		say("%s: %s", path, in_job ? "the last job has no end" :
		    "it names no channel, or no console");
		return false;
	}
	return true;
}
