// SPDX-License-Identifier: GPL-2.0-or-later
/* Run the checks of kinds.h, and what they have in common. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kinds.h"
#include "model.h"

#define MAX_KINDS	96
#define OUTPUT		4096
#define KIND_NS		120000000000ull	/* guest time that none needs; then it hangs */

static const struct kind *const groups[] = {
	memory_kinds, nature_kinds, locked_kinds, limit_kinds, cred_kinds,
};

static const char workers[] = "C16 no worker of the kernel's is stuck";

/* ---- T ---- */

static void let_everybody_run(void)
{
	struct sched_param param = { 0 };
	cpu_set_t set;

	memset(&set, 0xff, sizeof(set));
	sched_setscheduler(0, SCHED_OTHER, &param);
	sched_setaffinity(0, sizeof(set), &set);
}

struct play *play_start(body_fn body, void *arg)
{
	struct play *play = mmap(NULL, sizeof(*play), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int pair[2];
	pid_t pid;

	if (play == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		skip_kind("no memory for a task");
	play->arg = arg;
	pid = fork();
	if (pid < 0)
		skip_kind("no task");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		play->sock = pair[1];
		play->pid = getpid();
		body(play);
		_exit(0);
	}
	play->pid = pid;
	close(pair[1]);
	play->listener = pr_recv_fd(pair[0]);
	close(pair[0]);
	if (play->listener < 0)
		no_call(play);
	return play;
}

void no_call(const struct play *play)
{
	int status = 0;

	for (int i = 0; i < 1000 && waitpid(play->pid, &status, WNOHANG) == 0; i++)
		usleep(1000);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP)
		_exit(EXIT_SKIP);	/* it has said why */
	note("T does not come to its call");
	kill(play->pid, SIGKILL);
	_exit(1);
}

void become(int user, int saved)
{
	/* This thread alone: glibc would ask all of them. */
	if (syscall(SYS_setresgid, user, user, saved) || syscall(SYS_setresuid, user, user, saved))
		skip_kind("cannot become user %d: %s", user, strerror(errno));
	prctl(PR_SET_DUMPABLE, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* which the change took away */
}

void play_trap(struct play *play)
{
	int fd = trap_install(false, 0);

	if (fd < 0 || pr_send_fd(play->sock, fd))
		_exit(2);
	close(fd);
	close(play->sock);
}

void play_call(struct play *play, struct call *call)
{
	play->ready++;
	trap_call(call);
	play->ret = call->ret;
	play->kept = trap_kept_registers(call);
	play->done++;
}

void play_end(struct play *play)
{
	kill(play->pid, SIGKILL);
	await_gone(play->pid, GONE_MS);
	close(play->listener);
	munmap(play, sizeof(*play));
}

/* ---- the supervisor ---- */

int sup_recv(const struct play *play, struct seccomp_notif *req)
{
	return pr_recv(play->listener, req, WAIT_MS) ? errno : 0;
}

int sup_pin(int listener, uint64_t id, int slot, int kind, uint32_t max, void *buf, uint32_t size,
	    struct seccomp_notif_pin_args *pin)
{
	struct seccomp_notif_pin_args own;

	if (!pin)
		pin = &own;
	memset(pin, 0, sizeof(*pin));
	pr_pin_add(pin, slot, kind, max);
	return pr_pin(listener, pin, id, buf, size) ? errno : 0;
}

int sup_send(int listener, uint64_t id, uint32_t flags, int error)
{
	struct seccomp_notif_resp resp = { .id = id, .flags = flags, .error = -error };

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) ? errno : 0;
}

/* ---- waiting ---- */

bool await_int(_Atomic int *word, int at_least, int ms)
{
	uint64_t limit = now_ns() + ms * 1000000ull;

	for (unsigned int us = 200; *word < at_least && now_ns() < limit; us = us < 5000 ? 2 * us : us)
		usleep(us);
	return *word >= at_least;
}

char task_state(pid_t pid)
{
	char name[32], text[256], *end;
	int fd, len;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (len <= 0)
		return 'X';
	text[len] = '\0';
	end = strrchr(text, ')');
	return end ? end[2] : '?';
}

/* A child, or anybody. */
bool await_gone(pid_t pid, int ms)
{
	uint64_t limit = now_ns() + ms * 1000000ull;
	unsigned int wait_us = 500;

	do {
		char state;

		waitpid(pid, NULL, WNOHANG);
		state = task_state(pid);
		if (state == 'X' || state == 'Z')
			return true;
		usleep(wait_us);
		wait_us = wait_us < 20000 ? 2 * wait_us : 20000;
	} while (now_ns() < limit);
	return false;
}

static bool has_text(int pid, const char *file, const char *text)
{
	char name[48], bytes[2048];
	int fd, len;

	snprintf(name, sizeof(name), "/proc/%d/%s", pid, file);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? 0 : read(fd, bytes, sizeof(bytes) - 1);
	if (fd >= 0)
		close(fd);
	bytes[len > 0 ? len : 0] = '\0';
	return strstr(bytes, text);
}

