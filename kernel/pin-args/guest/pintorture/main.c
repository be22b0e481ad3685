// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pintorture --seed N --seconds N [--trials N] [--lanes N] [--families a,b]
 *            [--mutators a,b] [--stall N] [--naive]
 *            [--no-chaos] [--stop-at-first] [--break plain|hang|leak|lost]
 *
 * Starts the lanes, tells each second how far they are, and sees when nothing
 * goes on any more.  Records (see harness/pinrace/races/torture/records.py):
 *
 *   torture begin seed=… lanes=… cpus=… families=a,b,…
 *   torture second ns=… trials=… pinned=… exposed=… violations=… fingerprint=…
 *   torture count family=… mutator=… free=… pinned=… exposed=… control=… lost=…
 *   torture violation statement=… family=… … text=…
 *   torture naive trials=… lost=… ns=… | torture absent
 *   torture hang lane=… | torture leak text=… | torture end violations=…
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "marks.h"
#include "torture.h"

#define LANES_A_CPU	2	/* harness/pinrace/races/torture/run.py says why */
#define SHOWN		20	/* violations; the rest are counted */
#define SLICE_NS	50000000	/* between two looks at whether it is over */
#define MOST_ABORTED	100	/* beginnings without any trial */
#define TABLE_SECONDS	10	/* between two tables of counts */

struct torture *torture;

static bool is_naive;
static uint64_t seconds = 10;
static unsigned int stall = 30;	/* seconds without a trial, and it hangs */
static uint32_t shown;
static pid_t leaders[MAX_LANES], chaos_pid;

/* Of some names take those in a list, or all for an empty one. */
static void choose(const char *list, const char *const *names, int nr, bool *chosen)
{
	for (int i = 0; i < nr; i++)
		chosen[i] = !*list;
	for (char *name = strtok(strdup(list), ","); name; name = strtok(NULL, ",")) {
		int i = 0;

		while (i < nr && strcmp(names[i], name))
			i++;
		if (i == nr) {
			printf("nothing is called '%s'\n", name);
			exit(2);
		}
		chosen[i] = true;
	}
}

static enum breakage breakage(const char *name)
{
	static const char *const names[] = { "nothing", "plain", "hang", "leak", "lost" };

	for (int i = 0; i < 5; i++) {
		if (!strcmp(name, names[i]))
			return i;
	}
	printf("cannot break '%s'\n", name);
	exit(2);
}

static void options(int argc, char **argv)
{
	const char *families = "", *mutators = "";

	torture->nr_lanes = LANES_A_CPU * sysconf(_SC_NPROCESSORS_ONLN);
	torture->chaos = true;
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (!strcmp(argv[i], "--naive")) {
			is_naive = true;
			continue;
		} else if (!strcmp(argv[i], "--no-chaos")) {
			torture->chaos = false;
			continue;
		} else if (!strcmp(argv[i], "--stop-at-first")) {
			torture->stop_at_first = true;
			continue;
		}
		if (!strcmp(argv[i], "--seed"))
			torture->seed = strtoull(value, NULL, 0);
		else if (!strcmp(argv[i], "--seconds"))
			seconds = strtoull(value, NULL, 0);
		else if (!strcmp(argv[i], "--lanes"))
			torture->nr_lanes = atoi(value);
		else if (!strcmp(argv[i], "--stall"))
			stall = atoi(value);
		else if (!strcmp(argv[i], "--families"))
			families = value;
		else if (!strcmp(argv[i], "--mutators"))
			mutators = value;
		else if (!strcmp(argv[i], "--trials"))
			torture->trials = strtoul(value, NULL, 0);
		else if (!strcmp(argv[i], "--break"))
			torture->broken = breakage(value);
		else
			i = argc;
		i++;
		if (i >= argc) {
			printf("usage: see rootfs/pintorture/main.c\n");
			exit(2);
		}
	}
	if (torture->nr_lanes < 1 || torture->nr_lanes > MAX_LANES)
		torture->nr_lanes = torture->nr_lanes < 1 ? 1 : MAX_LANES;
	choose(families, family_names, nr_families, torture->families);
	choose(mutators, mutator_names, NR_MUTATORS, torture->mutators);
}

static void map_lanes(void)
{
	for (int i = 0; i < torture->nr_lanes; i++) {
		struct lane *lane = &torture->lanes[i];
		int fd = syscall(SYS_memfd_create, "source", 1);

		lane->number = i;
		if (fd < 0 || ftruncate(fd, AREA_BYTES))
			bail("memfd");
		lane->shared = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (lane->shared == MAP_FAILED)
			bail("mmap");
		close(fd);
	}
}

