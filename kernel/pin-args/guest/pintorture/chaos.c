// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Everything else that happens to lanes: signals, stops, freezes, a tracer
 * that comes and goes, CPUs that do, memory that is short, death.  What it
 * changes it puts back, within milliseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

#define GROUP	"/sys/fs/cgroup/pt"
#define CPU1	"/sys/devices/system/cpu/cpu1/online"
#define DEBUG	"/sys/kernel/debug/"
#define STORM	12	/* children of one */

static volatile sig_atomic_t over;
static uint64_t state;

static uint32_t below(uint32_t limit)
{
	state = mix(state, 2);
	return (state >> 32) % limit;
}

static void pause_us(uint32_t us)
{
	usleep(1 + below(us));
}

static void on_term(int sig)
{
	(void)sig;
	over = 1;
}

static pid_t of_lane(const struct lane *lane, bool v)
{
	pid_t pid = v ? lane->v_pid : lane->t_pid;

	return pid > 0 ? pid : 0;
}

static struct lane *any_lane(void)
{
	return &torture->lanes[below(torture->nr_lanes)];
}

static void signal_t(void)
{
	pid_t pid = of_lane(any_lane(), false);

	if (pid)
		syscall(SYS_tgkill, pid, pid, SIGUSR1);
}

static void stop_and_go(void)
{
	pid_t pid = of_lane(any_lane(), below(3) == 0);

	if (!pid || kill(pid, SIGSTOP))
		return;
	pause_us(2000);
	kill(pid, SIGCONT);
}

static void freeze(void)
{
	write_text(GROUP "/cgroup.freeze", "1");
	pause_us(3000);
	write_text(GROUP "/cgroup.freeze", "0");
}

static void trace(void)
{
	pid_t pid = of_lane(any_lane(), false);
	int status;

	if (!pid || ptrace(PTRACE_SEIZE, pid, NULL, NULL))
		return;
	if (!ptrace(PTRACE_INTERRUPT, pid, NULL, NULL)) {
		/* In a vfork it stops only when the child has gone on. */
		for (int i = 0; i < 200 && waitpid(pid, &status, __WALL | WNOHANG) == 0; i++)
			usleep(500);
	}
	if (ptrace(PTRACE_DETACH, pid, NULL, NULL) && errno == ESRCH) {
		/* Not stopped yet: it has to be, to be let go. */
		if (waitpid(pid, &status, __WALL) == pid)
			ptrace(PTRACE_DETACH, pid, NULL, NULL);
	}
}

static void move(void)
{
	pid_t pid = of_lane(any_lane(), below(2));
	cpu_set_t set;

	if (!pid)
		return;
	CPU_ZERO(&set);
	if (below(2)) {
		CPU_SET(below(2), &set);
	} else {
		CPU_SET(0, &set);
		CPU_SET(1, &set);
	}
	sched_setaffinity(pid, sizeof(set), &set);
	setpriority(PRIO_PROCESS, pid, (int)below(20) - 10);
}

static void storm(void)
{
	pid_t pids[STORM];

	for (int i = 0; i < STORM; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit(0);
	}
	for (int i = 0; i < STORM; i++) {
		if (pids[i] > 0)
			waitpid(pids[i], NULL, 0);
	}
}

static void hotplug(void)
{
	if (!write_text(CPU1, "0"))
		return;
	pause_us(20000);
	write_text(CPU1, "1");
}

static void begin_pressure(void)
{
	torture->pressure++;
}

static void end_pressure(void)
{
	torture->pressure++;
}

static long number_in(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		text[0] = '\0';
	if (fd >= 0)
		close(fd);
	return atol(text);
}

static void little_memory(void)
{
	long used = number_in(GROUP "/memory.current");
	char text[32];

	if (used <= 0)
		return;
	snprintf(text, sizeof(text), "%ld", used + (long)below(256) * 1024);
	begin_pressure();
	write_text(GROUP "/memory.max", text);
	pause_us(10000);
	write_text(GROUP "/memory.max", "max");
	end_pressure();
}

/* Allocations of one T fail, in kernels that can do that. */
static void fail_allocations(void)
{
	const char *what = below(2) ? DEBUG "failslab" : DEBUG "fail_page_alloc";
	pid_t pid = of_lane(any_lane(), below(2));
	char path[96], fails[64];

	snprintf(path, sizeof(path), "%s/probability", what);
	if (!pid || access(path, W_OK))
		return;
	snprintf(fails, sizeof(fails), "/proc/%d/make-it-fail", pid);
	begin_pressure();
	write_text(fails, "1");
	write_text(path, "5");
	pause_us(10000);
	write_text(path, "0");
	write_text(fails, "0");
	end_pressure();
}

static void prepare_failures(void)
{
	static const char *const all[] = { "failslab", "fail_page_alloc" };
	static const char *const set[][2] = {
		{ "task-filter", "1" }, { "times", "-1" }, { "interval", "1" },
		{ "verbose", "0" }, { "ignore-gfp-wait", "0" }, { "probability", "0" },
	};
	char path[96];

	for (int i = 0; i < 2; i++) {
		for (size_t j = 0; j < sizeof(set) / sizeof(set[0]); j++) {
			snprintf(path, sizeof(path), DEBUG "%s/%s", all[i], set[j][0]);
			write_text(path, set[j][1]);
		}
	}
}

static void kill_one(void)
{
	pid_t pid = of_lane(any_lane(), below(2));

	if (pid)
		kill(pid, SIGKILL);
}

/* Of 1000. */
static const struct {
	uint32_t weight;
	void (*act)(void);
} acts[] = {
	{ 250, signal_t }, { 200, stop_and_go }, { 120, freeze }, { 150, trace }, { 150, move },
	{ 60, storm }, { 4, hotplug }, { 12, little_memory }, { 44, fail_allocations },
	{ 10, kill_one },
};

/* In the root's group are those who must not be stopped: this process and the leaders. */
void chaos_groups(void)
{
	mkdir(GROUP, 0755);
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+pids");
}

void chaos_join(void)
{
	write_text(GROUP "/cgroup.procs", "0");
}

void chaos(uint64_t seed)
{
	struct sigaction term = { .sa_handler = on_term };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGTERM, &term, NULL);
	state = mix(seed, 0xc4a05);
	prepare_failures();
	while (!over && !torture->stop) {
		uint32_t dice = below(1000), i = 0;

		while (dice >= acts[i].weight && i + 1 < sizeof(acts) / sizeof(acts[0]))
			dice -= acts[i++].weight;
		acts[i].act();
		torture->nr_chaos[i]++;
		pause_us(20000);
	}
	_exit(0);
}