/* Kernel threads that do seccomp's work and wait uninterruptibly. */
unsigned int stuck_workers(void)
{
	DIR *dir = opendir("/proc");
	unsigned int found = 0;
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int pid = atoi(entry->d_name);

		found += pid && has_text(pid, "comm", "kworker") && task_state(pid) == 'D' &&
			 has_text(pid, "stack", "seccomp");
	}
	if (dir)
		closedir(dir);
	return found;
}

/* ---- words ---- */

void note(const char *fmt, ...)
{
	char line[400] = "# ";
	va_list args;
	size_t len;

	va_start(args, fmt);
	vsnprintf(line + 2, sizeof(line) - 3, fmt, args);
	va_end(args);
	len = strlen(line);
	line[len++] = '\n';
	(void)!write(STDOUT_FILENO, line, len);
}

void skip_kind(const char *fmt, ...)
{
	char line[200];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	len = len < (int)sizeof(line) - 1 ? len : (int)sizeof(line) - 2;
	line[len++] = '\n';		/* it may come among others' lines */
	(void)!write(STDOUT_FILENO, line, len);
	_exit(EXIT_SKIP);
}

const char *errno_name(long ret)
{
	const char *name = ret < 0 ? strerrorname_np(-ret) : "success";

	return name ? name : "an unknown errno";
}

/* ---- all of them, at once ---- */

struct running {
	const struct kind *kind;
	pid_t pid;
	int out;
	char text[OUTPUT];
	size_t len;
};

static struct running running[MAX_KINDS];
static int nr_running;

static void start(const struct kind *kind)
{
	struct running *run = &running[nr_running++];
	int pipes[2];

	if (nr_running > MAX_KINDS || pipe2(pipes, O_CLOEXEC))
		bail("too many checks");
	run->kind = kind;
	run->out = pipes[0];
	run->pid = fork();
	if (run->pid < 0)
		bail("fork");
	if (run->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(pipes[1], STDOUT_FILENO);
		let_everybody_run();
		_exit(kind->check(kind->arg) ? 0 : 1);
	}
	close(pipes[1]);
}

static void listen_to(struct running *run, uint64_t limit)
{
	struct pollfd pfd = { run->out, POLLIN, 0 };

	while (now_ns() < limit && run->len < OUTPUT - 1) {
		ssize_t got;

		if (poll(&pfd, 1, 100) <= 0) {
			char state = task_state(run->pid);

			if (state == 'Z' || state == 'X')
				break;	/* others may have the pipe still */
			continue;
		}
		got = read(run->out, run->text + run->len, OUTPUT - 1 - run->len);
		if (got <= 0)
			break;
		run->len += got;
	}
	run->text[run->len] = '\0';
	close(run->out);
}

static void conclude(struct running *run, uint64_t limit)
{
	int status = 0;

	listen_to(run, limit);
	if (now_ns() >= limit)
		kill(run->pid, SIGKILL);
	while (waitpid(run->pid, &status, WNOHANG) == 0 && now_ns() < limit + 5000000000ull)
		usleep(1000);
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP) {
		run->text[strcspn(run->text, "\n")] = '\0';
		skip(run->kind->name, run->text);
		return;
	}
	fputs(run->text, stdout);
	if (!WIFEXITED(status))
		say("# the check hangs, or was killed by signal %d", WTERMSIG(status));
	result(WIFEXITED(status) && !WEXITSTATUS(status), "%s", run->kind->name);
}

int kinds_count(void)
{
	int nr = 0;

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		for (const struct kind *kind = groups[i]; kind->name; kind++)
			nr += is_wanted(kind->name);
	}
	return nr + is_wanted(workers);
}

/* Those that change the whole system for a moment. */
static void run_alone(void)
{
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		for (const struct kind *kind = groups[i]; kind->name; kind++) {
			if (!kind->alone || !is_wanted(kind->name))
				continue;
			start(kind);
			conclude(&running[nr_running - 1], now_ns() + KIND_NS);
		}
	}
}

void kinds_run(void)
{
	unsigned int stuck;
	uint64_t limit;

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		for (const struct kind *kind = groups[i]; kind->name; kind++) {
			if (!is_wanted(kind->name))
				continue;
			if (has_pin && !kind->alone)
				start(kind);
			else if (!has_pin)
				skip(kind->name, "no PIN_ARGS in this kernel");
		}
	}
	if (!has_pin) {
		if (is_wanted(workers))
			skip(workers, "no PIN_ARGS in this kernel");
		return;
	}
	limit = now_ns() + KIND_NS;
	for (int i = 0; i < nr_running; i++)
		conclude(&running[i], limit);
	run_alone();
	if (!is_wanted(workers))
		return;
	stuck = stuck_workers();
	if (stuck)
		say("# %u workers of the kernel's wait for a lock in seccomp's code", stuck);
	result(!stuck, "%s", workers);
}
