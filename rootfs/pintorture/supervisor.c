// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * V: does with each notification what the trial's plan says, and notes what it
 * saw before it replies.  A signal may take a notification away at any moment;
 * it then comes back as another one, for which nothing of the first may count.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "torture.h"

/* For headers that are older: 6.6. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP	(1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS		SECCOMP_IOW(4, __u64)
#endif

#define PATIENCE	60	/* looks at a source before the reply, in a free run */
#define FILLER		0xa5	/* of what the kernel is to write to */

enum step { GO_ON, GONE, REFUSE };

static struct lane *lane;
static struct trial *trial;
static pthread_t tracer;	/* the thread that holds S */
/*
 * Both threads wait for notifications, and one of them at a time deals with
 * the trial: after a signal the other may have it again before this one knows.
 */
static pthread_mutex_t dealing = PTHREAD_MUTEX_INITIALIZER;

/* Whether an error only says that the notification, or the task, is gone; or that memory is. */
static bool is_gone(void)
{
	return errno == ENOENT || errno == ESRCH;
}

static bool is_pressure(void)
{
	return (errno == ENOMEM || errno == EFAULT) && under_pressure(trial);
}

/* A signal that stops V for a while has its calls fail before they have begun. */
#define again_if_interrupted(expr) ({			\
	int ret_;					\
							\
	do {						\
		ret_ = (expr);				\
	} while (ret_ < 0 && errno == EINTR);		\
	ret_;						\
})

static int go_on(uint64_t id, uint32_t flags)
{
	return again_if_interrupted(pr_continue(lane->listener, id, flags));
}

static int deny(uint64_t id, int error)
{
	return again_if_interrupted(pr_deny(lane->listener, id, error));
}

static int send_it(struct seccomp_notif_resp *resp)
{
	return again_if_interrupted(ioctl(lane->listener, SECCOMP_IOCTL_NOTIF_SEND, resp));
}

static int take_into(struct seccomp_notif_pin_args *pin, uint64_t id, void *buf, uint32_t size)
{
	return again_if_interrupted(pr_pin(lane->listener, pin, id, buf, size));
}

/* Do something that has to fail like that. */
static enum step must_fail(const char *statement, const char *what, int ret, int expected)
{
	if (ret == 0) {
		violation(lane, statement, "%s was accepted", what);
		return GONE;
	}
	if (errno == expected)
		return GO_ON;
	if (is_gone())
		return GONE;
	if (!is_pressure())
		violation(lane, statement, "%s gave errno %d, not %d", what, errno, expected);
	return GO_ON;
}

static void describe(struct seccomp_notif_pin_args *pin)
{
	memset(pin, 0, sizeof(*pin));
	for (int i = 0; i < SLOTS; i++) {
		const struct slot *slot = &trial->slots[i];

		if (!(trial->pinned & 1u << i))
			continue;
		/* Exactly what is needed, or room for more where there may be. */
		pr_pin_add(pin, i, slot->kind, slot->kind == SECCOMP_PIN_FIXED ? slot->size :
			   slot->size + (trial->seq % 3) * 40);
	}
}

static int take(struct seccomp_notif_pin_args *pin, uint64_t id, unsigned char *buf)
{
	return take_into(pin, id, buf, PIN_ROOM);
}

/* ---- before ---- */

static enum step truncated(uint64_t id)
{
	struct seccomp_notif_pin_args pin;

	/* What is zero for a moment is short enough, and a whole snapshot is not replaced. */
	if (lane->spoiled || (trial->free && is_mapping(trial->mutator)))
		return GO_ON;
	describe(&pin);
	for (uint32_t i = 0; i < pin.nr_args; i++) {
		uint32_t size = trial->slots[pin.args[i].arg_idx].size;

		pin.args[i].max_bytes = size > 1 ? size - 1 : 1;
	}
	if (take(&pin, id, lane->pin_buf)) {
		if (is_gone())
			return GONE;
		if (!is_pressure())
			violation(lane, "C8", "a short snapshot gave errno %d", errno);
		return GO_ON;
	}
	for (uint32_t i = 0; i < pin.nr_args; i++) {
		if (!pin.args[i].truncated && trial->slots[pin.args[i].arg_idx].size > 1)
			violation(lane, "C8", "a short snapshot of slot %u is not truncated",
				  pin.args[i].arg_idx);
	}
	return must_fail("C8", "a reply with a truncated snapshot",
			 go_on(id, PR_PINNED), EMSGSIZE);
}

static enum step wrong(uint64_t id)
{
	struct seccomp_notif_pin_args pin;
	int expected = EOPNOTSUPP, size = PIN_ROOM;
	const char *statement = "C6";

