// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "meet.h"

#define PAGE		RACE_PAGE
#define MOST_SPINS	14	/* as a power of two, about the longest operation of a side */
#define LEAST_SLEEP	9	/* so too, in nanoseconds: the longest are those of a machine */
#define MOST_SLEEP	17	/* with 2 ns an instruction, waking up included */
#define SETTLE_NS	2000000	/* for a task that side b has woken to get on */
#define BLOCKED_NS	200000000	/* for side b; then it waits for what side a has */

enum meeting meeting;
int race_cpu[RACE_SIDES] = { 0, 1, 2 };
char race_answer[RACE_PAGE] __attribute__((aligned(RACE_PAGE)));
void *race_answer_place = race_answer;

static uint64_t random_state;
static unsigned int spins[RACE_SIDES];
static long sleep_ns;

/*
 * A gate: the second page of `region` is missing. Of an argument, side a reads
 * `region`; what it would read lies in `image`, where side b changes it.
 */
static char *region, *image;
static size_t after;
static bool of_argument;
static int uffd = -1;
static sem_t stopped, done_b;	/* side a at the gate, side b behind it */

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
	static const char *const names[] = {
		[NAIVE] = "naive", [SPIN] = "spin", [TIMER] = "timer", [GATE] = "gate",
		[CONTROL] = "control",
	};

	for (int i = NAIVE; i <= CONTROL; i++)
		if (!strcmp(mode, names[i]))
			meeting = i;
	random_state = strtoull(seed, NULL, 0) * 2654435761u + 1;
	return meeting != HELD;
}

static char *two_pages(void)
{
	char *place = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (place == MAP_FAILED)
		race_die("mmap");
	return place;
}

void *race_argument(void)
{
	if (!image) {
		image = two_pages();
		memset(image, 0, 2 * PAGE);
	}
	return image + PAGE - after;
}

void *race_source(void *in_argument)
{
	return of_argument ? region + ((char *)in_argument - image) : in_argument;
}

void meet_draw(void)
{
	memset(spins, 0, sizeof(spins));
	spins[random32() & 1] = random_below_power(0, MOST_SPINS);
	sleep_ns = random_below_power(LEAST_SLEEP, MOST_SLEEP);
}

void meet_open(const struct race *race)
{
	if (meeting != GATE)
		return;
	while (!sem_trywait(&done_b))
		;	/* of a round in which it came too late */
	if (madvise(region + PAGE, PAGE, MADV_DONTNEED))
		race_die("cannot take the page away");
	if (race->gate_in_argument)
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
		spin(spins[RACE_A]);
}

/*
 * Someone is stopped in the midst of an access: let side b do its part, and then give him the page.
 * Where b needs what he holds, it gets on once he has the page.
 */
static void serve(void)
{
	const struct timespec settle = { .tv_nsec = SETTLE_NS };
	struct uffdio_copy copy = { .dst = (uintptr_t)region + PAGE, .len = PAGE };
	struct timespec until;
	struct uffd_msg msg;

	if (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
		race_die("the gate is broken");
	sem_post(&stopped);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += BLOCKED_NS;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	if (!sem_timedwait(&done_b, &until))
		nanosleep(&settle, NULL);
	if (of_argument)
		memcpy(region, image, PAGE);
	copy.src = (uintptr_t)(of_argument ? image + PAGE : race_answer);
	if (ioctl(uffd, UFFDIO_COPY, &copy))
		race_die("cannot give the page");
}

static void *keep_gate(void *unused)
{
	const struct sched_param before_b = { .sched_priority = 2 };

	(void)unused;
	race_use_cpu(race_cpu[RACE_B]);
	if (sched_setscheduler(0, SCHED_FIFO, &before_b))
		race_die("sched_setscheduler");
	for (;;)
		serve();
	return NULL;
}

static void make_gate(const struct race *race)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	pthread_t thread;

	if (!race->gate_in_argument && !race->gate_in_answer) {
		errno = ENOTSUP;
		race_die("no gate in this race");
	}
	region = two_pages();
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	reg.range.start = (uintptr_t)region + PAGE;
	reg.range.len = PAGE;
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
		race_die("userfaultfd");
	if (race->gate_in_answer)
		race_answer_place = region + PAGE;
	else
		race_argument();
	of_argument = race->gate_in_argument;
	sem_init(&stopped, 0, 0);
	sem_init(&done_b, 0, 0);
	if (pthread_create(&thread, NULL, keep_gate, NULL))
		race_die("pthread_create");
}

void meet_prepare(const struct race *race)
{
	after = race->gate_after;
	if (meeting == GATE)
		make_gate(race);
	/* Where CPUs take turns, the first of them runs first whenever a timer is due. */
	if (meeting == TIMER) {
		race_cpu[RACE_A] = 1;
		race_cpu[RACE_B] = 0;
	}
}

/* Side b's part while side a is stopped at the gate. */
static void behind_gate(const struct race *race)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += RACE_WAIT_MS / 1000;
	if (sem_timedwait(&stopped, &until))
		race_die("nobody came to the gate");
	race->b();
	sem_post(&done_b);
}

void meet_wait(enum race_side side)
{
	const struct timespec wait = { .tv_nsec = sleep_ns };

	if (meeting == SPIN)
		spin(spins[side]);
	if (meeting == TIMER)
		nanosleep(&wait, NULL);
}

void meet_other(const struct race *race, enum race_side side)
{
	if (meeting == GATE && side == RACE_B) {
		behind_gate(race);
		return;
	}
	meet_wait(side);
	(side == RACE_B ? race->b : race->c)();
}
