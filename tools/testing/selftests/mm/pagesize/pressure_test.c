// SPDX-License-Identifier: GPL-2.0
/*
 * Memory in short supply: no blocks of the process page, no memory at all in a
 * cgroup, memory that goes to swap and comes back. What a process wrote is there
 * or the process is dead, and it is only dead when there is no memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"

#define FAIL		"/sys/kernel/debug/fail_page_alloc/"
#define CGROUP		"/sys/fs/cgroup/"
#define SZ_1M		0x100000UL

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t done;

	if (fd < 0)
		return false;
	done = write(fd, text, strlen(text));
	close(fd);
	return done == (ssize_t)strlen(text);
}

static bool put_number(const char *path, unsigned long number)
{
	char text[24];

	snprintf(text, sizeof(text), "%lu", number);
	return put(path, text);
}

/* The number after @name in a file of names and numbers; 0 without such a line. */
static unsigned long counter(const char *path, const char *name)
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

static unsigned long vm_events(const char *name)
{
	return counter("/proc/vmstat", name);
}

static bool demoted(void)
{
	char line[256];
	bool found = false;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		found |= !strncmp(line, "HardwarePageSize:", 17) &&
			 strstr(line, "demoted");
	if (f)
		fclose(f);
	return found;
}

/* Blocks of the process page, or of two kernel pages, cannot be had. */
static bool fail_setup(unsigned long size, unsigned int percent)
{
	unsigned long order = 0;

	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	while (kernel_page_size() << order < size)
		order++;
	return put_number(FAIL "min-order", order ?: 1) &&
	       put_number(FAIL "probability", percent) &&
	       put(FAIL "task-filter", "Y") && put(FAIL "times", "-1") &&
	       put(FAIL "interval", "1") && put(FAIL "verbose", "0") &&
	       put(FAIL "ignore-gfp-wait", "N") &&
	       put(FAIL "ignore-gfp-highmem", "N");
}

/* In this task. */
static void fail_here(bool on)
{
	CHECK(put("/proc/self/make-it-fail", on ? "1" : "0"));
}

/* Write to memory for which no block can be had; it is filled in pieces. */
static void fill_pieces(char *p, unsigned long len, unsigned long seed,
			bool sure)
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

