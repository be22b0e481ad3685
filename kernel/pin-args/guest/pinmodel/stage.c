// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * T and what happens to it, and each event done to the kernel.  The driver has
 * a real-time priority above that of T: T runs only while it sleeps.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kinds.h"
#include "model.h"

#define PLACE		"/tmp/pinmodel"
#define DATA_AT		1024		/* in the source page; the path is at 0 */
#define WRITTEN		11		/* what T writes to */
#define LISTENER	12		/* from here on T's descriptors are its call's */
#define STUCK_NS	6000000000ull	/* guest time that nothing here takes */
#define NAP_US		300

struct shared *shared;
char *source;
int shared_fd, letter_fd;

static pid_t t_pid, c_pid;
static bool t_killable, t_dead;
static uint64_t base_id;	/* of the first notification of the walk */
static uint64_t next_id;
static unsigned int maps_lines;

/* ---- T ---- */

static void on_signal(int sig)
{
	(void)sig;
}

static int letter_in(int fd)
{
	char bytes[DATA_BYTES];
	ssize_t got = pread(fd, bytes, sizeof(bytes), 0);

	for (ssize_t i = 1; i < got; i++) {
		if (bytes[i] != bytes[0])
			return '?';
	}
	return got > 0 ? bytes[0] : '?';
}

static int make_call(bool data)
{
	struct call call = {
		.nr = SYS_openat, .args = { AT_FDCWD, (long)source, O_RDONLY | O_CLOEXEC },
	};

	if (data) {
		call = (struct call){
			.nr = SYS_write,
			.args = { WRITTEN, (long)source + DATA_AT, DATA_BYTES },
		};
		lseek(WRITTEN, 0, SEEK_SET);
	}
	trap_call(&call);
	shared->kept = trap_kept_registers(&call);
	if (call.ret < 0)
		return call.ret;
	if (call.ret == SPOOFED)
		return SPOOFED;
	return letter_in(call.ret == DATA_BYTES ? WRITTEN : (int)call.ret);
}

__attribute__((noreturn))
static void task(int ready)
{
	struct sigaction restarts = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction interrupts = { .sa_handler = on_signal };
	unsigned int flags = t_killable ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!shared->free)
		on_cpu(FIFO_TASK);
	sigaction(SIGUSR1, &restarts, NULL);
	sigaction(SIGUSR2, &interrupts, NULL);
	dup2(open(PLACE "/written", O_RDWR | O_CREAT | O_TRUNC, 0600), WRITTEN);
	fd = trap_install(false, flags);
	if (fd < 0 || dup2(fd, LISTENER) < 0)
		_exit(2);
	close(fd);
	if (write(ready, "l", 1) != 1)
		_exit(2);
	for (;;) {
		while (shared->go == shared->over)
			futex_wait(&shared->go, shared->over, 0);
		close_range(LISTENER, ~0u, 0);
		shared->result = make_call(shared->data);
		shared->over = shared->go;
		futex_wake(&shared->over);
	}
}

/* How many mappings T has. */
static unsigned int count_maps(void)
{
	char name[32], text[8192];
	unsigned int lines = 0;
	int fd, len;

	snprintf(name, sizeof(name), "/proc/%d/maps", t_pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (len = read(fd, text, sizeof(text))) > 0) {
		for (int i = 0; i < len; i++)
			lines += text[i] == '\n';
	}
	if (fd >= 0)
		close(fd);
	return lines;
}

static bool t_is_over(void)
{
	return shared->over == shared->go;
}

/* Let T run until it sleeps, stops or is gone; false when it does none of these. */
static bool let_run(void)
{
	uint64_t limit = now_ns() + STUCK_NS;
	int waits = 0;
	char state;

	do {
		futex_wait(&shared->over, t_is_over() ? 0 : shared->over, NAP_US);
		if (t_is_over())
			return true;
		state = task_state(t_pid);
		if (state == 'D' && t_killable && waits++ > 1)
			return true;	/* that is how a killable wait shows */
		if (state == 'S' || state == 'T' || state == 'Z' || state == 'X')
			return true;
	} while (now_ns() < limit);
	return false;
}

