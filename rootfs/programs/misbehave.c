// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does what a guest should not do, one thing by its first argument, so that
 * the harness can be seen to notice.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		printf("misbehave: %s: %s\n", path, strerror(errno));
		return 1;
	}
	close(fd);
	return 0;
}

static int do_panic(const char *arg)
{
	(void)arg;
	return write_file("/proc/sysrq-trigger", "c");
}

/* Nothing short of SIGKILL ends it. */
__attribute__((noreturn))
static int do_hang(const char *arg)
{
	sigset_t all;

	(void)arg;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	printf("hanging\n");
	fflush(stdout);
	for (;;)
		pause();
}

static int do_flood_console(const char *arg)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char line[128];

	(void)arg;
	if (fd < 0)
		return 1;
	/* Writers are limited in rate unless this says otherwise; it wants the newline. */
	write_file("/proc/sys/kernel/printk_devkmsg", "on\n");
	for (unsigned long n = 0;; n++) {
		int len = snprintf(line, sizeof(line), "<4>misbehave: flood %lu\n", n);

		(void)!write(fd, line, len);
	}
}

__attribute__((noreturn))
static int do_flood_output(const char *arg)
{
	(void)arg;
	for (unsigned long n = 0;; n++)
		printf("flood %lu of a program that does not end\n", n);
}

static int do_exit(const char *arg)
{
	return atoi(arg);
}

static int do_signal(const char *arg)
{
	signal(atoi(arg), SIG_DFL);
	raise(atoi(arg));
	return 1;
}

static int do_poweroff(const char *arg)
{
	(void)arg;
	reboot(RB_AUTOBOOT);
	return 1;
}

/* Children that init inherits; they hold the pipes of their late parent open. */
static int do_spawn_orphans(const char *arg)
{
	(void)arg;
	for (int i = 0; i < 8; i++) {
		if (fork())
			continue;
		if (fork())
			_exit(0);
		setsid();
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
		for (;;)
			pause();
	}
	printf("spawned\n");
	return 0;
}

/* Kernel messages in the midst of lines of output. */
static int do_printk_between(const char *arg)
{
	(void)arg;
	setvbuf(stdout, NULL, _IONBF, 0);
	printf("KTAP version 1\n1..2\nok 1 fi");
	if (write_file("/dev/kmsg", "<4>misbehave: in the midst of a line\n"))
		return 1;
	printf("rst\nok");
	if (write_file("/dev/kmsg", "<4>misbehave: and once more\n"))
		return 1;
	printf(" 2 second\n");
	return 0;
}

static const struct {
	const char *name;
	int (*act)(const char *arg);
} acts[] = {
	{ "panic", do_panic },
	{ "hang", do_hang },
	{ "flood-console", do_flood_console },
	{ "flood-output", do_flood_output },
	{ "exit", do_exit },
	{ "signal", do_signal },
	{ "poweroff", do_poweroff },
	{ "spawn-orphans", do_spawn_orphans },
	{ "printk-between", do_printk_between },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(acts) / sizeof(acts[0]); i++)
		if (!strcmp(argv[1], acts[i].name))
			return acts[i].act(argc > 2 ? argv[2] : "0");
	printf("usage: misbehave panic | hang | flood-console | flood-output | exit N | signal N |\n"
	       "       poweroff | spawn-orphans | printk-between\n");
	return 2;
}
