// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The supervisors.  Each does one call at a time when told to.  A and B have
 * pages that the kernel is held at: it reads one that is not there, or writes
 * to one that is protected by a userfaultfd, until the driver lets it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "model.h"

enum { GUARDED_REQ, GUARDED_BUF, MISSING, RO_REQ, RO_ZERO, NONE, PLAIN, NR_PAGES };

#define LATE_PAGES	(MISSING + 1)	/* the first ones */
#define NO_DESCRIPTOR	(1 << 20)	/* above any limit */

bool can_be_late;
static int faults = -1;
static size_t page;
static char *pages[NR_ACTORS];
static char *filler;

static void *at(enum who who, int which)
{
	return pages[who] + which * page;
}

static void protect(enum who who, int which, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)at(who, which), page },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	if (ioctl(faults, UFFDIO_WRITEPROTECT, &wp))
		bail("UFFDIO_WRITEPROTECT");
}

bool is_late(enum op op)
{
	return op == OP_RECV_LATE || op == OP_PIN_LATE_BUF || op == OP_PIN_LATE_REQ ||
	       op == OP_CP_LATE || op == OP_DENY_LATE;
}

/* The call is over: its pages are as they were. */
static void restore(enum who who)
{
	mprotect(at(who, GUARDED_REQ), LATE_PAGES * page, PROT_READ | PROT_WRITE);
	protect(who, GUARDED_REQ, false);
	protect(who, GUARDED_BUF, false);
}

/* Returns an errno. */
static int tell_kernel(struct actor *me, enum who who, unsigned long request, void *arg)
{
	int error = ioctl(me->listener, request, arg) ? errno : 0;

	if (is_late(me->op))
		restore(who);
	return error;
}

static bool setup_faults(void)
{
	struct uffdio_api api = {
		.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};

	faults = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (faults < 0 || ioctl(faults, UFFDIO_API, &api))
		return false;
	for (enum who who = A; who <= B; who++) {
		struct uffdio_register wp = {
			.range = { (uintptr_t)at(who, GUARDED_REQ), 2 * page },
			.mode = UFFDIO_REGISTER_MODE_WP,
		};
		struct uffdio_register missing = {
			.range = { (uintptr_t)at(who, MISSING), page },
			.mode = UFFDIO_REGISTER_MODE_MISSING,
		};

		if (ioctl(faults, UFFDIO_REGISTER, &wp) ||
		    ioctl(faults, UFFDIO_REGISTER, &missing))
			return false;
	}
	return true;
}

static void on_signal(int sig)
{
	(void)sig;
}

static void *thread_main(void *who)
{
	actor_loop((uintptr_t)who);
}

void actors_init(bool threads)
{
	struct sigaction action = { .sa_handler = on_signal };

	page = sysconf(_SC_PAGESIZE);
	filler = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sigaction(SIGUSR2, &action, NULL);	/* without SA_RESTART */
	for (enum who who = A; who < NR_ACTORS; who++) {
		pages[who] = mmap(NULL, NR_PAGES * page, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (pages[who] == MAP_FAILED || filler == MAP_FAILED)
			bail("mmap");
		memset(pages[who], 0, NR_PAGES * page);
		if (mprotect(at(who, RO_ZERO), page, PROT_READ) ||
		    mprotect(at(who, NONE), page, PROT_NONE))
			bail("mprotect");
	}
	can_be_late = threads && setup_faults();
	for (uintptr_t who = A; threads && who <= B; who++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, thread_main, (void *)who))
			bail("pthread_create");
	}
}

/* ---- what an actor does ---- */

static int do_recv(struct actor *me, enum who who)
{
	static const uint8_t where[] = { PLAIN, RO_ZERO, NONE, GUARDED_REQ };
	struct seccomp_notif *req = at(who, where[me->op - OP_RECV]);
	int error;

	if (me->op == OP_RECV || me->op == OP_RECV_LATE)
		memset(req, 0, sizeof(*req));
	if (me->op == OP_RECV_LATE)
		protect(who, GUARDED_REQ, true);
	error = tell_kernel(me, who, SECCOMP_IOCTL_NOTIF_RECV, req);
	return error ? error : req->id == me->id ? 0 : WRONG_ID;
}

