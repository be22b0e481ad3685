// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * C5: whatever the memory is that an argument lies in, the pinned call does
 * what the unpinned one does; or the snapshot is refused.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kinds.h"

#define BYTES		16
#define FILE_NAME	"/tmp/pinmodel/A"	/* 16 bytes with its NUL */

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif
#ifndef PROT_MTE
#define PROT_MTE		0x20
#endif
#ifndef HWCAP2_MTE
#define HWCAP2_MTE		(1 << 18)
#endif

_Static_assert(sizeof(FILE_NAME) == BYTES, "the name is as long as the data");

enum what {
	M_PLAIN, M_READ_ONLY, M_WRITE_ONLY, M_EXEC_ONLY, M_NONE, M_UNMAPPED, M_SHARED_FILE,
	M_PRIVATE_FILE, M_HOLE, M_BEYOND, M_GUARD, M_INTO_NONE, M_INTO_GUARD, M_KEY_DENIES,
	M_KEY_READS, M_INTO_KEY, M_TAG_RIGHT, M_TAG_WRONG, M_VDSO, M_NOT_THERE, M_KERNEL,
};

static size_t page;

static char *fresh(int prot)
{
	char *at = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		skip_kind("no memory");
	memcpy(at, FILE_NAME, BYTES);
	if (prot >= 0 && mprotect(at, 2 * page, prot))
		skip_kind("no such protection: %s", strerror(errno));
	return at;
}

static char *of_file(off_t size, int flags, bool filled)
{
	int fd = syscall(SYS_memfd_create, "memory", 0);
	char *at;

	if (fd < 0 || ftruncate(fd, size))
		skip_kind("memfd_create: %s", strerror(errno));
	if (filled && pwrite(fd, FILE_NAME, BYTES, 0) != BYTES)
		skip_kind("write: %s", strerror(errno));
	at = mmap(NULL, 2 * page, PROT_READ, flags, fd, 0);
	return at;
}

/* What the bytes begin in is readable, and what they go on in is not. */
static char *into(char *at, bool guard)
{
	char *from = at + page - BYTES / 2;

	memmove(from, FILE_NAME, BYTES);
	if (guard ? madvise(at + page, page, MADV_GUARD_INSTALL) :
		    mprotect(at + page, page, PROT_NONE))
		skip_kind("not in this kernel: %s", strerror(errno));
	return from;
}

static char *guarded(void)
{
	char *at = fresh(-1);

	if (madvise(at, page, MADV_GUARD_INSTALL))
		skip_kind("no guard pages: %s", strerror(errno));
	return at;
}

#if defined(__x86_64__) || defined(__i386__)
/* From here on this thread may not read, or not write, what has the key. */
static char *keyed(bool reads, bool crosses)
{
	char *at = fresh(-1), *from = crosses ? at + page - BYTES / 2 : at;
	int key = syscall(SYS_pkey_alloc, 0, 0);
	unsigned int rights, high;

	if (key < 0)
		skip_kind("no protection keys: %s", strerror(errno));
	memmove(from, FILE_NAME, BYTES);
	if (syscall(SYS_pkey_mprotect, crosses ? at + page : at, page, PROT_READ | PROT_WRITE, key))
		skip_kind("pkey_mprotect: %s", strerror(errno));
	asm volatile(".byte 0x0f, 0x01, 0xee" : "=a" (rights), "=d" (high) : "c" (0));
	rights &= ~(3u << 2 * key);
	rights |= (reads ? 2u : 1u) << 2 * key;
	asm volatile(".byte 0x0f, 0x01, 0xef" : : "a" (rights), "c" (0), "d" (0));
	return from;
}
#else
static char *keyed(bool reads, bool crosses)
{
	(void)reads;
	(void)crosses;
	skip_kind("no protection keys on this ABI");
}
#endif

