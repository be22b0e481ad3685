// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The result channel: a raw tty that carries records
 *
 *   @PR1 <type> <seq> <len> <crc32>\n<len bytes>\n
 *
 * A reader sees from length and checksum whether a record is whole, and from
 * the sequence number whether one is missing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "init.h"

static int channel = -1;
static unsigned long seq;

/* The CRC of zlib and Ethernet: reflected, polynomial 0xEDB88320. */
static uint32_t crc32(const unsigned char *data, size_t len)
{
	uint32_t crc = 0xffffffff;

	while (len--) {
		crc ^= *data++;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

bool channel_open(const char *tty)
{
	struct termios raw;
	char path[64];

	snprintf(path, sizeof(path), "/dev/%s", tty);
	channel = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (channel < 0) {
		say("cannot open the channel %s: %s", path, strerror(errno));
		return false;
	}
	if (tcgetattr(channel, &raw)) {
		/* An 8250 port without hardware opens, and fails here with EIO. */
		say("the channel %s is no serial port: %s", path, strerror(errno));
		close(channel);
		channel = -1;
		return false;
	}
	cfmakeraw(&raw);
	raw.c_cflag |= CLOCAL;
	raw.c_cflag &= ~CRTSCTS;
	cfsetspeed(&raw, B115200);
	if (tcsetattr(channel, TCSANOW, &raw)) {
		say("cannot make the channel %s raw: %s", path, strerror(errno));
		close(channel);
		channel = -1;
		return false;
	}
	return true;
}

static void write_all(const char *data, size_t len)
{
	while (len) {
		ssize_t done = write(channel, data, len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			say("the channel failed: %s", strerror(errno));
			close(channel);
			channel = -1;
			return;
		}
		data += done;
		len -= done;
	}
}

/* Send one record, or several when the payload is longer than one may be. */
void channel_send(const char *type, const void *payload, size_t len)
{
	const char *data = payload;

	do {
		size_t part = len < RECORD_MAX ? len : RECORD_MAX;
		char record[RECORD_MAX + 80];
		int head;

		if (channel < 0)
			return;
		head = snprintf(record, sizeof(record), "@PR1 %s %lu %zu %08x\n", type,
				seq++, part, crc32((const unsigned char *)data, part));
		memcpy(record + head, data, part);
		record[head + part] = '\n';
		write_all(record, head + part + 1);
		data += part;
		len -= part;
	} while (len);
}

void channel_sendf(const char *type, const char *fmt, ...)
{
	char text[RECORD_MAX];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len >= (int)sizeof(text))
		len = sizeof(text) - 1;
	if (len > 0)
		channel_send(type, text, len);
}

/* Wait until the last byte has left the port: reboot() would drop it. */
void channel_drain(void)
{
	if (channel >= 0)
		tcdrain(channel);
}
