// SPDX-License-Identifier: GPL-2.0-or-later
/* mount() and umount2(), in a mount namespace of the lane's own. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "torture.h"

static int mounts;

void mount_setup(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mkdir("Tmount", 0700) || mkdir("Mmount", 0700))
		bail("cannot prepare mounts");
	mounts = open("/proc/self/mounts", O_RDONLY | O_CLOEXEC);
	if (mounts < 0)
		bail("/proc/self/mounts");
}

static bool prepare_mount(struct lane *lane, struct trial *trial)
{
	slot_string(lane, trial, 0, "T%08x", trial->seq);
	slot_string(lane, trial, 1, "Tmount");
	slot_fixed_string(lane, trial, 2, "tmpfs");
	trial->call.args[3] = 0;
	trial->call.args[4] = 0;
	return true;
}

static void probe_mount(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	static char text[8192];
	long got = pread(mounts, text, sizeof(text) - 1, 0);

	(void)lane;
	(void)ret;
	text[got > 0 ? got : 0] = '\0';
	letters[0] = strstr(text, slot_name(trial, 0, 'T')) ? 'T' :
		     strstr(text, slot_name(trial, 0, 'M')) ? 'M' : '0';
	letters[1] = '0';
	letters[2] = letters[0] == '0' ? '0' : 'T';
	for (int i = 0; i < 2; i++) {
		if (!umount2(i ? "Mmount" : "Tmount", 0))
			letters[1] = letters[1] == '0' ? "TM"[i] : '?';
	}
	if (letters[1] != '0' && letters[0] == '0')
		letters[0] = '?';
}

static bool prepare_umount(struct lane *lane, struct trial *trial)
{
	if (mount("none", "Tmount", "tmpfs", 0, NULL))
		return false;
	if (mount("none", "Mmount", "tmpfs", 0, NULL)) {
		umount2("Tmount", 0);
		return false;
	}
	slot_string(lane, trial, 0, "Tmount");
	trial->call.args[1] = 0;
	return true;
}

static void probe_umount(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	bool t = !umount2("Tmount", 0), m = !umount2("Mmount", 0);

	(void)lane;
	(void)ret;
	(void)trial;
	letters[0] = t && m ? '0' : m ? 'T' : t ? 'M' : '?';
}

const struct op mount_ops[] = {
	{ "mount", "mount", SYS_mount, prepare_mount, NULL, probe_mount },
	{ "mount", "umount2", SYS_umount2, prepare_umount, NULL, probe_umount },
	{ NULL },
};
