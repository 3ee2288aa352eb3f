// SPDX-License-Identifier: GPL-2.0
/*
 * Files in process pages: what mappings, system calls and the disk show of each
 * other, and what happens at the end of a file that moves.
 *
 * The files are in PAGES_DIR, else in TMPDIR, else in /tmp.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"
#include "pagesize_system.h"
#include "uring.h"

#define BTRFS_MAGIC		0x9123683e
#define XFS_MAGIC		0x58465342

#define WHOLE_LEN		0x800000UL	/* of a file in large folios */

static int new_file(size_t size)
{
	int fd = temp_file(NULL);

	if (!CHECK(fd >= 0))
		exit(child_failures());
	CHECK(!ftruncate(fd, size));
	return fd;
}

/* Write @size bytes of fill(@seed) to a file. */
static void fill_file(int fd, size_t size, unsigned long seed)
{
	size_t room = (size + SZ_64K) & ~(SZ_64K - 1);
	char *buf = map_anon(room, 0);

	fill(buf, room, seed);
	CHECK(pwrite(fd, buf, size, 0) == size);
	munmap(buf, room);
}

static int filled_file(size_t size, unsigned long seed)
{
	int fd = new_file(0);

	fill_file(fd, size, seed);
	return fd;
}

static char *map_file(int fd, size_t len, int flags, off_t off)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, off);

	if (p != MAP_FAILED)
		return p;
	if (flags == MAP_SHARED && (errno == ENODEV || errno == EINVAL))
		child_skip("no shared mappings of files here");
	CHECK(p != MAP_FAILED);
	exit(child_failures());
}

/* Bytes of a file that are not compared; see leaks(). */
static unsigned long ignored, ignored_end;

static bool same(const char *p, const char *q, size_t len)
{
	size_t off;

	if (!memcmp(p, q, len))
		return true;
	for (off = 0; off < len; off++) {
		if (p[off] == q[off])
			continue;
		if (off >= ignored && off < ignored_end)
			continue;
		printf("# at %#lx: %#x, not %#x\n", off, p[off] & 0xff,
		       q[off] & 0xff);
		return false;
	}
	return true;
}

static int reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

static bool reads_as(int fd, const char *want, size_t len)
{
	char *buf = map_anon(len, 0);
	bool ok;

	ok = pread(fd, buf, len, 0) == len && same(buf, want, len);
	munmap(buf, len);
	return ok;
}

/* Is @want what the page cache has, and then what the disk has? */
static bool file_is(int fd, const char *want, size_t len)
{
	bool ok = reads_as(fd, want, len);
	int direct;

	if (!ok)
		printf("# that is in the page cache\n");
	CHECK(!fsync(fd));
	direct = reopen(fd, O_RDONLY | O_DIRECT);
	if (direct >= 0 && len % SZ_4K == 0 && !reads_as(direct, want, len)) {
		printf("# that is on disk\n");
		ok = false;
	}
	close(direct);
	if (drop_page_cache() && !reads_as(fd, want, len)) {
		printf("# that was read again\n");
		ok = false;
	}
	return ok;
}

static unsigned int magic(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) ? 0 : fs.f_type;
}

static bool large_folios(int fd)
{
	switch (magic(fd)) {
	case EXT4_SUPER_MAGIC:
	case XFS_MAGIC:
	case BTRFS_MAGIC:
	case TMPFS_MAGIC:
		return true;
	}
	return false;
}

/* Are there process pages, and folios in the page cache that hold them? */
static bool whole_pages(int fd)
{
	return large_folios(fd) && page_size() > kernel_page_size();
}

static unsigned long round_up(unsigned long size, unsigned long page)
{
	return (size + page - 1) / page * page;
}

/*
 * Where SIGBUS starts in a shared mapping of a file of @size bytes. Without
 * large folios it is mapped in kernel pages.
 */
static unsigned long reach(int fd, unsigned long size)
{
	return round_up(size, large_folios(fd) ? page_size() :
						 kernel_page_size());
}

/* The first page wholly behind the end of file is not there. */
static void child_eof(int argc, char **argv)
{
	unsigned long P = page_size(), i, j, end, off;
	const unsigned long sizes[] = {
		1, 100, SZ_4K - 1, SZ_4K, SZ_4K + 1, P - 1, P, P + 1,
		P + SZ_4K, 2 * P - SZ_4K, 2 * P - 8, 2 * P,
	};
	static const int flags[] = { MAP_PRIVATE, MAP_SHARED };
	char *p;
	int fd;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < ARRAY_SIZE(flags); j++) {
			/* By reading first, and by storing first. */
			fd = filled_file(sizes[i], 1);
			end = flags[j] == MAP_SHARED ? reach(fd, sizes[i]) :
						       round_up(sizes[i], P);
			p = map_file(fd, 4 * P, flags[j], 0);
			CHECK(load_signal(p + end - 1) == 0);
			CHECK(load_signal(p + end) == SIGBUS);
			CHECK(store_signal(p + end) == SIGBUS);
			CHECK(load_signal(p + 4 * P - 1) == SIGBUS);
			CHECK(all_zero(p + sizes[i], end - sizes[i]));
			for (off = 0; off + 8 <= sizes[i]; off += 512)
				if (!CHECK(*(long *)(p + off) == 1 + off))
					break;
			munmap(p, 4 * P);
			p = map_file(fd, 4 * P, flags[j], 0);
			CHECK(store_signal(p + end) == SIGBUS);
			CHECK(store_signal(p + end - 1) == 0);
			p[end - 1] = 7;
			CHECK(p[end - 1] == 7);
			if (end - 1 > sizes[i])
				CHECK(all_zero(p + sizes[i],
					       end - 1 - sizes[i]));
			munmap(p, 4 * P);
			close(fd);
		}
	}
	/* An empty one has none. */
	fd = new_file(0);
	p = map_file(fd, P, MAP_PRIVATE, 0);
	CHECK(load_signal(p) == SIGBUS);
	CHECK(store_signal(p + P - 1) == SIGBUS);
}

/* A reference to what the page cache has at @off, until the pipe is gone. */
static void hold(int fd, loff_t off, int fds[2])
{
	CHECK(!pipe(fds));
	if (splice(fd, &off, fds[1], NULL, 1, 0) != 1)
		child_skip("no splice() from files here");
	fflush(stdout);
}

