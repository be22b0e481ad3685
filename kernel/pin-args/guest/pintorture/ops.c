// SPDX-License-Identifier: GPL-2.0-or-later
/* The families and their operations; each family is as likely as any other. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "torture.h"

static const struct op *const tables[] = {
	path_ops, change_ops, data_ops, socket_ops, mount_ops, exec_ops, more_ops,
};

const char *family_names[MAX_FAMILIES];
int nr_families;
static const struct op *by_family[MAX_FAMILIES][32];
static int nr_ops[MAX_FAMILIES];

void ops_init(void)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (const struct op *op = tables[i]; op->family; op++) {
			int f = 0;

			while (f < nr_families && strcmp(family_names[f], op->family))
				f++;
			if (f == nr_families)
				family_names[nr_families++] = op->family;
			by_family[f][nr_ops[f]++] = op;
		}
	}
}

/* In T, in its own folder. */
void ops_lane_setup(struct lane *lane)
{
	mount_setup();	/* first: what is opened before belongs to another namespace */
	path_setup();
	change_setup();
	data_setup();
	socket_setup(lane);
	exec_setup();
	more_setup();
}

const struct op *ops_pick(struct lane *lane, int *family)
{
	do {
		*family = random_below(lane, nr_families);
		/* An exec takes as long as ten others. */
		if (!strcmp(family_names[*family], "execve") && nr_families > 1 &&
		    torture->families[*family] && !one_in(lane, 3))
			*family = random_below(lane, nr_families);
	} while (!torture->families[*family]);
	return by_family[*family][random_below(lane, nr_ops[*family])];
}

/* Which of the two names is there; both are removed. */
char which_exists(const struct trial *trial, int slot, int flags)
{
	bool t = !unlinkat(AT_FDCWD, slot_name(trial, slot, 'T'), flags);
	bool m = !unlinkat(AT_FDCWD, slot_name(trial, slot, 'M'), flags);

	return t && m ? '?' : t ? 'T' : m ? 'M' : '0';
}
