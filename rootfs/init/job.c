// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One job: started in a session of its own, listened to through two pipes,
 * ended at its timeout, and never outlived by anything that it started.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

#define RECORDS_FD	3	/* where programs write their records */
#define SWEEP_SECONDS	5	/* for killed processes to be gone */

enum { OUT, REC, NR_PIPES };

static const char *const pipe_type[NR_PIPES] = { "out", "rec" };

struct running {
	pid_t pid;
	int pipes[NR_PIPES];	/* our ends; -1 after the end of file */
	int status;		/* from waitpid(), once ended */
	bool ended;
	bool timeout;
	char error[128];	/* why it could not be started; "" when it was */
};

static void on_child(int sig)
{
	(void)sig;		/* only there to interrupt ppoll() */
}

/* SIGCHLD is blocked but within ppoll(), so that no end of a child is missed. */
void job_setup(void)
{
	struct sigaction action = { .sa_handler = on_child };
	sigset_t set;

	sigaction(SIGCHLD, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Collect all that have ended; false when there is no child left. */
static bool reap(struct running *run)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (run && pid == run->pid) {
			run->status = status;
			run->ended = true;
		}
	}
	return pid == 0 || errno != ECHILD;
}

static bool sweep(struct running *run)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t limit = uptime_ns() + SWEEP_SECONDS * 1000000000ull;

	/* What forks meanwhile is caught by the next round. */
	do {
		kill(-1, SIGKILL);	/* all but us and kernel threads */
		if (!reap(run))
			return true;
		nanosleep(&pause, NULL);
	} while (uptime_ns() < limit);
	return false;
}

void kill_everything(void)
{
	sweep(NULL);
}

static bool read_exactly(int fd, void *buf, size_t len)
{
	return read(fd, buf, len) == (ssize_t)len;
}

static const char *job_folder(const struct job *job)
{
	return job->cwd ? job->cwd : "/tmp";
}

static void send_start(const struct job *job)
{
	unsigned char ident[EI_NIDENT];
	uint16_t type_machine[2] = { 0, 0 };	/* e_type, e_machine: guests are LE */
	int place = open(job_folder(job), O_PATH | O_CLOEXEC);
	int fd = openat(place, job->argv[0], O_RDONLY | O_CLOEXEC);
	int machine = 0, class = 0;

	if (place >= 0)
		close(place);
	if (fd >= 0 && read_exactly(fd, ident, sizeof(ident)) &&
	    !memcmp(ident, ELFMAG, SELFMAG) &&
	    read_exactly(fd, type_machine, sizeof(type_machine))) {
		machine = type_machine[1];
		class = ident[EI_CLASS] == ELFCLASS64 ? 64 : 32;
	}
	if (fd >= 0)
		close(fd);
	channel_sendf("start", "job=%s\nelf_machine=%d\nelf_class=%d\nargv0=%s\nuptime_ns=%llu\n",
		      job->name, machine, class, job->argv[0],
		      (unsigned long long)uptime_ns());
}

__attribute__((noreturn))
static void child(const struct job *job, int ends[NR_PIPES], int report)
{
	sigset_t none;
	int null, error;

	setsid();
	/* Out of the way of the numbers that are wanted. */
	report = fcntl(report, F_DUPFD_CLOEXEC, 10);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (report < 0 || null < 0 || (null > 0 && dup2(null, 0) < 0) ||
	    fcntl(0, F_SETFD, 0) || dup2(ends[OUT], 1) < 0 ||
	    dup2(ends[OUT], 2) < 0 || chdir(job_folder(job)))
		goto failed;
	if (!job->quiet && dup2(ends[REC], RECORDS_FD) < 0)
		goto failed;
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int i = 0; i < job->envc; i++)
		putenv(job->envp[i]);
	execv(job->argv[0], job->argv);
failed:
	error = errno;
	(void)!write(report, &error, sizeof(error));
	_exit(127);
}

