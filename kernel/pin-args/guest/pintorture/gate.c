// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the kernel is held as it writes to V: pages that are not there until
 * somebody, who hears of the fault through a userfaultfd, has done something
 * else first.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor.h"

#define FAULT_MS	50		/* for V to receive what T has just called */

static int faults = -1, bell;
static size_t page;
static unsigned char *gated;	/* the pages, one behind the other */
static unsigned char *filled;	/* what a page that was not there begins with, and zeroes */

/* Have it not be there from now on. */
void gate_close(int which)
{
	madvise(gated + which * page, page, MADV_DONTNEED);
}

/* Let the kernel on; a page that is there already is left alone. */
void gate_open(int which)
{
	struct uffdio_copy copy = {
		.dst = (unsigned long)gated + which * page,
		.src = (unsigned long)filled + (which == GATE_AT_RECEIVED ? page : 0),
		.len = page,
	};
	struct uffdio_range range = { copy.dst, page };

	while (ioctl(faults, UFFDIO_COPY, &copy) && (errno == EAGAIN || errno == ENOMEM))
		sched_yield();
	ioctl(faults, UFFDIO_WAKE, &range);
}

void gate_setup(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	page = sysconf(_SC_PAGESIZE);
	gated = mmap(NULL, GATE_AT_BUFFER * page + PIN_ROOM, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	filled = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (gated == MAP_FAILED || filled == MAP_FAILED || bell < 0)
		bail("gate");
	memset(filled, FILLER, page);
	faults = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	reg.range.start = (unsigned long)gated;
	reg.range.len = NR_GATES * page;
	if (faults >= 0 && (ioctl(faults, UFFDIO_API, &api) ||
			    ioctl(faults, UFFDIO_REGISTER, &reg))) {
		close(faults);
		faults = -1;	/* a kernel without: no gates */
	}
	if (faults >= 0) {
		for (int i = 0; i < NR_GATES; i++)
			gate_open(i);
	}
}

/* A page, and what lies behind the last of them. */
void *gate_page(int which)
{
	return gated + which * page;
}

/* Whether this kernel can be held. */
bool gate_works(void)
{
	return faults >= 0;
}

/* The call that was to be held is over; nobody needs to wait for that any more. */
void gate_end(void)
{
	uint64_t one = 1;

	(void)!write(bell, &one, sizeof(one));
}

/* Forget what was heard before. */
void gate_begin(void)
{
	struct uffd_msg msg;
	uint64_t rung;

	while (read(faults, &msg, sizeof(msg)) > 0)
		;
	(void)!read(bell, &rung, sizeof(rung));
}

/* Wait until the kernel stands before that page; false when it ended before. */
bool gate_await(int which)
{
	struct pollfd fds[2] = { { faults, POLLIN, 0 }, { bell, POLLIN, 0 } };
	struct uffd_msg msg;

	for (;;) {
		if (poll(fds, 2, 1000) < 0 && errno != EINTR)
			return false;
		while (read(faults, &msg, sizeof(msg)) > 0) {
			unsigned long at = msg.arg.pagefault.address;

			if (msg.event == UFFD_EVENT_PAGEFAULT &&
			    at / page == (unsigned long)gated / page + which)
				return true;
		}
		if (fds[1].revents)
			return false;
	}
}

/*
 * Take a snapshot of a notification while it is on its way to V, and then have
 * it not come: the page for it is there no more.  It is received anew, and
 * nothing of this may count.
 */
void gate_spoil(struct actor *me, uint32_t cmd)
{
	struct pollfd fault = { faults, POLLIN, 0 };
	uint64_t id = lane->last_id + 1;
	struct uffd_msg msg;

	if (faults < 0 || !lane->receiving) {
		actor_done(me, cmd);
		return;
	}
	lane->spoiling = true;
	gate_begin();
	gate_close(GATE_AT_RECEIVED);
	actor_done(me, cmd);	/* T makes its call now */
	poll(&fault, 1, FAULT_MS);
	(void)!read(faults, &msg, sizeof(msg));
	describe(&lane->pin2);
	if (!take(&lane->pin2, id, lane->pin_buf2)) {
		struct uffdio_range range = { (unsigned long)gated, page };

		mprotect(gated, page, PROT_NONE);
		ioctl(faults, UFFDIO_WAKE, &range);
		while (lane->receiving)
			sched_yield();
		mprotect(gated, page, PROT_READ | PROT_WRITE);
	}
	gate_open(GATE_AT_RECEIVED);
	lane->spoiling = false;
}

