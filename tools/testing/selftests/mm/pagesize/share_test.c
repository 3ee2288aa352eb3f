// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that processes with different page sizes share: a file, a memfd, SysV
 * shared memory; and what is shared with a child. Others wait for what is not
 * there by userfaultfd, or have locked or pinned what is.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"
#include "pagesize_system.h"
#include "uring.h"

#define LEN			(16 * SZ_64K)
#define ABSENCE_LEN		(4 * SZ_64K)
#define ROUNDS			8
/* What one process writes in one go; the next is that of another. */
#define GRAIN			1536UL

struct shared {
	unsigned int turn, done;
};

static unsigned long word(unsigned long round, unsigned long off)
{
	return (round + 1) * 0x9e3779b97f4a7c15UL ^ off;
}

static unsigned long checksum(const char *p, size_t len)
{
	unsigned long sum = 0;
	size_t off;

	for (off = 0; off < len; off += 8)
		sum = (sum << 7 | sum >> 57) + *(unsigned long *)(p + off);
	return sum;
}

static unsigned int owner(unsigned long off, unsigned long round,
			  unsigned int nr)
{
	return (off / GRAIN + round) % nr;
}

/* The part of member @me of @nr: every nr-th grain. By stores, by write(). */
static bool write_part(int fd, char *p, unsigned long round, unsigned int me,
		       unsigned int nr)
{
	unsigned long off, i, grain[GRAIN / 8];

	for (off = 0; off + GRAIN <= LEN; off += GRAIN) {
		if (owner(off, round, nr) != me)
			continue;
		for (i = 0; i < GRAIN; i += 8)
			grain[i / 8] = word(round, off + i);
		if (fd < 0 || (off / GRAIN / nr) % 4)
			memcpy(p + off, grain, GRAIN);
		else if (pwrite(fd, grain, GRAIN, off) != GRAIN)
			return false;
	}
	return true;
}

static bool right(const char *p, unsigned long round)
{
	unsigned long off;

	for (off = 0; off < LEN / GRAIN * GRAIN; off += 8) {
		if (*(unsigned long *)(p + off) == word(round, off))
			continue;
		printf("# round %lu, at %#lx: %#lx, not %#lx\n", round, off,
		       *(unsigned long *)(p + off), word(round, off));
		return false;
	}
	return true;
}

static void barrier(struct shared *s, unsigned int nr)
{
	unsigned int turn = __atomic_load_n(&s->turn, __ATOMIC_SEQ_CST);
	unsigned int tries = 0;

	if (__atomic_add_fetch(&s->done, 1, __ATOMIC_SEQ_CST) == nr) {
		__atomic_store_n(&s->done, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&s->turn, turn + 1, __ATOMIC_SEQ_CST);
		return;
	}
	while (__atomic_load_n(&s->turn, __ATOMIC_SEQ_CST) == turn) {
		/* Another one died. */
		if (++tries > 300000)
			exit(99);
		if (tries > 100)
			usleep(100);
		else
			sched_yield();
	}
}

/*
 * All write at once, each its grains, then all look at everything. Between
 * rounds some drop their mappings, so that process pages are mapped anew.
 */
static void rounds(int fd, char *p, struct shared *s, unsigned int me,
		   unsigned int nr)
{
	unsigned long round;

	for (round = 0; round < ROUNDS; round++) {
		CHECK(write_part(fd, p, round, me, nr));
		barrier(s, nr);
		CHECK(right(p, round));
		if (fd >= 0 && !me && round % 3 == 1)
			CHECK(!msync(p, LEN, MS_SYNC));
		if ((round + me) % 3 == 0)
			CHECK(!madvise(p, LEN, MADV_DONTNEED));
		barrier(s, nr);
	}
}

/* argv: kind and number of the memory, which one this is, of how many. */
static void child_member(int argc, char **argv)
{
	int id = atoi(argv[2]), sync = atoi(argv[3]);
	unsigned int me = atoi(argv[4]), nr = atoi(argv[5]);
	bool shm = !strcmp(argv[1], "shm");
	struct shared *s;
	char *p;

	s = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, sync,
		 0);
	p = shm ? shmat(id, NULL, 0) :
		  mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, id, 0);
	if (!CHECK(s != MAP_FAILED) || !CHECK(p != MAP_FAILED))
		return;
	rounds(shm ? -1 : id, p, s, me, nr);
}

FIXTURE(shares) {
	int sync;
};

/* The page sizes of all who share. */
FIXTURE_VARIANT(shares) {
	unsigned int shift[3];
};

FIXTURE_VARIANT_ADD(shares, default) { .shift = { 0, 0, 0 } };
FIXTURE_VARIANT_ADD(shares, 4k_64k) { .shift = { 12, 16, 12 } };
FIXTURE_VARIANT_ADD(shares, 16k_64k) { .shift = { 14, 16, 16 } };
FIXTURE_VARIANT_ADD(shares, all) { .shift = { 12, 14, 16 } };

FIXTURE_SETUP(shares)
{
	int i;

	self->sync = -1;
	for (i = 0; i < 3; i++)
		if (!size_offered(variant->shift[i]))
			SKIP(return, "page size not offered");
	self->sync = syscall(__NR_memfd_create, "sync", 0);
	ASSERT_EQ(0, ftruncate(self->sync, SZ_64K));
}

FIXTURE_TEARDOWN(shares)
{
	if (self->sync >= 0)
		close(self->sync);
}

/* Run all members. Then this process looks, too. */
static int share(const unsigned int *shift, const char *kind, int id, int sync)
{
	char text[4][16];
	const char *const argv[] = {
		"member", kind, text[0], text[1], text[2], text[3], NULL,
	};
	pid_t pid[3];
	int i, bad = 0;

	snprintf(text[0], sizeof(text[0]), "%d", id);
	snprintf(text[1], sizeof(text[1]), "%d", sync);
	snprintf(text[3], sizeof(text[3]), "%d", 3);
	for (i = 0; i < 3; i++) {
		snprintf(text[2], sizeof(text[2]), "%d", i);
		pid[i] = start_child(shift[i], argv, NULL);
	}
	for (i = 0; i < 3; i++)
		bad |= finish_child(pid[i]);
	return bad;
}