	describe(&pin);
	switch (trial->before) {
	case B_WRONG_KIND:
		pin.args[0].kind = (pin.args[0].kind + 1 + trial->seq % 2) % 3;
		break;
	case B_WRONG_SLOT:
		if (trial->out_slot < 0)
			return GO_ON;
		statement = "C7";
		pin.nr_args = 0;
		pr_pin_add(&pin, trial->out_slot, trial->seq % 3, 16);
		break;
	case B_BAD_INPUT:
		statement = "C2";
		expected = EINVAL;
		if (trial->seq % 5 == 0)
			pin.args[0].arg_idx = 6;
		else if (trial->seq % 5 == 1)
			pin.args[0]._reserved = 1;
		else if (trial->seq % 5 == 2)
			pin.args[0].max_bytes = 0;
		else if (trial->seq % 5 == 3)
			pin.nr_args = 7;
		else
			pin.args[0].max_bytes = (1 << 20) + 1, expected = E2BIG;
		break;
	case B_UNKNOWN_ID:
		statement = "C2";
		expected = ENOENT;
		id ^= 0x5555ull << 40;
		break;
	default:
		statement = "C2";
		expected = ENOSPC;
		size = 1;
		/* Memory that went away is noticed before the buffer's size. */
		if (lane->spoiled || (trial->free && is_mapping(trial->mutator)))
			return GO_ON;
		if (trial->mask == 0 || trial->slots[pin.args[0].arg_idx].size < 2)
			return GO_ON;
	}
	return must_fail(statement, "a wrong request",
			 take_into(&pin, id, lane->pin_buf, size), expected);
}

static enum step bad_flags(uint64_t id)
{
	struct seccomp_notif_resp resp = { .id = id };

	resp.flags = trial->seq % 2 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE_PINNED : PR_PINNED;
	resp.error = trial->seq % 2 ? 0 : -EPERM;
	return must_fail("C3", "a reply with bad flags",
			 send_it(&resp), EINVAL);
}

static enum step do_before(uint64_t id)
{
	switch (trial->before) {
	case B_NOTHING:
		return GO_ON;
	case B_NO_PIN:
		if (!go_on(id, PR_PINNED)) {
			violation(lane, "C3", "a pinned reply without a snapshot was accepted");
			return GONE;
		}
		return errno == ENOENT ? GO_ON :
		       must_fail("C3", "a pinned reply without a snapshot", -1, ENOENT);
	case B_TRUNCATED:
		return truncated(id);
	case B_BAD_FLAGS:
		return bad_flags(id);
	default:
		return wrong(id);
	}
}

/* ---- the snapshot ---- */

/* Fill in the letters that V is shown. */
static enum step see(const struct seccomp_notif_pin_args *pin, const unsigned char *buf)
{
	uint64_t off = 0;

	for (uint32_t i = 0; i < pin->nr_args; i++) {
		const struct seccomp_pin_arg *arg = &pin->args[i];
		const struct slot *slot = &trial->slots[arg->arg_idx];
		char letter = '?';

		if (arg->buf_offset != off || arg->_reserved || arg->_reserved2 || arg->_reserved3)
			violation(lane, "C14", "descriptor %u has offset %llu", i,
				  (unsigned long long)arg->buf_offset);
		else if (!arg->truncated)
			letter = slot_match(slot, buf + off, arg->actual_size);
		off += arg->actual_size;
		if (letter == '?') {
			/* Zeroes, or half of each, where the mapping is being changed. */
			if (lane->spoiled || (trial->free && is_mapping(trial->mutator)))
				return REFUSE;
			violation(lane, "C14", "slot %u of the snapshot is not what T wrote "
				  "(%u bytes of %u, truncated %u)", arg->arg_idx,
				  arg->actual_size, slot->size, arg->truncated);
			return REFUSE;
		}
		lane->outcome.letters[arg->arg_idx] = letter;
	}
	for (int i = 0; i < 16 && off + i < PIN_ROOM; i++) {
		if (buf[off + i] != FILLER) {
			violation(lane, "C14", "a byte behind the snapshot was written");
			break;
		}
	}
	return GO_ON;
}

static void fill_buffer(unsigned char *buf)
{
	uint32_t size = 64;

	for (int i = 0; i < SLOTS; i++) {
		if (trial->mask & 1u << i)
			size += trial->slots[i].size + 80;
	}
	memset(buf, FILLER, size < PIN_ROOM ? size : PIN_ROOM);
}

static enum step two_threads(uint64_t id)
{
	int mine, other;

