// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Says what this program is, and what a supervisor sees of it: a 32-bit guest
 * that in truth ran 64-bit programs would prove nothing.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pinrace.h"

#define WAIT_MS	20000

static int fail(const char *what)
{
	printf("abiprobe: %s: %s\n", what, strerror(errno));
	return 1;
}

__attribute__((noreturn))
static void trapped(int sock)
{
	int listener = pr_listen(SYS_getppid);

	if (listener < 0 || pr_send_fd(sock, listener))
		_exit(2);
	close(listener);
	_exit(syscall(SYS_getppid) < 0);
}

int main(void)
{
	unsigned char ident[EI_NIDENT];
	uint16_t type_machine[2];
	struct seccomp_notif req;
	int pair[2], fd, status;
	pid_t pid;

	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, ident, sizeof(ident)) != sizeof(ident) ||
	    read(fd, type_machine, sizeof(type_machine)) != sizeof(type_machine))
		return fail("cannot read /proc/self/exe");
	close(fd);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return fail("socketpair");
	pid = fork();
	if (pid < 0)
		return fail("fork");
	if (pid == 0)
		trapped(pair[1]);
	close(pair[1]);
	fd = pr_recv_fd(pair[0]);
	if (fd < 0)
		return fail("no listener came");
	if (pr_recv(fd, &req, WAIT_MS))
		return fail("no notification came");
	if (pr_continue(fd, req.id, SECCOMP_USER_NOTIF_FLAG_CONTINUE))
		return fail("cannot answer the notification");
	if (waitpid(pid, &status, 0) != pid || status)
		return fail("the trapped process failed");
	rec("abi elf_machine=%d elf_class=%d audit_arch=0x%08x nr=%d pointer=%zu",
	    type_machine[1], ident[EI_CLASS] == ELFCLASS64 ? 64 : 32,
	    req.data.arch, req.data.nr, sizeof(void *));
	return 0;
}
