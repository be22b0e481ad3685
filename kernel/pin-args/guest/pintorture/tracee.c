// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * T: draws operations, makes the calls and judges what became of them.  What
 * it draws depends on nothing but the seed, the lane and the generation.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "marks.h"
#include "torture.h"

#define EPOCH		48	/* trials with the same mutator */
#define LOOK_AT_MAPS	24	/* trials between two looks at /proc/self/maps */
#define STACK		(32u << 10)

static struct {
	enum mutator mutator;
	bool free, private;
	uint32_t left;
} epoch;

static struct lane *lane;
static const struct op *op;

bool has_pin_mapping(const char *maps)
{
	static char text[65536];
	int fd = open(maps, O_RDONLY | O_CLOEXEC);
	long used = 0, got;

	while (fd >= 0 && used < (long)sizeof(text) - 1 &&
	       (got = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += got;
	text[used] = '\0';
	close(fd);
	return strstr(text, "seccomp_pin");
}

static void on_signal(int sig)
{
	(void)sig;
	lane->signals++;
}

/* ---- helpers that share T's memory ---- */

static void *thread_main(void *unused)
{
	(void)unused;
	mutate_thread(lane);
	return NULL;
}

static void *prober_main(void *unused)
{
	(void)unused;
	probe_thread(lane);
	return NULL;
}

static int vmproc_main(void *unused)
{
	(void)unused;
	mutate_vmproc(lane);
	return 0;
}

/* Only there to be traced and stopped. */
static int stopped_main(void *unused)
{
	struct call call = { .nr = SYS_rt_sigtimedwait };
	static uint64_t none;

	(void)unused;
	call.args[0] = (long)&none;
	call.args[3] = sizeof(none);
	for (;;)
		plain_call(&call);
	return 0;
}

static pid_t share_memory(int (*fn)(void *))
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (stack == MAP_FAILED)
		bail("mmap");
	pid = clone(fn, stack + STACK, CLONE_VM | SIGCHLD, NULL);
	if (pid < 0)
		bail("clone");
	return pid;
}

static void start_thread(void *(*fn)(void *))
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, fn, NULL);

	errno = error;
	if (error)
		bail("pthread_create");
}

static void start_helpers(void)
{
	start_thread(thread_main);
	start_thread(prober_main);
	share_memory(vmproc_main);
	lane->s_pid = share_memory(stopped_main);
}

static unsigned long reserve(void)
{
	void *at = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		bail("mmap");
	return (unsigned long)at;
}

static void set_up(int sock)
{
	struct sigaction restart = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction interrupt = { .sa_handler = on_signal };
	char folder[32];
	int listener;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	umask(0);
	snprintf(folder, sizeof(folder), "/tmp/pt/%d-%u", lane->number, lane->generation);
	if (mkdir(folder, 0700) || chdir(folder))
		bail(folder);
	sigaction(SIGUSR1, &restart, NULL);
	sigaction(SIGUSR2, &interrupt, NULL);
	lane->private = reserve();
	lane->spare = reserve();
	ops_lane_setup(lane);
	probe_setup(lane);
	start_helpers();
	listener = trap_install(lane->nested, 0);
	if (listener < 0 || pr_send_fd(sock, listener))
		bail("no listener");
	close(listener);
	close(sock);
	crowd_start(lane);
	crowd_await(lane);
}

/* ---- what to do next ---- */

static void new_epoch(void)
{
	epoch.left = EPOCH;
	do {
		epoch.free = one_in(lane, 2);
		epoch.mutator = random_below(lane, NR_MUTATORS);
	} while (!torture->mutators[epoch.mutator] || (epoch.free && epoch.mutator == M_PTRACE));
	epoch.private = is_mapping(epoch.mutator) ||
			(epoch.mutator != M_ALIAS && one_in(lane, 2));
}

/* One of n, the first with a chance of (of - weight) in `of`. */
static uint8_t draw(uint32_t n, uint32_t weight, uint32_t of)
{
	return random_below(lane, of) < weight ? 1 + random_below(lane, n - 1) : 0;
}

static void draw_plan(struct trial *trial)
{
	static const int errors[] = { ELIBSCN, ENOTNAM, EL3HLT, EBADSLT, EXFULL };
	uint32_t dice = random_below(lane, 10000);

	trial->reply = dice < 1500 ? R_CONTROL : dice < 1700 ? R_DENY :
		       dice < 1900 ? R_SPOOF : dice < 2100 ? R_PLAIN :
		       dice < 2250 ? R_ADDFD : dice < 2253 ? R_CLOSE :
		       dice < 2256 ? R_KILL_V : dice < 2258 ? R_KILL_T : R_PINNED;
	trial->before = draw(NR_BEFORE, 12, 100);
	trial->between = draw(NR_BETWEEN, 10, 100);
	if (trial->reply == R_CONTROL)
		trial->before = B_NOTHING, trial->between = W_NOTHING;
	trial->patient = one_in(lane, 2);
	trial->late_us = random_below(lane, 3000);
	trial->error = errors[random_below(lane, 5)];
	trial->spoof = 1 + random_below(lane, 1000000);
}