static int share_file(const unsigned int *shift, int fd, int sync)
{
	char *p, *buf = map_anon(LEN, 0);
	int bad;

	fcntl(fd, F_SETFD, 0);
	if (ftruncate(fd, LEN))
		return -1;
	p = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return KSFT_SKIP;
	bad = share(shift, "file", fd, sync);
	bad |= !right(p, ROUNDS - 1);
	bad |= pread(fd, buf, LEN, 0) != LEN;
	bad |= checksum(buf, LEN) != checksum(p, LEN);
	/* And what a disk has of it. */
	munmap(p, LEN);
	bad |= fsync(fd);
	drop_page_cache();
	bad |= pread(fd, buf, LEN, 0) != LEN;
	bad |= !right(buf, ROUNDS - 1);
	munmap(buf, LEN);
	return bad;
}

TEST_F(shares, memfd)
{
	int fd = syscall(__NR_memfd_create, "shares", 0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, share_file(variant->shift, fd, self->sync));
	close(fd);
}

TEST_F(shares, file)
{
	int fd = temp_file(NULL), ret;

	ASSERT_LE(0, fd);
	ret = share_file(variant->shift, fd, self->sync);
	close(fd);
	if (ret == KSFT_SKIP)
		SKIP(return, "no shared mappings of files here");
	EXPECT_EQ(0, ret);
}

/* Its end is in the middle of a process page, for some of the members. */
TEST_F(shares, shm)
{
	int id = shmget(IPC_PRIVATE, LEN, IPC_CREAT | 0600);
	char *p;

	ASSERT_LE(0, id);
	p = shmat(id, NULL, SHM_RDONLY);
	EXPECT_NE((void *)-1, p);
	EXPECT_EQ(0, share(variant->shift, "shm", id, self->sync));
	EXPECT_TRUE(right(p, ROUNDS - 1));
	EXPECT_EQ(0, shmctl(id, IPC_RMID, NULL));
}

/* Anonymous memory that is shared over fork(), at each level of it. */
static void child_fork(int argc, char **argv)
{
	unsigned long P = page_size(), round;
	char *p = map_anon(LEN, MAP_SHARED), *own = map_anon(LEN, 0);
	struct shared *s = (struct shared *)map_anon(P, MAP_SHARED);
	unsigned int me = 0;
	pid_t pid[2] = { };
	int status, i;

	if (!CHECK(p != MAP_FAILED) || !CHECK(own != MAP_FAILED))
		return;
	fill(own, LEN, 5);
	/* Some of it is there before. */
	fill(p + P, P, 1);
	fflush(stdout);
	for (i = 0; i < 2 && !me; i++) {
		pid[i] = fork();
		if (!pid[i])
			me = i + 1;
	}
	rounds(-1, p, s, me, 3);
	/* What is private is not seen by the others meanwhile. */
	fill(own, LEN, me);
	barrier(s, 3);
	for (round = 0; round < 4; round++) {
		CHECK(filled(own, LEN, me));
		fill(own + round * P + P / 2, P, me + round * P + P / 2);
	}
	fflush(stdout);
	if (me)
		_exit(child_failures());
	for (i = 0; i < 2; i++)
		CHECK(waitpid(pid[i], &status, 0) == pid[i] && status == 0);
	/* Holes in it, moved and mapped twice. */
	CHECK(mremap(p, 0, 4 * P, MREMAP_MAYMOVE) != MAP_FAILED);
	own = mremap(p, 0, LEN, MREMAP_MAYMOVE);
	CHECK(own != MAP_FAILED && right(own, ROUNDS - 1));
	CHECK(!madvise(p + P, P, MADV_REMOVE));
	CHECK(all_zero(own + P, P));
	CHECK(!memcmp(p, own, LEN));
	fill(own + P, P, 3);
	CHECK(filled(p + P, P, 3));
}

/*
 * One who waits for the absence of pages of a memfd. argv: the memfd, of
 * ABSENCE_LEN bytes; where to say that it waits, and then for each kernel page
 * how often its absence was seen; where to read that the others are done. One
 * more: it waits for stores to them instead, and all are there.
 */
struct absence {
	int fd;
	char *p, *seen, *page;
	unsigned long size;
	bool protect;
};