static int take_listener(int fd)
{
	int pidfd = syscall(SYS_pidfd_open, t_pid, 0);
	int got = syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	close(pidfd);
	return got;
}

static void await_notification(void)
{
	struct pollfd pfd = { shared->actors[A].listener, POLLIN, 0 };

	if (poll(&pfd, 1, 20000) != 1)
		bail("T does not make its call");
}

static void call_on(bool data)
{
	shared->data = data;
	shared->go++;
	futex_wake(&shared->go);
	await_notification();
}

/* Another T.  Its first notification says where the numbers begin. */
static void start(bool killable)
{
	struct seccomp_notif req;
	int pipes[2], fd;
	char byte;

	t_killable = killable;
	t_dead = false;
	shared->go = shared->over = 0;
	if (pipe2(pipes, O_CLOEXEC))
		bail("pipe");
	t_pid = fork();
	if (t_pid < 0)
		bail("fork");
	if (t_pid == 0)
		task(pipes[1]);
	close(pipes[1]);
	if (read(pipes[0], &byte, 1) != 1)
		bail("T cannot be trapped");
	close(pipes[0]);
	fd = take_listener(LISTENER);
	if (fd < 0)
		bail("pidfd_getfd");
	shared->actors[A].listener = shared->actors[B].listener = fd;
	/* Nobody else may have it. */
	call_on(false);
	if (pr_recv(fd, &req, 20000) || pr_deny(fd, req.id, EPERM) || !let_run())
		bail("the first notification");
	next_id = req.id + 1;
	maps_lines = count_maps();
}

bool stage_has_pin(void)
{
	bool has;

	if (!t_pid)
		start(false);
	has = pr_has_pin_args(shared->actors[A].listener);
	return has;
}

static void close_here(void)
{
	if (shared->actors[A].listener >= 0)
		close(shared->actors[A].listener);
	shared->actors[A].listener = shared->actors[B].listener = -1;
}

/* Whether there is a notification to be received; false when that cannot be seen. */
static bool see_new(struct seen *seen)
{
	struct pollfd pfd = { shared->actors[A].listener, POLLIN, 0 };

	seen->looked = pfd.fd >= 0 && poll(&pfd, 1, 0) >= 0;
	return seen->looked && pfd.revents & POLLIN;
}

/* ---- C ---- */

static void start_c(void)
{
	shared->actors[C].cmd = shared->actors[C].done = 0;
	shared->actors[C].tid = 0;
	shared->actors[C].listener = shared->actors[A].listener;
	c_pid = fork();
	if (c_pid < 0)
		bail("fork");
	if (c_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		actor_loop(C);
	}
	/* It has our priority until it has its own: T does not run meanwhile. */
	while (!shared->actors[C].tid)
		sched_yield();
}

static void end_c(void)
{
	if (!c_pid)
		return;
	kill(c_pid, SIGKILL);
	/* It has the higher priority, and so is gone by now. */
	for (int i = 0; i < 20000 && waitpid(c_pid, NULL, WNOHANG) == 0; i++)
		usleep(i ? NAP_US : 1);
	c_pid = 0;
}

/* C after an exec: what it shares is there by number. */
int stage_helper(char **argv)
{
	enum who who = atoi(argv[2]);

	shared_fd = atoi(argv[0]);
	letter_fd = atoi(argv[1]);
	shared = mmap(NULL, 2 * sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
		      shared_fd, 0);
	if (shared == MAP_FAILED)
		return 1;
	source = (char *)shared + sysconf(_SC_PAGESIZE);
	actors_init(false);	/* C alone */
	shared->actors[who].err = 0;
	shared->actors[who].done = atoi(argv[3]);
	actor_loop(who);
}

