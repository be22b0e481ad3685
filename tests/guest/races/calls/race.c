// SPDX-License-Identifier: GPL-2.0-or-later
/* On x86 all CPUs of an address space are asked to forget a page, also one that is held. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "race.h"

#define NUMBER	99
#define SIZE	(4 * RACE_PAGE)

static volatile char *map;

static void prepare(void)
{
	if (map)
		munmap((void *)map, SIZE);
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		race_die("mmap");
	*map = 1;
}

static void a(void)
{
	race_said.a = dup3(0, NUMBER, O_CLOEXEC) < 0 ? errno : 0;
}

static void b(void)
{
	race_said.b = mprotect((void *)map, SIZE, PROT_READ) ? errno : 0;
}

RACE(.prepare = prepare, .a = a, .b = b);