static int write_protect(const struct absence *a, unsigned long off,
			 unsigned long len, bool on)
{
	struct uffdio_writeprotect protect = {
		.range = { (unsigned long)a->p + off, len },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(a->fd, UFFDIO_WRITEPROTECT, &protect);
}

static void *watch(void *arg)
{
	struct absence *a = arg;
	struct uffd_msg msg;

	while (read(a->fd, &msg, sizeof(msg)) == sizeof(msg)) {
		unsigned long off = msg.arg.pagefault.address -
				    (unsigned long)a->p;
		struct uffdio_copy copy = {
			.dst = (unsigned long)a->p + off / a->size * a->size,
			.src = (unsigned long)a->page,
			.len = a->size,
		};

		if (msg.event != UFFD_EVENT_PAGEFAULT)
			break;
		a->seen[off / a->size]++;
		if (a->protect ? write_protect(a, off / a->size * a->size,
					       a->size, false) :
				 ioctl(a->fd, UFFDIO_COPY, &copy))
			break;
	}
	return NULL;
}

static void child_absence(int argc, char **argv)
{
	int fd = atoi(argv[1]), out = atoi(argv[2]), in = atoi(argv[3]);
	struct uffdio_api api = { .api = UFFD_API };
	struct absence a = { .size = page_size(), .protect = argc > 4 };
	unsigned long n = ABSENCE_LEN / page_size(), i;
	pthread_t thread;
	char c;
	struct uffdio_register reg = {
		.range = { .len = ABSENCE_LEN },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	alarm(60);
	a.fd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (a.fd < 0)
		child_skip("no userfaultfd");
	if (a.protect) {
		api.features = UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
		reg.mode = UFFDIO_REGISTER_MODE_WP;
	}
	if (ioctl(a.fd, UFFDIO_API, &api)) {
		CHECK(a.protect && errno == EINVAL);
		child_skip("no write protection of memfds");
	}
	a.p = mmap(NULL, ABSENCE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		   0);
	CHECK(a.p != MAP_FAILED);
	a.seen = calloc(1, n);
	a.page = map_anon(a.size, 0);
	memset(a.page, 0xab, a.size);
	reg.range.start = (unsigned long)a.p;
	CHECK(!ioctl(a.fd, UFFDIO_REGISTER, &reg));
	if (a.protect) {
		for (i = 0; i < n; i++)
			CHECK(!load_signal(a.p + i * a.size));
		CHECK(!write_protect(&a, 0, ABSENCE_LEN, true));
	}
	CHECK(write(out, "x", 1) == 1);
	if (!CHECK(read(in, &c, 1) == 1))
		return;
	CHECK(!pthread_create(&thread, NULL, watch, &a));
	for (i = 0; i < n; i++)
		CHECK(!(a.protect ? store_signal(a.p + i * a.size) :
				    load_signal(a.p + i * a.size)));
	CHECK(write(out, a.seen, n) == (ssize_t)n);
}

/*
 * What is accessed: in every other process page, one kernel page, of @K bytes.
 * What is there before: in every fourth one, another one.
 */
static bool accessed(unsigned long off, unsigned long P, unsigned long K)
{
	const unsigned long i = off / P;

	return i % 2 == 0 && off % P / K == i * 5 % (P / K);
}

static bool there_before(unsigned long off, unsigned long P, unsigned long K)
{
	const unsigned long i = off / P;

	if (i % 4 != 2 || P / K == 1)
		return false;
	return off % P / K == (i * 5 + 3) % (P / K);
}

/*
 * argv: the memfd, of ABSENCE_LEN bytes; the size of a kernel page; how to access
 * it; where to say that it was, and where to read that all of it is there.
 */
static void child_access(int argc, char **argv)
{
	unsigned long P = page_size(), K = strtoul(argv[2], NULL, 10), off;
	int fd = atoi(argv[1]), out = atoi(argv[4]), in = atoi(argv[5]);
	bool private = strstr(argv[3], "private");
	bool protect = strstr(argv[3], "protect");
	unsigned long value = 0x5151, there = 0;
	char *p, c;

	alarm(60);
	p = mmap(NULL, ABSENCE_LEN, PROT_READ | PROT_WRITE,
		 private ? MAP_PRIVATE : MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	if (protect)
		memset(&there, 0xab, sizeof(there));
	for (off = 0; off < ABSENCE_LEN; off += K) {
		if (!accessed(off, P, K))
			continue;
		if (strstr(argv[3], "futex"))
			CHECK(syscall(__NR_futex, p + off, FUTEX_WAIT, 5, NULL,
				      NULL, 0) == -1 && errno == EAGAIN);
		else if (strstr(argv[3], "load"))
			CHECK(*(unsigned long *)(p + off + 8) == there);
		else if (strstr(argv[3], "store"))
			*(unsigned long *)(p + off + 8) = value;
		/* The first one is a fault in any case. */
		else if (!off)
			CHECK(*(unsigned long *)(p + off + 8) == 0);
		else
			CHECK(pwrite(fd, &value, 8, off + 8) == 8);
	}
	/* All of it was there, and is put together. */
	CHECK(!protect || !demoted());
	CHECK(write(out, "x", 1) == 1);
	CHECK(read(in, &c, 1) == 1);
	for (off = 0; off < ABSENCE_LEN; off += K)
		if (!accessed(off, P, K) &&
		    !CHECK((p[off + 100] & 0xff) == 0xab))
			printf("# at %#lx: %#x\n", off, p[off + 100] & 0xff);
}

/* Read the first page of a file in memory, so that it is there. */
static void child_reader(int argc, char **argv)
{
	const int fd = atoi(argv[1]);
	int i;

	for (i = 0; i < 2; i++) {
		char *p = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
			       i ? MAP_PRIVATE : MAP_SHARED, fd, 0);

		CHECK(p != MAP_FAILED && load_signal(p) == 0);
	}
}

/* The last page that a file may have is one that nobody can map. */
static void child_largest(int argc, char **argv)
{
	const unsigned long largest = ~0UL >> 1, P = page_size();
	int fd = syscall(__NR_memfd_create, "largest", MFD_CLOEXEC);
	char *p;

	CHECK(!ftruncate(fd, P));
	p = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!CHECK(p != MAP_FAILED && load_signal(p) == 0))
		return;
	alarm(20);
	CHECK(!ftruncate(fd, largest - P / 2));
	CHECK(!ftruncate(fd, largest));
	CHECK(lseek(fd, 0, SEEK_END) == (off_t)largest);
}

/* What others have there does not let us store behind the end. */
static void child_behind(int argc, char **argv)
{
	const unsigned long size = kernel_page_size();
	const int fd = atoi(argv[1]);
	unsigned long off;
	char *p, *buf;

	p = mmap(NULL, 2 * SZ_64K, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!CHECK(p != MAP_FAILED))
		return;
	CHECK(store_signal(p) == 0);
	for (off = size; off < 2 * SZ_64K; off += size) {
		if (!CHECK(store_signal(p + off) == SIGBUS))
			*(p + off) = 1;
	}
	CHECK(!ftruncate(fd, 2 * SZ_64K));
	buf = map_anon(2 * SZ_64K, 0);
	CHECK(pread(fd, buf, 2 * SZ_64K, 0) == 2 * SZ_64K);
	CHECK(all_zero(buf + size, 2 * SZ_64K - size));
	CHECK(all_zero(p + size, 2 * SZ_64K - size));
}

/*
 * One in whose page the end of the file is, while another one has pages behind
 * the end.
 */
static void child_beside(int argc, char **argv)
{
	const unsigned long P = page_size(), K = kernel_page_size();
	char *p = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED,
		       atoi(argv[1]), 0);

	if (!CHECK(p != MAP_FAILED))
		return;
	CHECK(load_signal(p) == 0);
	if (P > K) {
		if (load_signal(p + P - K))
			child_skip("no large folios on this file system");
		CHECK(all_zero(p + K, P - K));
		/* Of a disk, or tmpfs. */
		if (!store_signal(p + P - K))
			memset(p + K, 0x55, P - K);
	}
	CHECK(run_child(DEFAULT_SIZE, "behind", argv[1], NULL) == 0);
	CHECK(all_zero(p + K, P - K));
}

/* What others have there behind the end is not there for us. */
static void child_resident(int argc, char **argv)
{
	const unsigned long size = kernel_page_size();
	const int fd = atoi(argv[1]);
	unsigned char vec[SZ_64K / SZ_4K];
	struct cachestat_range all = { };
	struct cachestat stat;
	unsigned int i;
	char *p;

	p = mmap(NULL, SZ_64K, PROT_READ, MAP_SHARED, fd, 0);
	if (!CHECK(p != MAP_FAILED))
		return;
	CHECK(load_signal(p) == 0);
	CHECK(!mincore(p, SZ_64K, vec));
	for (i = 0; i < SZ_64K / size; i++)
		CHECK((vec[i] & 1) == !i);
	if (!syscall(__NR_cachestat, fd, &all, &stat, 0))
		CHECK(stat.nr_cache == 1);
}

