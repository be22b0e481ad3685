// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls that look at what a name stands for, or change it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "torture.h"

#ifdef SYS_stat64
#define WIDE(name) SYS_##name##64
#define FSTATAT SYS_fstatat64
#else
#ifdef SYS_stat
#define WIDE(name) SYS_##name
#endif
#define FSTATAT SYS_newfstatat
#endif

/* Not sys/stat.h, which and linux/stat.h are at odds; statx is all that is needed. */
static struct statx looked(const char *name)
{
	struct statx st = { 0 };

	syscall(SYS_statx, AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st);
	return st;
}

static const char *const pair[2] = { "Tpair", "Mpair" };
static unsigned char answer[512];	/* of calls that look */
static int inotify_fd, home;

static void make(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		bail(name);
	close(fd);
}

void change_setup(void)
{
	for (int i = 0; i < 2; i++)
		make(pair[i], i ? "one" : "another");
	make("Tonly", "");
	if (syscall(SYS_mkdirat, AT_FDCWD, "Tdir", 0700) ||
	    syscall(SYS_mkdirat, AT_FDCWD, "Mdir", 0700))
		bail("mkdir");
	if (setxattr("Tonly", "user.T", "t", 1, 0))
		bail("setxattr");
	if (symlink("to-T", "Tlink") | symlink("to-M-longer", "Mlink"))
		bail("symlink");
	inotify_fd = inotify_init1(IN_CLOEXEC);
	home = open(".", O_PATH | O_CLOEXEC);
}

/* ---- stat: the answer is that about one of the two ---- */

#ifdef WIDE
static bool prepare_stat(struct lane *lane, struct trial *trial)
{
	memset(answer, 0, sizeof(answer));
	slot_string(lane, trial, 0, "Tpair");
	trial->call.args[1] = (long)answer;
	trial->out_slot = 1;
	return true;
}
#endif

static bool prepare_fstatat(struct lane *lane, struct trial *trial)
{
	memset(answer, 0, sizeof(answer));
	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, 1, "Tpair");
	if (trial->call.nr == SYS_statx) {
		trial->call.args[2] = AT_SYMLINK_NOFOLLOW;
		trial->call.args[3] = STATX_BASIC_STATS;
		trial->call.args[4] = (long)answer;
		trial->out_slot = 4;
	} else {
		trial->call.args[2] = (long)answer;
		trial->call.args[3] = AT_SYMLINK_NOFOLLOW;
		trial->out_slot = 2;
	}
	return true;
}

static void probe_stat(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	int slot = trial->mask & 2 ? 1 : 0;
	unsigned char expected[sizeof(answer)];
	struct call call = trial->call;

	(void)lane;
	letters[slot] = ret ? '0' : '?';
	for (int i = 0; i < 2 && !ret; i++) {
		memset(expected, 0, sizeof(expected));
		call.args[slot] = (long)pair[i];
		call.args[trial->out_slot] = (long)expected;
		syscall(call.nr, call.args[0], call.args[1], call.args[2], call.args[3],
			call.args[4], 0);
		if (!memcmp(expected, answer, sizeof(answer)))
			letters[slot] = "TM"[i];
	}
}

/* ---- access and others: only the one with a T is there ---- */

static bool prepare_only(struct lane *lane, struct trial *trial)
{
	slot_string(lane, trial, 0, "Tonly");
	trial->call.args[1] = 0;
	if (trial->call.nr == SYS_statfs) {
		trial->call.args[1] = (long)answer;
		trial->out_slot = 1;
	}
	return true;
}

static bool prepare_only_at(struct lane *lane, struct trial *trial)
{
	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, 1, "Tonly");
	return true;
}

static void probe_only(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	(void)lane;
	letters[trial->mask & 2 ? 1 : 0] = ret >= 0 ? 'T' : ret == -ENOENT ? 'M' : '0';
}

static bool prepare_chdir(struct lane *lane, struct trial *trial)
{
	slot_string(lane, trial, 0, "Tdir");
	return true;
}

