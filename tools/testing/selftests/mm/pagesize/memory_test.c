// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of processes with their own page size: that it holds what was written,
 * and what processes with different sizes do to each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"
#include "pagesize_system.h"

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE	67
#endif

/* Its interface is in kernel pages: refused where those are not the process's. */
static void check_userfaultfd(char *p)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (unsigned long)p, page_size() },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (fd < 0) {
		printf("# no userfaultfd: %s\n", strerror(errno));
		return;
	}
	CHECK(!ioctl(fd, UFFDIO_API, &api));
	if (page_size() == kernel_page_size())
		CHECK(!ioctl(fd, UFFDIO_REGISTER, &reg));
	else
		CHECK(ioctl(fd, UFFDIO_REGISTER, &reg) == -1 &&
		      errno == EOPNOTSUPP);
	close(fd);
}

static void child_anon(int argc, char **argv)
{
	unsigned long P = page_size(), i;
	char *p = map_anon(16 * P, MAP_PRIVATE);
	int status;
	pid_t pid;

	if (!CHECK(p != MAP_FAILED))
		return;
	check_userfaultfd(p);
	CHECK(all_zero(p, 16 * P));
	fill(p, 16 * P, 1);

	/* Copy on write, both ways, in parts. */
	pid = fork();
	if (!pid) {
		fill(p + P, P, 7);
		p[3 * P] = 9;
		_exit(!(filled(p, P, 1) && filled(p + P, P, 7) &&
			filled(p + 3 * P + 512, P - 512, 1 + 3 * P + 512)));
	}
	fill(p + 5 * P, 512, 5);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(filled(p, 5 * P, 1));
	fill(p + 5 * P, 512, 1 + 5 * P);
	CHECK(filled(p, 16 * P, 1));

	/* Holes, moves, and pieces with other rights. */
	CHECK(!munmap(p + 2 * P, P));
	CHECK(mremap(p + 4 * P, 2 * P, 4 * P, MREMAP_MAYMOVE) != MAP_FAILED);
	CHECK(!mprotect(p + 8 * P, 2 * P, PROT_READ));
	CHECK(!mprotect(p + 8 * P, P, PROT_READ | PROT_WRITE));
	for (i = 0; i < 16; i++) {
		if (i == 2 || i == 4 || i == 5)
			continue;
		CHECK(filled(p + i * P, P, 1 + i * P));
	}
	CHECK(!madvise(p + 8 * P, P, MADV_DONTNEED));
	CHECK(all_zero(p + 8 * P, P));
	CHECK(filled(p + 9 * P, P, 1 + 9 * P));
}

static void child_remap(int argc, char **argv)
{
	unsigned long P = page_size();
	char *room = map_anon(64 * P, MAP_PRIVATE), *p;

	p = map_anon(4 * P, MAP_PRIVATE);
	fill(p, 4 * P, 3);
	CHECK(mremap(p, 4 * P, 4 * P, MREMAP_MAYMOVE | MREMAP_FIXED,
		     room + P) == room + P);
	CHECK(filled(room + P, 4 * P, 3));
	/* Shrink, grow again: the new part is zero. */
	CHECK(mremap(room + P, 4 * P, 2 * P, 0) == room + P);
	CHECK(filled(room + P, 2 * P, 3));
	p = mremap(room + P, 2 * P, 8 * P, MREMAP_MAYMOVE);
	CHECK(p != MAP_FAILED);
	CHECK(filled(p, 2 * P, 3));
	CHECK(all_zero(p + 2 * P, 6 * P));
}

static void file_rows(int fd)
{
	unsigned long P = page_size();
	char *shared, *private, *word;
	unsigned long value;

	CHECK(!ftruncate(fd, 4 * P));
	shared = mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, P);
	if (!CHECK(shared != MAP_FAILED) || !CHECK(private != MAP_FAILED))
		return;
	fill(shared, 4 * P, 11);
	CHECK(filled(private, 2 * P, 11 + P));
	/* What is written to the private mapping stays there. */
	word = private + P - 512;
	*(unsigned long *)word = 99;
	CHECK(*(unsigned long *)(shared + 2 * P - 512) == 11 + 2 * P - 512);
	CHECK(pread(fd, &value, 8, 2 * P - 512) == 8);
	CHECK(value == 11 + 2 * P - 512);
	/* write() is seen in the shared one, at each 4K line. */
	for (value = 0; value < 4 * P; value += SZ_4K) {
		CHECK(pwrite(fd, &value, 8, value) == 8);
		CHECK(*(unsigned long *)(shared + value) == value);
	}
	CHECK(!msync(shared, 4 * P, MS_SYNC));
	CHECK(!munmap(shared, 4 * P));
	CHECK(!munmap(private, 2 * P));
}

