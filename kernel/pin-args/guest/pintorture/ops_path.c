// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls that make, move and remove names: the name that is there afterwards tells. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "torture.h"

static ino_t ino_of(const char *name)
{
	struct stat st;

	return lstat(name, &st) ? 0 : st.st_ino;
}

static void make(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		bail(name);
	close(fd);
}

/* Files that are there all the time, with either letter. */
static ino_t keep_ino[2], move_ino[2];

void path_setup(void)
{
	make("Tkeep");
	make("Mkeep");
	keep_ino[0] = ino_of("Tkeep");
	keep_ino[1] = ino_of("Mkeep");
}

/* What is moved may not have come back, for want of memory. */
static void have_moving(void)
{
	static const char *const names[2] = { "Tmove", "Mmove" };

	for (int i = 0; i < 2; i++) {
		if (!ino_of(names[i]))
			make(names[i]);
		move_ino[i] = ino_of(names[i]);
	}
}

static char by_ino(ino_t ino, const ino_t inos[2])
{
	return !ino ? '0' : ino == inos[0] ? 'T' : ino == inos[1] ? 'M' : '?';
}

/* ---- open ---- */

#define OPEN_FLAGS (O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC)

static bool prepare_openat(struct lane *lane, struct trial *trial)
{
	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, 1, "T%08x", trial->seq);
	trial->call.args[2] = OPEN_FLAGS;
	trial->call.args[3] = 0600;
	return true;
}

static bool prepare_openat2(struct lane *lane, struct trial *trial)
{
	struct open_how how = { .flags = OPEN_FLAGS };

	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, 1, "T%08x", trial->seq);
	/* The letter is the mode: 0124 or 0115. */
	slot_bytes(lane, trial, 2, &how, sizeof(how), offsetof(struct open_how, mode));
	trial->call.args[3] = sizeof(how);
	return true;
}

#ifdef SYS_open
static bool prepare_open(struct lane *lane, struct trial *trial)
{
	slot_string(lane, trial, 0, "T%08x", trial->seq);
	trial->call.args[1] = OPEN_FLAGS;
	trial->call.args[2] = 0600;
	return true;
}

static bool prepare_creat(struct lane *lane, struct trial *trial)
{
	slot_string(lane, trial, 0, "T%08x", trial->seq);
	trial->call.args[1] = 0600;
	return true;
}
#endif

static void probe_open(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	int path = trial->mask & 2 ? 1 : 0;
	struct stat st;

	(void)lane;
	letters[path] = which_exists(trial, path, 0);
	if (ret < 0 && letters[path] != '0')
		letters[path] = '?';
	if (trial->mask & 4) {
		letters[2] = ret < 0 || fstat(ret, &st) ? '0' :
			     (st.st_mode & 0777) == 'T' ? 'T' :
			     (st.st_mode & 0777) == 'M' ? 'M' : '?';
	}
	if (ret >= 0)
		close(ret);
}

/* ---- what makes a name ---- */

static bool prepare_mkdirat(struct lane *lane, struct trial *trial)
{
	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, 1, "T%08x", trial->seq);
	trial->call.args[2] = trial->call.nr == SYS_mknodat ? S_IFREG | 0600 : 0700;
	return true;
}

#ifdef SYS_mkdir
static bool prepare_mkdir(struct lane *lane, struct trial *trial)
{
	slot_string(lane, trial, 0, "T%08x", trial->seq);
	trial->call.args[1] = trial->call.nr == SYS_mknod ? S_IFREG | 0600 : 0700;
	return true;
}
#endif

static void probe_dir(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	int slot = trial->mask & 2 ? 1 : 0;

	(void)lane;
	(void)ret;
	letters[slot] = which_exists(trial, slot, AT_REMOVEDIR);
}

static void probe_node(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	int slot = trial->mask & 2 ? 1 : 0;

	(void)lane;
	(void)ret;
	letters[slot] = which_exists(trial, slot, 0);
}

static bool prepare_symlinkat(struct lane *lane, struct trial *trial)
{
	slot_string(lane, trial, 0, "to-T%08x", trial->seq * 7);
	trial->call.args[1] = AT_FDCWD;
	slot_string(lane, trial, 2, "T%08x", trial->seq);
	return true;
}

#ifdef SYS_symlink
static bool prepare_symlink(struct lane *lane, struct trial *trial)
{
	slot_string(lane, trial, 0, "to-T%08x", trial->seq * 7);
	slot_string(lane, trial, 1, "T%08x", trial->seq);
	return true;
}
#endif

static void probe_symlink(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	int slot = trial->mask & 2 ? 1 : 2;
	char to[64] = "";
	long len = readlink(slot_name(trial, slot, 'T'), to, sizeof(to) - 1);

	(void)lane;
	(void)ret;
	if (len < 0)
		len = readlink(slot_name(trial, slot, 'M'), to, sizeof(to) - 1);
	letters[0] = len < 0 ? '0' : slot_match(&trial->slots[0], to, len + 1);
	letters[slot] = which_exists(trial, slot, 0);
}

/* ---- link, rename ---- */

