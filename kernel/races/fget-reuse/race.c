// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CVE-2021-4083, mended by 054aa8d439b9 ("fget: check that the fd still exists after getting
 * a ref to it"). Side a asks for the file behind a descriptor. Side b closes the descriptor and
 * opens another file, which gets the struct file that has just been freed and a lower number:
 * at no time was the other file behind a's descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "race.h"

#define RIGHT	"/tmp/right"
#define WRONG	"/tmp/wrong"
#define HIGH	700		/* the number of a's descriptor; b's are lower */

static ino_t right;
static int other;		/* what b has opened */
static ino_t seen;

static void make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		race_die(path);
	close(fd);
}

static void setup(void)
{
	struct stat about;

	make_file(RIGHT);
	make_file(WRONG);
	if (stat(RIGHT, &about))
		race_die(RIGHT);
	right = about.st_ino;
}

static void prepare(void)
{
	int fd = open(RIGHT, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || dup3(fd, HIGH, O_CLOEXEC) != HIGH)
		race_die(RIGHT);
	close(fd);
	other = -1;
	seen = 0;
}

static void a(void)
{
	struct stat about;

	race_said.a = fstat(HIGH, &about) ? errno : 0;
	if (!race_said.a)
		seen = about.st_ino;
}

static void b(void)
{
	close(HIGH);
	other = open(WRONG, O_RDONLY | O_CLOEXEC);
	race_said.b = other < 0 ? errno : 0;
}

static const char *check(void)
{
	close(other);
	close(HIGH);	/* where b did not run */
	return seen && seen != right ? "the descriptor showed a file that it never had" : NULL;
}

static void control(void)
{
	struct stat about;

	b();
	if (fstat(other, &about))
		race_die("fstat");
	seen = about.st_ino;
}

RACE(.setup = setup, .prepare = prepare, .a = a, .b = b, .check = check, .control = control);
