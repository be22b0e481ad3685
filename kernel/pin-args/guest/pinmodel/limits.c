// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * C23: T has used up what it may have of something.  A call that still works
 * unpinned works pinned, or fails with ENOMEM and nothing else.
 *
 * C8: what just fits is whole, whatever else the kernel needs for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kinds.h"

#define TEXT		"/tmp/pinmodel/A"
#define NOBODY		1000
#define MOST		(1u << 20)	/* bytes of one request */
#define SOON_MS		20000

enum limit { NO_LIMIT, OF_ADDRESSES, OF_LOCKED, OF_DATA, OF_FILES, OF_MAPPINGS, OF_OPEN_FILES };

static long kib_of(const char *what)
{
	char line[128];
	long value = 0;
	FILE *file = fopen("/proc/self/status", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, what, strlen(what)))
			value = atol(line + strlen(what));
	}
	if (file)
		fclose(file);
	return value;
}

static void set_limit(int resource, unsigned long to)
{
	struct rlimit limit = { to, to };

	if (setrlimit(resource, &limit))
		skip_kind("setrlimit: %s", strerror(errno));
}

static void fill_mappings(void)
{
	size_t page = sysconf(_SC_PAGESIZE);

	/* Neighbours that do not merge. */
	for (int i = 0; ; i++) {
		if (mmap(NULL, page, i % 2 ? PROT_READ : PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
			return;
	}
}

static void use_up(enum limit limit)
{
	/* Root may exceed some of them. */
	if (limit != NO_LIMIT)
		become(NOBODY, NOBODY);
	switch (limit) {
	case OF_ADDRESSES:
		set_limit(RLIMIT_AS, kib_of("VmSize:") * 1024);
		break;
	case OF_LOCKED:
		set_limit(RLIMIT_MEMLOCK, MOST);
		if (mlockall(MCL_FUTURE))
			skip_kind("mlockall: %s", strerror(errno));
		while (mmap(NULL, 4096 * 16, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
		       MAP_FAILED)
			;
		while (mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
		       MAP_FAILED)
			;
		break;
	case OF_DATA:
		set_limit(RLIMIT_DATA, 0);
		break;
	case OF_FILES:
		set_limit(RLIMIT_NOFILE, 0);
		break;
	case OF_MAPPINGS:
		fill_mappings();
		break;
	default:
		break;
	}
}

/* Of the whole system, for as long as T makes its calls. */
static void set_number(const char *path, const char *to, char *was, size_t size)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, was, size - 1);

	if (len <= 0 || pwrite(fd, to, strlen(to), 0) < 0)
		skip_kind("%s: %s", path, strerror(errno));
	was[len] = '\0';
	close(fd);
}

static void body(struct play *play)
{
	struct call call = { .nr = SYS_faccessat, .args = { AT_FDCWD, (long)TEXT, R_OK } };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	play_trap(play);
	use_up((uintptr_t)play->arg);
	for (int i = 0; i < 2; i++)
		play_call(play, &call);
	for (;;)
		pause();
}

static bool one_call(struct play *play, int number, bool pinned)
{
	struct seccomp_notif req;
	char buf[64];
	int error = 0;

	if (sup_recv(play, &req))
		no_call(play);
	if (pinned)
		error = sup_pin(play->listener, req.id, 1, SECCOMP_PIN_CSTRING, sizeof(buf), buf,
				sizeof(buf), NULL);
	/* A snapshot that T has to make room for may be refused with the same errno. */
	if (error && error != ENOMEM)
		note("C23: the snapshot gave %s", errno_name(-error));
	if (error)
		return error == ENOMEM;
	error = sup_send(play->listener, req.id, pinned ? PR_PINNED :
			 SECCOMP_USER_NOTIF_FLAG_CONTINUE, 0);
	if (error || !await_int(&play->done, number, SOON_MS)) {
		note("C23: the call does not return");
		return false;
	}
	return true;
}

static bool check_limit(uint64_t limit)
{
	static const char maps[] = "/proc/sys/vm/max_map_count", files[] = "/proc/sys/fs/file-max";
	const char *path = limit == OF_MAPPINGS ? maps : limit == OF_OPEN_FILES ? files : NULL;
	struct play *play;
	char was[32];
	bool good;
	long plain = 0;

	/* T has its listener before files are scarce: it needs none after that. */
	if (limit == OF_MAPPINGS)
		set_number(path, "400", was, sizeof(was));
	play = play_start(body, (void *)(uintptr_t)limit);
	good = one_call(play, 1, false);
	plain = play->ret;
	if (limit == OF_OPEN_FILES)
		set_number(path, "1", was, sizeof(was));
	if (good)
		good = one_call(play, 2, true);
	if (path) {
		char now[32];

		set_number(path, was, now, sizeof(now));
	}
	if (plain)
		skip_kind("not even the unpinned call works: %s", errno_name(plain));
	if (good && play->done == 2 && play->ret != plain && play->ret != -ENOMEM) {
		note("C23: the pinned call gave %s", errno_name(play->ret));
		good = false;
	}
	play_end(play);
	return good;
}

/* ---- what just fits ---- */

struct list {
	unsigned int nr;	/* strings */
	unsigned int len;	/* of each */
};

static char **make_list(const struct list *list)
{
	char **table = calloc(list->nr + 1, sizeof(*table));
	char *text = malloc((size_t)list->nr * (list->len + 1) + 1);

	if (!table || !text)
		skip_kind("no memory for a list");
	for (unsigned int i = 0; i < list->nr; i++) {
		table[i] = text + (size_t)i * (list->len + 1);
		memset(table[i], 'x', list->len);
		table[i][list->len] = '\0';
	}
	return table;
}

static const struct list lists[] = {
	{ 0, 0 }, { 1, 0 }, { 1, 1 }, { 3, 5 }, { 1000, 0 }, { 500, 7 }, { 110000, 1 },
	/* With the path, and not a byte is left of what one request may ask for. */
	{ 4, 262134 },
};

static void execute(struct play *play)
{
	const struct list *list = &lists[(uintptr_t)play->arg];
	struct call call = { .nr = SYS_execve, .args = { (long)TEXT, 0, 0 } };

	call.args[1] = (long)make_list(list);
	play_trap(play);
	play_call(play, &call);
}

static uint32_t size_of(const struct list *list)
{
	return 4 + list->nr * (4 + list->len + 1);
}

static bool fits(struct play *play, uint64_t id, const struct list *list, char *buf, bool path_too)
{
	uint32_t max = size_of(list);
	struct seccomp_notif_pin_args pin = { 0 };
	const struct seccomp_pin_arg *arg = &pin.args[path_too];
	int error;

	if (path_too)
		pr_pin_add(&pin, 0, SECCOMP_PIN_CSTRING, sizeof(TEXT));
	pr_pin_add(&pin, 1, SECCOMP_PIN_CSTRING_ARRAY, max);
	error = pr_pin(play->listener, &pin, id, buf, MOST) ? errno : 0;
	if (!error && !arg->truncated && arg->actual_size == max && arg->actual_entries == list->nr)
		return true;
	note("C8: %u strings of %u letters%s, %u bytes with their header, asked for with as many: %s, "
	     "truncated %#x, %u entries, %u bytes", list->nr, list->len, path_too ? " and a path" : "",
	     max, errno_name(-error), arg->truncated, arg->actual_entries, arg->actual_size);
	return false;
}

static bool does_not_fit(struct play *play, uint64_t id, const struct list *list, char *buf)
{
	struct seccomp_notif_pin_args pin;
	int error = sup_pin(play->listener, id, 1, SECCOMP_PIN_CSTRING_ARRAY, size_of(list) - 1,
			    buf, MOST, &pin);

	if (!error && pin.args[0].truncated)
		return true;
	note("C8: %u strings of %u letters in a byte too few: %s, truncated %#x", list->nr, list->len,
	     errno_name(-error), pin.args[0].truncated);
	return false;
}

static bool check_list(uint64_t number)
{
	struct play *play = play_start(execute, (void *)(uintptr_t)number);
	const struct list *list = &lists[number];
	char *buf = malloc(MOST);
	struct seccomp_notif req;
	bool good;

	if (!buf || sup_recv(play, &req))
		no_call(play);
	/* A short one is replaced, so the whole one comes last. */
	good = does_not_fit(play, req.id, list, buf);
	good &= fits(play, req.id, list, buf, size_of(list) + sizeof(TEXT) <= MOST);
	play_end(play);
	return good;
}

const struct kind limit_kinds[] = {
	{ "C23 nothing is used up", check_limit, NO_LIMIT, false },
	{ "C23 all addresses are used up", check_limit, OF_ADDRESSES, false },
	{ "C23 all memory that may be locked is used up", check_limit, OF_LOCKED, false },
	{ "C23 all data is used up", check_limit, OF_DATA, false },
	{ "C23 all descriptors are used up", check_limit, OF_FILES, false },
	{ "C23 all mappings are used up", check_limit, OF_MAPPINGS, true },
	{ "C23 all files of the system are used up", check_limit, OF_OPEN_FILES, true },
	{ "C8 a list of nothing", check_list, 0, false },
	{ "C8 a list of one empty string", check_list, 1, false },
	{ "C8 a list of one letter", check_list, 2, false },
	{ "C8 a list of a few strings", check_list, 3, false },
	{ "C8 a list of many empty strings", check_list, 4, false },
	{ "C8 a list of many strings", check_list, 5, false },
	{ "C8 a list of very many letters", check_list, 6, false },
	{ "C8 a list of long strings, as much as fits", check_list, 7, false },
	{ NULL, NULL, 0, false },
};