#define TAIL	(3 * SZ_4K)
#define APPEND	(13 * SZ_4K)

struct storer {
	pthread_t thread;
	char *p;
	size_t len;
	bool load, stop;
};

/* Store to the first page of a mapping, or load from it, by ever new faults. */
static void *store_or_load(void *arg)
{
	struct storer *s = arg;
	unsigned int n = 0;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		madvise(s->p, s->len, MADV_DONTNEED);
		/* By its registers, the kernel sees that a task gets on. */
		n++;
		__asm__ volatile("" : "+r" (n));
		if (s->load)
			__atomic_load_n(s->p, __ATOMIC_RELAXED);
		else
			__atomic_store_n(s->p, n, __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * What is appended around the page cache is not overwritten by who stores in
 * front of it.
 */
static void child_direct(int argc, char **argv)
{
	struct storer s = { .len = SZ_4K };
	const int fd = atoi(argv[1]);
	char name[32], *buf;
	int direct, i;

	alarm(60);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	direct = open(name, O_RDWR | O_DIRECT);
	if (direct < 0)
		child_skip("no direct I/O here");
	s.p = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s.p == MAP_FAILED)
		child_skip("no shared mappings of files here");
	buf = map_anon(2 * SZ_64K, 0);
	CHECK(!pthread_create(&s.thread, NULL, store_or_load, &s));
	for (i = 1; i <= 100; i++) {
		CHECK(!ftruncate(fd, TAIL));
		fill(buf, APPEND, i);
		CHECK(pwrite(direct, buf, APPEND, TAIL) == (ssize_t)APPEND);
		/* Not of the page cache, which is written before. */
		CHECK(pread(direct, buf + SZ_64K, APPEND, TAIL) ==
		      (ssize_t)APPEND);
		if (!CHECK(filled(buf + SZ_64K, APPEND, i)))
			break;
		CHECK(pread(fd, buf + SZ_64K, APPEND, TAIL) ==
		      (ssize_t)APPEND);
		if (!CHECK(filled(buf + SZ_64K, APPEND, i)))
			break;
	}
	__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
	pthread_join(s.thread, NULL);
}

/* Nor is what comes from another file hidden by who reads in front of it. */
static void child_clone(int argc, char **argv)
{
	const unsigned long len = 256 * SZ_64K - TAIL;
	struct storer s = { .len = SZ_64K, .load = true };
	int to = atoi(argv[1]), from, i;
	struct file_clone_range range = {
		.src_length = len,
		.dest_offset = TAIL,
	};
	const time_t end = time(NULL) + 60;
	unsigned long off;
	char *buf, *p;

	alarm(120);
	from = temp_file(NULL);
	buf = map_anon(256 * SZ_64K, 0);
	fill(buf, len, 1);
	/* In many extents, so that it takes a while. */
	for (off = 0; off < len; off += 2 * SZ_4K)
		CHECK(pwrite(from, buf + off, SZ_4K, off) == (ssize_t)SZ_4K);
	CHECK(!fsync(from));
	for (off = SZ_4K; off < len; off += 2 * SZ_4K)
		CHECK(pwrite(from, buf + off, SZ_4K, off) == (ssize_t)SZ_4K);
	CHECK(!fsync(from));
	range.src_fd = from;
	s.p = mmap(NULL, SZ_64K, PROT_READ, MAP_SHARED, to, 0);
	CHECK(s.p != MAP_FAILED);
	p = map_anon(TAIL, 0);
	/* As long as it may take, where that is slow. */
	for (i = 0; i < 20 && (i < 2 || time(NULL) < end); i++) {
		s.stop = false;
		CHECK(!ftruncate(to, 0));
		/* In small folios. */
		for (off = 0; off < TAIL; off += SZ_4K)
			CHECK(pwrite(to, p, SZ_4K, off) == (ssize_t)SZ_4K);
		CHECK(!fsync(to));
		CHECK(!pthread_create(&s.thread, NULL, store_or_load, &s));
		if (ioctl(to, FICLONERANGE, &range)) {
			__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
			pthread_join(s.thread, NULL);
			child_skip("files cannot be cloned here");
		}
		__atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
		pthread_join(s.thread, NULL);
		CHECK(pread(to, buf, len, TAIL) == (ssize_t)len);
		if (!CHECK(filled(buf, len, 1)))
			break;
	}
	close(from);
}

/*
 * One who has locked a file in memory that came in kernel pages. argv: the
 * file, of LEN bytes; where to say that it is so, and where to read that others
 * were there.
 */
static void child_locker(int argc, char **argv)
{
	int fd = atoi(argv[1]), out = atoi(argv[2]), in = atoi(argv[3]);
	unsigned long off;
	char *p, c;

	alarm(60);
	p = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	CHECK(!mlock(p, LEN));
	CHECK(smaps_kb(p, "Locked") == LEN / 1024);
	CHECK(filled(p, LEN, 1));
	CHECK(write(out, "x", 1) == 1);
	CHECK(read(in, &c, 1) == 1);
	CHECK(status_kb("VmLck") == LEN / 1024);
	for (off = 0; off < LEN; off += SZ_4K)
		CHECK(*(unsigned long *)(p + off + 8) == off + 3);
	CHECK(filled(p, LEN, 1));
	CHECK(smaps_kb(p, "Locked") == LEN / 1024);
	CHECK(!munlock(p, LEN / 2));
	CHECK(status_kb("VmLck") == LEN / 2 / 1024);
}

#define UNITS		(LEN / SZ_64K)

/* What the visitor stores, as a read() or the like has it. */
static bool visited(const char *p, unsigned long off)
{
	return filled(p, SZ_4K, 1 + off) &&
	       *(unsigned long *)(p + 8) == off + 3;
}

/*
 * The same for one who has pinned 4K of each 64K: buffers of io_uring, and, of
 * the last 64K, what is in a pipe.
 */
static void child_pinner(int argc, char **argv)
{
	int fd = atoi(argv[1]), out = atoi(argv[2]), in = atoi(argv[3]);
	struct iovec iov[UNITS];
	char *p, *buf, c;
	int from, to, pipefd[2];
	struct uring u;
	off_t off;
	int i;

	alarm(60);
	if (!uring_open(&u))
		child_skip("no io_uring");
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!CHECK(p != MAP_FAILED))
		return;
	for (i = 0; i < UNITS; i++)
		iov[i] = (struct iovec){ p + i * (SZ_64K + SZ_4K), SZ_4K };
	CHECK(!uring_fix(&u, iov, UNITS - 1));
	CHECK(!pipe(pipefd));
	CHECK(vmsplice(pipefd[1], &iov[i - 1], 1, 0) == SZ_4K);
	CHECK(write(out, "x", 1) == 1);
	CHECK(read(in, &c, 1) == 1);

	/* What is pinned is what all others have, too. */
	buf = map_anon(LEN, 0);
	off = (char *)iov[i - 1].iov_base - p;
	CHECK(read(pipefd[0], buf, SZ_4K) == SZ_4K && visited(buf, off));
	from = temp_file(NULL);
	to = temp_file(NULL);
	fill(buf, LEN, 7);
	CHECK(pwrite(from, buf, LEN, 0) == LEN);
	for (i = 0; i < UNITS - 1; i++) {
		off = (char *)iov[i].iov_base - p;
		uring_submit(&u, true, to, p + off, SZ_4K, 0, i);
		CHECK(uring_wait(&u) == SZ_4K);
		CHECK(pread(to, buf, SZ_4K, 0) == SZ_4K && visited(buf, off));
		uring_submit(&u, false, from, p + off, SZ_4K, off, i);
		CHECK(uring_wait(&u) == SZ_4K);
		CHECK(filled(p + off, SZ_4K, 7 + off));
		CHECK(pread(fd, buf, SZ_4K, off) == SZ_4K &&
		      filled(buf, SZ_4K, 7 + off));
	}
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/*
 * The others: a load from all of it, then a store to it. argv: the file, and
 * which of the two above has it.
 */
static void child_visitor(int argc, char **argv)
{
	unsigned long fails = vm_events("process_page_refold_fail");
	double start = now();
	int fd = atoi(argv[1]);
	unsigned long off;
	char *p;

	alarm(60);
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		child_skip("no shared mappings of files here");
	CHECK(filled(p, LEN, 1));
	for (off = 0; off < LEN; off += SZ_4K)
		*(unsigned long *)(p + off + 8) = off + 3;
	CHECK(filled(p, LEN, 1));
	/* Nobody is waited for as if he were gone in a moment. */
	CHECK(now() - start < 20);
	/* Nor has anybody made a copy. */
	CHECK(smaps_kb(p, "Anonymous") == 0);
	if (page_size() == kernel_page_size() || strcmp(argv[2], "pinner"))
		return;
	CHECK(vm_events("process_page_refold_fail") - fails >= UNITS);
	CHECK(demoted_for("file"));
}

/*
 * Load all of a memory that came in pieces, or whole, and store to it: it is put
 * together. argv: kind and number of it, and which of these.
 */
static void child_refolder(int argc, char **argv)
{
	const unsigned long P = page_size(), K = kernel_page_size();
	unsigned long before = vm_events("process_page_refold"), off;
	int id = atoi(argv[2]);
	char *p;

	alarm(60);
	p = !strcmp(argv[1], "shm") ? shmat(id, NULL, 0) :
		mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, id, 0);
	if (!CHECK(p != MAP_FAILED))
		return;
	CHECK(filled(p, LEN, 1));
	if (page_size() > K && !strcmp(argv[3], "pieces"))
		CHECK(vm_events("process_page_refold") - before >= LEN / P);
	CHECK(!demoted());
	for (off = 0; off < LEN; off += SZ_4K)
		*(unsigned long *)(p + off + 8) = off + 3;
	CHECK(filled(p, LEN, 1));
	CHECK(!demoted());
}

