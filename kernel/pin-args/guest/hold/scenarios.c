// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the sides do, and what has to hold whichever way they met.
 *
 * Side a pins the path of the tracee's openat(), in most of them; each of side
 * b's is one thing that can come in between. Whatever happens, the kernel acts
 * on what was shown or not at all, errors are those of the contract, and no
 * later call can be continued on what was pinned for this one.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pinrace.h"
#include "hold.h"

#define AMONG(err, ...) among(err, (const int[]){ __VA_ARGS__, -1 })

static bool among(int err, const int *list)
{
	for (; *list >= 0; list++)
		if (*list == err)
			return true;
	return false;
}

/* ---- what a side can do ---- */

void flip(struct round *r)
{
	(void)r;
	memcpy(shared_path, EVIL, PATH_ROOM);
}

static void pin(struct round *r, struct side *side)
{
	struct seccomp_notif_pin_args req = { 0 };

	void *text = side == &r->a ? race_answer_place : side->text;

	pr_pin_add(&req, 1, SECCOMP_PIN_CSTRING, PATH_ROOM);
	side->err = pr_pin(r->listener, &req, r->id, text, PATH_ROOM) ? errno : 0;
	if (!side->err)
		memmove(side->text, text, PATH_ROOM);
}

static void pin_a(struct round *r)
{
	pin(r, &r->a);
}

static void pin_b(struct round *r)
{
	pin(r, &r->b);
}

static int answer_with(struct round *r, uint32_t flags)
{
	return pr_continue(r->listener, r->id, flags) ? errno : 0;
}

