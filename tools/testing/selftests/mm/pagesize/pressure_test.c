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
#include <drm/drm.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"
#include "pagesize_system.h"

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

TEST_F_TIMEOUT(pages, no_block, 120)
{
	if (!fail_setup(self->size, 100))
		SKIP(return, "no " FAIL_PAGE_ALLOC);
	EXPECT_CHILD("fragmented", "100");
}

TEST_F_TIMEOUT(pages, no_block_now_and_then, 120)
{
	if (!fail_setup(self->size, 50))
		SKIP(return, "no " FAIL_PAGE_ALLOC);
	EXPECT_CHILD("fragmented", "50");
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
		EXPECT_LT(now() - start, 30);
		EXPECT_EQ(kills + round + 1, vm_events("oom_kill"));
	}
	snprintf(file, sizeof(file), "%s/memory.events", cgroup);
	EXPECT_EQ(2, counter(file, "oom_kill"));
	close(pipefd[1]);
	EXPECT_EQ(0, finish_child(neighbour));
	EXPECT_EQ(0, rmdir(cgroup));
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

static int swap_child(unsigned int shift, const char *name, const char *text,
		      const char *device, unsigned long size,
		      unsigned long room)
{
	char *cgroup;
	int ret = KSFT_SKIP;

	if (!swap_to(device, size))
		return ret;
	cgroup = new_cgroup(room, true);
	if (cgroup) {
		ret = run_child(shift, name, text, cgroup, NULL);
		rmdir(cgroup);
	}
	swapoff(device);
	return ret;
}

static void test_on_zram(struct __test_metadata *_metadata, unsigned int shift,
			 const char *text, const char *name, unsigned long room)
{
	const unsigned long size = swap_size();
	int ret;

	if (!zram_make(size))
		SKIP(return, "no free /dev/zram0");
	ret = swap_child(shift, name, text, "/dev/zram0", size, room);
	zram_drop();
	if (ret == KSFT_SKIP)
		SKIP(return, "no swap, no cgroup, or skipped in the child");
	EXPECT_EQ(0, ret);
}

TEST_F_TIMEOUT(pages, swap_zram, 120)
{
	test_on_zram(_metadata, variant->shift, self->text, "swapped",
		     4 * SZ_1M);
}

TEST_F_TIMEOUT(pages, swap_buffers, 120)
{
	test_on_zram(_metadata, variant->shift, self->text, "buffers",
		     12 * SZ_1M);
}

TEST_F_TIMEOUT(pages, swap_loop, 120)
{
	const unsigned long size = swap_size();
	struct loop loop;
	int fd, ret;

	fd = temp_file(getenv("TMPDIR") ?: "/var/tmp");
	ASSERT_EQ(0, posix_fallocate(fd, 0, size));
	if (!loop_make(&loop, fd, kernel_page_size()))
		SKIP(return, "no loop device");
	ret = swap_child(variant->shift, "swapped", self->text, loop.device,
			 size, 4 * SZ_1M);
	loop_drop(&loop);
	close(fd);
	if (ret == KSFT_SKIP)
		SKIP(return, "no swap, or no cgroup with a limit on memory");
	EXPECT_EQ(0, ret);
}

static char *map_buffer(int fd, unsigned int handle, unsigned long len)
{
	struct drm_mode_map_dumb map = { .handle = handle };

	CHECK(!ioctl(fd, DRM_IOCTL_MODE_MAP_DUMB, &map));
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    map.offset);
}

/*
 * A driver is told of the first store to each kernel page. Only what it knows to
 * be written goes to swap when it is not mapped; the rest is dropped.
 */
