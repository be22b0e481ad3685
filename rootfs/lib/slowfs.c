// SPDX-License-Identifier: GPL-2.0-or-later
/* See slowfs.h; the protocol is that of linux/fuse.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slowfs.h"

#define FILE_BYTES	65536
#define MOST_KEPT	64
#define FOREVER		100000		/* seconds that attributes hold */

enum { ROOT = FUSE_ROOT_ID, SLOW_FILE, LINK };

static struct slow_fs *fs;
static uint64_t kept[MOST_KEPT];
static int nr_kept;

static void answer(int dev, uint64_t unique, int error, const void *body, size_t len)
{
	char out[512];
	struct fuse_out_header head = {
		.unique = unique, .error = -error, .len = sizeof(head) + (error ? 0 : len),
	};

	memcpy(out, &head, sizeof(head));
	if (!error && len)
		memcpy(out + sizeof(head), body, len);
	(void)!write(dev, out, head.len);
}

static struct fuse_attr attr_of(uint64_t node)
{
	struct fuse_attr attr = { .ino = node, .nlink = 1, .size = FILE_BYTES };

	attr.mode = node == ROOT ? S_IFDIR | 0777 : node == LINK ? S_IFLNK | 0777 :
		    S_IFREG | 0666;
	if (node == LINK)
		attr.size = strlen(fs->target);
	return attr;
}

static void found(int dev, uint64_t unique, uint64_t node)
{
	struct fuse_entry_out entry = {
		.nodeid = node, .entry_valid = FOREVER, .attr_valid = FOREVER,
		.attr = attr_of(node),
	};

	answer(dev, unique, 0, &entry, sizeof(entry));
}

static void serve(int dev, const struct fuse_in_header *head, const char *body)
{
	struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096,
		.flags = FUSE_PARALLEL_DIROPS,
	};
	struct fuse_attr_out attr = { .attr_valid = FOREVER, .attr = attr_of(head->nodeid) };
	struct fuse_open_out opened = { 0 };

	switch (head->opcode) {
	case FUSE_INIT:
		answer(dev, head->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		if (body[0] == 'l' && nr_kept < MOST_KEPT) {
			kept[nr_kept++] = head->unique;
			fs->lookups++;
		} else if (!strcmp(body, "f")) {
			found(dev, head->unique, SLOW_FILE);
		} else {
			answer(dev, head->unique, ENOENT, NULL, 0);
		}
		break;
	case FUSE_GETATTR:
		answer(dev, head->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_READLINK:
		answer(dev, head->unique, 0, fs->target, strlen(fs->target));
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		answer(dev, head->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		fs->reads++;		/* and no answer */
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	case FUSE_RELEASE:
	case FUSE_FLUSH:
		answer(dev, head->unique, 0, NULL, 0);
		break;
	default:
		answer(dev, head->unique, ENOSYS, NULL, 0);
	}
}

__attribute__((noreturn))
static void server(int dev)
{
	static union {
		struct fuse_in_header head;
		char bytes[70000];
	} in;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct pollfd pfd = { dev, POLLIN, 0 };

		while (fs->let_go && nr_kept)
			found(dev, kept[--nr_kept], LINK);
		if (poll(&pfd, 1, 10) <= 0)
			continue;
		memset(in.bytes, 0, 512);
		if (read(dev, in.bytes, sizeof(in.bytes)) > 0)
			serve(dev, &in.head, in.bytes + sizeof(in.head));
		else if (errno == ENODEV)
			_exit(0);
	}
}

struct slow_fs *slow_fs_start(const char *where, const char *target)
{
	char options[96];
	pid_t pid;
	int dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (dev < 0)
		return NULL;
	fs = mmap(NULL, sizeof(*fs), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fs == MAP_FAILED)
		return NULL;
	snprintf(fs->where, sizeof(fs->where), "%s", where);
	snprintf(fs->target, sizeof(fs->target), "%s", target);
	mkdir(where, 0755);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
		 dev);
	if (mount("slowfs", where, "fuse", 0, options)) {
		close(dev);
		return NULL;
	}
	pid = fork();
	if (pid == 0)
		server(dev);
	fs->pid = pid;
	close(dev);
	return pid < 0 ? NULL : fs;
}

void slow_fs_end(struct slow_fs *which)
{
	kill(which->pid, SIGKILL);
	waitpid(which->pid, NULL, 0);
	umount2(which->where, MNT_DETACH);
	munmap(which, sizeof(*which));
}
