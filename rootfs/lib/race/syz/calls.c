// SPDX-License-Identifier: GPL-2.0-or-later
/* The system calls that a reproducer makes, in place of libc's syscall(): see calls.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"

#define WORDS		8	/* arguments that libc passes on, and two more than there can be */
#define PAGE_SHIFT	12	/* of mmap2(), whatever the size of a page */
#define SIGSET_BYTES	8	/* of the kernel's signal set */
#define HERE		AT_FDCWD

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

#define call		__real_syscall

static long wait_for_events(const long *a)
{
	return call(__NR_epoll_pwait, a[0], a[1], a[2], a[3], NULL, SIGSET_BYTES);
}

static long old_poll(const long *a)
{
	struct timespec time = { .tv_sec = a[2] / 1000, .tv_nsec = a[2] % 1000 * 1000000 };

	return call(__NR_ppoll, a[0], a[1], a[2] < 0 ? NULL : &time, NULL, SIGSET_BYTES);
}

static long old_mmap(const long *a)
{
#ifdef __NR_mmap2
	return call(__NR_mmap2, a[0], a[1], a[2], a[3], a[4], (unsigned long)a[5] >> PAGE_SHIFT);
#else
	return call(__NR_mmap, a[0], a[1], a[2], a[3], a[4], a[5]);
#endif
}

static long old_call(long number, const long *a)
{
	switch (number - RACE_OLD_CALLS) {
	case 0: return old_mmap(a);
	case 1: return call(__NR_openat, HERE, a[0], a[1], a[2]);
	case 2: return call(__NR_openat, HERE, a[0], O_CREAT | O_WRONLY | O_TRUNC, a[1]);
	case 3: return call(__NR_mkdirat, HERE, a[0], a[1]);
	case 4: return call(__NR_unlinkat, HERE, a[0], AT_REMOVEDIR);
	case 5: return call(__NR_unlinkat, HERE, a[0], 0);
	case 6: return call(__NR_linkat, HERE, a[0], HERE, a[1], 0);
	case 7: return call(__NR_symlinkat, a[0], HERE, a[1]);
	case 8: return call(__NR_renameat2, HERE, a[0], HERE, a[1], 0);
	case 9: return call(__NR_renameat2, a[0], a[1], a[2], a[3], 0);
	case 10: return call(__NR_mknodat, HERE, a[0], a[1], a[2]);
	case 11: return call(__NR_fchmodat, HERE, a[0], a[1]);
	case 12: return call(__NR_fchownat, HERE, a[0], a[1], a[2], 0);
	case 13: return call(__NR_fchownat, HERE, a[0], a[1], a[2], AT_SYMLINK_NOFOLLOW);
	case 14: return call(__NR_faccessat, HERE, a[0], a[1]);
	case 15: return call(__NR_readlinkat, HERE, a[0], a[1], a[2]);
	case 16: return call(__NR_pipe2, a[0], 0);
	case 17: return a[0] == a[1] ? call(__NR_fcntl, a[0], F_GETFD) < 0 ? -1 : a[1] :
				       call(__NR_dup3, a[0], a[1], 0);
	case 18: return call(__NR_epoll_create1, 0);
	case 19: return wait_for_events(a);
	case 20: return call(__NR_eventfd2, a[0], 0);
	case 21: return call(__NR_signalfd4, a[0], a[1], a[2], 0);
	case 22: return call(__NR_inotify_init1, 0);
	case 23:
	case 24: return call(__NR_clone, SIGCHLD, 0, 0, 0, 0);
	case 25: return call(__NR_getpgid, 0);
	case 26: return call(__NR_ppoll, NULL, 0, NULL, NULL, SIGSET_BYTES);
	case 27: return old_poll(a);
	case 28: return call(__NR_getdents64, a[0], a[1], a[2]);
	case 30: return call(__NR_accept4, a[0], a[1], a[2], 0);
	}
	errno = ENOSYS;
	return -1;
}

long __wrap_syscall(long number, ...)
{
	long a[WORDS];
	va_list words;

	va_start(words, number);
	for (int i = 0; i < WORDS; i++)
		a[i] = va_arg(words, long);
	va_end(words);
	if (number >= RACE_OLD_CALLS)
		return old_call(number, a);
	return call(number, a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
}