/* The same while somebody has a reference to what the page cache has there. */
static void child_held(int argc, char **argv)
{
	unsigned long P = page_size(), size = P + 100, end;
	int fd = filled_file(size, 18), fds[2], status, i, map;
	char path[40], *p, c;
	pid_t pid;

	end = reach(fd, size);
	for (i = 0; i < 3; i++) {
		hold(fd, P, fds);
		pid = fork();
		if (!pid) {
			usleep(100000);
			_exit(read(fds[0], &c, 1) != 1);
		}
		close(fds[0]);
		close(fds[1]);
		/* The first access is a load, a store, one that cannot store. */
		if (i < 2) {
			p = map_file(fd, 2 * P, MAP_SHARED, 0);
		} else {
			snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
			map = open(path, O_RDONLY | O_CLOEXEC);
			p = mmap(NULL, 2 * P, PROT_READ, MAP_SHARED, map, 0);
			close(map);
			if (!CHECK(p != MAP_FAILED))
				return;
		}
		CHECK(i == 1 ? !store_signal(p + end - 1) :
			       !load_signal(p + end - 1));
		CHECK(*(unsigned long *)(p + P) == 18 + P);
		CHECK(all_zero(p + size, end - size));
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		munmap(p, 2 * P);
		close(fd);
		fd = filled_file(size, 18);
	}
}

/* It is held for long, and the file grows meanwhile: nothing is behind its end. */
static void child_held_grown(int argc, char **argv)
{
	unsigned long P = page_size(), size = P + 100, end;
	int fd = filled_file(size, 18), fds[2], status;
	struct timespec from, to;
	pid_t pid;
	char *p, c;

	end = reach(fd, size);
	p = map_file(fd, 4 * P, MAP_SHARED, 0);
	hold(fd, P, fds);
	pid = fork();
	if (!pid) {
		usleep(100000);
		if (!ftruncate(fd, 4 * P))
			sleep(10);
		_exit(read(fds[0], &c, 1) != 1);
	}
	close(fds[0]);
	close(fds[1]);
	clock_gettime(CLOCK_MONOTONIC, &from);
	CHECK(!load_signal(p + end - 1));
	clock_gettime(CLOCK_MONOTONIC, &to);
	CHECK(to.tv_sec - from.tv_sec < 4);
	/* Not before. It need not have come to that where nothing waits. */
	CHECK(!kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid &&
	      WIFSIGNALED(status));
	CHECK(!ftruncate(fd, 4 * P));
	CHECK(*(unsigned long *)(p + P) == 18 + P);
	CHECK(all_zero(p + size, 3 * P - 100));
	munmap(p, 4 * P);
	close(fd);
}

static void child_shared(int argc, char **argv)
{
	unsigned long P = page_size(), len = 4 * P, off;
	int fd = filled_file(len, 2), i;
	char *p, *q, *want = map_anon(len, 0);
	unsigned long word;

	p = map_file(fd, len, MAP_SHARED, 0);
	q = map_file(fd, 2 * P, MAP_SHARED, P);
	fill(want, len, 2);
	CHECK(same(p, want, len));
	/* It can only be mapped as the page cache has it. */
	if (!large_folios(fd) && P > kernel_page_size())
		CHECK(demoted_for("file"));
	/* Written, cleaned, written again; each through another window. */
	for (i = 0; i < 3; i++) {
		for (off = i * 512; off < len; off += SZ_4K) {
			char *at = i & 1 && off >= P && off < 3 * P ?
				   q + off - P : p + off;

			*(long *)at = 100 + i + off;
			*(long *)(want + off) = 100 + i + off;
		}
		CHECK(reads_as(fd, want, len));
		CHECK(!msync(p, len, i == 1 ? MS_ASYNC : MS_SYNC));
		CHECK(file_is(fd, want, len));
		CHECK(same(p, want, len));
		CHECK(same(q, want + P, 2 * P));
	}
	for (off = 1024; off < len; off += SZ_4K) {
		word = off * 3;
		CHECK(pwrite(fd, &word, 8, off) == 8);
		*(long *)(want + off) = word;
		CHECK(*(unsigned long *)(p + off) == word);
	}
	CHECK(!munmap(p, len));
	CHECK(file_is(fd, want, len));
	CHECK(same(q, want + P, 2 * P));
	close(fd);

	/* A byte in each page of a hole. */
	fd = new_file(len);
	memset(want, 0, len);
	p = map_file(fd, len, MAP_SHARED, 0);
	for (off = 0; off < len; off += P) {
		want[off + P / 2] = 1;
		CHECK(!p[off + P - 1]);
		p[off + P / 2] = 1;
	}
	CHECK(file_is(fd, want, len));
	CHECK(same(p, want, len));
	close(fd);
}

