// SPDX-License-Identifier: GPL-2.0-or-later
/* What calls work on, and how it is seen which argument they took. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "gates.h"

#define PLACE	"/tmp/gates"
/* The attribute that a torn name is: see table.c. */
#define HAVE	"trusted.nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnhave"

static void make_file(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		die(name);
	close(fd);
}

/*
 * dir/none is not there, fil is no directory, dir/loop leads to itself: three
 * paths that every call can be given, that none survives, and that it tells
 * apart by ENOENT, ENOTDIR and ELOOP.
 */
void objects_init(void)
{
	if (mkdir(PLACE, 0755) && errno != EEXIST)
		die(PLACE);
	if (mount("gates", PLACE, "tmpfs", 0, NULL) || chdir(PLACE))
		die("cannot mount " PLACE);
	if (mkdir("dir", 0755) || symlink("loop", "dir/loop") || mkdir("mnt", 0755))
		die("cannot make directories");
	make_file("fil");
}

static void place(int fd, int where)
{
	if (fd < 0 || dup2(fd, where) != where)
		die("cannot make what the call works on");
	if (fd != where)
		close(fd);
}

void objects_make(enum object what)
{
	int pair[2] = { -1, -1 };

	close(FD);
	close(PEER);
	unlink("made");
	make_file("fil");
	if (setxattr("fil", HAVE, "v", 1, 0))
		die("setxattr");
	if (what == FILES) {
		place(open("fil", O_RDWR), FD);
		place(open("fil", O_RDWR), PEER);
	} else if (what == INOTIFY) {
		place(inotify_init1(0), FD);
	} else if (what == DGRAM) {
		place(socket(AF_UNIX, SOCK_DGRAM, 0), FD);
	} else if (what == TCP || what == UDP) {
		place(socket(AF_INET, what == TCP ? SOCK_STREAM : SOCK_DGRAM, 0), FD);
	} else if (what == STREAM) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
			die("socketpair");
		place(pair[0], FD);
		place(pair[1], PEER);
	} else if (what == PIPES) {
		if (pipe(pair))
			die("pipe");
		place(pair[1], FD);
		place(pair[0], PEER);
	}
	if (what == STREAM || what == PIPES)
		fcntl(PEER, F_SETFL, O_NONBLOCK);
}

static bool is(const char *text, const char *head, const char *tail, const struct value *v)
{
	return !memcmp(text, head, v->head) && !memcmp(text + v->head, tail, v->tail);
}

enum seen compare(const struct value *v, const char *text, size_t size)
{
	if (size < v->head + v->tail)
		return IS_OTHER;
	return is(text, v->a_head, v->a_tail, v) ? IS_A :
	       is(text, v->b_head, v->b_tail, v) ? IS_B :
	       is(text, v->a_head, v->b_tail, v) ? IS_TORN : IS_OTHER;
}

/* A is two strings, the second "good", and B three, the others "evil". */
enum seen compare_strings(unsigned int count, const char *second)
{
	if (count == 2 && !strcmp(second, "good"))
		return IS_A;
	if (strcmp(second, "evil"))
		return IS_OTHER;
	return count == 3 ? IS_B : count == 2 ? IS_TORN : IS_OTHER;
}

static enum seen by_code(const struct row *row, int code)
{
	for (int i = 0; i < (row->whole ? IS_TORN : IS_OTHER); i++)
		if (code == row->codes[i])
			return i;
	return IS_OTHER;
}

enum seen look_at_code(const struct row *row, const struct result *result)
{
	return by_code(row, result->ret < 0 ? result->err : 0);
}

enum seen look_at_option(const struct row *row, const struct result *result)
{
	int value = -1;
	socklen_t size = sizeof(value);

	if (result->ret || getsockopt(FD, row->args[1], row->args[2], &value, &size))
		return IS_OTHER;
	return by_code(row, size == 1 ? value & 255 : value);
}

enum seen look_at_option_bytes(const struct row *row, const struct result *result)
{
	char value[64] = "";
	socklen_t size = sizeof(value);

	if (result->ret || getsockopt(FD, row->args[1], row->args[2], value, &size))
		return IS_OTHER;
	return compare(row->value, value, sizeof(value));
}

/* What has been written, read at the other end; of a file, where it was written. */
enum seen look_at_peer(const struct row *row, const struct result *result)
{
	size_t size = row->value->head + row->value->tail;
	char text[ROOM] = "";

	if (result->ret != (long)size)
		return IS_OTHER;
	if (row->on == FILES)
		lseek(PEER, -(off_t)size, SEEK_END);
	if (read(PEER, text, sizeof(text)) != (ssize_t)size)
		return IS_OTHER;
	return compare(row->value, text, size);
}

enum seen look_at_link(const struct row *row, const struct result *result)
{
	char text[ROOM] = "";
	ssize_t size = readlink("made", text, sizeof(text) - 1);

	return result->ret ? IS_OTHER : compare(row->value, text, size < 0 ? 0 : size + 1);
}

enum seen look_at_mount(const struct row *row, const struct result *result)
{
	FILE *info = fopen("/proc/self/mountinfo", "re");
	char line[ROOM], name[ROOM] = "";
	const char *at;

	while (info && fgets(line, sizeof(line), info))
		if (strstr(line, PLACE "/mnt ") && (at = strstr(line, " - tmpfs ")))
			sscanf(at, " - tmpfs %511s", name);
	if (info)
		fclose(info);
	umount("mnt");
	return result->ret ? IS_OTHER : compare(row->value, name, sizeof(name));
}

enum seen look_at_echo(const struct row *row, const struct result *result)
{
	char text[ROOM] = "", second[ROOM] = "";
	unsigned int count = 0;

	(void)row;
	(void)result;		/* a call that worked did not return */
	if (read(PEER, text, sizeof(text) - 1) <= 0 ||
	    sscanf(text, "%u %511s", &count, second) != 2)
		return IS_OTHER;
	return compare_strings(count, second);
}
