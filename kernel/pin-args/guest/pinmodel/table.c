// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table: state and event give what is seen and the next state.  Drawn from
 * the promise, and from upstream's own rules for what the promise leaves alone;
 * not from what any kernel does.
 */
#include <errno.h>
#include <string.h>

#include "model.h"

bool states_lost, may_lose_states;

void push(struct states *out, const struct state *s, int obs)
{
	for (int i = 0; i < out->nr; i++) {
		if (out->obs[i] == obs && !memcmp(&out->s[i], s, sizeof(*s)))
			return;
	}
	if (out->nr == MAX_STATES && may_lose_states) {
		states_lost = true;
		return;
	}
	if (out->nr == MAX_STATES)
		bail("too many states at once");
	out->s[out->nr] = *s;
	out->obs[out->nr++] = obs;
}

/* Keep the states that what was seen allows; false when there is none. */
bool keep_seen(struct states *set, int obs)
{
	int nr = 0;

	for (int i = 0; i < set->nr; i++) {
		if (set->obs[i] != obs)
			continue;
		set->s[nr] = set->s[i];
		set->obs[nr++] = 0;
	}
	set->nr = nr;
	return nr;
}

/* As sets; what had to be seen does not count. */
bool same_states(const struct states *a, const struct states *b)
{
	for (int side = 0; side < 2; side++) {
		const struct states *x = side ? b : a, *y = side ? a : b;

		for (int i = 0; i < x->nr; i++) {
			int j = 0;

			while (j < y->nr && memcmp(&x->s[i], &y->s[j], sizeof(x->s[i])))
				j++;
			if (j == y->nr)
				return false;
		}
	}
	return true;
}

static uint8_t process_of(uint8_t who)
{
	return who == C ? C : A;
}

static bool is_out(const struct state *s)
{
	return s->n == N_NONE;
}

/* A snapshot that is on its way will not be kept. */
static void cut_off(struct state *s)
{
	for (int i = 0; i < NR_ACTORS; i++) {
		if (s->act[i].doing == D_PIN)
			s->act[i].stale = 1;
	}
}

static bool is_under_way(const struct state *s)
{
	for (int i = 0; i < NR_ACTORS; i++) {
		if (s->act[i].doing == D_PIN && !s->act[i].stale)
			return true;
	}
	return false;
}

static void drop_pin(struct state *s)
{
	s->pin = P_NONE;
	s->letter = 0;
	s->owner = 0;
}

static void do_recv(const struct state *s, struct event ev, struct states *out)
{
	struct state next = *s;

	if (ev.op == OP_RECV_NONE || ev.op == OP_RECV_RO) {
		push(out, s, EFAULT);
	} else if (ev.op == OP_RECV) {
		next.n = N_SENT;
		push(out, &next, 0);
	} else {
		next.act[ev.who].doing = D_RECV;
		next.n = N_SENT;
		push(out, &next, PENDING);
		next.n = N_COPYING;	/* others cannot deal with it yet */
		push(out, &next, PENDING);
	}
}

/*
 * Who takes the snapshot is the kernel's affair. Where T takes it, T has the
 * CPU for that while its supervisor waits, and what was sent to it before
 * takes effect: behind the snapshot, or in its place.
 */
static void let_task_run(const struct state *was, struct states *out, int first)
{
	static const int instead[] = { ENOENT, ESRCH, EINTR };
	int nr = out->nr;
	struct states then = { 0 };

	if (!was->sig)
		return;
	for (int i = first; i < nr; i++) {
		then.nr = 0;
		step_run(&out->s[i], &then);
		for (int j = 0; j < then.nr; j++)
			push(out, &then.s[j], out->obs[i]);
	}
	then.nr = 0;
	step_run(was, &then);
	for (int j = 0; j < then.nr; j++) {
		for (size_t i = 0; i < sizeof(instead) / sizeof(instead[0]); i++)
			push(out, &then.s[j], instead[i]);
	}
}