static void probe_chdir(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	char path[128] = "";

	(void)lane;
	(void)trial;
	letters[0] = '0';
	if (!ret && getcwd(path, sizeof(path))) {
		const char *last = strrchr(path, '/');

		letters[0] = !strcmp(last, "/Tdir") ? 'T' : !strcmp(last, "/Mdir") ? 'M' : '?';
	}
	if (fchdir(home))
		bail("fchdir");
}

static bool prepare_readlink(struct lane *lane, struct trial *trial)
{
	int slot = trial->call.nr == SYS_readlinkat;

	memset(answer, 0, 32);
	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, slot, "Tlink");
	trial->call.args[slot + 1] = (long)answer;
	trial->call.args[slot + 2] = 32;
	trial->out_slot = slot + 1;
	return true;
}

static void probe_readlink(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	(void)lane;
	letters[trial->mask & 2 ? 1 : 0] =
		ret < 0 ? '0' :
		ret == 4 && !strcmp((char *)answer, "to-T") ? 'T' :
		ret == 11 && !strcmp((char *)answer, "to-M-longer") ? 'M' : '?';
}

static bool prepare_inotify(struct lane *lane, struct trial *trial)
{
	trial->call.args[0] = inotify_fd;
	slot_string(lane, trial, 1, "Tonly");
	trial->call.args[2] = IN_OPEN;
	return true;
}

static void probe_inotify(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	probe_only(lane, trial, ret, letters);
	if (ret >= 0)
		inotify_rm_watch(inotify_fd, ret);
}

/* ---- chmod, chown, utimensat, truncate: which of the two is another now ---- */

static struct statx was[2];

static void look_first(void)
{
	for (int i = 0; i < 2; i++)
		was[i] = looked(pair[i]);
}

/* A number that neither of the two has, or the change would not be seen. */
static uint32_t other_number(uint32_t number, uint64_t a, uint64_t b)
{
	while (number == a || number == b)
		number++;
	return number;
}

static uint32_t other_mode(const struct trial *trial)
{
	uint32_t mode = trial->seq * 5;

	while ((mode & 0777) == (was[0].stx_mode & 0777u) ||
	       (mode & 0777) == (was[1].stx_mode & 0777u))
		mode++;
	return mode & 0777;
}

static bool prepare_chmod(struct lane *lane, struct trial *trial)
{
	int slot = trial->call.nr == SYS_fchmodat;

#ifdef SYS_fchmodat2
	slot = slot || trial->call.nr == SYS_fchmodat2;
#endif
	look_first();
	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, slot, "Tpair");
	trial->call.args[slot + 1] = other_mode(trial);
	return true;
}

static bool prepare_chown(struct lane *lane, struct trial *trial)
{
	int slot = trial->call.nr == SYS_fchownat;

	look_first();
	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, slot, "Tpair");
	trial->call.args[slot + 1] = other_number(trial->seq % 60000 + 1, was[0].stx_uid,
						  was[1].stx_uid);
	trial->call.args[slot + 2] = trial->seq % 50000 + 1;
	return true;
}

static bool prepare_truncate(struct lane *lane, struct trial *trial)
{
	look_first();
	slot_string(lane, trial, 0, "Tpair");
	trial->call.args[1] = other_number(1 + trial->seq % 4000, was[0].stx_size,
					   was[1].stx_size);
	return true;
}

static struct { long sec, nsec; } times[2];

static bool prepare_utimensat(struct lane *lane, struct trial *trial)
{
	look_first();
	times[0].sec = times[1].sec = trial->seq + 1;
	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, 1, "Tpair");
	trial->call.args[2] = (long)times;
	return true;
}

static void probe_change(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	bool other[2];

	(void)lane;
	(void)ret;
	for (int i = 0; i < 2; i++) {
		struct statx is = looked(pair[i]);

		other[i] = is.stx_mode != was[i].stx_mode || is.stx_uid != was[i].stx_uid ||
			   is.stx_size != was[i].stx_size ||
			   is.stx_mtime.tv_sec != was[i].stx_mtime.tv_sec;
	}
	letters[trial->mask & 2 ? 1 : 0] = other[0] && other[1] ? '?' :
					   other[0] ? 'T' : other[1] ? 'M' : '0';
}

