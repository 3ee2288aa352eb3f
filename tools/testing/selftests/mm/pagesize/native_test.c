// SPDX-License-Identifier: GPL-2.0
/*
 * Native page tables: the hardware works with the page size of the process,
 * whatever the process does to its memory, and what it reads is right.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/if_packet.h>
#include <linux/mman.h>

#include "pagesize.h"
#include "pagesize_fixture.h"

#define P	page_size()

/*
 * HardwarePageSize in kB; skips the test where the CPU has no such granule. A
 * process whose page is the kernel's has no such line.
 */
static long hardware_kb(void)
{
	char line[256], *why = NULL;
	long kb = P >> 10;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "HardwarePageSize: %ld kB", &kb) != 1)
			continue;
		why = strchr(line, '(');
		if (why && !strncmp(why, "(no granule)", 12)) {
			fclose(f);
			child_skip("the hardware has no such granule here");
		}
		break;
	}
	if (f)
		fclose(f);
	return kb;
}

#define CHECK_NATIVE()	CHECK(hardware_kb() == (long)P >> 10)

static void child_start(int argc, char **argv)
{
	CHECK_NATIVE();
}

/* Every way to change a mapping, with a look at the memory after each. */
static void child_anon(int argc, char **argv)
{
	const size_t len = 64 * P;
	char *p, *q;
	size_t i;
	int status;
	pid_t pid;

	hardware_kb();
	p = map_anon(len, 0);
	CHECK(all_zero(p, len));
	fill(p, len, 1);
	CHECK(filled(p, len, 1));

	pid = fork();
	if (!pid) {
		CHECK(filled(p, len, 1));
		fill(p + len / 4, len / 2, 2);
		CHECK(filled(p + len / 4, len / 2, 2));
		CHECK_NATIVE();
		fflush(stdout);
		_exit(child_failures());
	}
	fill(p + len / 2, len / 2, 3);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(filled(p, len / 2, 1));
	CHECK(filled(p + len / 2, len / 2, 3));

	CHECK(!mprotect(p, len, PROT_READ));
	CHECK(store_signal(p) == SIGSEGV);
	CHECK(store_signal(p + len - 1) == SIGSEGV);
	CHECK(filled(p, len / 2, 1));
	CHECK(!mprotect(p + P, P, PROT_NONE));
	CHECK(load_signal(p + P) == SIGSEGV);
	CHECK(load_signal(p + 2 * P) == 0);
	CHECK(!mprotect(p, len, PROT_READ | PROT_WRITE));
	fill(p, len, 4);
	CHECK(filled(p, len, 4));

	q = mremap(p, len / 2, len / 2, MREMAP_MAYMOVE | MREMAP_FIXED,
		   map_anon(len, 0));
	CHECK(q != MAP_FAILED);
	CHECK(filled(q, len / 2, 4));
	CHECK(load_signal(p) == SIGSEGV);
	CHECK(*(unsigned long *)(p + len / 2));

	CHECK(!madvise(q, P, MADV_DONTNEED));
	CHECK(all_zero(q, P));
	for (i = 0; i < len / 2; i += 2 * P)
		CHECK(!munmap(q + i, P));
	CHECK(load_signal(q) == SIGSEGV);
	CHECK(load_signal(q + P) == 0);
	CHECK_NATIVE();
}

static void child_file(int argc, char **argv)
{
	const size_t len = 32 * P;
	int fd = temp_file(NULL);
	char *shared, *private;

	hardware_kb();
	CHECK(!ftruncate(fd, len));
	shared = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	fill(shared, len, 5);
	CHECK(filled(private, len, 5));
	fill(private, len / 2, 6);
	CHECK(filled(shared, len, 5));
	CHECK(!msync(shared, len, MS_SYNC));
	/* Clean now: the next store must be noticed. */
	fill(shared, len, 7);
	CHECK(!memcmp(private + len / 2, shared + len / 2, len / 2));
	CHECK(filled(private, len / 2, 6));
	CHECK(!ftruncate(fd, len / 2));
	CHECK(load_signal(shared + len / 2) == SIGBUS);
	CHECK(load_signal(shared + len / 2 - 1) == 0);
	close(fd);
	CHECK_NATIVE();
}

