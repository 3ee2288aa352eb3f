// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that the kernel holds on to while its process goes on: direct I/O and
 * io_uring's fixed buffers over fork(), pages in pipes, and other processes that
 * read and write.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"
#include "pagesize_system.h"
#include "uring.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

/* The unit of direct I/O. */
#define SECTOR			SZ_4K

static int filled_file(size_t size, unsigned long seed)
{
	char *buf = map_anon(size, 0);
	int fd = temp_file(NULL);

	fill(buf, size, seed);
	CHECK(pwrite(fd, buf, size, 0) == size);
	CHECK(!fsync(fd));
	munmap(buf, size);
	return fd;
}

static int direct(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

#ifndef IORING_SETUP_NO_MMAP
#define IORING_SETUP_NO_MMAP	0x4000
#endif

/*
 * A ring in memory of this process, where the kernel has that: what it maps
 * otherwise are kernel pages, for which the process is demoted.
 */
static bool ring_open(struct uring *u)
{
	unsigned long P = page_size();
	char *mem = map_anon(2 * P, 0);

	memset(u, 0, sizeof(*u));
	u->p.flags = IORING_SETUP_NO_MMAP;
	u->p.cq_off.user_addr = (unsigned long)mem;
	u->p.sq_off.user_addr = (unsigned long)mem + P;
	u->fd = syscall(__NR_io_uring_setup, 4, &u->p);
	if (u->fd < 0) {
		munmap(mem, 2 * P);
		return uring_open(u);
	}
	u->rings = mem;
	u->sqes = (struct io_uring_sqe *)(mem + P);
	return true;
}

static bool file_filled(int fd, size_t len, unsigned long seed)
{
	char *buf = map_anon(len, 0);
	bool ok = pread(fd, buf, len, 0) == len && filled(buf, len, seed);

	munmap(buf, len);
	return ok;
}

/* fork() a child that waits for a word on @go, checks and writes its copy. */
static pid_t snapshot(char *p, size_t len, unsigned long seed, int *go)
{
	int fds[2];
	pid_t pid;
	char c;

	CHECK(!pipe2(fds, O_CLOEXEC));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		bool ok;

		close(fds[1]);
		while (read(fds[0], &c, 1) < 0 && errno == EINTR)
			;
		ok = filled(p, len, seed);
		fill(p, len, ~seed);
		ok &= filled(p, len, ~seed);
		/* What was fixed was copied in whole process pages. */
		ok &= CHECK(!demoted());
		fflush(stdout);
		_exit(!ok);
	}
	close(fds[0]);
	*go = fds[1];
	return pid;
}