static void child_buffers(int argc, char **argv)
{
	const unsigned long K = kernel_page_size(), len = SZ_1M / 2;
	unsigned long out = vm_events("pswpout"), i;
	unsigned int handles[16];
	int fd, pages[2];
	char *other, *p;

	fd = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		child_skip("no /dev/dri/card0");
	enter(argv[2]);
	CHECK(stay_here() && !pipe(pages));
	for (i = 0; i < ARRAY_SIZE(handles); i++) {
		struct drm_mode_create_dumb create = {
			.width = 1024, .height = len / 4096, .bpp = 32,
		};

		if (ioctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &create))
			child_skip("no buffers in /dev/dri/card0");
		handles[i] = create.handle;
		/* Kernel pages come in a row. Once, they are aligned. */
		CHECK(write(pages[1], &i, 1) == 1);
		p = map_buffer(fd, handles[i], len);
		if (!CHECK(p != MAP_FAILED))
			return;
		/* To be read only, until it is written to. */
		CHECK(all_zero(p, len));
		fill(p, len, i);
		munmap(p, len);
	}

	/* There is no room for both. */
	other = map_anon(16 * SZ_1M, MAP_PRIVATE);
	fill(other, 16 * SZ_1M, 99);
	CHECK(vm_events("pswpout") - out >= 8 * SZ_1M / K);

	for (i = 0; i < ARRAY_SIZE(handles); i++) {
		p = map_buffer(fd, handles[i], len);
		if (!CHECK(p != MAP_FAILED))
			return;
		CHECK(filled(p, len, i));
		munmap(p, len);
	}
	close(fd);
}

/* To swap with it. Then @half of the kernel pages back, if they are single. */
static bool swap_out(char *p, unsigned long len, unsigned long K, bool half)
{
	const long kb = len / 1024;
	unsigned long off;

	/* Not everything is at once where reclaim finds it. */
	for (off = 0; off < 20 && smaps_kb(p, "Swap") < kb; off++)
		madvise(p, len, MADV_PAGEOUT);
	if (!CHECK(smaps_kb(p, "Swap") == kb))
		return false;
	for (off = 0; half && off < len; off += 2 * K)
		if (*(unsigned long *)(p + off) != 1 + off)
			return CHECK(!"what was there");
	return true;
}

static long futex(void *word, int op, int value, void *word2, int value3)
{
	/* The fourth argument is a number of waiters to wake, too. */
	return syscall(__NR_futex, word, op, value, NULL, word2, value3);
}

/*
 * Accesses by the kernel, and from outside, to memory that is in swap, all of it
 * or every other kernel page.
 */
static void poke_swapped(char *p, unsigned long len, bool half)
{
	const unsigned long K = kernel_page_size(), P = page_size();
	char *buf = map_anon(len, MAP_PRIVATE);
	struct iovec local, remote;
	unsigned long off, value;
	uint32_t *word;
	int out, status;
	pid_t pid;

	fflush(stdout);
	if (!swap_out(p, len, K, half))
		return;
	/* A word of each kernel page: the kernel reads and changes it. */
	for (off = 0; off < len; off += K) {
		word = (uint32_t *)(p + off + 16);
		if (off / K / 2 % 2) {
			CHECK(futex(word, FUTEX_WAIT, 5, NULL, 0) == -1 &&
			      errno == EAGAIN);
			continue;
		}
		CHECK(futex(p + len - K + 32, FUTEX_WAKE_OP, 0, word,
			    FUTEX_OP(FUTEX_OP_SET, 77, FUTEX_OP_CMP_EQ,
				     0)) == 0);
		CHECK(*word == 77);
		*word = 0;
	}
	CHECK(filled(p, len, 1));

	/* The same pages, by another process. */
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		/* What is shared stays in memory. */
		fill(p, len, 1);
		if (!swap_out(p, len, K, half))
			_exit(1);
		raise(SIGSTOP);
		for (off = 0; off < len; off += K)
			CHECK(*(unsigned long *)(p + off + 72) == off + 5 &&
			      *(unsigned long *)(p + off + 80) == off + 6);
		CHECK(filled(p, len, 1));
		fflush(stdout);
		_exit(child_failures());
	}
	if (!CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) &&
		   WSTOPSIG(status) == SIGSTOP))
		printf("# status %#x\n", status);
	for (off = 0; off < len; off += K) {
		value = off + 5;
		local = (struct iovec){ &value, 8 };
		remote = (struct iovec){ p + off + 72, 8 };
		CHECK(process_vm_writev(pid, &local, 1, &remote, 1, 0) == 8);
		CHECK(!ptrace(PTRACE_POKEDATA, pid, p + off + 80, off + 6));
	}
	local = (struct iovec){ buf, len };
	remote = (struct iovec){ p, len };
	CHECK(process_vm_readv(pid, &local, 1, &remote, 1, 0) == len);
	CHECK(filled(buf, len, 1));
	CHECK(*(unsigned long *)(buf + P - K + 72) == P - K + 5);
	CHECK(!ptrace(PTRACE_CONT, pid, NULL, NULL));
	if (!CHECK(waitpid(pid, &status, 0) == pid && status == 0))
		printf("# status %#x\n", status);

	/* And once more it goes out and is a source of I/O. */
	CHECK(filled(p, len, 1));
	if (!swap_out(p, len, K, half))
		return;
	out = temp_file(NULL);
	CHECK(write(out, p, len) == (ssize_t)len);
	if (!swap_out(p, len, K, half))
		return;
	CHECK(pread(out, p, len, 0) == (ssize_t)len);
	CHECK(filled(p, len, 1));
	CHECK(smaps_kb(p, "Swap") == 0);
	close(out);
	munmap(buf, len);
}

