// SPDX-License-Identifier: GPL-2.0-or-later
/* setxattrat, chroot, name_to_handle_at, and one pointer for two arguments. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "torture.h"

static const char *const pair[2] = { "Tpair", "Mpair" };
static int root, home;
static bool no_handles;		/* in this kernel */
#ifdef SYS_setxattrat
static bool no_setxattrat;
#endif

void more_setup(void)
{
	no_handles = syscall(SYS_name_to_handle_at, -1, NULL, NULL, NULL, 0) && errno == ENOSYS;
#ifdef SYS_setxattrat
	no_setxattrat = syscall(SYS_setxattrat, -1, NULL, 0, NULL, NULL, 0) && errno == ENOSYS;
#endif
	root = open("/", O_PATH | O_CLOEXEC);
	home = open(".", O_PATH | O_CLOEXEC);
}

#ifdef SYS_setxattrat
static bool prepare_setxattrat(struct lane *lane, struct trial *trial)
{
	static struct {
		uint64_t value;
		uint32_t size, flags;
	} args;

	args.value = (unsigned long)"value";
	args.size = 5;
	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, 1, "Tpair");
	slot_string(lane, trial, 3, "user.T%08x", trial->seq);
	trial->call.args[4] = (long)&args;
	trial->call.args[5] = sizeof(args);
	return !no_setxattrat;
}

static void probe_setxattrat(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	(void)lane;
	(void)ret;
	letters[1] = letters[3] = '0';
	for (int i = 0; i < 4; i++) {
		if (removexattr(pair[i / 2], slot_name(trial, 3, "TM"[i % 2])))
			continue;
		letters[1] = letters[1] == '0' ? "TM"[i / 2] : '?';
		letters[3] = letters[3] == '0' ? "TM"[i % 2] : '?';
	}
}
#endif

static bool prepare_chroot(struct lane *lane, struct trial *trial)
{
	slot_string(lane, trial, 0, "Tdir");
	return true;
}

static void probe_chroot(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	struct stat is, was;

	(void)lane;
	(void)trial;
	letters[0] = ret ? '0' : '?';
	if (!ret && stat("/", &is))
		ret = -errno;
	if (fchdir(root) || chroot(".") || fchdir(home))
		bail("chroot");
	for (int i = 0; i < 2 && !ret; i++) {
		if (!stat(i ? "Mdir" : "Tdir", &was) && was.st_ino == is.st_ino)
			letters[0] = "TM"[i];
	}
}

static struct {
	uint32_t bytes;
	int32_t type;
	unsigned char handle[MAX_HANDLE_SZ];
} handle;
static int mount_id;

static bool prepare_handle(struct lane *lane, struct trial *trial)
{
	memset(&handle, 0, sizeof(handle));
	handle.bytes = MAX_HANDLE_SZ;
	trial->call.args[0] = AT_FDCWD;
	slot_string(lane, trial, 1, "Tpair");
	trial->call.args[2] = (long)&handle;
	trial->call.args[3] = (long)&mount_id;
	trial->out_slot = 2;
	return !no_handles;
}

static void probe_handle(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	__typeof__(handle) other;

	(void)lane;
	letters[1] = ret ? '0' : '?';
	for (int i = 0; i < 2 && !ret; i++) {
		memset(&other, 0, sizeof(other));
		other.bytes = MAX_HANDLE_SZ;
		if (!syscall(trial->call.nr, AT_FDCWD, pair[i], &other, &mount_id, 0) &&
		    !memcmp(&other, &handle, sizeof(other)))
			letters[1] = "TM"[i];
	}
}

/* A link to itself: what it says and what it is called come from one string. */
static bool prepare_twice(struct lane *lane, struct trial *trial)
{
	slot_string(lane, trial, 0, "T%08x", trial->seq);
	trial->call.args[1] = AT_FDCWD;
	slot_same(trial, 2, 0);
	return true;
}

static void probe_twice(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	char to[64] = "";
	long len = readlink(slot_name(trial, 2, 'T'), to, sizeof(to) - 1);

	(void)lane;
	(void)ret;
	if (len < 0)
		len = readlink(slot_name(trial, 2, 'M'), to, sizeof(to) - 1);
	letters[0] = len < 0 ? '0' : slot_match(&trial->slots[0], to, len + 1);
	letters[2] = which_exists(trial, 2, 0);
}

const struct op more_ops[] = {
#ifdef SYS_setxattrat
	{ "xattr", "setxattrat", SYS_setxattrat, prepare_setxattrat, NULL, probe_setxattrat },
#endif
	{ "access", "chroot", SYS_chroot, prepare_chroot, NULL, probe_chroot },
	{ "access", "name_to_handle_at", SYS_name_to_handle_at, prepare_handle, NULL,
	  probe_handle },
	{ "symlink", "symlinkat-same", SYS_symlinkat, prepare_twice, NULL, probe_twice },
	{ NULL },
};