/* Have what is on disk read again. Files in memory stay where they are. */
static void uncache(int fd)
{
	CHECK(!fsync(fd));
	CHECK(!posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	drop_page_cache();
}

/* Pages of the file that came one by one, for a mapping that wants more. */
static int small_pages(size_t len, unsigned long seed)
{
	int fd = filled_file(len, seed);
	unsigned long off;
	char c;

	uncache(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (off = len; off; off -= SZ_4K)
		CHECK(pread(fd, &c, 1, off - SZ_4K) == 1);
	return fd;
}

static void child_private(int argc, char **argv)
{
	unsigned long P = page_size(), len = 8 * P, off, word = 77;
	char *p, *want = map_anon(len, 0);
	int fd = small_pages(len, 3), status;
	pid_t pid;

	p = map_file(fd, len, MAP_PRIVATE, 0);
	fill(want, len, 3);
	CHECK(same(p, want, 2 * P));
	/* In half of the pages, the first access is a store. */
	for (off = 512; off < 4 * P; off += SZ_4K)
		*(long *)(p + off) = *(long *)(want + off) = off;
	CHECK(same(p, want, len));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		memset(p + P + P / 2, 1, P);
		_exit(!(same(p, want, P + P / 2) &&
			same(p + 5 * P / 2, want + 5 * P / 2,
			     len - 5 * P / 2)));
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(same(p, want, len));
	fill(want, len, 3);
	CHECK(file_is(fd, want, len));

	/* What is not written to shows the file. */
	if (large_folios(fd)) {
		CHECK(pwrite(fd, &word, 8, 6 * P + P / 2) == 8);
		CHECK(*(unsigned long *)(p + 6 * P + P / 2) == word);
	}
	CHECK(!madvise(p, 4 * P, MADV_DONTNEED));
	CHECK(same(p, want, 4 * P));
	CHECK(!mprotect(p, len, PROT_READ | PROT_EXEC));
	CHECK(same(p, want, 4 * P));
	CHECK(store_signal(p) == SIGSEGV);
	close(fd);
}

/* Small pages that are dirty, then stored to as process pages. */
static void child_small(int argc, char **argv)
{
	unsigned long P = page_size(), len = 8 * P, off;
	char *p, *q, *want = map_anon(len, 0);
	unsigned long refolds;
	int fd;

	/* Nobody waits for another CPU to have its folios on the LRU. */
	CHECK(stay_here());
	fd = small_pages(len, 4);
	fill(want, len, 4);
	for (off = 0; off < len; off += 2 * SZ_4K) {
		*(long *)(want + off) = off;
		CHECK(pwrite(fd, want + off, 8, off) == 8);
	}
	p = map_file(fd, len, MAP_SHARED, 0);
	q = map_file(fd, len, MAP_PRIVATE, 0);
	refolds = vm_events("process_page_refold");
	CHECK(same(q, want, 2 * P));
	CHECK(same(p, want, len / 2));
	for (off = 1024; off < len; off += SZ_4K)
		*(long *)(p + off) = *(long *)(want + off) = off;
	CHECK(same(p, want, len));
	CHECK(same(q + 2 * P, want + 2 * P, len - 2 * P));
	/* They were put together where they are: there is no copy of any. */
	if (whole_pages(fd)) {
		CHECK(vm_events("process_page_refold") - refolds >=
		      len / P / 2);
		CHECK(smaps_kb(q, "Anonymous") == 0);
		CHECK(!demoted());
	}
	CHECK(file_is(fd, want, len));
	CHECK(same(p, want, len));
	close(fd);
}

/*
 * Once a file is mapped, what is written to it comes in folios that suit,
 * though it is a kernel page each time: there is nothing to be put together,
 * but for what others do meanwhile.
 */
static void child_preferred(int argc, char **argv)
{
	unsigned long P = page_size(), len = 16 * P, off, refolds;
	char *p, *want = map_anon(len, 0);
	int fd = filled_file(P, 20);

	if (!whole_pages(fd))
		child_skip("no process pages in the page cache");
	fill(want, len, 20);
	p = map_file(fd, len, MAP_SHARED, 0);
	CHECK(same(p, want, P));
	refolds = vm_events("process_page_refold");
	for (off = P; off < len; off += SZ_4K)
		CHECK(pwrite(fd, want + off, SZ_4K, off) == SZ_4K);
	CHECK(same(p, want, len));
	CHECK(vm_events("process_page_refold") - refolds < len / P / 4);
	CHECK(!demoted());
	close(fd);
}

static void child_truncate(int argc, char **argv)
{
	unsigned long P = page_size(), i;
	const unsigned long sizes[] = { P + 100, P + P / 2, 2 * P - 1, P };
	char *shared, *private, *want = map_anon(4 * P, 0);
	int fd;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned long size = sizes[i], end = round_up(size, P), last;

		fd = filled_file(4 * P, 5);
		last = reach(fd, size);
		shared = map_file(fd, 4 * P, MAP_SHARED, 0);
		private = map_file(fd, 4 * P, MAP_PRIVATE, 0);
		memset(want, 0, 4 * P);
		fill(want, 4 * P, 5);
		CHECK(same(shared, want, 4 * P));
		fill(private, 4 * P, 6);
		CHECK(!ftruncate(fd, size));
		memset(want + size, 0, 4 * P - size);
		CHECK(same(shared, want, last));
		/* The copy stays up to the end of its process page. */
		CHECK(filled(private, end, 6));
		CHECK(load_signal(shared + last) == SIGBUS);
		CHECK(load_signal(private + end) == SIGBUS);
		CHECK(store_signal(private + 4 * P - 1) == SIGBUS);

		CHECK(!ftruncate(fd, 4 * P));
		CHECK(same(shared, want, 4 * P));
		CHECK(filled(private, end, 6));
		CHECK(all_zero(private + end, 4 * P - end));
		CHECK(file_is(fd, want, 4 * P));
		memset(shared, 7, 4 * P);
		memset(want, 7, 4 * P);
		CHECK(file_is(fd, want, 4 * P));

		/* All of it, while mapped; then by name again. */
		CHECK(!ftruncate(fd, 0));
		CHECK(load_signal(shared) == SIGBUS);
		CHECK(load_signal(private) == SIGBUS);
		CHECK(!ftruncate(fd, 4 * P));
		CHECK(all_zero(shared, 4 * P));
		CHECK(all_zero(private, 4 * P));
		munmap(shared, 4 * P);
		munmap(private, 4 * P);
		close(fd);
	}
}

static void child_punch(int argc, char **argv)
{
	unsigned long P = page_size(), len = 8 * P, i;
	const struct {
		unsigned long off, len;
	} holes[] = {
		{ P, P },
		{ 2 * P + 100, 1000 },
		{ 3 * P - SZ_4K, 2 * SZ_4K },
		{ 4 * P + P / 2, P },
		{ 6 * P + SZ_4K - 512, P - SZ_4K + 1024 },
	};
	static const int modes[] = {
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
	};
	char *shared, *private, *want = map_anon(len, 0);
	bool done = false;
	int fd, mode;

	for (mode = 0; mode < ARRAY_SIZE(modes); mode++) {
		fd = filled_file(len, 8);
		shared = map_file(fd, len, MAP_SHARED, 0);
		private = map_file(fd, len, MAP_PRIVATE, 0);
		memset(want, 0, len);
		fill(want, len, 8);
		CHECK(same(shared, want, len));
		shared[2 * P + 64] = 9;
		want[2 * P + 64] = 9;
		/* Copies, of which a part is in a hole. */
		fill(private + 2 * P, P, 10);
		fill(private + 4 * P, P, 10);
		for (i = 0; i < ARRAY_SIZE(holes); i++) {
			if (fallocate(fd, modes[mode], holes[i].off,
				      holes[i].len))
				break;
			memset(want + holes[i].off, 0, holes[i].len);
			if (!CHECK(same(shared, want, len)))
				printf("# with mode %#x at %#lx\n", modes[mode],
				       holes[i].off);
			done = true;
		}
		if (i < ARRAY_SIZE(holes)) {
			CHECK(!i && errno == EOPNOTSUPP);
			close(fd);
			continue;
		}
		CHECK(filled(private + 2 * P, P, 10));
		CHECK(filled(private + 4 * P, P, 10));
		CHECK(same(private, want, 2 * P));
		CHECK(file_is(fd, want, len));
		/* Into the holes again, by mappings that were there. */
		for (i = 0; i < ARRAY_SIZE(holes); i++)
			shared[holes[i].off] = 11 + i;
		for (i = 0; i < ARRAY_SIZE(holes); i++)
			want[holes[i].off] = 11 + i;
		CHECK(same(shared, want, len));
		CHECK(file_is(fd, want, len));
		munmap(shared, len);
		munmap(private, len);
		close(fd);
	}
	if (!done)
		child_skip("no holes in files here");
}

/* Ranges that go away or come in between, in units of the file system. */
static void child_shift(int argc, char **argv)
{
	unsigned long P = page_size(), len = 8 * P, hole = SZ_4K;
	char *shared, *want = map_anon(len, 0);
	int fd = filled_file(len, 12);

	shared = map_file(fd, len, MAP_SHARED, 0);
	fill(want, len, 12);
	CHECK(same(shared, want, len));
	shared[2 * P + 9] = 13;
	want[2 * P + 9] = 13;
	if (fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, P, hole))
		child_skip("files cannot be shifted here");
	memmove(want + P, want + P + hole, len - P - hole);
	memset(want + len - hole, 0, hole);
	CHECK(same(shared, want, len - hole));
	CHECK(!fallocate(fd, FALLOC_FL_INSERT_RANGE, 3 * P, hole));
	memmove(want + 3 * P + hole, want + 3 * P, len - 3 * P - hole);
	memset(want + 3 * P, 0, hole);
	CHECK(same(shared, want, len));
	shared[3 * P + 9] = 14;
	want[3 * P + 9] = 14;
	CHECK(file_is(fd, want, len));
	CHECK(same(shared, want, len));
	close(fd);
}

