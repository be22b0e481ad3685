// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * PID 1 of every guest.  It makes the usual places, does what the plan says,
 * and reboots, which ends a QEMU that was started with -no-reboot.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

static const struct {
	const char *type, *where, *options;
	bool needed;
} mounts[] = {
	{ "devtmpfs",	"/dev",			"mode=0755",	true },
	{ "proc",	"/proc",		NULL,		true },
	{ "sysfs",	"/sys",			NULL,		true },
	{ "tmpfs",	"/tmp",			"mode=1777",	true },
	{ "tmpfs",	"/run",			"mode=0755",	true },
	{ "tmpfs",	"/dev/shm",		"mode=1777",	false },
	{ "devpts",	"/dev/pts",		"gid=5,mode=620", false },
	{ "cgroup2",	"/sys/fs/cgroup",	NULL,		false },
	{ "debugfs",	"/sys/kernel/debug",	NULL,		false },
	{ "tracefs",	"/sys/kernel/tracing",	NULL,		false },
};

/* One line on the console, beside what the kernel prints there. */
void say(const char *fmt, ...)
{
	char line[512] = "pinrace-init: ";
	size_t len = strlen(line);
	va_list args;
	int fd;

	va_start(args, fmt);
	vsnprintf(line + len, sizeof(line) - len - 1, fmt, args);
	va_end(args);
	strcat(line, "\n");
	fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, line, strlen(line));
	tcdrain(fd);
	close(fd);
}

uint64_t uptime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static bool mount_all(void)
{
	bool good = true;

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i].where, 0755);
		if (mount(mounts[i].type, mounts[i].where, mounts[i].type, 0,
			  mounts[i].options) && mounts[i].needed) {
			say("cannot mount %s on %s: %s", mounts[i].type, mounts[i].where,
			    strerror(errno));
			good = false;
		}
	}
	/* devtmpfs has no such links; shells and programs expect them. */
	(void)!symlink("/proc/self/fd", "/dev/fd");
	(void)!symlink("/proc/self/fd/0", "/dev/stdin");
	(void)!symlink("/proc/self/fd/1", "/dev/stdout");
	(void)!symlink("/proc/self/fd/2", "/dev/stderr");
	return good;
}

/* Sockets over 127.0.0.1 need the interface up; a kernel without INET has none. */
static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
}

static void set_limits(void)
{
	const struct rlimit files = { .rlim_cur = 4096, .rlim_max = 65536 };
	const struct rlimit core = { .rlim_cur = 0, .rlim_max = RLIM_INFINITY };

	setrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_CORE, &core);
}

static void set_environment(void)
{
	clearenv();
	setenv("PATH", "/pinrace/bin:/pinrace/selftests:/bin:/sbin:/usr/bin:/usr/sbin", 1);
	setenv("HOME", "/root", 1);
	setenv("TERM", "vt220", 1);
	setenv("LC_ALL", "C", 1);
}

static void send_hello(void)
{
	struct utsname names;

	uname(&names);
	channel_sendf("hello", "release=%s\nmachine=%s\ncpus=%ld\nuptime_ns=%llu\n",
		      names.release, names.machine, sysconf(_SC_NPROCESSORS_ONLN),
		      (unsigned long long)uptime_ns());
}

/* An interactive shell with job control on the console, until it exits. */
static void run_shell(const char *console)
{
	static char *const argv[] = { "sh", NULL };
	char path[64];
	pid_t pid;

	snprintf(path, sizeof(path), "/dev/%s", console);
	pid = fork();
	if (pid == 0) {
		sigset_t none;
		int fd;

		setsid();
		fd = open(path, O_RDWR);
		if (fd < 0 || ioctl(fd, TIOCSCTTY, 1))
			say("no job control on %s: %s", path, strerror(errno));
		if (fd >= 0) {
			dup2(fd, 0);
			dup2(fd, 1);
			dup2(fd, 2);
			if (fd > 2)
				close(fd);
		}
		signal(SIGCHLD, SIG_DFL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setenv("PS1", "pinrace:\\w# ", 1);
		(void)!chdir("/root");
		execv("/bin/busybox", argv);
		say("cannot run /bin/busybox: %s", strerror(errno));
		_exit(127);
	}
	while (pid > 0) {
		pid_t done = waitpid(-1, NULL, 0);

		if (done == pid || (done < 0 && errno != EINTR))
			break;
	}
}

__attribute__((noreturn))
static void leave(void)
{
	kill_everything();
	sync();
	channel_drain();
	reboot(RB_AUTOBOOT);
	say("reboot failed: %s", strerror(errno));
	for (;;)
		pause();
}

int main(void)
{
	struct plan plan;
	bool good;

	if (getpid() != 1) {
		fprintf(stderr, "pinrace-init: this is the first program of a guest only\n");
		return 2;
	}
	umask(022);
	good = mount_all();
	sethostname("pinrace", strlen("pinrace"));
	set_environment();
	set_limits();
	loopback_up();
	job_setup();
	if (!good || !plan_load(&plan, PLAN_PATH))
		leave();
	/* A person in the shell can do without the channel; results cannot. */
	if (!channel_open(plan.channel) && !plan.shell)
		leave();
	send_hello();
	if (plan.shell)
		run_shell(plan.console);
	for (size_t i = 0; i < plan.nr_jobs; i++)
		job_run(&plan.jobs[i]);
	channel_sendf("done", "jobs=%zu\n", plan.nr_jobs);
	if (plan.then && !strcmp(plan.then, "remain"))
		run_shell(plan.console);
	leave();
}
