/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Race torture of PIN_ARGS.
 *
 * A lane is a tracee T with its helpers and a supervisor V.  T draws an
 * operation from its stream of random numbers, writes the arguments into a
 * source area, publishes the whole plan of the trial and makes the call; V
 * does what the plan says; T then looks at what the kernel did.
 *
 * Each argument has one byte, its letter, that is 'T' as T writes it and 'M'
 * once a mutator was there.  Both are good arguments.  What V was shown is
 * what it approved, and what the kernel acted on has to be just that.
 *
 * All of this lies in memory that the processes share, mapped before the first
 * fork and so at the same address in all of them.
 */
#ifndef TORTURE_H
#define TORTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pinrace.h"
#include "trap.h"

#define MAX_LANES	8
#define SLOTS		6
#define SLOT_BYTES	8192u
#define AREA_BYTES	(SLOTS * SLOT_BYTES)
#define PIN_ROOM	(64u << 10)	/* of V's buffer */
#define MAX_DATA	6000u		/* bytes of one argument, behind its letter */
#define LETTER_ROOM	64u		/* bytes of one argument, before its letter */
#define MAX_FAMILIES	24
#define MAX_STRINGS	6		/* of one array */
#define MAX_PATCHES	2
#define MAX_VIOLATIONS	64
#define MAX_CROWD	100

/* Who changes the source. */
enum mutator {
	M_THREAD,	/* a thread of T's */
	M_VMPROC,	/* a process that shares T's memory */
	M_PVM,		/* process_vm_writev() */
	M_ALIAS,	/* another mapping of the same page */
	M_PROCMEM,	/* /proc/PID/mem */
	M_PTRACE,	/* POKEDATA through a stopped process that shares T's memory */
	M_MUNMAP,	/* from here on: what T's thread does to the mapping */
	M_MPROTECT,
	M_MREMAP,
	M_DONTNEED,
	M_REPLACE,	/* another page mapped over it */
	NR_MUTATORS,
};

extern const char *const mutator_names[NR_MUTATORS];

static inline bool is_mapping(enum mutator m)
{
	return m >= M_MUNMAP;
}

/* What V tries first, and what has to come of it. */
enum before {
	B_NOTHING,
	B_NO_PIN,	/* CONTINUE_PINNED: ENOENT */
	B_TRUNCATED,	/* a short snapshot, then CONTINUE_PINNED: EMSGSIZE */
	B_WRONG_KIND,	/* EOPNOTSUPP */
	B_WRONG_SLOT,	/* EOPNOTSUPP */
	B_BAD_INPUT,	/* EINVAL, E2BIG */
	B_UNKNOWN_ID,	/* ENOENT */
	B_SMALL_BUFFER,	/* ENOSPC */
	B_BAD_FLAGS,	/* EINVAL */
	NR_BEFORE,
};

/* What happens between the snapshot and the reply. */
enum between {
	W_NOTHING,
	W_TWICE,	/* another snapshot: EEXIST */
	W_LATE,		/* the reply takes its time */
	W_RESTART,	/* a signal, SA_RESTART */
	W_INTR,		/* a signal without */
	W_STOP,		/* SIGSTOP and SIGCONT */
	W_FORK,		/* T's thread forks, and looks at the child */
	NR_BETWEEN,
};

/* What a second thread of V's does while the snapshot is being taken. */
enum meanwhile {
	N_NOTHING,
	N_PINNED,	/* CONTINUE_PINNED: EBUSY */
	N_PIN,		/* another request: EBUSY */
	N_SIGNAL,	/* to T, which then has another notification */
	N_DENY,
	N_PLAIN,	/* a plain CONTINUE */
	N_MUTATE,
	N_CUT,		/* the strings are made shorter, and long again */
	N_REPLY,	/* not meanwhile: two pinned replies at once, and one is heard */
	N_KILL_T,
	NR_MEANWHILE,
};

#define MOMENTS	1000	/* in the time that it takes */