/*
 * The promise is one for each slot that is pinned.  The others take either
 * letter, but where they can be gone altogether the call would just fail.
 */
static void draw_pinned(struct trial *trial)
{
	uint32_t some = trial->mask & random_below(lane, 1u << SLOTS);
	bool all = one_in(lane, 2) || trial->reply != R_PINNED || is_mapping(trial->mutator);

	trial->pinned = all || !some ? trial->mask : some;
}

static bool prepare(struct trial *trial)
{
	int family;

	op = ops_pick(lane, &family);
	memset(&trial->call, 0, sizeof(trial->call));
	trial->seq = ++lane->seq;
	trial->number = torture->begun++;
	call_mark(trial->number);
	trial->family = family;
	trial->call_name = op->name;
	trial->call.nr = op->nr;
	trial->mask = 0;
	trial->out_slot = -1;
	trial->pressure = torture->pressure;
	trial->mutator = epoch.mutator;
	trial->free = epoch.free;
	trial->private = epoch.private;
	trial->area = epoch.private ? lane->private : (unsigned long)lane->shared;
	draw_plan(trial);
	/* A signal that comes while it starts would end the new program. */
	if (op->run && (trial->between == W_RESTART || trial->between == W_INTR))
		trial->between = W_NOTHING;
	if (!op->prepare(lane, trial))
		return false;
	draw_pinned(trial);
	plan_races(lane, trial, op->run);
	slots_write(lane, trial);
	memset(&lane->outcome, 0, sizeof(lane->outcome));
	lane->spoiled = false;
	return true;
}

/* Until V is through with the last notification, or is no more. */
static void wait_idle(void)
{
	while (lane->busy && lane->v_pid)
		sched_yield();
}

/* V may be dead by now; then the call tells. */
static void spoil_reception(void)
{
	uint32_t seen;

	actor_do(&lane->second, DO_SPOIL, false);
	while ((seen = lane->second.ack) != lane->second.cmd && lane->v_pid)
		futex_wait(&lane->second.ack, seen, 10);
}

/* Make the call.  A mapping that changes by itself does so only meanwhile. */
static long call(struct trial *trial)
{
	bool hold = trial->free && is_mapping(trial->mutator);
	long ret;

	if (trial->probe)
		probe_aim(lane, trial);
	if (hold)
		actor_do(&lane->thread, DO_FREE, true);
	if (trial->anew)
		spoil_reception();
	if (op->run) {
		ret = op->run(lane, trial);
	} else {
		trap_call(&trial->call);
		ret = trial->call.ret;
	}
	if (ret != -ENOSYS)
		wait_idle();
	if (trial->probe)
		actor_do(&lane->prober, DO_STOP, true);
	if (hold)
		actor_do(&lane->thread, DO_STOP, true);
	if (is_mapping(trial->mutator))
		mutate_restore(lane);
	return ret;
}

static void stop_epoch(void)
{
	if (epoch.free && !is_mapping(epoch.mutator))
		actor_do(mutate_actor(lane, epoch.mutator), DO_STOP, true);
}

static void start_epoch(void)
{
	new_epoch();
	if (epoch.free && !is_mapping(epoch.mutator)) {
		lane->trial.mutator = epoch.mutator;
		lane->trial.mask = 0;
		lane->trial.area = epoch.private ? lane->private : (unsigned long)lane->shared;
		actor_do(mutate_actor(lane, epoch.mutator), DO_FREE, true);
	}
}

/* Whether all lanes together have made as many trials as were asked for. */
static bool enough(void)
{
	uint32_t trials = 0;

	for (int i = 0; i < torture->nr_lanes; i++)
		trials += torture->lanes[i].seq;
	return torture->trials && trials >= torture->trials;
}

void tracee(struct lane *which, int sock)
{
	struct trial *trial;

	lane = which;
	trial = &lane->trial;
	set_up(sock);
	for (;;) {
		int signals = lane->signals;
		long ret;

		if (!epoch.left--) {
			stop_epoch();
			start_epoch();
			epoch.left--;
		}
		if (enough())
			torture->stop = true;
		if (torture->stop)
			break;
		if (!prepare(trial))
			continue;
		ret = call(trial);
		/* Nobody listens any more, after what V was to do or after its death. */
		if (ret == -ENOSYS) {
			lane->outcome.replied = false;
			judge(lane, op, ret, signals);
			break;
		}
		judge(lane, op, ret, signals);
		if (trial->seq % LOOK_AT_MAPS == 0 && has_pin_mapping("/proc/self/maps"))
			violation(lane, "C4", "the mapping of a snapshot outlived its call");
	}
	stop_epoch();
	if (has_pin_mapping("/proc/self/maps"))
		violation(lane, "C4", "the mapping of a snapshot is there at the end");
	_exit(0);
}
