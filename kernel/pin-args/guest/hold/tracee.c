// SPDX-License-Identifier: GPL-2.0-or-later
/* The task whose openat() a supervisor decides about. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pinrace.h"
#include "hold.h"

#define FEW_CALLS	3	/* before the race, in it, and after, to see what is left behind */

static int orders_fd, answers_fd;

char open_and_tell(const char *path)
{
	char first = OTHER;
	int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!pread(fd, &first, 1, 0);
		close(fd);
		return first;
	}
	switch (errno) {
	case ENOENT:
		return NOT_FOUND;
	case EACCES:
		return DENIED;
	case EINTR:
		return INTERRUPTED;
	case ENOSYS:
		return NO_LISTENER;
	}
	return OTHER;
}

static void make_calls(const char *path, int answers, int count)
{
	for (int i = 0; i < count; i++) {
		char what = open_and_tell(path);

		if (write(answers, &what, 1) != 1)
			_exit(1);
	}
	for (;;)
		pause();
}

static void *take_orders(void *unused)
{
	char order, number[16];

	(void)unused;
	if (read(orders_fd, &order, 1) != 1)
		return NULL;
	if (order == ORDER_EXIT)
		syscall(SYS_exit_group, 7);
	snprintf(number, sizeof(number), "%d", answers_fd);
	execl("/proc/self/exe", CHILD, number, NULL);
	_exit(3);
}

int child_main(int answers)
{
	static char path[] __attribute__((aligned(16))) = GOOD;

	make_calls(path, answers, FEW_CALLS);
	return 0;
}

static void do_nothing(int number)
{
	(void)number;
}

/* What start_tracee() has started: descriptors, whether there are two threads, calls. */
int tracee_main(char **argv)
{
	struct sigaction action = { .sa_handler = do_nothing };	/* no SA_RESTART */
	int memory = atoi(argv[1]), sock = atoi(argv[2]), listener;
	pthread_t thread;

	answers_fd = atoi(argv[3]);
	orders_fd = atoi(argv[4]);
	shared_path = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (shared_path == MAP_FAILED)
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &action, NULL);
	listener = pr_listen(SYS_openat);
	if (listener < 0 || pr_send_fd(sock, listener))
		return 2;
	close(listener);
	close(sock);
	if (atoi(argv[5]) && pthread_create(&thread, NULL, take_orders, NULL))
		return 2;
	make_calls(shared_path, answers_fd, atoi(argv[6]));
	return 0;
}

/*
 * Its memory is its own and never used on CPU 0, and the supervisor's is not
 * copied on write: either would have a side wait for the other side's CPU.
 */
static void spawn(struct round *r, const int *fds, const struct scenario *scenario)
{
	char words[6][16], *argv[8] = { TRACEE };

	for (int i = 0; i < 4; i++)
		snprintf(words[i], sizeof(words[i]), "%d", fds[i]);
	snprintf(words[4], sizeof(words[4]), "%d", scenario->two_threads);
	snprintf(words[5], sizeof(words[5]), "%d", scenario->again ? INT_MAX : FEW_CALLS);
	for (int i = 0; i < 6; i++)
		argv[i + 1] = words[i];
	race_use_cpu(race_cpu[RACE_B]);
	errno = posix_spawn(&r->pid, "/proc/self/exe", NULL, NULL, argv, environ);
	if (errno)
		race_die("posix_spawn");
	race_use_cpu(race_cpu[RACE_A]);
}

void start_tracee(struct round *r, const struct scenario *scenario)
{
	int pair[2], answers[2], orders[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || pipe(answers) || pipe(orders))
		race_die("cannot make pipes");
	fcntl(answers[0], F_SETFD, FD_CLOEXEC);
	fcntl(orders[1], F_SETFD, FD_CLOEXEC);
	fcntl(pair[0], F_SETFD, FD_CLOEXEC);
	spawn(r, (int[]){ shared_memory, pair[1], answers[1], orders[0] }, scenario);
	close(pair[1]);
	close(answers[1]);
	close(orders[0]);
	r->answers = answers[0];
	r->orders = orders[1];
	r->listener = pr_recv_fd(pair[0]);
	close(pair[0]);
	if (r->listener < 0)
		race_die("no listener came");
}

void next_call(struct round *r)
{
	struct seccomp_notif req;

	if (pr_recv(r->listener, &req, WAIT_MS))
		race_die("no notification came");
	r->id = req.id;
	r->path = req.data.args[1];
}

char wait_answer(struct round *r)
{
	struct pollfd fd = { .fd = r->answers, .events = POLLIN };
	char what = DEAD;

	if (poll(&fd, 1, WAIT_MS) <= 0)
		race_die("no answer from the tracee");
	(void)!read(r->answers, &what, 1);
	return what;
}

void end_tracee(struct round *r)
{
	if (r->pid) {
		kill(r->pid, SIGKILL);
		waitpid(r->pid, NULL, 0);
	}
	if (r->listener >= 0)
		close(r->listener);
	close(r->answers);
	close(r->orders);
	r->pid = 0;
}