static bool shows(const struct actor *me, const struct seccomp_notif_pin_args *req,
		  const char *bytes)
{
	uint32_t size = req->args[0].actual_size;

	if (me->op == OP_PIN_SHORT)
		return req->args[0].truncated;
	return !req->args[0].truncated && size == (me->data ? DATA_BYTES : strlen(source) + 1) &&
	       bytes[me->data ? 0 : size - 2] == me->letter;
}

static int do_pin(struct actor *me, enum who who)
{
	struct seccomp_notif_pin_args *req = at(who, PLAIN);
	char *buf = (char *)req + page / 2;
	uint32_t size = page / 2;
	int error;

	if (me->op == OP_PIN_LATE_REQ)
		req = at(who, GUARDED_REQ);
	if (me->op == OP_PIN_RO_REQ) {
		req = at(who, RO_REQ);
		mprotect(req, page, PROT_READ | PROT_WRITE);
	}
	memset(req, 0, sizeof(*req));
	memset(buf, 0, size);
	pr_pin_add(req, me->op == OP_PIN_BAD ? 7 : 1, me->data ? SECCOMP_PIN_FIXED :
		   SECCOMP_PIN_CSTRING, me->op == OP_PIN_SHORT ? 4 : me->data ? DATA_BYTES : 256);
	if (me->op == OP_PIN_SMALL)
		size = 2;
	if (me->op == OP_PIN_RO_BUF)
		buf = at(who, RO_ZERO);
	if (me->op == OP_PIN_NO_BUF)
		buf = at(who, NONE);
	if (me->op == OP_PIN_LATE_BUF)
		buf = at(who, GUARDED_BUF);
	req->id = me->id;
	req->buf = (uintptr_t)buf;
	req->buf_size = size;
	if (me->op == OP_PIN_RO_REQ)
		mprotect(req, page, PROT_READ);
	if (me->op == OP_PIN_LATE_REQ || me->op == OP_PIN_LATE_BUF)
		protect(who, me->op == OP_PIN_LATE_REQ ? GUARDED_REQ : GUARDED_BUF, true);
	error = tell_kernel(me, who, SECCOMP_IOCTL_NOTIF_PIN_ARGS,
			    me->op == OP_PIN_NO_REQ ? at(who, NONE) : req);
	return error ? error : shows(me, req, buf) ? 0 : WRONG_BYTES;
}

static struct seccomp_notif_resp reply_of(enum op op, uint64_t id)
{
	struct seccomp_notif_resp resp = { .id = id };

	switch (op) {
	case OP_CP_ERROR:
		resp.error = -EPERM;
		/* fall through */
	case OP_CP:
	case OP_CP_OLD:
	case OP_CP_LATE:
		resp.flags = PR_PINNED;
		break;
	case OP_CP_ALONE:
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE_PINNED;
		break;
	case OP_PLAIN:
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		break;
	case OP_UNKNOWN:
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE | 1 << 7;
		break;
	case OP_SPOOF:
		resp.val = SPOOFED;
		break;
	default:
		resp.error = -EPERM;
	}
	if (op == OP_CP_OLD)
		resp.id--;
	return resp;
}

static int do_send(struct actor *me, enum who who)
{
	struct seccomp_notif_resp resp = reply_of(me->op, me->id);
	void *from = &resp;

	if (is_late(me->op)) {
		from = at(who, MISSING);
		madvise(from, page, MADV_DONTNEED);
	}
	if (me->op == OP_SEND_NONE)
		from = at(who, NONE);
	return tell_kernel(me, who, SECCOMP_IOCTL_NOTIF_SEND, from);
}

static int do_addfd(struct actor *me, enum who who)
{
	struct seccomp_notif_addfd req = {
		.id = me->id, .srcfd = letter_fd, .newfd_flags = O_CLOEXEC,
		.flags = me->op == OP_ADDFD ? 0 : SECCOMP_ADDFD_FLAG_SEND,
	};
	int ret;

	if (me->op == OP_ADDFD_BAD) {
		req.flags |= SECCOMP_ADDFD_FLAG_SETFD;
		req.newfd = NO_DESCRIPTOR;
	}
	ret = ioctl(me->listener, SECCOMP_IOCTL_NOTIF_ADDFD,
		    me->op == OP_ADDFD_NONE ? at(who, NONE) : (void *)&req);
	return ret < 0 ? errno : ret ? -1 : 0;	/* a descriptor is -1 */
}