static void child_files(int argc, char **argv)
{
	const char *const dirs[] = {
		"/tmp", "/dev/shm", getenv("TMPDIR") ?: "/var/tmp",
	};
	size_t i;
	int fd;

	fd = syscall(__NR_memfd_create, "pagesize", 0);
	CHECK(fd >= 0);
	file_rows(fd);
	close(fd);
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		fd = temp_file(dirs[i]);
		if (fd < 0) {
			printf("# no files in %s\n", dirs[i]);
			continue;
		}
		file_rows(fd);
		close(fd);
	}
}

/* A vector with a byte for each process page, and not one more. */
static void child_mincore(int argc, char **argv)
{
	unsigned long P = page_size(), nr, i;
	unsigned char *vec, *end;
	char *p;

	p = map_anon(64 * P, MAP_PRIVATE);
	end = (unsigned char *)map_anon(2 * P, MAP_PRIVATE) + P;
	CHECK(p != MAP_FAILED);
	memset(p, 1, 64 * P);
	/* The vector ends where its mapping ends. */
	CHECK(!munmap(end, P));
	for (nr = 0; nr <= 64; nr = nr * 2 + 1) {
		vec = end - nr;
		memset(end - 128, 0x5a, 128);
		CHECK(!mincore(p, nr * P, vec));
		for (i = 0; i < nr; i++)
			CHECK(vec[i] & 1);
		for (i = 1; i <= 128 - nr; i++)
			if (!CHECK(vec[-i] == 0x5a))
				break;
		if (nr) {
			/* A little more needs a byte more. */
			CHECK(mincore(p, nr * P + 1, vec) == -1 &&
			      errno == EFAULT);
			CHECK(!mincore(p, nr * P - 1, vec));
		}
	}
	/* A page of anonymous memory is in memory as soon as a byte of it is. */
	p = map_anon(2 * P, MAP_PRIVATE);
	p[2 * P - 1] = 1;
	CHECK(!mincore(p, 2 * P, end - 2));
	CHECK(!(end[-2] & 1) && (end[-1] & 1));
	/* In the middle of one: the neighbours stay. */
	vec = end - 64;
	memset(vec, 0x5a, 64);
	CHECK(!mincore(p, 2 * P, vec + 8));
	CHECK(vec[7] == 0x5a && vec[10] == 0x5a);
	CHECK(!mincore(p + SZ_4K, P, vec) == (P == SZ_4K));
}

static void child_shm(int argc, char **argv)
{
	static const unsigned long sizes[] = {
		1, SZ_4K, SZ_4K + 1, SZ_64K - 1, SZ_64K, 3 * SZ_64K + SZ_4K,
	};
	unsigned long P = page_size(), len;
	struct shmid_ds ds;
	struct mapping m;
	char *p, *q;
	size_t i;
	int id;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		len = (sizes[i] + P - 1) / P * P;
		id = shmget(IPC_PRIVATE, sizes[i], IPC_CREAT | 0600);
		if (!CHECK(id >= 0))
			return;
		p = shmat(id, NULL, 0);
		CHECK(p != (void *)-1 && (unsigned long)p % P == 0);
		CHECK(mapping_at(p, &m));
		CHECK(m.start == (unsigned long)p && m.end - m.start == len);
		memset(p, 0x33, sizes[i]);
		q = shmat(id, NULL, SHM_RDONLY);
		CHECK(q != (void *)-1 && !memcmp(p, q, sizes[i]));
		CHECK(!shmctl(id, IPC_STAT, &ds));
		CHECK(ds.shm_segsz == sizes[i] && ds.shm_nattch == 2);
		CHECK(shmdt(p + SZ_4K) == -1 && errno == EINVAL);
		CHECK(!shmdt(p));
		CHECK(!mapping_at(p, &m));
		CHECK(!mapping_at(p + len - 1, &m));
		CHECK(!shmdt(q));
		/* At an address, exact and rounded. */
		p = map_anon(len + 2 * P, MAP_PRIVATE);
		CHECK(!munmap(p, len + 2 * P));
		CHECK(shmat(id, p + P, 0) == p + P);
		CHECK(!shmdt(p + P));
		CHECK(shmat(id, p + P + P / 2, SHM_RND) == p + P);
		CHECK(*(p + P) == 0x33);
		CHECK(!shmdt(p + P));
		CHECK(shmat(id, p + P + P / 2, 0) == (void *)-1 &&
		      errno == EINVAL);
		CHECK(!shmctl(id, IPC_STAT, &ds) && !ds.shm_nattch);
		CHECK(!shmctl(id, IPC_RMID, NULL));
	}
}

