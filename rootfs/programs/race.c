// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The race itself, a fixed number of times, and a fingerprint of how it went.
 *
 *   race SEED ROUNDS plain|pinned
 *
 * A thread rewrites the path of openat() all the time, at moments that come
 * from the seed; the supervisor looks, and lets the call go on when it saw the
 * good path.  Of each round the outcome and the moment are folded into the
 * fingerprint: on a machine that replays exactly it is the same every time,
 * and on any other it never is.
 *
 * Before round N it calls the Nth of the empty functions at MARKS, so that a
 * debugger stops there with one breakpoint that nothing else comes across; at
 * PROGRESS lies the fingerprint so far.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pinrace.h"

#define WAIT_MS		60000
#define LONGEST_SPIN	4000
#define LONGEST_SLEEP	20000		/* nanoseconds */
#define PATH_ROOM	16
#define PROGRESS	0x5eed0000ul	/* both are known to harness/replay/stop.py */
#define MARKS		0x5eed1000ul	/* one instruction a round */

enum outcome { KEPT = 'k', LOST = 'l', DENIED = 'd', BROKEN = 'b' };

struct shared {
	char dirs[3 + 5];		/* "/tmp/" from the fourth byte on */
	_Atomic uint32_t word;		/* "good" or "evil": one store changes it */
	char end;
	atomic_bool stop;
};

static struct shared *shared;
static uint64_t random_state;

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint32_t word(const char *text)
{
	uint32_t whole;

	memcpy(&whole, text, 4);
	return whole;
}

static char *path(void)
{
	return shared->dirs + 3;
}

/* xorshift64: Marsaglia, "Xorshift RNGs", 2003 */
static uint32_t random32(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 32;
}

static void *mutate(void *unused)
{
	const uint32_t words[] = { word("evil"), word("good") };

	(void)unused;
	for (unsigned int n = 0; !shared->stop; n++) {
		shared->word = words[n % 2];
		for (volatile uint32_t i = random32() % LONGEST_SPIN; i; i--)
			;
	}
	return NULL;
}

static enum outcome open_once(void)
{
	char first = 0;
	int fd = syscall(SYS_openat, AT_FDCWD, path(), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == EACCES ? DENIED : BROKEN;
	(void)!read(fd, &first, 1);
	close(fd);
	return first == 'g' ? KEPT : first == 'e' ? LOST : BROKEN;
}

__attribute__((noreturn))
static void tracee(int sock, int answers)
{
	pthread_t thread;
	int listener;
	char what;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (pthread_create(&thread, NULL, mutate, NULL))
		_exit(2);
	listener = pr_listen(SYS_openat);
	if (listener < 0 || pr_send_fd(sock, listener))
		_exit(2);
	close(listener);
	do {
		what = open_once();
	} while (write(answers, &what, 1) == 1);
	_exit(0);
}

static bool looks_good(int listener, const struct seccomp_notif *req, bool pinned)
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

/*
 * Let time pass between the look and the answer, now and then. Where CPUs
 * take turns, all of a round may else fit into one turn, and the race goes
 * one way for a thousand rounds.
 */
static void dawdle(void)
{
	const struct timespec some = { .tv_nsec = random32() % LONGEST_SLEEP };

	if (random32() % 4 == 0)
		nanosleep(&some, NULL);
}

static enum outcome round_once(int listener, int answers, bool pinned)
{
	struct seccomp_notif req;
	bool good;
	char what;

	if (pr_recv(listener, &req, WAIT_MS))
		die("no notification came");
	good = looks_good(listener, &req, pinned);
	dawdle();
	if (!good) {
		if (pr_deny(listener, req.id, EACCES))
			die("cannot deny");
	} else if (pr_continue(listener, req.id, pinned ? PR_PINNED :
			       SECCOMP_USER_NOTIF_FLAG_CONTINUE)) {
		die("cannot let it continue");
	}
	if (read(answers, &what, 1) != 1)
		die("no answer from the tracee");
	return what;
}

/* FNV-1a, 64 bits */
static uint64_t fold(uint64_t hash, const void *data, size_t size)
{
	for (const unsigned char *at = data; size--; at++)
		hash = (hash ^ *at) * 0x100000001b3ull;
	return hash;
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

static const uint32_t mark =	/* "return" */
#if defined(__x86_64__) || defined(__i386__)
	0xc3;
#elif defined(__aarch64__)
	0xd65f03c0;
#elif defined(__arm__)
	0xe12fff1e;
#else
#error "how does a function return?"
#endif

static void make_marks(unsigned int rounds)
{
	size_t size = MARKS - PROGRESS + rounds * sizeof(mark);
	void *place = mmap((void *)PROGRESS, size, PROT_READ | PROT_WRITE | PROT_EXEC,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	uint32_t *marks = (uint32_t *)MARKS;

	if (place != (void *)PROGRESS)
		die("no place for the marks");
	for (unsigned int i = 0; i < rounds; i++)
		marks[i] = mark;
	__builtin___clear_cache((char *)marks, (char *)(marks + rounds));
}

static void call_mark(unsigned int round)
{
	((void (*)(void))(MARKS + round * sizeof(mark)))();
}

static void start(int *listener, int *answers)
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
		tracee(pair[1], pipes[1]);
	}
	close(pair[1]);
	close(pipes[1]);
	*answers = pipes[0];
	*listener = pr_recv_fd(pair[0]);
	if (*listener < 0)
		die("no listener came");
	close(pair[0]);
}

int main(int argc, char **argv)
{
	unsigned int rounds, count[128] = { 0 };
	uint64_t half = 0, hash = 0xcbf29ce484222325ull;
	int listener, answers, first_lost = -1;
	bool pinned;

	if (argc != 4) {
		printf("usage: race SEED ROUNDS plain|pinned\n");
		return 2;
	}
	random_state = strtoull(argv[1], NULL, 0) * 2654435761u + 1;
	rounds = strtoul(argv[2], NULL, 0);
	pinned = !strcmp(argv[3], "pinned");
	write_file("good");
	write_file("evil");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	memcpy(path(), "/tmp/", 5);
	shared->word = word("good");
	start(&listener, &answers);
	make_marks(rounds);
	for (unsigned int i = 0; i < rounds; i++) {
		enum outcome what;
		struct timespec now;

		*(volatile uint64_t *)PROGRESS = hash;
		if (i == rounds / 2)
			half = hash;
		call_mark(i);
		what = round_once(listener, answers, pinned);
		if (what == LOST && first_lost < 0)
			first_lost = i;
		clock_gettime(CLOCK_MONOTONIC, &now);
		hash = fold(hash, &what, sizeof(what));
		hash = fold(hash, &now.tv_nsec, sizeof(now.tv_nsec));
		count[what & 127]++;
	}
	rec("race rounds=%u kept=%u lost=%u denied=%u broken=%u "
	    "first_lost=%d half=%016llx fingerprint=%016llx",
	    rounds, count[KEPT], count[LOST], count[DENIED], count[BROKEN], first_lost,
	    (unsigned long long)half, (unsigned long long)hash);
	return 0;
}
