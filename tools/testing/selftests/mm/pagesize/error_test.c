// SPDX-License-Identifier: GPL-2.0
/*
 * Process pages when something fails: reading from a disk or writing to it, the
 * room in a file system, the memory that a cgroup may use, the memory itself. An
 * access is then SIGBUS, or EFAULT or EIO of a system call, in this process page
 * and in no other; what was written is there or was reported lost, once to
 * everybody who asks; and nothing is tried for ever.
 *
 * The disk is a loop device behind a device mapper, in whose table blocks of a
 * file are replaced by errors while the file system is mounted: ext4, or xfs if
 * ERROR_TEST_FS says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <linux/dm-ioctl.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"
#include "pagesize_system.h"

#define NAME		"pagesize-errors"
#define DIR		"/tmp/pagesize-errors"
#define DISK		DIR "/disk"	/* a file system on the device mapper */
#define SMALL		DIR "/small"	/* tmpfs of that size */
#define SMALL_SIZE	(4 * SZ_1M)
#define SECTOR		512UL
/* Nothing here takes long unless it loops. */
#define PATIENCE	60
/* What is slow is waited for a little, and then done without. */
#define SECONDS		8

static bool on_xfs(void)
{
	return !strcmp(getenv("ERROR_TEST_FS") ?: "", "xfs");
}

/* As small as the file system may be, or nearly so. */
static unsigned long disk_size(void)
{
	return on_xfs() ? 304 * SZ_1M : 40 * SZ_1M;
}

struct dm_table {
	struct dm_ioctl head;
	char targets[1024];
};

static bool dm(unsigned long command, struct dm_table *table, uint32_t flags)
{
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC), ret;

	if (fd < 0)
		return false;
	table->head.version[0] = 4;
	table->head.data_size = sizeof(*table);
	table->head.data_start = offsetof(struct dm_table, targets);
	table->head.flags = flags;
	snprintf(table->head.name, sizeof(table->head.name), NAME);
	ret = ioctl(fd, command, table);
	close(fd);
	return !ret;
}

/* One more line of a table, from sector @from up to @to. */
static void dm_line(struct dm_table *table, unsigned long from,
		    unsigned long to, const char *kind, const char *loop)
{
	struct dm_target_spec *spec = (struct dm_target_spec *)table->targets;
	char *text;

	if (from == to)
		return;
	spec += 4 * table->head.target_count++;
	spec->sector_start = from;
	spec->length = to - from;
	/* To the next, from this one. */
	spec->next = 4 * sizeof(*spec);
	snprintf(spec->target_type, sizeof(spec->target_type), "%s", kind);
	text = (char *)(spec + 1);
	if (loop)
		sprintf(text, "%s %lu", loop, from);
}

/* From now on, the sectors from @from up to @to fail. */
static bool fail_sectors(unsigned long from, unsigned long to)
{
	const char *loop = getenv("ERROR_TEST_LOOP");
	struct dm_table table = { };

	dm_line(&table, 0, from, "linear", loop);
	dm_line(&table, from, to, "error", NULL);
	dm_line(&table, to, disk_size() / SECTOR, "linear", loop);
	if (!dm(DM_TABLE_LOAD, &table, 0))
		return false;
	memset(&table, 0, sizeof(table));
	/* The file system shall not write what it has before. */
	return dm(DM_DEV_SUSPEND, &table, DM_SKIP_LOCKFS_FLAG);
}

static void heal(void)
{
	CHECK(fail_sectors(0, 0));
}

/* From now on, what is read and written waits; until it does no longer. */
static void stop_disk(bool stop)
{
	struct dm_table table = { };

	CHECK(dm(DM_DEV_SUSPEND, &table, !stop ? 0 :
		 DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG | DM_NOFLUSH_FLAG));
}

/* One who lets the disk go on after a while, whatever we wait for. */
static pid_t start_disk_later(unsigned int seconds)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		sleep(seconds);
		stop_disk(false);
		_exit(child_failures());
	}
	return pid;
}

/* The block of a kernel page of 4K at @off of a file fails. */
static bool fail_block(int fd, unsigned long off)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extent;
	} e = {
		.map = {
			.fm_start = off,
			.fm_length = SZ_4K,
			.fm_extent_count = 1,
		},
	};
	unsigned long from;

	if (!CHECK(!ioctl(fd, FS_IOC_FIEMAP, &e)) ||
	    !CHECK(e.map.fm_mapped_extents == 1))
		return false;
	from = e.extent.fe_physical + off - e.extent.fe_logical;
	return CHECK(fail_sectors(from / SECTOR, (from + SZ_4K) / SECTOR));
}

