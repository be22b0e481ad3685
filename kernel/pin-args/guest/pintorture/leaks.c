// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is there before the lanes start has to be there, and not much more,
 * after their end.  The limits leave room for what counters lag behind by
 * (about 64 pages and 32 files a CPU), and for caches; a page or a file that
 * stays with each trial is beyond them within seconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

#define GROUP		"/sys/fs/cgroup/pt"
#define KERNEL		"\nkernel "	/* in memory.stat */
#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
#define STIR_BYTES	(8u << 20)
#define MOST_GROUP	(4l << 20)	/* bytes still charged to the lanes' group */
#define MOST_KERNEL	(16l << 10)	/* bytes of these that are the kernel's own; one page stays */
#define MOST_SLAB	(12l << 10)	/* KiB that the whole kernel has more */
#define MOST_FILES	512
#define WAIT_MS		15000		/* for what is freed after a grace period, or by a worker */

static long files, slab;

static bool slurp(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t got;

	if (fd < 0)
		return false;
	while (used < size - 1 && (got = read(fd, text + used, size - 1 - used)) > 0)
		used += got;
	text[used] = '\0';
	close(fd);
	return true;
}

/* The number behind a word in a file; -1 when there is none. */
static long number_of(const char *path, const char *word)
{
	static char text[65536];
	const char *at = slurp(path, text, sizeof(text)) ? strstr(text, word) : NULL;

	return at ? atol(at + strlen(word)) : -1;
}

static long unreclaimable(void)
{
	return number_of("/proc/meminfo", "SUnreclaim:") +
	       number_of("/proc/meminfo", "KernelStack:") +
	       number_of("/proc/meminfo", "PageTables:");
}

void leaks_begin(void)
{
	write_text("/proc/sys/vm/drop_caches", "3");
	files = number_of("/proc/sys/fs/file-nr", "");
	slab = unreclaimable();
}

/*
 * Each CPU keeps up to 64 KiB that the group was charged with, for the next
 * one who allocates (NR_OBJ_STOCK and U16_MAX in mm/memcontrol.c).  A limit
 * that is exceeded makes them all give it back; nobody is left in the group
 * who would have to wait for that.
 */
static void drain_stocks(void)
{
	write_text(GROUP "/memory.high", "0");
	write_text(GROUP "/memory.high", "max");
}

/*
 * What memory.stat says lags behind by up to 64 pages a CPU; it is made good
 * every two seconds, by a timer that wakes no idle CPU, or when there was more
 * than that (memcg_vmstats_needs_flush() in mm/memcontrol.c).
 */
static void stir_stats(void)
{
	pid_t pid = fork();

	if (pid < 0)
		return;
	if (!pid) {
		void *bytes;

		chaos_join();
		bytes = mmap(NULL, STIR_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		_exit(bytes == MAP_FAILED);
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static bool settled(void)
{
	return number_of(GROUP "/memory.current", "") <= MOST_GROUP &&
	       number_of(GROUP "/memory.stat", KERNEL) <= MOST_KERNEL &&
	       unreclaimable() - slab <= MOST_SLAB &&
	       number_of("/proc/sys/fs/file-nr", "") - files <= MOST_FILES;
}

static int look_for_unreferenced(void)
{
	static char text[4096];
	char *line;

	if (access(KMEMLEAK, W_OK))
		return 0;
	/* Young objects are not reported, and the first scan only marks. */
	write_text(KMEMLEAK, "scan");
	sleep(6);
	write_text(KMEMLEAK, "scan");
	if (!slurp(KMEMLEAK, text, sizeof(text)) || !strstr(text, "unreferenced object"))
		return 0;
	printf("%s\n", text);
	line = strtok(text, "\n");
	rec("torture leak text=kmemleak: %s", line);
	return 1;
}

/* What of the kernel's the group is charged with, kind by kind, in bytes. */
static void kinds_of(char *text, size_t size)
{
	static const char *const kinds[] = {
		"kernel_stack", "pagetables", "percpu", "vmalloc", "slab_reclaimable",
		"slab_unreclaimable",
	};
	size_t used = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && used < size; i++) {
		char word[32];

		snprintf(word, sizeof(word), "\n%s ", kinds[i]);
		used += snprintf(text + used, size - used, "%s %s %ld", i ? "," : "", kinds[i],
				 number_of(GROUP "/memory.stat", word));
	}
}

/* Say what is still there; returns how many kinds of it. */
int leaks_end(void)
{
	long group, kernel, more_slab, more_files;
	char procs[256] = "", kinds[256];
	int leaks = 0, ms = 0;

	write_text("/proc/sys/vm/drop_caches", "3");
	do {
		drain_stocks();
		stir_stats();
		usleep(100000);
		ms += 100;
	} while (ms < WAIT_MS && !settled());
	group = number_of(GROUP "/memory.current", "");
	more_slab = unreclaimable() - slab;
	more_files = number_of("/proc/sys/fs/file-nr", "") - files;
	kernel = number_of(GROUP "/memory.stat", KERNEL);
	rec("torture left group=%ld kernel=%ld slab_kib=%ld files=%ld after_ms=%d", group, kernel,
	    more_slab, more_files, ms);
	if (slurp(GROUP "/cgroup.procs", procs, sizeof(procs)) && procs[0]) {
		rec("torture leak text=processes are left: %s", strtok(procs, "\n"));
		leaks++;
	}
	if (group > MOST_GROUP) {
		rec("torture leak text=%ld bytes are charged to processes that are gone", group);
		leaks++;
	}
	if (kernel > MOST_KERNEL) {
		kinds_of(kinds, sizeof(kinds));
		rec("torture leak text=%ld bytes of the kernel's are charged to processes "
		    "that are gone:%s", kernel, kinds);
		leaks++;
	}
	if (more_slab > MOST_SLAB) {
		rec("torture leak text=the kernel has %ld KiB more", more_slab);
		leaks++;
	}
	if (more_files > MOST_FILES) {
		rec("torture leak text=%ld files more are open", more_files);
		leaks++;
	}
	return leaks + look_for_unreferenced();
}
