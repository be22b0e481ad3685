// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The race of fcntl(F_SETLK) with close(), whose recovery was mended by 3cad1bc01041
 * ("filelock: Remove locks reliably when fcntl/close race is detected"), CVE-2024-41012.
 * Side a locks a file through a descriptor, side b closes it. Whoever comes first, nobody
 * has the lock in the end; another process asks.
 */
#include <fcntl.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "race.h"

#define SCRATCH	"/tmp/locked"

static int fd, own;		/* the descriptor of the round, and one that stays */
static int ask[2], told[2];

static struct flock whole_file(void)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET };
}

/* Another process: it tells for each byte whether anybody has a lock. */
static void answer_questions(void)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(ask[0], &byte, 1) == 1) {
		struct flock lock = whole_file();

		byte = fcntl(own, F_GETLK, &lock) ? '?' : lock.l_type == F_UNLCK ? 'n' : 'y';
		if (write(told[1], &byte, 1) != 1)
			break;
	}
	_exit(0);
}

static void setup(void)
{
	own = open(SCRATCH, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (own < 0 || pipe(ask) || pipe(told))
		race_die(SCRATCH);
	switch (fork()) {
	case -1:
		race_die("fork");
	case 0:
		answer_questions();
	}
}

static void prepare(void)
{
	struct flock *lock = race_argument();
	struct flock none = whole_file();

	none.l_type = F_UNLCK;
	fcntl(own, F_SETLK, &none);	/* what a lost round has left */
	*lock = whole_file();
	fd = open(SCRATCH, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		race_die(SCRATCH);
}

static void a(void)
{
	race_said.a = fcntl(fd, F_SETLK, race_source(race_argument())) ? errno : 0;
}

static void b(void)
{
	race_said.b = close(fd) ? errno : 0;
}

static const char *check(void)
{
	char byte = 'x';

	if (write(ask[1], &byte, 1) != 1 || read(told[0], &byte, 1) != 1 || byte == '?')
		race_die("nobody tells whether there is a lock");
	return byte == 'y' ? "a lock is left that nobody has" : NULL;
}

static void control(void)
{
	struct flock lock = whole_file();

	close(fd);
	if (fcntl(own, F_SETLK, &lock))
		race_die("cannot lock");
}

RACE(.setup = setup, .prepare = prepare, .a = a, .b = b, .check = check, .control = control,
     .gate_in_argument = true);
