// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who changes the source of a call: V itself at the worst moment (staged), or
 * an actor that does so all the time (free).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

#define LONGEST_SPIN	3000	/* turns between two mutations of a free actor */

const char *const mutator_names[NR_MUTATORS] = {
	"thread", "vm-process", "process_vm_writev", "alias", "proc-mem", "ptrace",
	"munmap", "mprotect", "mremap", "madvise", "replace",
};

/* ---- bytes ---- */

typedef bool (*writer)(struct lane *lane, unsigned long addr, const void *bytes, uint32_t len,
		       pid_t pid);

static bool write_here(struct lane *lane, unsigned long addr, const void *bytes, uint32_t len,
		       pid_t pid)
{
	(void)lane;
	(void)pid;
	memcpy((void *)addr, bytes, len);
	return true;
}

static bool write_pvm(struct lane *lane, unsigned long addr, const void *bytes, uint32_t len,
		      pid_t pid)
{
	struct iovec from = { (void *)bytes, len }, to = { (void *)addr, len };

	(void)lane;
	return process_vm_writev(pid, &from, 1, &to, 1, 0) == (ssize_t)len;
}

static bool write_mem(struct lane *lane, unsigned long addr, const void *bytes, uint32_t len,
		      pid_t pid)
{
	char path[32];
	bool good;
	int fd;

	(void)lane;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	good = pwrite(fd, bytes, len, (off_t)addr) == (ssize_t)len;
	close(fd);
	return good;
}

/* Whole words at a time, so the others of each are read first. */
static bool write_ptrace(struct lane *lane, unsigned long addr, const void *bytes, uint32_t len,
			 pid_t pid)
{
	const unsigned char *from = bytes;

	(void)pid;
	while (len) {
		unsigned long at = addr & ~(sizeof(long) - 1), skip = addr - at;
		uint32_t n = sizeof(long) - skip < len ? sizeof(long) - skip : len;
		long word;

		errno = 0;
		word = ptrace(PTRACE_PEEKDATA, lane->s_pid, (void *)at, NULL);
		if (errno)
			return false;
		memcpy((char *)&word + skip, from, n);
		if (ptrace(PTRACE_POKEDATA, lane->s_pid, (void *)at, (void *)word))
			return false;
		from += n;
		addr += n;
		len -= n;
	}
	return true;
}

static bool patch(struct lane *lane, struct trial *trial, pid_t pid, writer put)
{
	bool any = false;

	for (int i = 0; i < SLOTS; i++) {
		const struct slot *slot = &trial->slots[i];

		if (!(trial->mask & 1u << i) || !slot->lettered)
			continue;
		for (uint32_t j = 0; j < slot->nr_patches; j++)
			any = put(lane, trial->area + slot->patches[j].off,
				  slot->patches[j].bytes, slot->patches[j].len, pid) || any;
	}
	return any;
}

/* ---- mappings, as T's thread ---- */