static void child_half(int argc, char **argv)
{
	unsigned long len = 8 * page_size(), off;
	char *p = map_anon(len, MAP_PRIVATE);

	CHECK(stay_here());
	alarm(60);
	fill(p, len, 1);
	poke_swapped(p, len, false);
	CHECK(!demoted());
	munmap(p, len);
	p = map_anon(len, MAP_PRIVATE);
	fill_pieces(p, len, 1, true);
	poke_swapped(p, len, true);
	CHECK(page_size() == kernel_page_size() || demoted());

	/* What may be freed goes as a whole or stays as a whole. */
	if (!swap_out(p, len, kernel_page_size(), true))
		return;
	CHECK(!madvise(p, len, MADV_FREE));
	for (off = 0; off < len; off += page_size())
		CHECK(all_zero(p + off, page_size()) ||
		      filled(p + off, page_size(), 1 + off));
}

/* Where the pages of a range are in memory; 0 for what is not. */
static void get_places(const char *p, unsigned long len, uint64_t *places)
{
	const unsigned long P = page_size(), n = len / P;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned long i;

	CHECK(pread(fd, places, n * sizeof(*places),
		    (uintptr_t)p / P * sizeof(*places)) ==
	      (ssize_t)(n * sizeof(*places)));
	close(fd);
	for (i = 0; i < n; i++)
		places[i] &= (UINT64_C(1) << 55) - 1;
}

/*
 * One page out of four, in no order: the kernel looks for room at every 32nd
 * page, and would not see that of a pattern; and there has to be enough for
 * others, who are moved first.
 */
static bool kept(unsigned long i)
{
	return (uint32_t)(i * 2654435761U) >> 30 == 3;
}

/*
 * A part of @len bytes is moved, as far as the kernel likes to, and then goes
 * to swap. How many pages were moved.
 */
static unsigned long compact(unsigned long len)
{
	unsigned long P = page_size(), n = len / P, i, nr = 0, moved = 0;
	uint64_t *before = calloc(n, sizeof(*before));
	uint64_t *after = calloc(n, sizeof(*after));
	char *p = map_anon(len, MAP_PRIVATE);
	long kb;

	if (!CHECK(before && after && p != MAP_FAILED))
		return 0;
	fill(p, len, 1);
	for (i = 0; i < n; i++) {
		nr += kept(i);
		if (!kept(i))
			CHECK(!madvise(p + i * P, P, MADV_DONTNEED));
	}
	drop_page_cache();
	get_places(p, len, before);
	if (!put("/proc/sys/vm/compact_memory", "1"))
		child_skip("no compaction");
	get_places(p, len, after);
	for (i = 0; i < n; i++) {
		CHECK(!before[i] == !kept(i) && !after[i] == !kept(i));
		CHECK(!kept(i) || filled(p + i * P, P, 1 + i * P));
		moved += after[i] != before[i];
	}
	printf("# of %lu pages, %lu were moved\n", nr, moved);
	kb = nr * P / 1024;
	for (i = 0; i < 20 && smaps_kb(p, "Swap") < kb; i++)
		madvise(p, len, MADV_PAGEOUT);
	CHECK(smaps_kb(p, "Swap") == kb);
	for (i = 0; i < n; i++)
		CHECK(!kept(i) || filled(p + i * P, P, 1 + i * P));
	munmap(p, len);
	free(before);
	free(after);
	return moved;
}