/*
 * Ways in which a file grows from @size bytes to @to: by nothing, or by @len
 * bytes at @at, which are @data. 0, or -1 where the way does not exist.
 */
struct growth {
	int fd;
	unsigned long size, to, at, len;
	unsigned long hole;	/* comes in between, behind the first page */
	char *data;
};

/* What is in a file of @len bytes, of @want before, after that. */
static void expect_growth(const struct growth *g, char *want, unsigned long len)
{
	char *hole = want + page_size();

	if (g->hole) {
		memmove(hole + g->hole, hole, len - page_size() - g->hole);
		memset(hole, 0, g->hole);
	}
	memset(want + g->at, 0x66, g->len);
}

static int grow_ftruncate(struct growth *g)
{
	g->len = 0;
	return ftruncate(g->fd, g->to);
}

static int grow_fallocate(struct growth *g)
{
	g->len = 0;
	return fallocate(g->fd, 0, 0, g->to);
}

static int grow_write(struct growth *g)
{
	if (lseek(g->fd, g->at, SEEK_SET) < 0)
		return -1;
	return write(g->fd, g->data, g->len) == g->len ? 0 : -1;
}

static int grow_append(struct growth *g)
{
	int fd = reopen(g->fd, O_WRONLY | O_APPEND);
	ssize_t ret = write(fd, g->data, g->len);

	g->at = g->size;
	close(fd);
	return ret == g->len ? 0 : -1;
}

static int direct_write(struct growth *g, int flags)
{
	int fd = reopen(g->fd, O_WRONLY | O_DIRECT | flags);
	ssize_t ret = pwrite(fd, g->data, g->len, g->at);

	close(fd);
	return ret == g->len ? 0 : -1;
}

static int grow_direct(struct growth *g)
{
	return direct_write(g, 0);
}

static int grow_direct_append(struct growth *g)
{
	g->at = g->size;
	return direct_write(g, O_APPEND);
}

static int uring_write(struct growth *g, int fd)
{
	struct uring u;
	int ret;

	if (!uring_open(&u))
		return -1;
	uring_submit(&u, true, fd, g->data, g->len, g->at, -1);
	ret = uring_wait(&u);
	close(u.fd);
	return ret == g->len ? 0 : -1;
}

static int grow_uring(struct growth *g)
{
	return uring_write(g, g->fd);
}

static int grow_uring_direct(struct growth *g)
{
	int fd = reopen(g->fd, O_WRONLY | O_DIRECT), ret;

	ret = fd < 0 ? -1 : uring_write(g, fd);
	close(fd);
	return ret;
}

static int source(struct growth *g)
{
	int fd = new_file(0);

	CHECK(pwrite(fd, g->data, g->len, 0) == g->len);
	return fd;
}

static int grow_copy_range(struct growth *g)
{
	off_t from = 0, to = g->at;
	int fd = source(g);
	ssize_t ret;

	ret = copy_file_range(fd, &from, g->fd, &to, g->len, 0);
	close(fd);
	return ret == g->len ? 0 : -1;
}

static int grow_clone_range(struct growth *g)
{
	struct file_clone_range range = {
		.src_fd = source(g),
		.src_length = g->len,
		.dest_offset = g->at,
	};
	int ret = ioctl(g->fd, FICLONERANGE, &range);

	close(range.src_fd);
	return ret;
}

/* All of a file, and so all of this one. */
static int grow_clone(struct growth *g)
{
	int fd = new_file(0), ret;
	unsigned long off;

	for (off = 0; off < g->to; off += g->len)
		CHECK(pwrite(fd, g->data, g->len, off) == g->len);
	g->at = 0;
	g->len = g->to;
	ret = ioctl(g->fd, FICLONE, fd);
	close(fd);
	return ret;
}

static int grow_sendfile(struct growth *g)
{
	int fd = source(g);
	off_t from = 0;
	ssize_t ret;

	lseek(g->fd, g->at, SEEK_SET);
	ret = sendfile(g->fd, fd, &from, g->len);
	close(fd);
	return ret == g->len ? 0 : -1;
}

static int grow_insert(struct growth *g)
{
	const unsigned long P = page_size();
	int ret = fallocate(g->fd, FALLOC_FL_INSERT_RANGE, P, 2 * P);

	g->len = 0;
	if (!ret)
		g->hole = 2 * P;
	return ret;
}

struct way {
	const char *name;
	int (*fn)(struct growth *g);
};

static const struct way ways[] = {
	{ "ftruncate", grow_ftruncate },
	{ "fallocate", grow_fallocate },
	{ "write", grow_write },
	{ "append", grow_append },
	{ "direct", grow_direct },
	{ "direct_append", grow_direct_append },
	{ "uring", grow_uring },
	{ "uring_direct", grow_uring_direct },
	{ "copy_range", grow_copy_range },
	{ "clone_range", grow_clone_range },
	{ "clone", grow_clone },
	{ "sendfile", grow_sendfile },
	{ "insert", grow_insert },
};

/*
 * Does a kernel leave in the file what was stored behind its end, as long as
 * this is in its own last page? Not where it looks after process pages.
 */
static bool leaks(int fd, const struct way *way)
{
	bool direct = way->fn == grow_direct || way->fn == grow_uring_direct;

	if (page_size() > kernel_page_size())
		return false;
	switch (magic(fd)) {
	case EXT4_SUPER_MAGIC:
		return direct;
	case XFS_MAGIC:
		return direct && kernel_page_size() > SZ_4K;
	case MSDOS_SUPER_MAGIC:
	case TMPFS_MAGIC:
		return true;
	}
	return false;
}

static void ignore_leaks(int fd, const struct way *way, unsigned long size)
{
	if (!leaks(fd, way))
		return;
	ignored = size;
	ignored_end = round_up(size, kernel_page_size());
}

/*
 * A store behind the end of the file is not in the file when that grows; one
 * after it has grown is, though the process page is writable all the time.
 */
