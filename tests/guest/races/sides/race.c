// SPDX-License-Identifier: GPL-2.0-or-later
/* Sides that are held in a softirq, in a timer interrupt, in exit() and in exec(), none is a race. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "race.h"

static int sock, timer;
static struct sockaddr_in to = { .sin_family = AF_INET };

static void setup(void)
{
	struct ifreq request = { .ifr_name = "lo" };

	sock = socket(AF_INET, SOCK_DGRAM, 0);
	timer = timerfd_create(CLOCK_MONOTONIC, 0);
	if (sock < 0 || timer < 0 || ioctl(sock, SIOCGIFFLAGS, &request))
		race_die("setup");
	request.ifr_flags |= IFF_UP;
	if (ioctl(sock, SIOCSIFFLAGS, &request))
		race_die("up");
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(4000);
}

static void a(void)
{
	const struct itimerspec soon = { .it_value.tv_nsec = 100000 };
	struct timespec now;
	long long until;

	if (sendto(sock, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		race_said.a = errno;
	timerfd_settime(timer, 0, &soon, NULL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	until = now.tv_sec * 1000000000LL + now.tv_nsec + 3000000;
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while (now.tv_sec * 1000000000LL + now.tv_nsec < until);
}

static void b(void)
{
	usleep(5000);
	_exit(3);
}

static void c(void)
{
	char *argv[] = { "race", "--help", NULL };

	execv("/pinrace/race/race", argv);
	_exit(1);
}

RACE(.setup = setup, .a = a, .b = b, .c = c, .processes = 1 << RACE_B | 1 << RACE_C);
