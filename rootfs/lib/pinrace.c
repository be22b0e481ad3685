// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pinrace.h"

#define RECORDS_FD	3	/* what init listens on for records */

int pr_listen(int nr)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(filter[0]),
		.filter = filter,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		       SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

int pr_send_fd(int sock, int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec byte = { "f", 1 };
	struct msghdr msg = {
		.msg_iov = &byte, .msg_iovlen = 1,
		.msg_control = control.room, .msg_controllen = sizeof(control.room),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	return sendmsg(sock, &msg, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

int pr_recv_fd(int sock)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char data;
	struct iovec byte = { &data, 1 };
	struct msghdr msg = {
		.msg_iov = &byte, .msg_iovlen = 1,
		.msg_control = control.room, .msg_controllen = sizeof(control.room),
	};
	struct cmsghdr *head;
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1) {
		errno = EPIPE;
		return -1;
	}
	head = CMSG_FIRSTHDR(&msg);
	if (!head || head->cmsg_type != SCM_RIGHTS) {
		errno = EBADMSG;
		return -1;
	}
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

int pr_recv(int listener, struct seccomp_notif *req, int timeout_ms)
{
	struct pollfd fd = { .fd = listener, .events = POLLIN };
	int ready;

	do {
		ready = poll(&fd, 1, timeout_ms);
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return -1;
	if (!(fd.revents & POLLIN)) {
		errno = ready ? ESRCH : ETIMEDOUT;	/* POLLHUP: nobody is left */
		return -1;
	}
	memset(req, 0, sizeof(*req));	/* the kernel insists */
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, req);
}

int pr_continue(int listener, uint64_t id, uint32_t flags)
{
	struct seccomp_notif_resp resp = { .id = id, .flags = flags };

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

int pr_deny(int listener, uint64_t id, int error)
{
	struct seccomp_notif_resp resp = { .id = id, .error = -error };

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

void pr_pin_add(struct seccomp_notif_pin_args *pin, int arg, int kind, uint32_t max_bytes)
{
	pin->args[pin->nr_args++] = (struct seccomp_pin_arg){
		.arg_idx = arg, .kind = kind, .max_bytes = max_bytes,
	};
}

int pr_pin(int listener, struct seccomp_notif_pin_args *pin, uint64_t id,
	   void *buf, uint32_t size)
{
	pin->id = id;
	pin->buf = (uintptr_t)buf;
	pin->buf_size = size;
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_PIN_ARGS, pin);
}

/*
 * An unknown ioctl gives EINVAL, and so does a bad request to a known one.
 * Ask with two that only a kernel which knows it answers otherwise.
 */
bool pr_has_pin_args(int listener)
{
	struct seccomp_notif_pin_args good = { 0 }, huge = { 0 };
	char buf[16];

	pr_pin_add(&good, 0, SECCOMP_PIN_FIXED, 1);
	if (pr_pin(listener, &good, ~0ull, buf, sizeof(buf)) == 0 ||
	    (errno != EINVAL && errno != ENOTTY))
		return true;
	pr_pin_add(&huge, 0, SECCOMP_PIN_FIXED, 1 << 30);
	return pr_pin(listener, &huge, ~0ull, buf, sizeof(buf)) == 0 ||
	       (errno != EINVAL && errno != ENOTTY);
}

void rec(const char *fmt, ...)
{
	int fd = fcntl(RECORDS_FD, F_GETFD) < 0 ? STDOUT_FILENO : RECORDS_FD;
	char line[1024];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	if (len < 0)
		return;
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	fflush(stdout);		/* records and output in order when both are one */
	(void)!write(fd, line, len);
}