static void release(pid_t pid, int go)
{
	int status;

	CHECK(write(go, "x", 1) == 1);
	close(go);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/*
 * A buffer that is fixed stays the memory of the process that did so, whoever
 * writes first after fork(). It begins and ends inside of process pages. Under a
 * private mapping may be a file of fill(@under).
 */
static void fixed_over_fork(char *mem, bool private, unsigned long under)
{
	unsigned long P = page_size(), len = 4 * P, i;
	struct iovec iov = { mem + SECTOR, len - 2 * SECTOR };
	int fd = filled_file(len, 100), go[2];
	pid_t pid[2] = { };
	struct uring u;

	if (P == SECTOR)
		iov = (struct iovec){ mem + 512, len - 1024 };
	if (!ring_open(&u))
		child_skip("no io_uring");
	/* A process page that nobody has touched is among them. */
	fill(mem, 3 * P, 1);
	if (!CHECK(!uring_fix(&u, &iov, 1)))
		return;
	fill(mem + 3 * P, P, 1 + 3 * P);
	for (i = 0; private && i < 2; i++)
		pid[i] = snapshot(mem, len, 1, &go[i]);
	/* The parent writes some of it before the file is read, some after. */
	fill(mem, P, 2);
	fill(mem + P + P / 2, P / 2, 2 + P + P / 2);
	if (private)
		release(pid[0], go[0]);
	uring_submit(&u, false, fd, iov.iov_base, iov.iov_len,
		     (char *)iov.iov_base - mem, 0);
	CHECK(uring_wait(&u) == iov.iov_len);
	CHECK(filled(iov.iov_base, iov.iov_len,
		     100 + ((char *)iov.iov_base - mem)));
	fill(mem, len, 3);
	if (private)
		release(pid[1], go[1]);
	CHECK(filled(mem, len, 3));
	CHECK(!ftruncate(fd, 0));
	CHECK(!ftruncate(fd, len));
	uring_submit(&u, true, fd, iov.iov_base, iov.iov_len, 0, 0);
	CHECK(uring_wait(&u) == iov.iov_len);
	CHECK(file_filled(fd, iov.iov_len,
			  3 + ((char *)iov.iov_base - mem)));
	/* Other pages come here; those that are fixed keep what they have. */
	CHECK(!madvise(mem + P, P, private ? MADV_DONTNEED : MADV_REMOVE));
	CHECK(under ? filled(mem + P, P, under + P) : all_zero(mem + P, P));
	uring_submit(&u, false, fd, iov.iov_base, iov.iov_len, 0, 0);
	CHECK(uring_wait(&u) == iov.iov_len);
	CHECK(under ? filled(mem + P, P, under + P) : all_zero(mem + P, P));
	close(u.fd);
	fill(mem, len, 4);
	CHECK(filled(mem, len, 4));
	CHECK(!demoted());
	close(fd);
}

static void child_fixed(int argc, char **argv)
{
	unsigned long P = page_size();
	char *p;
	int fd;

	fixed_over_fork(map_anon(4 * P, 0), true, 0);
	fixed_over_fork(map_anon(4 * P, MAP_SHARED), false, 0);
	/* Copies of the pages of a file. */
	fd = filled_file(4 * P, 5);
	p = mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (CHECK(p != MAP_FAILED))
		fixed_over_fork(p, true, 5);
	CHECK(file_filled(fd, 4 * P, 5));
	close(fd);
	fd = syscall(__NR_memfd_create, "pin", 0);
	CHECK(!ftruncate(fd, 4 * P));
	p = mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (CHECK(p != MAP_FAILED))
		fixed_over_fork(p, false, 0);
	close(fd);
}

#define SLICES			32

struct reader {
	char *mem;
	size_t slice;
	int fd, stop;
	long rounds, bad;
};

/* Fill every other slice from the file, and look whether it is there. */
static void *read_slices(void *arg)
{
	struct reader *r = arg;
	unsigned long i, off;

	while (!__atomic_load_n(&r->stop, __ATOMIC_SEQ_CST)) {
		for (i = 0; i < SLICES; i += 2) {
			off = i * r->slice;
			memset(r->mem + off, 0xff, r->slice);
			if (pread(r->fd, r->mem + off, r->slice, off) !=
			    r->slice ||
			    !filled(r->mem + off, r->slice, 200 + off))
				r->bad++;
		}
		r->rounds++;
	}
	return NULL;
}

struct writer {
	char *mem, *back;
	size_t slice;
	int fd, stop;
	long rounds, bad;
};

/* The slices between those go to the file, and it is looked what arrived. */
static void *write_slices(void *arg)
{
	struct writer *w = arg;
	unsigned long i, off, seed;

	while (!__atomic_load_n(&w->stop, __ATOMIC_SEQ_CST)) {
		for (i = 1; i < SLICES; i += 2) {
			off = i * w->slice;
			seed = (w->rounds + 1) << 32 | off;
			fill(w->mem + off, w->slice, seed);
			if (pwrite(w->fd, w->mem + off, w->slice, off) !=
			    w->slice ||
			    pread(w->fd, w->back, w->slice, off) != w->slice ||
			    !filled(w->back, w->slice, seed) ||
			    !filled(w->mem + off, w->slice, seed))
				w->bad++;
		}
		w->rounds++;
	}
	return NULL;
}

/* Slices from @first on that only the main thread has are those of @round. */
static bool slices_filled(char *mem, size_t slice, unsigned int first,
			  unsigned long round)
{
	unsigned long i;

	for (i = first; i < SLICES; i += 2)
		if (!filled(mem + i * slice, slice, round))
			return false;
	return true;
}

static void fill_slices(char *mem, size_t slice, unsigned int first,
			unsigned long round)
{
	unsigned long i;

	for (i = first; i < SLICES; i += 2)
		fill(mem + i * slice, slice, round);
}

/* Direct I/O with parts of process pages, while fork() shares them. */
static void child_direct(int argc, char **argv)
{
	unsigned long P = page_size(), i, off, round;
	size_t slice = page_size() > SECTOR ? SECTOR : 512;
	struct reader r = { .slice = slice };
	struct writer w = { .slice = slice };
	int fd, out, status;
	pthread_t thread[2];
	pid_t pid;

	fd = filled_file(SLICES * slice, 200);
	out = filled_file(SLICES * slice, 0);
	r.fd = direct(fd);
	w.fd = direct(out);
	if (r.fd < 0 || w.fd < 0)
		child_skip("no direct I/O here");
	r.mem = map_anon(SLICES * slice + 2 * P, 0);
	w.mem = map_anon(SLICES * slice + 2 * P, 0);
	w.back = map_anon(slice, 0);
	if (pread(r.fd, r.mem, slice, 0) != slice)
		child_skip("no direct I/O of this size");
	fill_slices(r.mem, slice, 1, 0);
	fill_slices(w.mem, slice, 0, 0);
	CHECK(!pthread_create(&thread[0], NULL, read_slices, &r));
	CHECK(!pthread_create(&thread[1], NULL, write_slices, &w));
	for (round = 0; round < 20; round++) {
		fflush(stdout);
		pid = fork();
		if (!pid) {
			bool right = slices_filled(r.mem, slice, 1, round) &&
				     slices_filled(w.mem, slice, 0, round);

			memset(r.mem, 0xdd, SLICES * slice);
			memset(w.mem, 0xdd, SLICES * slice);
			right &= CHECK(!demoted());
			fflush(stdout);
			_exit(!right);
		}
		fill_slices(r.mem, slice, 1, round + 1);
		fill_slices(w.mem, slice, 0, round + 1);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		CHECK(slices_filled(r.mem, slice, 1, round + 1));
		CHECK(slices_filled(w.mem, slice, 0, round + 1));
	}
	__atomic_store_n(&r.stop, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&w.stop, 1, __ATOMIC_SEQ_CST);
	CHECK(!pthread_join(thread[0], NULL));
	CHECK(!pthread_join(thread[1], NULL));
	CHECK(!r.bad && r.rounds);
	CHECK(!w.bad && w.rounds);
	CHECK(!demoted());
	close(w.fd);
	close(out);

	/* Directly to the file, from memory of all kinds. */
	CHECK(!ftruncate(fd, 0));
	fill(r.mem, SLICES * slice, 6);
	for (i = 0; i < SLICES; i++) {
		off = (i * 7) % SLICES * slice;
		CHECK(pwrite(r.fd, r.mem + off, slice, off) == slice);
	}
	CHECK(file_filled(fd, SLICES * slice, 6));
	/* Never touched: zeroes. */
	CHECK(pwrite(r.fd, map_anon(P, 0), P, 0) == P);
	CHECK(pread(fd, r.mem, P, 0) == P && all_zero(r.mem, P));
	close(r.fd);
	close(fd);
}

/* What a ring has under way while fork() shares the memory. */
static void child_in_flight(int argc, char **argv)
{
	unsigned long P = page_size(), first, seed, off, round, i;
	size_t slice = page_size() > SECTOR ? SECTOR : 512;
	struct iovec iov = { .iov_len = SLICES * slice };
	int in = filled_file(SLICES * slice, 200);
	int out = filled_file(SLICES * slice, 0);
	int from = direct(in), to = direct(out), status;
	struct uring u;
	char *mem;
	pid_t pid;

	if (!ring_open(&u))
		child_skip("no io_uring");
	if (from < 0 || to < 0)
		child_skip("no direct I/O here");
	mem = map_anon(SLICES * slice + P, 0);
	iov.iov_base = mem;
	if (pread(from, mem, slice, 0) != slice)
		child_skip("no direct I/O of this size");
	if (!CHECK(!uring_fix(&u, &iov, 1)))
		return;
	for (round = 0; round < 20; round++) {
		/* To read, to write, to read, to write, and one to store to. */
		first = round * 5 % (SLICES - 5);
		seed = (round + 1) << 32;
		for (i = first; i < first + 4; i++) {
			off = i * slice;
			if ((i - first) % 2)
				fill(mem + off, slice, seed + off);
			else
				memset(mem + off, 0xff, slice);
			uring_submit(&u, (i - first) % 2,
				     (i - first) % 2 ? to : from, mem + off,
				     slice, off, 0);
		}
		fflush(stdout);
		pid = fork();
		if (!pid) {
			bool right = true;

			for (i = first + 1; i < first + 4; i += 2)
				right &= filled(mem + i * slice, slice,
						seed + i * slice);
			memset(mem, 0xdd, SLICES * slice);
			right &= CHECK(!demoted());
			fflush(stdout);
			_exit(!right);
		}
		fill(mem + i * slice, slice, seed);
		for (i = 0; i < 4; i++)
			CHECK(uring_wait(&u) == slice);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		for (i = first; i < first + 4; i++) {
			off = i * slice;
			if ((i - first) % 2 == 0) {
				CHECK(filled(mem + off, slice, 200 + off));
				continue;
			}
			CHECK(filled(mem + off, slice, seed + off));
			/* Where it was is written to, and read anew. */
			memset(mem + off, 0xff, slice);
			CHECK(pread(to, mem + off, slice, off) == slice);
			CHECK(filled(mem + off, slice, seed + off));
		}
		CHECK(filled(mem + i * slice, slice, seed));
	}
	CHECK(!demoted());
	close(u.fd);
	close(from);
	close(to);
	close(in);
	close(out);
}

/* File systems where direct I/O pins what it writes: not with checksums. */
static bool pins_memory(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && (fs.f_type == EXT4_SUPER_MAGIC ||
				     fs.f_type == XFS_SUPER_MAGIC);
}

/* A slice of each process page, not always at the same place of it. */
static bool write_out(int fd, char *p, unsigned long n, unsigned long shift)
{
	unsigned long P = page_size(), i, off;
	bool done = true;

	for (i = 0; i < n; i++) {
		off = i * P + (2 * i + 1 + shift) * SECTOR % P;
		done &= CHECK(pwrite(fd, p + off, SECTOR, off) == SECTOR);
	}
	return done;
}

/*
 * Who writes from memory that fork() has shared gets it for its own first. Here
 * the parent does so, by a copy; and then the child, who is then the only one.
 */
static void child_unshare(int argc, char **argv)
{
	unsigned long P = page_size(), n = 16, len = n * P, i, off;
	unsigned long copies;
	int file = temp_file(NULL), fd = direct(file), fds[2], status;
	char *p, *buf = map_anon(len, 0), c;
	pid_t pid;

	p = map_anon(len, 0);
	fill(p, len, 30);
	CHECK(!ftruncate(file, len));
	if (fd < 0 || pwrite(fd, p, SECTOR, 0) != SECTOR)
		child_skip("no direct I/O here");
	CHECK(!ftruncate(file, 0) && !ftruncate(file, len));
	CHECK(!pipe2(fds, O_CLOEXEC));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(fds[1]);
		CHECK(read(fds[0], &c, 1) == 1);
		CHECK(filled(p, len, 30));
		CHECK(write_out(fd, p, n, 2));
		CHECK(filled(p, len, 30));
		fill(p, len, 40);
		CHECK(filled(p, len, 40));
		CHECK(!demoted());
		fflush(stdout);
		_exit(child_failures());
	}
	close(fds[0]);
	copies = vm_events("process_page_cow");
	CHECK(write_out(fd, p, n, 0));
	if (page_size() > kernel_page_size() && pins_memory(file))
		CHECK(vm_events("process_page_cow") - copies >= n);
	CHECK(filled(p, len, 30));
	CHECK(!demoted());
	/* It is ours: nobody but we see this. */
	fill(p, P, 50);
	CHECK(write(fds[1], "x", 1) == 1);
	close(fds[1]);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(filled(p, P, 50));
	CHECK(filled(p + P, len - P, 30 + P));
	CHECK(pread(file, buf, len, 0) == len);
	for (off = 0; off < len; off += SECTOR) {
		i = off / P;
		if (off % P == (2 * i + 1) * SECTOR % P ||
		    off % P == (2 * i + 3) * SECTOR % P)
			CHECK(filled(buf + off, SECTOR, 30 + off));
		else
			CHECK(all_zero(buf + off, SECTOR));
	}
	CHECK(!demoted());
	close(fd);
	close(file);
}

