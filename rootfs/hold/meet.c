// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hold.h"
#include "meet.h"

#define PAGE		ANSWER_ROOM
#define MOST_SPINS	14	/* as a power of two, about the longest operation of a side */
#define LEAST_SLEEP	9	/* so too, in nanoseconds: the longest are those of a machine */
#define MOST_SLEEP	17	/* with 2 ns an instruction, waking up included */
#define SETTLE_NS	2000000	/* for a tracee that side b has woken to get on */

enum meeting meeting;
char answer[ANSWER_ROOM] __attribute__((aligned(ANSWER_ROOM)));
void *answer_place = answer;

static uint64_t random_state;
static unsigned int spins_a, spins_b;
static long sleep_ns;

/*
 * A gate: the second page of `region` is missing. Of a source, side a reads
 * `region`; what it would read lies in `image`, where side b changes it.
 */
static char *region, *image;
static int uffd = -1;

/* xorshift64: Marsaglia, "Xorshift RNGs", 2003 */
static uint32_t random32(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state >> 32;
}

/* Each order of magnitude as likely as the others. */
static uint32_t random_below_power(unsigned int least, unsigned int most)
{
	return random32() % (1u << (least + random32() % (most - least + 1)));
}

bool meet_as(const char *mode, const char *seed)
{
	static const char *const names[] = { [SPIN] = "spin", [TIMER] = "timer", [GATE] = "gate" };

	for (int i = SPIN; i <= GATE; i++)
		if (!strcmp(mode, names[i]))
			meeting = i;
	random_state = strtoull(seed, NULL, 0) * 2654435761u + 1;
	return meeting != HELD;
}

void *source(void *in_shared)
{
	return image ? region + ((char *)in_shared - image) : in_shared;
}

static char *two_pages(void)
{
	char *place = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (place == MAP_FAILED)
		die("mmap");
	return place;
}

static void make_gate(const struct scenario *scenario)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	if (!scenario->gate_after && !scenario->gate_in_answer) {
		errno = ENOTSUP;
		die("no gate in this scenario");
	}
	region = two_pages();
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	reg.range.start = (uintptr_t)region + PAGE;
	reg.range.len = PAGE;
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		die("userfaultfd");
	if (scenario->gate_in_answer) {
		answer_place = region + PAGE;
		return;
	}
	image = two_pages();
	shared_path = image + PAGE - scenario->gate_after;
}

void meet_prepare(const struct scenario *scenario)
{
	if (meeting == GATE)
		make_gate(scenario);
	/* Where CPUs take turns, the first of them runs first whenever a timer is due. */
	if (meeting == TIMER) {
		cpu_a = 1;
		cpu_b = 0;
	}
}

void meet_draw(const struct scenario *scenario)
{
	spins_a = spins_b = 0;
	*(random32() & 1 ? &spins_a : &spins_b) = random_below_power(0, MOST_SPINS);
	sleep_ns = random_below_power(LEAST_SLEEP, MOST_SLEEP);
	if (meeting != GATE)
		return;
	if (madvise(region + PAGE, PAGE, MADV_DONTNEED))
		die("cannot take the page away");
	if (scenario->gate_after)
		memcpy(region, image, PAGE);
}

static void spin(unsigned int count)
{
	for (volatile unsigned int i = count; i; i--)
		;
}

void meet_a(void)
{
	if (meeting == SPIN)
		spin(spins_a);
}

/* Someone is stopped in the midst of an access: do side b's part, and then give him the page. */
static void serve(const struct scenario *scenario, struct round *r)
{
	const struct timespec settle = { .tv_nsec = SETTLE_NS };
	struct pollfd fd = { .fd = uffd, .events = POLLIN };
	struct uffdio_copy copy = { .dst = (uintptr_t)region + PAGE, .len = PAGE };
	struct uffd_msg msg;

	if (poll(&fd, 1, WAIT_MS) != 1 || read(uffd, &msg, sizeof(msg)) != sizeof(msg))
		die("nobody came to the gate");
	scenario->b(r);
	nanosleep(&settle, NULL);
	if (scenario->gate_after)
		memcpy(region, image, PAGE);
	copy.src = (uintptr_t)(scenario->gate_after ? image + PAGE : answer);
	if (ioctl(uffd, UFFDIO_COPY, &copy))
		die("cannot give the page");
}

void meet_b(const struct scenario *scenario, struct round *r)
{
	const struct timespec wait = { .tv_nsec = sleep_ns };

	if (meeting == GATE) {
		serve(scenario, r);
		return;
	}
	if (meeting == SPIN)
		spin(spins_b);
	if (meeting == TIMER)
		nanosleep(&wait, NULL);
	scenario->b(r);
}
