// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>

#include "pagesize.h"
#include "pagesize_system.h"

#define CGROUP		"/sys/fs/cgroup/"
#define ZRAM		"/sys/block/zram0/"

bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t done;

	if (fd < 0)
		return false;
	done = write(fd, text, strlen(text));
	close(fd);
	return done == (ssize_t)strlen(text);
}

bool put_number(const char *path, unsigned long number)
{
	char text[24];

	snprintf(text, sizeof(text), "%lu", number);
	return put(path, text);
}

unsigned long counter(const char *path, const char *name)
{
	unsigned long value;
	char line[128];
	FILE *f = fopen(path, "re");

	while (f && fscanf(f, "%127s %lu\n", line, &value) == 2) {
		if (!strcmp(line, name)) {
			fclose(f);
			return value;
		}
	}
	if (f)
		fclose(f);
	return 0;
}

unsigned long vm_events(const char *name)
{
	return counter("/proc/vmstat", name);
}

bool demoted_for(const char *reason)
{
	char line[256];
	bool found = false;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		found |= !strncmp(line, "HardwarePageSize:", 17) &&
			 strstr(line, "demoted") &&
			 (!reason || strstr(line, reason));
	if (f)
		fclose(f);
	return found;
}

bool demoted(void)
{
	return demoted_for(NULL);
}

bool fail_setup(unsigned long size, unsigned int percent)
{
	unsigned long order = 0;

	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	while (kernel_page_size() << order < size)
		order++;
	return put_number(FAIL_PAGE_ALLOC "min-order", order ?: 1) &&
	       put_number(FAIL_PAGE_ALLOC "probability", percent) &&
	       put(FAIL_PAGE_ALLOC "task-filter", "Y") &&
	       put(FAIL_PAGE_ALLOC "times", "-1") &&
	       put(FAIL_PAGE_ALLOC "interval", "1") &&
	       put(FAIL_PAGE_ALLOC "verbose", "0") &&
	       put(FAIL_PAGE_ALLOC "ignore-gfp-wait", "N") &&
	       put(FAIL_PAGE_ALLOC "ignore-gfp-highmem", "N");
}

void fail_here(bool on)
{
	CHECK(put("/proc/self/make-it-fail", on ? "1" : "0"));
}

void fill_pieces(char *p, unsigned long len, unsigned long seed, bool sure)
{
	unsigned long pieces = vm_events("process_page_pieces");

	fail_here(true);
	fill(p, len, seed);
	fail_here(false);
	CHECK(filled(p, len, seed));
	if (!sure || page_size() == kernel_page_size())
		return;
	CHECK(vm_events("process_page_pieces") > pieces);
	CHECK(demoted());
}

char *new_cgroup(unsigned long max, bool swap)
{
	static char path[64];
	char file[96];

	mount("none", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	put(CGROUP "cgroup.subtree_control", "+memory");
	snprintf(path, sizeof(path), CGROUP "pagesize-%d", getpid());
	if (mkdir(path, 0755))
		return NULL;
	if (!swap) {
		snprintf(file, sizeof(file), "%s/memory.swap.max", path);
		put_number(file, 0);
	}
	snprintf(file, sizeof(file), "%s/memory.max", path);
	if (put_number(file, max))
		return path;
	rmdir(path);
	return NULL;
}

void enter(const char *cgroup)
{
	char file[96];

	snprintf(file, sizeof(file), "%s/cgroup.procs", cgroup);
	CHECK(put(file, "0"));
}

bool stay_here(void)
{
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	return !sched_setaffinity(0, sizeof(cpu), &cpu);
}

int node_of(void *page)
{
	int status = -1000;

	if (syscall(__NR_move_pages, 0, 1UL, &page, NULL, &status, 0))
		return -errno;
	return status;
}

/* What mkswap writes. */
static bool write_swap_header(const char *device, unsigned long size)
{
	unsigned long page = kernel_page_size();
	int fd = open(device, O_RDWR | O_CLOEXEC);
	char *header = calloc(1, page);
	uint32_t *info = (uint32_t *)(header + 1024);
	bool done;

	if (fd < 0)
		return false;
	info[0] = 1;
	info[1] = size / page - 1;
	memcpy(header + page - 10, "SWAPSPACE2", 10);
	done = pwrite(fd, header, page, 0) == (ssize_t)page && !fsync(fd);
	close(fd);
	free(header);
	return done;
}

bool swap_to(const char *device, unsigned long size)
{
	return write_swap_header(device, size) && !swapon(device, 0);
}

char *odd_segment(unsigned long *len)
{
	const unsigned long K = kernel_page_size(), P = page_size();
	int id = shmget(IPC_PRIVATE, K + 100, IPC_CREAT | 0600);
	char *p = id < 0 ? (void *)-1 : shmat(id, NULL, 0);

	if (id >= 0)
		shmctl(id, IPC_RMID, NULL);
	*len = (K + 100 + P - 1) / P * P;
	return p == (void *)-1 ? NULL : p;
}

unsigned long swap_size(void)
{
	/* Such pieces come from clusters, of the size of a huge page. */
	const unsigned long page = kernel_page_size();
	const unsigned long some = page / 8 * page * 4;

	return page < SZ_64K && some > 32 * SZ_1M ? some : 32 * SZ_1M;
}

bool zram_make(unsigned long size)
{
	return put_number(ZRAM "disksize", size);
}

void zram_drop(void)
{
	put(ZRAM "reset", "1");
}

bool loop_make(struct loop *loop, int file, unsigned int block)
{
	struct loop_config config = { .fd = file, .block_size = block };
	int control, number, fd, tries;
	bool made = false;

	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	/* Somebody else may be faster. */
	for (tries = 0; control >= 0 && !made && tries < 10; tries++) {
		number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0)
			break;
		snprintf(loop->device, sizeof(loop->device), "/dev/loop%d",
			 number);
		fd = open(loop->device, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			break;
		made = !ioctl(fd, LOOP_CONFIGURE, &config);
		/* What is open for writing cannot be mounted. */
		close(fd);
	}
	if (control >= 0)
		close(control);
	return made;
}

void loop_drop(const struct loop *loop)
{
	int fd = open(loop->device, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	ioctl(fd, LOOP_CLR_FD, 0);
	close(fd);
}

bool shell(const char *format, ...)
{
	char command[1024], all[1200], line[256];
	va_list ap;
	FILE *f;
	int ret;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	snprintf(all, sizeof(all), "{ %s; } >/tmp/pagesize.log 2>&1", command);
	ret = system(all);
	f = ret ? fopen("/tmp/pagesize.log", "re") : NULL;
	while (f && fgets(line, sizeof(line), f))
		printf("# %s", line);
	if (f)
		fclose(f);
	unlink("/tmp/pagesize.log");
	return !ret;
}
