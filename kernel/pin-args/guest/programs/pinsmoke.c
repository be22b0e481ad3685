// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Smoke test of PIN_ARGS: the race that it is there to close, first lost on
 * purpose without it, then won with it.
 *
 * The tracee's arguments lie in memory that it shares with its supervisor, so
 * that the supervisor itself can change them at the worst moment: after it has
 * looked, before the call goes on.  One test lets a thread of the tracee do so
 * at any moment.
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
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pinrace.h"

#define WAIT_MS		20000	/* for anything; TCG is slow, and may be loaded */
#define MAX_ROUNDS	300
#define MIN_ROUNDS	5
#define ROUNDS_NS	400000000ull	/* after MIN_ROUNDS, the test stops here */
#define PATH_ROOM	16	/* no longer than what follows the path in its page */
#define ARGV_REPORT	"pinsmoke-argv"	/* argv[0] of the program that T starts */

enum { GOT_GOOD = 10, GOT_EVIL = 11, GOT_ERROR = 12 };

/* Four letters at a multiple of four: they change in one store. */
union word {
	char text[4];
	uint32_t whole;
};

struct shared {
	char dirs[3 + 5];		/* "/tmp/" from the fourth byte on */
	_Atomic uint32_t word;
	char end;
	char *argv[4];
	char argv0[16];
	char argv1[16];
	atomic_bool stop;
};

struct tracee {
	pid_t pid;
	int listener;
	int answers;	/* one byte a call, from the tracee */
};

struct verdict {
	unsigned int rounds;	/* calls that were let through as good */
	unsigned int lost;	/* of them, those that did evil */
	uint32_t audit_arch;
};

static struct shared *shared;
static int test_nr;
static bool failed;

static uint32_t word(const char *text)
{
	union word w;

	memcpy(w.text, text, 4);
	return w.whole;
}

static char *path(void)
{
	return shared->dirs + 3;
}

static void reset(void)
{
	memset(shared, 0, sizeof(*shared));
	memcpy(path(), "/tmp/", 5);
	shared->word = word("good");
	strcpy(shared->argv0, ARGV_REPORT);
	strcpy(shared->argv1, "good");
	shared->argv[0] = shared->argv0;
	shared->argv[1] = shared->argv1;
}

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* ---- the tracee ---- */

/* Open what the path says and tell what it was. */
static char open_and_tell(void)
{
	char first = 0;
	int fd = syscall(SYS_openat, AT_FDCWD, path(), O_RDONLY);

	if (fd < 0)
		return GOT_ERROR;
	(void)!read(fd, &first, 1);
	close(fd);
	return first == 'g' ? GOT_GOOD : first == 'e' ? GOT_EVIL : GOT_ERROR;
}

static void *flip(void *unused)
{
	const uint32_t good = word("good"), evil = word("evil");

	(void)unused;
	for (unsigned int n = 0; !shared->stop; n++) {
		shared->word = n % 2 ? evil : good;
		for (volatile int i = 0; i < 50; i++)
			;
	}
	return NULL;
}

__attribute__((noreturn))
static void tracee(int nr, bool with_mutator, int sock, int answers)
{
	pthread_t mutator;
	int listener;
	char what;

	if (with_mutator && pthread_create(&mutator, NULL, flip, NULL))
		_exit(2);
	listener = pr_listen(nr);
	if (listener < 0 || pr_send_fd(sock, listener))
		_exit(2);
	close(listener);
	if (nr == SYS_execve) {
		syscall(SYS_execve, "/proc/self/exe", shared->argv, NULL);
		_exit(GOT_ERROR);
	}
	do {
		what = open_and_tell();
	} while (write(answers, &what, 1) == 1 && !shared->stop);
	_exit(0);
}

