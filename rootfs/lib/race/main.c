// SPDX-License-Identifier: GPL-2.0-or-later
/* The program of a race in a folder of its own. */
#include <stdio.h>

#include "race.h"

int main(int argc, char **argv)
{
	int status = race_main(&race_program, argc, argv);

	if (status == 2)
		printf("usage: race [naive|spin|timer|gate|control SEED ROUNDS [SECONDS [SKIP]]]\n");
	return status;
}
