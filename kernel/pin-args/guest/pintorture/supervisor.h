/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of a supervisor share: it is a process that has one lane. */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include <errno.h>

#include "torture.h"

#define FILLER		0xa5	/* of what the kernel is to write to */
#define BEHIND_LETTER	2	/* where a string is cut for a moment */

enum step { GO_ON, GONE, REFUSE, DONE };

/* supervisor.c */
extern struct lane *lane;
extern struct trial *trial;

/* snapshot.c */
bool is_gone(void);
bool is_pressure(void);
int go_on(uint64_t id, uint32_t flags);
int deny(uint64_t id, int error);
int send_it(struct seccomp_notif_resp *resp);
int take_into(struct seccomp_notif_pin_args *pin, uint64_t id, void *buf, uint32_t size);
int take(struct seccomp_notif_pin_args *pin, uint64_t id, unsigned char *buf);
enum step must_fail(const char *statement, const char *what, int ret, int expected);
void describe(struct seccomp_notif_pin_args *pin);
void fill_buffer(unsigned char *buf);
enum step see(const struct seccomp_notif_pin_args *pin, const unsigned char *buf);
enum step taken(int error);
enum step take_snapshot(uint64_t id);
enum step look(pid_t pid);

/* gate.c: what the kernel writes to, and may have to wait for */
enum { GATE_AT_RECEIVED, GATE_AT_REQUEST, GATE_AT_BUFFER, NR_GATES };

void gate_setup(void);
bool gate_works(void);
void *gate_page(int which);
void gate_close(int which);
void gate_open(int which);
void gate_begin(void);
void gate_end(void);
bool gate_await(int which);
void gate_spoil(struct actor *me, uint32_t cmd);

/* second.c */
void meanwhile_second(void);

/* meanwhile.c */
void meanwhile_setup(void);
enum step meanwhile_take(const struct seccomp_notif *req);
bool meanwhile_reply(const struct seccomp_notif *req);

/* refused.c */
enum step do_before(uint64_t id);

/* A signal that stops V for a while has its calls fail before they have begun. */
#define again_if_interrupted(expr) ({			\
	int ret_;					\
							\
	do {						\
		ret_ = (expr);				\
	} while (ret_ < 0 && errno == EINTR);		\
	ret_;						\
})

#endif
