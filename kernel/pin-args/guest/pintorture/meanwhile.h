/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What V's two threads share where one takes a snapshot and the other does
 * something meanwhile: meanwhile.c is the first one's part, second.c the other's.
 */
#ifndef MEANWHILE_H
#define MEANWHILE_H

#include "supervisor.h"

#define MEET_NS		2000000		/* for two threads to meet */
#define LEAD_NS		60000		/* for a timer that is late, before the call begins */

enum usual { USUAL_PIN, USUAL_FAT_PIN, USUAL_REPLY, NR_USUAL };

#define UNWRITTEN	0xffffffffu	/* a size that no snapshot has */

struct meeting {
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
};

extern struct meeting meet;

/*
 * How long it takes, as a rule: the moment that is drawn is a part of that.
 * Of what took much longer, something else was the reason.
 */
extern uint64_t usual_ns[NR_USUAL];
extern uint64_t turns_a_ms;	/* of spin() */

void spin(uint32_t turns);
/* Wait for a word, wherever the other one is; it may take a while to run. */
void await(_Atomic bool *flag, bool beat);
void spin_ns(int64_t ns);

/* aim.c */
int32_t aim_ns(void);
void aim_learn(int error);

#endif