static int new_file(const char *dir, unsigned long size, unsigned long seed)
{
	char *buf = map_anon(size, 0);
	int fd = temp_file(dir);

	if (!CHECK(fd >= 0))
		exit(child_failures());
	fill(buf, size, seed);
	CHECK(pwrite(fd, buf, size, 0) == size);
	CHECK(!fsync(fd));
	munmap(buf, size);
	return fd;
}

static char *map_file(int fd, size_t len, int flags)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (CHECK(p != MAP_FAILED))
		return p;
	exit(child_failures());
}

/* Have [@off, @off + @len) in the page cache, each kernel page of 4K alone. */
static void cache(int fd, unsigned long off, unsigned long len)
{
	char c;

	CHECK(!posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM));
	for (; len; len -= SZ_4K, off += SZ_4K)
		CHECK(pread(fd, &c, 1, off) == 1);
}

static bool uncache(int fd)
{
	return CHECK(!fsync(fd)) &&
	       CHECK(!posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
}

/*
 * A load from each 4K of a file of fill(@seed) of which what is at @bad cannot be
 * read: SIGBUS there; in this process page, SIGBUS or what it should be.
 */
static void load_around(const char *p, unsigned long len, unsigned long seed,
			unsigned long bad, bool backwards)
{
	unsigned long P = page_size(), off, i;
	int sig;

	for (i = 0; i < len; i += SZ_4K) {
		off = backwards ? len - SZ_4K - i : i;
		sig = load_signal(p + off);
		if (!CHECK(sig == (off == bad || (sig && off / P == bad / P) ?
				   SIGBUS : 0)))
			printf("# at %#lx\n", off);
		if (!sig)
			CHECK(filled(p + off, SZ_4K, seed + off));
	}
}

/* A kernel page of 4K in the second process page. */
static unsigned long middle(unsigned long P)
{
	return P + P / 2 / SZ_4K * SZ_4K;
}

/* A block of a process page cannot be read. */
static void child_unreadable(int argc, char **argv)
{
	unsigned long P = page_size(), len = 4 * P, i;
	/* Its first kernel page, its last, and one in the middle. */
	const unsigned long blocks[] = { P, 2 * P - SZ_4K, middle(P) };
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE };
	char *p, *q, *buf = map_anon(len, 0);
	int j, k, fd, pipefd[2];
	struct iovec iov;

	alarm(PATIENCE);
	CHECK(!pipe(pipefd));
	for (i = 0; i < ARRAY_SIZE(blocks) * 2 * 3; i++) {
		const unsigned long bad = blocks[i % 3];

		j = i / 3 % 2;
		k = i / 6;
		fd = new_file(DISK, len, i);
		uncache(fd);
		/* Nothing is cached; all but that; all but its process page. */
		if (k == 1) {
			cache(fd, 0, bad);
			cache(fd, bad + SZ_4K, len - bad - SZ_4K);
		} else if (k == 2) {
			cache(fd, 0, P);
			cache(fd, 2 * P, len - 2 * P);
		}
		if (kernel_page_size() > SZ_4K)
			uncache(fd);
		if (!fail_block(fd, bad))
			return;
		p = map_file(fd, len, flags[j]);
		/* By the kernel first, every other time. */
		if (i & 1)
			CHECK(syscall(__NR_futex, p + bad, FUTEX_WAIT, 0, NULL,
				      NULL, 0) == -1 && errno == EFAULT);
		load_around(p, len, i, bad, i % 5 & 1);
		CHECK(store_signal(p + bad) == SIGBUS);
		CHECK(write(pipefd[1], p + bad + 8, 8) == -1 &&
		      errno == EFAULT);
		CHECK(pread(fd, buf, SZ_4K, bad) == -1 && errno == EIO);
		CHECK(pread(fd, p + bad, 8, 0) == -1 && errno == EFAULT);
		iov = (struct iovec){ p + bad + 16, 8 };
		CHECK(vmsplice(pipefd[1], &iov, 1, 0) == -1 && errno == EFAULT);
		q = map_file(fd, len, flags[!j]);
		load_around(q, len, i, bad, false);
		CHECK(madvise(p, len, MADV_POPULATE_READ) == -1 &&
		      errno == EFAULT);
		/* Nobody remembers that. */
		heal();
		CHECK(load_signal(p + bad) == 0);
		CHECK(filled(p, len, i));
		CHECK(filled(q, len, i));
		fill(p, len, i + 100);
		CHECK(filled(p, len, i + 100));
		CHECK(filled(q, 2 * P, i + (flags[j] == MAP_SHARED ? 100 : 0)));
		munmap(p, len);
		munmap(q, len);
		close(fd);
	}
}

static int reopen(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_CLOEXEC);
}