/* Where the kernel is held until that is done. */
enum gate { GATE_NONE, GATE_BUFFER, GATE_REQUEST };

/* What a thread of T's does to the mapping of the snapshot, all through the call. */
enum probe {
	P_NOTHING,
	P_MUNMAP,
	P_MPROTECT,
	P_MREMAP,
	P_WRITE,
	P_DONTNEED,
	NR_PROBES,
};

enum reply {
	R_PINNED,
	R_CONTROL,	/* no snapshot, a plain CONTINUE: the race as it was */
	R_DENY,
	R_SPOOF,
	R_PLAIN,	/* a snapshot, and then a plain CONTINUE */
	R_ADDFD,
	R_CLOSE,	/* of the listener: ends the generation, as do the next ones */
	R_KILL_V,
	R_KILL_T,
	NR_REPLIES,
};

struct patch {
	uint32_t off;		/* in the area */
	uint32_t len;
	unsigned char bytes[8];	/* what a mutator writes there */
};

/* One argument of a trial. */
struct slot {
	uint8_t kind;
	bool lettered;		/* else it is not mutated */
	bool same;		/* its pointer is that of a slot before */
	uint32_t letter;	/* index of the letter in the bytes */
	uint32_t size;		/* of the bytes, the NUL of a string included */
	uint32_t start;		/* of the bytes, in the area */
	uint32_t nr_strings;	/* of an array */
	char strings[MAX_STRINGS][40];
	uint32_t nr_patches;
	struct patch patches[MAX_PATCHES];
	unsigned char image[LETTER_ROOM + MAX_DATA];	/* as T wrote them */
};

struct trial {
	uint32_t seq;
	uint32_t number;	/* among those of all lanes, in the order of their beginnings */
	uint8_t family;
	const char *call_name;
	struct call call;
	uint32_t mask;		/* of the slots */
	uint32_t pinned;	/* of those of them that V pins */
	struct slot slots[SLOTS];
	uint8_t mutator;	/* enum mutator */
	bool free;		/* it runs by itself, else V has it done */
	bool private;		/* the source is T's private area */
	uint8_t before, between, reply;
	uint8_t meanwhile, gate, probe;
	bool preempts;		/* it takes the first thread's CPU at that moment */
	bool aimed;		/* the moment is one at which they met before: aim.c */
	bool anew;		/* the notification is received twice, the first time in vain */
	uint32_t moment;	/* of the second thread, in parts of what it takes */
	uint32_t late_us;
	bool patient;		/* V waits a little for a free mutator to come by */
	int error;		/* for R_DENY */
	uint32_t spoof;
	uint32_t pressure;	/* torture->pressure when it began */
	int out_slot;		/* a slot that is not an input, for B_WRONG_SLOT */
	unsigned long area;	/* the address that the arguments point into */
};

/* What V did, for T to read once V is idle. */
struct outcome {
	bool replied;		/* V answered, and the kernel took it */
	uint8_t reply;
	bool exposed;		/* the source was another between look and go */
	char letters[SLOTS];	/* what V saw */
	int fd;			/* that ADDFD made; -1 when V did not live to see it */
	bool refused;		/* V denied, because the source made no sense */
};

/* Somebody who does one thing at a time when told to. */
struct actor {
	_Atomic uint32_t cmd;	/* a new one is another number */
	_Atomic uint32_t ack;
	uint32_t what;
};

enum { DO_STOP, DO_MUTATE, DO_FREE, DO_FORK, DO_MEANWHILE, DO_SPOIL, DO_PROBE };

struct aim {
	int32_t ns;
	uint32_t step;		/* 0: nothing is known yet */
	bool early;		/* the last one was */
};

struct count {
	uint32_t pinned, exposed, control, lost;
};

