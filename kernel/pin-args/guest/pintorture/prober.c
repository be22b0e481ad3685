// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A thread of T's that goes for the mapping of the snapshot all through a
 * call: as it is made, while it is there, and as it is removed.  Where it will
 * be is no secret: the kernel puts it where it would put any other mapping.
 */
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "torture.h"

#define ROOM	(64u << 10)	/* more than any snapshot of a trial that is probed */

void probe_setup(struct lane *lane)
{
	void *to = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = syscall(SYS_memfd_create, "probe", 1);

	if (to == MAP_FAILED || fd < 0 || ftruncate(fd, ROOM))
		bail("probe");
	lane->probe_to = (unsigned long)to;
	lane->probe_fd = fd;
}

/* Bytes of the snapshot: without the counts of arrays, and with their tables. */
static uint32_t snapshot_size(const struct trial *trial)
{
	uint32_t size = 0;

	for (int i = 0; i < SLOTS; i++) {
		const struct slot *slot = &trial->slots[i];

		if (!(trial->pinned & 1u << i))
			continue;
		size += slot->size;
		if (slot->kind == SECCOMP_PIN_CSTRING_ARRAY)
			size += (slot->nr_strings + 2) * sizeof(long);
	}
	return size;
}

/* Find out where a mapping of that size goes. */
void probe_aim(struct lane *lane, const struct trial *trial)
{
	size_t page = sysconf(_SC_PAGESIZE);
	int first = __builtin_ctz(trial->pinned);
	void *at;

	lane->probe_len = (snapshot_size(trial) + page - 1) / page * page + page;
	lane->probe_letter = trial->slots[first].letter;
	at = mmap(NULL, lane->probe_len, PROT_READ, MAP_SHARED, lane->probe_fd, 0);
	lane->probe_at = (unsigned long)at;
	if (at != MAP_FAILED)
		munmap(at, lane->probe_len);
	else
		lane->probe_at = lane->probe_to;
}

/* Do it once; whether the kernel let it happen, where that can be told. */
static bool attack(const struct lane *lane, enum probe probe)
{
	void *at = (void *)lane->probe_at;
	struct iovec from = { "M", 1 }, to = { (char *)at + lane->probe_letter, 1 };

	switch (probe) {
	case P_MUNMAP:
		munmap(at, lane->probe_len);	/* the call will tell */
		return false;
	case P_MPROTECT:
		return !mprotect(at, lane->probe_len, PROT_NONE);
	case P_MREMAP:
		return mremap(at, lane->probe_len, lane->probe_len,
			      MREMAP_MAYMOVE | MREMAP_FIXED,
			      (void *)lane->probe_to) != MAP_FAILED;
	case P_WRITE:
		return process_vm_writev(lane->t_pid, &from, 1, &to, 1, 0) == 1;
	default:
		madvise(at, lane->probe_len, MADV_DONTNEED);
		return false;
	}
}

void probe_thread(struct lane *lane)
{
	static const char *const names[NR_PROBES] = {
		"nothing", "unmap", "protect", "move", "write to", "drop",
	};
	struct actor *me = &lane->prober;
	uint32_t cmd = 0;

	stay_on(lane, 1);
	for (;;) {
		enum probe probe;
		bool told = false;

		cmd = actor_next(me, cmd);
		probe = lane->trial.probe;
		actor_done(me, cmd);
		while (me->what == DO_PROBE && me->cmd == cmd) {
			if (attack(lane, probe) && !told) {
				told = true;
				violation(lane, "C5", "a thread could %s the snapshot",
					  names[probe]);
			}
		}
	}
}