static void lost_once(int fd)
{
	CHECK(fsync(fd) == -1 && errno == EIO);
	CHECK(!fsync(fd));
}

/*
 * What cannot be written is reported to everybody who asks whether it was,
 * whoever else has tried to write it before: the one who maps the file, to have
 * it in process pages.
 */
static void child_unwritable(int argc, char **argv)
{
	unsigned long P = page_size(), len = 4 * P, bad = middle(P), value, i;
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE };
	char *p, *buf = map_anon(len, 0);
	int fd, more, late;

	alarm(PATIENCE);
	for (i = 0; i < 4; i++) {
		fd = new_file(DISK, len, 1);
		more = reopen(fd);
		uncache(fd);
		cache(fd, 0, len);
		if (!fail_block(fd, bad))
			return;
		value = 7 + i;
		CHECK(pwrite(fd, &value, 8, bad + 24) == 8);
		p = map_file(fd, len, flags[i & 1]);
		/* What cannot be written can still be seen. */
		CHECK(load_signal(p + bad) == 0);
		CHECK(filled(p, len, 1));
		CHECK(*(unsigned long *)(p + bad + 24) == value);
		CHECK(pread(fd, buf, len, 0) == len && filled(buf, len, 1));
		late = reopen(fd);
		if (i < 2) {
			lost_once(fd);
		} else {
			/* Without anybody between mmap() and msync(). */
			CHECK(msync(p, len, MS_SYNC) ==
			      (flags[i & 1] == MAP_SHARED ? -1 : 0));
			if (flags[i & 1] == MAP_PRIVATE)
				lost_once(fd);
		}
		lost_once(more);
		lost_once(late);
		close(more);
		close(late);

		/* Once more, by a store. */
		if (flags[i & 1] == MAP_SHARED) {
			*(unsigned long *)(p + bad + 24) = value + 1;
			CHECK(msync(p, len, MS_SYNC) == -1 && errno == EIO);
			CHECK(*(unsigned long *)(p + bad + 24) == value + 1);
		}
		heal();
		value += 2;
		CHECK(pwrite(fd, &value, 8, bad + 24) == 8);
		CHECK(!fsync(fd));
		if (flags[i & 1] == MAP_SHARED) {
			*(unsigned long *)(p + bad + 32) = value + 1;
			CHECK(!msync(p, len, MS_SYNC));
		}
		munmap(p, len);
		uncache(fd);
		CHECK(pread(fd, buf, len, 0) == len && filled(buf, len, 1));
		CHECK(*(unsigned long *)(buf + bad + 24) == value);
		CHECK(*(unsigned long *)(buf + bad + 32) ==
		      (flags[i & 1] == MAP_SHARED ? value + 1 : 0));
		close(fd);
	}
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* A load at @off of a file of fill(1), and all of that process page, soon. */
static void load_soon(const char *p, unsigned long off)
{
	const unsigned long P = page_size();
	const double start = now();

	CHECK(load_signal(p + off) == 0);
	CHECK(filled(p + off / P * P, P, 1 + off / P * P));
	if (!CHECK(now() - start < SECONDS))
		printf("# %.1f s\n", now() - start);
}

/* A disk that takes its time to write a part of a process page. */
static void child_writeback(int argc, char **argv)
{
	unsigned long P = page_size(), len = 4 * P, bad = middle(P), value = 7;
	const bool larger = kernel_page_size() < P;
	char *p, *q, *buf = map_anon(len, 0);
	int fd = new_file(DISK, len, 1);
	pid_t pid;

	alarm(PATIENCE);
	uncache(fd);
	cache(fd, 0, len);
	p = map_file(fd, len, MAP_SHARED);
	q = map_file(fd, len, MAP_PRIVATE);
	CHECK(pwrite(fd, &value, 8, bad + 24) == 8);
	pid = start_disk_later(PATIENCE / 2);
	stop_disk(true);
	CHECK(!sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));

	CHECK(!demoted());
	load_soon(p, bad);
	CHECK(*(unsigned long *)(p + bad + 24) == value);
	CHECK(demoted_for("file") == larger);
	/* In a copy. */
	load_soon(q, bad);
	CHECK(*(unsigned long *)(q + bad + 24) == value);
	CHECK(smaps_kb(q, "Anonymous") == (larger ? (long)P >> 10 : 0));
	/* It was there all the time. */
	CHECK(waitpid(pid, NULL, WNOHANG) == 0);

	stop_disk(false);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK(!fsync(fd));
	CHECK(filled(p, len, 1) && filled(q, len, 1));
	uncache(fd);
	CHECK(pread(fd, buf, len, 0) == len && filled(buf, len, 1));
	CHECK(*(unsigned long *)(buf + bad + 24) == value);
	close(fd);
}