struct lane {
	int number;
	uint32_t generation;
	uint32_t first;		/* the last trial before this generation */
	uint64_t random;	/* T's stream */
	_Atomic uint32_t seq;	/* trials so far, over all generations */
	_Atomic int busy;	/* V's threads that are at it */
	_Atomic int signals;	/* that T's handlers took */
	_Atomic int t_pid, v_pid, s_pid;
	struct trial trial;
	struct outcome outcome;
	struct actor thread, vmproc, outside, second, prober;
	unsigned char *shared;	/* the area that others map too */
	unsigned long private;	/* the area in T's own memory */
	unsigned long spare;	/* where a mutator moves it to */
	uint32_t letter_off;	/* of every letter, in its slot */
	bool spoiled;		/* V has had the source of this trial changed before */
	_Atomic bool mutated;	/* state of the private area in a free run */
	bool nested, two_vs;
	uint32_t raced;		/* the last trial with a meanwhile that had its turn */
	struct aim aims[NR_MEANWHILE][2];	/* by whether it preempts */
	uint32_t crowd;		/* tasks of T's that stay in a notification each */
	pid_t crowd_pids[MAX_CROWD];
	_Atomic uint32_t crowded;	/* of them, those that V has received */
	uint64_t last_id;	/* that V received */
	_Atomic bool receiving, spoiling;
	uint32_t disturbed;	/* the last one whose between had its turn */
	unsigned long probe_at, probe_to;	/* where the mapping will be, and a place for it */
	uint32_t probe_len, probe_letter;
	int probe_fd;
	int listener;		/* in V */
	unsigned char pin_buf[PIN_ROOM], pin_buf2[PIN_ROOM];
	struct seccomp_notif_pin_args pin, pin2;
	struct count counts[MAX_FAMILIES][NR_MUTATORS][2];
	uint32_t replies[NR_REPLIES], befores[NR_BEFORE], betweens[NR_BETWEEN];
	uint32_t retried, murky, refused, generations, deaths, crashes;
	uint64_t fingerprint;	/* of all trials: what came of each, and when */
};

enum breakage {
	BREAK_NOTHING,
	BREAK_PLAIN,		/* V replies plainly where a pinned reply is meant */
	BREAK_HANG,		/* V stops replying */
	BREAK_LEAK,		/* a process stays */
	BREAK_LOST,		/* the program ends without a word */
};

struct violation {
	_Atomic bool ready;
	char text[480];
};

struct torture {
	uint64_t seed;
	uint64_t began;		/* ns */
	int nr_lanes;
	uint32_t trials;	/* of all lanes, and it is over; 0: not by their number */
	bool families[MAX_FAMILIES], mutators[NR_MUTATORS];
	enum breakage broken;	/* on purpose: the check has to fail */
	bool chaos, stop_at_first;
	_Atomic bool stop;
	_Atomic uint32_t begun;	/* trials */
	_Atomic uint32_t pressure;	/* odd: memory is short on purpose */
	_Atomic uint32_t nr_violations;
	_Atomic uint32_t aborted;	/* generations that did not begin, for chaos or for good */
	char why_aborted[64];
	_Atomic bool absent;	/* the kernel does not know PIN_ARGS */
	_Atomic uint32_t nr_chaos[16];
	struct violation violations[MAX_VIOLATIONS];
	struct lane lanes[MAX_LANES];
};

extern struct torture *torture;

/* One system call that can be tried, with what it does to whom. */
struct op {
	const char *family;
	const char *name;
	long nr;
	/* Set call.args but for the slots, and make the slots. */
	bool (*prepare)(struct lane *lane, struct trial *trial);
	/* Make the call some other way than from T itself; NULL: trap_call(). */
	long (*run)(struct lane *lane, struct trial *trial);
	/*
	 * Which letter took effect by slot, '0' for none and '?' for anything
	 * else; undo it.
	 */
	void (*probe)(struct lane *lane, struct trial *trial, long ret, char *letters);
};

