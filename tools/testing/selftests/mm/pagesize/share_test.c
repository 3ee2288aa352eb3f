// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that processes with different page sizes share: a file, a memfd, SysV
 * shared memory; and what is shared with a child.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"

#define LEN			(16 * SZ_64K)
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

static const struct child children[] = {
	{ "member", child_member },
	{ "fork", child_fork },
	{ }
};

TEST_F(pages, fork)
{
	EXPECT_CHILD("fork");
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
