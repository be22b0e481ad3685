// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The race of race.c under a scheduler that a seed chooses.
 *
 *   seek SEED ROUNDS plain|pinned MUTATORS POINTS
 *
 * All actors are bound to one CPU and have real-time priorities of their own,
 * drawn anew for each round, so that who runs is decided by them alone.  At
 * POINTS of the round's steps the one who takes the step falls behind all the
 * others: the algorithm of Burckhardt and others, "A randomized scheduler with
 * probabilistic guarantees of finding bugs", 2010.  Which step came behind
 * which one of another actor is what a run has covered.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
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
#include <unistd.h>

#include "pinrace.h"

#define WAIT_MS		60000
#define PATH_ROOM	16
#define MAX_MUTATORS	4
#define MAX_POINTS	8
#define LOWEST		10	/* the first priority that is no change point's */

/* The steps: what an actor is about to do. */
enum step { T_CALL, T_DONE, V_LOOK, V_ANSWER, V_DONE, M_EVIL, M_GOOD, M_DONE, NR_STEPS };
enum outcome { KEPT = 'k', LOST = 'l', DENIED = 'd', BROKEN = 'b' };

struct shared {
	char dirs[3 + 5];		/* "/tmp/" from the fourth byte on */
	_Atomic uint32_t word;		/* "good" or "evil" */
	char end;
	_Atomic unsigned int taken;	/* steps of this round */
	_Atomic int last, last_actor;	/* the latest step, and whose it was */
	_Atomic uint64_t pairs;		/* bit first * NR_STEPS + second */
	unsigned int points[MAX_POINTS], nr_points;
	pid_t tids[1 + MAX_MUTATORS];	/* the tracee's, the mutators' */
	sem_t begin[MAX_MUTATORS], ended;
};

static struct shared *shared;
static uint64_t random_state;
static unsigned int nr_mutators;

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

static void set_priority(pid_t tid, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	if (sched_setscheduler(tid, SCHED_FIFO, &param))
		die("sched_setscheduler");
}

/* Take a step; at a change point, after everybody else. */
static void step(int actor, enum step what)
{
	unsigned int number = shared->taken++;

	for (unsigned int i = 0; i < shared->nr_points; i++)
		if (shared->points[i] == number)
			set_priority(0, 1 + i);
	if (shared->last >= 0 && shared->last_actor != actor)
		shared->pairs |= 1ull << (shared->last * NR_STEPS + what);
	shared->last = what;
	shared->last_actor = actor;
}

static void *mutate(void *arg)
{
	int me = (intptr_t)arg;

	shared->tids[1 + me] = syscall(SYS_gettid);
	sem_post(&shared->ended);
	for (;;) {
		sem_wait(&shared->begin[me]);
		step(2 + me, M_EVIL);
		shared->word = word("evil");
		step(2 + me, M_GOOD);
		shared->word = word("good");
		step(2 + me, M_DONE);
		sem_post(&shared->ended);
	}
	return NULL;
}

static enum outcome open_once(void)
{
	char first = 0;
	int fd;

	step(0, T_CALL);
	fd = syscall(SYS_openat, AT_FDCWD, path(), O_RDONLY | O_CLOEXEC);
	step(0, T_DONE);
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
	shared->tids[0] = getpid();
	for (unsigned int i = 0; i < nr_mutators; i++)
		if (pthread_create(&thread, NULL, mutate, (void *)(intptr_t)i))
			_exit(2);
	for (unsigned int i = 0; i < nr_mutators; i++)
		sem_wait(&shared->ended);
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

/* Draw this round's priorities and change points. */
static void draw(void)
{
	unsigned int actors = 2 + nr_mutators, place[2 + MAX_MUTATORS];

	for (unsigned int i = 0; i < actors; i++) {
		unsigned int j = random32() % (i + 1);

		place[i] = place[j];
		place[j] = i;
	}
	shared->taken = 0;
	shared->last = -1;
	for (unsigned int i = 0; i < shared->nr_points; i++)
		shared->points[i] = random32() % (5 + 3 * nr_mutators);
	/* The tracee waits for us already, and the mutators too. */
	for (unsigned int i = 0; i < 1 + nr_mutators; i++)
		set_priority(shared->tids[i], LOWEST + place[i]);
	set_priority(0, LOWEST + place[actors - 1]);
}

static enum outcome round_once(int listener, int answers, bool pinned)
{
	struct seccomp_notif req;
	char what;
	bool good;

	if (pr_recv(listener, &req, WAIT_MS))
		die("no notification came");
	draw();
	for (unsigned int i = 0; i < nr_mutators; i++)
		sem_post(&shared->begin[i]);
	step(1, V_LOOK);
	good = looks_good(listener, &req, pinned);
	step(1, V_ANSWER);
	if (good ? pr_continue(listener, req.id, pinned ? PR_PINNED :
			       SECCOMP_USER_NOTIF_FLAG_CONTINUE) :
		   pr_deny(listener, req.id, EACCES))
		die("cannot answer");
	step(1, V_DONE);
	if (read(answers, &what, 1) != 1)
		die("no answer from the tracee");
	for (unsigned int i = 0; i < nr_mutators; i++)
		sem_wait(&shared->ended);
	return what;
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

static void prepare(unsigned int points)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	write_file("good");
	write_file("evil");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || sched_setaffinity(0, sizeof(one), &one))
		die("cannot prepare");
	memcpy(path(), "/tmp/", 5);
	shared->word = word("good");
	shared->last = -1;
	shared->nr_points = points;
	sem_init(&shared->ended, 1, 0);
	for (int i = 0; i < MAX_MUTATORS; i++)
		sem_init(&shared->begin[i], 1, 0);
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
	unsigned int rounds, points, count[128] = { 0 };
	int listener, answers, first_lost = -1;
	bool pinned;

	if (argc != 6) {
		printf("usage: seek SEED ROUNDS plain|pinned MUTATORS POINTS\n");
		return 2;
	}
	random_state = strtoull(argv[1], NULL, 0) * 2654435761u + 1;
	rounds = strtoul(argv[2], NULL, 0);
	pinned = !strcmp(argv[3], "pinned");
	nr_mutators = strtoul(argv[4], NULL, 0);
	points = strtoul(argv[5], NULL, 0);
	if (nr_mutators < 1 || nr_mutators > MAX_MUTATORS || points > MAX_POINTS)
		die("too many");
	prepare(points);
	start(&listener, &answers);
	for (unsigned int i = 0; i < rounds; i++) {
		enum outcome what = round_once(listener, answers, pinned);

		if (what == LOST && first_lost < 0)
			first_lost = i;
		count[what & 127]++;
	}
	rec("race rounds=%u kept=%u lost=%u denied=%u broken=%u first_lost=%d pairs=%016llx",
	    rounds, count[KEPT], count[LOST], count[DENIED], count[BROKEN], first_lost,
	    (unsigned long long)shared->pairs);
	return 0;
}