/* The request was all right: what the state says to it. */
static int refuses_pin(const struct state *s)
{
	if (is_out(s))
		return ENOENT;
	if (s->n != N_SENT)
		return EINPROGRESS;
	if (is_under_way(s))
		return EBUSY;
	return s->pin == P_WHOLE ? EEXIST : 0;
}

static void do_pin(const struct state *s, struct event ev, struct states *out)
{
	int error = ev.op == OP_PIN_NO_REQ ? EFAULT : ev.op == OP_PIN_BAD ? EINVAL :
		    refuses_pin(s);
	struct state next = *s;
	int first = out->nr;

	if (error) {
		push(out, s, error);
		if (error == EINPROGRESS && s->n == N_ANSWERED)
			push(out, s, ENOENT);
		return;
	}
	if (s->sig & SIG_KILLS)
		push(out, s, ESRCH);
	switch (ev.op) {
	case OP_PIN:
	case OP_PIN_SHORT:
		next.pin = ev.op == OP_PIN ? P_WHOLE : P_SHORT;
		next.letter = ev.op == OP_PIN ? s->source : 0;
		next.owner = process_of(ev.who);
		push(out, &next, 0);
		let_task_run(s, out, first);
		return;
	case OP_PIN_LATE_BUF:
	case OP_PIN_LATE_REQ:
		next.act[ev.who].doing = D_PIN;
		next.act[ev.who].letter = s->source;
		push(out, &next, PENDING);
		drop_pin(&next);	/* which was a short one */
		push(out, &next, PENDING);
		let_task_run(s, out, first);
		return;
	}
	error = ev.op == OP_PIN_SMALL ? ENOSPC : EFAULT;
	push(out, s, error);
	drop_pin(&next);
	push(out, &next, error);
	let_task_run(s, out, first);
}

static int refuses_reply(const struct state *s)
{
	return is_out(s) ? ENOENT : s->n != N_SENT ? EINPROGRESS : 0;
}

static void do_answer(const struct state *s, enum answer answer, struct states *out)
{
	struct state next = *s;

	next.n = N_ANSWERED;
	next.answer = answer;
	if (answer != ANS_PINNED)
		drop_pin(&next);
	cut_off(&next);
	push(out, &next, 0);
}

static void do_pinned(const struct state *s, struct event ev, struct states *out)
{
	int error = refuses_reply(s);

	if (error == EINPROGRESS && s->n != N_ANSWERED)
		push(out, s, ENOENT);	/* there is no snapshot either */
	if (!error && is_under_way(s))
		error = EBUSY;
	if (!error && s->pin != P_WHOLE)
		error = s->pin == P_NONE ? ENOENT : EMSGSIZE;
	if (error) {
		push(out, s, error);
		return;
	}
	/* Another process than the one that it was shown to may be refused. */
	if (s->owner != process_of(ev.who))
		push(out, s, ENOENT);
	do_answer(s, ANS_PINNED, out);
}

static void do_send(const struct state *s, struct event ev, struct states *out)
{
	struct state next = *s;
	int error;

	switch (ev.op) {
	case OP_SEND_NONE:
		push(out, s, EFAULT);
		return;
	case OP_CP_ALONE:
	case OP_CP_ERROR:
	case OP_UNKNOWN:
		push(out, s, EINVAL);
		return;
	case OP_CP_OLD:
		push(out, s, ENOENT);
		return;
	case OP_CP_LATE:
	case OP_DENY_LATE:
		next.act[ev.who].doing = D_SEND;
		next.act[ev.who].what = ev.op;
		push(out, &next, PENDING);
		return;
	case OP_CP:
		do_pinned(s, ev, out);
		return;
	}
	error = refuses_reply(s);
	if (error)
		push(out, s, error);
	else
		do_answer(s, ev.op == OP_DENY ? ANS_DENY : ev.op == OP_SPOOF ? ANS_SPOOF :
			  ANS_PLAIN, out);
}