static unsigned long huge_page_size(void)
{
	FILE *f = fopen("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
			"re");
	unsigned long size = 0;

	if (f && fscanf(f, "%lu", &size) != 1)
		size = 0;
	if (f)
		fclose(f);
	return size;
}

/*
 * A kernel page of a process page in pieces is fixed: whatever would put those
 * together, the page stays the one that is mapped.
 */
static void child_pieces(int argc, char **argv)
{
	const unsigned long P = page_size(), K = kernel_page_size();
	unsigned long len = huge_page_size(), at = P + K % P;
	int fd = filled_file(K, 60), round, ret;
	struct iovec iov;
	struct uring u;
	char *area, *p;

	if (!len || len > 32 * SZ_1M)
		child_skip("no huge pages, or too large ones");
	if (!ring_open(&u))
		child_skip("no io_uring");
	area = map_anon(2 * len, 0);
	p = (char *)(((unsigned long)area + len - 1) & ~(len - 1));
	CHECK(!madvise(area, 2 * len, MADV_NOHUGEPAGE));
	fill_pieces(p, 4 * P, 61, true);
	fill(p + 4 * P, len - 4 * P, 61 + 4 * P);
	iov = (struct iovec){ p + at, K };
	if (!CHECK(!uring_fix(&u, &iov, 1)))
		return;
	CHECK(!madvise(p, len, MADV_HUGEPAGE));
	for (round = 0; round < 3; round++) {
		ret = madvise(p, len, MADV_COLLAPSE);
		CHECK(ret < 0);
		/* Reads and stores do not make it whole, either. */
		fill(p, len, 62 + round);
		uring_submit(&u, false, fd, p + at, K, 0, 0);
		CHECK(uring_wait(&u) == K);
		CHECK(filled(p + at, K, 60));
		CHECK(filled(p, at, 62 + round));
		CHECK(filled(p + at + K, len - at - K, 62 + round + at + K));
	}
	CHECK(!syscall(__NR_io_uring_register, u.fd, IORING_UNREGISTER_BUFFERS,
		       NULL, 0));
	/* Now it is free to go, as soon as nobody happens to look at it. */
	for (round = 0; round < 20; round++) {
		ret = madvise(p, len, MADV_COLLAPSE);
		if (!ret || errno != EAGAIN)
			break;
		usleep(10000);
	}
	CHECK(!ret || errno == ENOMEM);
	CHECK(filled(p + at, K, 60));
	CHECK(filled(p, at, 64));
	CHECK(filled(p + at + K, len - at - K, 64 + at + K));
	close(u.fd);
	close(fd);
}

