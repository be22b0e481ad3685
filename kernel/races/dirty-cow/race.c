// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CVE-2016-5195, mended by 19be0eaffa3a ("mm: remove gup_flags FOLL_WRITE games from
 * __get_user_pages()"). Side a writes through /proc/self/mem to a private mapping of a file
 * that it may only read, side b throws the copy away. The file keeps its bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "race.h"

#define FILE_NAME	"/tmp/read-only"
#define SIZE		4096

static int file, mem;
static char *map;

static void setup(void)
{
	int fd = open(FILE_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	file = open(FILE_NAME, O_RDONLY | O_CLOEXEC);
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, SIZE) || file < 0 || mem < 0)
		race_die(FILE_NAME);
	close(fd);
	map = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, file, 0);
	if (map == MAP_FAILED)
		race_die("mmap");
}

static void write_byte(const char *path, char byte)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, &byte, 1, 0) != 1)
		race_die(path);
	close(fd);
}

static void prepare(void)
{
	write_byte(FILE_NAME, 'g');
	/* Under a debugger all memory is locked, and locked memory is not thrown away. */
	if (munlock(map, SIZE) || madvise(map, SIZE, MADV_DONTNEED))
		race_die("madvise");
	if (*(volatile char *)map != 'g')	/* mapped, and of the file */
		race_die("the mapping is not the file's");
}

static void a(void)
{
	race_said.a = pwrite(mem, "e", 1, (off_t)(unsigned long)map) == 1 ? 0 : errno;
}

static void b(void)
{
	race_said.b = madvise(map, SIZE, MADV_DONTNEED) ? errno : 0;
}

static const char *check(void)
{
	char byte;

	if (pread(file, &byte, 1, 0) != 1)
		race_die(FILE_NAME);
	return byte == 'g' ? NULL : "the file was written to";
}

static void control(void)
{
	write_byte(FILE_NAME, 'e');
}

RACE(.setup = setup, .prepare = prepare, .a = a, .b = b, .check = check, .control = control);