#if defined(__aarch64__)
static char *tagged(bool right)
{
	register uintptr_t at asm("x0");
	char *untagged;

	if (!(getauxval(AT_HWCAP2) & HWCAP2_MTE))
		skip_kind("no memory tags in this CPU");
	/* Tagged addresses, and a fault at once when a tag is wrong; tags 1 to 15. */
	if (prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | 1ul << 1 | 0xfffeul << 3, 0, 0, 0))
		skip_kind("no tags: %s", strerror(errno));
	untagged = fresh(PROT_READ | PROT_WRITE | PROT_MTE);
	at = (uintptr_t)untagged | 3ul << 56;
	asm volatile(".inst 0xd9200800" : : "r" (at) : "memory");	/* stg x0, [x0] */
	memcpy((char *)at, FILE_NAME, BYTES);
	return (char *)(right ? at : at ^ 6ul << 56);
}
#else
static char *tagged(bool right)
{
	(void)right;
	skip_kind("no memory tags on this ABI");
}
#endif

static char *make(enum what what)
{
	char *at;

	switch (what) {
	case M_PLAIN:
		return fresh(-1);
	case M_READ_ONLY:
		return fresh(PROT_READ);
	case M_WRITE_ONLY:
		return fresh(PROT_WRITE);
	case M_EXEC_ONLY:
		return fresh(PROT_EXEC);
	case M_NONE:
		return fresh(PROT_NONE);
	case M_UNMAPPED:
		at = fresh(-1);
		munmap(at, 2 * page);
		return at;
	case M_SHARED_FILE:
		return of_file(page, MAP_SHARED, true);
	case M_PRIVATE_FILE:
		return of_file(page, MAP_PRIVATE, true);
	case M_HOLE:
		return of_file(2 * page, MAP_SHARED, false);
	case M_BEYOND:
		return of_file(page, MAP_SHARED, true) + page;
	case M_GUARD:
		return guarded();
	case M_INTO_NONE:
		return into(fresh(-1), false);
	case M_INTO_GUARD:
		return into(fresh(-1), true);
	case M_KEY_DENIES:
		return keyed(false, false);
	case M_KEY_READS:
		return keyed(true, false);
	case M_INTO_KEY:
		return keyed(false, true);
	case M_TAG_RIGHT:
		return tagged(true);
	case M_TAG_WRONG:
		return tagged(false);
	case M_VDSO:
		at = (char *)getauxval(AT_SYSINFO_EHDR);
		if (!at)
			skip_kind("no vDSO");
		return at;
	case M_NOT_THERE:
		return NULL;
	case M_KERNEL:
		return (char *)-4096l;
	}
	return NULL;
}

static void make_calls(struct play *play)
{
	char *at = make((uintptr_t)play->arg);
	int fd = syscall(SYS_memfd_create, "written", 0);
	struct call path = { .nr = SYS_openat, .args = { AT_FDCWD, (long)at, O_RDONLY } };
	struct call data = { .nr = SYS_write, .args = { fd, (long)at, BYTES } };

	play_trap(play);
	for (int i = 0; i < 4; i++) {
		struct call call = i < 2 ? path : data;

		lseek(fd, 0, SEEK_SET);
		(void)!ftruncate(fd, 0);
		memset(play->seen, 0, SEEN);
		play_call(play, &call);
		if (i < 2 && call.ret >= 0) {
			(void)!read(call.ret, play->seen, 1);
			close(call.ret);
			play->ret = 0;		/* which descriptor does not count */
		} else if (i >= 2) {
			(void)!pread(fd, play->seen, SEEN, 0);
		}
		play->acted++;
		await_int(&play->cue, i + 1, WAIT_MS);
	}
}

struct came {
	int pin;		/* errno of the snapshot */
	long ret;
	char seen[SEEN];
};