static size_t into_pipe(int fd, char *p, size_t len)
{
	struct iovec iov = { p, len };
	ssize_t ret = vmsplice(fd, &iov, 1, SPLICE_F_NONBLOCK);

	return CHECK(ret > 0) ? ret : 0;
}

static size_t drain(int fd, char *buf, size_t len)
{
	size_t done = 0;
	ssize_t ret;

	while (done < len) {
		ret = read(fd, buf + done, len - done);
		if (ret <= 0)
			break;
		done += ret;
	}
	return done;
}

/* What is in a pipe is not what another process writes afterwards. */
static void child_vmsplice(int argc, char **argv)
{
	unsigned long P = page_size(), i;
	char *p, *buf = map_anon(2 * P, 0);
	const unsigned long starts[] = { 0, 512, P / 2, P - 512 };
	int fds[2], sync[2], ready[2], status;
	size_t len;
	pid_t pid;
	char c;

	CHECK(!pipe(ready));
	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		unsigned long start = starts[i];

		p = map_anon(2 * P, 0);
		fill(p, 2 * P, 7);
		CHECK(!pipe(fds));
		/* Gone from here, still there. */
		len = into_pipe(fds[1], p + start, P);
		CHECK(!munmap(p, 2 * P));
		CHECK(drain(fds[0], buf, len) == len);
		CHECK(filled(buf, len, 7 + start));

		/* A child must not learn what its parent writes later. */
		p = map_anon(2 * P, 0);
		fill(p, 2 * P, 8);
		CHECK(!pipe(sync));
		fflush(stdout);
		pid = fork();
		if (!pid) {
			close(sync[1]);
			len = into_pipe(fds[1], p + start, P);
			munmap(p, 2 * P);
			CHECK(write(ready[1], "x", 1) == 1);
			CHECK(read(sync[0], &c, 1) == 1);
			CHECK(drain(fds[0], buf, len) == len);
			CHECK(filled(buf, len, 8 + start));
			fflush(stdout);
			_exit(child_failures());
		}
		close(sync[0]);
		CHECK(read(ready[0], &c, 1) == 1);
		fill(p, 2 * P, 9);
		CHECK(write(sync[1], "x", 1) == 1);
		close(sync[1]);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		CHECK(filled(p, 2 * P, 9));
		close(fds[0]);
		close(fds[1]);
		munmap(p, 2 * P);
	}
}