static bool grow_one(const struct way *way, unsigned long size, bool clean)
{
	unsigned long P = page_size(), len = 4 * P;
	struct growth g = {
		.size = size, .to = len, .at = 3 * P, .len = P,
		.fd = filled_file(size, 15), .data = map_anon(P, 0),
	};
	char *p = map_file(g.fd, len, MAP_SHARED, 0);
	char *want = map_anon(len, 0);
	unsigned long end = reach(g.fd, size);
	int ret;

	memset(g.data, 0x66, P);
	fill(want, len, 15);
	memset(want + size, 0, len - size);
	CHECK(same(p, want, end));
	memset(p + size, 0xee, end - size);
	if (clean)
		CHECK(!msync(p, 2 * P, MS_SYNC));
	ret = way->fn(&g);
	ignore_leaks(g.fd, way, size);
	if (!ret) {
		expect_growth(&g, want, len);
		/* An append ends earlier. */
		CHECK(!ftruncate(g.fd, len));
		if (ignored_end && p[size] == (char)0xee)
			printf("# %s: stale bytes in the kernel's last page\n",
			       way->name);
		CHECK(same(p, want, len));
		CHECK(file_is(g.fd, want, len));
		CHECK(same(p, want, len));
		memset(p + size, 0x77, 512);
		memset(want + size, 0x77, 512);
		p[len - 1] = 0x78;
		want[len - 1] = 0x78;
		CHECK(file_is(g.fd, want, len));
	}
	ignored_end = 0;
	munmap(p, 4 * P);
	munmap(want, 4 * P);
	munmap(g.data, P);
	close(g.fd);
	return !ret;
}

static void child_grow(int argc, char **argv)
{
	unsigned long P = page_size(), i, j, done = 0;
	const unsigned long sizes[] = {
		P + 100, P + 100, P + P / 2, 2 * P - 512,
	};

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		int before = child_failures();

		if (strcmp(ways[i].name, argv[2]))
			continue;
		for (j = 0; j < ARRAY_SIZE(sizes); j++) {
			done += grow_one(&ways[i], sizes[j], j & 1);
			if (child_failures() > before) {
				printf("# that was from %#lx bytes%s\n",
				       sizes[j], j & 1 ? ", clean" : "");
				break;
			}
		}
	}
	if (!done)
		child_skip("files do not grow this way here");
}

/* What somebody says who stores behind the end of a file while that grows. */
struct racer {
	unsigned long last;	/* the last value that he stored */
	unsigned long sure;	/* the last with the end still in front of it */
};

static void store_behind(int fd, unsigned long *at, unsigned long size,
			 struct racer *racer)
{
	struct stat st;

	do {
		__atomic_store_n(&racer->sure, racer->last++, __ATOMIC_RELAXED);
		__atomic_store_n(at, racer->last, __ATOMIC_RELAXED);
	} while (!fstat(fd, &st) && st.st_size == size);
	_exit(0);
}

/*
 * Is @value the last store, which may have been after the growth, or else what
 * the file has without it? An earlier one was behind the end for sure.
 */
static bool race_ended_well(unsigned long value, unsigned long without,
			    const struct racer *racer)
{
	if (value == without || value == racer->last)
		return true;
	printf("# %#lx, of %#lx stores behind the end and one more\n", value,
	       racer->sure);
	return false;
}

static bool race_one(const struct way *way, struct racer *racer, int turn)
{
	unsigned long P = page_size(), len = 4 * P, at = 2 * P - 16;
	struct growth g = {
		.size = P + P / 2, .to = len, .at = 3 * P, .len = P,
		.fd = filled_file(P + P / 2, 17), .data = map_anon(P, 0),
	};
	char *p = map_file(g.fd, len, MAP_SHARED, 0);
	char *buf = map_anon(len, 0);
	unsigned long value, without = 0;
	int ret, status, direct;
	pid_t pid;

	memset(g.data, 0x66, P);
	memset(racer, 0, sizeof(*racer));
	fflush(stdout);
	pid = fork();
	if (!pid)
		store_behind(g.fd, (unsigned long *)(p + at), g.size, racer);
	while (__atomic_load_n(&racer->sure, __ATOMIC_RELAXED) < 1 + turn * 5 &&
	       !waitpid(pid, &status, WNOHANG))
		sched_yield();
	ret = way->fn(&g);
	/* He has to see that, where it does not grow that way. */
	CHECK(!ftruncate(g.fd, len));
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	if (!ret && g.len && g.at <= at && at < g.at + g.len)
		memset(&without, 0x66, sizeof(without));
	value = *(unsigned long *)(p + at);
	CHECK(race_ended_well(value, without, racer));
	CHECK(pread(g.fd, buf, len, 0) == len);
	CHECK(*(unsigned long *)(buf + at) == value);
	/* And it is what the disk has. */
	CHECK(!fsync(g.fd));
	direct = reopen(g.fd, O_RDONLY | O_DIRECT);
	if (direct >= 0) {
		CHECK(pread(direct, buf, len, 0) == len);
		CHECK(*(unsigned long *)(buf + at) == value);
		close(direct);
	}
	munmap(p, len);
	munmap(buf, len);
	munmap(g.data, P);
	close(g.fd);
	return !ret;
}

/* The same while somebody keeps storing behind the end. */
static void child_race(int argc, char **argv)
{
	struct racer *racer = (struct racer *)map_anon(page_size(), MAP_SHARED);
	int turn, fd = new_file(0);
	size_t i;

	if (!whole_pages(fd))
		child_skip("no kernel pages behind the end in the page");
	close(fd);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		int before = child_failures();

		for (turn = 0; turn < 8; turn++) {
			if (!race_one(&ways[i], racer, turn))
				break;
			if (child_failures() > before) {
				printf("# that was %s, turn %d\n",
				       ways[i].name, turn);
				break;
			}
		}
	}
}

/*
 * What is in front of the end keeps its last store while the file is made shorter
 * and longer, although its folios are put together and split all the time.
 */
static void child_shrink(int argc, char **argv)
{
	const unsigned long P = page_size(), keep = 6000, len = 16 * P;
	unsigned long n = 0, last = 0;
	unsigned long *p;
	int fd = filled_file(keep, 17), status = -1;
	pid_t pid;

	p = (unsigned long *)map_file(fd, len, MAP_SHARED, 0);
	*p = 0;
	pid = fork();
	if (!pid) {
		char *data = map_anon(len, 0);
		int i;

		fill(data, len, 18);
		for (i = 0; i < 300; i++) {
			CHECK(pwrite(fd, data, len - keep, keep) ==
			      (ssize_t)(len - keep));
			if (i & 1)
				sync_file_range(fd, 0, len,
						SYNC_FILE_RANGE_WRITE);
			CHECK(!ftruncate(fd, keep));
		}
		fflush(stdout);
		_exit(child_failures());
	}
	while (!waitpid(pid, &status, WNOHANG)) {
		if (!CHECK(__atomic_load_n(p, __ATOMIC_RELAXED) == last))
			break;
		last = ++n;
		__atomic_store_n(p, n, __ATOMIC_RELAXED);
		/* Have it looked up again. */
		if (n % 64 == 0)
			CHECK(!madvise(p, P, MADV_DONTNEED));
	}
	if (status == -1)
		waitpid(pid, &status, 0);
	CHECK(status == 0);
	CHECK(*p == last);
	CHECK(pread(fd, &n, sizeof(n), 0) == sizeof(n) && n == last);
	close(fd);
}

/*
 * Folios come, go and are put together while the file is punched: who does the
 * one and who does the other must not wait for each other.
 */
