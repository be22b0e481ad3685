// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * execve() and execveat() in a vforked child.  The new program is this one,
 * which tells through a pipe what it was started as and with.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

#define REPORT_FD	9
#define STACK		(64u << 10)
#define TEXT		1024

static int report[2];
static char *stack;
static char told[TEXT];
static long told_len;

/* Whether this is the new program, whatever its arguments became. */
bool exec_is_echo(void)
{
	char exe[128] = "";
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	return len > 5 && (!strcmp(exe + len - 5, "/Texe") || !strcmp(exe + len - 5, "/Mexe"));
}

/* As the new program: path, arguments and variables, each ended by a NUL; a letter before. */
int exec_echo(int argc, char **argv, char **envp)
{
	char text[TEXT] = "", exe[128] = "";
	const char *name = (const char *)getauxval(AT_EXECFN);
	size_t used = 0;
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	const char *last = len > 0 ? strrchr(exe, '/') : NULL;

	used += snprintf(text, sizeof(text), "f%s=%s", name ? name : "", last ? last + 1 : "") + 1;
	for (int i = 0; i < argc && used < TEXT - 64; i++)
		used += snprintf(text + used, sizeof(text) - used, "a%s", argv[i]) + 1;
	for (int i = 0; envp[i] && used < TEXT - 64; i++)
		used += snprintf(text + used, sizeof(text) - used, "e%s", envp[i]) + 1;
	return write(REPORT_FD, text, used) != (ssize_t)used;
}

void exec_setup(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	static char page[65536];

	for (int i = 0; i < 2; i++) {
		const char *name = i ? "Mexe" : "Texe";
		int to = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
		long got;

		lseek(fd, 0, SEEK_SET);
		while ((got = read(fd, page, sizeof(page))) > 0) {
			if (write(to, page, got) != got)
				bail("cannot copy this program");
		}
		close(to);
	}
	close(fd);
	if (pipe2(report, O_CLOEXEC | O_NONBLOCK))
		bail("pipe");
	stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED)
		bail("mmap");
}

static void arrays(struct lane *lane, struct trial *trial, int first)
{
	char a[24], e[24];
	const char *argv[MAX_STRINGS] = { "pintorture-echo", a, "more", "and more" };
	const char *envp[MAX_STRINGS] = { "HOME=/", e };

	snprintf(a, sizeof(a), "T%08x", trial->seq);
	snprintf(e, sizeof(e), "T%08x=%u", trial->seq * 3, trial->seq);
	slot_array(lane, trial, first, argv, 2 + random_below(lane, 3), 1);
	slot_array(lane, trial, first + 1, envp, 2, 1);
}

static bool prepare_execve(struct lane *lane, struct trial *trial)
{
	slot_string(lane, trial, 0, "Texe");
	arrays(lane, trial, 1);
	return true;
}

static bool prepare_execveat(struct lane *lane, struct trial *trial)
{
	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, 1, "Texe");
	arrays(lane, trial, 2);
	trial->call.args[4] = 0;
	return true;
}

static int child(void *arg)
{
	struct trial *trial = arg;

	dup2(report[1], REPORT_FD);
	trap_call(&trial->call);
	_exit(1);
}

static long run_exec(struct lane *lane, struct trial *trial)
{
	int status = 0;
	/* A child with memory of its own has the source in what all share. */
	bool forked = !trial->private && one_in(lane, 2);
	pid_t pid = forked ? fork() :
			     clone(child, stack + STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, trial);

	if (forked && !pid)
		child(trial);
	told_len = 0;
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		return trial->call.ret;		/* the exec failed */
	told_len = read(report[0], told, sizeof(told));
	return told_len > 0 ? 0 : -ECHILD;
}

/* Build the array again that the program says it got, and see which letter it has. */
static char array_letter(const struct trial *trial, int number, char kind)
{
	const struct slot *slot = &trial->slots[number];
	uint32_t count[1 + 2 * MAX_STRINGS] = { 0 }, nr = 0, used;
	unsigned char bytes[TEXT + sizeof(count)];

	for (const char *at = told; at < told + told_len; at += strlen(at) + 1)
		nr += *at == kind;
	if (nr > 2 * MAX_STRINGS)
		return '?';
	used = (1 + nr) * sizeof(uint32_t);
	for (const char *at = told; at < told + told_len; at += strlen(at) + 1) {
		if (*at != kind)
			continue;
		count[1 + count[0]++] = used;
		memcpy(bytes + used, at + 1, strlen(at));
		used += strlen(at);
	}
	memcpy(bytes, count, (1 + nr) * sizeof(uint32_t));
	return slot_match(slot, bytes, used);
}

static void probe_exec(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	int first = trial->mask & 8 ? 1 : 0;

	(void)lane;
	letters[first] = letters[first + 1] = letters[first + 2] = '0';
	if (ret)
		return;
	letters[first] = !strcmp(told, "fTexe=Texe") ? 'T' :
			 !strcmp(told, "fMexe=Mexe") ? 'M' : '?';
	letters[first + 1] = array_letter(trial, first + 1, 'a');
	letters[first + 2] = array_letter(trial, first + 2, 'e');
}

const struct op exec_ops[] = {
	{ "execve", "execve", SYS_execve, prepare_execve, run_exec, probe_exec },
	{ "execve", "execveat", SYS_execveat, prepare_execveat, run_exec, probe_exec },
	{ NULL },
};
