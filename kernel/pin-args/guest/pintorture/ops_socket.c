// SPDX-License-Identifier: GPL-2.0-or-later
/* Socket addresses, data and options: who was reached, and what the socket says of itself. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "torture.h"

#define PORT	4711	/* of the inet receivers, plus the lane's number */

static int receivers[2];	/* AF_UNIX, abstract names that end in T and M */
static int inet_receivers[2];	/* 127.0.0.84 and 127.0.0.77 */
static int sender, inet_sender, options;
static int fresh;		/* of this trial */
static struct lane *mine;

static socklen_t abstract(struct sockaddr_un *addr, char letter, const char *name)
{
	int len;

	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	len = snprintf(addr->sun_path + 1, 40, "%c%s", letter, name);
	return offsetof(struct sockaddr_un, sun_path) + 1 + len;
}

#define LETTER_UN	(offsetof(struct sockaddr_un, sun_path) + 1)
#define LETTER_IN	(offsetof(struct sockaddr_in, sin_addr) + 3)

static socklen_t inet(struct sockaddr_in *addr, char letter)
{
	memset(addr, 0, sizeof(*addr));
	addr->sin_family = AF_INET;
	addr->sin_port = htons(PORT + mine->number);
	addr->sin_addr.s_addr = htonl(0x7f000000 | letter);
	return sizeof(*addr);
}

static socklen_t receiver_addr(struct sockaddr_un *addr, char letter)
{
	char name[24];

	snprintf(name, sizeof(name), "to-%d", mine->number);
	return abstract(addr, letter, name);
}

static int made(int domain)
{
	int fd = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		bail("socket");
	return fd;
}

void socket_setup(struct lane *lane)
{
	struct sockaddr_un un;
	struct sockaddr_in in;

	mine = lane;
	for (int i = 0; i < 2; i++) {
		socklen_t len = receiver_addr(&un, "TM"[i]);

		receivers[i] = made(AF_UNIX);
		inet_receivers[i] = made(AF_INET);
		if (bind(receivers[i], (void *)&un, len))
			bail("bind");
		len = inet(&in, "TM"[i]);
		if (bind(inet_receivers[i], (void *)&in, len))
			bail("bind to 127.0.0.x");
	}
	sender = made(AF_UNIX);
	inet_sender = made(AF_INET);
	options = made(AF_INET);
}

/* ---- bind, connect ---- */

static bool prepare_bind(struct lane *lane, struct trial *trial)
{
	struct sockaddr_un addr;
	char name[24];
	socklen_t len;

	snprintf(name, sizeof(name), "%d-%08x", lane->number, trial->seq);
	len = abstract(&addr, 'T', name);
	fresh = made(AF_UNIX);
	trial->call.args[0] = fresh;
	slot_bytes(lane, trial, 1, &addr, len, LETTER_UN);
	trial->call.args[2] = len;
	return true;
}

static void probe_bind(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);

	(void)lane;
	(void)ret;
	letters[1] = getsockname(fresh, (void *)&addr, &len) ? '?' :
		     len <= offsetof(struct sockaddr_un, sun_path) ? '0' :
		     slot_match(&trial->slots[1], &addr, len);
	close(fresh);
}

static bool prepare_connect(struct lane *lane, struct trial *trial)
{
	bool is_inet = one_in(lane, 2);
	struct sockaddr_un un;
	struct sockaddr_in in;
	socklen_t len;

	fresh = made(is_inet ? AF_INET : AF_UNIX);
	trial->call.args[0] = fresh;
	len = is_inet ? inet(&in, 'T') : receiver_addr(&un, 'T');
	slot_bytes(lane, trial, 1, is_inet ? (void *)&in : (void *)&un, len,
		   is_inet ? LETTER_IN : LETTER_UN);
	trial->call.args[2] = len;
	return true;
}

static void probe_connect(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	(void)lane;
	(void)ret;
	if (getpeername(fresh, (void *)&addr, &len))
		letters[1] = errno == ENOTCONN ? '0' : '?';
	else
		letters[1] = slot_match(&trial->slots[1], &addr, len);
	close(fresh);
}

/* ---- sendto: to whom, and what ---- */

static bool prepare_sendto(struct lane *lane, struct trial *trial)
{
	bool is_inet = one_in(lane, 3);
	uint32_t size = 12 + random_below(lane, 500);
	unsigned char data[512];
	struct sockaddr_un un;
	struct sockaddr_in in;
	socklen_t len;

	for (uint32_t i = 0; i < size; i++)
		data[i] = mix(trial->seq, i);
	trial->call.args[0] = is_inet ? inet_sender : sender;
	slot_bytes(lane, trial, 1, data, size, 3);
	trial->call.args[2] = size;
	trial->call.args[3] = MSG_DONTWAIT | MSG_NOSIGNAL;
	len = is_inet ? inet(&in, 'T') : receiver_addr(&un, 'T');
	slot_bytes(lane, trial, 4, is_inet ? (void *)&in : (void *)&un, len,
		   is_inet ? LETTER_IN : LETTER_UN);
	trial->call.args[5] = len;
	return true;
}

static void probe_sendto(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	bool is_inet = trial->call.args[0] == inet_sender;
	const int *from = is_inet ? inet_receivers : receivers;
	unsigned char data[600];

	(void)lane;
	(void)ret;
	letters[1] = letters[4] = '0';
	for (int i = 0; i < 2; i++) {
		long got = recv(from[i], data, sizeof(data), MSG_DONTWAIT);

		if (got < 0)
			continue;
		letters[4] = letters[4] == '0' ? "TM"[i] : '?';
		letters[1] = letters[1] == '0' ? slot_match(&trial->slots[1], data, got) : '?';
	}
}

/* ---- setsockopt ---- */

static const struct {
	int level, option;
} option_list[] = {
	{ IPPROTO_IP, IP_TTL },
	{ IPPROTO_IP, IP_MULTICAST_TTL },
	{ SOL_SOCKET, SO_PRIORITY },
	{ SOL_SOCKET, SO_MARK },
};

static bool prepare_sockopt(struct lane *lane, struct trial *trial)
{
	uint32_t i = random_below(lane, sizeof(option_list) / sizeof(option_list[0]));
	int before = 3, value = 'T';

	if (setsockopt(options, option_list[i].level, option_list[i].option, &before,
		       sizeof(before)))
		return false;
	trial->call.args[0] = options;
	trial->call.args[1] = option_list[i].level;
	trial->call.args[2] = option_list[i].option;
	slot_bytes(lane, trial, 3, &value, sizeof(value), 0);
	trial->call.args[4] = sizeof(value);
	return true;
}

static void probe_sockopt(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	socklen_t len = sizeof(int);
	int value = 0;

	(void)lane;
	(void)ret;
	getsockopt(options, trial->call.args[1], trial->call.args[2], &value, &len);
	letters[3] = value == 3 ? '0' : value == 'T' ? 'T' : value == 'M' ? 'M' : '?';
}

const struct op socket_ops[] = {
	{ "bind", "bind", SYS_bind, prepare_bind, NULL, probe_bind },
	{ "connect", "connect", SYS_connect, prepare_connect, NULL, probe_connect },
	{ "sendto", "sendto", SYS_sendto, prepare_sendto, NULL, probe_sendto },
	{ "setsockopt", "setsockopt", SYS_setsockopt, prepare_sockopt, NULL, probe_sockopt },
	{ NULL },
};
