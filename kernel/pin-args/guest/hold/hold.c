// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Races of a supervisor of user notifications and its tracee, one of many scenarios.
 *
 *   hold SCENARIO
 *   hold SCENARIO naive|spin|timer|gate SEED ROUNDS
 *
 * What a mode is, and how a debugger takes part where there is none: lib/race/race.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pinrace.h"
#include "hold.h"

char *shared_path;
int shared_memory;

static struct round round_now;
static const struct scenario *scenario;

static void prepare(void)
{
	struct round *r = &round_now;

	r->a = r->b = (struct side){ 0 };
	r->what = NOTHING;
	r->may_stray = r->stray = false;
	memcpy(shared_path, GOOD, PATH_ROOM);
	if (!scenario->alone && !r->pid)
		start_tracee(r, scenario);
	if (!scenario->alone)
		next_call(r);
	if (scenario->prepare && !scenario->prepare(r))
		race_die("cannot prepare a round");
}

static void run_a(void)
{
	scenario->a(&round_now);
}

static void run_b(void)
{
	scenario->b(&round_now);
}

static const char *check(void)
{
	struct round *r = &round_now;
	const char *why = scenario->check(r);

	if (!scenario->alone && (why || r->stray || !scenario->again))
		end_tracee(r);
	race_said = (struct race_said){ r->what, r->a.err, r->b.err };
	return why;
}

static const struct scenario *find_scenario(const char *name)
{
	const struct scenario *const lists[] = { scenarios, plain_scenarios };

	for (int i = 0; i < 2; i++)
		for (const struct scenario *s = lists[i]; s->name; s++)
			if (!strcmp(s->name, name))
				return s;
	return NULL;
}

static void write_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, path + 5, 4) != 4)
		race_die(path);
	close(fd);
}

static void setup(void)
{
	write_file(GOOD);
	write_file(EVIL);
	write_file(THIRD);
	shared_memory = memfd_create("hold", 0);
	if (shared_memory < 0 || ftruncate(shared_memory, SHARED_SIZE))
		race_die("memfd_create");
	shared_path = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, shared_memory, 0);
	if (shared_path == MAP_FAILED)
		race_die("mmap");
	/* Elsewhere it is shared with a tracee; behind a gate, it is the argument. */
	if (race_source(race_argument()) != race_argument())
		shared_path = race_argument();
}

int main(int argc, char **argv)
{
	struct race race = {
		.setup = setup, .prepare = prepare, .a = run_a, .b = run_b, .check = check,
	};
	int status = 2;

	if (argc == 7 && !strcmp(argv[0], TRACEE))
		return tracee_main(argv);
	if (argc == 2 && !strcmp(argv[0], CHILD))
		return child_main(atoi(argv[1]));
	scenario = argc > 1 ? find_scenario(argv[1]) : NULL;
	if (scenario) {
		race.name = scenario->name;
		race.gate_in_argument = scenario->gate_after;
		race.gate_after = scenario->gate_after;
		race.gate_in_answer = scenario->gate_in_answer;
		status = race_main(&race, argc - 1, argv + 1);
	}
	if (status == 2)
		printf("usage: hold SCENARIO [naive|spin|timer|gate SEED ROUNDS]\n");
	return status;
}