/* Somebody reads a part of a process page, which takes a second. */
static void child_being_read(int argc, char **argv)
{
	unsigned long P = page_size(), len = 4 * P, bad = middle(P);
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE };
	int i, fd, status;
	pid_t reader, later;
	long faults;
	char *p, c;

	alarm(PATIENCE);
	for (i = 0; i < 2 * 2; i++) {
		/* The first kernel page of it, and the one that is read. */
		const unsigned long off = i / 2 ? bad : P;

		fd = new_file(DISK, len, 1);
		uncache(fd);
		cache(fd, 0, bad);
		cache(fd, bad + SZ_4K, len - bad - SZ_4K);
		if (kernel_page_size() > SZ_4K)
			uncache(fd);
		p = map_file(fd, len, flags[i % 2]);
		stop_disk(true);
		later = start_disk_later(1);
		reader = fork();
		if (!reader)
			_exit(pread(fd, &c, 1, bad + 1) != 1);
		/* So that it has it locked. */
		usleep(300000);
		faults = minor_faults();
		CHECK(load_signal(p + off) == 0);
		faults = minor_faults() - faults;
		/* It was not tried again and again. */
		if (!CHECK(faults < 20))
			printf("# %ld faults\n", faults);
		CHECK(waitpid(reader, &status, 0) == reader && !status);
		CHECK(waitpid(later, &status, 0) == later && !status);
		CHECK(filled(p, len, 1));
		munmap(p, len);
		close(fd);
	}
}

/* Take all the room that there is but for @left bytes. */
static int take_room(const char *dir, unsigned long left)
{
	unsigned long size = 512 * SZ_1M, step = 128 * SZ_1M, at = 0;
	int fd = temp_file(dir);

	for (; step >= SZ_4K; step /= 2)
		while (at + step <= size && !fallocate(fd, 0, at, step))
			at += step;
	CHECK(errno == ENOSPC);
	if (CHECK(at > left))
		CHECK(!ftruncate(fd, at - left));
	return fd;
}

/*
 * A file of 4K of data and 4K of hole by turns, in a file system without room
 * but for a little: a store finds room or is SIGBUS, what was there stays.
 */
static void no_room(const char *dir, int flags)
{
	unsigned long P = page_size(), K = SZ_4K, len = 16 * P, off, stored = 0;
	const bool ram = !strcmp(dir, SMALL);
	struct statvfs before, after;
	char *p, *want = map_anon(len, 0), *buf = map_anon(len, 0);
	bool fits[16 * 16] = { };
	int fd, filler;

	CHECK(!statvfs(dir, &before));
	fd = temp_file(dir);
	CHECK(!ftruncate(fd, len));
	for (off = 0; off < len; off += 2 * K) {
		fill(want + off, K, 1 + off);
		CHECK(pwrite(fd, want + off, K, off) == K);
	}
	CHECK(!fsync(fd));
	filler = take_room(dir, 3 * P / 2);
	p = map_file(fd, len, flags);
	/* What has room already. */
	for (off = 0; off < len; off += 2 * K)
		if (!CHECK(load_signal(p + off) == 0 &&
			   filled(p + off, K, 1 + off)))
			break;
	/* And what does not: in memory, for it must be there to be read. */
	for (off = K; off < len; off += 2 * K) {
		int sig = load_signal(p + off);

		if (!CHECK(!sig || (ram && sig == SIGBUS)))
			printf("# at %#lx: %d\n", off, sig);
		if (!sig)
			CHECK(all_zero(p + off, K));
	}
	/* By stores, to one as well as to the other. */
	for (off = 0; off < len; off += K) {
		int sig = store_signal(p + off);

		if (sig) {
			CHECK(sig == SIGBUS);
			continue;
		}
		fits[off / K] = true;
		stored++;
		*(unsigned long *)(p + off + 40) = 9 + off;
		*(unsigned long *)(want + off + 40) = 9 + off;
	}
	if (flags == MAP_SHARED)
		CHECK(!msync(p, len, MS_SYNC));
	for (off = 0; off < len; off += K)
		if (fits[off / K] &&
		    !CHECK(!memcmp(p + off, want + off, K)))
			break;
	CHECK(pread(fd, buf, len, 0) == len);
	CHECK(flags == MAP_PRIVATE || !memcmp(buf, want, len));
	/* XFS keeps some room for itself. */
	CHECK(stored > 0 || on_xfs());

	/* With room again, all goes on. */
	CHECK(!ftruncate(filler, 0));
	for (off = 0; off < len; off += K) {
		if (!CHECK(store_signal(p + off) == 0))
			break;
		*(unsigned long *)(p + off + 48) = 11 + off;
		*(unsigned long *)(want + off + 48) = 11 + off;
	}
	CHECK(!memcmp(p, want, len));
	CHECK(!fsync(fd));
	if (flags == MAP_SHARED) {
		munmap(p, len);
		if (!ram)
			uncache(fd);
		CHECK(pread(fd, buf, len, 0) == len && !memcmp(buf, want, len));
	} else {
		munmap(p, len);
	}
	close(fd);
	close(filler);
	sync();
	CHECK(!statvfs(dir, &after));
	/* XFS gives it back later. */
	if (!on_xfs() && !CHECK(before.f_bfree == after.f_bfree))
		printf("# %lu blocks free, before %lu\n", after.f_bfree,
		       before.f_bfree);
	munmap(want, len);
	munmap(buf, len);
}

