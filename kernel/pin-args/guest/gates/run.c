// SPDX-License-Identifier: GPL-2.0-or-later
/* One call: the tracee that makes it, and the supervisor that checks its argument. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gates.h"

#define WAIT_MS		20000	/* for anything; TCG is slow, and may be loaded */
#define TABLE		64	/* bytes before the gate, of a table that lies there */
#define STRINGS		256	/* bytes behind it, of the strings */

struct tracee {
	pid_t pid;
	int listener;
	pthread_t server;
};

struct gate gate;
static struct result *result;	/* shared with the tracee */

void run_init(void)
{
	gate_init(&gate);
	result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (result == MAP_FAILED)
		die("mmap");
}

/* The table of strings: its pointers are those of the ABI. */
static size_t lay_out_strings(char *image, bool is_b, bool straddles)
{
	size_t at = straddles ? PAGE - TABLE : PAGE;
	char *strings = gate.pages + PAGE + STRINGS;
	char *table[4] = { strings, strings + 64 };

	if (is_b)
		table[2] = table[1];
	memcpy(image + at, table, sizeof(table));
	strcpy(image + PAGE + STRINGS, ECHO);
	strcpy(image + PAGE + STRINGS + 64, is_b ? "evil" : "good");
	return at;
}

/* Put the argument into both images; returns where in the region it begins. */
static size_t lay_out(const struct row *row, bool straddles)
{
	const struct value *v = row->value;
	size_t at = PAGE;

	memset(gate.image, 0, sizeof(gate.image));
	if (!v) {
		lay_out_strings(gate.image[IS_A], false, straddles);
		return lay_out_strings(gate.image[IS_B], true, straddles);
	}
	if (straddles)
		at -= v->head;
	memcpy(gate.image[IS_A] + at, v->a_head, v->head);
	memcpy(gate.image[IS_A] + at + v->head, v->a_tail, v->tail);
	memcpy(gate.image[IS_B] + at, v->b_head, v->head);
	memcpy(gate.image[IS_B] + at + v->head, v->b_tail, v->tail);
	return at;
}

__attribute__((noreturn))
static void tracee(int nr, const long *args, int sock)
{
	int uffd, listener;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	uffd = gate_register(&gate);
	if (uffd < 0 || pr_send_fd(sock, uffd))
		_exit(2);
	listener = pr_listen(nr);
	if (listener < 0 || pr_send_fd(sock, listener))
		_exit(3);
	close(uffd);
	close(listener);
	result->ret = syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
	result->err = errno;
	_exit(0);
}

/* Start it, and have its memory and its notifications. */
static const char *start(struct tracee *t, int nr, const long *args)
{
	int pair[2];

	t->listener = -1;
	gate.uffd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("socketpair");
	fflush(stdout);
	t->pid = fork();
	if (t->pid < 0)
		die("fork");
	if (!t->pid)
		tracee(nr, args, pair[1]);
	close(pair[1]);
	gate.uffd = pr_recv_fd(pair[0]);
	if (gate.uffd >= 0)
		t->listener = pr_recv_fd(pair[0]);
	close(pair[0]);
	if (gate.uffd < 0)
		return "no userfaultfd";
	if (t->listener < 0)
		return "no listener";
	return pthread_create(&t->server, NULL, gate_serve, &gate) ? "no thread" : NULL;
}

/* Wait for its end, and put everything away; false when it had to be killed. */
static bool finish(struct tracee *t, bool kill_it)
{
	int pidfd = syscall(SYS_pidfd_open, t->pid, 0);
	struct pollfd fd = { .fd = pidfd, .events = POLLIN };
	bool ended = !kill_it && poll(&fd, 1, WAIT_MS) == 1;

	if (!ended)
		kill(t->pid, SIGKILL);
	waitpid(t->pid, NULL, 0);
	if (t->listener >= 0) {
		(void)!write(gate.stop[1], "s", 1);
		pthread_join(t->server, NULL);
		close(t->listener);
	}
	close(gate.uffd);
	close(pidfd);
	return ended;
}

static enum seen shown_strings(const char *packed, uint32_t size)
{
	uint32_t count, second;

