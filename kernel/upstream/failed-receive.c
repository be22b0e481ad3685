// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * failed-receive: a copy of a seccomp notification fails after another supervisor has answered it.
 *
 * The first supervisor is in the copy_to_user() of SECCOMP_IOCTL_NOTIF_RECV, held by a userfaultfd.
 * The second one, which knows the next number, replies with CONTINUE. The task is kept from running
 * by a thread of higher priority on its CPU. Then the copy fails, and then the listener is closed.
 * Says what became of the call, and whether it needed the close. Runs as root, also as process 1.
 * Exits with 0 if the reply stood, with 1 if not, with 2 if it cannot be tried here.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>

static int listener;
static void *buffer;
static volatile int hog_runs, hog_stops;

static void done(const char *what, int status)
{
	printf("%s\n", what);
	fflush(stdout);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	exit(status);
}

static int run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

static int trap_getppid(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = 4, .filter = filter };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		       &prog);
}

static void *receive(void *arg)
{
	(void)arg;
	return (void *)(long)(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, buffer) ? errno : 0);
}

static void *hog(void *arg)
{
	struct sched_param param = { .sched_priority = 50 };

	(void)arg;
	if (run_on(0) || pthread_setschedparam(pthread_self(), SCHED_FIFO, &param))
		return NULL;
	hog_runs = 1;
	while (!hog_stops)
		;
	return NULL;
}

/* The task: its first call is denied, the second one is what this is about. */
static void call_twice(void)
{
	/* Closing it shall close the last one. */
	close(listener);
	run_on(0);
	syscall(__NR_getppid);
	_exit(syscall(__NR_getppid) >= 0 ? 0 : errno == ENOSYS ? 3 : 4);
}

static int ended(pid_t pid, int *status)
{
	for (int i = 0; i < 300; i++) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return 1;
		usleep(10000);
	}
	return 0;
}

static const char *outcome(int status)
{
	return WIFSIGNALED(status) ? "died" : WEXITSTATUS(status) == 0 ? "ran" :
	       WEXITSTATUS(status) == 3 ? "failed with ENOSYS" : "failed";
}

int main(void)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_api api = { .api = UFFD_API };
	struct seccomp_notif_resp resp = { 0 };
	struct seccomp_notif req = { 0 };
	struct pollfd pollfd = { .events = POLLIN };
	pthread_t receiver, hogger;
	int uffd, status = 0;
	char text[128];
	void *got;
	pid_t pid;

	uffd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (run_on(1) || uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		done("SKIP: needs two CPUs, root and userfaultfd", 2);
	listener = trap_getppid();
	pid = fork();
	if (!pid)
		call_twice();
	if (listener < 0 || pid < 0 || ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &req))
		done("SKIP: no user notifications", 2);

	buffer = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(buffer, 0, 4096);
	reg.range.start = (unsigned long)buffer;
	reg.range.len = 4096;
	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		done("SKIP: UFFDIO_REGISTER", 2);
	pthread_create(&receiver, NULL, receive, NULL);
	usleep(300000);		/* it has looked at its buffer, and waits */
	madvise(buffer, 4096, MADV_DONTNEED);
	resp.id = req.id;
	resp.error = -EPERM;
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
	pollfd.fd = uffd;
	if (poll(&pollfd, 1, 10000) != 1)
		done("SKIP: the receiver does not fault", 2);

	pthread_create(&hogger, NULL, hog, NULL);
	for (int i = 0; i < 1000 && !hog_runs; i++)
		usleep(1000);
	memset(&resp, 0, sizeof(resp));
	resp.id = req.id + 1;
	resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	if (!hog_runs || ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp))
		done("SKIP: the reply was not accepted", 2);
	munmap(buffer, 4096);
	ioctl(uffd, UFFDIO_WAKE, &reg.range);
	pthread_join(receiver, &got);
	hog_stops = 1;
	pthread_join(hogger, NULL);

	if (ended(pid, &status)) {
		snprintf(text, sizeof(text), "ok: RECV %s, and the call %s on its reply",
			 strerror((int)(long)got), outcome(status));
		done(text, status != 0);
	}
	close(listener);
	if (!ended(pid, &status))
		done("BAD: the call neither ran nor failed", 1);
	snprintf(text, sizeof(text), "BAD: the reply was lost; the call %s when the listener was closed",
		 outcome(status));
	done(text, 1);
}
