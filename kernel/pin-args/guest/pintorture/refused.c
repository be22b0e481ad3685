// SPDX-License-Identifier: GPL-2.0-or-later
/* What V tries before its snapshot, and the kernel has to refuse; the notification stays. */
#include <errno.h>

#include "supervisor.h"

static enum step truncated(uint64_t id)
{
	struct seccomp_notif_pin_args pin;

	/* What is zero for a moment is short enough, and a whole snapshot is not replaced. */
	if (lane->spoiled || (trial->free && is_mapping(trial->mutator)))
		return GO_ON;
	describe(&pin);
	for (uint32_t i = 0; i < pin.nr_args; i++) {
		uint32_t size = trial->slots[pin.args[i].arg_idx].size;

		pin.args[i].max_bytes = size > 1 ? size - 1 : 1;
	}
	if (take(&pin, id, lane->pin_buf)) {
		if (is_gone())
			return GONE;
		if (!is_pressure())
			violation(lane, "C8", "a short snapshot gave errno %d", errno);
		return GO_ON;
	}
	for (uint32_t i = 0; i < pin.nr_args; i++) {
		if (!pin.args[i].truncated && trial->slots[pin.args[i].arg_idx].size > 1)
			violation(lane, "C8", "a short snapshot of slot %u is not truncated",
				  pin.args[i].arg_idx);
	}
	return must_fail("C8", "a reply with a truncated snapshot",
			 go_on(id, PR_PINNED), EMSGSIZE);
}

static enum step wrong(uint64_t id)
{
	struct seccomp_notif_pin_args pin;
	int expected = EOPNOTSUPP, size = PIN_ROOM;
	const char *statement = "C6";

	describe(&pin);
	switch (trial->before) {
	case B_WRONG_KIND:
		pin.args[0].kind = (pin.args[0].kind + 1 + trial->seq % 2) % 3;
		break;
	case B_WRONG_SLOT:
		if (trial->out_slot < 0)
			return GO_ON;
		statement = "C7";
		pin.nr_args = 0;
		pr_pin_add(&pin, trial->out_slot, trial->seq % 3, 16);
		break;
	case B_BAD_INPUT:
		statement = "C2";
		expected = EINVAL;
		if (trial->seq % 5 == 0)
			pin.args[0].arg_idx = 6;
		else if (trial->seq % 5 == 1)
			pin.args[0]._reserved = 1;
		else if (trial->seq % 5 == 2)
			pin.args[0].max_bytes = 0;
		else if (trial->seq % 5 == 3)
			pin.nr_args = 7;
		else
			pin.args[0].max_bytes = (1 << 20) + 1, expected = E2BIG;
		break;
	case B_UNKNOWN_ID:
		statement = "C2";
		expected = ENOENT;
		id ^= 0x5555ull << 40;
		break;
	default:
		statement = "C2";
		expected = ENOSPC;
		size = 1;
		/* Memory that went away is noticed before the buffer's size. */
		if (lane->spoiled || (trial->free && is_mapping(trial->mutator)))
			return GO_ON;
		if (trial->mask == 0 || trial->slots[pin.args[0].arg_idx].size < 2)
			return GO_ON;
	}
	return must_fail(statement, "a wrong request",
			 take_into(&pin, id, lane->pin_buf, size), expected);
}

static enum step bad_flags(uint64_t id)
{
	struct seccomp_notif_resp resp = { .id = id };

	resp.flags = trial->seq % 2 ? SECCOMP_USER_NOTIF_FLAG_CONTINUE_PINNED : PR_PINNED;
	resp.error = trial->seq % 2 ? 0 : -EPERM;
	return must_fail("C3", "a reply with bad flags",
			 send_it(&resp), EINVAL);
}

enum step do_before(uint64_t id)
{
	switch (trial->before) {
	case B_NOTHING:
		return GO_ON;
	case B_NO_PIN:
		if (!go_on(id, PR_PINNED)) {
			violation(lane, "C3", "a pinned reply without a snapshot was accepted");
			return GONE;
		}
		return errno == ENOENT ? GO_ON :
		       must_fail("C3", "a pinned reply without a snapshot", -1, ENOENT);
	case B_TRUNCATED:
		return truncated(id);
	case B_BAD_FLAGS:
		return bad_flags(id);
	default:
		return wrong(id);
	}
}
