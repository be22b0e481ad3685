/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One system call instruction that a filter traps, known by its address, and
 * one like it that is not.  Both keep the registers as they are after it.
 */
#ifndef TRAP_H
#define TRAP_H

#include <stdbool.h>

/* Registers of one system call, in the order that trap.c knows. */
struct call {
	long nr;
	long args[6];
	long ret;
	long after[6];
};

void trap_call(struct call *call);
void plain_call(struct call *call);

/*
 * Trap it for the calling thread; returns the listener, or -1 with errno set.
 * flags: more SECCOMP_FILTER_FLAG_*.  nested: between two filters that allow all.
 */
int trap_install(bool nested, unsigned int flags);

/* Whether the call left its argument registers alone. */
bool trap_kept_registers(const struct call *call);

#endif