/* Start one whose calls of that number are trapped. */
static void start(struct tracee *t, int nr, bool with_mutator)
{
	int pair[2], pipes[2];

	reset();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) ||
	    pipe2(pipes, O_CLOEXEC))
		die("cannot make pipes");
	t->pid = fork();
	if (t->pid < 0)
		die("fork");
	if (t->pid == 0) {
		close(pipes[0]);
		tracee(nr, with_mutator, pair[1], pipes[1]);
	}
	close(pair[1]);
	close(pipes[1]);
	t->answers = pipes[0];
	t->listener = pr_recv_fd(pair[0]);
	if (t->listener < 0)
		die("no listener came");
	close(pair[0]);
}

/* End it; its exit status, or -1. */
static int finish(struct tracee *t, bool kill_it)
{
	int status;

	if (kill_it)
		kill(t->pid, SIGKILL);
	if (waitpid(t->pid, &status, 0) != t->pid)
		die("waitpid");
	close(t->listener);
	close(t->answers);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- the supervisor ---- */

/* What the path argument is, as a supervisor without PIN_ARGS learns it. */
static bool peek(const struct tracee *t, const struct seccomp_notif *req, char *text, size_t size)
{
	struct iovec here = { text, size };
	struct iovec there = { (void *)(uintptr_t)req->data.args[1], size };

	return process_vm_readv(t->pid, &here, 1, &there, 1, 0) > 0;
}

static bool pin_path(const struct tracee *t, const struct seccomp_notif *req,
		     char *text, size_t size)
{
	struct seccomp_notif_pin_args pin = { 0 };

	pr_pin_add(&pin, 1, SECCOMP_PIN_CSTRING, size);
	return pr_pin(t->listener, &pin, req->id, text, size) == 0 && !pin.args[0].truncated;
}

/*
 * Take one openat(): look at its path, change it when `evil`, and let it go on
 * if it was good.  Returns what the tracee got, 0 when it was refused.
 */
static int referee_open(struct tracee *t, bool pinned, bool evil, struct verdict *v)
{
	struct seccomp_notif req;
	char text[PATH_ROOM] = "";
	char what;

	if (pr_recv(t->listener, &req, WAIT_MS))
		die("no notification came");
	v->audit_arch = req.data.arch;
	if (!(pinned ? pin_path : peek)(t, &req, text, sizeof(text))) {
		printf("# cannot %s the path: %s\n", pinned ? "pin" : "read", strerror(errno));
		return -1;
	}
	if (evil)
		shared->word = word("evil");
	text[sizeof(text) - 1] = '\0';
	if (strcmp(text, "/tmp/good")) {
		if (pr_deny(t->listener, req.id, EACCES))
			die("cannot deny");
	} else if (pr_continue(t->listener, req.id, pinned ? PR_PINNED :
			       SECCOMP_USER_NOTIF_FLAG_CONTINUE)) {
		printf("# cannot let it continue: %s\n", strerror(errno));
		return -1;
	} else {
		v->rounds++;
	}
	if (read(t->answers, &what, 1) != 1)
		die("no answer from the tracee");
	if (what == GOT_EVIL)
		v->lost++;
	return what;
}

static void result(bool good, const char *name, const char *skip)
{
	printf("%s %d %s%s%s\n", good ? "ok" : "not ok", ++test_nr, name,
	       skip ? " # SKIP " : "", skip ? skip : "");
	fflush(stdout);
	failed |= !good;
}

static void record(const char *family, const char *mutator, bool pinned, const struct verdict *v)
{
	rec("smoke family=%s mutator=%s pinned=%d audit_arch=0x%08x rounds=%u lost=%u",
	    family, mutator, pinned, v->audit_arch, v->rounds, v->lost);
}

/* One call, its path changed between look and go. */
static void test_open(bool pinned)
{
	struct verdict v = { 0 };
	struct tracee t;
	int got;

	start(&t, SYS_openat, false);
	got = referee_open(&t, pinned, true, &v);
	finish(&t, true);
	record("openat", "supervisor", pinned, &v);
	result(got == (pinned ? GOT_GOOD : GOT_EVIL),
	       pinned ? "pinned race closed" : "unpinned race lost", NULL);
}

/* Many calls, their path changed all the time; false when one went wrong. */
static bool free_running(bool pinned, struct verdict *v)
{
	uint64_t limit = now_ns() + ROUNDS_NS;
	struct tracee t;
	bool good = true;

	start(&t, SYS_openat, true);
	for (int i = 0; good && i < MAX_ROUNDS; i++) {
		if (v->rounds >= MIN_ROUNDS && now_ns() > limit)
			break;
		good = referee_open(&t, pinned, false, v) >= 0;
	}
	finish(&t, true);
	record("openat", "thread", pinned, v);
	return good;
}

/* argv[1] becomes evil, and there is one more. */
static void spoil_argv(void)
{
	strcpy(shared->argv1, "evil");
	shared->argv[2] = shared->argv1;
}

static bool look_at_argv(const struct tracee *t, const struct seccomp_notif *req, bool pinned)
{
	struct seccomp_notif_pin_args pin = { 0 };
	struct {
		uint32_t count, offsets[2];
		char strings[4096];
	} table;
	char *start = (char *)&table;

	if (!pinned)
		return !strcmp(shared->argv1, "good");
	pr_pin_add(&pin, 1, SECCOMP_PIN_CSTRING_ARRAY, sizeof(table));
	if (pr_pin(t->listener, &pin, req->id, &table, sizeof(table))) {
		printf("# cannot pin argv: %s\n", strerror(errno));
		return false;
	}
	return !pin.args[0].truncated && table.count == 2 &&
	       table.offsets[1] < sizeof(table) - sizeof("good") &&
	       !strcmp(start + table.offsets[1], "good");
}

/* execve(), its argv changed between look and go. */
static void test_argv(bool pinned)
{
	struct verdict v = { 0 };
	struct seccomp_notif req;
	struct tracee t;
	int got = -1;

	start(&t, SYS_execve, false);
	if (pr_recv(t.listener, &req, WAIT_MS))
		die("no notification came");
	v.audit_arch = req.data.arch;
	if (look_at_argv(&t, &req, pinned)) {
		spoil_argv();
		if (pr_continue(t.listener, req.id, pinned ? PR_PINNED :
				SECCOMP_USER_NOTIF_FLAG_CONTINUE))
			printf("# cannot let it continue: %s\n", strerror(errno));
		else
			v.rounds = 1;
	}
	got = finish(&t, !v.rounds);
	v.lost = got == GOT_EVIL;
	record("execve", "supervisor", pinned, &v);
	result(got == (pinned ? GOT_GOOD : GOT_EVIL),
	       pinned ? "pinned argv closed" : "unpinned argv lost", NULL);
}

static bool kernel_has_it(void)
{
	struct tracee t;
	bool has;

	start(&t, SYS_openat, false);
	has = pr_has_pin_args(t.listener);
	finish(&t, true);
	rec("feature pin_args=%d", has);
	return has;
}

static void write_files(void)
{
	static const char *const names[] = { "good", "evil" };
	char name[16];

	for (int i = 0; i < 2; i++) {
		int fd;

		snprintf(name, sizeof(name), "/tmp/%s", names[i]);
		fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, names[i], 4) != 4)
			die(name);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	static const char missing[] = "no PIN_ARGS in this kernel";
	struct verdict loose = { 0 }, tight = { 0 };
	bool has;

	if (argc && !strcmp(argv[0], ARGV_REPORT))
		return argc == 2 && !strcmp(argv[1], "good") ? GOT_GOOD : GOT_EVIL;
	printf("KTAP version 1\n1..6\n");
	write_files();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	has = kernel_has_it();

	test_open(false);
	if (has)
		test_open(true);
	else
		result(true, "pinned race closed", missing);
	/* How often the thread wins is chance; a test only where it never may. */
	result(free_running(false, &loose) && loose.rounds, "unpinned race, free thread", NULL);
	if (has)
		result(free_running(true, &tight) && tight.rounds && !tight.lost,
		       "pinned race closed, free thread", NULL);
	else
		result(true, "pinned race closed, free thread", missing);
	test_argv(false);
	if (has)
		test_argv(true);
	else
		result(true, "pinned argv closed", missing);
	return failed;
}
