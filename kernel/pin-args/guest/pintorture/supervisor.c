// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * V: does with each notification what the trial's plan says, and notes what it
 * saw before it replies.  A signal may take a notification away at any moment;
 * it then comes back as another one, for which nothing of the first may count.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "supervisor.h"

/* For headers that are older: 6.6. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP	(1UL << 0)
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS		SECCOMP_IOW(4, __u64)
#endif

#define PATIENCE	8	/* looks at a source before the reply, in a free run */
#define NAP_US		20	/* between two of them, in which a mutator has a CPU */

struct lane *lane;
struct trial *trial;
static pthread_t tracer;	/* the thread that holds S */
/*
 * Both threads wait for notifications, and one of them at a time deals with
 * the trial: after a signal the other may have it again before this one knows.
 */
static pthread_mutex_t dealing = PTHREAD_MUTEX_INITIALIZER;
/* ---- between ---- */

static void fork_outside_of_it(void)
{
	actor_do(&lane->thread, DO_FORK, false);
}

static bool is_signal(enum between what)
{
	return what == W_RESTART || what == W_INTR || what == W_STOP;
}

static enum step do_between(const struct seccomp_notif *req)
{
	struct seccomp_notif_pin_args pin;

	/* Once: what comes back each time would never be answered. */
	if (is_signal(trial->between) && lane->disturbed == trial->seq)
		return GO_ON;
	lane->disturbed = trial->seq;
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
				usleep(NAP_US);
		} while (!lane->outcome.exposed && --turns);
	} else {
		/* What an earlier try has changed already was shown like that. */
		bool again = lane->spoiled && !is_mapping(trial->mutator);

		lane->spoiled = mutate_staged(lane, trial, req->pid, tracer_here);
		lane->outcome.exposed = lane->spoiled &&
			(!again || mutate_is_exposed(lane, trial, req->pid));
	}
}

/* ---- the reply ---- */

static bool add_fd(uint64_t id)
{
	struct seccomp_notif_addfd add = {
		.id = id, .flags = SECCOMP_ADDFD_FLAG_SEND, .srcfd = STDOUT_FILENO,
	};
	int fd;

	/* V may be killed once the kernel has replied, and before it has noted the number. */
	lane->outcome.fd = -1;
	fd = again_if_interrupted(ioctl(lane->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add));
	lane->outcome.fd = fd;
	return fd >= 0;
}

static bool send_reply(const struct seccomp_notif *req, uint8_t reply)
{
	struct seccomp_notif_resp resp = { .id = req->id };
	uint64_t id = req->id;

	switch (reply) {
	case R_PINNED:
		if (trial->probe)
			actor_do(&lane->prober, DO_PROBE, true);
		if (trial->meanwhile == N_REPLY && torture->broken == BREAK_NOTHING)
			return meanwhile_reply(req);
		return !go_on(id, torture->broken == BREAK_PLAIN ?
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
		/* T may have left its call for a signal before; it does not wait for us. */
		lane->busy--;
		for (;;)
			pause();	/* until the lane's leader sees that T has gone */
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
	if (send_reply(req, what))
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
	if (torture->broken == BREAK_HANG && trial->seq > 30)
		pause();
	memset(&lane->outcome, 0, sizeof(lane->outcome));
	if (trial->reply == R_CONTROL) {
		step = look(req->pid);
	} else {
		step = do_before(req->id);
		if (step == GO_ON && trial->meanwhile && trial->meanwhile != N_REPLY &&
		    lane->raced != trial->seq)
			step = meanwhile_take(req);
		else if (step == GO_ON)
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
	} else if (step == GONE) {
		lane->retried++;
	}
}

static void *second_main(void *unused)
{
	struct actor *me = &lane->second;
	uint32_t cmd = 0;

	(void)unused;
	stay_on(lane, 1);
	for (;;) {
		cmd = actor_next(me, cmd);
		if (me->what == DO_SPOIL) {
			gate_spoil(me, cmd);
			continue;
		}
		meanwhile_second();
		actor_done(me, cmd);
	}
	return NULL;
}

static int receive(struct seccomp_notif *req, bool alone)
{
	int ret;

	while (alone && lane->spoiling)
		sched_yield();
	memset(req, 0, sizeof(*req));
	lane->receiving = alone;
	ret = ioctl(lane->listener, SECCOMP_IOCTL_NOTIF_RECV, req);
	lane->receiving = false;
	while (alone && lane->spoiling)
		sched_yield();
	return ret;
}

static void *listen_main(void *unused)
{
	bool alone = !lane->two_vs;
	struct seccomp_notif req, *into = alone ? gate_page(GATE_AT_RECEIVED) : &req;

	for (;;) {
		if (receive(into, alone)) {
			if (errno == EINTR || errno == ENOMEM || errno == EFAULT ||
			    (errno == ENOENT && lane->t_pid))
				continue;
			sleep(60);	/* T has gone; the leader ends this process */
			continue;
		}
		lane->busy++;
		req = *into;
		lane->last_id = req.id;
		if (!crowd_is(&req)) {
			pthread_mutex_lock(&dealing);
			handle(&req);
			pthread_mutex_unlock(&dealing);
		}
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
	stay_on(lane, 0);
	lane->listener = pr_recv_fd(sock);
	if (lane->listener < 0)
		bail("V got no listener");
	close(sock);
	if (lane->generation == 1 && !pr_has_pin_args(lane->listener))
		torture->absent = true;
	if (!mutate_attach(lane->s_pid))
		bail("ptrace");
	/* Replies wake T on the same CPU, where V makes room: half the price of a trial. */
	ioctl(lane->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	gate_setup();
	meanwhile_setup();
	crowd_receive(lane);
	spawn(second_main);
	if (lane->two_vs)
		spawn(listen_main);
	listen_main(NULL);
	_exit(0);
}
