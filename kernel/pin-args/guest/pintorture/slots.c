// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The arguments of a trial: what they are, where they lie, and which letter
 * some bytes have.
 *
 * In each slot's part of the area the letter lies at lane->letter_off, so that
 * a mutator need not know what the trial is to change it.  Tables of pointers,
 * and the strings that no mutator changes, lie in the last KiB.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "torture.h"

#define FIXED_STRINGS	(SLOT_BYTES - 512)	/* in a slot's part */
#define TABLE		(SLOT_BYTES - 1024)
#define LONG_DATA	24u	/* bytes behind the letter */

static struct slot *begin(struct lane *lane, struct trial *trial, int number, uint8_t kind)
{
	struct slot *slot = &trial->slots[number];

	slot->kind = kind;
	slot->lettered = true;
	slot->same = false;
	slot->letter = 0;
	slot->nr_strings = 0;
	slot->nr_patches = 0;
	slot->start = number * SLOT_BYTES + lane->letter_off;
	trial->mask |= 1u << number;
	return slot;
}

static void add_patch(struct slot *slot, uint32_t off, const void *bytes, uint32_t len)
{
	struct patch *patch = &slot->patches[slot->nr_patches++];

	patch->off = off;
	patch->len = len;
	memcpy(patch->bytes, bytes, len);
}

static void point(struct trial *trial, int number, uint32_t off)
{
	trial->call.args[number] = trial->area + off;
}

/*
 * Bytes with the letter at that index.  Of long ones a staged mutation changes
 * the end too.
 */
void slot_bytes(struct lane *lane, struct trial *trial, int number, const void *bytes,
		uint32_t size, uint32_t letter)
{
	struct slot *slot = begin(lane, trial, number, SECCOMP_PIN_FIXED);

	memcpy(slot->image, bytes, size);
	slot->image[letter] = 'T';
	slot->letter = letter;
	slot->size = size;
	slot->start -= letter;
	add_patch(slot, slot->start + letter, "M", 1);
	if (size - letter >= LONG_DATA)
		add_patch(slot, slot->start + size - 8, "MMMMMMMM", 8);
	point(trial, number, slot->start);
}

void slot_string(struct lane *lane, struct trial *trial, int number, const char *fmt, ...)
{
	struct slot *slot = begin(lane, trial, number, SECCOMP_PIN_CSTRING);
	va_list args;

	va_start(args, fmt);
	slot->size = vsnprintf((char *)slot->image, 256, fmt, args) + 1;
	va_end(args);
	slot->letter = strcspn((char *)slot->image, "T");
	slot->start -= slot->letter;
	add_patch(slot, slot->start + slot->letter, "M", 1);
	point(trial, number, slot->start);
}

/* A string that no mutator changes, and that is pinned all the same. */
void slot_fixed_string(struct lane *lane, struct trial *trial, int number, const char *text)
{
	struct slot *slot = begin(lane, trial, number, SECCOMP_PIN_CSTRING);

	slot->lettered = false;
	slot->size = strlen(text) + 1;
	memcpy(slot->image, text, slot->size);
	slot->start = number * SLOT_BYTES + FIXED_STRINGS;
	point(trial, number, slot->start);
}

/* An array of strings; the one of that index begins with the letter. */
void slot_array(struct lane *lane, struct trial *trial, int number,
		const char *const *strings, uint32_t nr, uint32_t lettered)
{
	struct slot *slot = begin(lane, trial, number, SECCOMP_PIN_CSTRING_ARRAY);
	uint32_t base = number * SLOT_BYTES;
	uint32_t count[1 + MAX_STRINGS] = { nr }, used = (1 + nr) * sizeof(uint32_t);
	unsigned long again = trial->area + slot->start, end = base + TABLE + nr * sizeof(long);

	for (uint32_t i = 0; i < nr; i++) {
		uint32_t len = strlen(strings[i]) + 1;

		memcpy(slot->strings[i], strings[i], len);
		count[1 + i] = used;
		if (i == lettered)
			slot->letter = used;
		memcpy(slot->image + used, strings[i], len);
		used += len;
	}
	memcpy(slot->image, count, (1 + nr) * sizeof(uint32_t));
	slot->nr_strings = nr;
	slot->size = used;
	add_patch(slot, slot->start, "M", 1);
	/* And one string more. */
	add_patch(slot, end, &again, sizeof(again));
	point(trial, number, base + TABLE);
}