	lane->pin_id = id;
	fill_buffer(lane->pin_buf2);
	describe(&lane->pin2);
	actor_do(&lane->second, DO_PIN, false);
	mine = take(&lane->pin, id, lane->pin_buf) ? errno : 0;
	while (lane->second.ack != lane->second.cmd)
		futex_wait(&lane->second.ack, lane->second.ack, 1000);
	other = lane->pin_result;
	if (!mine && !other) {
		violation(lane, "C2", "two snapshots of one notification at the same time");
		return REFUSE;
	}
	if (!mine)
		return see(&lane->pin, lane->pin_buf);
	if (!other)
		return see(&lane->pin2, lane->pin_buf2);
	errno = mine == EBUSY || mine == EEXIST ? other : mine;
	return is_gone() ? GONE : REFUSE;
}

static enum step take_snapshot(uint64_t id)
{
	fill_buffer(lane->pin_buf);
	describe(&lane->pin);
	if (trial->between == W_TWO_THREADS)
		return two_threads(id);
	if (!take(&lane->pin, id, lane->pin_buf))
		return see(&lane->pin, lane->pin_buf);
	if (is_gone())
		return GONE;
	if (errno == EFAULT && (lane->spoiled || (trial->free && is_mapping(trial->mutator))))
		return REFUSE;
	if (!is_pressure())
		violation(lane, "C6", "no snapshot: errno %d", errno);
	return REFUSE;
}

/* What a supervisor without PIN_ARGS does. */
static enum step look(pid_t pid)
{
	static unsigned char bytes[LETTER_ROOM + MAX_DATA];

	for (int i = 0; i < SLOTS; i++) {
		const struct slot *slot = &trial->slots[i];
		struct iovec here = { bytes, slot->size };
		struct iovec there = { (void *)(trial->area + slot->start), slot->size };
		char letter;

		if (!(trial->mask & 1u << i))
			continue;
		/* Of an array, its first string is enough to see. */
		if (slot->kind == SECCOMP_PIN_CSTRING_ARRAY)
			here.iov_len = there.iov_len = 1;
		if (!trial->private)
			memcpy(bytes, there.iov_base, here.iov_len);
		else if (process_vm_readv(pid, &here, 1, &there, 1, 0) < 0)
			return errno == ESRCH ? GONE : REFUSE;
		letter = slot->kind == SECCOMP_PIN_CSTRING_ARRAY ? bytes[0] :
			 slot_match(slot, bytes, slot->size);
		if (letter != 'T' && letter != 'M')
			return REFUSE;
		lane->outcome.letters[i] = letter;
	}
	return GO_ON;
}

/* ---- between ---- */

static void fork_outside_of_it(void)
{
	actor_do(&lane->thread, DO_FORK, false);
}

static enum step do_between(const struct seccomp_notif *req)
{
	struct seccomp_notif_pin_args pin;

	switch (trial->between) {
	case W_TWICE:
		describe(&pin);
		return must_fail("C2", "a second snapshot", take(&pin, req->id, lane->pin_buf2),
				 EEXIST);
	case W_LATE:
		usleep(trial->late_us);
		break;
	case W_RESTART:
		kill(req->pid, SIGUSR1);
		break;
	case W_INTR:
		kill(req->pid, SIGUSR2);
		break;
	case W_STOP:
		kill(req->pid, SIGSTOP);
		kill(req->pid, SIGCONT);
		break;
	case W_FORK:
		if (!(trial->free && mutate_actor(lane, trial->mutator) == &lane->thread))
			fork_outside_of_it();
		break;
	}
	return GO_ON;
}

static void mutate(const struct seccomp_notif *req)
{
	bool tracer_here = pthread_equal(pthread_self(), tracer);

	if (trial->free) {
		int turns = trial->patient ? PATIENCE : 1;

		do {
			lane->outcome.exposed =
				(is_mapping(trial->mutator) && lane->mutated) ||
				mutate_is_exposed(lane, trial, req->pid);
			if (!lane->outcome.exposed && turns > 1)
				sched_yield();
		} while (!lane->outcome.exposed && --turns);
	} else {
		lane->outcome.exposed = lane->spoiled =
			mutate_staged(lane, trial, req->pid, tracer_here);
	}
}

/* ---- the reply ---- */