/* What is moved to somewhere else is whole there, and stays so in swap. */
static void child_compacted(int argc, char **argv)
{
	static const unsigned int sizes[] = { 32, 64, 128 };
	unsigned long moved = 0;
	unsigned int i;

	CHECK(stay_here());
	alarm(100);
	for (i = 0; i < ARRAY_SIZE(sizes) && !moved; i++)
		moved = compact(sizes[i] * SZ_1M);
	CHECK(!demoted());
	if (!moved && !child_failures())
		child_skip("nothing was moved");
}

/* Memory that came in pieces is put together: all is whole again. */
static void child_collapsed(int argc, char **argv)
{
	const unsigned long P = page_size(), K = kernel_page_size();
	/* What a page table maps. */
	const unsigned long len = K / 8 * K;
	const bool native = status_kb("HardwarePageSize") == (long)P >> 10;
	char *area, *p, *other;
	int i;

	if (P == K)
		child_skip("a kernel page");
	alarm(60);
	area = map_anon(2 * len, MAP_PRIVATE);
	if (!CHECK(area != MAP_FAILED))
		return;
	p = (char *)(((uintptr_t)area + len - 1) & ~(len - 1));
	fill_pieces(p, len, 1, true);
	CHECK(demoted_for("memory"));
	if (!CHECK(!madvise(p, len, MADV_COLLAPSE)))
		return;
	CHECK(smaps_kb(p, "AnonHugePages") == (long)len >> 10);
	CHECK(filled(p, len, 1));
	/* It is a fault that sees that, and not at once. */
	for (i = 0; i < (native ? 200 : 20) && demoted(); i++) {
		usleep(100000);
		other = map_anon(P, 0);
		*other = 1;
		munmap(other, P);
	}
	/* Where the hardware has no such page, it is noted until execve(). */
	CHECK(demoted() == !native);
	if (native)
		CHECK(status_kb("HardwarePageSize") == (long)P >> 10);
	CHECK(filled(p, len, 1));
	fill(p, len, 2);
	CHECK(filled(p, len, 2));
	CHECK(demoted() == !native);
}

/*
 * A file that is swapped to has single pages only: what is larger than that
 * stays in memory, whole.
 */
static void child_swap_file(int argc, char **argv)
{
	const unsigned long P = page_size(), len = 64 * P;
	const unsigned long kills = vm_events("oom_kill");
	char *p = map_anon(len, MAP_PRIVATE);
	int i;

	CHECK(stay_here());
	alarm(60);
	fill(p, len, 1);
	for (i = 0; i < 20; i++)
		CHECK(!madvise(p, len, MADV_PAGEOUT));
	if (kernel_page_size() == P) {
		CHECK(smaps_kb(p, "Swap") > 0);
	} else {
		CHECK(smaps_kb(p, "Swap") == 0);
		CHECK(smaps_kb(p, "Rss") == (long)len >> 10);
	}
	CHECK(filled(p, len, 1));
	CHECK(!demoted());
	CHECK(vm_events("oom_kill") == kills);
}

/* Kernel pages of somebody else that are in swap, until it is killed. */
static void child_others(int argc, char **argv)
{
	const unsigned long len = strtoul(argv[2], NULL, 0);
	char *p = map_anon(len, MAP_PRIVATE);

	fill(p, len, 7);
	if (!swap_out(p, len, page_size(), false))
		return;
	printf("done\n");
	for (;;)
		pause();
}

/* To swap, and read from there: it does not stay in memory as the cache of that. */
static bool there_and_back(char *p, unsigned long len, unsigned long seed,
			   const char *cgroup)
{
	const unsigned long K = kernel_page_size();
	char file[96];
	int i;

	if (!swap_out(p, len, K, false))
		return false;
	snprintf(file, sizeof(file), "%s/memory.reclaim", cgroup);
	/* It says EAGAIN if that is more than there is. */
	for (i = 0; i < 4; i++)
		put_number(file, len);
	return filled(p, len, seed);
}

/*
 * Where the file that is swapped to is in extents of a kernel page, what is in
 * one piece in memory is not so on the disk. Kernel pages of others move what is
 * swapped, so that it comes to be aligned as in memory once.
 */
