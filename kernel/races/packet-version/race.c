// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CVE-2016-8655, mended by 84ac7260236a ("packet: fix race condition in packet_set_ring").
 * Side a asks for a ring with a request of version 1, side b sets version 3. Either a is first,
 * and a socket with a ring keeps its version, or b is, and such a short request is refused: one
 * of the two must fail. (A ring to send from, as the other kind does not survive it.)
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "race.h"

#define BLOCK	4096
#define FRAME	2048

static int sock = -1;

static int set_version(int version)
{
	return setsockopt(sock, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) ? errno : 0;
}

static void prepare(void)
{
	if (sock >= 0)
		close(sock);
	sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (sock < 0 || set_version(TPACKET_V1))
		race_die("a packet socket");
}

static void a(void)
{
	const struct tpacket_req ring = {
		.tp_block_size = BLOCK, .tp_block_nr = 1, .tp_frame_size = FRAME,
		.tp_frame_nr = BLOCK / FRAME,
	};

	race_said.a = setsockopt(sock, SOL_PACKET, PACKET_TX_RING, &ring, sizeof(ring)) ? errno : 0;
}

static void b(void)
{
	race_said.b = set_version(TPACKET_V3);
}

static const char *check(void)
{
	return !race_said.a && !race_said.b ? "the version changed under a ring" : NULL;
}

/* What check() is to see: two sockets, so that nobody is in the way of the other. */
static void control(void)
{
	a();
	close(sock);
	sock = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	b();
}

RACE(.prepare = prepare, .a = a, .b = b, .check = check, .control = control);