static bool add_fd(uint64_t id)
{
	struct seccomp_notif_addfd add = {
		.id = id, .flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = STDOUT_FILENO,
	};
	int fd;

	/* T reads the number, so V has to be through with it before T goes on: see busy. */
	fd = again_if_interrupted(ioctl(lane->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	lane->outcome.fd = fd;
	return fd >= 0;
}

static bool send_reply(uint64_t id, uint8_t reply)
{
	struct seccomp_notif_resp resp = { .id = id };

	switch (reply) {
	case R_PINNED:
		return !go_on(id, torture->break_plain ?
				    SECCOMP_USER_NOTIF_FLAG_CONTINUE : PR_PINNED);
	case R_DENY:
		return !deny(id, trial->error);
	case R_SPOOF:
		resp.val = trial->spoof;
		return !send_it(&resp);
	case R_ADDFD:
		return add_fd(id);
	default:
		return !go_on(id, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	}
}

static void reply(const struct seccomp_notif *req, uint8_t what)
{
	struct outcome *out = &lane->outcome;

	switch (what) {
	case R_CLOSE:
		/* With another thread in it, the listener would not be closed. */
		if (lane->two_vs)
			kill(getpid(), SIGKILL);
		close(lane->listener);
		lane->listener = -1;
		sleep(60);	/* until the lane's leader sees that T has gone */
		break;
	case R_KILL_V:
		kill(getpid(), SIGKILL);
		break;
	case R_KILL_T:
		kill(lane->t_pid, SIGKILL);
		return;
	}
	/* T reads this once its call is over: it has to be there before. */
	out->reply = what;
	out->replied = true;
	if (send_reply(req->id, what))
		return;
	out->replied = false;
	if (is_gone()) {
		lane->retried++;
		return;
	}
	if (!is_pressure())
		violation(lane, "C3", "reply %d failed: errno %d", what, errno);
	deny(req->id, ENOMEM);
}

static bool is_expected(const struct seccomp_notif *req)
{
	const struct call *call = &trial->call;

	if (req->data.nr != call->nr)
		return false;
	for (int i = 0; i < SLOTS; i++) {
		if ((unsigned long)req->data.args[i] != (unsigned long)call->args[i])
			return false;
	}
	return true;
}

static void handle(struct seccomp_notif *req)
{
	enum step step;

	/* One that a signal took away may be of a trial before this one. */
	if (again_if_interrupted(ioctl(lane->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &req->id))) {
		lane->retried++;
		return;
	}
	if (!is_expected(req)) {
		violation(lane, "C21", "call %d trapped with other arguments than T's",
			  req->data.nr);
		deny(req->id, EPERM);
		return;
	}
	memset(&lane->outcome, 0, sizeof(lane->outcome));
	if (trial->reply == R_CONTROL) {
		step = look(req->pid);
	} else {
		step = do_before(req->id);
		if (step == GO_ON)
			step = take_snapshot(req->id);
		if (step == GO_ON)
			step = do_between(req);
	}
	if (step == GO_ON) {
		mutate(req);
		reply(req, trial->reply);
	} else if (step == REFUSE) {
		lane->outcome.refused = true;
		lane->refused++;
		reply(req, R_DENY);
	} else {
		lane->retried++;
	}
}

static void *second_main(void *unused)
{
	struct actor *me = &lane->second;
	uint32_t cmd = 0;

	(void)unused;
	for (;;) {
		cmd = actor_next(me, cmd);
		lane->pin_result = take(&lane->pin2, lane->pin_id, lane->pin_buf2) ? errno : 0;
		actor_done(me, cmd);
	}
	return NULL;
}

static void *listen_main(void *unused)
{
	struct seccomp_notif req;

	for (;;) {
		int listener = lane->listener;

		memset(&req, 0, sizeof(req));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &req)) {
			if (errno == EINTR || (errno == ENOENT && lane->t_pid))
				continue;
			if (errno == ENOMEM)
				continue;
			sleep(60);	/* T has gone; the leader ends this process */
			continue;
		}
		lane->busy++;
		pthread_mutex_lock(&dealing);
		handle(&req);
		pthread_mutex_unlock(&dealing);
		lane->busy--;
	}
	return unused;
}

static void spawn(void *(*fn)(void *))
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, fn, NULL);

	errno = error;
	if (error)
		bail("pthread_create");
}

void supervisor(struct lane *which, int sock)
{
	lane = which;
	trial = &lane->trial;
	tracer = pthread_self();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	lane->listener = pr_recv_fd(sock);
	if (lane->listener < 0)
		bail("V got no listener");
	close(sock);
	if (!mutate_attach(lane->s_pid))
		bail("ptrace");
	/* Replies wake T on the same CPU, where V makes room: half the price of a trial. */
	ioctl(lane->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	spawn(second_main);
	if (lane->two_vs)
		spawn(listen_main);
	listen_main(NULL);
	_exit(0);
}