static void do_addfd(const struct state *s, struct event ev, struct states *out)
{
	int error = ev.op == OP_ADDFD_NONE ? EFAULT : refuses_reply(s);
	struct state next = *s;

	if (!error && ev.op != OP_ADDFD && s->nr_addfd)
		error = EBUSY;
	if (error) {
		push(out, s, error);
		return;
	}
	next.act[ev.who].doing = D_ADDFD;
	next.act[ev.who].what = ev.op == OP_ADDFD ? 'p' : ev.op == OP_ADDFD_SEND ? 's' : 'b';
	memmove(next.addfd + 1, next.addfd, next.nr_addfd);
	next.addfd[0] = ev.who;
	next.nr_addfd++;
	if (ev.op != OP_ADDFD) {
		next.n = N_ANSWERED;
		next.answer = ANS_FD;
		push(out, &next, PENDING);	/* it can still fail; then who knows */
		cut_off(&next);
		drop_pin(&next);
	}
	push(out, &next, PENDING);
}

static void leave_addfd(struct state *s, uint8_t who)
{
	int nr = 0;

	for (int i = 0; i < s->nr_addfd; i++) {
		if (s->addfd[i] != who)
			s->addfd[nr++] = s->addfd[i];
	}
	memset(s->addfd + nr, 0, sizeof(s->addfd) - nr);
	s->nr_addfd = nr;
}

/* A request that was to answer is taken back. */
static void take_back(struct state *s, uint8_t who)
{
	bool answers = s->act[who].doing == D_ADDFD && s->act[who].what != 'p';

	if (answers && s->n == N_ANSWERED && s->answer == ANS_FD) {
		s->n = N_SENT;
		s->answer = ANS_NONE;
	}
	leave_addfd(s, who);
	memset(&s->act[who], 0, sizeof(s->act[who]));
}

/* Nobody has the listener any more once no call is on it either. */
static void maybe_detach(struct state *s)
{
	for (int i = 0; i < NR_ACTORS; i++) {
		if (s->act[i].doing)
			return;
	}
	if (s->open_here || s->open_there || s->detached)
		return;
	s->detached = 1;
	if (!is_out(s) && s->n != N_ANSWERED) {
		s->n = N_ANSWERED;
		s->answer = ANS_ENOSYS;
		drop_pin(s);
	}
}

static void end_act(struct states *out, struct state *next, uint8_t who, int obs)
{
	memset(&next->act[who], 0, sizeof(next->act[who]));
	maybe_detach(next);
	push(out, next, obs);
}

static void finish_recv(const struct state *s, struct event ev, struct states *out)
{
	bool stale = s->act[ev.who].stale;
	struct state next = *s;

	if (ev.op == OP_FINISH) {
		if (!stale && next.n == N_COPYING)
			next.n = N_SENT;
		end_act(out, &next, ev.who, 0);
		if (stale) {
			next = *s;
			end_act(out, &next, ev.who, ENOENT);
		}
		return;
	}
	if (stale || s->n == N_ANSWERED || is_out(s)) {
		end_act(out, &next, ev.who, EFAULT);
		return;
	}
	if (s->pin || is_under_way(s))	/* others can be at it already, and go on */
		end_act(out, &next, ev.who, EFAULT);
	next = *s;
	next.n = N_NEW;
	drop_pin(&next);
	cut_off(&next);
	end_act(out, &next, ev.who, EFAULT);
}

