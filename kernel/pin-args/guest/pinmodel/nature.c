// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * C16: the source changes its nature while the snapshot is taken.  It is a page
 * that is not there; whoever reads it waits for a userfaultfd, and a thread of
 * T's puts something else in its place before it lets the reader go on.
 *
 * Whatever that is: the request ends, or waits where it can be killed, and T's
 * other threads can go on with their memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kinds.h"
#include "slowfs.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif

#define SOON_MS		20000	/* for what only the host's load delays */
#define FAULT_MS	2000	/* for a fault, where there may be none */
#define REST_MS		400	/* for a request that waits to have come to rest */
#define TEXT		"/tmp/pinmodel/A"

enum nature {
	IS_ANONYMOUS, IS_FILE, IS_BEYOND, IS_NONE, IS_UNMAPPED, IS_GUARD, IS_MISSING, IS_SLOW,
	SLOW_FROM_THE_START,
};

enum place { PLACE_PATH, PLACE_DATA, PLACE_TABLE, PLACE_STRING };

#define ARG(nature, place)	((uint64_t)(nature) << 8 | (place))

enum { W_FAULTED, W_SWAPPED, W_PROBED, W_PINNED, W_ERROR };	/* of play->words */
enum { CUE_PROBE = 1 };

static size_t page;
static char *at;		/* the page */
static int faults;
static struct slow_fs *fs;

static void *map_slow(void)
{
	char name[80];
	void *map;
	int fd;

	snprintf(name, sizeof(name), "%s/f", fs->where);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	map = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd < 0 || map == MAP_FAILED)
		skip_kind("no slow file: %s", strerror(errno));
	madvise(map, page, MADV_RANDOM);	/* one page, and no reading ahead */
	return map;
}

static void *map_file(bool beyond)
{
	int fd = syscall(SYS_memfd_create, "nature", 0);

	if (fd < 0 || ftruncate(fd, beyond ? 0 : page))
		skip_kind("memfd_create: %s", strerror(errno));
	(void)!pwrite(fd, TEXT, sizeof(TEXT), 0);
	if (beyond)
		(void)!ftruncate(fd, 0);
	return mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
}

static void register_missing(void *what)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)what, page }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (ioctl(faults, UFFDIO_REGISTER, &reg))
		skip_kind("UFFDIO_REGISTER: %s", strerror(errno));
}

