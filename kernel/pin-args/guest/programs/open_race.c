// SPDX-License-Identifier: GPL-2.0-or-later
/* See open_race.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "open_race.h"

#define WAIT_MS		60000
#define PATH_ROOM	16

static uint64_t random_state;

void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

void seed_random(const char *text)
{
	random_state = strtoull(text, NULL, 0) * 2654435761u + 1;
}

/* xorshift64: Marsaglia, "Xorshift RNGs", 2003 */
uint32_t random32(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 32;
}

uint32_t word(const char *text)
{
	uint32_t whole;

	memcpy(&whole, text, 4);
	return whole;
}

static char *path(struct target *target)
{
	return target->dirs + 3;
}

static void write_file(const char *name)
{
	char file[PATH_ROOM];
	int fd;

	snprintf(file, sizeof(file), "/tmp/%s", name);
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, name, 4) != 4)
		die(file);
	close(fd);
}

void *make_target(size_t size)
{
	struct target *target;

	write_file("good");
	write_file("evil");
	target = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (target == MAP_FAILED)
		die("mmap");
	memcpy(path(target), "/tmp/", 5);
	target->word = word("good");
	return target;
}

enum outcome open_target(struct target *target)
{
	char first = 0;
	int fd = syscall(SYS_openat, AT_FDCWD, path(target), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == EACCES ? DENIED : BROKEN;
	(void)!read(fd, &first, 1);
	close(fd);
	return first == 'g' ? KEPT : first == 'e' ? LOST : BROKEN;
}

__attribute__((noreturn))
static void tracee(void (*prepare)(void), enum outcome (*open_once)(void), int sock, int answers)
{
	int listener;
	char what;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prepare();
	listener = pr_listen(SYS_openat);
	if (listener < 0 || pr_send_fd(sock, listener))
		_exit(2);
	close(listener);
	do {
		what = open_once();
	} while (write(answers, &what, 1) == 1);
	_exit(0);
}

void start(void (*prepare)(void), enum outcome (*open_once)(void), int *listener, int *answers)
{
	int pair[2], pipes[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) || pipe2(pipes, O_CLOEXEC))
		die("cannot make pipes");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		close(pipes[0]);
		tracee(prepare, open_once, pair[1], pipes[1]);
	}
	close(pair[1]);
	close(pipes[1]);
	*answers = pipes[0];
	*listener = pr_recv_fd(pair[0]);
	if (*listener < 0)
		die("no listener came");
	close(pair[0]);
}

void receive(int listener, struct seccomp_notif *req)
{
	if (pr_recv(listener, req, WAIT_MS))
		die("no notification came");
}

bool looks_good(int listener, const struct seccomp_notif *req, bool pinned)
{
	char text[PATH_ROOM] = "";

	if (pinned) {
		struct seccomp_notif_pin_args pin = { 0 };

		pr_pin_add(&pin, 1, SECCOMP_PIN_CSTRING, sizeof(text));
		if (pr_pin(listener, &pin, req->id, text, sizeof(text)))
			die("PIN_ARGS");
	} else {
		struct iovec here = { text, sizeof(text) };
		struct iovec there = { (void *)(uintptr_t)req->data.args[1], sizeof(text) };

		if (process_vm_readv(req->pid, &here, 1, &there, 1, 0) <= 0)
			die("cannot read the path");
	}
	text[sizeof(text) - 1] = '\0';
	return !strcmp(text, "/tmp/good");
}

void answer(int listener, const struct seccomp_notif *req, bool good, bool pinned)
{
	if (good ? pr_continue(listener, req->id, pinned ? PR_PINNED :
			       SECCOMP_USER_NOTIF_FLAG_CONTINUE) :
		   pr_deny(listener, req->id, EACCES))
		die("cannot answer");
}

enum outcome outcome_of(int answers)
{
	char what;

	if (read(answers, &what, 1) != 1)
		die("no answer from the tracee");
	return what;
}

void count(struct tally *tally, unsigned int round, enum outcome what)
{
	if (what == LOST && !tally->count[LOST])
		tally->first_lost = round;
	tally->count[what & 127]++;
}