/* Move a page that somebody holds all parts of. argv: descriptor, node. */
static void child_mover(int argc, char **argv)
{
	int fd = atoi(argv[1]), node = atoi(argv[2]), status = -1000;
	void *p;

	alarm(60);
	p = mmap(NULL, SZ_64K, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!CHECK(p != MAP_FAILED))
		return;
	CHECK(filled(p, SZ_64K, 1));
	/* The number of pages that were not moved. */
	CHECK(syscall(__NR_move_pages, 0, 1UL, &p, &node, &status,
		      MPOL_MF_MOVE) == 1);
	CHECK(node_of(p) == !node);
	CHECK(filled(p, SZ_64K, 1));
}

/*
 * Somebody holds the first kernel page of the second process page, as long as it is
 * in a pipe: what is not whole because of that is so later. argv: descriptors of
 * the file and the pipe.
 */
static void child_later(int argc, char **argv)
{
	const size_t p = page_size();
	const bool native = status_kb("HardwarePageSize") == (long)p >> 10;
	int fd = atoi(argv[1]), i;
	char *file, *page, *buf;
	unsigned long pieces;

	alarm(60);
	page = map_anon(p, 0);
	buf = map_anon(p, 0);
	file = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
	if (!CHECK(file != MAP_FAILED))
		return;
	pieces = vm_events("process_page_pieces");
	CHECK(!load_signal(file + 64));
	if (vm_events("process_page_pieces") != pieces)
		child_skip("no large folios on this file system");
	CHECK(!load_signal(file + p + 64));
	CHECK(!native || demoted_for("file"));
	/* The process pages about it are not mapped with it, in pieces as well. */
	CHECK(smaps_kb(file, "Rss") <= 2 * (long)p >> 10);
	CHECK(filled(file, LEN, 1));
	CHECK(read(atoi(argv[2]), buf, SZ_4K) == SZ_4K);
	if (!native)
		return;
	/* A page fault anywhere looks whether the reason is gone, from time to time. */
	for (i = 0; i < 1000 && demoted(); i++) {
		usleep(10000);
		CHECK(!madvise(page, p, MADV_DONTNEED));
		*page = 1;
	}
	CHECK(!demoted());
	CHECK(filled(file, LEN, 1));
	CHECK(!demoted());
	CHECK(status_kb("HardwarePageSize") == (long)p >> 10);
}