static void child_holes(int argc, char **argv)
{
	const unsigned long K = SZ_4K, P = page_size(), len = 4 * P;
	const time_t end = time(NULL) + 3;
	int fd = filled_file(len, 19), status;
	unsigned int n = 0;
	char *p, buf[8];
	pid_t pid;

	p = map_file(fd, len, MAP_SHARED, 0);
	pid = fork();
	if (!pid) {
		while (time(NULL) < end) {
			const off_t at = n++ % (len / K) * K + K / 2;

			if (fallocate(fd, FALLOC_FL_PUNCH_HOLE |
				      FALLOC_FL_KEEP_SIZE, at, K))
				break;
			CHECK(pwrite(fd, "x", 1, at) == 1);
			CHECK(!ftruncate(fd, len - n % K));
			CHECK(!ftruncate(fd, len));
		}
		fflush(stdout);
		_exit(child_failures());
	}
	while (time(NULL) < end) {
		const unsigned long at = n++ % 4 * P;

		load_signal(p + at);
		/* One kernel page is read alone, and the others are not there. */
		sync_file_range(fd, at, P, SYNC_FILE_RANGE_WRITE);
		posix_fadvise(fd, at, P, POSIX_FADV_DONTNEED);
		posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
		CHECK(pread(fd, buf, 8, at) >= 0);
		CHECK(!madvise(p, len, MADV_DONTNEED));
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	munmap(p, len);
	close(fd);
}

/* It grows while it is mapped, but was not stored to behind its end. */
static void child_written_back(int argc, char **argv)
{
	unsigned long P = page_size(), len = 4 * P, off;
	const unsigned long sizes[] = { 1, P / 2, P, P + 100, 2 * P - 8 };
	char *p, *want = map_anon(len, 0);
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		fd = filled_file(sizes[i], 16);
		p = map_file(fd, len, MAP_SHARED, 0);
		fill(want, len, 16);
		memset(want + sizes[i], 0, len - sizes[i]);
		/* Writable now, as far as the file goes. */
		p[0] = p[0];
		p[sizes[i] - 1] = p[sizes[i] - 1];
		CHECK(!ftruncate(fd, len));
		for (off = 0; off < len; off += SZ_4K / 2) {
			want[off + 40] = off >> 11 | 1;
			p[off + 40] = want[off + 40];
		}
		CHECK(same(p, want, len));
		CHECK(file_is(fd, want, len));
		munmap(p, len);
		close(fd);
	}
}

/* What happens to a file before its file system is gone. */
enum {
	GROW,		/* it grows, and is stored to where it has grown */
	CLEAN_GROW,	/* the same, but it was written in between */
	GROW_FSYNC,	/* it grows, and is written */
	STORE,		/* it does not grow, whatever the way */
	FATES,
};

/* A file in $@dir for what becomes of it in process pages of this size. */
static int fate_file(const char *dir, const struct way *way, int fate,
		     int flags)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%lu-%s-%d", getenv(dir), page_size(),
		 way->name, fate);
	return open(path, flags | O_CLOEXEC, 0600);
}

static unsigned long fate_size(void)
{
	return page_size() + 100;
}

/* The fate of one file, and what it should be then in another one. */
static void leave_one(const struct way *way, int fate)
{
	unsigned long P = page_size(), size = fate_size(), len = 4 * P, end;
	struct growth g = {
		.size = size, .to = len, .at = 3 * P, .len = P,
		.fd = fate_file("PAGES_DIR", way, fate, O_RDWR | O_CREAT),
		.data = map_anon(P, 0),
	};
	char *p, *want = map_anon(len, 0);
	int fd, ret = 0;

	if (!CHECK(g.fd >= 0))
		return;
	fill_file(g.fd, size, 21);
	p = map_file(g.fd, len, MAP_SHARED, 0);
	memset(g.data, 0x66, P);
	fill(want, len, 21);
	memset(want + size, 0, len - size);
	end = reach(g.fd, size);
	memset(p + size, 0xee, end - size);
	p[9] = 0x55;
	want[9] = 0x55;
	if (fate == CLEAN_GROW)
		CHECK(!msync(p, end, MS_SYNC));
	if (fate != STORE)
		ret = way->fn(&g);
	if (!ret && fate != STORE)
		expect_growth(&g, want, len);
	if (!ret && (fate == GROW || fate == CLEAN_GROW)) {
		CHECK(!ftruncate(g.fd, len));
		memset(p + size, 0x77, 512);
		memset(want + size, 0x77, 512);
		p[len - 1] = 0x78;
		want[len - 1] = 0x78;
	}
	if (fate == GROW_FSYNC)
		CHECK(!fsync(g.fd));
	if (!ret) {
		fd = fate_file("WANT_DIR", way, fate, O_WRONLY | O_CREAT);
		CHECK(write(fd, want, len) == len);
		close(fd);
	}
	munmap(p, len);
	munmap(want, len);
	munmap(g.data, P);
	close(g.fd);
}

static void child_leave(int argc, char **argv)
{
	size_t i;
	int fate;

	for (i = 0; i < ARRAY_SIZE(ways); i++)
		for (fate = 0; fate < (i ? STORE : FATES); fate++)
			leave_one(&ways[i], fate);
}

/* Whatever has not grown before does so now. */
static bool find_one(const struct way *way, int fate)
{
	unsigned long P = page_size(), size = fate_size(), len = 4 * P;
	int fd, wanted = fate_file("WANT_DIR", way, fate, O_RDONLY);
	char *p, *want = map_anon(len, 0);
	int before = child_failures();

	if (wanted < 0)
		return false;
	CHECK(read(wanted, want, len) == len);
	close(wanted);
	fd = fate_file("PAGES_DIR", way, fate, O_RDWR);
	if (!CHECK(fd >= 0))
		return false;
	if (fate != STORE)
		ignore_leaks(fd, way, size);
	CHECK(!ftruncate(fd, len));
	p = map_file(fd, len, MAP_SHARED, 0);
	CHECK(same(p, want, len));
	CHECK(reads_as(fd, want, len));
	ignored_end = 0;
	if (child_failures() > before)
		printf("# that was %s, fate %d\n", way->name, fate);
	munmap(p, len);
	munmap(want, len);
	close(fd);
	return true;
}

static void child_find(int argc, char **argv)
{
	unsigned int found = 0;
	size_t i;
	int fate;

	for (i = 0; i < ARRAY_SIZE(ways); i++)
		for (fate = 0; fate < FATES; fate++)
			found += find_one(&ways[i], fate);
	/* These are nowhere missing: to truncate, to write and to append. */
	CHECK(found >= 1 + 3 * STORE);
}

/*
 * What is cloned from an inline extent of btrfs goes to its block, of several in
 * a folio, and what follows in the block is zero. argv[2]: whether the folio is
 * "cached" or "new".
 */