static bool old_or_new(char *p, size_t len, unsigned long old,
		       unsigned long new)
{
	size_t off;

	for (off = 0; off < len; off += 512)
		if (*(unsigned long *)(p + off) != old + off &&
		    *(unsigned long *)(p + off) != new + off)
			return false;
	return true;
}

/* Pages of a file in a pipe, while process pages of it are mapped. */
static void child_splice(int argc, char **argv)
{
	unsigned long P = page_size(), len = 4 * P, off, i;
	int fd = filled_file(len, 10), fds[2], more[2], other;
	char *shared, *private, *buf = map_anon(len, 0);
	loff_t from;
	ssize_t ret;
	size_t got;
	char c;

	drop_page_cache();
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (off = 0; off < len; off += SZ_4K)
		CHECK(pread(fd, &c, 1, off) == 1);
	CHECK(!pipe(fds) && !pipe(more));
	for (i = 0; i < 3; i++) {
		from = i * P + i * 512;
		ret = splice(fd, &from, fds[1], NULL, P, SPLICE_F_NONBLOCK);
		if (!CHECK(ret > 0))
			return;
		got = ret;
		CHECK(tee(fds[0], more[1], got, SPLICE_F_NONBLOCK) > 0);
		private = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			       fd, 0);
		CHECK(private != MAP_FAILED);
		CHECK(filled(private, len, 10 + i));
		shared = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			      0);
		if (shared != MAP_FAILED)
			fill(shared, len, 11 + i);
		else
			for (off = 0; off < len; off += 512) {
				*(unsigned long *)buf = 11 + i + off;
				CHECK(pwrite(fd, buf, 8, off) == 8);
			}
		CHECK(!ftruncate(fd, len + P));
		CHECK(drain(fds[0], buf, got) == got);
		CHECK(old_or_new(buf, got, 10 + i + i * P + i * 512,
				 11 + i + i * P + i * 512));
		ret = read(more[0], buf, len);
		CHECK(ret > 0 && old_or_new(buf, ret, 10 + i + i * P + i * 512,
					    11 + i + i * P + i * 512));
		CHECK(file_filled(fd, len, 11 + i));
		if (shared != MAP_FAILED) {
			CHECK(filled(shared, len, 11 + i));
			munmap(shared, len);
		}
		munmap(private, len);
	}
	/* From file to file, and into a socket. */
	other = temp_file(NULL);
	from = 0;
	while (from < len)
		if (!CHECK(sendfile(other, fd, &from, len - from) > 0))
			break;
	CHECK(file_filled(other, len, 13));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, more));
	shared = mmap(NULL, len, PROT_READ, MAP_PRIVATE, other, 0);
	CHECK(shared != MAP_FAILED);
	for (off = 0; off < len; off += got) {
		from = off;
		ret = sendfile(more[1], other, &from, P / 2);
		if (!CHECK(ret > 0))
			break;
		CHECK(*(unsigned long *)(shared + off) == 13 + off);
		got = drain(more[0], buf, ret);
		CHECK(got == ret && filled(buf, got, 13 + off));
	}
	close(fd);
	close(other);
}

