// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gates.h"

/*
 * Shared memory, so that the supervisor can take a page away again: a hole in
 * the file is a page that is missing, whatever the tracee is doing.
 */
void gate_init(struct gate *g)
{
	g->memfd = syscall(SYS_memfd_create, "gate", 1 /* MFD_CLOEXEC */);
	if (g->memfd < 0 || ftruncate(g->memfd, REGION))
		die("memfd");
	g->pages = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, g->memfd, 0);
	if (g->pages == MAP_FAILED)
		die("mmap");
	if (pipe2(g->stop, O_CLOEXEC))
		die("pipe");
}

void gate_close(struct gate *g)
{
	if (fallocate(g->memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE))
		die("cannot take the page away");
}

void gate_reset(struct gate *g)
{
	gate_close(g);
	memcpy(g->pages, g->image[IS_A], PAGE);
	g->gives = IS_A;
	g->checked = false;
	g->before = 0;
	g->after = 0;
}

int gate_register(const struct gate *g)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)g->pages + PAGE, PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg))
		return -1;
	return fd;
}

/* Someone is stopped in his read.  Whatever he has read already, from here on it is this. */
static void give(struct gate *g)
{
	char *image = g->image[g->gives];
	struct uffdio_copy copy = {
		.dst = (uintptr_t)g->pages + PAGE,
		.src = (uintptr_t)image + PAGE,
		.len = PAGE,
	};
	struct uffdio_range range = { copy.dst, PAGE };

	if (g->checked)
		g->after++;
	else
		g->before++;
	memcpy(g->pages, image, PAGE);
	if (ioctl(g->uffd, UFFDIO_COPY, &copy) && errno == EEXIST)
		ioctl(g->uffd, UFFDIO_WAKE, &range);
}

void *gate_serve(void *arg)
{
	struct gate *g = arg;
	struct pollfd fds[] = {
		{ .fd = g->uffd, .events = POLLIN },
		{ .fd = g->stop[0], .events = POLLIN },
	};
	struct uffd_msg msg;
	char byte;

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents & POLLIN) {
			if (read(g->uffd, &msg, sizeof(msg)) == sizeof(msg) &&
			    msg.event == UFFD_EVENT_PAGEFAULT)
				give(g);
		} else if (fds[1].revents) {
			(void)!read(g->stop[0], &byte, 1);
			return NULL;
		} else if (fds[0].revents) {
			fds[0].fd = -1;		/* its memory is gone */
		}
	}
}
