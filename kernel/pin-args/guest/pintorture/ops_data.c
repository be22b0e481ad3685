// SPDX-License-Identifier: GPL-2.0-or-later
/* write() and pwrite64() to files of every kind: what can be read back tells. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "torture.h"

static int file, ends[2], pair[2], comm, event;

void data_setup(void)
{
	file = open("data", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	comm = open("/proc/self/comm", O_RDWR | O_CLOEXEC);
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (file < 0 || comm < 0 || event < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		bail("cannot open what is written to");
}

/* Data that no other trial has. */
static void fill(struct lane *lane, struct trial *trial, int slot, uint32_t size)
{
	unsigned char bytes[MAX_DATA];
	uint64_t word = mix(trial->seq, lane->number);

	for (uint32_t i = 0; i < size; i += sizeof(word)) {
		uint32_t len = size - i < sizeof(word) ? size - i : sizeof(word);

		memcpy(bytes + i, &word, len);
		word = word * 6364136223846793005ull + 1;
	}
	slot_bytes(lane, trial, slot, bytes, size, random_below(lane, size < 32 ? size : 32));
}

static uint32_t any_size(struct lane *lane, uint32_t most)
{
	return one_in(lane, 4) ? 1 + random_below(lane, most) : 8 + random_below(lane, 120);
}

static char classify(const struct trial *trial, const void *bytes, long size)
{
	return size <= 0 ? '0' : slot_match(&trial->slots[1], bytes, size);
}

/* What is there in a descriptor that gives what was written, to its end. */
static char drain(const struct trial *trial, int fd)
{
	static unsigned char bytes[MAX_DATA + 16];
	long used = 0, got;

	while (used < (long)sizeof(bytes) &&
	       (got = read(fd, bytes + used, sizeof(bytes) - used)) > 0)
		used += got;
	return classify(trial, bytes, used);
}

static bool prepare_file(struct lane *lane, struct trial *trial)
{
	uint32_t size = any_size(lane, MAX_DATA);

	if (ftruncate(file, 0) || lseek(file, 0, SEEK_SET))
		return false;
	trial->call.args[0] = file;
	fill(lane, trial, 1, size);
	trial->call.args[2] = size;
	return true;
}

static void probe_file(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	static unsigned char bytes[MAX_DATA + 16];

	(void)lane;
	letters[1] = classify(trial, bytes, pread(file, bytes, sizeof(bytes), 0));
	if (letters[1] != '0' && ret != (long)trial->slots[1].size)
		letters[1] = '?';
}

static bool prepare_pipe(struct lane *lane, struct trial *trial)
{
	uint32_t size = any_size(lane, MAX_DATA);

	trial->call.args[0] = ends[1];
	fill(lane, trial, 1, size);
	trial->call.args[2] = size;
	return true;
}

static void probe_pipe(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	(void)lane;
	(void)ret;
	letters[1] = drain(trial, ends[0]);
}

static bool prepare_socket(struct lane *lane, struct trial *trial)
{
	uint32_t size = any_size(lane, MAX_DATA);

	trial->call.args[0] = pair[1];
	fill(lane, trial, 1, size);
	trial->call.args[2] = size;
	return true;
}

static void probe_socket(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	(void)lane;
	(void)ret;
	letters[1] = drain(trial, pair[0]);
}

static bool prepare_comm(struct lane *lane, struct trial *trial)
{
	char name[16];

	snprintf(name, sizeof(name), "-%08x", trial->seq);
	if (lseek(comm, 0, SEEK_SET) || write(comm, "none", 4) != 4)
		return false;
	trial->call.args[0] = comm;
	slot_bytes(lane, trial, 1, name, 9, 0);
	trial->call.args[2] = 9;
	return true;
}

static void probe_comm(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	char name[32];
	long got = pread(comm, name, sizeof(name), 0);

	(void)lane;
	(void)ret;
	letters[1] = got == 5 && !memcmp(name, "none", 4) ? '0' :
		     got > 1 ? classify(trial, name, got - 1) : '?';
}

static bool prepare_event(struct lane *lane, struct trial *trial)
{
	uint64_t value = (uint64_t)trial->seq << 8;

	trial->call.args[0] = event;
	slot_bytes(lane, trial, 1, &value, sizeof(value), 0);
	trial->call.args[2] = sizeof(value);
	return true;
}

static void probe_event(struct lane *lane, struct trial *trial, long ret, char *letters)
{
	uint64_t value;

	(void)lane;
	(void)ret;
	letters[1] = classify(trial, &value, read(event, &value, sizeof(value)));
}

const struct op data_ops[] = {
	{ "write", "write", SYS_write, prepare_file, NULL, probe_file },
	{ "write", "pwrite64", SYS_pwrite64, prepare_file, NULL, probe_file },
	{ "pipe", "write", SYS_write, prepare_pipe, NULL, probe_pipe },
	{ "socket", "write", SYS_write, prepare_socket, NULL, probe_socket },
	{ "procfs", "write", SYS_write, prepare_comm, NULL, probe_comm },
	{ "eventfd", "write", SYS_write, prepare_event, NULL, probe_event },
	{ NULL },
};