/* A block of 2 MB or so: fork, write, protect, and take parts out of it. */
static void change_block(char *p, size_t len, bool parts)
{
	int status;
	pid_t pid;

	fill(p, len, 1);
	CHECK(filled(p, len, 1));
	pid = fork();
	if (!pid) {
		CHECK(filled(p, len, 1));
		fill(p, len, 2);
		CHECK(filled(p, len, 2));
		CHECK_NATIVE();
		fflush(stdout);
		_exit(child_failures());
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(filled(p, len, 1));
	CHECK(!mprotect(p, len, PROT_READ));
	CHECK(store_signal(p + len - 8) == SIGSEGV);
	CHECK(!mprotect(p, len, PROT_READ | PROT_WRITE));
	fill(p, len, 3);
	CHECK(filled(p, len, 3));
	if (parts) {
		CHECK(!madvise(p + P, P, MADV_DONTNEED));
		CHECK(all_zero(p + P, P));
		CHECK(!munmap(p + 2 * P, P));
		CHECK(load_signal(p + 2 * P) == SIGSEGV);
		CHECK(load_signal(p + 3 * P) == 0);
		CHECK(filled(p, P, 3));
	}
	CHECK_NATIVE();
}

#define DEBUGFS	"/sys/kernel/debug/native_pgtable/"

/*
 * What contiguous entries map in a range, in kB, or -1 where nobody tells
 * (CONFIG_ARM64_NATIVE_PGTABLE_DEBUG, root).
 */
static long contiguous_kb(const char *p, size_t len)
{
	const unsigned long first = (unsigned long)p, last = first + len;
	FILE *f = fopen(DEBUGFS "pid", "w");
	unsigned long start, end;
	char line[256];
	long kb = 0;

	if (!f)
		return -1;
	fprintf(f, "%d", getpid());
	fclose(f);
	f = fopen(DEBUGFS "table", "r");
	if (!CHECK(f))
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!strstr(line, " contiguous") ||
		    sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		if (start < first)
			start = first;
		if (end > last)
			end = last;
		if (start < end)
			kb += (end - start) >> 10;
	}
	fclose(f);
	return kb;
}

/* What of a range the kernel maps in blocks is contiguous for the hardware. */
static void check_contiguous(const char *p, size_t len, long blocks)
{
	const long kb = contiguous_kb(p, len);

	if (kb >= 0 && P > kernel_page_size() && !CHECK(kb == blocks))
		printf("# %ld kB contiguous, not %ld\n", kb, blocks);
}

/* Blocks that the kernel maps as such: transparent, collapsed, and hugetlb. */
static void child_huge(int argc, char **argv)
{
	const size_t len = 4UL << 20;
	char *p, *area;

	hardware_kb();
	area = map_anon(3 * len, 0);
	p = (char *)(((unsigned long)area + len - 1) & ~(len - 1));
	CHECK(!madvise(p, len, MADV_HUGEPAGE));
	*p = 1;
	check_contiguous(p, 2UL << 20, smaps_kb(p, "AnonHugePages"));
	change_block(p, len, true);
	check_contiguous(p, len / 2, 0);

	CHECK(!madvise(p + len, len, MADV_NOHUGEPAGE));
	fill(p + len, len, 4);
	CHECK(!madvise(p + len, len, MADV_HUGEPAGE));
	/* Whether there is memory for it is not our business. */
	madvise(p + len, len, MADV_COLLAPSE);
	CHECK(filled(p + len, len, 4));
	change_block(p + len, len, true);
	CHECK(!munmap(area, 3 * len));

	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
	if (p == MAP_FAILED) {
		printf("# no hugetlb pages of 2 MB\n");
		return;
	}
	change_block(p, len, false);
	CHECK(!munmap(p, len));
}

struct worker {
	pthread_t thread;
	unsigned long seed;
	bool bad;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	for (i = 0; i < 200 && !w->bad; i++) {
		const size_t len = (1 + i % 20) * P;
		char *p = map_anon(len, 0);

		fill(p, len, w->seed + i);
		if (i % 3 == 0)
			mprotect(p, len, PROT_READ);
		if (!filled(p, len, w->seed + i))
			w->bad = true;
		if (i % 7 == 0) {
			pid_t pid = fork();
			int status;

			if (!pid)
				_exit(!filled(p, len, w->seed + i));
			if (waitpid(pid, &status, 0) != pid || status)
				w->bad = true;
		}
		munmap(p, len);
	}
	return NULL;
}

static void child_threads(int argc, char **argv)
{
	struct worker w[8] = {};
	int i;

	hardware_kb();
	for (i = 0; i < 8; i++) {
		w[i].seed = 1000 * i;
		CHECK(!pthread_create(&w[i].thread, NULL, work, w + i));
	}
	for (i = 0; i < 8; i++) {
		pthread_join(w[i].thread, NULL);
		CHECK(!w[i].bad);
	}
	CHECK_NATIVE();
}

