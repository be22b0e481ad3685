// SPDX-License-Identifier: GPL-2.0-or-later
/* What is there before the lanes start and has to be there, and no more, after their end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "torture.h"

void leaks_begin(void)
{
}

int leaks_end(void)
{
	return 0;
}