static void show_violations(void)
{
	uint32_t n = torture->nr_violations;

	for (; shown < n && shown < SHOWN && torture->violations[shown].ready; shown++)
		rec("torture violation %s", torture->violations[shown].text);
}

static void show_second(void)
{
	uint64_t trials = 0, pinned = 0, exposed = 0, fingerprint = 0;

	for (int i = 0; i < torture->nr_lanes; i++) {
		const struct count *c = &torture->lanes[i].counts[0][0][0];

		trials += torture->lanes[i].seq;
		fingerprint = mix(fingerprint, torture->lanes[i].fingerprint);
		for (int j = 0; j < MAX_FAMILIES * NR_MUTATORS * 2; j++) {
			pinned += c[j].pinned;
			exposed += c[j].exposed;
		}
	}
	rec("torture second ns=%llu trials=%llu pinned=%llu exposed=%llu violations=%u "
	    "fingerprint=%016llx",
	    (unsigned long long)(now_ns() - torture->began), (unsigned long long)trials,
	    (unsigned long long)pinned, (unsigned long long)exposed, torture->nr_violations,
	    (unsigned long long)fingerprint);
}

/* Cumulative counts of all that is not zero. */
static void show_table(void)
{
	for (int f = 0; f < nr_families; f++) {
		for (int j = 0; j < NR_MUTATORS * 2; j++) {
			struct count sum = { 0 };

			for (int i = 0; i < torture->nr_lanes; i++) {
				const struct count *c = &torture->lanes[i].counts[f][0][j];

				sum.pinned += c->pinned;
				sum.exposed += c->exposed;
				sum.control += c->control;
				sum.lost += c->lost;
			}
			if (sum.pinned || sum.control)
				rec("torture count family=%s mutator=%s free=%d pinned=%u "
				    "exposed=%u control=%u lost=%u", family_names[f],
				    mutator_names[j / 2], j % 2, sum.pinned, sum.exposed,
				    sum.control, sum.lost);
		}
	}
}

static void show_rest(void)
{
	uint32_t retried = 0, murky = 0, refused = 0, generations = 0, deaths = 0, crashes = 0;
	uint32_t replies[NR_REPLIES] = { 0 };
	char acts[200] = "";
	size_t used = 0;

	for (int i = 0; i < torture->nr_lanes; i++) {
		const struct lane *lane = &torture->lanes[i];

		retried += lane->retried;
		murky += lane->murky;
		refused += lane->refused;
		generations += lane->generations;
		deaths += lane->deaths;
		crashes += lane->crashes;
		for (int j = 0; j < NR_REPLIES; j++)
			replies[j] += lane->replies[j];
	}
	for (int j = 0; j < 16 && used < sizeof(acts); j++)
		used += snprintf(acts + used, sizeof(acts) - used, "%s%u", j ? "," : "",
				 torture->nr_chaos[j]);
	rec("torture rest generations=%u deaths=%u crashes=%u retried=%u refused=%u murky=%u "
	    "deny=%u spoof=%u plain=%u addfd=%u aborted=%u chaos=%s", generations, deaths, crashes,
	    retried, refused, murky, replies[R_DENY], replies[R_SPOOF], replies[R_PLAIN],
	    replies[R_ADDFD], torture->aborted, acts);
}

/* Have the kernel say what all tasks are at. */
static void dump_tasks(void)
{
	for (int i = 0; i < torture->nr_lanes; i++) {
		const struct lane *lane = &torture->lanes[i];
		const struct trial *trial = &lane->trial;

		crowd_end(&torture->lanes[i]);
		printf("lane %d at %u: %s, busy %d, before %d, between %d, reply %d, meanwhile %d, "
		       "gate %d, probe %d, anew %d, second %u/%u, prober %u/%u, thread %u/%u\n",
		       i, trial->seq, trial->call_name, lane->busy, trial->before, trial->between,
		       trial->reply, trial->meanwhile, trial->gate, trial->probe, trial->anew,
		       lane->second.ack, lane->second.cmd, lane->prober.ack, lane->prober.cmd,
		       lane->thread.ack, lane->thread.cmd);
	}
	fflush(stdout);
	usleep(200000);
	write_text("/proc/sysrq-trigger", "w");
	write_text("/proc/sysrq-trigger", "t");
}

/* Look at a lane once a second; true when it hangs. */
static bool hangs(int number)
{
	static uint32_t last[MAX_LANES];
	static unsigned int still[MAX_LANES];
	uint32_t seq = torture->lanes[number].seq;

	still[number] = seq == last[number] ? still[number] + 1 : 0;
	last[number] = seq;
	return still[number] >= stall;
}