static void show_file(const char *fmt, int pid, int tid)
{
	char name[64], text[2048];
	int fd, len;

	snprintf(name, sizeof(name), fmt, pid, tid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[len > 0 ? len : 0] = '\0';
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		say("#   %d: %s", tid, line);
}

/* Where everybody is, for people. */
static void show_all(void)
{
	for (enum who who = A; who < NR_ACTORS; who++) {
		int tid = shared->actors[who].tid, pid = who == C ? c_pid : getpid();

		if (!pid || actor_is_done(who))
			continue;
		show_file("/proc/%d/task/%d/stat", pid, tid);
		show_file("/proc/%d/task/%d/stack", pid, tid);
	}
	if (t_pid) {
		show_file("/proc/%d/task/%d/stat", t_pid, t_pid);
		show_file("/proc/%d/task/%d/stack", t_pid, t_pid);
	}
}

/* ---- events ---- */

void set_source(char letter)
{
	source[sizeof(PLACE)] = letter;
	memset(source + DATA_AT, letter, DATA_BYTES);
}

/* Until the actor is done or held where it is meant to be; T may have to run for that. */
static void settle(enum who who, enum op op, struct seen *seen)
{
	uint64_t limit = now_ns() + STUCK_NS;

	while (!actor_is_done(who)) {
		bool waits = op == OP_ADDFD || op == OP_ADDFD_SEND || op == OP_ADDFD_BAD;

		if (waits || (is_late(op) && actor_is_held(who))) {
			seen->obs = PENDING;
			return;
		}
		if (now_ns() > limit) {
			seen->stuck = true;
			return;
		}
		usleep(NAP_US);
		seen->ran = true;
	}
	seen->obs = shared->actors[who].err;
}

static void signal_t(enum op op, struct seen *seen)
{
	if (op == OP_SIG_STOP) {
		kill(t_pid, SIGSTOP);
		seen->stuck = !let_run();
		kill(t_pid, SIGCONT);
		seen->stuck |= !let_run();
		return;
	}
	kill(t_pid, op == OP_SIG_KILL ? SIGKILL : op == OP_SIG_INTR ? SIGUSR2 : SIGUSR1);
}

static bool is_pin(enum op op)
{
	return op >= OP_PIN && op <= OP_PIN_LATE_REQ;
}

static void do_actor(struct event ev, const struct state *s, struct seen *seen)
{
	struct actor *actor = &shared->actors[ev.who];
	uint64_t id = base_id + s->serial;
	enum op was = actor->op;

	if (ev.op == OP_FINISH || ev.op == OP_FAIL) {
		actor_let_go(ev.who, ev.op == OP_FINISH, was, id);
		settle(ev.who, NR_OPS, seen);
	} else if (ev.op == OP_INTR) {
		syscall(SYS_tgkill, ev.who == C ? c_pid : getpid(), actor->tid, SIGUSR2);
		settle(ev.who, NR_OPS, seen);
	} else {
		actor_tell(ev.who, ev.op, id, s->source, shared->data);
		settle(ev.who, ev.op, seen);
	}
	/*
	 * Where T takes the snapshot, it is on its way back to sleep now, and would
	 * meet what is sent to it whenever the CPU is free.
	 */
	if (s->n == N_SENT && !seen->stuck &&
	    is_pin(ev.op == OP_FINISH || ev.op == OP_FAIL ? was : ev.op)) {
		seen->stuck = !let_run();
		seen->ran = true;
	}
}

/* Do it; s is any of the states that the kernel may be in. */
void stage_do(struct event ev, const struct state *s, struct seen *seen)
{
	bool busy[NR_ACTORS];

	memset(seen, 0, sizeof(*seen));
	if (op_has_actor(ev.op) && ev.who == C && !c_pid)
		start_c();
	for (enum who who = A; who < NR_ACTORS; who++)
		busy[who] = s->act[who].doing;
	if (ev.op == OP_RUN)
		seen->stuck = !let_run();
	else if (ev.op >= OP_SIG_RESTART && ev.op <= OP_SIG_KILL)
		signal_t(ev.op, seen);
	else if (ev.op == OP_CLOSE)
		close_here();
	else if (ev.op == OP_KILL_C)
		end_c();
	else
		do_actor(ev, s, seen);
	for (enum who who = A; who < NR_ACTORS; who++) {
		seen->done[who] = busy[who] && actor_is_done(who) &&
				  !(op_has_actor(ev.op) && ev.who == who);
		seen->err[who] = shared->actors[who].err;
	}
	if (seen->stuck)
		show_all();
	if (!t_pid)
		return;
	seen->has_new = see_new(seen);
	seen->t_over = t_is_over();
	seen->t_result = shared->result;
	if (!seen->t_over && (seen->ran || ev.op == OP_RUN || ev.op == OP_SIG_STOP)) {
		char state = task_state(t_pid);

		t_dead = state == 'Z' || state == 'X';
	}
	seen->t_dead = t_dead;
}

/* After T's call: what it must not have left.  NULL when all is well. */
const char *stage_after(bool pinned)
{
	if (!shared->kept)
		return "C21: T's registers are not as they were";
	if (pinned && count_maps() != maps_lines)
		return "C4: T has another number of mappings than before its call";
	return NULL;
}

void stage_begin(const struct walk *walk)
{
	if (t_pid && t_killable != walk->killable)
		stage_drop();
	if (!t_pid)
		start(walk->killable);
	set_source('A');
	base_id = next_id;
	call_on(walk->data);
}

/* T is at rest and the listener open; `used` notifications came of the walk. */
void stage_keep(unsigned int used)
{
	next_id = base_id + used;
	end_c();
}

/* End T and all that is under way; false when they cannot be ended. */
bool stage_drop(void)
{
	uint64_t limit = now_ns() + STUCK_NS;
	bool good = true;

	end_c();
	for (enum who who = A; who <= B; who++) {
		if (!actor_is_done(who) && is_late(shared->actors[who].op))
			actor_let_go(who, false, shared->actors[who].op, 0);
	}
	if (t_pid)
		kill(t_pid, SIGKILL);
	while (t_pid && waitpid(t_pid, NULL, WNOHANG) == 0 && (good = now_ns() < limit))
		usleep(NAP_US);
	for (enum who who = A; who <= B; who++) {
		while (!actor_is_done(who) && (good &= now_ns() < limit)) {
			syscall(SYS_tgkill, getpid(), shared->actors[who].tid, SIGUSR2);
			usleep(NAP_US);
		}
	}
	close_here();
	t_pid = 0;
	return good;
}

/* ---- everybody on all CPUs ---- */

static void let_loose(pid_t tid)
{
	const struct sched_param none = { 0 };
	cpu_set_t set;

	memset(&set, 0xff, sizeof(set));
	sched_setscheduler(tid, SCHED_OTHER, &none);
	sched_setaffinity(tid, sizeof(set), &set);
}

static void tie_down(pid_t tid)
{
	const struct sched_param param = { .sched_priority = FIFO_ACTOR };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	sched_setaffinity(tid, sizeof(set), &set);
	sched_setscheduler(tid, SCHED_FIFO, &param);
}

/* From the next T on. */
void stage_free(bool free)
{
	if (!stage_drop())
		bail("T or a supervisor cannot be ended");
	shared->free = free;
	for (enum who who = A; who <= B; who++) {
		if (free)
			let_loose(shared->actors[who].tid);
		else
			tie_down(shared->actors[who].tid);
	}
	if (free)
		let_loose(0);
	else
		on_cpu(FIFO_DRIVER);
}

/* What the scripts have to wait for; its number is the one of the walk. */
bool stage_receive(void)
{
	struct seccomp_notif req;

	if (pr_recv(shared->actors[A].listener, &req, 20000))
		return false;
	base_id = req.id;
	return true;
}

static void signal_at_once(void)
{
	struct script *script = &shared->scripts[SIGNALLER];

	for (int i = 0; i < script->nr; i++) {
		script_moment(script->wait[i]);
		script->began[i] = shared->clock++;
		kill(t_pid, script->op[i] == OP_SIG_INTR ? SIGUSR2 : SIGUSR1);
		script->ended[i] = shared->clock++;
		script->err[i] = 0;
	}
}

/* Play the scripts; false when somebody does not come back. */
bool stage_at_once(bool with_c)
{
	uint64_t limit = now_ns() + STUCK_NS;
	uint32_t gun = shared->gun + 1;
	bool done;

	if (with_c && !c_pid)
		start_c();
	shared->clock = 1;
	for (enum who who = A; who < NR_ACTORS; who++) {
		shared->actors[who].plays = true;
		shared->actors[who].gun = gun;
		if (who != C || with_c)
			actor_tell(who, OP_VALID, base_id, 'A', shared->data);
	}
	usleep(NAP_US);
	shared->gun = gun;
	signal_at_once();
	do {
		done = true;
		for (enum who who = A; who < NR_ACTORS; who++)
			done &= (who == C && !with_c) || actor_is_done(who);
	} while (!done && now_ns() < limit && !usleep(NAP_US));
	if (!done)
		show_all();
	for (enum who who = A; who < NR_ACTORS; who++)
		shared->actors[who].plays = false;
	return done;
}

/* Whether T's call is over, once T rests; must_end: it is about to be. */
bool stage_rest(int *result, bool must_end)
{
	uint64_t limit = now_ns() + STUCK_NS;
	int asleep = 0;

	while (!t_is_over() && now_ns() < limit) {
		char state = task_state(t_pid);

		asleep = state == 'S' || state == 'D' ? asleep + 1 : 0;
		if (!must_end && asleep == 3)
			return false;
		usleep(NAP_US);
	}
	*result = shared->result;
	return t_is_over();
}

/* End T's call in any way. */
bool stage_clear(void)
{
	uint64_t limit = now_ns() + STUCK_NS;
	struct seccomp_notif req;
	uint64_t id = base_id;

	while (!t_is_over() && now_ns() < limit) {
		/* The second may have been received, too. */
		pr_deny(shared->actors[A].listener, base_id, EPERM);
		pr_deny(shared->actors[A].listener, base_id + 1, EPERM);
		pr_deny(shared->actors[A].listener, id, EPERM);
		if (!pr_recv(shared->actors[A].listener, &req, 1))
			id = req.id;
	}
	next_id = base_id + 1;
	if (!t_is_over())
		show_all();
	return t_is_over();
}

static void make_files(void)
{
	char name[] = PLACE "/A";

	mkdir(PLACE, 0755);
	for (char letter = 'A'; letter <= 'S'; letter++) {
		int fd;

		name[sizeof(PLACE)] = letter;
		fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (fd < 0 || write(fd, &letter, 1) != 1)
			bail(name);
		close(fd);
	}
	letter_fd = open(name, O_RDONLY | O_CLOEXEC);
}

void stage_init(void)
{
	size_t page = sysconf(_SC_PAGESIZE);

	shared_fd = syscall(SYS_memfd_create, "pinmodel", MFD_CLOEXEC);
	if (shared_fd < 0 || ftruncate(shared_fd, 2 * page))
		bail("memfd_create");
	shared = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
	if (shared == MAP_FAILED || sizeof(*shared) > page)
		bail("mmap");
	source = (char *)shared + page;
	strcpy(source, PLACE "/A");
	make_files();
	on_cpu(FIFO_DRIVER);
	actors_init(true);
}