static void *thread_sum(void *arg)
{
	unsigned long P = page_size(), i;
	char *p = map_anon(8 * P, MAP_PRIVATE);

	for (i = 0; i < 20; i++) {
		fill(p, 8 * P, i);
		if (!filled(p, 8 * P, i))
			return arg;
		madvise(p, 8 * P, MADV_DONTNEED);
	}
	munmap(p, 8 * P);
	return NULL;
}

static void child_threads(int argc, char **argv)
{
	pthread_t thread[4];
	void *bad;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(thread); i++)
		CHECK(!pthread_create(&thread[i], NULL, thread_sum, thread));
	for (i = 0; i < ARRAY_SIZE(thread); i++) {
		CHECK(!pthread_join(thread[i], &bad));
		CHECK(!bad);
	}
}

/*
 * Partner of the tester: share its memfd, answer on its pipe. argv: the memfd,
 * its size, where to read, where to write.
 */
static void child_partner(int argc, char **argv)
{
	int fd = atoi(argv[1]), in = atoi(argv[3]), out = atoi(argv[4]);
	unsigned long size = strtoul(argv[2], NULL, 10);
	char *shared, *own, c = 'x';
	uint32_t *word;

	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	own = map_anon(size, MAP_PRIVATE);
	if (!CHECK(shared != MAP_FAILED) || !CHECK(own != MAP_FAILED))
		return;
	fill(own, size, 77);
	CHECK(filled(shared, size, 21));
	fill(shared, size, 22);
	/* A futex in memory that both have. */
	word = (uint32_t *)(shared + size - 8);
	*word = 1;
	/* Tell where our own memory is. */
	CHECK(write(out, &own, sizeof(own)) == sizeof(own));
	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == 1)
		syscall(__NR_futex, word, FUTEX_WAIT, 1, NULL, NULL, 0);
	CHECK(__atomic_load_n(word, __ATOMIC_SEQ_CST) == 2);
	CHECK(read(in, &c, 1) == 1);
	CHECK(filled(own, size, 77));
}

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif

/* Bits of an entry of /proc/PID/pagemap. */
#define PM_PFN		0x007fffffffffffffULL
#define PM_GUARD	0x0400000000000000ULL
#define PM_FILE		0x2000000000000000ULL
#define PM_PRESENT	0x8000000000000000ULL

/* Read @n entries for pages of this process's size at @p of @pid. */
static ssize_t read_pagemap(pid_t pid, const void *p, uint64_t *entries,
			    unsigned long n)
{
	char path[32];
	ssize_t ret;
	int fd, err;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ret = pread(fd, entries, n * 8, (unsigned long)p / page_size() * 8);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

/* Regions of present pages in @len bytes at @p, or -1. */
static int scan_pagemap(pid_t pid, const char *p, unsigned long len,
			unsigned long max_pages, struct page_region *regions,
			unsigned long n, unsigned long *end)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = (unsigned long)p,
		.end = (unsigned long)p + len,
		.vec = (unsigned long)regions,
		.vec_len = n,
		.max_pages = max_pages,
		.category_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT,
	};
	char path[32];
	int ret, fd, err;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ret = ioctl(fd, PAGEMAP_SCAN, &arg);
	err = errno;
	close(fd);
	errno = err;
	*end = arg.walk_end;
	return ret;
}

static bool region_is(const struct page_region *r, char *start, char *end)
{
	return r->start == (unsigned long)start && r->end == (unsigned long)end;
}

