/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For the reproducers of syzbot, which name system calls as x86_64 has them: those that this ABI
 * lacks get numbers of their own, and calls.c makes the calls that took their place.
 *
 * Included in front of the whole file, so that it must not include anything that looks at
 * _GNU_SOURCE.
 */
#ifndef RACE_SYZ_CALLS_H
#define RACE_SYZ_CALLS_H

#include <asm/unistd.h>

#define RACE_OLD_CALLS	0x7fff0000	/* no kernel has so many */

#ifndef __NR_mmap
#define __NR_mmap		(RACE_OLD_CALLS + 0)
#endif
#ifndef __NR_open
#define __NR_open		(RACE_OLD_CALLS + 1)
#endif
#ifndef __NR_creat
#define __NR_creat		(RACE_OLD_CALLS + 2)
#endif
#ifndef __NR_mkdir
#define __NR_mkdir		(RACE_OLD_CALLS + 3)
#endif
#ifndef __NR_rmdir
#define __NR_rmdir		(RACE_OLD_CALLS + 4)
#endif
#ifndef __NR_unlink
#define __NR_unlink		(RACE_OLD_CALLS + 5)
#endif
#ifndef __NR_link
#define __NR_link		(RACE_OLD_CALLS + 6)
#endif
#ifndef __NR_symlink
#define __NR_symlink		(RACE_OLD_CALLS + 7)
#endif
#ifndef __NR_rename
#define __NR_rename		(RACE_OLD_CALLS + 8)
#endif
#ifndef __NR_renameat
#define __NR_renameat		(RACE_OLD_CALLS + 9)
#endif
#ifndef __NR_mknod
#define __NR_mknod		(RACE_OLD_CALLS + 10)
#endif
#ifndef __NR_chmod
#define __NR_chmod		(RACE_OLD_CALLS + 11)
#endif
#ifndef __NR_chown
#define __NR_chown		(RACE_OLD_CALLS + 12)
#endif
#ifndef __NR_lchown
#define __NR_lchown		(RACE_OLD_CALLS + 13)
#endif
#ifndef __NR_access
#define __NR_access		(RACE_OLD_CALLS + 14)
#endif
#ifndef __NR_readlink
#define __NR_readlink		(RACE_OLD_CALLS + 15)
#endif
#ifndef __NR_pipe
#define __NR_pipe		(RACE_OLD_CALLS + 16)
#endif
#ifndef __NR_dup2
#define __NR_dup2		(RACE_OLD_CALLS + 17)
#endif
#ifndef __NR_epoll_create
#define __NR_epoll_create	(RACE_OLD_CALLS + 18)
#endif
#ifndef __NR_epoll_wait
#define __NR_epoll_wait		(RACE_OLD_CALLS + 19)
#endif
#ifndef __NR_eventfd
#define __NR_eventfd		(RACE_OLD_CALLS + 20)
#endif
#ifndef __NR_signalfd
#define __NR_signalfd		(RACE_OLD_CALLS + 21)
#endif
#ifndef __NR_inotify_init
#define __NR_inotify_init	(RACE_OLD_CALLS + 22)
#endif
#ifndef __NR_fork
#define __NR_fork		(RACE_OLD_CALLS + 23)
#endif
#ifndef __NR_vfork
#define __NR_vfork		(RACE_OLD_CALLS + 24)
#endif
#ifndef __NR_getpgrp
#define __NR_getpgrp		(RACE_OLD_CALLS + 25)
#endif
#ifndef __NR_pause
#define __NR_pause		(RACE_OLD_CALLS + 26)
#endif
#ifndef __NR_poll
#define __NR_poll		(RACE_OLD_CALLS + 27)
#endif
#ifndef __NR_getdents
#define __NR_getdents		(RACE_OLD_CALLS + 28)
#endif
/* What has no call in its place fails with ENOSYS, as the kernel would have it. */
#ifndef __NR_arch_prctl
#define __NR_arch_prctl		(RACE_OLD_CALLS + 100)
#endif
#ifndef __NR_modify_ldt
#define __NR_modify_ldt		(RACE_OLD_CALLS + 101)
#endif
#ifndef __NR_iopl
#define __NR_iopl		(RACE_OLD_CALLS + 102)
#endif
#ifndef __NR_ioperm
#define __NR_ioperm		(RACE_OLD_CALLS + 103)
#endif
#ifndef __NR_uselib
#define __NR_uselib		(RACE_OLD_CALLS + 104)
#endif
#ifndef __NR_alarm
#define __NR_alarm		(RACE_OLD_CALLS + 105)
#endif
#ifndef __NR_time
#define __NR_time		(RACE_OLD_CALLS + 106)
#endif
#ifndef __NR_utime
#define __NR_utime		(RACE_OLD_CALLS + 107)
#endif
#ifndef __NR_utimes
#define __NR_utimes		(RACE_OLD_CALLS + 108)
#endif
#ifndef __NR_futimesat
#define __NR_futimesat		(RACE_OLD_CALLS + 109)
#endif
#ifndef __NR_ustat
#define __NR_ustat		(RACE_OLD_CALLS + 110)
#endif
#ifndef __NR_select
#define __NR_select		(RACE_OLD_CALLS + 111)
#endif
#ifndef __NR_stat
#define __NR_stat		(RACE_OLD_CALLS + 112)
#endif
#ifndef __NR_lstat
#define __NR_lstat		(RACE_OLD_CALLS + 113)
#endif
#ifndef __NR_newfstatat
#define __NR_newfstatat		(RACE_OLD_CALLS + 114)
#endif
#ifndef __NR_sysfs
#define __NR_sysfs		(RACE_OLD_CALLS + 115)
#endif
#ifndef __NR_getrlimit
#define __NR_getrlimit		(RACE_OLD_CALLS + 116)
#endif
#ifndef __NR_fadvise64
#define __NR_fadvise64		(RACE_OLD_CALLS + 117)
#endif
#ifndef __NR_sync_file_range
#define __NR_sync_file_range	(RACE_OLD_CALLS + 118)
#endif
#ifndef __NR_migrate_pages
#define __NR_migrate_pages	(RACE_OLD_CALLS + 119)
#endif
#ifndef __NR_set_thread_area
#define __NR_set_thread_area	(RACE_OLD_CALLS + 120)
#endif
#ifndef __NR_get_thread_area
#define __NR_get_thread_area	(RACE_OLD_CALLS + 121)
#endif
#ifndef __NR_kexec_file_load
#define __NR_kexec_file_load	(RACE_OLD_CALLS + 122)
#endif
/* 32-bit ABIs have one call for all of System V's semaphores, messages and shared memory. */
#ifndef __NR_semtimedop
#define __NR_semtimedop		(RACE_OLD_CALLS + 123)
#endif
#ifndef __NR_semop
#define __NR_semop		(RACE_OLD_CALLS + 124)
#endif

/* And of sockets: i386 has no accept() but in socketcall(). */
#ifndef __NR_accept
#define __NR_accept		(RACE_OLD_CALLS + 30)
#endif

#endif