/* Chaos keeps a lane from its first trial now and then; not all of them, and for ever. */
static bool never_begins(void)
{
	uint32_t trials = 0;

	for (int i = 0; i < torture->nr_lanes; i++)
		trials += torture->lanes[i].seq;
	if (trials || torture->aborted < MOST_ABORTED)
		return false;
	printf("%s\n", torture->why_aborted);
	return true;
}

static void watch(void)
{
	for (uint64_t second = 1; !torture->stop; second++) {
		uint64_t at = torture->began + second * 1000000000ull, now = now_ns();
		bool waited = now < at;	/* not when the whole machine stood still for longer */

		while (now < at && !torture->stop && !torture->absent) {
			usleep(at - now < SLICE_NS ? (at - now) / 1000 : SLICE_NS / 1000);
			now = now_ns();
		}
		if (torture->absent || never_begins()) {
			rec("torture %s", torture->absent ? "absent" : "bail what=lanes do not begin");
			exit(3);
		}
		show_violations();
		show_second();
		if (second % TABLE_SECONDS == 0)
			show_table();
		for (int i = 0; i < torture->nr_lanes; i++) {
			if (waited && hangs(i)) {
				rec("torture hang lane=%d seconds=%u trial=%u call=%s", i, stall,
				    torture->lanes[i].trial.seq,
				    torture->lanes[i].trial.call_name);
				dump_tasks();
				show_table();
				exit(1);
			}
		}
		if (now_ns() - torture->began >= seconds * 1000000000ull)
			torture->stop = true;
	}
}

/* The lanes stop by themselves after the trial that they are at. */
static void end_lanes(void)
{
	uint64_t limit = now_ns() + stall * 1000000000ull;
	int left = torture->nr_lanes;

	if (chaos_pid) {
		kill(chaos_pid, SIGTERM);	/* it puts back what it changed */
		waitpid(chaos_pid, NULL, 0);
	}
	while (left) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		left -= pid > 0;
		if (pid <= 0)
			usleep(10000);
		if (now_ns() > limit) {
			rec("torture hang lane=-1 seconds=%u trial=0 call=end", stall);
			show_violations();
			dump_tasks();
			show_table();
			exit(1);
		}
	}
}

/* Leave a process behind, one that has joined the group before anybody looks. */
static void leave_one(void)
{
	int joined[2];
	char word = 0;

	if (pipe(joined))
		return;
	if (!fork()) {
		chaos_join();
		(void)!write(joined[1], &word, 1);
		for (;;)
			pause();
	}
	(void)!read(joined[0], &word, 1);
}

int main(int argc, char **argv, char **envp)
{
	char list[256] = "";
	int leaks;

	if (exec_is_echo())
		return exec_echo(argc, argv, envp);
	torture = mmap(NULL, sizeof(*torture), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (torture == MAP_FAILED)
		bail("mmap");
	ops_init();
	options(argc, argv);
	if (is_naive)
		return naive(seconds, true, torture->broken == BREAK_PLAIN);
	map_lanes();
	/* Where it is known how many trials there will be, a debugger can stop before any. */
	if (torture->trials && !make_marks(torture->trials))
		bail("no place for the marks");
	mkdir("/tmp/pt", 0700);
	for (int i = 0; i < nr_families; i++) {
		if (torture->families[i])
			snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
				 *list ? "," : "", family_names[i]);
	}
	chaos_groups();
	leaks_begin();
	torture->began = now_ns();
	rec("torture begin seed=%llu lanes=%d cpus=%ld seconds=%llu families=%s",
	    (unsigned long long)torture->seed, torture->nr_lanes,
	    sysconf(_SC_NPROCESSORS_ONLN), (unsigned long long)seconds, list);
	for (int i = 0; i < torture->nr_lanes; i++)
		leaders[i] = lane_start(&torture->lanes[i]);
	if (torture->chaos) {
		chaos_pid = fork();
		if (!chaos_pid)
			chaos(torture->seed);
	}
	watch();
	end_lanes();
	show_violations();
	show_second();
	show_table();
	show_rest();
	if (torture->broken == BREAK_LOST)
		return 0;
	if (torture->broken == BREAK_LEAK)
		leave_one();
	leaks = leaks_end();
	rec("torture end violations=%u leaks=%d ns=%llu", torture->nr_violations, leaks,
	    (unsigned long long)(now_ns() - torture->began));
	return torture->nr_violations || leaks;
}