/* An entry for each page of the reader, in more than one page table, too. */
static void child_pagemap(int argc, char **argv)
{
	unsigned long P = page_size(), n = (2UL << 20) / P + 5, i, end;
	struct page_region r[8];
	uint64_t *entry = calloc(n, sizeof(*entry));
	char *p = map_anon(n * P, MAP_PRIVATE), *file;
	int fd;

	if (!CHECK(p != MAP_FAILED && entry))
		return;
	madvise(p, n * P, MADV_NOHUGEPAGE);
	for (i = 0; i < n; i += 3)
		p[i * P + P / 2] = 1;
	CHECK(load_signal(p + P) == 0);
	CHECK(!madvise(p + 2 * P, P, MADV_GUARD_INSTALL));
	CHECK(read_pagemap(getpid(), p, entry, n) == n * 8);
	for (i = 0; i < n; i++) {
		if (!CHECK(!!(entry[i] & PM_PRESENT) == (i % 3 == 0 || i == 1)))
			return;
		CHECK(!(entry[i] & PM_FILE));
		CHECK(!!(entry[i] & PM_GUARD) == (i == 2));
		if (entry[i] & PM_PRESENT)
			CHECK(kernel_page_size() == P ||
			      (entry[i] & PM_PFN) %
			      (P / kernel_page_size()) == 0);
	}
	/* Whole entries, at a place of its own. */
	CHECK(read_pagemap(getpid(), p + 3 * P, entry, 1) == 8);
	CHECK(entry[0] & PM_PRESENT);

	/* What is of a file, and where nothing is mapped. */
	fd = temp_file(NULL);
	CHECK(!ftruncate(fd, 2 * P));
	file = mmap(NULL, 2 * P, PROT_READ, MAP_PRIVATE, fd, 0);
	if (CHECK(file != MAP_FAILED)) {
		CHECK(load_signal(file + P) == 0);
		CHECK(read_pagemap(getpid(), file + P, entry, 1) == 8);
		CHECK((entry[0] & (PM_PRESENT | PM_FILE)) ==
		      (PM_PRESENT | PM_FILE));
	}
	close(fd);
	CHECK(!munmap(p + 9 * P, P));
	CHECK(read_pagemap(getpid(), p + 9 * P, entry, 2) == 16);
	CHECK(entry[0] == 0 && !(entry[1] & PM_PRESENT));

	/* The scan: regions, the limit in pages, and where it goes on. */
	CHECK(scan_pagemap(getpid(), p, 9 * P, 0, r, 8, &end) == 3);
	CHECK(region_is(&r[0], p, p + 2 * P));
	CHECK(region_is(&r[1], p + 3 * P, p + 4 * P));
	CHECK(region_is(&r[2], p + 6 * P, p + 7 * P));
	CHECK(end == (unsigned long)p + 9 * P);
	CHECK(scan_pagemap(getpid(), p, 9 * P, 1, r, 8, &end) == 1);
	CHECK(region_is(&r[0], p, p + P));
	CHECK(end == (unsigned long)p + P);
	CHECK(scan_pagemap(getpid(), p + P, 8 * P, 2, r, 8, &end) == 2);
	CHECK(region_is(&r[0], p + P, p + 2 * P));
	CHECK(region_is(&r[1], p + 3 * P, p + 4 * P));
	/* The end is rounded up to a page, the start must be at one. */
	CHECK(scan_pagemap(getpid(), p, 1, 0, r, 8, &end) == 1);
	CHECK(region_is(&r[0], p, p + P));
	CHECK(end == (unsigned long)p + P);
	CHECK(scan_pagemap(getpid(), p, P, ~0UL, r, 8, &end) == 1);
	CHECK(scan_pagemap(getpid(), p + P / 2, P, 0, r, 8, &end) == -1 &&
	      errno == EINVAL);
}

