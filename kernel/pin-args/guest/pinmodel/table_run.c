// SPDX-License-Identifier: GPL-2.0-or-later
/* The table, continued: T has the CPU until it sleeps, ends its call or dies. */
#include <errno.h>
#include <string.h>

#include "model.h"

static void cut_off(struct state *s)
{
	for (int i = 0; i < NR_ACTORS; i++) {
		if (s->act[i].doing == D_PIN || s->act[i].doing == D_RECV)
			s->act[i].stale = 1;
	}
}

/* The notification is over; whatever was queued for it comes back. */
static void leave(struct state *s, int queued)
{
	for (int i = 0; i < s->nr_addfd; i++)
		s->act[s->addfd[i]].res = queued;
	memset(s->addfd, 0, sizeof(s->addfd));
	s->nr_addfd = 0;
	cut_off(s);
	s->n = N_NONE;
	s->answer = ANS_NONE;
	s->pin = P_NONE;
	s->letter = 0;
	s->owner = 0;
}

static void detach_if_last(struct state *s)
{
	for (int i = 0; i < NR_ACTORS; i++) {
		if (s->act[i].doing && !s->act[i].res)
			return;
	}
	if (s->open_here || s->open_there || s->detached)
		return;
	s->detached = 1;
	if (s->n == N_NEW || s->n == N_COPYING || s->n == N_SENT) {
		s->n = N_ANSWERED;
		s->answer = ANS_ENOSYS;
		s->pin = P_NONE;
		s->letter = s->owner = 0;
	}
}

static int result_of(const struct state *s)
{
	switch (s->answer) {
	case ANS_DENY:
		return -EPERM;
	case ANS_SPOOF:
		return SPOOFED;
	case ANS_PLAIN:
		return s->source;
	case ANS_PINNED:
		return s->letter;
	case ANS_FD:
		return 'S';
	}
	return -ENOSYS;
}

static void answered(struct state *s, struct states *out)
{
	s->result = result_of(s);
	leave(s, ESRCH);
	s->over = 1;
	s->sig = 0;
	detach_if_last(s);
	push(out, s, 0);
}

static void interrupted(const struct state *was, bool restarts, struct states *out)
{
	struct state s = *was;

	leave(&s, ESRCH);
	s.sig = 0;
	detach_if_last(&s);
	if (restarts) {
		s.n = N_NEW;
		s.serial++;
		if (s.detached) {	/* the call comes again, and nobody listens */
			s.n = N_NONE;
			s.over = 1;
			s.result = -ENOSYS;
		}
	} else {
		s.over = 1;
		s.result = -EINTR;
	}
	push(out, &s, 0);
}

static void signalled(const struct state *s, struct states *out)
{
	bool waits = s->killable && (s->n == N_SENT || s->n == N_COPYING);

	/* A notification on its way may count as one that was received, or not yet. */
	if (waits) {
		struct state calm = *s;

		push(out, s, 0);
		calm.sig &= ~SIG_STOPS;		/* a stop that was taken back */
		push(out, &calm, 0);
	}
	if (waits && s->n == N_SENT)
		return;
	/* The first handler that is run decides; which that is, is the arch's. */
	if (s->sig & (SIG_RESTARTS | SIG_STOPS))
		interrupted(s, true, out);
	if (s->sig & SIG_INTERRUPTS)
		interrupted(s, false, out);
}

static void killed(struct state *s, struct states *out)
{
	leave(s, ANYTHING);
	s->over = s->dead = 1;
	s->sig = 0;
	s->result = 0;
	detach_if_last(s);
	push(out, s, 0);
}

/* Take the first request off the queue. */
static uint8_t next_addfd(struct state *s)
{
	uint8_t who = s->addfd[0];

	memmove(s->addfd, s->addfd + 1, sizeof(s->addfd) - 1);
	s->addfd[NR_ACTORS - 1] = 0;
	s->nr_addfd--;
	return who;
}

static void install(struct state *s)
{
	struct acting *act = &s->act[next_addfd(s)];

	act->res = -1;		/* a descriptor */
	if (act->what == 'b') {
		act->res = EBADF;
		s->n = N_SENT;
		s->answer = ANS_NONE;
	} else if (act->what == 's') {
		s->pin = P_NONE;
		s->letter = s->owner = 0;
	}
	detach_if_last(s);
}

/* T has the CPU for the first descriptor that it is to install, and for no more. */
void step_install(const struct state *was, struct states *out)
{
	struct state s = *was;

	if (s.over || s.sig & SIG_KILLS || !s.nr_addfd)
		return;
	install(&s);
	push(out, &s, 0);
}

void step_run(const struct state *was, struct states *out)
{
	struct state s = *was;

	if (s.over) {
		push(out, &s, 0);
		return;
	}
	if (s.sig & SIG_KILLS) {
		killed(&s, out);
		return;
	}
	while (s.nr_addfd) {
		install(&s);
		if (s.n == N_ANSWERED)
			break;
	}
	detach_if_last(&s);
	if (s.n == N_ANSWERED)
		answered(&s, out);
	else if (s.sig)
		signalled(&s, out);
	else
		push(out, &s, 0);
}
