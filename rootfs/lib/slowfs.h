/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file system whose server takes its time: its file "f" never gives its
 * bytes, and names that begin with "l" are not found until they are let go.
 * Then they are symbolic links to what slow_fs_start() was told.
 */
#ifndef SLOWFS_H
#define SLOWFS_H

#include <stdatomic.h>
#include <sys/types.h>

struct slow_fs {
	_Atomic int reads;	/* requests for bytes that wait */
	_Atomic int lookups;	/* names that wait */
	_Atomic int let_go;	/* set it, and they are answered */
	pid_t pid;
	char where[64], target[64];
};

/* NULL with errno set when this kernel has no FUSE. */
struct slow_fs *slow_fs_start(const char *where, const char *target);
/* Whatever waits fails. */
void slow_fs_end(struct slow_fs *fs);

#endif