/* The page map of process @argv[2], which has pages of @argv[3], at @argv[4]. */
static void child_pagemap_of(int argc, char **argv)
{
	unsigned long P = page_size(), theirs = strtoul(argv[3], NULL, 0);
	char *p = (char *)strtoul(argv[4], NULL, 0);
	pid_t pid = atoi(argv[2]);
	struct page_region r;
	uint64_t entry[2];
	unsigned long end;

	if (theirs < P) {
		/* Pages of which each part is mapped by its own. */
		CHECK(read_pagemap(pid, p, entry, 1) == -1 &&
		      errno == EOPNOTSUPP);
		CHECK(scan_pagemap(pid, p, P, 0, &r, 1, &end) == -1 &&
		      errno == EOPNOTSUPP);
		return;
	}
	/* A part of their page is as the whole. */
	p += theirs - P;
	CHECK(read_pagemap(pid, p, entry, 2) == 16);
	CHECK(entry[0] & PM_PRESENT);
	CHECK(!(entry[1] & PM_PRESENT));
	CHECK(scan_pagemap(pid, p, 2 * P, 0, &r, 1, &end) == 1);
	CHECK(region_is(&r, p, p + P));
}

#define ZEROES		32

/* The number of the frame that untouched memory is read from, or 0. */
static uint64_t zero_frame(void)
{
	char *p = map_anon(page_size(), MAP_PRIVATE);
	uint64_t entry = 0;

	if (!load_signal(p))
		read_pagemap(getpid(), p, &entry, 1);
	munmap(p, page_size());
	return entry & PM_PRESENT ? entry & PM_PFN : 0;
}

/*
 * Untouched memory that was read. Processes with the kernel's page have the one
 * page @argv[2] for all of it, the others a block of zeroes for each page.
 */
static void child_zeroes(int argc, char **argv)
{
	const unsigned long P = page_size(), K = kernel_page_size();
	const uint64_t single = strtoull(argv[2], NULL, 0);
	char pid[16], at[24], first[24], size[24];
	uint64_t entry[ZEROES], pfn;
	unsigned long i;
	char *p;

	p = map_anon(ZEROES * P, MAP_PRIVATE);
	if (!CHECK(p != MAP_FAILED))
		return;
	/* Not the huge one. */
	madvise(p, ZEROES * P, MADV_NOHUGEPAGE);
	for (i = 0; i < ZEROES; i++)
		CHECK(load_signal(p + i * P + i * SZ_4K % P) == 0);
	CHECK(read_pagemap(getpid(), p, entry, ZEROES) == ZEROES * 8);
	pfn = entry[0] & PM_PFN;
	for (i = 0; i < ZEROES; i++)
		if (!CHECK(entry[i] & PM_PRESENT) ||
		    !CHECK((entry[i] & PM_PFN) == pfn))
			break;
	CHECK(smaps_kb(p, "Rss") == 0);
	if (P == K) {
		CHECK(pfn == single);
	} else {
		CHECK(pfn % (P / K) == 0);
		CHECK(single < pfn || single >= pfn + P / K);
	}
	/* What each is for a process with the kernel's page. */
	snprintf(pid, sizeof(pid), "%d", getpid());
	snprintf(at, sizeof(at), "%p", p);
	snprintf(first, sizeof(first), "%#llx", (unsigned long long)pfn);
	snprintf(size, sizeof(size), "%lu", P);
	CHECK(run_child(DEFAULT_SIZE, "zero-parts", pid, at, size, first,
			NULL) == 0);
	CHECK(!demoted());
}

/* The kernel pages of the process pages of @argv[1], at @argv[2]. */
static void child_zero_parts(int argc, char **argv)
{
	const unsigned long theirs = strtoul(argv[3], NULL, 0);
	const unsigned long P = page_size(), n = ZEROES * theirs / P;
	const char *p = (const char *)strtoul(argv[2], NULL, 0);
	const uint64_t first = strtoull(argv[4], NULL, 0);
	uint64_t *entry = calloc(n, sizeof(*entry));
	unsigned long i;

	CHECK(read_pagemap(atoi(argv[1]), p, entry, n) == (ssize_t)n * 8);
	for (i = 0; i < n; i++)
		if (!CHECK(entry[i] & PM_PRESENT) ||
		    !CHECK((entry[i] & PM_PFN) == first + i % (theirs / P)))
			break;
	/* Ours is not among them, as long as we are not of that kind. */
	if (theirs != P)
		CHECK(zero_frame() < first ||
		      zero_frame() >= first + theirs / P);
	else
		CHECK(zero_frame() == first);
	free(entry);
}