/* A part of a process page is there, and there is no room for the rest. */
static void child_hole(int argc, char **argv)
{
	const unsigned long at = 3 * SZ_4K, len = SZ_64K;
	int fd = temp_file(argv[2]), filler = temp_file(argv[2]);
	char *p, *buf = map_anon(len, 0);

	alarm(PATIENCE);
	fill(buf, len, 1);
	CHECK(pwrite(fd, buf, SZ_4K, at) == SZ_4K);
	CHECK(!ftruncate(fd, len));
	while (write(filler, buf, SZ_4K) == SZ_4K)
		;
	CHECK(errno == ENOSPC);
	p = map_file(fd, len, MAP_SHARED);
	CHECK(load_signal(p + at) == 0 && filled(p + at, SZ_4K, 1));
	CHECK(store_signal(p + at) == 0);
	munmap(p, len);
	close(fd);
	close(filler);
}

static void child_full(int argc, char **argv)
{
	alarm(PATIENCE);
	no_room(argv[2], MAP_SHARED);
	no_room(argv[2], MAP_PRIVATE);
}

/*
 * A file in memory, 4K of each 64K of it, of which there may not be more than
 * a part in process pages.
 */
static void child_no_memory(int argc, char **argv)
{
	unsigned long len = 32 * SZ_1M, off, step = 2 * SZ_1M;
	unsigned long kills = vm_events("oom_kill");
	bool swap = !strcmp(argv[3], "swap");
	int fd = temp_file(SMALL), turn;
	char *p;

	if (kernel_page_size() > SZ_4K)
		child_skip("the file takes all its pages there");
	close(fd);
	fd = syscall(__NR_memfd_create, "pieces", MFD_CLOEXEC);
	CHECK(!ftruncate(fd, len));
	alarm(PATIENCE);
	enter(argv[2]);
	for (off = 0; off < len; off += SZ_64K)
		CHECK(pwrite(fd, &off, 8, off + 8) == 8);
	p = map_file(fd, len, MAP_SHARED);
	/* The page tables first, which count as well. */
	for (off = 0; off < len; off += step)
		CHECK(!load_signal(p + off));
	for (off = 0; off < len; off += SZ_64K)
		if (!CHECK(*(unsigned long *)(p + off + 8) == off))
			break;
	for (turn = 0; turn < 2; turn++) {
		for (off = 0; off < len; off += SZ_64K)
			*(unsigned long *)(p + off + 16 + turn * 8) = ~off;
		for (off = 0; off < len; off += SZ_64K)
			if (!CHECK(*(unsigned long *)(p + off + 8) == off &&
				   *(unsigned long *)(p + off + 16 +
						      turn * 8) == ~off))
				break;
	}
	if (!swap && page_size() == SZ_64K)
		CHECK(demoted_for("file"));
	CHECK(vm_events("oom_kill") == kills);
	close(fd);
}

static sigjmp_buf after_poison;
static siginfo_t poison_info;

static void on_poison(int sig, siginfo_t *info, void *context)
{
	poison_info = *info;
	siglongjmp(after_poison, sig);
}

/* The frame number of what is mapped at @p. */
static unsigned long frame(const char *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	CHECK(pread(fd, &entry, 8, (unsigned long)p / page_size() * 8) == 8);
	close(fd);
	return entry & ((1UL << 55) - 1);
}

/* Others may have this memory again. */
static void give_back(unsigned long pfn)
{
	FILE *f = fopen("/sys/kernel/debug/hwpoison/unpoison-pfn", "w");

	if (f) {
		fprintf(f, "%lu", pfn);
		fclose(f);
	}
}

/*
 * Have the memory of the process page at @p fail, or load from there: the signal
 * that we get.
 */