static void child_extents(int argc, char **argv)
{
	const unsigned long P = page_size(), K = kernel_page_size();
	const unsigned long len = 16 * P;
	unsigned long others;
	char number[24], line[8];
	const char *const args[] = { "others", argv[1], number, NULL };
	const char *cgroup = argv[2];
	pid_t pid;
	int out;
	char *p;

	enter(cgroup);
	CHECK(stay_here());
	alarm(100);
	for (others = 0; others < P && !child_failures(); others += K) {
		snprintf(number, sizeof(number), "%lu", others);
		pid = others ? start_child(DEFAULT_SIZE, args, &out) : 0;
		if (pid) {
			CHECK(read(out, line, sizeof(line)) > 0 &&
			      !strncmp(line, "done\n", 5));
			close(out);
		}
		p = map_anon(len, MAP_PRIVATE);
		fill_pieces(p, len, 1 + others, true);
		CHECK(there_and_back(p, len, 1 + others, cgroup));
		fill(p, len, 2 + others);
		CHECK(there_and_back(p, len, 2 + others, cgroup));
		munmap(p, len);
		if (pid) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
	}
}

/* Copies in pieces leave pages that no process has whole: they can go, too. */
static void child_partial(int argc, char **argv)
{
	unsigned long P = page_size(), len = 64 * P, i;
	bool right = true;
	int fds[2], status;
	char *p, c;
	pid_t pid;

	CHECK(stay_here());
	alarm(60);
	p = map_anon(len, MAP_PRIVATE);
	fill(p, len, 1);
	CHECK(!pipe(fds));
	pid = fork();
	if (!pid) {
		close(fds[1]);
		_exit(read(fds[0], &c, 1));
	}
	fail_here(true);
	for (i = 0; i < len; i += P)
		*(unsigned long *)(p + i) += 1;
	fail_here(false);
	close(fds[1]);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	close(fds[0]);
	swap_out(p, len, P, false);
	for (i = 0; i < len; i += P) {
		right &= *(unsigned long *)(p + i) == i + 2;
		*(unsigned long *)(p + i) -= 1;
	}
	CHECK(right && filled(p, len, 1));
}

/* What is stored behind the end of a file does not hide in swap. */
static void child_tail(int argc, char **argv)
{
	const unsigned long P = page_size(), K = kernel_page_size();
	int fd = syscall(__NR_memfd_create, "tail", MFD_CLOEXEC);
	char *p, *buf = calloc(1, P);

	/* Such memory is not cleared there, but for process pages. */
	if (P == K)
		child_skip("a kernel page");
	CHECK(stay_here());
	alarm(60);
	CHECK(!ftruncate(fd, K + 100));
	p = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!CHECK(p != MAP_FAILED))
		return;
	fill(p, P, 1);
	/* Now it is not split to go. It has been unmapped. */
	CHECK(!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, P));
	fill(p, P, 1);
	if (!swap_out(p, P, K, false))
		return;
	CHECK(!ftruncate(fd, P));
	CHECK(pread(fd, buf, P, 0) == P);
	CHECK(filled(buf, K, 1) && all_zero(buf + K + 104, P - K - 104));
	CHECK(filled(p, K, 1) && all_zero(p + K + 104, P - K - 104));
}

/* A segment of SysV goes on to the end of its last page, there too. */
static void child_segment(int argc, char **argv)
{
	const unsigned long K = kernel_page_size();
	unsigned long len;
	char *p = odd_segment(&len);

	if (!CHECK(p))
		return;
	CHECK(stay_here());
	alarm(60);
	fill(p, len, 1);
	if (!swap_out(p, len, K, false))
		return;
	CHECK(filled(p, len, 1));
}

/* It is asked to be read: it stays whole. */
static void child_willneed(int argc, char **argv)
{
	const unsigned long P = page_size(), K = kernel_page_size();
	const unsigned long len = 16 * P;
	char *p = map_anon(len, MAP_PRIVATE);

	CHECK(stay_here());
	alarm(60);
	fill(p, len, 1);
	if (!swap_out(p, len, K, false))
		return;
	CHECK(!madvise(p, len, MADV_WILLNEED));
	CHECK(filled(p, len, 1));
	CHECK(!demoted());
}