#define KSM		"/sys/kernel/mm/ksm/"

static unsigned long read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned long number = 0;

	if (f && fscanf(f, "%lu", &number) != 1)
		number = 0;
	if (f)
		fclose(f);
	return number;
}

/* Pages of this process that are merged. */
static unsigned long merged(void)
{
	return read_number("/proc/self/ksm_merging_pages");
}

/*
 * Wait until everything has been looked at a few times, and more than @enough
 * pages are merged if some are to be.
 */
static bool wait_for_scans(unsigned long enough, bool merges)
{
	unsigned long scans = read_number(KSM "full_scans"), tries, now = scans;

	for (tries = 0; tries < 2000; tries++) {
		now = read_number(KSM "full_scans");
		/* One is under way, one to look, and two that may merge. */
		if (merges ? merged() > enough : now > scans + 4)
			return true;
		usleep(10000);
	}
	printf("# %lu scans, %lu pages merged\n", now - scans, merged());
	return false;
}

/* Pages that are alike, which KSM has to leave alone if they are large. */
static void child_ksm(int argc, char **argv)
{
	const unsigned long P = page_size(), n = 8;
	const bool merges = page_size() == kernel_page_size();
	unsigned long round, before, i;
	char *p;

	for (round = 0; round < 2; round++) {
		before = merged();
		if (round && prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0)) {
			printf("# no PR_SET_MEMORY_MERGE\n");
			return;
		}
		p = map_anon(n * P, MAP_PRIVATE);
		if (!round)
			CHECK(!madvise(p, n * P, MADV_MERGEABLE));
		for (i = 0; i < n; i++)
			fill(p + i * P, P, 31 + round);
		CHECK(wait_for_scans(before, merges));
		CHECK(merges ? merged() > before : merged() == 0);
		for (i = 0; i < n; i++)
			CHECK(filled(p + i * P, P, 31 + round));
		/* Copied, if it is merged. */
		fill(p + P, P, 33);
		CHECK(filled(p, P, 31 + round));
		CHECK(filled(p + P, P, 33));
		CHECK(filled(p + 2 * P, P, 31 + round));
		CHECK(!demoted());
	}
}

static const struct child children[] = {
	{ "anon", child_anon },
	{ "remap", child_remap },
	{ "files", child_files },
	{ "mincore", child_mincore },
	{ "shm", child_shm },
	{ "threads", child_threads },
	{ "partner", child_partner },
	{ "pagemap", child_pagemap },
	{ "pagemap_of", child_pagemap_of },
	{ "zeroes", child_zeroes },
	{ "zero-parts", child_zero_parts },
	{ "ksm", child_ksm },
	{ }
};

TEST_F(pages, anon)
{
	EXPECT_CHILD("anon");
}

TEST_F(pages, remap)
{
	EXPECT_CHILD("remap");
}

TEST_F(pages, files)
{
	EXPECT_CHILD("files");
}

TEST_F(pages, mincore)
{
	EXPECT_CHILD("mincore");
}

TEST_F(pages, shm)
{
	EXPECT_CHILD("shm");
}

TEST_F(pages, threads)
{
	EXPECT_CHILD("threads");
}

TEST_F(pages, pagemap)
{
	EXPECT_CHILD("pagemap");
}

/* A child looks at the page map of its parent. */
TEST_F(pages, pagemap_of)
{
	char pid[16], size[16], at[24];
	char *p = map_anon(3 * SZ_64K, MAP_PRIVATE);

	ASSERT_NE(MAP_FAILED, p);
	p = (char *)(((unsigned long)p + SZ_64K - 1) & ~(SZ_64K - 1));
	p[0] = 1;
	snprintf(pid, sizeof(pid), "%d", getpid());
	snprintf(size, sizeof(size), "%lu", page_size());
	snprintf(at, sizeof(at), "%p", p);
	EXPECT_CHILD("pagemap_of", pid, size, at);
}

TEST_F(pages, zeroes)
{
	char frame[24];

	if (!zero_frame())
		SKIP(return, "needs root: the numbers of frames");
	if (page_size() != kernel_page_size())
		SKIP(return, "has another page than the kernel itself");
	snprintf(frame, sizeof(frame), "%#llx",
		 (unsigned long long)zero_frame());
	EXPECT_CHILD("zeroes", frame);
}