/* util.c */
uint64_t now_ns(void);
uint64_t mix(uint64_t a, uint64_t b);
uint32_t random_below(struct lane *lane, uint32_t limit);
bool one_in(struct lane *lane, uint32_t n);
void futex_wait(_Atomic uint32_t *word, uint32_t value, unsigned int ms);
void futex_wake(_Atomic uint32_t *word);
void background(bool on);
void stay_on(const struct lane *lane, int other);
void actor_do(struct actor *actor, uint32_t what, bool wait);
uint32_t actor_next(struct actor *actor, uint32_t last);
void actor_done(struct actor *actor, uint32_t cmd);
__attribute__((format(printf, 3, 4)))
void violation(struct lane *lane, const char *statement, const char *fmt, ...);
void bail(const char *what) __attribute__((noreturn));
bool write_text(const char *path, const char *text);
bool under_pressure(const struct trial *trial);

/* slots.c: arguments */
void slot_bytes(struct lane *lane, struct trial *trial, int slot, const void *bytes,
		uint32_t size, uint32_t letter);
__attribute__((format(printf, 4, 5)))
void slot_string(struct lane *lane, struct trial *trial, int slot, const char *fmt, ...);
void slot_fixed_string(struct lane *lane, struct trial *trial, int slot, const char *text);
void slot_array(struct lane *lane, struct trial *trial, int slot,
		const char *const *strings, uint32_t nr, uint32_t lettered);
void slot_same(struct trial *trial, int slot, int as);
unsigned long slot_at(const struct trial *trial, int slot);
void slots_write(struct lane *lane, struct trial *trial);
void slot_copy(const struct slot *slot, char letter, void *to);
const char *slot_name(const struct trial *trial, int slot, char letter);
char slot_match(const struct slot *slot, const void *bytes, uint32_t size);

/* ops*.c */
extern const struct op path_ops[], change_ops[], data_ops[], socket_ops[], exec_ops[], mount_ops[],
		       more_ops[];
extern const char *family_names[MAX_FAMILIES];
extern int nr_families;
void ops_init(void);
void ops_lane_setup(struct lane *lane);
const struct op *ops_pick(struct lane *lane, int *family);
void path_setup(void);
void change_setup(void);
void data_setup(void);
void socket_setup(struct lane *lane);
void exec_setup(void);
void mount_setup(void);
void more_setup(void);
bool exec_is_echo(void);
int exec_echo(int argc, char **argv, char **envp);
char which_exists(const struct trial *trial, int slot, int flags);

/* mutate.c */
bool mutate_staged(struct lane *lane, struct trial *trial, pid_t pid, bool tracer);
bool mutate_is_exposed(struct lane *lane, struct trial *trial, pid_t pid);
void mutate_restore(struct lane *lane);
void mutate_thread(struct lane *lane);
void mutate_vmproc(struct lane *lane);
void mutate_outside(struct lane *lane);
bool mutate_attach(pid_t pid);
struct actor *mutate_actor(struct lane *lane, enum mutator m);

/* plan.c, prober.c, in T */
void plan_races(struct lane *lane, struct trial *trial, bool other);
void probe_setup(struct lane *lane);
void probe_aim(struct lane *lane, const struct trial *trial);
void probe_thread(struct lane *lane);

/* crowd.c */
bool crowd_is(const struct seccomp_notif *req);
void crowd_start(struct lane *lane);
void crowd_end(struct lane *lane);
void crowd_await(struct lane *lane);
void crowd_receive(struct lane *lane);

/* judge.c */
void judge(struct lane *lane, const struct op *op, long ret, int signals);

/* tracee.c, supervisor.c, lane.c, chaos.c, leaks.c */
void tracee(struct lane *lane, int sock) __attribute__((noreturn));
void supervisor(struct lane *lane, int sock) __attribute__((noreturn));
pid_t lane_start(struct lane *lane);
void chaos(uint64_t seed) __attribute__((noreturn));
void chaos_groups(void);
void chaos_join(void);
bool has_pin_mapping(const char *maps);
int naive(uint64_t seconds, bool pinned, bool plain);
void leaks_begin(void);
int leaks_end(void);

#endif