static int poison(char *p, int advice, int *error)
{
	struct sigaction old, new = {
		.sa_sigaction = on_poison, .sa_flags = SA_SIGINFO,
	};
	int sig;

	sigaction(SIGBUS, &new, &old);
	sig = sigsetjmp(after_poison, 1);
	*error = 0;
	if (!sig && !advice)
		__atomic_load_n(p, __ATOMIC_RELAXED);
	else if (!sig && madvise(p, page_size(), advice))
		*error = errno;
	sigaction(SIGBUS, &old, NULL);
	return sig;
}

/* All but the second of four process pages is as it was. */
static void others_filled(char *p, unsigned long seed)
{
	unsigned long P = page_size();

	CHECK(filled(p, P, seed));
	CHECK(filled(p + 2 * P, 2 * P, seed + 2 * P));
}

static void memory_of_file(const char *dir, bool dirty)
{
	unsigned long P = page_size(), pfn, off, value;
	int error, sig, fd = new_file(dir, 4 * P, 1);
	bool lost;
	char *p = map_file(fd, 4 * P, MAP_SHARED);

	CHECK(!fsync(fd));
	CHECK(filled(p, 4 * P, 1));
	pfn = frame(p + P);
	if (!dirty) {
		CHECK(!poison(p + P, MADV_HWPOISON, &error) && !error);
		CHECK(filled(p, 4 * P, 1));
	} else {
		fill(p, 4 * P, 2);
		sig = poison(p + P, MADV_HWPOISON, &error);
		CHECK(!sig || poison_info.si_code == BUS_MCEERR_AR);
		others_filled(p, 2);
		/* Where it cannot be taken out, nothing is lost but us. */
		lost = fsync(fd) == -1 && errno == EIO;
		CHECK(lost || sig == SIGBUS);
		CHECK(!fsync(fd));
		munmap(p, 4 * P);
		p = map_file(fd, 4 * P, MAP_SHARED);
		others_filled(p, 2);
		/* What was lost is what the disk had before. */
		for (off = P; off < 2 * P; off += SZ_4K) {
			value = *(unsigned long *)(p + off) - off;
			CHECK(value == (lost && off < P + kernel_page_size() ?
					1 : 2));
		}
	}
	give_back(pfn);
	pfn = frame(p + P);
	CHECK(!poison(p + P, MADV_SOFT_OFFLINE, &error) && !error);
	others_filled(p, dirty ? 2 : 1);
	give_back(pfn);
	munmap(p, 4 * P);
	close(fd);
}

/* Of a file in memory, nothing can be read again, but the rest is there. */
static void memory_of_memfd(int flags)
{
	unsigned long P = page_size(), K = kernel_page_size(), pfn;
	int error, fd = syscall(__NR_memfd_create, "broken", 0);
	char *p, *q;

	CHECK(!ftruncate(fd, 4 * P));
	p = map_file(fd, 4 * P, MAP_SHARED);
	fill(p, 4 * P, 3);
	pfn = frame(p + P);
	if (poison(p + P, MADV_HWPOISON, &error))
		CHECK(poison_info.si_code == BUS_MCEERR_AR);
	CHECK(!error);
	q = map_file(fd, 4 * P, flags);
	others_filled(q, 3);
	if (K < P)
		CHECK(load_signal(q + P + K) == 0);
	CHECK(load_signal(q + P) == SIGBUS);
	if (K < P)
		CHECK(filled(q + P + K, P - K, 3 + P + K));
	munmap(q, 4 * P);
	munmap(p, 4 * P);
	close(fd);
	give_back(pfn);
}

/* Memory that is found to be broken is nobody else's matter. */
static void child_memory_failure(int argc, char **argv)
{
	unsigned long P = page_size(), pfn;
	char *p = map_anon(4 * P, 0);
	int error;

	alarm(PATIENCE);
	fill(p, 4 * P, 1);
	pfn = frame(p + P);
	CHECK(!poison(p + P, MADV_SOFT_OFFLINE, &error));
	/* It is not taken out of the process page, and that is not moved. */
	CHECK(error == (kernel_page_size() < P ? EBUSY : 0));
	CHECK(filled(p, 4 * P, 1));
	give_back(pfn);
	pfn = frame(p + P);
	/* At once, or when it is accessed. */
	if (poison(p + P, MADV_HWPOISON, &error))
		CHECK(poison_info.si_code == BUS_MCEERR_AR);
	CHECK(!error);
	CHECK(poison(p + P, 0, &error) == SIGBUS);
	CHECK(poison_info.si_code == BUS_MCEERR_AR);
	CHECK((char *)poison_info.si_addr >= p + P &&
	      (char *)poison_info.si_addr < p + 2 * P);
	others_filled(p, 1);
	/* Only the kernel page is lost. */
	CHECK(store_signal(p + P) == SIGBUS);
	CHECK(filled(p + P + kernel_page_size(), P - kernel_page_size(),
		     1 + P + kernel_page_size()));
	CHECK(!madvise(p + P, P, MADV_DONTNEED));
	CHECK(load_signal(p + P) == 0 && all_zero(p + P, P));
	CHECK(store_signal(p + P) == 0);
	others_filled(p, 1);
	munmap(p, 4 * P);
	give_back(pfn);
	memory_of_file(DISK, false);
	memory_of_file(DISK, true);
	memory_of_memfd(MAP_SHARED);
	memory_of_memfd(MAP_PRIVATE);
}