static bool prepare_linkat(struct lane *lane, struct trial *trial)
{
	bool link = trial->call.nr == SYS_linkat;

	have_moving();
	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, 1, link ? "Tkeep" : "Tmove");
	trial->call.args[2] = AT_FDCWD;
	slot_string(lane, trial, 3, "T%08x", trial->seq);
	return true;
}

#ifdef SYS_link
static bool prepare_link(struct lane *lane, struct trial *trial)
{
	have_moving();
	slot_string(lane, trial, 0, trial->call.nr == SYS_link ? "Tkeep" : "Tmove");
	slot_string(lane, trial, 1, "T%08x", trial->seq);
	return true;
}
#endif

static void probe_link(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	int old = trial->mask & 8 ? 1 : 0, new = trial->mask & 8 ? 3 : 1;
	ino_t ino = ino_of(slot_name(trial, new, 'T'));

	(void)lane;
	(void)ret;
	if (!ino)
		ino = ino_of(slot_name(trial, new, 'M'));
	letters[old] = by_ino(ino, keep_ino);
	letters[new] = which_exists(trial, new, 0);
}

static void probe_rename(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	int old = trial->mask & 8 ? 1 : 0, new = trial->mask & 8 ? 3 : 1;

	(void)lane;
	(void)ret;
	letters[old] = letters[new] = '0';
	for (int i = 0; i < 2; i++) {
		const char *name = slot_name(trial, new, "TM"[i]);
		ino_t ino = ino_of(name);

		if (!ino)
			continue;
		letters[new] = letters[new] == '0' ? "TM"[i] : '?';
		letters[old] = by_ino(ino, move_ino);
		rename(name, letters[old] == 'T' ? "Tmove" : "Mmove");
	}
}

/* ---- what removes a name ---- */

static bool with_both(struct trial *trial, int slot, bool dir)
{
	for (int i = 0; i < 2; i++) {
		const char *name = slot_name(trial, slot, "TM"[i]);

		if (dir ? mkdir(name, 0700) : mknod(name, S_IFREG | 0600, 0))
			return false;
	}
	return true;
}

static bool prepare_unlinkat(struct lane *lane, struct trial *trial)
{
	bool dir = trial->seq & 1;

	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, 1, "T%08x", trial->seq);
	trial->call.args[2] = dir ? AT_REMOVEDIR : 0;
	return with_both(trial, 1, dir);
}

#ifdef SYS_unlink
static bool prepare_unlink(struct lane *lane, struct trial *trial)
{
	slot_string(lane, trial, 0, "T%08x", trial->seq);
	return with_both(trial, 0, trial->call.nr == SYS_rmdir);
}
#endif

static void probe_unlink(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	int slot = trial->mask & 2 ? 1 : 0;
	bool dir = slot ? trial->seq & 1 : false;

	(void)lane;
	(void)ret;
#ifdef SYS_rmdir
	dir = dir || trial->call.nr == SYS_rmdir;
#endif
	switch (which_exists(trial, slot, dir ? AT_REMOVEDIR : 0)) {
	case 'T':
		letters[slot] = 'M';
		break;
	case 'M':
		letters[slot] = 'T';
		break;
	case '?':
		letters[slot] = '0';	/* both are still there */
		break;
	default:
		letters[slot] = '?';
	}
}

const struct op path_ops[] = {
	{ "open", "openat", SYS_openat, prepare_openat, NULL, probe_open },
	{ "open", "openat2", SYS_openat2, prepare_openat2, NULL, probe_open },
#ifdef SYS_open
	{ "open", "open", SYS_open, prepare_open, NULL, probe_open },
	{ "open", "creat", SYS_creat, prepare_creat, NULL, probe_open },
#endif
	{ "mkdir", "mkdirat", SYS_mkdirat, prepare_mkdirat, NULL, probe_dir },
	{ "mkdir", "mknodat", SYS_mknodat, prepare_mkdirat, NULL, probe_node },
#ifdef SYS_mkdir
	{ "mkdir", "mkdir", SYS_mkdir, prepare_mkdir, NULL, probe_dir },
	{ "mkdir", "mknod", SYS_mknod, prepare_mkdir, NULL, probe_node },
#endif
	{ "symlink", "symlinkat", SYS_symlinkat, prepare_symlinkat, NULL, probe_symlink },
#ifdef SYS_symlink
	{ "symlink", "symlink", SYS_symlink, prepare_symlink, NULL, probe_symlink },
#endif
	{ "link", "linkat", SYS_linkat, prepare_linkat, NULL, probe_link },
#ifdef SYS_link
	{ "link", "link", SYS_link, prepare_link, NULL, probe_link },
#endif
#ifdef SYS_renameat
	{ "rename", "renameat", SYS_renameat, prepare_linkat, NULL, probe_rename },
#endif
	{ "rename", "renameat2", SYS_renameat2, prepare_linkat, NULL, probe_rename },
#ifdef SYS_rename
	{ "rename", "rename", SYS_rename, prepare_link, NULL, probe_rename },
#endif
	{ "unlink", "unlinkat", SYS_unlinkat, prepare_unlinkat, NULL, probe_unlink },
#ifdef SYS_unlink
	{ "unlink", "unlink", SYS_unlink, prepare_unlink, NULL, probe_unlink },
	{ "unlink", "rmdir", SYS_rmdir, prepare_unlink, NULL, probe_unlink },
#endif
	{ NULL },
};