/* The same pointer as that of another slot, to the same bytes. */
void slot_same(struct trial *trial, int number, int as)
{
	struct slot *slot = &trial->slots[number];

	*slot = trial->slots[as];
	slot->same = true;
	trial->mask |= 1u << number;
	trial->call.args[number] = trial->call.args[as];
}

/* Where the letter of a slot lies. */
unsigned long slot_at(const struct trial *trial, int number)
{
	const struct slot *slot = &trial->slots[number];

	return trial->area + slot->start +
	       (slot->kind == SECCOMP_PIN_CSTRING_ARRAY ? 0 : slot->letter);
}

/* Write all that a slot consists of; `put` gets the offset in the area. */
static void each_part(const struct lane *lane, const struct trial *trial, int number,
		      void (*put)(const struct trial *, uint32_t, const void *, uint32_t))
{
	const struct slot *slot = &trial->slots[number];
	uint32_t base = number * SLOT_BYTES, at = base + FIXED_STRINGS;
	unsigned long table[MAX_STRINGS + 2] = { 0 };

	if (slot->kind != SECCOMP_PIN_CSTRING_ARRAY) {
		put(trial, slot->start, slot->image, slot->size);
		return;
	}
	for (uint32_t i = 0; i < slot->nr_strings; i++) {
		uint32_t len = strlen(slot->strings[i]) + 1;
		uint32_t offset;
		bool lettered;

		memcpy(&offset, slot->image + (1 + i) * sizeof(offset), sizeof(offset));
		lettered = offset == slot->letter;
		table[i] = trial->area + (lettered ? base + lane->letter_off : at);
		put(trial, table[i] - trial->area, slot->strings[i], len);
		if (!lettered)
			at += len;
	}
	put(trial, base + TABLE, table, (slot->nr_strings + 2) * sizeof(long));
}

static void put_in_area(const struct trial *trial, uint32_t off, const void *bytes, uint32_t len)
{
	memcpy((void *)(trial->area + off), bytes, len);
}

/* As T: write the arguments to where they are read from. */
void slots_write(struct lane *lane, struct trial *trial)
{
	for (int i = 0; i < SLOTS; i++) {
		if (trial->mask & 1u << i)
			each_part(lane, trial, i, put_in_area);
	}
}

/* The bytes of an argument with a letter. */
void slot_copy(const struct slot *slot, char letter, void *to)
{
	memcpy(to, slot->image, slot->size);
	if (slot->lettered)
		((char *)to)[slot->letter] = letter;
}

/* A name with a letter; of the last two asked for. */
const char *slot_name(const struct trial *trial, int number, char letter)
{
	static char names[2][256];
	static int next;
	char *name = names[next++ % 2];

	slot_copy(&trial->slots[number], letter, name);
	return name;
}

/* Which letter the bytes of an argument have; '?' when they are others. */
char slot_match(const struct slot *slot, const void *bytes, uint32_t size)
{
	const unsigned char *is = bytes;
	char letter;

	if (size != slot->size)
		return '?';
	if (!slot->lettered)
		return memcmp(is, slot->image, size) ? '?' : 'T';
	letter = is[slot->letter];
	if (letter != 'T' && letter != 'M')
		return '?';
	if (memcmp(is, slot->image, slot->letter) ||
	    memcmp(is + slot->letter + 1, slot->image + slot->letter + 1,
		   size - slot->letter - 1))
		return '?';
	return letter;
}