/* A process whose memory is read and written from outside. */
static void child_remote(int argc, char **argv)
{
	unsigned long P = page_size(), len = 4 * P, off, i, value;
	int fd = filled_file(len, 20), to[2], from[2], status;
	char *mem[4], *buf = map_anon(len, 0), c;
	struct iovec local, remote;
	pid_t pid;

	mem[0] = map_anon(len, 0);
	mem[1] = map_anon(len, MAP_SHARED);
	mem[2] = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	mem[3] = map_anon(len, 0);
	fill(mem[0], len, 20);
	fill(mem[1], len, 20);
	CHECK(mem[2] != MAP_FAILED);
	CHECK(!pipe(to) && !pipe(from));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(to[1]);
		/* One half of the pages is its own. */
		for (i = 0; i < 3; i++)
			fill(mem[i], 2 * P, 20);
		CHECK(write(from[1], "x", 1) == 1);
		while (read(to[0], &c, 1) == 1)
			;
		for (i = 0; i < 4; i++)
			for (off = 0; off < len; off += SZ_4K)
				if (!CHECK(*(unsigned long *)
					   (mem[i] + off + 72) == off + i))
					break;
		for (i = 0; i < 3; i++)
			CHECK(filled(mem[i], len, 20));
		fflush(stdout);
		_exit(child_failures());
	}
	close(to[0]);
	CHECK(read(from[0], &c, 1) == 1);
	for (i = 0; i < 4; i++) {
		/* What it has never touched reads as zero. */
		local = (struct iovec){ buf, len };
		remote = (struct iovec){ mem[i], len };
		CHECK(process_vm_readv(pid, &local, 1, &remote, 1, 0) == len);
		CHECK(i == 3 ? all_zero(buf, len) : filled(buf, len, 20));
		for (off = 0; off < len; off += SZ_4K) {
			value = off + i;
			local = (struct iovec){ &value, 8 };
			remote = (struct iovec){ mem[i] + off + 72, 8 };
			CHECK(process_vm_writev(pid, &local, 1, &remote, 1,
						0) == 8);
		}
		if (i != 1)
			CHECK(*(unsigned long *)(mem[i] + 72) == 0);
		local = (struct iovec){ buf + 512, P };
		remote = (struct iovec){ mem[i] + P / 2 + 512, P };
		CHECK(process_vm_readv(pid, &local, 1, &remote, 1, 0) == P);
	}
	close(to[1]);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(filled(mem[0], len, 20));
	CHECK(filled(mem[2], len, 20));
	CHECK(file_filled(fd, len, 20));
	close(fd);
}

