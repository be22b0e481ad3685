/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A model of a notification and its snapshot, and walks over it that are run
 * against the kernel.
 *
 * T is a task whose call is trapped.  A and B are threads of one supervisor, C
 * is another process that has the listener too.  An event is one step of one
 * of them.  The model (table.c) says what may come of it: an errno, and the
 * next state.  Where the promise leaves a choice it has several states at
 * once, and what is seen takes away those that it contradicts.  When none is
 * left, the kernel broke the promise (walk.c).
 *
 * All of them run on one CPU, the supervisors with real-time priorities above
 * that of T: T gets the CPU only when a walk says so (stage.c).  So "answered,
 * and T has not heard of it" is a state like any other, and a walk comes out
 * the same each time.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pinrace.h"
#include "trap.h"

enum who { A, B, C, NR_ACTORS };

/* The notification. */
enum notif { N_NONE, N_NEW, N_COPYING, N_SENT, N_ANSWERED };

/* What the call will do; the first is no answer yet. */
enum answer { ANS_NONE, ANS_ENOSYS, ANS_DENY, ANS_SPOOF, ANS_PLAIN, ANS_PINNED, ANS_FD };

enum pin { P_NONE, P_SHORT, P_WHOLE };

/* What an actor is in the middle of. */
enum doing { D_NOTHING, D_RECV, D_PIN, D_SEND, D_ADDFD };

/* How a call came out, beside errnos (which are positive here). */
#define PENDING		1000	/* the actor is in the kernel still */
#define ANYTHING	1001
#define WRONG_ID	1002	/* it received another notification */
#define WRONG_BYTES	1003	/* it was shown something else */

#define SPOOFED		0x5eed	/* the value of OP_SPOOF */

enum { SIG_RESTARTS = 1, SIG_INTERRUPTS = 2, SIG_STOPS = 4, SIG_KILLS = 8 };

struct acting {
	uint8_t doing;		/* enum doing */
	uint8_t what;		/* of D_SEND: enum op; of D_ADDFD: 'p', 's', 'b' */
	uint8_t stale;		/* what it is for is over */
	uint8_t letter;		/* of D_PIN */
	int16_t res;		/* what it ended with when T had the CPU */
};

/* One of the states that the kernel may be in. */
struct state {
	uint8_t n, answer, pin;
	uint8_t letter;		/* of the snapshot, or of the one that was accepted */
	uint8_t owner;		/* whose snapshot: A stands for A and B, or C */
	uint8_t sig;		/* of T */
	uint8_t serial;		/* notifications since the walk began */
	uint8_t source;		/* the letter there now */
	uint8_t open_here, open_there;	/* the listener, in A's process and in C's */
	uint8_t detached;
	uint8_t killable;	/* SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV */
	uint8_t over, dead;	/* T's call; T */
	uint8_t nr_addfd, addfd[NR_ACTORS];	/* actors, the first in turn first */
	uint8_t had_c;		/* C was started */
	uint8_t pad[2];
	int32_t result;		/* of T's call: a letter, or an errno below 0 */
	struct acting act[NR_ACTORS];
};

#define MAX_STATES	128

struct states {
	int nr;
	struct state s[MAX_STATES];
	int obs[MAX_STATES];	/* what has to be seen to get there */
};

enum op {
	OP_RECV, OP_RECV_RO, OP_RECV_NONE, OP_RECV_LATE,
	OP_PIN, OP_PIN_SHORT, OP_PIN_BAD, OP_PIN_SMALL, OP_PIN_RO_BUF, OP_PIN_NO_BUF,
	OP_PIN_RO_REQ, OP_PIN_NO_REQ, OP_PIN_LATE_BUF, OP_PIN_LATE_REQ,
	OP_CP, OP_DENY, OP_SPOOF, OP_PLAIN, OP_CP_ALONE, OP_CP_ERROR, OP_UNKNOWN, OP_SEND_NONE,
	OP_CP_OLD, OP_CP_LATE, OP_DENY_LATE,
	OP_ADDFD, OP_ADDFD_SEND, OP_ADDFD_BAD, OP_ADDFD_NONE,
	OP_VALID, OP_VALID_NONE,
	OP_FINISH, OP_FAIL, OP_INTR,
	OP_SIG_RESTART, OP_SIG_INTR, OP_SIG_STOP, OP_SIG_KILL, OP_RUN,
	OP_CLOSE, OP_CLOSE_C, OP_KILL_C, OP_EXEC_C,
	NR_OPS,
};

struct event {
	uint8_t op, who;
};

#define MAX_EVENTS	40

struct walk {
	bool data;		/* T writes, else it opens */
	bool killable;
	int nr;
	struct event events[MAX_EVENTS];
};

/* table.c */
bool is_enabled(const struct states *set, struct event ev);
void step_all(const struct states *set, struct event ev, struct states *out);
bool keep_seen(struct states *set, int obs);
extern bool states_lost;	/* too many, where that is no error */
extern bool may_lose_states;
bool same_states(const struct states *a, const struct states *b);
void push(struct states *out, const struct state *s, int obs);
const char *statement_of(const struct states *set, struct event ev);

