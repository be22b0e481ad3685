// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The race as one would first write it: one tracee that opens a file, one
 * thread that spins and rewrites the name, one supervisor that looks and lets
 * the call go on.  Nobody waits for a good moment.  It is there to be compared
 * with, and ends with the first open of what was not shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

#define WAIT_MS	60000

static volatile char *name;	/* "Tame" or "Mame" */

static void *rewrite(void *unused)
{
	for (;;) {
		*name = 'M';
		for (volatile int i = 0; i < 100; i++)
			;
		*name = 'T';
		for (volatile int i = 0; i < 100; i++)
			;
	}
	return unused;
}

__attribute__((noreturn))
static void naive_tracee(int sock, int answers)
{
	pthread_t thread;
	int listener;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (pthread_create(&thread, NULL, rewrite, NULL))
		_exit(2);
	listener = pr_listen(SYS_openat);
	if (listener < 0 || pr_send_fd(sock, listener))
		_exit(2);
	close(listener);
	for (;;) {
		char what = '0';
		int fd = syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);

		if (fd >= 0) {
			(void)!read(fd, &what, 1);
			close(fd);
		}
		if (write(answers, &what, 1) != 1)
			_exit(0);
	}
}

/* What the supervisor is shown; 0 when that failed. */
static char look(int listener, const struct seccomp_notif *req, bool pinned)
{
	char text[8] = "";

	if (pinned) {
		struct seccomp_notif_pin_args pin = { 0 };

		pr_pin_add(&pin, 1, SECCOMP_PIN_CSTRING, sizeof(text));
		if (pr_pin(listener, &pin, req->id, text, sizeof(text)))
			return 0;
	} else {
		struct iovec here = { text, 5 };
		struct iovec there = { (void *)(uintptr_t)req->data.args[1], 5 };

		if (process_vm_readv(req->pid, &here, 1, &there, 1, 0) != 5)
			return 0;
	}
	return text[0];
}

static void write_file(const char *file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, file, 1) != 1)
		bail(file);
	close(fd);
}

/* Race for that long; 0 when the kernel kept to what was shown, 1 when it did not. */
int naive(uint64_t seconds, bool pinned, bool plain)
{
	uint64_t began, limit;
	uint32_t trials = 0;
	int pair[2], pipes[2], listener;
	bool lost = false;
	pid_t pid;

	write_file("Tame");
	write_file("Mame");
	name = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (name == MAP_FAILED || pipe2(pipes, O_CLOEXEC) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		bail("naive");
	strcpy((char *)name, "Tame");
	pid = fork();
	if (!pid)
		naive_tracee(pair[1], pipes[1]);
	listener = pr_recv_fd(pair[0]);
	if (pid < 0 || listener < 0)
		bail("naive");
	close(pipes[1]);
	began = now_ns();
	limit = began + seconds * 1000000000ull;
	while (!lost && now_ns() < limit) {
		struct seccomp_notif req;
		char seen, did;

		if (pr_recv(listener, &req, WAIT_MS))
			bail("naive: no notification");
		seen = look(listener, &req, pinned);
		if (!seen || pr_continue(listener, req.id, pinned && !plain ? PR_PINNED :
					 SECCOMP_USER_NOTIF_FLAG_CONTINUE))
			bail("naive: no reply");
		if (read(pipes[0], &did, 1) != 1)
			bail("naive: no answer");
		trials++;
		lost = did != seen;
	}
	rec("torture naive trials=%u lost=%d ns=%llu", trials, lost,
	    (unsigned long long)(now_ns() - began));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return lost;
}