	if (size < 12)
		return IS_OTHER;
	memcpy(&count, packed, 4);
	memcpy(&second, packed + 8, 4);
	if (count < 2 || second > size - sizeof("good"))
		return IS_OTHER;
	return compare_strings(count, packed + second);
}

/* Check it by the kernel's snapshot; returns what went wrong, or NULL. */
static const char *check_pinned(const struct tracee *t, const struct row *row, uint64_t id,
				enum seen *shown)
{
	struct seccomp_notif_pin_args pin = { 0 };
	static char buf[REGION];
	uint32_t max = row->kind == SECCOMP_PIN_FIXED ? row->value->head + row->value->tail :
		       row->kind == SECCOMP_PIN_CSTRING ? ROOM : sizeof(buf);

	memset(buf, 0, sizeof(buf));
	pr_pin_add(&pin, row->slot, row->kind, max);
	if (pr_pin(t->listener, &pin, id, buf, max))
		return strerror(errno);
	if (pin.args[0].truncated || pin.args[0].actual_size > max)
		return "the snapshot is not whole";
	*shown = row->value ? compare(row->value, buf, pin.args[0].actual_size) :
			      shown_strings(buf, pin.args[0].actual_size);
	return NULL;
}

/* Check it as a supervisor without PIN_ARGS does. */
static const char *check_unpinned(const struct tracee *t, enum seen *shown)
{
	static char buf[REGION];
	struct iovec here = { buf, sizeof(buf) };
	struct iovec there = { gate.pages, sizeof(buf) };

	if (process_vm_readv(t->pid, &here, 1, &there, 1, 0) != sizeof(buf))
		return strerror(errno);
	*shown = !memcmp(buf, gate.image[IS_A], sizeof(buf)) ? IS_A : IS_OTHER;
	return NULL;
}

/* Check the call, close the gate behind the check, and let it go on. */
static const char *referee(const struct tracee *t, const struct row *row, enum mode mode,
			   bool pinned, struct outcome *o)
{
	struct seccomp_notif req;
	const char *wrong;

	if (pr_recv(t->listener, &req, WAIT_MS))
		return "no notification came";
	wrong = pinned ? check_pinned(t, row, req.id, &o->shown) : check_unpinned(t, &o->shown);
	if (wrong)
		return wrong;
	if (!gate.before)
		return "the check did not come through the gate";
	if (mode != SHOWN && o->shown != IS_A)
		return "the check saw what was not there";
	gate_close(&gate);
	gate.gives = IS_B;
	gate.checked = true;
	if (pinned)
		memcpy(gate.pages, gate.image[IS_B], PAGE);
	if (pr_continue(t->listener, req.id, pinned ? PR_PINNED :
			SECCOMP_USER_NOTIF_FLAG_CONTINUE))
		return strerror(errno);
	return NULL;
}

struct outcome run_call(const struct row *row, enum mode mode, bool pinned)
{
	struct outcome o = { .shown = IS_OTHER, .used = IS_OTHER };
	long args[6];
	const char *wrong;
	struct tracee t;

	memcpy(args, row->args, sizeof(args));
	args[row->slot] = (long)(gate.pages + lay_out(row, mode != USE));
	gate_reset(&gate);
	if (mode == SHOWN)
		gate.gives = IS_B;
	objects_make(row->on);
	*result = (struct result){ -1, 0 };
	wrong = start(&t, row->nr, args);
	if (!wrong)
		wrong = referee(&t, row, mode, pinned, &o);
	if (!finish(&t, wrong) && !wrong)
		wrong = "the call did not end";
	o.stopped = gate.after;
	o.absent = !wrong && result->ret < 0 && result->err == ENOSYS;
	if (!wrong)
		o.used = row->look(row, result);
	snprintf(o.what, sizeof(o.what), "%s", wrong ? wrong : "");
	return o;
}

bool kernel_has_it(void)
{
	struct row row = { .slot = 1 };
	struct tracee t;
	const char *wrong;
	bool has = false;

	row.nr = SYS_openat;
	gate_reset(&gate);
	wrong = start(&t, row.nr, row.args);
	if (!wrong)
		has = pr_has_pin_args(t.listener);
	finish(&t, true);
	if (wrong)
		die(wrong);
	return has;
}