/* table_run.c: T has the CPU */
void step_run(const struct state *s, struct states *out);
void step_install(const struct state *s, struct states *out);

/* words.c */
const char *op_name(enum op op);
bool op_has_actor(enum op op);
void walk_text(const struct walk *walk, char *text, size_t size);
bool walk_parse(const char *text, struct walk *walk);
void state_text(const struct states *set, char *text, size_t size);

/* Several events of each at once, on all CPUs: linear.c, atonce.c */
#define MAX_SCRIPT	3

struct script {
	uint8_t op[MAX_SCRIPT];		/* enum op */
	uint16_t wait[MAX_SCRIPT];	/* turns of a loop before each */
	uint8_t nr;
	int err[MAX_SCRIPT];		/* what came of each, as of an actor */
	uint32_t began[MAX_SCRIPT], ended[MAX_SCRIPT];	/* of one clock of all */
};

enum { SIGNALLER = NR_ACTORS, NR_SCRIPTS };	/* the driver's, which signals T */

bool linear_explain(struct states *set, const struct script scripts[NR_SCRIPTS]);
void linear_runs(struct states *set);
bool atonce_run(uint64_t seed, unsigned int rounds, unsigned int *ran);

/* actors.c: A, B and C */
struct actor {
	_Atomic uint32_t cmd, done;
	uint8_t op;
	bool plays;		/* its script, in place of op, when the gun goes off */
	uint32_t gun;
	bool data;
	char letter;		/* that a snapshot has to show */
	uint64_t id;
	int err;
	int listener;
	_Atomic pid_t tid;
};

/* Shared by all processes. */
struct shared {
	struct actor actors[NR_ACTORS];
	_Atomic uint32_t go, over;	/* T's calls */
	_Atomic bool data;
	int result;		/* of the last one: a letter, or an errno below 0 */
	_Atomic bool kept;		/* T's registers */
	_Atomic bool free;		/* everybody may run on all CPUs */
	_Atomic uint32_t clock, gun;
	struct script scripts[NR_SCRIPTS];
};

#define FIFO_TASK	1	/* else the kernel's server of fair tasks runs T now and then */
#define FIFO_DRIVER	10
#define FIFO_ACTOR	20
#define DATA_BYTES	600	/* no descriptor has such a number */

extern struct shared *shared;
extern char *source;		/* T's arguments, a page that all have */
extern int shared_fd, letter_fd;
extern bool can_be_late;
void actors_init(bool threads);
void actor_loop(enum who who) __attribute__((noreturn));
void actor_tell(enum who who, enum op op, uint64_t id, char letter, bool data);
bool actor_is_done(enum who who);
bool actor_is_held(enum who who);
void actor_let_go(enum who who, bool good, enum op op, uint64_t id);
bool is_late(enum op op);
void script_moment(unsigned int turns);
void on_cpu(int fifo);
void futex_wake(_Atomic uint32_t *word);
void futex_wait(_Atomic uint32_t *word, uint32_t value, unsigned int us);

/* stage.c: the kernel */
struct seen {
	int obs;		/* errno, PENDING; of OP_RUN 0 */
	bool ran;		/* T had the CPU meanwhile */
	bool stuck;		/* the actor, or T, did not come back */
	bool done[NR_ACTORS];	/* actors that ended while T ran, and with what */
	int err[NR_ACTORS];
	bool t_over, t_dead;
	bool looked, has_new;	/* whether there is a new notification */
	int t_result;		/* a letter, or an errno below 0 */
};

void stage_init(void);
bool stage_has_pin(void);
void stage_begin(const struct walk *walk);
void stage_do(struct event ev, const struct state *s, struct seen *seen);
const char *stage_after(bool pinned);
bool stage_drop(void);
void stage_keep(unsigned int used);
void stage_free(bool free);
bool stage_at_once(bool with_c);
bool stage_rest(int *result, bool must_end);
bool stage_receive(void);
bool stage_clear(void);
int stage_helper(char **argv);
void set_source(char letter);

/* walk.c */
struct difference {
	const char *statement;
	int at;			/* of the walk's events; walk->nr and above: after them */
	char text[320];
};

/* What follows the walk's own events: those of a family that change nothing. */
struct tail {
	const struct event *events;
	int nr;
};

bool walk_run(const struct walk *walk, struct difference *diff);
void walk_minimise(struct walk *walk, struct difference *diff);
/* Which events a walk can go on with, by their numbers; for the next step of a family. */
typedef int (*pick_fn)(const struct states *set, int depth, struct event *ev);
bool walk_make(struct walk *walk, pick_fn pick, const struct tail *tail, struct difference *diff);
bool changes(const struct states *set, struct event ev);

/* families.c */
int families_count(void);
void families_run(uint64_t seed, int length, unsigned int walks, unsigned int rounds);

/* main.c */
extern bool has_pin, verbose, complete;
bool is_wanted(const char *name);
__attribute__((format(printf, 2, 3)))
void result(bool good, const char *fmt, ...);
void skip(const char *name, const char *why);
__attribute__((format(printf, 1, 2)))
void say(const char *fmt, ...);
void bail(const char *what) __attribute__((noreturn));
uint64_t now_ns(void);
uint64_t mix(uint64_t a, uint64_t b);

#endif