static const struct child children[] = {
	{ "largest", child_largest },
	{ "reader", child_reader },
	{ "behind", child_behind },
	{ "beside", child_beside },
	{ "resident", child_resident },
	{ "direct", child_direct },
	{ "clone", child_clone },
	{ "member", child_member },
	{ "fork", child_fork },
	{ "absence", child_absence },
	{ "access", child_access },
	{ "locker", child_locker },
	{ "pinner", child_pinner },
	{ "visitor", child_visitor },
	{ "refolder", child_refolder },
	{ "mover", child_mover },
	{ "later", child_later },
	{ }
};

TEST_F(pages, fork)
{
	EXPECT_CHILD("fork");
}

/* The ends of two pipes that a child has, and those that the tester has. */
struct talk {
	char out[16], in[16];
	int from, to, theirs[2];
};

static bool talk_open(struct talk *t)
{
	int a[2], b[2];

	if (pipe(a) || pipe(b))
		return false;
	fcntl(a[0], F_SETFD, FD_CLOEXEC);
	fcntl(b[1], F_SETFD, FD_CLOEXEC);
	t->from = a[0];
	t->to = b[1];
	t->theirs[0] = a[1];
	t->theirs[1] = b[0];
	snprintf(t->out, sizeof(t->out), "%d", a[1]);
	snprintf(t->in, sizeof(t->in), "%d", b[0]);
	return true;
}

/* Once the child is there: when it is gone, there is nothing to read. */
static void talk_started(struct talk *t)
{
	close(t->theirs[0]);
	close(t->theirs[1]);
}

static void talk_close(struct talk *t)
{
	close(t->from);
	close(t->to);
}

/*
 * A process with kernel pages misses none of those that are not there, nor a
 * store to one that is write-protected.
 */
static void test_absence(struct __test_metadata *_metadata, unsigned int shift,
			 unsigned long P, const char *how)
{
	unsigned long K = kernel_page_size(), off;
	bool protect = strstr(how, "protect");
	int fd = syscall(__NR_memfd_create, "absence", 0), ret;
	char *seen = calloc(1, ABSENCE_LEN / K), *page = map_anon(K, 0), c;
	char number[16], kernel[16];
	struct talk to_watcher, to_other;
	size_t got = 0;
	pid_t watcher, other;
	ssize_t len;

	ASSERT_EQ(0, ftruncate(fd, ABSENCE_LEN));
	memset(page, 0xab, K);
	for (off = 0; off < ABSENCE_LEN; off += K)
		if (protect || there_before(off, P, K))
			ASSERT_EQ(K, pwrite(fd, page, K, off));
	snprintf(number, sizeof(number), "%d", fd);
	snprintf(kernel, sizeof(kernel), "%lu", K);
	ASSERT_TRUE(talk_open(&to_watcher));
	watcher = start_child(DEFAULT_SIZE, (const char *[]) {
		"absence", number, to_watcher.out, to_watcher.in,
		protect ? how : NULL, NULL }, NULL);
	talk_started(&to_watcher);
	if (read(to_watcher.from, &c, 1) != 1) {
		ret = finish_child(watcher);
		if (ret == KSFT_SKIP)
			SKIP(return, "no userfaultfd, or not for that");
		ASSERT_EQ(0, ret);
	}
	ASSERT_TRUE(talk_open(&to_other));
	other = start_child(shift, (const char *[]) {
		"access", number, kernel, how, to_other.out, to_other.in,
		NULL }, NULL);
	talk_started(&to_other);
	EXPECT_EQ(1, read(to_other.from, &c, 1));
	EXPECT_EQ(1, write(to_watcher.to, "x", 1));
	while (got < ABSENCE_LEN / K) {
		len = read(to_watcher.from, seen + got, ABSENCE_LEN / K - got);
		if (len <= 0)
			break;
		got += len;
	}
	EXPECT_EQ(ABSENCE_LEN / K, got);
	for (off = 0; off < ABSENCE_LEN; off += K) {
		bool there = !protect && (accessed(off, P, K) ||
					  there_before(off, P, K));

		EXPECT_EQ(!there, seen[off / K])
			TH_LOG("%s: at %#lx", how, off);
		if (!there != seen[off / K])
			break;
	}
	EXPECT_EQ(1, write(to_other.to, "x", 1));
	EXPECT_EQ(0, finish_child(other));
	EXPECT_EQ(0, finish_child(watcher));
	talk_close(&to_other);
	talk_close(&to_watcher);
	munmap(page, K);
	free(seen);
	close(fd);
}

TEST_F(pages, memfd_largest)
{
	EXPECT_CHILD("largest");
}

/* What is not written of a new page in ramfs, by a process with any size. */
TEST(ramfs_zeroes)
{
	const unsigned long K = kernel_page_size();
	char dir[] = "/tmp/ramfs.XXXXXX", *p = map_anon(K, MAP_PRIVATE);
	char *memory = map_anon(64 * SZ_64K, MAP_PRIVATE);
	int i, fd;

	ASSERT_NE(NULL, mkdtemp(dir));
	if (mount("none", dir, "ramfs", 0, NULL)) {
		rmdir(dir);
		SKIP(return, "no ramfs");
	}
	/* What new pages are made of. */
	memset(memory, 0xa5, 64 * SZ_64K);
	munmap(memory, 64 * SZ_64K);
	for (i = 0; i < 256; i++) {
		fd = temp_file(dir);
		EXPECT_LE(0, fd);
		EXPECT_EQ(K, pwrite(fd, p, K, K - 1));
		EXPECT_EQ(K - 1, pread(fd, p, K - 1, 0));
		EXPECT_TRUE(all_zero(p, K - 1 - (K - 1) % 8));
		memset(p, 0, K);
		close(fd);
	}
	EXPECT_EQ(0, umount(dir));
	rmdir(dir);
}

TEST_F(pages, memfd_end)
{
	int fd = syscall(__NR_memfd_create, "end", 0);
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	ASSERT_EQ(0, ftruncate(fd, kernel_page_size()));
	EXPECT_EQ(0, run_child(variant->shift, "reader", number, NULL));
	EXPECT_EQ(0, run_child(DEFAULT_SIZE, "behind", number, NULL));
	close(fd);
}

/* A file that children have open, too; its number for them. */
static int open_file(char *number)
{
	int fd = temp_file(NULL);

	fcntl(fd, F_SETFD, 0);
	sprintf(number, "%d", fd);
	return fd;
}

