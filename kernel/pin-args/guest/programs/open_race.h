/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What race.c and seek.c have in common: a path that one store turns from the
 * good file's to the evil one's, a tracee that opens it again and again, and a
 * supervisor that lets it when it saw the good one.
 */
#ifndef OPEN_RACE_H
#define OPEN_RACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pinrace.h"

enum outcome { KEPT = 'k', LOST = 'l', DENIED = 'd', BROKEN = 'b' };

struct target {
	char dirs[3 + 5];		/* "/tmp/" from the fourth byte on */
	_Atomic uint32_t word;		/* GOOD or EVIL: one store changes it */
	char end;
};

struct tally {
	unsigned int count[128];
	int first_lost;
};

__attribute__((noreturn)) void die(const char *what);

void seed_random(const char *text);
uint32_t random32(void);

/* The four bytes of a text. */
uint32_t word(const char *text);

/* Make the two files, and memory of this size that begins with the target. */
void *make_target(size_t size);

/* Open it once, in the tracee. */
enum outcome open_target(struct target *target);

/*
 * Fork the tracee: `prepare` is what it does first, `open_once` what it does
 * for each round. Its listener, and where its outcomes come from.
 */
void start(void (*prepare)(void), enum outcome (*open_once)(void), int *listener, int *answers);

/* The supervisor's part. */
void receive(int listener, struct seccomp_notif *req);
bool looks_good(int listener, const struct seccomp_notif *req, bool pinned);
void answer(int listener, const struct seccomp_notif *req, bool good, bool pinned);
enum outcome outcome_of(int answers);

void count(struct tally *tally, unsigned int round, enum outcome what);

#endif