/*
 * Somebody dies who waits for a process page to be read from swap. What was read
 * is there, and mapped by nobody, when swap is turned off.
 */
static void child_swapoff(int argc, char **argv)
{
	const unsigned long P = page_size(), len = 4 * P;
	const char *cgroup = argv[2], *device = argv[3];
	char *p = map_anon(len, 0), file[96];
	const int backing = atoi(argv[4]);
	pid_t reader, later;
	int i, status;

	/* See swap_size(). */
	if (kernel_page_size() < P && kernel_page_size() > SZ_4K)
		child_skip("no room for such swap on " DISK);
	alarm(PATIENCE);
	enter(cgroup);
	snprintf(file, sizeof(file), "%s/memory.reclaim", cgroup);
	fill(p, len, 1);
	for (i = 0; i < 20 && smaps_kb(p, "Swap") < (long)len >> 10; i++)
		madvise(p, len, MADV_PAGEOUT);
	CHECK(smaps_kb(p, "Swap") == (long)len >> 10);
	/* What is still in memory of it, as the cache of swap; of the file, too. */
	for (i = 0; i < 4; i++)
		put_number(file, len);
	uncache(backing);
	stop_disk(true);
	later = start_disk_later(1);
	reader = fork();
	if (!reader)
		_exit(!filled(p, P, 1));
	usleep(300000);
	kill(reader, SIGKILL);
	CHECK(waitpid(reader, &status, 0) == reader && WIFSIGNALED(status));
	CHECK(waitpid(later, &status, 0) == later && !status);
	CHECK(!swapoff(device));
	CHECK(smaps_kb(p, "Swap") == 0);
	CHECK(filled(p, len, 1));
	fill(p, len, 2);
	CHECK(filled(p, len, 2));
	CHECK(smaps_kb(p, "Rss") == (long)len >> 10);
}

static const struct child children[] = {
	{ "unreadable", child_unreadable },
	{ "unwritable", child_unwritable },
	{ "writeback", child_writeback },
	{ "being-read", child_being_read },
	{ "full", child_full },
	{ "hole", child_hole },
	{ "no-memory", child_no_memory },
	{ "memory-failure", child_memory_failure },
	{ "swapoff", child_swapoff },
	{ }
};

static bool have_disk(void)
{
	return getenv("ERROR_TEST_LOOP");
}

TEST_F_TIMEOUT(pages, unreadable, 2 * PATIENCE)
{
	if (!have_disk())
		SKIP(return, "no device mapper, or no " DISK);
	EXPECT_CHILD("unreadable");
	heal();
}

TEST_F_TIMEOUT(pages, unwritable, 2 * PATIENCE)
{
	if (!have_disk())
		SKIP(return, "no device mapper, or no " DISK);
	EXPECT_CHILD("unwritable");
	heal();
}

TEST_F_TIMEOUT(pages, writeback, 2 * PATIENCE)
{
	if (!have_disk())
		SKIP(return, "no device mapper, or no " DISK);
	EXPECT_CHILD("writeback");
	heal();
}

TEST_F_TIMEOUT(pages, being_read, 2 * PATIENCE)
{
	if (!have_disk())
		SKIP(return, "no device mapper, or no " DISK);
	EXPECT_CHILD("being-read");
	heal();
}

TEST_F_TIMEOUT(pages, full_disk, 2 * PATIENCE)
{
	if (!have_disk())
		SKIP(return, "no device mapper, or no " DISK);
	EXPECT_CHILD("full", DISK);
}

TEST_F_TIMEOUT(pages, full_tmpfs, 2 * PATIENCE)
{
	if (access(SMALL, F_OK))
		SKIP(return, "no " SMALL);
	EXPECT_CHILD("full", SMALL);
	EXPECT_CHILD("hole", SMALL);
}

TEST_F_TIMEOUT(pages, memory_failure, 2 * PATIENCE)
{
	if (!have_disk())
		SKIP(return, "no device mapper, or no " DISK);
	if (access("/sys/kernel/debug/hwpoison/unpoison-pfn", W_OK))
		SKIP(return, "no CONFIG_HWPOISON_INJECT");
	EXPECT_CHILD("memory-failure");
}