/* One that ends in the first page of @shift, and that such a page maps. */
static int tail_file(struct __test_metadata *_metadata, unsigned int shift,
		     unsigned long size, char *number)
{
	char *p = calloc(1, TAIL);
	int fd = open_file(number);

	EXPECT_LE(0, fd);
	EXPECT_EQ(size, write(fd, p, size));
	free(p);
	EXPECT_EQ(0, run_child(shift, "reader", number, NULL));
	return fd;
}

TEST_F(pages, file_end)
{
	char number[16];
	int fd = tail_file(_metadata, variant->shift, kernel_page_size(),
			   number);

	EXPECT_EQ(0, run_child(DEFAULT_SIZE, "resident", number, NULL));
	close(fd);
}

TEST_F(pages, file_behind)
{
	char number[16];
	int fd = tail_file(_metadata, variant->shift, kernel_page_size(),
			   number);
	int ret = run_child(variant->shift, "beside", number, NULL);

	close(fd);
	if (ret == KSFT_SKIP)
		SKIP(return, "no large folios on this file system");
	EXPECT_EQ(0, ret);
}

TEST_F_TIMEOUT(pages, direct_append, 70)
{
	char number[16];
	int ret, fd;

	if (kernel_page_size() > TAIL)
		SKIP(return, "no page of this kernel ends there");
	fd = tail_file(_metadata, variant->shift, TAIL, number);
	ret = run_child(DEFAULT_SIZE, "direct", number, NULL);
	close(fd);
	if (ret == KSFT_SKIP)
		SKIP(return, "no direct I/O, or no shared mapping");
	EXPECT_EQ(0, ret);
}

TEST_F_TIMEOUT(pages, clone_append, 130)
{
	char number[16];
	int ret, fd;

	if (kernel_page_size() > TAIL)
		SKIP(return, "no page of this kernel ends there");
	fd = open_file(number);
	ret = run_child(variant->shift, "clone", number, NULL);
	close(fd);
	if (ret == KSFT_SKIP)
		SKIP(return, "files cannot be cloned here");
	EXPECT_EQ(0, ret);
}

TEST_F(pages, absence_shared)
{
	test_absence(_metadata, variant->shift, self->size, "shared load");
	test_absence(_metadata, variant->shift, self->size, "shared store");
	test_absence(_metadata, variant->shift, self->size, "shared futex");
	test_absence(_metadata, variant->shift, self->size, "shared write");
}

TEST_F(pages, absence_protected)
{
	test_absence(_metadata, variant->shift, self->size,
		     "shared load, protect");
	test_absence(_metadata, variant->shift, self->size,
		     "shared store, protect");
	test_absence(_metadata, variant->shift, self->size,
		     "private load, protect");
}

TEST_F(pages, absence_private)
{
	test_absence(_metadata, variant->shift, self->size, "private load");
	test_absence(_metadata, variant->shift, self->size, "private store");
}

static long mlocked_kb(void)
{
	put("/proc/sys/vm/stat_refresh", "1");
	return meminfo_kb("Mlocked");
}

/* A file in kernel pages that @holder does not let go; others visit it. */
static void test_held(struct __test_metadata *_metadata, unsigned int shift,
		      int fd, const char *holder)
{
	char *buf = map_anon(LEN, 0), number[16], c;
	long before = mlocked_kb();
	unsigned long off;
	pid_t pid, visitor;
	struct talk t;
	int ret;

	ASSERT_LE(0, fd);
	fcntl(fd, F_SETFD, 0);
	fill(buf, LEN, 1);
	/* In kernel pages: nobody has asked for more yet. */
	for (off = 0; off < LEN; off += SZ_4K)
		ASSERT_EQ(SZ_4K, pwrite(fd, buf + off, SZ_4K, off));
	snprintf(number, sizeof(number), "%d", fd);
	ASSERT_TRUE(talk_open(&t));
	pid = start_child(DEFAULT_SIZE, (const char *[]) {
		holder, number, t.out, t.in, NULL }, NULL);
	talk_started(&t);
	if (read(t.from, &c, 1) != 1) {
		ret = finish_child(pid);
		if (ret == KSFT_SKIP)
			SKIP(return, "skipped in the child");
		ASSERT_EQ(0, ret);
	}
	visitor = start_child(shift, (const char *[]) {
		"visitor", number, holder, NULL }, NULL);
	ret = finish_child(visitor);
	if (ret != KSFT_SKIP) {
		EXPECT_EQ(0, ret);
		EXPECT_EQ(1, write(t.to, "x", 1));
	}
	talk_close(&t);
	if (ret == KSFT_SKIP) {
		finish_child(pid);
		SKIP(return, "no shared mappings of files here");
	}
	EXPECT_EQ(0, finish_child(pid));
	close(fd);
	munmap(buf, LEN);
	/* Nothing stays locked, but for what is in batches of the CPUs. */
	EXPECT_GE(before + LEN / 4096, mlocked_kb());
}

/* Kernel pages that a process with such has locked in memory. */
TEST_F(pages, locked_memfd)
{
	test_held(_metadata, variant->shift,
		  syscall(__NR_memfd_create, "locked", 0), "locker");
}

TEST_F(pages, locked_file)
{
	test_held(_metadata, variant->shift, temp_file(NULL), "locker");
}

/* And those that the kernel itself works with. */
TEST_F(pages, pinned_memfd)
{
	test_held(_metadata, variant->shift,
		  syscall(__NR_memfd_create, "pinned", 0), "pinner");
}

/*
 * Memory of a file, of LEN bytes (or of a segment, without), that this process
 * has in kernel pages, mapped at @p as well.
 */
static void test_refold(struct __test_metadata *_metadata, unsigned int shift,
			const char *kind, int id, int fd, char *p)
{
	char *buf = map_anon(LEN, 0), number[16];
	unsigned long off;

	ASSERT_NE(MAP_FAILED, p);
	/* Nobody waits for another CPU to have its folios on the LRU. */
	ASSERT_TRUE(stay_here());
	fill(buf, LEN, 1);
	for (off = 0; off < LEN; off += SZ_4K) {
		if (fd < 0)
			memcpy(p + off, buf + off, SZ_4K);
		else
			ASSERT_EQ(SZ_4K, pwrite(fd, buf + off, SZ_4K, off));
	}
	EXPECT_TRUE(filled(p, LEN, 1));
	snprintf(number, sizeof(number), "%d", id);
	/* A process with larger pages has brought them whole. */
	EXPECT_EQ(0, run_child(shift, "refolder", kind, number,
			       page_size() > kernel_page_size() ? "whole" :
			       "pieces", NULL));
	for (off = 0; off < LEN; off += SZ_4K) {
		EXPECT_TRUE(visited(p + off, off));
		if (fd < 0)
			continue;
		EXPECT_EQ(SZ_4K, pread(fd, buf, SZ_4K, off));
		EXPECT_TRUE(visited(buf, off));
	}
	munmap(buf, LEN);
}