/* A file in memory is made shorter in the middle of what is in swap. */
static void child_cut(int argc, char **argv)
{
	const unsigned long P = page_size(), K = kernel_page_size();
	const unsigned long len = 4 * P;
	const unsigned long cuts[] = {
		K, P + K, 2 * P - K, P + K + 100, 2 * P, len - K,
	};
	unsigned int i;

	CHECK(stay_here());
	alarm(60);
	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		int fd = syscall(__NR_memfd_create, "cut", MFD_CLOEXEC);
		char *p;

		CHECK(!ftruncate(fd, len));
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (!CHECK(p != MAP_FAILED))
			return;
		fill(p, len, 1);
		if (!swap_out(p, len, K, false))
			return;
		CHECK(!ftruncate(fd, cuts[i]));
		CHECK(!ftruncate(fd, len));
		CHECK(filled(p, cuts[i], 1));
		CHECK(all_zero(p + cuts[i], len - cuts[i]));
		munmap(p, len);
		close(fd);
	}
}

static void test_with_swap(struct __test_metadata *_metadata,
			   unsigned int shift, const char *text,
			   const char *name)
{
	/* As much as child_compacted() may need. */
	const unsigned long size = 4 * swap_size();
	int ret = KSFT_SKIP;

	if (!zram_make(size))
		SKIP(return, "no free /dev/zram0");
	if (swap_to("/dev/zram0", size)) {
		ret = run_child(shift, name, text, NULL);
		swapoff("/dev/zram0");
	}
	zram_drop();
	if (ret == KSFT_SKIP)
		SKIP(return, "no swap, or skipped in the child");
	EXPECT_EQ(0, ret);
}

TEST_F_TIMEOUT(pages, cut_swapped, 120)
{
	test_with_swap(_metadata, variant->shift, self->text, "cut");
}

TEST_F_TIMEOUT(pages, tail_swapped, 120)
{
	test_with_swap(_metadata, variant->shift, self->text, "tail");
}

TEST_F_TIMEOUT(pages, segment_swapped, 120)
{
	test_with_swap(_metadata, variant->shift, self->text, "segment");
}

TEST_F_TIMEOUT(pages, willneed_swapped, 120)
{
	test_with_swap(_metadata, variant->shift, self->text, "willneed");
}

static void test_in_pieces(struct __test_metadata *_metadata,
			   unsigned int shift, unsigned long P,
			   const char *text, const char *name)
{
	if (!fail_setup(P, 100))
		SKIP(return, "no " FAIL_PAGE_ALLOC);
	test_with_swap(_metadata, shift, text, name);
}

TEST_F_TIMEOUT(pages, half_swapped, 120)
{
	test_in_pieces(_metadata, variant->shift, self->size, self->text,
		       "half");
}

TEST_F_TIMEOUT(pages, compacted, 120)
{
	test_with_swap(_metadata, variant->shift, self->text, "compacted");
}

TEST_F_TIMEOUT(pages, collapsed, 120)
{
	if (!fail_setup(self->size, 100))
		SKIP(return, "no " FAIL_PAGE_ALLOC);
	EXPECT_CHILD("collapsed");
}

TEST_F_TIMEOUT(pages, swap_file, 120)
{
	const unsigned long size = swap_size();
	const char *dir = getenv("TMPDIR") ?: "/var/tmp";
	char path[4096];
	int fd;

	/* One without a name cannot be swapped to. */
	snprintf(path, sizeof(path), "%s/pagesize.XXXXXX", dir);
	fd = mkstemp(path);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, posix_fallocate(fd, 0, size));
	close(fd);
	if (!swap_to(path, size)) {
		unlink(path);
		SKIP(return, "this file cannot be swapped to");
	}
	EXPECT_CHILD("swap-file");
	EXPECT_EQ(0, swapoff(path));
	unlink(path);
}

/* One with a name: another cannot be swapped to. */
static bool swap_file(char *path, unsigned long len, unsigned long size,
		      int priority)
{
	const char *dir = getenv("TMPDIR") ?: "/var/tmp";
	int fd;

	snprintf(path, len, "%s/pagesize.XXXXXX", dir);
	fd = mkstemp(path);
	if (fd < 0)
		return false;
	if (!posix_fallocate(fd, 0, size) && swap_to(path, size) &&
	    !swapoff(path) && !swapon(path, SWAP_FLAG_PREFER | priority)) {
		close(fd);
		return true;
	}
	close(fd);
	unlink(path);
	return false;
}