static void reply_b(struct round *r)
{
	r->b.err = answer_with(r, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

static void deny_b(struct round *r)
{
	r->b.err = pr_deny(r->listener, r->id, EACCES) ? errno : 0;
}

static void flip_and_continue_b(struct round *r)
{
	flip(r);
	r->b.err = answer_with(r, PR_PINNED);
}

static void continue_a(struct round *r)
{
	r->a.err = answer_with(r, PR_PINNED);
}

/* The tracee's part, up to its answer, belongs to the operation. */
static void continue_and_wait_b(struct round *r)
{
	r->b.err = answer_with(r, PR_PINNED);
	r->what = wait_answer(r);
}

static void release(struct round *r, struct side *side)
{
	int listener = r->listener;

	side->err = close(listener) ? errno : 0;
}

static void release_a(struct round *r)
{
	release(r, &r->a);
}

static void release_b(struct round *r)
{
	release(r, &r->b);
}

static void signal_a(struct round *r)
{
	r->a.err = kill(r->pid, SIGUSR1) ? errno : 0;
}

static void signal_and_wait_b(struct round *r)
{
	r->b.err = kill(r->pid, SIGUSR1) ? errno : 0;
	r->what = wait_answer(r);
}

static void reap(struct round *r)
{
	if (waitpid(r->pid, NULL, 0) != r->pid)
		race_die("waitpid");
	r->pid = 0;
}

static void kill_a(struct round *r)
{
	r->a.err = kill(r->pid, SIGKILL) ? errno : 0;
}

static void kill_and_reap_b(struct round *r)
{
	r->b.err = kill(r->pid, SIGKILL) ? errno : 0;
	reap(r);
}

static void order(struct round *r, char what)
{
	r->b.err = write(r->orders, &what, 1) == 1 ? 0 : errno;
}

static void exit_and_reap_b(struct round *r)
{
	order(r, ORDER_EXIT);
	reap(r);
}

static bool wait_notification(struct round *r)
{
	struct pollfd fd = { .fd = r->listener, .events = POLLIN };

	return poll(&fd, 1, WAIT_MS) == 1;
}

static void exec_and_wait_b(struct round *r)
{
	order(r, ORDER_EXEC);
	if (!wait_notification(r))
		race_die("no notification of the new program");
}

static void addfd_b(struct round *r)
{
	struct seccomp_notif_addfd add = { .id = r->id, .flags = SECCOMP_ADDFD_FLAG_SEND };
	int fd = open(THIRD, O_RDONLY | O_CLOEXEC);

	add.srcfd = fd;
	r->b.err = ioctl(r->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? errno : 0;
	close(fd);
}

/* Receive it into memory that cannot be written to, then, rewritten, properly. */
static void receive_twice_b(struct round *r)
{
	struct seccomp_notif req;
	static void *wall;

	if (!wall)
		wall = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (wall == MAP_FAILED)
		race_die("mmap");
	r->b.err = ioctl(r->listener, SECCOMP_IOCTL_NOTIF_RECV, wall) ? errno : 0;
	flip(r);
	if (pr_recv(r->listener, &req, WAIT_MS) || req.id != r->id)
		race_die("cannot receive it again");
}

static void open_a(struct round *r)
{
	r->what = open_and_tell(shared_path);
}

/* ---- what has to hold ---- */

/* How a call on this path goes. */
char meaning(const char *text)
{
	return !strncmp(text, GOOD, PATH_ROOM) ? 'g' : !strncmp(text, EVIL, PATH_ROOM) ? 'e' :
	       NOT_FOUND;
}

/* The tracee's next call has no pin, whatever became of this one's. */
static const char *nothing_left(struct round *r)
{
	struct seccomp_notif req;
	bool denied;
	char what;

	if (pr_recv(r->listener, &req, WAIT_MS))
		race_die("no second notification came");
	if (!pr_continue(r->listener, req.id, PR_PINNED))
		return "a later call could be continued on a pin that nobody took";
	if (errno != ENOENT)
		return "a later call: wrong errno for a missing pin";
	denied = !pr_deny(r->listener, req.id, EACCES);
	if (!denied && !r->may_stray)
		return "a later call cannot be denied";
	what = wait_answer(r);
	r->stray = r->may_stray && what == INTERRUPTED;
	return r->stray || (denied && what == DENIED) ? NULL : "a later call was not denied";
}

static const char *did(struct round *r, char expected)
{
	r->what = wait_answer(r);
	return r->what == expected ? NULL : "the call did other than what was decided";
}

static const char *continue_on(struct round *r, const struct side *shown)
{
	const char *why;

	flip(r);
	if (answer_with(r, PR_PINNED))
		return "a pin that was taken cannot be continued on";
	why = did(r, meaning(shown->text));
	return why ? why : nothing_left(r);
}

static const char *check_kept(struct round *r)
{
	return r->what == 'g' ? NULL : "the call ran on what was changed";
}

static const char *check_torn(struct round *r)
{
	return r->a.err ? "PIN_ARGS failed" : continue_on(r, &r->a);
}

static const char *check_taken(struct round *r)
{
	return r->b.err ? "PIN_ARGS failed" : continue_on(r, &r->b);
}

static const char *answered(struct round *r, char expected)
{
	const char *why;

	if (r->b.err)
		return "the answer was refused";
	if (!AMONG(r->a.err, 0, ENOENT, EINPROGRESS))
		return "PIN_ARGS: wrong errno";
	why = did(r, expected);
	return why ? why : nothing_left(r);
}

static const char *check_reply(struct round *r)
{
	return answered(r, 'g');
}

static const char *check_deny(struct round *r)
{
	return answered(r, DENIED);
}

static const char *check_addfd(struct round *r)
{
	return answered(r, 't');
}

static const char *check_continue(struct round *r)
{
	const char *why;

	if (r->a.err)
		return "PIN_ARGS failed";
	if (!AMONG(r->b.err, 0, ENOENT, EBUSY))
		return "CONTINUE_PINNED: wrong errno";
	if (r->b.err)
		return continue_on(r, &r->a);
	why = did(r, meaning(r->a.text));
	return why ? why : nothing_left(r);
}

static const char *check_release(struct round *r)
{
	r->listener = -1;
	if (!AMONG(r->a.err, 0, ENOENT, EBADF))
		return "PIN_ARGS: wrong errno";
	return did(r, NO_LISTENER);
}

static const char *check_signal(struct round *r)
{
	if (!AMONG(r->a.err, 0, ENOENT))
		return "PIN_ARGS: wrong errno";
	if (r->what != INTERRUPTED)
		return "a signal did not interrupt the call";
	return nothing_left(r);
}

static const char *check_gone(struct round *r)
{
	if (!AMONG(r->a.err, 0, ENOENT, ESRCH))
		return "PIN_ARGS: wrong errno";
	return answer_with(r, PR_PINNED) == ENOENT ? NULL : "a dead task's call was answered";
}

static const char *check_exec(struct round *r)
{
	if (!AMONG(r->a.err, 0, ENOENT, ESRCH))
		return "PIN_ARGS: wrong errno";
	if (answer_with(r, PR_PINNED) != ENOENT)
		return "a call from before the exec was answered";
	return nothing_left(r);
}

static const char *check_second_pin(struct round *r)
{
	const struct side *loser = r->a.err ? &r->a : &r->b;

	if (!r->a.err == !r->b.err)
		return r->a.err ? "both pins failed" : "both pins were taken";
	if (!AMONG(loser->err, EBUSY, EEXIST))
		return "PIN_ARGS: wrong errno";
	return continue_on(r, r->a.err ? &r->b : &r->a);
}

static const char *check_two_answers(struct round *r)
{
	int loser = r->a.err ? r->a.err : r->b.err;
	const char *why;

	if (!r->a.err == !r->b.err)
		return r->a.err ? "both answers were refused" : "both answers were taken";
	if (!AMONG(loser, EINPROGRESS, ENOENT))
		return "an answer: wrong errno";
	why = did(r, r->a.err ? DENIED : 'g');
	return why ? why : nothing_left(r);
}

/* What was read before it was received anew is dropped. */
static const char *check_receive(struct round *r)
{
	bool fresh = !r->a.err && meaning(r->a.text) == 'e';
	const char *why;
	int err;

	if (r->b.err != EFAULT)
		return "receiving into a wall did not fault";
	if (!AMONG(r->a.err, 0, ENOENT, EINPROGRESS))
		return "PIN_ARGS: wrong errno";
	err = answer_with(r, PR_PINNED);
	if (fresh ? err : !err)
		return fresh ? "a pin that was taken cannot be continued on" :
			       "a pin outlived the reception that it was taken in";
	if (!fresh && err != ENOENT)
		return "CONTINUE_PINNED: wrong errno";
	if (err && pr_deny(r->listener, r->id, EACCES))
		return "it cannot be denied";
	why = did(r, err ? DENIED : 'e');
	return why ? why : nothing_left(r);
}

static const char *check_close(struct round *r)
{
	r->listener = -1;
	if (!AMONG(r->b.err, 0, EBADF, ENOENT))
		return "CONTINUE_PINNED: wrong errno";
	return r->what == (r->b.err ? NO_LISTENER : 'g') ? NULL :
	       "the call did other than what was decided";
}

static const char *check_killed(struct round *r)
{
	if (!AMONG(r->b.err, 0, ENOENT))
		return "CONTINUE_PINNED: wrong errno";
	if (r->what == DEAD || (!r->b.err && r->what == 'g'))
		return NULL;
	return "the call did other than what was decided";
}

/* A signal that comes when its call is over may end the later one, answered or not. */
static const char *check_signalled(struct round *r)
{
	if (!AMONG(r->b.err, 0, ENOENT))
		return "CONTINUE_PINNED: wrong errno";
	if (r->what != INTERRUPTED && (r->b.err || r->what != 'g'))
		return "the call did other than what was decided";
	r->may_stray = r->what != INTERRUPTED;
	return nothing_left(r);
}

/* ---- what comes before ---- */

static bool pinned(struct round *r)
{
	struct side before;

	pin(r, &before);
	flip(r);
	return !before.err && meaning(before.text) == 'g';
}

/* The next notification waits and is not received; its id is the next number. */
static bool waiting(struct round *r)
{
	if (pr_deny(r->listener, r->id++, EACCES) || wait_answer(r) != DENIED)
		return false;
	return wait_notification(r);
}

const struct scenario scenarios[] = {
	{ .name = "plain", .a = open_a, .b = flip, .check = check_kept, .alone = true },
	{ .name = "torn", .a = pin_a, .b = flip, .check = check_torn, .again = true,
	  .gate_in_answer = true },
	{ .name = "taken", .a = flip, .b = pin_b, .check = check_taken, .again = true },
	{ .name = "reply", .a = pin_a, .b = reply_b,
	  .check = check_reply, .again = true },
	{ .name = "deny", .a = pin_a, .b = deny_b, .check = check_deny, .again = true },
	{ .name = "continue", .a = pin_a, .b = flip_and_continue_b,
	  .check = check_continue, .again = true },
	{ .name = "release", .a = pin_a, .b = release_b, .check = check_release },
	{ .name = "signal", .a = pin_a, .b = signal_and_wait_b,
	  .check = check_signal, .again = true, .gate_in_answer = true },
	{ .name = "kill", .a = pin_a, .b = kill_and_reap_b, .check = check_gone },
	{ .name = "exit", .a = pin_a, .b = exit_and_reap_b, .check = check_gone, .two_threads = true },
	{ .name = "exec", .a = pin_a, .b = exec_and_wait_b, .check = check_exec, .two_threads = true },
	{ .name = "pin", .a = pin_a, .b = pin_b, .check = check_second_pin, .again = true },
	{ .name = "addfd", .a = pin_a, .b = addfd_b, .check = check_addfd, .again = true },
	{ .name = "answers", .prepare = pinned, .a = continue_a, .b = deny_b,
	  .check = check_two_answers, .again = true },
	{ .name = "receive", .prepare = waiting, .a = pin_a, .b = receive_twice_b,
	  .check = check_receive, .again = true },
	{ .name = "close", .prepare = pinned, .a = release_a, .b = continue_and_wait_b,
	  .check = check_close },
	{ .name = "killed", .prepare = pinned, .a = kill_a, .b = continue_and_wait_b,
	  .check = check_killed },
	{ .name = "signalled", .prepare = pinned, .a = signal_a, .b = continue_and_wait_b,
	  .check = check_signalled, .again = true },
	{ 0 },
};