static void *map_anonymous(void)
{
	return mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void replace(enum nature nature)
{
	void *other = NULL;

	switch (nature) {
	case IS_ANONYMOUS:
		other = map_anonymous();
		memcpy(other, TEXT, sizeof(TEXT));
		break;
	case IS_FILE:
	case IS_BEYOND:
		other = map_file(nature == IS_BEYOND);
		break;
	case IS_SLOW:
		other = map_slow();
		break;
	case IS_MISSING:
		other = map_anonymous();
		register_missing(other);
		break;
	case IS_NONE:
		mprotect(at, page, PROT_NONE);
		return;
	case IS_UNMAPPED:
		munmap(at, page);
		return;
	case IS_GUARD:
		madvise(at, page, MADV_GUARD_INSTALL);
		return;
	default:
		return;
	}
	mremap(other, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, at);
}

static void *swapper(void *arg)
{
	struct uffdio_range range = { (uintptr_t)at, page };
	struct play *play = arg;
	struct uffd_msg msg;

	if (read(faults, &msg, sizeof(msg)) != sizeof(msg))
		return NULL;
	play->words[W_FAULTED] = 1;
	replace((uintptr_t)play->arg >> 8);
	play->words[W_SWAPPED] = 1;
	ioctl(faults, UFFDIO_WAKE, &range);
	for (;;)
		pause();
}

/* A thread of T's that has nothing to do with it. */
static void *prober(void *arg)
{
	struct play *play = arg;

	await_int(&play->cue, CUE_PROBE, 1000000);
	map_anonymous();
	play->words[W_PROBED] = 1;
	for (;;)
		pause();
	return NULL;
}

static void body(struct play *play)
{
	enum nature nature = (uintptr_t)play->arg >> 8;
	enum place place = (uintptr_t)play->arg & 0xff;
	struct uffdio_api api = { .api = UFFD_API };
	static char *table[3] = { (char *)"x" };
	struct call call = { .nr = SYS_openat, .args = { AT_FDCWD, 0, O_RDONLY } };
	pthread_t thread;

	faults = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (faults < 0 || ioctl(faults, UFFDIO_API, &api))
		skip_kind("no userfaultfd: %s", strerror(errno));
	at = nature == SLOW_FROM_THE_START ? map_slow() : map_anonymous();
	if (nature != SLOW_FROM_THE_START)
		register_missing(at);
	if (pthread_create(&thread, NULL, swapper, play) ||
	    pthread_create(&thread, NULL, prober, play))
		skip_kind("no threads");
	call.args[1] = (long)at;
	if (place == PLACE_DATA)
		call = (struct call){ .nr = SYS_write, .args = { 1, (long)at, 16 } };
	table[1] = at;
	if (place >= PLACE_TABLE)
		call = (struct call){
			.nr = SYS_execve, .args = { (long)"/", place == PLACE_TABLE ? (long)at :
						    (long)table, 0 },
		};
	play_trap(play);
	play_call(play, &call);
	for (;;)
		pause();
}

static void take(struct play *play, uint64_t id, enum place place)
{
	static const int kinds[] = {
		[PLACE_PATH] = SECCOMP_PIN_CSTRING, [PLACE_DATA] = SECCOMP_PIN_FIXED,
		[PLACE_TABLE] = SECCOMP_PIN_CSTRING_ARRAY, [PLACE_STRING] = SECCOMP_PIN_CSTRING_ARRAY,
	};
	static char buf[8192];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	play->words[W_ERROR] = sup_pin(play->listener, id, 1, kinds[place],
				       place == PLACE_DATA ? 16 : 4096, buf, sizeof(buf), NULL);
	play->words[W_PINNED] = 1;
	_exit(0);
}

static bool others_go_on(struct play *play)
{
	play->cue = CUE_PROBE;
	return await_int(&play->words[W_PROBED], 1, SOON_MS);
}

/* It waits, or hangs. */
static bool can_be_left(struct play *play, pid_t v)
{
	bool good = true;

	if (!others_go_on(play)) {
		note("C16: while the request waits, T's memory is locked");
		good = false;
	}
	kill(v, SIGKILL);
	if (!await_gone(v, GONE_MS)) {
		note("C16: the supervisor waits where SIGKILL does not end it (state %c)",
		     task_state(v));
		good = false;
	}
	return good;
}

static bool judge(struct play *play, pid_t v, enum nature nature)
{
	int error;

	if (nature != SLOW_FROM_THE_START) {
		await_int(&play->words[W_FAULTED], 1, FAULT_MS);
		if (play->words[W_FAULTED] && !await_int(&play->words[W_SWAPPED], 1, SOON_MS)) {
			note("C16: while the request waits for a page, T's memory is locked");
			return false;
		}
	}
	if (!await_int(&play->words[W_PINNED], 1, REST_MS))
		return can_be_left(play, v);
	error = play->words[W_ERROR];
	/* What was moved there is no userfaultfd's any more, and reads as zeroes. */
	if (error == EFAULT || (!error && (nature == IS_ANONYMOUS || nature == IS_FILE ||
					   nature == IS_MISSING)))
		return true;
	note("C16: the request gave %s", errno_name(-error));
	return false;
}

static bool check(uint64_t arg)
{
	struct seccomp_notif req;
	struct play *play;
	char where[48];
	bool good;
	pid_t v;

	page = sysconf(_SC_PAGESIZE);
	if (arg >> 8 == IS_SLOW || arg >> 8 == SLOW_FROM_THE_START) {
		snprintf(where, sizeof(where), "/tmp/nature-%d", getpid());
		fs = slow_fs_start(where, "/");
		if (!fs)
			skip_kind("no FUSE: %s", strerror(errno));
	}
	play = play_start(body, (void *)(uintptr_t)arg);
	if (sup_recv(play, &req))
		no_call(play);
	v = fork();
	if (v == 0)
		take(play, req.id, arg & 0xff);
	good = judge(play, v, arg >> 8);
	if (fs)
		slow_fs_end(fs);
	kill(v, SIGKILL);
	await_gone(v, GONE_MS);
	kill(play->pid, SIGKILL);
	if (!await_gone(play->pid, GONE_MS)) {
		note("C20: T cannot be killed (state %c)", task_state(play->pid));
		good = false;
	}
	return good;
}

#define KIND(what, nature, place)	\
	{ "C16 a source that becomes " what, check, ARG(nature, place), false }

const struct kind nature_kinds[] = {
	KIND("other memory, of a path", IS_ANONYMOUS, PLACE_PATH),
	KIND("a file's, of a string", IS_FILE, PLACE_STRING),
	KIND("the end of a file, of data", IS_BEYOND, PLACE_DATA),
	KIND("inaccessible, of a table", IS_NONE, PLACE_TABLE),
	KIND("unmapped, of a string", IS_UNMAPPED, PLACE_STRING),
	KIND("a guard page, of a path", IS_GUARD, PLACE_PATH),
	KIND("another page that is missing, of data", IS_MISSING, PLACE_DATA),
	KIND("a slow file's, of a path", IS_SLOW, PLACE_PATH),
	KIND("a slow file's, of data", IS_SLOW, PLACE_DATA),
	KIND("a slow file's, of a table", IS_SLOW, PLACE_TABLE),
	KIND("a slow file's, of a string", IS_SLOW, PLACE_STRING),
	{ "C16 a source that is a slow file's, a path", check,
	  ARG(SLOW_FROM_THE_START, PLACE_PATH), false },
	{ "C16 a source that is a slow file's, a string", check,
	  ARG(SLOW_FROM_THE_START, PLACE_STRING), false },
	{ NULL, NULL, 0, false },
};
