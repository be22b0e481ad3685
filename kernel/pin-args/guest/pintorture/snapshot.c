// SPDX-License-Identifier: GPL-2.0-or-later
/* Snapshots as V takes them, and what it sees in them. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "supervisor.h"

/* Whether an error only says that the notification, or the task, is gone; or that memory is. */
bool is_gone(void)
{
	return errno == ENOENT || errno == ESRCH;
}

bool is_pressure(void)
{
	return (errno == ENOMEM || errno == EFAULT) && under_pressure(trial);
}

int go_on(uint64_t id, uint32_t flags)
{
	return again_if_interrupted(pr_continue(lane->listener, id, flags));
}

int deny(uint64_t id, int error)
{
	return again_if_interrupted(pr_deny(lane->listener, id, error));
}

int send_it(struct seccomp_notif_resp *resp)
{
	return again_if_interrupted(ioctl(lane->listener, SECCOMP_IOCTL_NOTIF_SEND, resp));
}

int take_into(struct seccomp_notif_pin_args *pin, uint64_t id, void *buf, uint32_t size)
{
	return again_if_interrupted(pr_pin(lane->listener, pin, id, buf, size));
}

/* Do something that has to fail like that. */
enum step must_fail(const char *statement, const char *what, int ret, int expected)
{
	if (ret == 0) {
		violation(lane, statement, "%s was accepted", what);
		return GONE;
	}
	if (errno == expected)
		return GO_ON;
	if (is_gone())
		return GONE;
	if (!is_pressure())
		violation(lane, statement, "%s gave errno %d, not %d", what, errno, expected);
	return GO_ON;
}

void describe(struct seccomp_notif_pin_args *pin)
{
	memset(pin, 0, sizeof(*pin));
	for (int i = 0; i < SLOTS; i++) {
		const struct slot *slot = &trial->slots[i];

		if (!(trial->pinned & 1u << i))
			continue;
		/* Exactly what is needed, or room for more where there may be. */
		pr_pin_add(pin, i, slot->kind, slot->kind == SECCOMP_PIN_FIXED ? slot->size :
			   slot->size + (trial->seq % 3) * 40);
	}
}

int take(struct seccomp_notif_pin_args *pin, uint64_t id, unsigned char *buf)
{
	return take_into(pin, id, buf, PIN_ROOM);
}
/* Whether it is what a string is that the second thread has made shorter. */
static bool is_cut(const struct slot *slot, const unsigned char *bytes, uint32_t size)
{
	return trial->meanwhile == N_CUT && slot->kind == SECCOMP_PIN_CSTRING &&
	       slot->lettered && strnlen((const char *)bytes, size) + 1 == size &&
	       size == slot->letter + BEHIND_LETTER + 1 &&
	       !memcmp(bytes, slot->image, slot->letter);
}

/* Fill in the letters that V is shown. */
enum step see(const struct seccomp_notif_pin_args *pin, const unsigned char *buf)
{
	uint64_t off = 0;

	for (uint32_t i = 0; i < pin->nr_args; i++) {
		const struct seccomp_pin_arg *arg = &pin->args[i];
		const struct slot *slot = &trial->slots[arg->arg_idx];
		uint32_t size = arg->actual_size;
		char letter = '?';

		/* More than the call reads may have been asked for. */
		if (arg->kind == SECCOMP_PIN_FIXED && size == arg->max_bytes && size > slot->size)
			size = slot->size;
		if (arg->buf_offset != off || arg->_reserved || arg->_reserved2 || arg->_reserved3)
			violation(lane, "C14", "descriptor %u has offset %llu", i,
				  (unsigned long long)arg->buf_offset);
		else if (!arg->truncated)
			letter = slot_match(slot, buf + off, size);
		if (letter == '?' && is_cut(slot, buf + off, size))
			return REFUSE;
		off += arg->actual_size;
		if (letter == '?') {
			/* Zeroes, or half of each, where the mapping is being changed. */
			if (lane->spoiled || (trial->free && is_mapping(trial->mutator)))
				return REFUSE;
			violation(lane, "C14", "slot %u of the snapshot is not what T wrote "
				  "(%u bytes of %u, truncated %u)", arg->arg_idx,
				  arg->actual_size, slot->size, arg->truncated);
			return REFUSE;
		}
		lane->outcome.letters[arg->arg_idx] = letter;
	}
	for (int i = 0; i < 16 && off + i < PIN_ROOM; i++) {
		if (buf[off + i] != FILLER) {
			violation(lane, "C14", "a byte behind the snapshot was written");
			break;
		}
	}
	return GO_ON;
}

void fill_buffer(unsigned char *buf)
{
	uint32_t size = 64;

	for (int i = 0; i < SLOTS; i++) {
		if (trial->mask & 1u << i)
			size += trial->slots[i].size + 80;
	}
	memset(buf, FILLER, size < PIN_ROOM ? size : PIN_ROOM);
}

/* What lane->pin is worth, after that error or none. */
enum step taken(int error)
{
	errno = error;
	if (!error)
		return see(&lane->pin, lane->pin_buf);
	if (is_gone())
		return GONE;
	if (error == EFAULT && (lane->spoiled || (trial->free && is_mapping(trial->mutator))))
		return REFUSE;
	/* Nobody asked for one before: it is that of another notification. */
	if (error == EEXIST || error == EBUSY)
		violation(lane, "C4", "a fresh notification has a snapshot: errno %d", error);
	else if (!is_pressure())
		violation(lane, "C6", "no snapshot: errno %d", error);
	return REFUSE;
}

enum step take_snapshot(uint64_t id)
{
	fill_buffer(lane->pin_buf);
	describe(&lane->pin);
	return taken(take(&lane->pin, id, lane->pin_buf) ? errno : 0);
}

/* What a supervisor without PIN_ARGS does. */
enum step look(pid_t pid)
{
	static unsigned char bytes[LETTER_ROOM + MAX_DATA];

	for (int i = 0; i < SLOTS; i++) {
		const struct slot *slot = &trial->slots[i];
		struct iovec here = { bytes, slot->size };
		struct iovec there = { (void *)(trial->area + slot->start), slot->size };
		char letter;

		if (!(trial->mask & 1u << i))
			continue;
		/* Of an array, its first string is enough to see. */
		if (slot->kind == SECCOMP_PIN_CSTRING_ARRAY)
			here.iov_len = there.iov_len = 1;
		if (!trial->private)
			memcpy(bytes, there.iov_base, here.iov_len);
		else if (process_vm_readv(pid, &here, 1, &there, 1, 0) < 0)
			return errno == ESRCH ? GONE : REFUSE;
		letter = slot->kind == SECCOMP_PIN_CSTRING_ARRAY ? bytes[0] :
			 slot_match(slot, bytes, slot->size);
		if (letter != 'T' && letter != 'M')
			return REFUSE;
		lane->outcome.letters[i] = letter;
	}
	return GO_ON;
}
