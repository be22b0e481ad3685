// SPDX-License-Identifier: GPL-2.0-or-later
/* Walks as text, "path A.recv B.pin B.cp run", and the other way round. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

static const char *const names[NR_OPS] = {
	[OP_RECV] = "recv", [OP_RECV_RO] = "recv-ro", [OP_RECV_NONE] = "recv-none",
	[OP_RECV_LATE] = "recv-late",
	[OP_PIN] = "pin", [OP_PIN_SHORT] = "pin-short", [OP_PIN_BAD] = "pin-bad",
	[OP_PIN_SMALL] = "pin-small", [OP_PIN_RO_BUF] = "pin-ro-buf",
	[OP_PIN_NO_BUF] = "pin-no-buf", [OP_PIN_RO_REQ] = "pin-ro-req",
	[OP_PIN_NO_REQ] = "pin-no-req", [OP_PIN_LATE_BUF] = "pin-late-buf",
	[OP_PIN_LATE_REQ] = "pin-late-req",
	[OP_CP] = "cp", [OP_DENY] = "deny", [OP_SPOOF] = "spoof", [OP_PLAIN] = "plain",
	[OP_CP_ALONE] = "cp-alone", [OP_CP_ERROR] = "cp-error", [OP_UNKNOWN] = "unknown-flag",
	[OP_SEND_NONE] = "send-none", [OP_CP_OLD] = "cp-old", [OP_CP_LATE] = "cp-late",
	[OP_DENY_LATE] = "deny-late",
	[OP_ADDFD] = "addfd", [OP_ADDFD_SEND] = "addfd-send", [OP_ADDFD_BAD] = "addfd-bad",
	[OP_ADDFD_NONE] = "addfd-none",
	[OP_VALID] = "valid", [OP_VALID_NONE] = "valid-none",
	[OP_FINISH] = "finish", [OP_FAIL] = "fail", [OP_INTR] = "intr",
	[OP_SIG_RESTART] = "sig-restart", [OP_SIG_INTR] = "sig-intr", [OP_SIG_STOP] = "sig-stop",
	[OP_SIG_KILL] = "sig-kill", [OP_RUN] = "run",
	[OP_CLOSE] = "close", [OP_CLOSE_C] = "close", [OP_KILL_C] = "die", [OP_EXEC_C] = "exec",
};

bool op_has_actor(enum op op)
{
	return op < OP_SIG_RESTART || op >= OP_CLOSE_C;
}

const char *op_name(enum op op)
{
	return names[op];
}

void walk_text(const struct walk *walk, char *text, size_t size)
{
	size_t len = snprintf(text, size, "%s%s", walk->data ? "data" : "path",
			      walk->killable ? " killable" : "");

	for (int i = 0; i < walk->nr && len < size; i++) {
		struct event ev = walk->events[i];

		if (op_has_actor(ev.op))
			len += snprintf(text + len, size - len, " %c.%s", 'A' + ev.who,
					names[ev.op]);
		else
			len += snprintf(text + len, size - len, " %s", names[ev.op]);
	}
}

static bool parse_event(const char *word, struct event *ev)
{
	bool actor = word[0] >= 'A' && word[0] <= 'C' && word[1] == '.';

	ev->who = actor ? word[0] - 'A' : A;
	for (int op = 0; op < NR_OPS; op++) {
		if (op_has_actor(op) != actor || strcmp(names[op], word + (actor ? 2 : 0)))
			continue;
		ev->op = op;
		return true;
	}
	return false;
}

bool walk_parse(const char *text, struct walk *walk)
{
	char *copy = strdup(text), *rest = NULL;
	bool good = copy;

	memset(walk, 0, sizeof(*walk));
	for (char *word = good ? strtok_r(copy, " ", &rest) : NULL; word && good;
	     word = strtok_r(NULL, " ", &rest)) {
		if (!strcmp(word, "data"))
			walk->data = true;
		else if (!strcmp(word, "killable"))
			walk->killable = true;
		else if (strcmp(word, "path"))
			good = walk->nr < MAX_EVENTS &&
			       parse_event(word, &walk->events[walk->nr++]);
	}
	free(copy);
	return good;
}

/* The states that the model has, for people. */
void state_text(const struct states *set, char *text, size_t size)
{
	static const char *const notifs[] = { "none", "new", "copying", "sent", "answered" };
	static const char *const answers[] = {
		"", " ENOSYS", " deny", " spoof", " plain", " pinned", " fd",
	};
	static const char *const pins[] = { "", " short pin", " whole pin" };
	size_t len = 0;

	text[0] = '\0';
	for (int i = 0; i < set->nr && len < size; i++) {
		const struct state *s = &set->s[i];

		len += snprintf(text + len, size - len, "%s%s%s%s", i ? ", or " : "",
				s->over ? "over" : notifs[s->n], answers[s->answer], pins[s->pin]);
	}
}