/*
 * Memory in kernel pages, each from somewhere else: the ring of a packet socket
 * with blocks of that size. Nothing else makes such without luck.
 */
static char *map_pieces(int *fd)
{
	const unsigned long size = kernel_page_size();
	struct tpacket_req req = {
		.tp_block_size = size,
		.tp_block_nr = 2 * P / size,
		.tp_frame_size = size,
		.tp_frame_nr = 2 * P / size,
	};
	char *p;

	*fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (*fd < 0)
		child_skip("no packet socket (root, CONFIG_PACKET)");
	if (!CHECK(!setsockopt(*fd, SOL_PACKET, PACKET_RX_RING, &req,
			       sizeof(req))))
		return NULL;
	p = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	return CHECK(p != MAP_FAILED) ? p : NULL;
}

static bool stop;

static void *keep_working(void *arg)
{
	struct worker *w = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) && !w->bad)
		work(w);
	return NULL;
}

/* What cannot be whole costs speed, while it is there, and nothing else. */
static void child_demote(int argc, char **argv)
{
	const unsigned long step = kernel_page_size();
	struct worker w[3] = {};
	int i, round, fd;
	size_t off;
	char *p;

	if (hardware_kb() == (long)step >> 10)
		child_skip("the page of the kernel");
	for (i = 0; i < 3; i++) {
		w[i].seed = 1000 * i;
		CHECK(!pthread_create(&w[i].thread, NULL, keep_working, w + i));
	}
	for (round = 0; round < 2; round++) {
		p = map_pieces(&fd);
		if (!p)
			break;
		/* The first word of a frame is its state, and ours so far. */
		for (off = 0; off < 2 * P; off += step)
			*(unsigned long *)(p + off + 64) = off + round;
		CHECK(hardware_kb() == (long)step >> 10);
		for (off = 0; off < 2 * P; off += step)
			CHECK(*(unsigned long *)(p + off + 64) == off + round);
		CHECK(!munmap(p, 2 * P));
		close(fd);
		for (i = 0; i < 200 && hardware_kb() != (long)P >> 10; i++) {
			usleep(100000);
			p = map_anon(P, 0);
			*p = 1;
			munmap(p, P);
		}
		CHECK_NATIVE();
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 3; i++) {
		pthread_join(w[i].thread, NULL);
		CHECK(!w[i].bad);
	}
}

/* Tables go with what they map: one touch in each of many far places. */
static void child_sweep(int argc, char **argv)
{
	const unsigned long step = 1UL << 40;
	unsigned long addr;
	long before, most = 0;

	hardware_kb();
	before = status_kb("VmPTE");
	for (addr = step; addr < 1UL << 46; addr += step) {
		char *p = mmap((void *)addr, P, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS |
			       MAP_FIXED_NOREPLACE, -1, 0);

		if (!CHECK(p == (void *)addr))
			return;
		*p = 1;
		if (status_kb("VmPTE") > most)
			most = status_kb("VmPTE");
		CHECK(!munmap(p, P));
	}
	CHECK(most > before);
	CHECK(status_kb("VmPTE") <= before);
	CHECK_NATIVE();
}

static const struct child children[] = {
	{ "start", child_start },
	{ "anon", child_anon },
	{ "file", child_file },
	{ "huge", child_huge },
	{ "threads", child_threads },
	{ "demote", child_demote },
	{ "sweep", child_sweep },
	{ }
};

TEST_F(pages, start)
{
	EXPECT_CHILD("start");
}

TEST_F(pages, anon)
{
	EXPECT_CHILD("anon");
}

TEST_F(pages, file)
{
	EXPECT_CHILD("file");
}

TEST_F(pages, huge)
{
	/* For both sides of fork(); the child is content without. */
	int fd = open("/proc/sys/vm/nr_hugepages", O_WRONLY);

	if (fd >= 0) {
		EXPECT_EQ(1, write(fd, "8", 1));
		close(fd);
	}
	EXPECT_CHILD("huge");
	fd = open("/proc/sys/vm/nr_hugepages", O_WRONLY);
	if (fd >= 0) {
		EXPECT_EQ(1, write(fd, "0", 1));
		close(fd);
	}
}

TEST_F(pages, threads)
{
	EXPECT_CHILD("threads");
}

TEST_F(pages, demote)
{
	EXPECT_CHILD("demote");
}

TEST_F(pages, sweep)
{
	EXPECT_CHILD("sweep");
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