/* While it works, as pages of this process that are alike tell. */
TEST_F_TIMEOUT(pages, ksm, 180)
{
	const struct {
		const char *path;
		unsigned long value;
	} settings[] = {
		{ KSM "sleep_millisecs", 10 },
		{ KSM "pages_to_scan", 2000 },
		{ KSM "run", 1 },
	};
	const unsigned long P = page_size();
	unsigned long old[ARRAY_SIZE(settings)];
	char *p = map_anon(2 * P, MAP_PRIVATE);
	unsigned int i;

	if (geteuid() || access(KSM "run", W_OK) ||
	    madvise(p, 2 * P, MADV_MERGEABLE))
		SKIP(return, "no KSM, or not root");
	if (kernel_page_size() != P)
		SKIP(return, "has another page than the kernel itself");
	fill(p, P, 34);
	fill(p + P, P, 34);
	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		old[i] = read_number(settings[i].path);
		EXPECT_TRUE(put_number(settings[i].path, settings[i].value));
	}
	EXPECT_TRUE(wait_for_scans(0, true));
	EXPECT_CHILD("ksm");
	EXPECT_LT(0, merged());
	/* What is merged stays so, unless it is told to give it up. */
	if (!old[ARRAY_SIZE(settings) - 1])
		EXPECT_TRUE(put_number(KSM "run", 2));
	while (i--)
		EXPECT_TRUE(put_number(settings[i].path, old[i]));
}

/* A partner with another page size, or with the same. */
FIXTURE(partner) {
	unsigned long size, len;
	int fd, to, from;
	char *shared, *theirs;
	pid_t pid;
};

FIXTURE_VARIANT(partner) {
	unsigned int shift;
};

FIXTURE_VARIANT_ADD(partner, 4k) { .shift = 12 };
FIXTURE_VARIANT_ADD(partner, 16k) { .shift = 14 };
FIXTURE_VARIANT_ADD(partner, 64k) { .shift = 16 };

FIXTURE_SETUP(partner)
{
	char fd[16], len[24], in[16], out[16];
	const char *const argv[] = { "partner", fd, len, in, out, NULL };
	int in_fds[2], out_fds[2];

	self->pid = -1;
	if (!size_offered(variant->shift))
		SKIP(return, "page size not offered");
	self->size = 1UL << variant->shift;
	self->len = 8 * SZ_64K;
	self->fd = syscall(__NR_memfd_create, "partner", 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, self->len));
	self->shared = mmap(NULL, self->len, PROT_READ | PROT_WRITE, MAP_SHARED,
			    self->fd, 0);
	ASSERT_NE(MAP_FAILED, self->shared);
	fill(self->shared, self->len, 21);

	ASSERT_EQ(0, pipe(in_fds));
	ASSERT_EQ(0, pipe(out_fds));
	snprintf(fd, sizeof(fd), "%d", self->fd);
	snprintf(len, sizeof(len), "%lu", self->len);
	snprintf(in, sizeof(in), "%d", in_fds[0]);
	snprintf(out, sizeof(out), "%d", out_fds[1]);
	ASSERT_EQ(0, fcntl(in_fds[1], F_SETFD, FD_CLOEXEC));
	self->pid = start_child(variant->shift, argv, NULL);
	ASSERT_LT(0, self->pid);
	close(in_fds[0]);
	close(out_fds[1]);
	self->to = in_fds[1];
	self->from = out_fds[0];
	ASSERT_EQ(sizeof(self->theirs),
		  read(self->from, &self->theirs, sizeof(self->theirs)));
}