/* Start the job's program; false, with run->error set, when it did not start. */
static bool start(const struct job *job, struct running *run)
{
	int ends[NR_PIPES] = { -1, -1 }, report[2] = { -1, -1 };
	int error = 0;
	int pair[2];

	for (int i = 0; i < NR_PIPES; i++) {
		if (pipe2(pair, O_CLOEXEC))
			goto failed;
		run->pipes[i] = fcntl(pair[0], F_DUPFD_CLOEXEC, 10);
		ends[i] = fcntl(pair[1], F_DUPFD_CLOEXEC, 10);
		close(pair[0]);
		close(pair[1]);
		fcntl(run->pipes[i], F_SETFL, O_NONBLOCK);
	}
	if (pipe2(report, O_CLOEXEC))
		goto failed;
	run->pid = fork();
	if (run->pid < 0)
		goto failed;
	if (run->pid == 0)
		child(job, ends, report[1]);
	close(report[1]);
	close(ends[OUT]);
	close(ends[REC]);
	/* Closed by a successful exec, which leaves nothing to read. */
	if (read_exactly(report[0], &error, sizeof(error)))
		snprintf(run->error, sizeof(run->error), "cannot run %s: %s",
			 job->argv[0], strerror(error));
	close(report[0]);
	return !run->error[0];
failed:
	snprintf(run->error, sizeof(run->error), "cannot start a job: %s", strerror(errno));
	return false;
}

/* Pass on what is in a pipe, at most `rounds` reads of it; closes it at its end. */
static void pass_on(struct running *run, int which, int rounds)
{
	char data[RECORD_MAX];

	while (rounds-- && run->pipes[which] >= 0) {
		ssize_t got = read(run->pipes[which], data, sizeof(data));

		if (got > 0) {
			channel_send(pipe_type[which], data, got);
		} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
			close(run->pipes[which]);
			run->pipes[which] = -1;
		} else if (errno == EAGAIN) {
			return;
		}
	}
}

/* Listen until the program has ended or its time is over. */
static void attend(const struct job *job, struct running *run)
{
	uint64_t limit = uptime_ns() + job->timeout * 1000000000ull;
	sigset_t none;

	sigemptyset(&none);
	for (;;) {
		struct pollfd fds[NR_PIPES];
		struct timespec left;
		uint64_t now;

		reap(run);
		now = uptime_ns();
		if (run->ended)
			return;
		if (now >= limit) {
			run->timeout = true;
			return;
		}
		left.tv_sec = (limit - now) / 1000000000;
		left.tv_nsec = (limit - now) % 1000000000;
		for (int i = 0; i < NR_PIPES; i++)
			fds[i] = (struct pollfd){ .fd = run->pipes[i], .events = POLLIN };
		if (ppoll(fds, NR_PIPES, &left, &none) <= 0)
			continue;
		for (int i = 0; i < NR_PIPES; i++)
			if (fds[i].revents)
				pass_on(run, i, 1);
	}
}

static void send_exit(const struct job *job, const struct running *run, bool left)
{
	char how[160];

	if (run->error[0])
		snprintf(how, sizeof(how), "error=%s", run->error);
	else if (!run->ended)
		snprintf(how, sizeof(how), "error=its process cannot be killed");
	else if (WIFSIGNALED(run->status))
		snprintf(how, sizeof(how), "signal=%d", WTERMSIG(run->status));
	else
		snprintf(how, sizeof(how), "status=%d", WEXITSTATUS(run->status));
	channel_sendf("exit", "job=%s\n%s\ntimeout=%d\nunkillable=%d\nuptime_ns=%llu\n",
		      job->name, how, run->timeout, left,
		      (unsigned long long)uptime_ns());
}

/*
 * What each CPU does, locks held, blocked tasks, all tasks: on the console, while the program is
 * still there.  Documentation/admin-guide/sysrq.rst
 */
static void show_tasks(void)
{
	static const char questions[] = "ldwt";
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;	/* a kernel without it has nothing to say */
	for (const char *each = questions; *each; each++)
		(void)!write(fd, each, 1);
	close(fd);
}

void job_run(const struct job *job)
{
	struct running run = { .pipes = { -1, -1 } };
	bool gone;

	send_start(job);
	if (start(job, &run))
		attend(job, &run);
	if (run.timeout)
		show_tasks();
	gone = sweep(&run);
	/* Nobody is left who could write: what the pipes hold is finite. */
	for (int i = 0; i < NR_PIPES; i++) {
		pass_on(&run, i, 4096);
		if (run.pipes[i] >= 0)
			close(run.pipes[i]);
	}
	send_exit(job, &run, !gone);
}
