// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a second thread of V's does while the first one takes its snapshot.
 *
 * At a gate the kernel is held inside of PIN_ARGS, as it writes to V's buffer
 * or back to V's request, until the second thread has done what it is to do
 * (gate.c).  Without a gate the two begin at the same time, the second one
 * after a moment that is drawn.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "supervisor.h"

#define MEET_NS		2000000		/* for two threads to meet */
#define LEAD_NS		60000		/* for a timer that is late, before the call begins */
#define NAP_US		50
#define BEATS		4		/* in a row */
#define GONE_NS		20000000	/* for T to leave a notification */
#define FRESH_MS	2		/* for T to be back with another one */
#define FREED_US	3000		/* for what was T to be freed */
#define CALIBRATION	100000

enum usual { USUAL_PIN, USUAL_FAT_PIN, USUAL_REPLY, NR_USUAL };

#define UNWRITTEN	0xffffffffu	/* a size that no snapshot has */

/* What is going on, between the two threads. */
static struct {
	const struct seccomp_notif *req;
	bool gate;
	enum usual usual;
	struct seccomp_notif_pin_args *pin;
	_Atomic bool ready, go, over;
	int cpu;	/* of the first thread */
	_Atomic uint32_t beats;	/* of the second thread, as long as it runs */
	/* What the second thread did: */
	bool done;
	int ret, error;
	bool early;	/* accepted before the snapshot was shown */
	bool gone;	/* T has left the notification */
} meet;

/* ---- time ---- */

static void spin(uint32_t turns)
{
	for (volatile uint32_t i = turns; i; i--)
		;
}

/*
 * How long it takes, as a rule: the moment that is drawn is a part of that.
 * Of what took much longer, something else was the reason.
 */
static uint64_t usual_ns[NR_USUAL] = { 50000, 200000, 10000 };
static uint64_t turns_a_ms;

void meanwhile_setup(void)
{
	uint64_t began = now_ns();

	spin(CALIBRATION);
	turns_a_ms = CALIBRATION * 1000000ull / (now_ns() - began + 1) + 1;
}

static void took(enum usual what, uint64_t began)
{
	uint64_t ns = now_ns() - began, most = 2 * usual_ns[what];

	usual_ns[what] = (7 * usual_ns[what] + (ns < most ? ns : most)) / 8;
}

static void await_moment(enum usual what)
{
	uint64_t ns = usual_ns[what] * trial->moment / MOMENTS;

	spin(ns * turns_a_ms / 1000000);
}