FIXTURE_TEARDOWN(partner)
{
	uint32_t *word;

	if (self->pid <= 0)
		return;
	word = (uint32_t *)(self->shared + self->len - 8);
	__atomic_store_n(word, 2, __ATOMIC_SEQ_CST);
	syscall(__NR_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
	EXPECT_EQ(1, write(self->to, "x", 1));
	EXPECT_EQ(0, finish_child(self->pid));
}

TEST_F(partner, shared_memory)
{
	EXPECT_TRUE(filled(self->shared, self->len - 512, 22));
}

TEST_F(partner, sizes)
{
	EXPECT_EQ(self->size, status_page_size(self->pid));
	EXPECT_EQ(page_size(), status_page_size(0));
}

TEST_F(partner, process_vm_readv)
{
	struct iovec local, remote;
	char *copy;

	copy = map_anon(self->len, MAP_PRIVATE);
	local = (struct iovec){ copy, self->len };
	remote = (struct iovec){ self->theirs, self->len };
	EXPECT_EQ(self->len, process_vm_readv(self->pid, &local, 1, &remote, 1,
					      0));
	EXPECT_TRUE(filled(copy, self->len, 77));
	/* From anywhere to anywhere. */
	local = (struct iovec){ copy + 100, SZ_64K };
	remote = (struct iovec){ self->theirs + SZ_4K + 12, SZ_64K };
	EXPECT_EQ(SZ_64K, process_vm_readv(self->pid, &local, 1, &remote, 1, 0));
}

TEST_F(partner, proc_mem)
{
	unsigned long value;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", self->pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(8, pread(fd, &value, 8, (off_t)self->theirs + SZ_4K));
	EXPECT_EQ(77 + SZ_4K, value);
	EXPECT_EQ(8, pwrite(fd, &value, 8, (off_t)self->theirs + SZ_4K));
	close(fd);
}

TEST_F(partner, ptrace)
{
	long value;
	int status;

	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, self->pid, NULL, NULL));
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	errno = 0;
	value = ptrace(PTRACE_PEEKDATA, self->pid, self->theirs + 1024, NULL);
	EXPECT_EQ(0, errno);
	EXPECT_EQ(77 + 1024, value);
	EXPECT_EQ(0, ptrace(PTRACE_POKEDATA, self->pid, self->theirs + 1024,
			    value));
	EXPECT_EQ(0, ptrace(PTRACE_DETACH, self->pid, NULL, NULL));
}

/* Advice on another process counts in that process's pages. */
TEST_F(partner, process_madvise)
{
	static const unsigned long offs[] = { 1, SZ_4K, 4 * SZ_4K, 8 * SZ_4K };
	struct iovec vec;
	unsigned int i;
	int pidfd, ret;

	pidfd = syscall(__NR_pidfd_open, self->pid, 0);
	ASSERT_LE(0, pidfd);
	vec = (struct iovec){ self->theirs, self->len };
	ret = syscall(__NR_process_madvise, pidfd, &vec, 1L, MADV_COLD, 0);
	if (ret < 0 && errno == EPERM)
		SKIP(return, "needs privileges: process_madvise");
	EXPECT_EQ(self->len, ret);
	for (i = 0; i < ARRAY_SIZE(offs); i++) {
		vec = (struct iovec){ self->theirs + offs[i], self->size };
		errno = 0;
		ret = syscall(__NR_process_madvise, pidfd, &vec, 1L, MADV_COLD,
			      0);
		if (offs[i] % self->size) {
			EXPECT_EQ(-1, ret);
			EXPECT_EQ(EINVAL, errno);
		} else {
			EXPECT_EQ(self->size, ret);
		}
	}
	close(pidfd);
}

/* The tester itself goes on with the pages that it has. */
TEST_F(partner, bystander)
{
	unsigned long P = page_size();
	struct mapping m;
	char *p;

	p = map_anon(4 * P, MAP_PRIVATE);
	ASSERT_NE(MAP_FAILED, p);
	fill(p, 4 * P, 1);
	EXPECT_EQ(0, mprotect(p + P, P, PROT_READ));
	ASSERT_TRUE(mapping_at(p + P, &m));
	EXPECT_EQ((unsigned long)p + P, m.start);
	EXPECT_EQ((unsigned long)p + 2 * P, m.end);
	EXPECT_EQ(0, munmap(p + 2 * P, P));
	EXPECT_TRUE(filled(p, 2 * P, 1));
	EXPECT_TRUE(filled(p + 3 * P, P, 1 + 3 * P));
	/* Of what is shared, too. */
	EXPECT_EQ(0, mprotect(self->shared + P, P, PROT_READ));
	EXPECT_EQ(0, munmap(self->shared + 2 * P, P));
	EXPECT_EQ(P, sysconf(_SC_PAGESIZE));
	EXPECT_TRUE(filled(self->shared + 3 * P, self->len - 3 * P - 512,
			   22 + 3 * P));
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
