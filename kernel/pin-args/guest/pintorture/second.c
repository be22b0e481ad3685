// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What V's second thread does while the first one takes its snapshot.
 *
 * At a gate the kernel is held inside of PIN_ARGS, as it writes to V's buffer
 * or back to V's request, until this thread has done what it is to do
 * (gate.c).  Without a gate the two begin at the same time, this one after a
 * moment that is drawn; or it takes the first one's CPU at such a moment.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "meanwhile.h"

#define NAP_US		50
#define GONE_NS		20000000	/* for T to leave a notification */
#define REAPED_NS	300000000	/* for its parent to see that T has ended */
#define FRESH_MS	2		/* for T to be back with another one */
#define FREED_US	30000		/* for what was T to be freed: a grace period, on a debug kernel */

static void await_moment(enum usual what)
{
	spin_ns(trial->aimed ? aim_ns() : (int64_t)(usual_ns[what] * trial->moment / MOMENTS));
}

static bool has_left(uint64_t id)
{
	return ioctl(lane->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) && errno == ENOENT;
}

static void await_leaving(void)
{
	uint64_t limit = now_ns() + GONE_NS;

	while (!(meet.gone = has_left(meet.req->id)) && now_ns() < limit)
		sched_yield();
}

/* T's struct goes once its parent has seen the end of it, and nobody can be looking at it. */
static void await_freed(pid_t t)
{
	uint64_t limit = now_ns() + REAPED_NS;

	while (!kill(t, 0) && now_ns() < limit)
		usleep(NAP_US);
	usleep(FREED_US);
}

static void note(int ret)
{
	meet.done = true;
	meet.ret = ret;
	meet.error = ret ? errno : 0;
}

/* Without a gate, until the snapshot has been taken: the last moment is the best. */
static void reply_pinned(void)
{
	do {
		meet.beats++;
		note(go_on(meet.req->id, PR_PINNED));
		meet.early = !meet.ret && meet.pin->args[meet.pin->nr_args - 1].actual_size ==
			     UNWRITTEN;
	} while (!meet.gate && !trial->preempts && meet.ret && !meet.over);
}

static void pin_too(void)
{
	note(take(&lane->pin2, meet.req->id, lane->pin_buf2));
}

/* T leaves, and is soon back with the same call. */
static void signal_t(void)
{
	struct pollfd fresh = { lane->listener, POLLIN, 0 };

	note(kill(meet.req->pid, SIGUSR1));
	/* Hold the first thread's CPU until T has seen it on another one. */
	if (trial->preempts && !meet.gate)
		spin(turns_a_ms);
	if (!meet.gate)
		return;
	await_leaving();
	if (meet.gone)
		poll(&fresh, 1, FRESH_MS);
}

static void answer(void)
{
	bool plain = trial->meanwhile == N_PLAIN;

	/* T reads this once its call is over. */
	lane->outcome.reply = plain ? R_PLAIN : R_DENY;
	lane->outcome.replied = true;
	note(plain ? go_on(meet.req->id, SECCOMP_USER_NOTIF_FLAG_CONTINUE) :
		     deny(meet.req->id, trial->error));
	if (meet.ret)
		lane->outcome.replied = false;
	else if (meet.gate)
		await_leaving();
}

static void kill_t(void)
{
	pid_t t = lane->t_pid;

	note(kill(t, SIGKILL));
	if (meet.gate) {
		await_leaving();
		await_freed(t);
	}
}

static void cut(const struct slot *slot, bool shorter)
{
	uint32_t at = slot->letter + BEHIND_LETTER;
	char byte = shorter ? '\0' : slot->image[at];
	struct iovec from = { &byte, 1 }, to = { (char *)trial->area + slot->start + at, 1 };

	if (trial->private)
		process_vm_writev(meet.req->pid, &from, 1, &to, 1, 0);
	else
		*(volatile char *)to.iov_base = byte;
}

static void cut_all(bool shorter)
{
	for (int i = 0; i < SLOTS; i++) {
		const struct slot *slot = &trial->slots[i];

		if (trial->mask & 1u << i && slot->lettered &&
		    slot->kind == SECCOMP_PIN_CSTRING)
			cut(slot, shorter);
	}
}

/* Make strings shorter and long again, until the snapshot has been taken. */
static void cut_strings(void)
{
	uint64_t random = mix(torture->seed, trial->seq);

	for (unsigned int n = 1; !meet.over || n % 2 == 0; n++) {
		cut_all(n % 2);
		meet.beats++;
		random = mix(random, 1);
		spin(random % 200);
	}
	note(0);
}

/* Once, one way or the other; they are long when it is over. */
static void cut_once(void)
{
	cut_all(trial->seq % 2);
	while (!meet.over)
		usleep(NAP_US);
	cut_all(false);
	note(0);
}

static void act(void)
{
	switch (trial->meanwhile) {
	case N_PINNED:
		reply_pinned();
		break;
	case N_PIN:
		pin_too();
		break;
	case N_SIGNAL:
		signal_t();
		break;
	case N_DENY:
	case N_PLAIN:
		answer();
		break;
	case N_MUTATE:
		lane->spoiled = mutate_staged(lane, trial, meet.req->pid, false);
		note(0);
		break;
	case N_KILL_T:
		kill_t();
		break;
	case N_CUT:
		if (trial->preempts)
			cut_once();
		else
			cut_strings();
		break;
	case N_REPLY:
		note(go_on(meet.req->id, PR_PINNED));
		break;
	}
}

/* What goes on until the snapshot has been taken begins before that does. */
static bool goes_on(void)
{
	return trial->meanwhile == N_CUT || trial->meanwhile == N_PINNED;
}

/*
 * Take the CPU of the first thread at a moment that a timer knows: it is then
 * held where it is, with whatever it has locked, until this one sleeps.
 */
static void preempt(void)
{
	const struct sched_param first = { .sched_priority = 1 }, as_others = { 0 };
	int64_t ns = trial->aimed ? LEAD_NS + aim_ns() :
		     (int64_t)((LEAD_NS + usual_ns[meet.usual]) * trial->moment / MOMENTS);
	const struct timespec moment = { .tv_nsec = ns > 0 ? ns + 1 : 1 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(meet.cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	if (trial->meanwhile == N_CUT)
		cut_all(trial->seq % 2 == 0);
	sched_setscheduler(0, SCHED_FIFO, &first);
	meet.ready = true;
	nanosleep(&moment, NULL);
	act();
	sched_setscheduler(0, SCHED_OTHER, &as_others);
	stay_on(lane, 1);
}

void meanwhile_second(void)
{
	if (!meet.gate && trial->preempts) {
		preempt();
		return;
	}
	if (!meet.gate) {
		meet.ready = true;
		if (!goes_on()) {
			await(&meet.go, true);
			await_moment(meet.usual);
		}
		act();
		return;
	}
	if (gate_await(GATE_AT_BUFFER)) {
		if (trial->gate == GATE_REQUEST) {
			gate_close(GATE_AT_REQUEST);
			gate_open(GATE_AT_BUFFER);
		}
		if (trial->gate == GATE_BUFFER || gate_await(GATE_AT_REQUEST))
			act();
	}
	gate_open(GATE_AT_BUFFER);
	gate_open(GATE_AT_REQUEST);
}