static void test_refold_file(struct __test_metadata *_metadata,
			     unsigned int shift, int fd)
{
	char *p;

	ASSERT_LE(0, fd);
	fcntl(fd, F_SETFD, 0);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	p = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
	test_refold(_metadata, shift, "file", fd, fd, p);
	munmap(p, LEN);
	close(fd);
}

TEST_F(pages, refold_memfd)
{
	test_refold_file(_metadata, variant->shift,
			 syscall(__NR_memfd_create, "refold", 0));
}

/* Without a disk, what is dirty stays so for ever. */
TEST_F(pages, refold_ramfs)
{
	char dir[] = "/tmp/ramfs.XXXXXX";
	int fd;

	ASSERT_NE(NULL, mkdtemp(dir));
	if (mount("none", dir, "ramfs", 0, NULL)) {
		rmdir(dir);
		SKIP(return, "no ramfs");
	}
	fd = temp_file(dir);
	/* It lives as long as the file. */
	EXPECT_EQ(0, umount2(dir, MNT_DETACH));
	rmdir(dir);
	test_refold_file(_metadata, variant->shift, fd);
}

/* What could not be put together is so when it can. */
static void test_later(struct __test_metadata *_metadata, unsigned int shift,
		       unsigned long size, int fd)
{
	char *buf = map_anon(LEN, 0), number[16], other[16];
	struct iovec iov = { .iov_len = SZ_4K };
	unsigned long off;
	int pipefd[2], ret;
	char *p;

	if (page_size() != SZ_4K || size == SZ_4K)
		SKIP(return, "wants larger pages, and a partner with smaller ones");
	ASSERT_LE(0, fd);
	ASSERT_TRUE(stay_here());
	fcntl(fd, F_SETFD, 0);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	fill(buf, LEN, 1);
	for (off = 0; off < LEN; off += SZ_4K)
		ASSERT_EQ(SZ_4K, pwrite(fd, buf + off, SZ_4K, off));
	ASSERT_EQ(0, pipe(pipefd));
	p = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	iov.iov_base = p + size;
	ASSERT_EQ(SZ_4K, vmsplice(pipefd[1], &iov, 1, 0));
	munmap(p, LEN);
	snprintf(number, sizeof(number), "%d", fd);
	snprintf(other, sizeof(other), "%d", pipefd[0]);
	ret = run_child(shift, "later", number, other, NULL);
	close(pipefd[0]);
	close(pipefd[1]);
	munmap(buf, LEN);
	close(fd);
	if (ret == KSFT_SKIP)
		SKIP(return, "no large folios on this file system");
	EXPECT_EQ(0, ret);
}

TEST_F(pages, later)
{
	test_later(_metadata, variant->shift, self->size,
		   syscall(__NR_memfd_create, "later", 0));
}

TEST_F(pages, later_on_disk)
{
	test_later(_metadata, variant->shift, self->size, temp_file(NULL));
}

/* What cannot be moved counts as pages of the process. */
TEST_F(pages, move_held)
{
	int fd = syscall(__NR_memfd_create, "move", 0), pipefd[2];
	char number[16], other[16], *buf = map_anon(SZ_64K, 0);
	struct iovec iov = { .iov_len = SZ_64K };
	unsigned long off;
	unsigned int node;

	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "no other NUMA node");
	ASSERT_LE(0, fd);
	ASSERT_TRUE(stay_here());
	ASSERT_EQ(0, syscall(__NR_getcpu, NULL, &node, NULL));
	fcntl(fd, F_SETFD, 0);
	ASSERT_EQ(0, ftruncate(fd, SZ_64K));
	fill(buf, SZ_64K, 1);
	for (off = 0; off < SZ_64K; off += SZ_4K)
		ASSERT_EQ(SZ_4K, pwrite(fd, buf + off, SZ_4K, off));
	ASSERT_EQ(0, pipe(pipefd));
	iov.iov_base = mmap(NULL, SZ_64K, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, iov.iov_base);
	ASSERT_EQ(SZ_64K, vmsplice(pipefd[1], &iov, 1, 0));
	/* What others have mapped is not moved anyway. */
	munmap(iov.iov_base, SZ_64K);
	snprintf(number, sizeof(number), "%d", fd);
	snprintf(other, sizeof(other), "%d", !node);
	EXPECT_EQ(0, run_child(variant->shift, "mover", number, other, NULL));
	close(pipefd[0]);
	close(pipefd[1]);
	munmap(buf, SZ_64K);
	close(fd);
}

/* What mbind() has put on another node than ours stays there. */
TEST_F(pages, refold_policy)
{
	int fd = syscall(__NR_memfd_create, "policy", 0);
	unsigned long mask, off;
	unsigned int node;
	char *p;

	ASSERT_LE(0, fd);
	ASSERT_TRUE(stay_here());
	ASSERT_EQ(0, syscall(__NR_getcpu, NULL, &node, NULL));
	mask = node ? 1 : 2;
	fcntl(fd, F_SETFD, 0);
	ASSERT_EQ(0, ftruncate(fd, LEN));
	p = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	if (syscall(__NR_mbind, p, LEN, MPOL_BIND, &mask, 64UL, 0))
		SKIP(return, "no other NUMA node");
	test_refold(_metadata, variant->shift, "file", fd, fd, p);
	for (off = 0; off < LEN; off += page_size())
		EXPECT_EQ(!node, node_of(p + off));
	munmap(p, LEN);
	close(fd);
}

TEST_F(pages, refold_segment)
{
	int id = shmget(IPC_PRIVATE, LEN, IPC_CREAT | 0600);
	char *p = id < 0 ? MAP_FAILED : shmat(id, NULL, 0);

	test_refold(_metadata, variant->shift, "shm", id, -1, p);
	EXPECT_EQ(0, shmctl(id, IPC_RMID, NULL));
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
