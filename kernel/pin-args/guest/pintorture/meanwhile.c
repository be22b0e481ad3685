// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two of V's threads at once: the first one takes a snapshot, or replies, and
 * the second one does something meanwhile (second.c).
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "meanwhile.h"

#define BEATS		4		/* in a row */
#define CALIBRATION	100000

struct meeting meet;
uint64_t usual_ns[NR_USUAL] = { 50000, 200000, 10000 };
uint64_t turns_a_ms;

void spin(uint32_t turns)
{
	for (volatile uint32_t i = turns; i; i--)
		;
}

void spin_ns(int64_t ns)
{
	if (ns > 0)
		spin(ns * turns_a_ms / 1000000);
}

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

void await(_Atomic bool *flag, bool beat)
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
			spin_ns(LEAD_NS);
		else
			await_beat();
		meet.go = true;
		if (trial->aimed && !trial->preempts)
			spin_ns(-aim_ns());
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
	if (!gate)
		aim_learn(error);
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
	aim_learn(error);
	if (!error && meet.done && !meet.ret)
		violation(lane, "C3", "two replies were accepted");
	if (error && meet.done && !meet.ret)
		error = 0;
	errno = error;
	return !error;
}