/* ---- xattr: which file has which name ---- */

static bool prepare_setxattr(struct lane *lane, struct trial *trial)
{
	slot_string(lane, trial, 0, "Tpair");
	slot_string(lane, trial, 1, "user.T%08x", trial->seq);
	trial->call.args[2] = (long)"value";
	trial->call.args[3] = 5;
	trial->call.args[4] = 0;
	return true;
}

static void probe_setxattr(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	(void)lane;
	(void)ret;
	letters[0] = letters[1] = '0';
	for (int i = 0; i < 4; i++) {
		if (removexattr(pair[i / 2], slot_name(trial, 1, "TM"[i % 2])))
			continue;
		letters[0] = letters[0] == '0' ? "TM"[i / 2] : '?';
		letters[1] = letters[1] == '0' ? "TM"[i % 2] : '?';
	}
}

static bool prepare_getxattr(struct lane *lane, struct trial *trial)
{
	trial->call.args[0] = (long)"Tonly";
	slot_string(lane, trial, 1, "user.T");
	trial->call.args[2] = (long)answer;
	trial->call.args[3] = sizeof(answer);
	trial->out_slot = 2;
	return true;
}

static void probe_getxattr(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	(void)lane;
	(void)trial;
	letters[1] = ret == 1 ? 'T' : ret == -ENODATA ? 'M' : '0';
}

const struct op change_ops[] = {
	{ "stat", "statx", SYS_statx, prepare_fstatat, NULL, probe_stat },
	{ "stat", "fstatat", FSTATAT, prepare_fstatat, NULL, probe_stat },
#ifdef WIDE
	{ "stat", "stat", WIDE(stat), prepare_stat, NULL, probe_stat },
	{ "stat", "lstat", WIDE(lstat), prepare_stat, NULL, probe_stat },
#endif
	{ "access", "faccessat", SYS_faccessat, prepare_only_at, NULL, probe_only },
	{ "access", "faccessat2", SYS_faccessat2, prepare_only_at, NULL, probe_only },
#ifdef SYS_access
	{ "access", "access", SYS_access, prepare_only, NULL, probe_only },
#endif
	{ "access", "statfs", SYS_statfs, prepare_only, NULL, probe_only },
	{ "access", "chdir", SYS_chdir, prepare_chdir, NULL, probe_chdir },
	{ "access", "readlinkat", SYS_readlinkat, prepare_readlink, NULL, probe_readlink },
#ifdef SYS_readlink
	{ "access", "readlink", SYS_readlink, prepare_readlink, NULL, probe_readlink },
#endif
	{ "access", "inotify_add_watch", SYS_inotify_add_watch, prepare_inotify, NULL,
	  probe_inotify },
	{ "chmod", "fchmodat", SYS_fchmodat, prepare_chmod, NULL, probe_change },
#ifdef SYS_fchmodat2
	{ "chmod", "fchmodat2", SYS_fchmodat2, prepare_chmod, NULL, probe_change },
#endif
#ifdef SYS_chmod
	{ "chmod", "chmod", SYS_chmod, prepare_chmod, NULL, probe_change },
#endif
	{ "chmod", "fchownat", SYS_fchownat, prepare_chown, NULL, probe_change },
	{ "chmod", "utimensat", SYS_utimensat, prepare_utimensat, NULL, probe_change },
	{ "truncate", "truncate", SYS_truncate, prepare_truncate, NULL, probe_change },
	{ "xattr", "setxattr", SYS_setxattr, prepare_setxattr, NULL, probe_setxattr },
	{ "xattr", "lsetxattr", SYS_lsetxattr, prepare_setxattr, NULL, probe_setxattr },
	{ "xattr", "getxattr", SYS_getxattr, prepare_getxattr, NULL, probe_getxattr },
	{ NULL },
};