static void child_clone_inline(int argc, char **argv)
{
	const bool cached = !strcmp(argv[2], "cached");
	const size_t len = page_size() < SZ_64K ? SZ_64K : page_size();
	struct file_clone_range range = {
		.src_length = 2 * SZ_4K,
		.dest_offset = SZ_4K,
	};
	char *want = map_anon(len, 0), *p;
	int from = temp_file(NULL), fd, i;

	/* See copy_inline_to_page() in the kernel. */
	fill(want, len, 1);
	CHECK(pwrite(from, want, 504, 0) == 504);
	CHECK(!fsync(from));
	if (fallocate(from, 0, 0, SZ_4K))
		child_skip("no space can be allocated here");
	CHECK(pwrite(from, want, SZ_4K, SZ_4K) == SZ_4K);
	CHECK(!fsync(from));
	range.src_fd = from;

	fd = filled_file(len, 2);
	p = map_file(fd, len, MAP_SHARED, 0);
	CHECK(filled(p, len, 2));
	CHECK(!fsync(fd));
	if (!cached) {
		CHECK(!munmap(p, len));
		CHECK(!posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	}
	if (ioctl(fd, FICLONERANGE, &range))
		child_skip("files cannot be cloned here");
	if (!cached)
		p = map_file(fd, len, MAP_SHARED, 0);
	/* It is the same when it is read from the disk again. */
	for (i = 0; i < 2; i++) {
		CHECK(filled(p, SZ_4K, 2));
		CHECK(filled(p + SZ_4K, 504, 1));
		CHECK(all_zero(p + SZ_4K + 504, SZ_4K - 504));
		CHECK(!memcmp(p + 2 * SZ_4K, want, SZ_4K));
		CHECK(filled(p + 3 * SZ_4K, len - 3 * SZ_4K, 2 + 3 * SZ_4K));
		CHECK(!fsync(fd));
		CHECK(!munmap(p, len));
		CHECK(!posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
		p = map_file(fd, len, MAP_SHARED, 0);
	}
	close(from);
	close(fd);
}

/*
 * A part of what may have been mapped by one large entry, and with DAX is mapped
 * in kernel pages then, is there from wherever the first access is to it.
 */
static void child_part(int argc, char **argv)
{
	const size_t huge = 2 * SZ_1M, off = SZ_1M, at = 5 * SZ_4K + 512;
	const int flags[] = { MAP_SHARED, MAP_PRIVATE };
	char *area = map_anon(3 * huge, 0), *p, *q, byte;
	int i, fds[2];

	area = (char *)(((unsigned long)area + huge - 1) & ~(huge - 1));
	CHECK(!pipe(fds));
	for (i = 0; i < 2; i++) {
		int fd = new_file(2 * huge);

		/* In one extent, if that can be had. */
		if (fallocate(fd, 0, 0, 2 * huge))
			CHECK(errno == EOPNOTSUPP);
		p = mmap(area, 2 * huge, PROT_READ | PROT_WRITE,
			 MAP_FIXED | flags[i], fd, 0);
		if (p == MAP_FAILED)
			child_skip("no shared mappings of files here");
		fill(p, 2 * huge, 4);
		CHECK(filled(p, 2 * huge, 4));
		CHECK(!mprotect(p + off, SZ_64K, PROT_READ));
		CHECK(!load_signal(p + off + at));
		CHECK(filled(p + off, SZ_64K, 4 + off));
		/* It is the kernel that looks first. */
		CHECK(!mprotect(p + 2 * off, SZ_64K, PROT_READ));
		CHECK(write(fds[1], p + 2 * off + at, 1) == 1);
		CHECK(read(fds[0], &byte, 1) == 1 &&
		      byte == p[2 * off + at]);
		q = map_file(fd, SZ_64K, flags[i], off);
		CHECK(!store_signal(q + at));
		if (flags[i] == MAP_SHARED)
			CHECK(filled(q + SZ_64K / 2, SZ_64K / 2,
				     4 + off + SZ_64K / 2));
		CHECK(filled(p, off, 4));
		CHECK(!munmap(q, SZ_64K));
		close(fd);
	}
}

/* Print the faults that it takes to read a file. argv[2]: the file. */
static void child_count_faults(int argc, char **argv)
{
	unsigned long off;
	long before;
	char *p;

	/* Where no folio is in two page tables. */
	p = map_anon(2 * WHOLE_LEN, MAP_PRIVATE);
	p = (char *)(((unsigned long)p + WHOLE_LEN - 1) & ~(WHOLE_LEN - 1));
	CHECK(mmap(p, WHOLE_LEN, PROT_READ, MAP_PRIVATE | MAP_FIXED,
		   atoi(argv[2]), 0) == p);
	before = minor_faults();
	for (off = 0; off < WHOLE_LEN; off += SZ_4K)
		CHECK(!load_signal(p + off));
	printf("%ld\n", minor_faults() - before);
}

static const struct child children[] = {
	{ "part", child_part },
	{ "clone-inline", child_clone_inline },
	{ "eof", child_eof },
	{ "held", child_held },
	{ "held-grown", child_held_grown },
	{ "shared", child_shared },
	{ "private", child_private },
	{ "small", child_small },
	{ "preferred", child_preferred },
	{ "truncate", child_truncate },
	{ "punch", child_punch },
	{ "shift", child_shift },
	{ "grow", child_grow },
	{ "race", child_race },
	{ "shrink", child_shrink },
	{ "holes", child_holes },
	{ "written-back", child_written_back },
	{ "leave", child_leave },
	{ "find", child_find },
	{ "count_faults", child_count_faults },
	{ }
};

TEST_F(pages, eof)
{
	EXPECT_CHILD("eof");
}

TEST_F(pages, held)
{
	EXPECT_CHILD("held");
}

TEST_F(pages, held_grown)
{
	EXPECT_CHILD("held-grown");
}

TEST_F(pages, shared)
{
	EXPECT_CHILD("shared");
}

TEST_F(pages, private)
{
	EXPECT_CHILD("private");
}

TEST_F(pages, small)
{
	EXPECT_CHILD("small");
}

TEST_F(pages, preferred)
{
	EXPECT_CHILD("preferred");
}

TEST_F(pages, truncate)
{
	EXPECT_CHILD("truncate");
}

TEST_F(pages, punch)
{
	EXPECT_CHILD("punch");
}

TEST_F(pages, shift)
{
	EXPECT_CHILD("shift");
}

TEST_F(pages, written_back)
{
	EXPECT_CHILD("written-back");
}

TEST_F_TIMEOUT(pages, race, 120)
{
	EXPECT_CHILD("race");
}

TEST_F_TIMEOUT(pages, shrink, 120)
{
	EXPECT_CHILD("shrink");
}

TEST_F_TIMEOUT(pages, holes, 120)
{
	EXPECT_CHILD("holes");
}

TEST_F(pages, grow_ftruncate)
{
	EXPECT_CHILD("grow", "ftruncate");
}

TEST_F(pages, grow_fallocate)
{
	EXPECT_CHILD("grow", "fallocate");
}

TEST_F(pages, grow_write)
{
	EXPECT_CHILD("grow", "write");
}

TEST_F(pages, grow_append)
{
	EXPECT_CHILD("grow", "append");
}

TEST_F(pages, grow_direct)
{
	EXPECT_CHILD("grow", "direct");
}

TEST_F(pages, grow_direct_append)
{
	EXPECT_CHILD("grow", "direct_append");
}

TEST_F(pages, grow_uring)
{
	EXPECT_CHILD("grow", "uring");
}

TEST_F(pages, grow_uring_direct)
{
	EXPECT_CHILD("grow", "uring_direct");
}

TEST_F(pages, grow_copy_range)
{
	EXPECT_CHILD("grow", "copy_range");
}

TEST_F(pages, grow_clone_range)
{
	EXPECT_CHILD("grow", "clone_range");
}

TEST_F(pages, grow_clone)
{
	EXPECT_CHILD("grow", "clone");
}

TEST_F(pages, part)
{
	EXPECT_CHILD("part");
}

TEST_F(pages, clone_inline)
{
	EXPECT_CHILD("clone-inline", "cached");
	EXPECT_CHILD("clone-inline", "new");
}

TEST_F(pages, grow_sendfile)
{
	EXPECT_CHILD("grow", "sendfile");
}

TEST_F(pages, grow_insert)
{
	EXPECT_CHILD("grow", "insert");
}

static long count_faults(unsigned int shift, const char *text, int fd)
{
	char number[24], out[256];
	const char *argv[4] = { "count_faults", text, number };
	ssize_t len;
	pid_t pid;
	int from;

	snprintf(number, sizeof(number), "%d", fd);
	pid = start_child(shift, argv, &from);
	len = read(from, out, sizeof(out) - 1);
	out[len > 0 ? len : 0] = 0;
	close(from);
	return finish_child(pid) ? -1 : atol(out);
}

/* A large folio is mapped at once: no more faults than with small pages. */
TEST_F(pages, whole_folios)
{
	const unsigned long chunk = 0x100000;
	unsigned int shift = have_feature() ?
			     __builtin_ctzl(kernel_page_size()) : DEFAULT_SIZE;
	char *buf = malloc(chunk);
	long small, large;
	unsigned int i;
	int fd;

	fd = temp_file(getenv("PAGES_DIR") ?: getenv("TMPDIR") ?: "/var/tmp");
	ASSERT_LE(0, fd);
	memset(buf, 1, chunk);
	for (i = 0; i < WHOLE_LEN / chunk; i++)
		ASSERT_EQ(chunk, write(fd, buf, chunk));
	ASSERT_EQ(0, fsync(fd));
	/* Files in memory have them only if the mount says so. */
	if (!large_folios(fd) || magic(fd) == TMPFS_MAGIC) {
		close(fd);
		SKIP(return, "no large folios here");
	}
	fcntl(fd, F_SETFD, 0);
	small = count_faults(shift, self->text, fd);
	large = count_faults(variant->shift, self->text, fd);
	EXPECT_LT(0, small);
	EXPECT_LT(0, large);
	EXPECT_LE(large, small + 2);
	close(fd);
	free(buf);
}

/* What a disk has, when what memory had of it is gone. */
FIXTURE(disks) {
	const char *missing;
	char dir[32], disk[48];
	struct loop loop;
	bool on_loop;
};

FIXTURE_VARIANT(disks) {
	const char *kind, *options;
	unsigned int mib;	/* no less than there must be */
};

FIXTURE_VARIANT_ADD(disks, ext4) {
	.kind = "ext4", .options = "-q -m 0", .mib = 64,
};

FIXTURE_VARIANT_ADD(disks, xfs) {
	.kind = "xfs", .options = "-q", .mib = 304,
};

FIXTURE_VARIANT_ADD(disks, btrfs) {
	.kind = "btrfs", .options = "-q", .mib = 128,
};

FIXTURE_VARIANT_ADD(disks, vfat) {
	.kind = "vfat", .options = "", .mib = 64,
};

/* NULL, or why there is no such disk. */
static const char *make_disk(FIXTURE_DATA(disks) *self,
			     const FIXTURE_VARIANT(disks) *variant)
{
	char want[48];
	int fd;

	if (geteuid() || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return "only root may mount";
	strcpy(self->dir, "/tmp/pagesize-disks.XXXXXX");
	if (!mkdtemp(self->dir)) {
		self->dir[0] = 0;
		return "no directory";
	}
	snprintf(self->disk, sizeof(self->disk), "%s/disk", self->dir);
	snprintf(want, sizeof(want), "%s/want", self->dir);
	mkdir(self->disk, 0755);
	mkdir(want, 0755);
	fd = temp_file(getenv("TMPDIR") ?: "/var/tmp");
	setenv("PAGES_DIR", self->disk, 1);
	setenv("WANT_DIR", want, 1);
	self->on_loop = fd >= 0 && !ftruncate(fd, variant->mib * SZ_1M) &&
			loop_make(&self->loop, fd, 512);
	close(fd);
	if (!self->on_loop)
		return "no loop device";
	if (!shell("mkfs.%s %s %s", variant->kind, variant->options,
		   self->loop.device))
		return "mkfs failed";
	if (mount(self->loop.device, self->disk, variant->kind, 0, NULL))
		return "the kernel does not mount it";
	return NULL;
}

/* A test that is skipped here would not be torn down. */
FIXTURE_SETUP(disks)
{
	self->missing = make_disk(self, variant);
}

FIXTURE_TEARDOWN(disks)
{
	if (!self->dir[0])
		return;
	umount2(self->disk, MNT_DETACH);
	if (self->on_loop)
		loop_drop(&self->loop);
	shell("rm -rf --one-file-system %s", self->dir);
}

TEST_F_TIMEOUT(disks, remount, 120)
{
	static const char *const turns[] = { "leave", "find" };
	/* The kernel's own is there for want of others. */
	static const unsigned int shifts[] = { DEFAULT_SIZE, 12, 14, 16 };
	const unsigned long K = kernel_page_size();
	size_t i, j;
	int tries;

	if (self->missing)
		SKIP(return, "%s", self->missing);
	for (i = 0; i < ARRAY_SIZE(turns); i++) {
		for (j = 0; j < ARRAY_SIZE(shifts); j++) {
			if (!shifts[j] && have_feature())
				continue;
			if (shifts[j] && (1UL << shifts[j] <= K ||
					  !size_offered(shifts[j])))
				continue;
			EXPECT_EQ(0, run_child(shifts[j], turns[i], NULL))
				TH_LOG("pages of 1 << %u bytes", shifts[j]);
		}
		if (i)
			break;
		/* What io_uring has is given back some time later. */
		for (tries = 0; umount(self->disk) && tries < 100; tries++) {
			ASSERT_EQ(EBUSY, errno);
			usleep(10000);
		}
		ASSERT_GT(100, tries);
		ASSERT_EQ(0, mount(self->loop.device, self->disk, variant->kind,
				   0, NULL));
	}
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