static void child_fragmented(int argc, char **argv)
{
	unsigned long P = page_size(), n = 64, i;
	unsigned long demotions = vm_events("process_page_demote");
	unsigned long kills = vm_events("oom_kill");
	char *p, *shared, *file, *sparse;
	bool right = true;
	int status, fd;
	pid_t pid;

	fd = temp_file(NULL);
	p = map_anon(n * P, MAP_PRIVATE);
	sparse = map_anon(n * P, MAP_PRIVATE);
	shared = map_anon(n * P, MAP_SHARED);
	CHECK(!ftruncate(fd, n * P));
	file = mmap(NULL, n * P, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (!CHECK(fd >= 0 && p != MAP_FAILED && shared != MAP_FAILED &&
		   file != MAP_FAILED && sparse != MAP_FAILED))
		return;
	CHECK(!demoted());
	fill_pieces(p, n * P, 1, true);
	if (page_size() != kernel_page_size())
		CHECK(vm_events("process_page_demote") == demotions + 1);
	else
		CHECK(!demoted());
	/* Those have a second chance, which may be taken for all of them. */
	fill_pieces(shared, n * P, 2, !strcmp(argv[2], "100"));
	fill_pieces(file, n * P, 3, !strcmp(argv[2], "100"));

	/* Somewhere in each page; the rest of it is zero. */
	fail_here(true);
	for (i = 0; i < n; i++)
		sparse[i * P + i * 1031 % P] = 1;
	fail_here(false);
	for (i = 0; i < n; i++)
		right &= sparse[i * P + i * 1031 % P]-- == 1;
	CHECK(right);
	CHECK(all_zero(sparse, n * P));

	/* Copies, of what is whole and of what is not. */
	pid = fork();
	if (!pid) {
		fail_here(true);
		for (i = 0; i < n; i++)
			fill(p + i * P + P / 2, 512, 4);
		fail_here(false);
		for (i = 0; i < n; i++)
			right &= filled(p + i * P, P / 2, 1 + i * P) &&
				 filled(p + i * P + P / 2, 512, 4);
		_exit(!right);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(filled(p, n * P, 1));

	/* With memory in blocks again, all goes on. */
	CHECK(!madvise(p, n * P, MADV_DONTNEED));
	CHECK(all_zero(p, n * P));
	fill(p, n * P, 5);
	CHECK(filled(p, n * P, 5));
	CHECK(vm_events("oom_kill") == kills);
}

TEST_F(pages, no_block)
{
	if (!fail_setup(self->size, 100))
		SKIP(return, "no " FAIL);
	EXPECT_CHILD("fragmented", "100");
}

TEST_F(pages, no_block_now_and_then)
{
	if (!fail_setup(self->size, 50))
		SKIP(return, "no " FAIL);
	EXPECT_CHILD("fragmented", "50");
}

/* A new cgroup, not more than @max bytes; NULL if that cannot be had. */
static char *new_cgroup(unsigned long max, bool swap)
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

/* Move this process there. argv[2] of the children. */
static void enter(const char *cgroup)
{
	char file[96];

	snprintf(file, sizeof(file), "%s/cgroup.procs", cgroup);
	CHECK(put(file, "0"));
}

static void child_hog(int argc, char **argv)
{
	unsigned long len = 64 * SZ_1M;
	char *p = map_anon(len, MAP_PRIVATE);

	enter(argv[2]);
	/* Nobody may wait for it for ever. */
	alarm(60);
	fill(p, len, 1);
	CHECK(!"killed before this");
}

static void child_neighbour(int argc, char **argv)
{
	unsigned long len = 8 * SZ_1M;
	char *p = map_anon(len, MAP_PRIVATE), c;

	fill(p, len, 9);
	/* Until the tester closes the pipe. */
	CHECK(read(atoi(argv[2]), &c, 1) == 0);
	CHECK(filled(p, len, 9));
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Whether memory may come in folios of 512K, where there are any. */
static void larger_folios(const char *when)
{
	put("/sys/kernel/mm/transparent_hugepage/hugepages-512kB/enabled",
	    when);
}

TEST_F(pages, cgroup_too_small)
{
	const char *hog[4] = { "hog", self->text };
	const char *other[4] = { "neighbour", self->text };
	char *cgroup = new_cgroup(16 * SZ_1M, false), file[96], fd[16];
	unsigned long kills = vm_events("oom_kill");
	int status, pipefd[2], round;
	pid_t victim, neighbour;
	double start;

	if (!cgroup)
		SKIP(return, "no cgroup with a limit on memory");
	ASSERT_EQ(0, pipe2(pipefd, 0));
	snprintf(fd, sizeof(fd), "%d", pipefd[0]);
	other[2] = fd;
	fcntl(pipefd[1], F_SETFD, FD_CLOEXEC);
	neighbour = start_child(variant->shift, other, NULL);
	close(pipefd[0]);
	ASSERT_LT(0, neighbour);
	hog[2] = cgroup;
	/* With the folios that policy has, and with larger ones that fail. */
	for (round = 0; round < 2; round++) {
		larger_folios(round ? "always" : "never");
		start = now();
		victim = start_child(variant->shift, hog, NULL);
		ASSERT_LT(0, victim);
		ASSERT_EQ(victim, waitpid(victim, &status, 0));
		larger_folios("never");
		EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			TH_LOG("status %#x", status);
		EXPECT_LT(now() - start, 10);
		EXPECT_EQ(kills + round + 1, vm_events("oom_kill"));
	}
	snprintf(file, sizeof(file), "%s/memory.events", cgroup);
	EXPECT_EQ(2, counter(file, "oom_kill"));
	close(pipefd[1]);
	EXPECT_EQ(0, finish_child(neighbour));
	EXPECT_EQ(0, rmdir(cgroup));
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

/* Twice as much memory as may be used: written, read, shared, written again. */
static void child_swapped(int argc, char **argv)
{
	unsigned long len = 8 * SZ_1M, P = page_size(), i;
	unsigned long out = vm_events("pswpout"), in = vm_events("pswpin");
	unsigned long pieces = vm_events("process_page_pieces");
	char *p = map_anon(len, MAP_PRIVATE);
	bool right = true;
	int status;
	pid_t pid;

	enter(argv[2]);
	fill(p, len, 1);
	CHECK(filled(p, len, 1));
	/* Swap entries that two have. */
	pid = fork();
	if (!pid) {
		for (i = 0; i < len; i += 4 * P)
			fill(p + i, P, 7);
		for (i = 0; i < len; i += 4 * P)
			right &= filled(p + i, P, 7) &&
				 filled(p + i + P, P, 1 + i + P);
		_exit(!right);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(filled(p, len, 1));
	fill(p, len, 2);
	CHECK(filled(p, len, 2));
	CHECK(vm_events("pswpout") - out >= len / 2 / kernel_page_size());
	CHECK(vm_events("pswpin") - in >= len / 2 / kernel_page_size());
	/* It went and came back whole. */
	CHECK(vm_events("process_page_pieces") == pieces);
	CHECK(!demoted());
}

static int swap_child(unsigned int shift, const char *text, const char *device,
		      unsigned long size)
{
	char *cgroup;
	int ret = KSFT_SKIP;

	if (!write_swap_header(device, size) || swapon(device, 0))
		return ret;
	cgroup = new_cgroup(4 * SZ_1M, true);
	if (cgroup) {
		ret = run_child(shift, "swapped", text, cgroup, NULL);
		rmdir(cgroup);
	}
	swapoff(device);
	return ret;
}

TEST_F_TIMEOUT(pages, swap_zram, 120)
{
	const unsigned long size = 32 * SZ_1M;
	int ret;

	if (!put_number("/sys/block/zram0/disksize", size))
		SKIP(return, "no free /dev/zram0");
	ret = swap_child(variant->shift, self->text, "/dev/zram0", size);
	put("/sys/block/zram0/reset", "1");
	if (ret == KSFT_SKIP)
		SKIP(return, "no swap, or no cgroup with a limit on memory");
	EXPECT_EQ(0, ret);
}

TEST_F_TIMEOUT(pages, swap_loop, 120)
{
	const unsigned long size = 32 * SZ_1M;
	int control, number, fd, loop, ret;
	struct loop_config config = { };
	char device[32];

	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (number < 0)
		SKIP(return, "no loop device");
	snprintf(device, sizeof(device), "/dev/loop%d", number);
	fd = temp_file(getenv("TMPDIR") ?: "/var/tmp");
	loop = open(device, O_RDWR | O_CLOEXEC);
	ASSERT_EQ(0, posix_fallocate(fd, 0, size));
	config.fd = fd;
	config.block_size = kernel_page_size();
	ASSERT_EQ(0, ioctl(loop, LOOP_CONFIGURE, &config));
	ret = swap_child(variant->shift, self->text, device, size);
	ioctl(loop, LOOP_CLR_FD, 0);
	close(loop);
	close(fd);
	close(control);
	if (ret == KSFT_SKIP)
		SKIP(return, "no swap, or no cgroup with a limit on memory");
	EXPECT_EQ(0, ret);
}

/* Map this program and compare it with what read() gives; the copies it took. */
static unsigned long copies(int fd, int prot)
{
	unsigned long before, after, len = 4 * page_size();
	char *p = mmap(NULL, len, prot, MAP_PRIVATE, fd, 0), *buf = malloc(len);

	CHECK(pread(fd, buf, len, 0) == len);
	before = vm_events("process_page_bounce");
	if (CHECK(p != MAP_FAILED))
		CHECK(!memcmp(p, buf, len));
	after = vm_events("process_page_bounce");
	munmap(p, len);
	free(buf);
	return after - before;
}

/*
 * Where a file is cached in pieces, a private mapping gets a copy. Not of memory
 * that nobody accounted for.
 */
static void child_overcommit(int argc, char **argv)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	unsigned long bounces;

	bounces = copies(fd, PROT_READ);
	if (page_size() != kernel_page_size() && !bounces)
		child_skip("this program is on a file system with large folios");
	if (!CHECK(put("/proc/sys/vm/overcommit_memory", "2")))
		return;
	CHECK(copies(fd, PROT_READ) == 0);
	CHECK(copies(fd, PROT_READ | PROT_WRITE) == bounces);
}

TEST_F(pages, strict_overcommit)
{
	const char *const mode = "/proc/sys/vm/overcommit_memory";
	char old[4] = "0";
	int fd, ret;

	fd = open(mode, O_RDONLY | O_CLOEXEC);
	if (geteuid() || read(fd, old, 1) != 1 || *old == '2')
		SKIP(return, "not root, or vm.overcommit_memory is 2");
	ret = run_child(variant->shift, "overcommit", self->text, NULL);
	EXPECT_TRUE(put(mode, old));
	close(fd);
	if (ret == KSFT_SKIP)
		SKIP(return, "skipped in the child");
	EXPECT_EQ(0, ret);
}

static const struct child children[] = {
	{ "fragmented", child_fragmented },
	{ "hog", child_hog },
	{ "neighbour", child_neighbour },
	{ "swapped", child_swapped },
	{ "overcommit", child_overcommit },
	{ }
};

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
