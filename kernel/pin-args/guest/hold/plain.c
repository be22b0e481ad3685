// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Races that a kernel has by its nature, as no snapshot is taken of anything:
 * what a search has to find. Side a makes a call, or approves one; side b
 * changes its argument.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "pinrace.h"
#include "hold.h"

#define FIRST_WORD	0x78787878	/* "xxxx", no file system, */
#define SECOND_WORD	0x636f7270	/* and "proc", which is one, but */
#define BEHIND		0x79797979	/* not with "yyyy" behind it */

static char text[PATH_ROOM];	/* what came out of a pipe */
static int pipes[2];

static bool make_pipes(struct round *r)
{
	(void)r;
	return pipes[1] || !pipe2(pipes, O_CLOEXEC | O_NONBLOCK);
}

/* ---- looked at, and then used ---- */

static void look_and_continue(struct round *r)
{
	struct seccomp_notif_resp resp = {
		.id = r->id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE,
	};
	struct iovec here = { r->a.text, PATH_ROOM }, there = { (void *)(uintptr_t)r->path, PATH_ROOM };

	if (process_vm_readv(r->pid, &here, 1, &there, 1, 0) != PATH_ROOM)
		race_die("cannot look at the path");
	memcpy(race_answer, &resp, sizeof(resp));
	r->a.err = ioctl(r->listener, SECCOMP_IOCTL_NOTIF_SEND, race_answer_place) ? errno : 0;
}

static const char *check_used(struct round *r)
{
	r->what = wait_answer(r);
	return r->what == meaning(r->a.text) ? NULL : "the call ran on what was not looked at";
}

/* ---- torn: half of it old, half of it new ---- */

static void open_a(struct round *r)
{
	r->what = open_and_tell(race_source(shared_path));
}

static const char *check_path(struct round *r)
{
	return r->what == NOT_FOUND ? "the path was torn" : NULL;
}

static void write_a(struct round *r)
{
	r->a.err = write(pipes[1], race_source(shared_path), PATH_ROOM) == PATH_ROOM ? 0 : errno;
}

static const char *check_data(struct round *r)
{
	if (r->a.err || read(pipes[0], text, PATH_ROOM) != PATH_ROOM)
		race_die("the pipe gives something else");
	r->what = meaning(text);
	return r->what == NOT_FOUND ? "the data was torn" : NULL;
}

static struct iovec *vector(void)
{
	return (struct iovec *)shared_path;
}

static void point_to(const char *first, const char *second)
{
	struct iovec volatile *vec = vector();

	vec[0].iov_base = (void *)first;
	vec[1].iov_base = (void *)second;
}

static bool prepare_vector(struct round *r)
{
	vector()[0].iov_len = vector()[1].iov_len = PATH_ROOM / 2;
	point_to(GOOD, &GOOD[PATH_ROOM / 2]);
	return make_pipes(r);
}

static void change_vector(struct round *r)
{
	(void)r;
	point_to(EVIL, &EVIL[PATH_ROOM / 2]);
}

static void writev_a(struct round *r)
{
	r->a.err = writev(pipes[1], race_source(shared_path), 2) == PATH_ROOM ? 0 : errno;
}

/* ---- measured, and then copied ---- */

static void set_words(uint32_t first, uint32_t second)
{
	uint32_t volatile *words = (uint32_t *)shared_path;

	words[1] = second;
	words[0] = first;
}

static bool prepare_name(struct round *r)
{
	(void)r;
	memset(shared_path, 0, PATH_ROOM);
	set_words(FIRST_WORD, 0);
	return true;
}

static void change_name(struct round *r)
{
	(void)r;
	set_words(SECOND_WORD, BEHIND);
}

static void fsopen_a(struct round *r)
{
	int fd = syscall(SYS_fsopen, shared_path, 0);

	r->a.err = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
}

static const char *check_name(struct round *r)
{
	if (r->a.err && r->a.err != ENODEV)
		race_die("fsopen");
	return r->a.err ? NULL : "the name has the length of one and the bytes of the other";
}

const struct scenario plain_scenarios[] = {
	{ .name = "use", .a = look_and_continue, .b = flip, .check = check_used, .again = true,
	  .gate_in_answer = true },
	{ .name = "path", .a = open_a, .b = flip, .check = check_path, .alone = true,
	  .gate_after = PATH_ROOM / 2 },
	{ .name = "data", .prepare = make_pipes, .a = write_a, .b = flip, .check = check_data,
	  .alone = true, .gate_after = PATH_ROOM / 2 },
	{ .name = "vector", .prepare = prepare_vector, .a = writev_a, .b = change_vector,
	  .check = check_data, .alone = true, .gate_after = sizeof(struct iovec) },
	{ .name = "name", .prepare = prepare_name, .a = fsopen_a, .b = change_name,
	  .check = check_name, .alone = true },
	{ 0 },
};