static bool one_call(struct play *play, int number, bool pinned, bool data, struct came *came)
{
	struct seccomp_notif req;
	char buf[BYTES];

	memset(came, 0, sizeof(*came));
	if (sup_recv(play, &req))
		no_call(play);
	if (pinned)
		came->pin = sup_pin(play->listener, req.id, 1, data ? SECCOMP_PIN_FIXED :
				    SECCOMP_PIN_CSTRING, BYTES, buf, sizeof(buf), NULL);
	if (came->pin)
		sup_send(play->listener, req.id, 0, ECANCELED);
	else if (sup_send(play->listener, req.id, pinned ? PR_PINNED :
			  SECCOMP_USER_NOTIF_FLAG_CONTINUE, 0)) {
		note("the reply was refused: %s", strerror(errno));
		return false;
	}
	if (!await_int(&play->acted, number, WAIT_MS)) {
		note("the call does not return");
		return false;
	}
	came->ret = play->ret;
	memcpy(came->seen, play->seen, SEEN);
	play->cue = number;
	return true;
}

static bool must_be_taken(enum what what)
{
	return what <= M_READ_ONLY || what == M_SHARED_FILE || what == M_PRIVATE_FILE ||
	       what == M_HOLE || what == M_KEY_READS || what == M_TAG_RIGHT;
}

static bool compare(enum what what, bool data, const struct came *plain, const struct came *pinned)
{
	if (pinned->pin) {
		if (pinned->pin == EFAULT && !must_be_taken(what))
			return true;
		if (data || plain->ret != -ENOENT || pinned->pin != EFAULT)
			note("C5: the snapshot of a %s gave %s", data ? "buffer" : "path",
			     errno_name(-pinned->pin));
		return false;
	}
	if (plain->ret == pinned->ret && !memcmp(plain->seen, pinned->seen, SEEN))
		return true;
	note("C5: %s unpinned: %s, %ld; pinned: %s, %ld, bytes '%.16s'",
	     data ? "write" : "openat", errno_name(plain->ret), plain->ret,
	     errno_name(pinned->ret), pinned->ret, pinned->seen);
	return false;
}

static bool check(uint64_t what)
{
	bool good = true;
	struct play *play;

	page = sysconf(_SC_PAGESIZE);
	play = play_start(make_calls, (void *)(uintptr_t)what);
	for (int data = 0; data < 2; data++) {
		struct came plain, pinned;

		if (!one_call(play, 2 * data + 1, false, data, &plain) ||
		    !one_call(play, 2 * data + 2, true, data, &pinned))
			return false;
		/* A string longer than this cannot be armed; that is another statement. */
		if (!data && pinned.ret == -ECANCELED && !pinned.pin)
			continue;
		good &= compare(what, data, &plain, &pinned);
	}
	play_end(play);
	return good;
}

const struct kind memory_kinds[] = {
	{ "C5 memory that is readable", check, M_PLAIN, false },
	{ "C5 memory that is read-only", check, M_READ_ONLY, false },
	{ "C5 memory that is write-only", check, M_WRITE_ONLY, false },
	{ "C5 memory that is execute-only", check, M_EXEC_ONLY, false },
	{ "C5 memory without access", check, M_NONE, false },
	{ "C5 memory that is not mapped", check, M_UNMAPPED, false },
	{ "C5 memory of a file, shared", check, M_SHARED_FILE, false },
	{ "C5 memory of a file, private", check, M_PRIVATE_FILE, false },
	{ "C5 memory of a hole in a file", check, M_HOLE, false },
	{ "C5 memory beyond the end of a file", check, M_BEYOND, false },
	{ "C5 memory that is a guard page", check, M_GUARD, false },
	{ "C5 memory that goes on without access", check, M_INTO_NONE, false },
	{ "C5 memory that goes on as a guard page", check, M_INTO_GUARD, false },
	{ "C5 memory whose protection key denies reading", check, M_KEY_DENIES, false },
	{ "C5 memory whose protection key denies writing", check, M_KEY_READS, false },
	{ "C5 memory that goes on with a protection key", check, M_INTO_KEY, false },
	{ "C5 memory with the right tag", check, M_TAG_RIGHT, false },
	{ "C5 memory with a wrong tag", check, M_TAG_WRONG, false },
	{ "C5 memory of the vDSO", check, M_VDSO, false },
	{ "C5 memory at NULL", check, M_NOT_THERE, false },
	{ "C5 memory of the kernel", check, M_KERNEL, false },
	{ NULL, NULL, 0, false },
};