TEST_F_TIMEOUT(pages, memory_max, 2 * PATIENCE)
{
	char *cgroup = new_cgroup(16 * SZ_1M, false);
	int ret;

	if (!cgroup)
		SKIP(return, "no cgroup with a limit on memory");
	ret = run_child(variant->shift, "no-memory", self->text, cgroup, "-",
			NULL);
	EXPECT_EQ(0, rmdir(cgroup));
	if (ret == KSFT_SKIP)
		SKIP(return, "skipped in the child");
	EXPECT_EQ(0, ret);
}

TEST_F_TIMEOUT(pages, memory_max_with_swap, 2 * PATIENCE)
{
	const unsigned long size = 64 * SZ_1M;
	char *cgroup;
	int ret = KSFT_SKIP;

	if (!zram_make(size))
		SKIP(return, "no free /dev/zram0");
	if (swap_to("/dev/zram0", size)) {
		cgroup = new_cgroup(8 * SZ_1M, true);
		if (cgroup) {
			ret = run_child(variant->shift, "no-memory",
					self->text, cgroup, "swap", NULL);
			EXPECT_EQ(0, rmdir(cgroup));
		}
		swapoff("/dev/zram0");
	}
	zram_drop();
	if (ret == KSFT_SKIP)
		SKIP(return, "no swap, no cgroup, or skipped in the child");
	EXPECT_EQ(0, ret);
}

TEST_F_TIMEOUT(pages, swapoff, 2 * PATIENCE)
{
	const unsigned long size = 16 * SZ_1M;
	int fd, ret = KSFT_SKIP;
	struct loop loop;
	char number[16];
	char *cgroup;

	if (!have_disk())
		SKIP(return, "no device mapper, or no " DISK);
	fd = temp_file(DISK);
	ASSERT_EQ(0, posix_fallocate(fd, 0, size));
	fcntl(fd, F_SETFD, 0);
	snprintf(number, sizeof(number), "%d", fd);
	if (!loop_make(&loop, fd, kernel_page_size()))
		SKIP(return, "no loop device");
	if (swap_to(loop.device, size)) {
		cgroup = new_cgroup(64 * SZ_1M, true);
		if (cgroup) {
			ret = run_child(variant->shift, "swapoff", self->text,
					cgroup, loop.device, number, NULL);
			EXPECT_EQ(0, rmdir(cgroup));
		}
		swapoff(loop.device);
	}
	loop_drop(&loop);
	close(fd);
	if (ret == KSFT_SKIP)
		SKIP(return, "no swap, no cgroup, or skipped in the child");
	EXPECT_EQ(0, ret);
}

/* The file systems that all tests use, as far as they can be had. */
static void make_disks(struct loop *loop)
{
	const char *kind = on_xfs() ? "xfs" : "ext4";
	struct dm_table table = { };
	struct loop own = { };
	char device[32];
	int fd;

	loop->device[0] = 0;
	if (geteuid() || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return;
	mkdir(DIR, 0755);
	mkdir(SMALL, 0755);
	snprintf(device, sizeof(device), "size=%lu", SMALL_SIZE);
	if (mount("small", SMALL, "tmpfs", 0, device))
		rmdir(SMALL);
	mkdir(DISK, 0755);
	fd = temp_file(getenv("TMPDIR") ?: "/var/tmp");
	if (fd < 0 || ftruncate(fd, disk_size()) || !loop_make(&own, fd, SECTOR))
		return;
	close(fd);
	*loop = own;
	setenv("ERROR_TEST_LOOP", own.device, 1);
	if (dm(DM_DEV_CREATE, &table, 0)) {
		snprintf(device, sizeof(device), "/dev/dm-%u",
			 minor(table.head.dev));
		if (fail_sectors(0, 0) &&
		    shell("mkfs.%s %s %s", kind,
			  on_xfs() ? "-q -f" : "-q -m 0 -b 4096", device) &&
		    !mount(device, DISK, kind, 0, NULL))
			return;
	}
	unsetenv("ERROR_TEST_LOOP");
}

static void drop_disks(struct loop *loop)
{
	struct dm_table table = { };

	umount2(DISK, MNT_DETACH);
	umount2(SMALL, MNT_DETACH);
	dm(DM_DEV_REMOVE, &table, 0);
	if (loop->device[0])
		loop_drop(loop);
	rmdir(DISK);
	rmdir(SMALL);
	rmdir(DIR);
}

int main(int argc, char **argv)
{
	struct loop loop;
	int status = 0;
	pid_t pid;

	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	make_disks(&loop);
	/* It exits where it likes to. */
	pid = fork();
	if (!pid)
		return test_harness_run(argc, argv);
	waitpid(pid, &status, 0);
	drop_disks(&loop);
	return WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL;
}