/* What does not find room where it should go first goes where there is some. */
TEST_F_TIMEOUT(pages, swap_beside, 120)
{
	const unsigned long size = swap_size();
	char paths[2][4096];
	int ret, i, n = 0;

	if (!zram_make(size))
		SKIP(return, "no free /dev/zram0");
	/* Two that take turns, and have no room for a process page. */
	while (n < 2 && swap_file(paths[n], sizeof(paths[n]), 64 * self->size, 10))
		n++;
	ret = n < 2 ? KSFT_SKIP : swap_child(variant->shift, "swapped",
					     self->text, "/dev/zram0", size,
					     4 * SZ_1M);
	for (i = 0; i < n; i++) {
		EXPECT_EQ(0, swapoff(paths[i]));
		unlink(paths[i]);
	}
	zram_drop();
	if (ret == KSFT_SKIP)
		SKIP(return, "no such swap, or no cgroup");
	EXPECT_EQ(0, ret);
}

/* Two files, of which each has every other kernel page of the disk. */
static void interleave(int a, int b, unsigned long size)
{
	const unsigned long K = kernel_page_size();
	unsigned long off;

	for (off = 0; off < size; off += K)
		CHECK(!posix_fallocate(a, off, K) &&
		      !posix_fallocate(b, off, K));
}

TEST_F_TIMEOUT(pages, swap_extents, 120)
{
	const unsigned long K = kernel_page_size(), size = 1024 * K;
	const char *dir = getenv("TMPDIR") ?: "/var/tmp";
	char path[4096], *buf = malloc(K), *cgroup;
	int fd, other = temp_file(dir), ret;
	unsigned long off, wrong = 0;

	if (!fail_setup(self->size, 100))
		SKIP(return, "no " FAIL_PAGE_ALLOC);
	snprintf(path, sizeof(path), "%s/pagesize.XXXXXX", dir);
	fd = mkstemp(path);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, other);
	interleave(fd, other, size);
	for (off = 0; off < size; off += K) {
		fill(buf, K, off);
		ASSERT_EQ(K, pwrite(other, buf, K, off));
	}
	ASSERT_EQ(0, fsync(other));
	close(fd);
	if (!swap_to(path, size)) {
		unlink(path);
		SKIP(return, "this file cannot be swapped to");
	}
	cgroup = new_cgroup(64 * SZ_1M, true);
	ret = cgroup ? run_child(variant->shift, "extents", self->text, cgroup,
				 NULL) : KSFT_SKIP;
	EXPECT_EQ(0, swapoff(path));
	unlink(path);
	if (cgroup)
		EXPECT_EQ(0, rmdir(cgroup));
	/* Nor has what was swapped come into a file beside it. */
	EXPECT_EQ(0, posix_fadvise(other, 0, 0, POSIX_FADV_DONTNEED));
	for (off = 0; off < size; off += K)
		wrong += pread(other, buf, K, off) != (ssize_t)K ||
			 !filled(buf, K, off);
	EXPECT_EQ(0, wrong);
	close(other);
	free(buf);
	if (ret == KSFT_SKIP)
		SKIP(return, "no cgroup, or skipped in the child");
	EXPECT_EQ(0, ret);
}

TEST_F_TIMEOUT(pages, partial_swapped, 120)
{
	test_in_pieces(_metadata, variant->shift, self->size, self->text,
		       "partial");
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

/* The last process page of a file, locked: what the file has of it is there. */
static void lock_end(int fd)
{
	const unsigned long P = page_size(), K = kernel_page_size();
	const off_t size = lseek(fd, 0, SEEK_END), off = size / P * P;
	char *p = mmap(NULL, P, PROT_READ, MAP_PRIVATE, fd, off);

	CHECK(p != MAP_FAILED && !mlock(p, P));
	CHECK(smaps_kb(p, "Rss") == (long)((size - off + K - 1) / K * K) >> 10);
	munmap(p, P);
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
	lock_end(fd);
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
	{ "buffers", child_buffers },
	{ "cut", child_cut },
	{ "tail", child_tail },
	{ "segment", child_segment },
	{ "willneed", child_willneed },
	{ "half", child_half },
	{ "partial", child_partial },
	{ "compacted", child_compacted },
	{ "collapsed", child_collapsed },
	{ "swap-file", child_swap_file },
	{ "extents", child_extents },
	{ "others", child_others },
	{ "overcommit", child_overcommit },
	{ }
};

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