static int do_exec(struct actor *me, enum who who)
{
	char numbers[4][16];
	int values[4] = { shared_fd, letter_fd, (int)who, (int)me->cmd };

	for (int i = 0; i < 4; i++)
		snprintf(numbers[i], sizeof(numbers[i]), "%d", values[i]);
	fcntl(me->listener, F_SETFD, 0);
	fcntl(shared_fd, F_SETFD, 0);
	fcntl(letter_fd, F_SETFD, 0);
	execl("/proc/self/exe", "pinmodel", "--actor", numbers[0], numbers[1], numbers[2],
	      numbers[3], NULL);
	return errno;
}

static int do_op(struct actor *me, enum who who)
{
	if (me->op <= OP_RECV_LATE)
		return do_recv(me, who);
	if (me->op <= OP_PIN_LATE_REQ)
		return do_pin(me, who);
	if (me->op <= OP_DENY_LATE)
		return do_send(me, who);
	if (me->op <= OP_ADDFD_NONE)
		return do_addfd(me, who);
	if (me->op == OP_CLOSE_C)
		return close(me->listener) ? errno : 0;
	if (me->op == OP_EXEC_C)
		return do_exec(me, who);
	return ioctl(me->listener, SECCOMP_IOCTL_NOTIF_ID_VALID,
		     me->op == OP_VALID_NONE ? at(who, NONE) : (void *)&me->id) ? errno : 0;
}

void script_moment(unsigned int turns)
{
	for (volatile unsigned int i = 0; i < turns; i++)
		;
}

/* All of a script, at the same time as the others do theirs. */
static void play(struct actor *me, enum who who)
{
	struct script *script = &shared->scripts[who];

	while (shared->gun != me->gun)
		sched_yield();
	for (int i = 0; i < script->nr; i++) {
		me->op = script->op[i];
		script_moment(script->wait[i]);
		script->began[i] = shared->clock++;
		script->err[i] = do_op(me, who);
		script->ended[i] = shared->clock++;
	}
}

void actor_loop(enum who who)
{
	struct actor *me = &shared->actors[who];

	if (!shared->free)
		on_cpu(FIFO_ACTOR);
	me->tid = syscall(SYS_gettid);
	for (;;) {
		while (me->cmd == me->done)
			futex_wait(&me->cmd, me->done, 0);
		if (me->plays)
			play(me, who);
		else
			me->err = do_op(me, who);
		me->done = me->cmd;
	}
}

/* ---- what the driver does to them ---- */

/* It runs at once, until it is done or sleeps. */
void actor_tell(enum who who, enum op op, uint64_t id, char letter, bool data)
{
	struct actor *actor = &shared->actors[who];
	struct uffd_msg msg;

	while (faults >= 0 && read(faults, &msg, sizeof(msg)) > 0)
		;
	actor->op = op;
	actor->id = id;
	actor->letter = letter;
	actor->data = data;
	actor->cmd++;
	futex_wake(&actor->cmd);
}

bool actor_is_done(enum who who)
{
	return shared->actors[who].cmd == shared->actors[who].done;
}

/* Whether the kernel stands before one of its pages. */
bool actor_is_held(enum who who)
{
	struct uffd_msg msg;

	while (read(faults, &msg, sizeof(msg)) > 0) {
		uintptr_t at_page = msg.arg.pagefault.address;

		if (msg.event == UFFD_EVENT_PAGEFAULT && at_page >= (uintptr_t)pages[who] &&
		    at_page < (uintptr_t)pages[who] + LATE_PAGES * page)
			return true;
	}
	return false;
}

/* Let the kernel have the page, or not. */
void actor_let_go(enum who who, bool good, enum op op, uint64_t id)
{
	struct uffdio_range range = { (uintptr_t)at(who, GUARDED_REQ), LATE_PAGES * page };
	struct seccomp_notif_resp resp = reply_of(op, id);
	struct uffdio_copy copy = {
		.dst = (uintptr_t)at(who, MISSING), .src = (uintptr_t)filler, .len = page,
	};

	if (!good) {
		mprotect(at(who, GUARDED_REQ), range.len, PROT_NONE);
		ioctl(faults, UFFDIO_WAKE, &range);
		return;
	}
	if (op == OP_CP_LATE || op == OP_DENY_LATE) {
		memcpy(filler, &resp, sizeof(resp));
		ioctl(faults, UFFDIO_COPY, &copy);
	} else {
		protect(who, op == OP_PIN_LATE_BUF ? GUARDED_BUF : GUARDED_REQ, false);
	}
}