static void *map_private(unsigned long addr)
{
	return mmap((void *)addr, AREA_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void spoil_mapping(struct lane *lane, struct trial *trial)
{
	void *area = (void *)lane->private;

	switch (trial->mutator) {
	case M_MUNMAP:
		munmap(area, AREA_BYTES);
		break;
	case M_MPROTECT:
		mprotect(area, AREA_BYTES, PROT_NONE);
		break;
	case M_MREMAP:
		mremap(area, AREA_BYTES, AREA_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED,
		       (void *)lane->spare);
		break;
	case M_DONTNEED:
		madvise(area, AREA_BYTES, MADV_DONTNEED);
		break;
	default:
		if (map_private(lane->private) != MAP_FAILED) {
			slots_write(lane, trial);
			patch(lane, trial, 0, write_here);
		}
	}
}

/*
 * Whatever became of T's own area, have it again.  The kernel may have put a
 * snapshot in the hole, which cannot be mapped over and goes by itself.
 */
static bool mend_mapping(struct lane *lane)
{
	return map_private(lane->private) != MAP_FAILED &&
	       map_private(lane->spare) != MAP_FAILED;
}

void mutate_restore(struct lane *lane)
{
	for (int i = 0; !mend_mapping(lane); i++) {
		if (i == 1000) {
			violation(lane, "C4", "the source cannot be mapped again after the call");
			return;
		}
		sched_yield();
	}
}

/* ---- actors ---- */

/*
 * Now and then let others run: those who wait for this CPU would else do so
 * for a whole time slice, and there would be fewer trials to spoil.
 */
static void spin(uint64_t *random)
{
	*random = mix(*random, 1);
	if (*random >> 62 == 0)
		sched_yield();
	for (volatile uint32_t i = *random % LONGEST_SPIN; i; i--)
		;
}

/* Change all letters to and fro until told something else. */
static void flip_freely(struct lane *lane, struct actor *actor, uint32_t cmd, writer put)
{
	struct trial *trial = &lane->trial;
	uint64_t random = mix(torture->seed, cmd);
	unsigned long area = trial->area;

	background(true);
	for (unsigned int n = 0; actor->cmd == cmd; n++) {
		for (int i = 0; i < SLOTS; i++) {
			if (trial->mask & 1u << i)
				put(lane, area + i * SLOT_BYTES + lane->letter_off,
				    n % 2 ? "T" : "M", 1, lane->t_pid);
		}
		spin(&random);
	}
	background(false);
}

static void map_freely(struct lane *lane, struct actor *actor, uint32_t cmd)
{
	uint64_t random = mix(torture->seed, cmd);

	while (actor->cmd == cmd) {
		spoil_mapping(lane, &lane->trial);
		lane->mutated = true;
		spin(&random);
		lane->mutated = false;
		while (!mend_mapping(lane)) {
			if (actor->cmd != cmd)
				return;	/* T has it mended when the call is over */
			sched_yield();
		}
		slots_write(lane, &lane->trial);
		spin(&random);
	}
}

/* A child of a task whose call is pinned: it has no part of that. */
static void fork_and_look(struct lane *lane)
{
	pid_t pid = fork();

	if (!pid) {
		if (has_pin_mapping("/proc/self/maps"))
			violation(lane, "C19", "a child has the mapping of the snapshot");
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* As a thread of T. */
void mutate_thread(struct lane *lane)
{
	struct actor *me = &lane->thread;
	uint32_t cmd = 0;	/* not me->cmd: there may be something to do already */

	for (;;) {
		cmd = actor_next(me, cmd);
		if (me->what == DO_FREE) {
			actor_done(me, cmd);
			if (is_mapping(lane->trial.mutator))
				map_freely(lane, me, cmd);
			else
				flip_freely(lane, me, cmd, write_here);
			continue;
		}
		if (me->what == DO_FORK)
			fork_and_look(lane);
		else if (me->what == DO_MUTATE && is_mapping(lane->trial.mutator))
			spoil_mapping(lane, &lane->trial);
		else if (me->what == DO_MUTATE)
			patch(lane, &lane->trial, 0, write_here);
		actor_done(me, cmd);
	}
}

/* As a process with T's memory: nothing here may touch T's errno. */
void mutate_vmproc(struct lane *lane)
{
	struct actor *me = &lane->vmproc;
	uint32_t cmd = 0;	/* not me->cmd: there may be something to do already */

	for (;;) {
		cmd = actor_next(me, cmd);
		if (me->what == DO_MUTATE)
			patch(lane, &lane->trial, 0, write_here);
		actor_done(me, cmd);
		if (me->what == DO_FREE)
			flip_freely(lane, me, cmd, write_here);
	}
}

/* As a process of its own, for free runs only. */
void mutate_outside(struct lane *lane)
{
	struct actor *me = &lane->outside;
	uint32_t cmd = 0;	/* not me->cmd: there may be something to do already */

	for (;;) {
		cmd = actor_next(me, cmd);
		actor_done(me, cmd);
		if (me->what != DO_FREE)
			continue;
		flip_freely(lane, me, cmd,
			    lane->trial.mutator == M_PVM ? write_pvm :
			    lane->trial.mutator == M_PROCMEM ? write_mem : write_here);
	}
}

/* Who runs freely for that mutator. */
struct actor *mutate_actor(struct lane *lane, enum mutator m)
{
	if (m == M_THREAD || is_mapping(m))
		return &lane->thread;
	return m == M_VMPROC ? &lane->vmproc : &lane->outside;
}

/* ---- as V ---- */

/* Trace a process and leave it stopped for good. */
bool mutate_attach(pid_t pid)
{
	int status;

	return !ptrace(PTRACE_SEIZE, pid, NULL, NULL) &&
	       !ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) &&
	       waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status);
}

/* Change the source now; whether that was done.  tracer: this thread traces S. */
bool mutate_staged(struct lane *lane, struct trial *trial, pid_t pid, bool tracer)
{
	switch (trial->mutator) {
	case M_THREAD:
		actor_do(&lane->thread, DO_MUTATE, true);
		return true;
	case M_VMPROC:
		actor_do(&lane->vmproc, DO_MUTATE, true);
		return true;
	case M_ALIAS:
		return patch(lane, trial, pid, write_here);
	case M_PROCMEM:
		return patch(lane, trial, pid, write_mem);
	case M_PTRACE:
		if (tracer)
			return patch(lane, trial, pid, write_ptrace);
		/* fall through */
	case M_PVM:
		return patch(lane, trial, pid, write_pvm);
	default:
		actor_do(&lane->thread, DO_MUTATE, true);
		return true;
	}
}

/* In a free run: whether the source is not what V saw, right now. */
bool mutate_is_exposed(struct lane *lane, struct trial *trial, pid_t pid)
{
	for (int i = 0; i < SLOTS; i++) {
		unsigned long at = slot_at(trial, i);
		struct iovec here, there = { (void *)at, 1 };
		char letter;

		if (!(trial->pinned & 1u << i) || !trial->slots[i].lettered)
			continue;
		here = (struct iovec){ &letter, 1 };
		if (!trial->private)
			letter = *(volatile char *)at;
		else if (process_vm_readv(pid, &here, 1, &there, 1, 0) != 1)
			return true;
		if (letter != lane->outcome.letters[i])
			return true;
	}
	return false;
}