/* ---- what the second thread does ---- */

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
	note(kill(lane->t_pid, SIGKILL));
	if (meet.gate) {
		await_leaving();
		usleep(FREED_US);
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

/* Wait for a word, wherever the other one is; it may take a while to run. */
static void await(_Atomic bool *flag, bool beat)
{
	uint64_t limit = now_ns() + MEET_NS;

	while (!*flag && !meet.over && now_ns() < limit) {
		for (int i = 0; i < 500 && !*flag; i++)
			meet.beats += beat;
		if (!*flag)
			sched_yield();
	}
}

/* Whether the second thread does something within a moment. */
static bool beats(void)
{
	uint32_t before = meet.beats;

	for (int i = 0; i < 100; i++) {
		if (meet.beats != before)
			return true;
	}
	return false;
}

/*
 * Until the second one is seen to run at this very moment: on a host that is
 * busy one CPU of a guest often stands still while another one runs.
 */
static void await_beat(void)
{
	uint64_t limit = now_ns() + MEET_NS;
	int in_a_row = 0;

	while (in_a_row < BEATS && now_ns() < limit) {
		for (in_a_row = 0; in_a_row < BEATS && beats(); in_a_row++)
			;
		if (in_a_row < BEATS)
			sched_yield();
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
	struct timespec moment = {
		.tv_nsec = (LEAD_NS + usual_ns[meet.usual]) * trial->moment / MOMENTS + 1,
	};
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

/* ---- what the first one does ---- */

static void begin(const struct seccomp_notif *req, bool gate)
{
	meet.req = req;
	meet.gate = gate;
	meet.ready = meet.go = meet.over = meet.done = meet.early = meet.gone = false;
	meet.cpu = sched_getcpu();
	meet.ret = -1;
	meet.error = 0;
	if (gate)
		gate_begin();
	actor_do(&lane->second, DO_MEANWHILE, false);
	if (!gate) {
		await(&meet.ready, false);
		if (trial->preempts)
			spin(LEAD_NS * turns_a_ms / 1000000);
		else
			await_beat();
		meet.go = true;
	}
}

static void end(void)
{
	uint32_t seen;

	meet.over = true;
	if (meet.gate)
		gate_end();
	while ((seen = lane->second.ack) != lane->second.cmd)
		futex_wait(&lane->second.ack, seen, 1000);
}

/* Read beyond the argument: what is lost for good is then large enough to be missed. */
static void fatten(struct seccomp_notif_pin_args *pin)
{
	for (uint32_t i = 0; i < pin->nr_args; i++) {
		const struct slot *slot = &trial->slots[pin->args[i].arg_idx];

		if (slot->kind == SECCOMP_PIN_FIXED) {
			pin->args[i].max_bytes = AREA_BYTES - slot->start;
			return;
		}
	}
}

/* Take the snapshot, and have the second thread do its part meanwhile; 0 or an errno. */
static int take_both(const struct seccomp_notif *req, bool gate)
{
	struct seccomp_notif_pin_args *pin = gate ? gate_page(GATE_AT_REQUEST) : &lane->pin;
	unsigned char *buf = gate ? gate_page(GATE_AT_BUFFER) : lane->pin_buf;
	uint64_t began;
	int error;

	memset(&lane->pin, 0, sizeof(lane->pin));
	fill_buffer(lane->pin_buf);
	fill_buffer(lane->pin_buf2);
	describe(&lane->pin);
	describe(&lane->pin2);
	if (trial->meanwhile == N_SIGNAL && !gate) {
		memset(lane->pin_buf, FILLER, PIN_ROOM);
		fatten(&lane->pin);
	}
	for (uint32_t i = 0; i < lane->pin.nr_args; i++)
		lane->pin.args[i].actual_size = UNWRITTEN;
	if (gate) {
		memcpy(pin, &lane->pin, sizeof(lane->pin));
		fill_buffer(buf);
		gate_close(GATE_AT_BUFFER);
	}
	meet.pin = pin;
	meet.usual = trial->meanwhile == N_SIGNAL ? USUAL_FAT_PIN : USUAL_PIN;
	begin(req, gate);
	began = now_ns();
	error = take(pin, req->id, buf) ? errno : 0;
	if (!gate && !trial->preempts)
		took(meet.usual, began);
	end();
	if (gate && !error) {
		memcpy(&lane->pin, pin, sizeof(lane->pin));
		memcpy(lane->pin_buf, buf, PIN_ROOM);
	}
	return error;
}

static enum step refused(const char *what, int error, int expected, const char *statement)
{
	errno = error;
	return must_fail(statement, what, -1, expected);
}

/* A pinned reply came while the snapshot was taken. */
static enum step after_pinned(int error, bool gate)
{
	if (meet.done && !meet.ret && (gate || meet.early)) {
		violation(lane, "C3", "a pinned reply was accepted while its snapshot was taken");
		return GONE;
	}
	if (meet.done && !meet.ret) {
		if (error) {
			violation(lane, "C3", "a pinned reply was accepted, and the snapshot "
				  "gave errno %d", error);
			return GONE;
		}
		/* What V cannot read, it would not have let go on: then nothing is judged. */
		lane->outcome.reply = see(&lane->pin, lane->pin_buf) == GO_ON ? R_PINNED : R_PLAIN;
		lane->outcome.replied = true;
		return DONE;
	}
	if (gate && meet.done && refused("a pinned reply while the snapshot is taken",
					 meet.error, EBUSY, "C3") == GONE)
		return GONE;
	return taken(error);
}

static bool is_whole(const struct seccomp_notif_pin_args *pin)
{
	for (uint32_t i = 0; i < pin->nr_args; i++) {
		if (pin->args[i].truncated)
			return false;
	}
	return true;
}

/* Another request was made while this one was. */
static enum step after_pin(int error, bool gate)
{
	if (!gate && meet.done && !meet.ret && !error &&
	    !(is_whole(&lane->pin) && is_whole(&lane->pin2)))
		return REFUSE;	/* one that is not whole may be replaced */
	if (meet.done && !meet.ret && (gate || !error)) {
		violation(lane, "C2", "two snapshots of one notification at the same time");
		return REFUSE;
	}
	if (gate && meet.done && refused("a request while another is under way", meet.error,
					 EBUSY, "C2") == GONE)
		return GONE;
	if (meet.done && (error == EBUSY || error == EEXIST))
		return meet.ret ? taken(meet.error) : see(&lane->pin2, lane->pin_buf2);
	return taken(error);
}

/*
 * The notification was answered, or taken away, while the snapshot was taken.
 * Where that went to, the next notification tells.
 */
static enum step after_end(int error)
{
	if (trial->meanwhile == N_DENY || trial->meanwhile == N_PLAIN)
		return meet.done && !meet.ret ? DONE : taken(error);
	return meet.gone ? GONE : taken(error);
}

enum step meanwhile_take(const struct seccomp_notif *req)
{
	bool gate = trial->gate && gate_works();
	int error;

	lane->raced = trial->seq;
	error = take_both(req, gate);
	switch (trial->meanwhile) {
	case N_PINNED:
		return after_pinned(error, gate);
	case N_PIN:
		return after_pin(error, gate);
	case N_SIGNAL:
	case N_DENY:
	case N_PLAIN:
	case N_KILL_T:
		return after_end(error);
	default:
		return taken(error);
	}
}

/* Two threads reply at once, and one of them is heard. */
bool meanwhile_reply(const struct seccomp_notif *req)
{
	uint64_t began;
	int error;

	meet.usual = USUAL_REPLY;
	begin(req, false);
	began = now_ns();
	error = go_on(req->id, PR_PINNED) ? errno : 0;
	if (!trial->preempts)
		took(USUAL_REPLY, began);
	end();
	if (!error && meet.done && !meet.ret)
		violation(lane, "C3", "two replies were accepted");
	if (error && meet.done && !meet.ret)
		error = 0;
	errno = error;
	return !error;
}