static void finish_pin(const struct state *s, struct event ev, struct states *out)
{
	static const int late[] = { 0, ENOENT, ESRCH, EINPROGRESS, EFAULT };
	const struct acting *act = &s->act[ev.who];
	bool kept = !act->stale && s->n == N_SENT;
	struct state next = *s;
	int first = out->nr;

	if (!kept) {
		for (size_t i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
			next = *s;
			if (ev.op == OP_FAIL || late[i] != EFAULT)
				end_act(out, &next, ev.who, late[i]);
		}
		return;
	}
	if (ev.op == OP_FINISH) {
		next.pin = P_WHOLE;
		next.letter = act->letter;
		next.owner = process_of(ev.who);
		end_act(out, &next, ev.who, 0);
	} else {
		end_act(out, &next, ev.who, EFAULT);
		next = *s;
		drop_pin(&next);
		end_act(out, &next, ev.who, EFAULT);
	}
	next = *s;
	memset(&next.act[ev.who], 0, sizeof(next.act[ev.who]));
	let_task_run(&next, out, first);
}

static void finish_send(const struct state *s, struct event ev, struct states *out)
{
	struct event now = { s->act[ev.who].what == OP_CP_LATE ? OP_CP : OP_DENY, ev.who };
	struct states then = { 0 };
	struct state next = *s;

	if (ev.op == OP_FAIL) {
		end_act(out, &next, ev.who, EFAULT);
		return;
	}
	memset(&next.act[ev.who], 0, sizeof(next.act[ev.who]));
	do_send(&next, now, &then);
	for (int i = 0; i < then.nr; i++) {
		maybe_detach(&then.s[i]);
		push(out, &then.s[i], then.obs[i]);
	}
}

static void do_close(const struct state *s, struct event ev, struct states *out)
{
	struct state next = *s;

	if (ev.op == OP_CLOSE)
		next.open_here = 0;
	else if (ev.op != OP_EXEC_C)
		next.open_there = 0;
	if (ev.op == OP_KILL_C)
		take_back(&next, C);
	/* Who was shown the snapshot is gone, or another program. */
	if ((ev.op == OP_KILL_C || ev.op == OP_EXEC_C) && next.n != N_ANSWERED &&
	    next.pin && next.owner == C)
		drop_pin(&next);
	maybe_detach(&next);
	push(out, &next, 0);
}

static void do_signal(const struct state *s, struct event ev, struct states *out)
{
	struct state next = *s;

	next.sig |= ev.op == OP_SIG_RESTART ? SIG_RESTARTS : ev.op == OP_SIG_INTR ?
		    SIG_INTERRUPTS : SIG_KILLS;
	push(out, &next, 0);
}

static void step(const struct state *s, struct event ev, struct states *out)
{
	struct state next = *s;

	if (ev.op <= OP_RECV_LATE) {
		do_recv(s, ev, out);
	} else if (ev.op <= OP_PIN_LATE_REQ) {
		do_pin(s, ev, out);
	} else if (ev.op <= OP_DENY_LATE) {
		do_send(s, ev, out);
	} else if (ev.op <= OP_ADDFD_NONE) {
		do_addfd(s, ev, out);
	} else if (ev.op == OP_VALID) {
		push(out, s, s->n == N_SENT ? 0 : ENOENT);
	} else if (ev.op == OP_VALID_NONE) {
		push(out, s, EFAULT);
	} else if (ev.op == OP_FINISH || ev.op == OP_FAIL) {
		if (s->act[ev.who].doing == D_RECV)
			finish_recv(s, ev, out);
		else if (s->act[ev.who].doing == D_PIN)
			finish_pin(s, ev, out);
		else
			finish_send(s, ev, out);
	} else if (ev.op == OP_INTR) {
		take_back(&next, ev.who);
		maybe_detach(&next);
		push(out, &next, EINTR);
	} else if (ev.op == OP_RUN) {
		step_run(s, out);
	} else if (ev.op == OP_SIG_STOP) {
		next.sig |= SIG_STOPS;
		step_run(&next, out);
	} else if (ev.op <= OP_SIG_KILL) {
		do_signal(s, ev, out);
	} else {
		do_close(s, ev, out);
	}
}

void step_all(const struct states *set, struct event ev, struct states *out)
{
	out->nr = 0;
	for (int i = 0; i < set->nr; i++)
		step(&set->s[i], ev, out);
}