/* A context of asynchronous I/O goes where its ring is moved to. */
static void child_aio(int argc, char **argv)
{
	unsigned long ctx = 0, start = 0, end = 0;
	FILE *f;
	char line[256];
	char *to;

	if (!CHECK(!syscall(__NR_io_setup, 128, &ctx)))
		return;
	f = fopen("/proc/self/maps", "r");
	while (f && start != ctx && fgets(line, sizeof(line), f))
		sscanf(line, "%lx-%lx", &start, &end);
	if (f)
		fclose(f);
	if (!CHECK(start == ctx))
		return;
	to = map_anon(end - start, 0);
	CHECK(mremap((void *)ctx, end - start, end - start,
		     MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	CHECK(syscall(__NR_io_destroy, ctx) == -1 && errno == EINVAL);
	CHECK(!syscall(__NR_io_destroy, to));
}

static const struct child children[] = {
	{ "aio", child_aio },
	{ "fixed", child_fixed },
	{ "in-flight", child_in_flight },
	{ "direct", child_direct },
	{ "unshare", child_unshare },
	{ "pieces", child_pieces },
	{ "vmsplice", child_vmsplice },
	{ "splice", child_splice },
	{ "remote", child_remote },
	{ }
};

TEST_F(pages, aio)
{
	EXPECT_CHILD("aio");
}

TEST_F(pages, fixed)
{
	EXPECT_CHILD("fixed");
}

TEST_F(pages, in_flight)
{
	EXPECT_CHILD("in-flight");
}

TEST_F(pages, direct)
{
	EXPECT_CHILD("direct");
}

TEST_F(pages, unshare)
{
	EXPECT_CHILD("unshare");
}

TEST_F(pages, pieces)
{
	if (!fail_setup(self->size, 100))
		SKIP(return, "no " FAIL_PAGE_ALLOC);
	EXPECT_CHILD("pieces");
}

TEST_F(pages, vmsplice)
{
	EXPECT_CHILD("vmsplice");
}

TEST_F(pages, splice)
{
	EXPECT_CHILD("splice");
}

TEST_F(pages, remote)
{
	EXPECT_CHILD("remote");
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
