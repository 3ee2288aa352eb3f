// SPDX-License-Identifier: GPL-2.0
/*
 * Anonymous memory in process pages: faults, copy on write, and what system
 * calls do to parts of a mapping. Then what other processes do to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"
#include "pagesize_system.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP	4
#endif

#define SZ_2M			0x200000UL
#define SZ_1G			0x40000000UL

/* Faults beside those that are counted: of the stack, of libc's data. */
#define OTHER_FAULTS		4

/* More than any process page. */
#define LARGER			(2 * SZ_64K)

#define SPLIT			"/sys/kernel/debug/split_huge_pages"

/* Nothing larger than a process page where faults and memory are counted. */
static char *map_plain(size_t len, int flags)
{
	char *p;

	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	p = map_anon(len, flags);
	CHECK(p != MAP_FAILED);
	return p;
}

static bool about(long have, long want)
{
	if (have >= want && have <= want + OTHER_FAULTS)
		return true;
	printf("# %ld, not %ld\n", have, want);
	return false;
}

/* The exit status of a child process that @fn(@arg) says is right. */
static bool in_child(bool (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		bool ok = fn(arg);

		fflush(stdout);
		_exit(!ok);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool load_faults(void *p)
{
	return load_signal(p) == SIGSEGV;
}

static bool page_is_zero(void *p)
{
	return all_zero(p, page_size());
}

/* The first access to a process page is one fault and one process page. */
static void child_first_touch(int argc, char **argv)
{
	unsigned long P = page_size(), i, n = 64;
	long before;
	char *p;

	/* At its first byte, at its last one, somewhere. */
	for (i = 0; i < 3; i++) {
		unsigned long at = i == 0 ? 0 : i == 1 ? P - 1 : P / 2 + 8, j;

		p = map_plain(n * P, 0);
		before = minor_faults();
		for (j = 0; j < n; j++)
			p[j * P + at] = 1;
		CHECK(about(minor_faults() - before, n));
		CHECK(smaps_kb(p, "Rss") == n * P / 1024);
		CHECK(smaps_kb(p, "Anonymous") == n * P / 1024);
		/* The rest of it is there already. */
		before = minor_faults();
		memset(p, 2, n * P);
		CHECK(about(minor_faults() - before, 0));
		CHECK(!munmap(p, n * P));
	}
	/* A system call that stores is a first access too. */
	p = map_plain(2 * P, 0);
	i = open("/dev/zero", O_RDONLY);
	before = minor_faults();
	CHECK(read(i, p + P - 8, 16) == 16);
	CHECK(about(minor_faults() - before, 2));
	CHECK(smaps_kb(p, "Rss") == 2 * P / 1024);
	close(i);
	CHECK(!demoted());
}

static bool write_zero_page(void *arg)
{
	unsigned long P = page_size();
	char *p = arg;

	p[P / 2] = 3;
	p[P / 2] = 0;
	return all_zero(p, P);
}

/* What was only read costs no memory, and is copied as zeroes. */
static void child_sparse(int argc, char **argv)
{
	unsigned long P = page_size(), len = 256UL << 20, off, n = 64;
	char *p = map_plain(len, MAP_NORESERVE);
	bool zero = true;
	long before;

	before = minor_faults();
	for (off = 0; off < len; off += P)
		zero &= !p[off + off / P * 512 % P];
	CHECK(zero);
	CHECK(about(minor_faults() - before, len / P));
	CHECK(smaps_kb(p, "Rss") == 0);
	/* All of each page is mapped, and it is zero. */
	before = minor_faults();
	CHECK(all_zero(p, n * P));
	CHECK(about(minor_faults() - before, 0));

	CHECK(in_child(write_zero_page, p));
	for (off = 0; off < n * P; off += P)
		p[off + off / P * 512 % P] = 1;
	CHECK(smaps_kb(p, "Rss") == n * P / 1024);
	for (off = 0; off < n * P; off += P) {
		p[off + off / P * 512 % P] = 0;
		if (!CHECK(all_zero(p + off, P)))
			break;
	}
	CHECK(all_zero(p + n * P, n * P));
	CHECK(smaps_kb(p, "Rss") == n * P / 1024);
	/* A system call writes over a page that was read. */
	CHECK(pread(open("/proc/self/exe", O_RDONLY), p + n * P + P / 2, 4,
		    0) == 4);
	CHECK(!memcmp(p + n * P + P / 2, "\177ELF", 4));
	CHECK(all_zero(p + n * P, P / 2));
	CHECK(all_zero(p + n * P + P / 2 + 4, P / 2 - 4));
	CHECK(!demoted());
}

/*
 * Parent, child and grandchild write each half of a process page. There is a
 * process page for each order in which the six events can happen.
 */
#define ACTORS			3
#define EVENTS			(2 * ACTORS)
#define ORDERS			720

static struct cow {
	char *mem;
	unsigned char event[ORDERS][EVENTS];
	int to[ACTORS][2], from[2];
} cow;

static void add_orders(unsigned int *nr, unsigned char *event, int depth)
{
	int i, j;

	if (depth == EVENTS) {
		memcpy(cow.event[(*nr)++], event, EVENTS);
		return;
	}
	for (i = 0; i < EVENTS; i++) {
		for (j = 0; j < depth && event[j] != i; j++)
			;
		if (j < depth)
			continue;
		event[depth] = i;
		add_orders(nr, event, depth + 1);
	}
}

/* The part of @actor in step @step of all orders; is its memory right then? */
static bool cow_act(int actor, int step)
{
	unsigned long half = page_size() / 2, seed = (actor + 2UL) << 32;
	unsigned int order, event, when[EVENTS], i;
	bool ok = true;
	char *p;

	for (order = 0; order < ORDERS; order++) {
		for (i = 0; i < EVENTS; i++)
			when[cow.event[order][i]] = i;
		event = cow.event[order][step];
		p = cow.mem + order * 2 * half;
		if (event / 2 == actor)
			fill(p + event % 2 * half, half, seed);
		for (i = 0; i < 2; i++, p += half)
			ok &= filled(p, half, when[actor * 2 + i] <= step ?
				     seed : 1 + p - cow.mem);
	}
	return ok;
}

static void cow_actor(int actor)
{
	pid_t pid = 0;
	int status;
	char c;

	if (actor + 1 < ACTORS) {
		pid = fork();
		if (!pid)
			cow_actor(actor + 1);
	}
	if (!actor)
		return;
	while (read(cow.to[actor][0], &c, 1) == 1 && c < EVENTS) {
		c = cow_act(actor, c);
		fflush(stdout);
		if (write(cow.from[1], &c, 1) != 1)
			break;
	}
	/* Now what is written need not be copied. */
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status))
		_exit(1);
	fill(cow.mem, ORDERS * page_size(), actor);
	_exit(!filled(cow.mem, ORDERS * page_size(), actor) || demoted());
}

static void child_cow_orders(int argc, char **argv)
{
	unsigned long P = page_size();
	unsigned long copies = vm_events("process_page_cow");
	unsigned char event[EVENTS];
	int step, actor, status;
	unsigned int nr = 0;
	char c;

	add_orders(&nr, event, 0);
	CHECK(nr == ORDERS);
	cow.mem = map_plain(ORDERS * P, 0);
	fill(cow.mem, ORDERS * P, 1);
	CHECK(!pipe(cow.from));
	for (actor = 1; actor < ACTORS; actor++)
		CHECK(!pipe2(cow.to[actor], O_CLOEXEC));
	cow_actor(0);
	for (step = 0; step < EVENTS; step++) {
		c = step;
		for (actor = 1; actor < ACTORS; actor++)
			CHECK(write(cow.to[actor][1], &c, 1) == 1);
		CHECK(cow_act(0, step));
		for (actor = 1; actor < ACTORS; actor++)
			CHECK(read(cow.from[0], &c, 1) == 1 && c);
	}
	/* One leaves after the other; the rest go on writing. */
	c = EVENTS;
	for (actor = ACTORS - 1; actor > 0; actor--)
		CHECK(write(cow.to[actor][1], &c, 1) == 1);
	CHECK(wait(&status) > 0 && status == 0);
	for (nr = 0; nr < 2 * ORDERS; nr++)
		if (!CHECK(filled(cow.mem + nr * P / 2, P / 2, 2UL << 32)))
			break;
	CHECK(!demoted());
	/* Each page was copied for the first two of three that wrote to it. */
	if (page_size() > kernel_page_size())
		CHECK(vm_events("process_page_cow") - copies >= 2 * ORDERS);
}

static bool nothing(void *arg)
{
	return true;
}

/* Once the child is gone, its parent writes in place. */
static void child_reuse(int argc, char **argv)
{
	unsigned long P = page_size(), n = 32, i;
	char *p = map_plain(n * P, 0);
	long before;

	fill(p, n * P, 4);
	CHECK(in_child(nothing, NULL));
	before = minor_faults();
	for (i = 0; i < n; i++)
		*(unsigned long *)(p + i * P + P / 2) = 4 + i * P + P / 2;
	CHECK(about(minor_faults() - before, n));
	CHECK(filled(p, n * P, 4));
	/* The other half of it is writable as well. */
	before = minor_faults();
	fill(p, n * P, 5);
	CHECK(about(minor_faults() - before, 0));
	CHECK(smaps_kb(p, "Rss") == n * P / 1024);
	CHECK(smaps_kb(p, "Private_Dirty") == n * P / 1024);
	CHECK(!demoted());
}

static bool copy_private(void *arg)
{
	unsigned long P = page_size(), i;
	char *p = arg;

	for (i = 0; i < 8; i++)
		*(unsigned long *)(p + i * P + P / 2) = 0;
	for (i = 0; i < 8; i++)
		CHECK(*(unsigned long *)(p + i * P + P / 2) == 0);
	CHECK(!demoted());
	return !child_failures();
}

/* Copies of pages of a file, of which some were read before. */
static void child_private(int argc, char **argv)
{
	unsigned long P = page_size(), n = 8, i;
	char *p, *buf = map_plain(n * P, 0);
	int fd = temp_file(NULL);

	fill(buf, n * P, 20);
	CHECK(pwrite(fd, buf, n * P, 0) == n * P);
	p = mmap(NULL, n * P, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (!CHECK(p != MAP_FAILED))
		return;
	for (i = 0; i < n; i += 2)
		CHECK(*(long *)(p + i * P + P / 2) == 20 + i * P + P / 2);
	for (i = 0; i < n; i++)
		*(long *)(p + i * P + i * P / n + 8) = 1;
	CHECK(smaps_kb(p, "Anonymous") == n * P / 1024);
	CHECK(filled(p, n * P, 20));
	CHECK(in_child(copy_private, p));
	CHECK(filled(p, n * P, 20));
	for (i = 0; i < n; i++)
		CHECK(*(long *)(p + i * P + i * P / n + 8) == 1);
	CHECK(pread(fd, p, n * P, 0) == n * P && filled(p, n * P, 20));
	for (i = 0; i < n; i++)
		CHECK(*(long *)(p + i * P + i * P / n + 8) == 0);
	CHECK(!demoted());
	close(fd);
}

static void child_madvise(int argc, char **argv)
{
	unsigned long P = page_size(), n = 8, i;
	static const int keeps[] = { MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED };
	char *p = map_plain(n * P, 0);
	long before;

	fill(p, n * P, 6);
	for (i = 0; i < ARRAY_SIZE(keeps); i++) {
		CHECK(!madvise(p + 2 * P, 3 * P, keeps[i]));
		CHECK(filled(p, n * P, 6));
		CHECK(!madvise(p + (i + 2) * P, P, keeps[i]));
		fill(p, n * P, 6);
	}
	CHECK(!madvise(p + 2 * P, 2 * P, MADV_DONTNEED));
	CHECK(filled(p, 2 * P, 6));
	CHECK(smaps_kb(p, "Rss") == (n - 2) * P / 1024);
	CHECK(all_zero(p + 2 * P, 2 * P));
	CHECK(filled(p + 4 * P, 4 * P, 6 + 4 * P));

	/* What may be freed is there as a whole or gone as a whole. */
	fill(p, n * P, 6);
	CHECK(!madvise(p + P, 3 * P, MADV_FREE));
	fill(p + P + P / 2, 512, 6 + P + P / 2);
	for (i = 2; i < 4; i++)
		CHECK(*(long *)(p + i * P) ?
		      filled(p + i * P, P, 6 + i * P) : all_zero(p + i * P, P));
	CHECK(*(long *)(p + P) ? filled(p + P, P, 6 + P) :
	      all_zero(p + P, P / 2));
	CHECK(*(long *)(p + P + P / 2) == 6 + P + P / 2);
	CHECK(filled(p, P, 6));
	CHECK(filled(p + 4 * P, 4 * P, 6 + 4 * P));

	CHECK(!madvise(p + 3 * P, P, MADV_WIPEONFORK));
	fill(p, n * P, 7);
	CHECK(in_child(page_is_zero, p + 3 * P));
	CHECK(!madvise(p + 5 * P, P, MADV_DONTFORK));
	CHECK(in_child(load_faults, p + 5 * P));
	CHECK(!in_child(load_faults, p + 4 * P));
	CHECK(!in_child(load_faults, p + 6 * P));
	CHECK(filled(p, n * P, 7));
	CHECK(!munmap(p, n * P));

	/* Populated: no faults, however it is used. */
	p = map_plain(n * P, 0);
	CHECK(!madvise(p + 2 * P, 3 * P, MADV_POPULATE_WRITE));
	CHECK(smaps_kb(p, "Rss") == 3 * P / 1024);
	before = minor_faults();
	fill(p + 2 * P, 3 * P, 8);
	CHECK(about(minor_faults() - before, 0));
	CHECK(!madvise(p, n * P, MADV_POPULATE_READ));
	CHECK(smaps_kb(p, "Rss") == 3 * P / 1024);
	before = minor_faults();
	CHECK(all_zero(p, 2 * P));
	CHECK(all_zero(p + 5 * P, 3 * P));
	CHECK(about(minor_faults() - before, 0));
	CHECK(filled(p + 2 * P, 3 * P, 8));
	CHECK(!demoted());
}

/* What may be freed, and is, goes as a whole or stays as a whole. */
static void child_free(int argc, char **argv)
{
	unsigned long P = page_size(), n = 16, i;
	char *p = map_plain(n * P, 0);
	unsigned int tries;
	long kb;

	/* Else it may be on its way to the LRU of another CPU. */
	CHECK(stay_here());
	fill(p, n * P, 23);
	CHECK(!madvise(p + 2 * P, 8 * P, MADV_FREE));
	/* What is written to stays, and so does the rest of its page. */
	p[4 * P + P / 2 + 8] = 1;
	p[7 * P + 8] = 1;
	p[9 * P + P - 8] = 1;
	for (tries = 0; tries < 20; tries++) {
		CHECK(!madvise(p + 2 * P, 8 * P, MADV_PAGEOUT));
		kb = smaps_kb(p, "Rss");
		CHECK(kb % (P / 1024) == 0);
		if (kb <= (n - 5) * P / 1024)
			break;
	}
	CHECK(kb <= (n - 5) * P / 1024);
	for (i = 2; i < 10; i++) {
		if (i == 4 || i == 7 || i == 9)
			CHECK(filled(p + i * P, P, 23 + i * P));
		else
			CHECK(all_zero(p + i * P, P));
	}
	CHECK(p[4 * P + P / 2 + 8] == 1 && p[7 * P + 8] == 1 &&
	      p[9 * P + P - 8] == 1);
	CHECK(filled(p, 2 * P, 23));
	CHECK(filled(p + 10 * P, 6 * P, 23 + 10 * P));
	CHECK(!demoted());
}

/* Also where the kernel has it in pieces, and could free some of them. */
static void child_free_pieces(int argc, char **argv)
{
	unsigned long P = page_size(), n = 16, i;
	char *p = map_plain(n * P, 0);
	unsigned int tries;

	CHECK(stay_here());
	fill_pieces(p, n * P, 24, true);
	CHECK(!madvise(p, n * P, MADV_FREE));
	for (i = 0; i < n; i += 2)
		p[i * P + P / 2 + 8] = 1;
	for (tries = 0; tries < 5; tries++)
		CHECK(!madvise(p, n * P, MADV_PAGEOUT));
	for (i = 0; i < n; i++) {
		if (i % 2)
			CHECK(all_zero(p + i * P, P) ||
			      filled(p + i * P, P, 24 + i * P));
		else
			CHECK(filled(p + i * P, P, 24 + i * P) &&
			      p[i * P + P / 2 + 8] == 1);
	}
}

static void child_guard(int argc, char **argv)
{
	unsigned long P = page_size(), n = 8, i;
	char *p = map_plain(n * P, 0);

	fill(p, n * P, 9);
	if (madvise(p + 2 * P, 2 * P, MADV_GUARD_INSTALL))
		child_skip("no guard regions");
	for (i = 0; i < n * P; i += SZ_4K)
		if (!CHECK(load_signal(p + i) ==
			   (i >= 2 * P && i < 4 * P ? SIGSEGV : 0)))
			break;
	CHECK(store_signal(p + 4 * P - 1) == SIGSEGV);
	CHECK(in_child(load_faults, p + 3 * P));
	CHECK(!madvise(p, n * P, MADV_DONTNEED));
	CHECK(load_signal(p + 3 * P) == SIGSEGV);
	CHECK(!madvise(p + 3 * P, P, MADV_GUARD_REMOVE));
	CHECK(all_zero(p + 3 * P, P));
	CHECK(load_signal(p + 3 * P - 1) == SIGSEGV);
	CHECK(!madvise(p, n * P, MADV_GUARD_REMOVE));
	CHECK(all_zero(p, n * P));
	CHECK(!demoted());
}

static void child_mprotect(int argc, char **argv)
{
	unsigned long P = page_size(), n = 8, i;
	char *p = map_plain(n * P, 0);
	long before;

	fill(p, n * P, 10);
	for (i = 0; i < 2; i++) {
		CHECK(!mprotect(p + P, 3 * P, PROT_READ));
		CHECK(!mprotect(p + 2 * P, P, PROT_NONE));
		CHECK(store_signal(p + P - 1) == 0);
		CHECK(store_signal(p + P) == SIGSEGV);
		CHECK(load_signal(p + 2 * P - 1) == 0);
		CHECK(load_signal(p + 2 * P) == SIGSEGV);
		CHECK(load_signal(p + 3 * P - 1) == SIGSEGV);
		CHECK(load_signal(p + 3 * P) == 0);
		CHECK(store_signal(p + 4 * P - 1) == SIGSEGV);
		CHECK(store_signal(p + 4 * P) == 0);
		/* Again, with pages that are shared after fork(). */
		CHECK(in_child(load_faults, p + 2 * P));
		CHECK(!mprotect(p, n * P, PROT_READ | PROT_WRITE));
		CHECK(filled(p, n * P, 10));
		fill(p, n * P, 10);
	}
	/* Untouched before and while it is read-only. */
	CHECK(!munmap(p, n * P));
	p = map_plain(n * P, 0);
	CHECK(!mprotect(p, n * P, PROT_READ));
	CHECK(all_zero(p, 4 * P));
	CHECK(!mprotect(p, n * P, PROT_READ | PROT_WRITE));
	before = minor_faults();
	fill(p, n * P, 11);
	CHECK(about(minor_faults() - before, n));
	CHECK(filled(p, n * P, 11));
	CHECK(!demoted());
}

/* A place of @len bytes at a multiple of @align. */
static char *place_at(size_t len, unsigned long align)
{
	char *p, *q;

	p = mmap(NULL, len + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_NORESERVE, -1, 0);
	CHECK(p != MAP_FAILED);
	q = (char *)(((unsigned long)p + align - 1) & ~(align - 1));
	munmap(p, len + align);
	return q;
}

static char *place(size_t len)
{
	return place_at(len, SZ_2M);
}

static char *map_at(char *p, size_t len)
{
	p = mmap(p, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_FIXED, -1, 0);
	CHECK(p != MAP_FAILED);
	return p;
}

static bool moved_filled(void *arg)
{
	return filled(arg, 2 * SZ_2M, 12);
}

/* Some process pages, the first and the last among them, of @len bytes. */
#define SPARSE			20

static unsigned long sparse_off(size_t len, unsigned long i)
{
	unsigned long P = page_size();

	return (len / P - 1) * i / (SPARSE - 1) * P;
}

static bool sparse_filled(char *p, size_t len)
{
	unsigned long P = page_size(), i, off;
	bool right = true;

	for (i = 0; i < SPARSE; i++) {
		off = sparse_off(len, i);
		right &= filled(p + off, P, 24 + off);
		if (i < SPARSE - 1)
			right &= all_zero(p + off + P, P);
	}
	return right;
}

static bool sparse_is_there(void *arg)
{
	return sparse_filled(arg, 2 * SZ_1G);
}

/* As tables of page tables, where page tables are moved at all. */
static void move_tables(void)
{
	unsigned long P = page_size(), len = 2 * SZ_1G, off, i;
	char *p, *q;

	p = mmap(place_at(len, SZ_1G), len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		 0);
	if (!CHECK(p != MAP_FAILED))
		return;
	for (i = 0; i < SPARSE; i++) {
		off = sparse_off(len, i);
		fill(p + off, P, 24 + off);
	}
	q = place_at(len, SZ_1G);
	CHECK(mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	for (i = 0; i < SPARSE; i++)
		CHECK(load_signal(p + sparse_off(len, i)) == SIGSEGV);
	CHECK(smaps_kb(q, "Rss") == SPARSE * P / 1024);
	CHECK(sparse_filled(q, len));
	/* Shared with a child, and back. */
	CHECK(in_child(sparse_is_there, q));
	p = place_at(len, SZ_1G);
	CHECK(mremap(q, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
	for (i = 0; i < SPARSE; i++) {
		off = sparse_off(len, i);
		CHECK(load_signal(q + off) == SIGSEGV);
		fill(p + off + P / 2, 512, 24 + off + P / 2);
	}
	CHECK(sparse_filled(p, len));
	CHECK(!munmap(p, len));
}

static void child_mremap(int argc, char **argv)
{
	unsigned long P = page_size(), len = 2 * SZ_2M, off, i;
	/* As page tables, and page by page. */
	const unsigned long shift[] = { 0, P };
	char *p, *q;

	/* What is moved is not a huge page. */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	for (i = 0; i < ARRAY_SIZE(shift); i++) {
		p = map_at(place(len), len);
		fill(p, len, 12);
		q = place(len + SZ_2M) + shift[i];
		CHECK(mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			     q) == q);
		CHECK(load_signal(p) == SIGSEGV);
		CHECK(load_signal(p + len - 1) == SIGSEGV);
		CHECK(filled(q, len, 12));
		/* Shared with a child, and back. */
		p = place(len);
		CHECK(in_child(moved_filled, q));
		CHECK(mremap(q, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			     p) == p);
		CHECK(in_child(moved_filled, p));
		for (off = 0; off < len; off += 3 * P)
			fill(p + off + P / 2, 512, 12 + off + P / 2);
		CHECK(filled(p, len, 12));
		/* What stays behind is empty. */
		q = mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
		CHECK(q != MAP_FAILED);
		CHECK(filled(q, len, 12));
		CHECK(all_zero(p, len));
		fill(p, len, 13);
		CHECK(filled(q, len, 12));
		CHECK(filled(p, len, 13));
		CHECK(!munmap(p, len));
		CHECK(!munmap(q, len));
	}

	/* Only some pages are there. */
	p = map_at(place(len), len);
	for (off = 0; off < len; off += 3 * P)
		fill(p + off, P, 14);
	q = place(len);
	CHECK(mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
	for (off = 0; off + 3 * P <= len; off += 3 * P)
		if (!CHECK(filled(q + off, P, 14)) ||
		    !CHECK(all_zero(q + off + P, P)))
			break;
	CHECK(!munmap(q, len));

	/* Shrink, grow in place, grow and move, over another mapping. */
	p = map_plain(64 * P, 0);
	CHECK(!munmap(p + 8 * P, 56 * P));
	fill(p, 8 * P, 15);
	CHECK(mremap(p, 8 * P, 3 * P, 0) == p);
	CHECK(load_signal(p + 3 * P) == SIGSEGV);
	CHECK(mremap(p, 3 * P, 5 * P, 0) == p);
	CHECK(filled(p, 3 * P, 15));
	CHECK(all_zero(p + 3 * P, 2 * P));
	fill(p, 5 * P, 15);
	q = map_plain(64 * P, 0);
	fill(q, 64 * P, 16);
	CHECK(mremap(p, 5 * P, 7 * P, MREMAP_MAYMOVE | MREMAP_FIXED,
		     q + P) == q + P);
	CHECK(filled(q, P, 16));
	CHECK(filled(q + P, 5 * P, 15));
	CHECK(all_zero(q + 6 * P, 2 * P));
	CHECK(filled(q + 8 * P, 56 * P, 16 + 8 * P));

	move_tables();
	CHECK(!demoted());
}

/* Without the privilege to exceed limits. */
static bool limited(void *arg)
{
	unsigned long P = page_size();
	struct rlimit limit = { 4 * P, 4 * P };
	char *p = arg;

	CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit));
	CHECK(geteuid() || !setresuid(65534, 65534, 65534));
	CHECK(mlock(p, 5 * P) == -1 && errno == ENOMEM);
	CHECK(mlock(p, 4 * P + 1) == -1 && errno == ENOMEM);
	CHECK(!mlock(p, 4 * P));
	CHECK(mlock(p + 5 * P, 1) == -1 && errno == ENOMEM);
	CHECK(!munlock(p + 1, 1));
	CHECK(status_kb("VmLck") == 3 * P / 1024);
	CHECK(!mlock(p + 5 * P + P / 2, 1));
	CHECK(mmap(NULL, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
		   MAP_LOCKED, -1, 0) == MAP_FAILED && errno == EAGAIN);
	return !child_failures();
}

static void child_mlock(int argc, char **argv)
{
	unsigned long P = page_size(), n = 16;
	char *p = map_plain(n * P, 0);
	long before;

	CHECK(!mlock(p + 2 * P, 3 * P));
	CHECK(status_kb("VmLck") == 3 * P / 1024);
	CHECK(smaps_kb(p + 2 * P, "Rss") == 3 * P / 1024);
	CHECK(smaps_kb(p + 2 * P, "Locked") == 3 * P / 1024);
	CHECK(smaps_kb(p, "Rss") == 0);
	before = minor_faults();
	fill(p + 2 * P, 3 * P, 17);
	CHECK(about(minor_faults() - before, 0));
	CHECK(madvise(p + 3 * P, P, MADV_DONTNEED) == -1 && errno == EINVAL);
	/* A byte of it is all of it. */
	CHECK(!mlock(p + 8 * P + P / 2, 1));
	CHECK(!mlock(p + 10 * P - 1, 2));
	CHECK(status_kb("VmLck") == 6 * P / 1024);
	CHECK(!munlock(p + 3 * P + 8, 8));
	CHECK(status_kb("VmLck") == 5 * P / 1024);
	CHECK(filled(p + 2 * P, 3 * P, 17));
	CHECK(!syscall(__NR_mlock2, p + 12 * P, 2 * P, 1));
	CHECK(smaps_kb(p + 12 * P, "Rss") == 0);
	p[12 * P] = 1;
	CHECK(smaps_kb(p + 12 * P, "Rss") == P / 1024);
	CHECK(!munlock(p, n * P));
	CHECK(status_kb("VmLck") == 0);
	CHECK(in_child(limited, p));

	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		return;
	p = map_plain(n * P, 0);
	before = minor_faults();
	fill(p, n * P, 18);
	CHECK(about(minor_faults() - before, 0));
	CHECK(smaps_kb(p, "Locked") >= n * P / 1024);
	CHECK(!munlockall());
	CHECK(status_kb("VmLck") == 0);
	CHECK(!demoted());
}

#define MARK			0x5aUL

static long peek(pid_t pid, char *p)
{
	errno = 0;
	return ptrace(PTRACE_PEEKDATA, pid, p, NULL);
}

/* A writer that page protection does not stop: it gets a copy of the page. */
static void poke_all(pid_t pid, int mem, char *p, size_t len)
{
	struct iovec local = { &len, 8 }, remote = { p, 8 };
	char *copy = malloc(len), *now = malloc(len);
	size_t off;
	long old;

	memcpy(copy, p, len);
	CHECK(process_vm_writev(pid, &local, 1, &remote, 1, 0) == -1 &&
	      errno == EFAULT);
	for (off = 64; off < len; off += SZ_4K) {
		old = peek(pid, p + off);
		CHECK(!errno && !memcmp(&old, copy + off, 8));
		old ^= MARK;
		if (off & SZ_4K)
			CHECK(pwrite(mem, &old, 8, (off_t)p + off) == 8);
		else
			CHECK(!ptrace(PTRACE_POKEDATA, pid, p + off, old));
		*(long *)(copy + off) ^= MARK;
	}
	local = (struct iovec){ now, len };
	remote = (struct iovec){ p, len };
	CHECK(process_vm_readv(pid, &local, 1, &remote, 1, 0) == len);
	CHECK(!memcmp(now, copy, len));
	/* Only there. */
	CHECK(memcmp(p, copy, len));
	for (off = 64; off < len; off += SZ_4K) {
		*(long *)(copy + off) ^= MARK;
		CHECK(!ptrace(PTRACE_POKEDATA, pid, p + off,
			      *(long *)(copy + off)));
	}
	CHECK(!memcmp(p, copy, len));
	CHECK(process_vm_readv(pid, &local, 1, &remote, 1, 0) == len);
	CHECK(!memcmp(now, copy, len));
	free(copy);
	free(now);
}

/* As a debugger does it: the child runs into it, this process does not. */
static void breakpoint(pid_t pid, int *status)
{
#ifdef __aarch64__
	char *p = (char *)getppid;
	long old = peek(pid, p);

	CHECK(!ptrace(PTRACE_POKEDATA, pid, p,
		      (old & ~0xffffffffL) | 0xd4200000));
	CHECK(!ptrace(PTRACE_CONT, pid, NULL, NULL));
	CHECK(waitpid(pid, status, 0) == pid && WIFSTOPPED(*status) &&
	      WSTOPSIG(*status) == SIGTRAP);
	CHECK(getppid() > 0);
	CHECK(!ptrace(PTRACE_POKEDATA, pid, p, old));
#endif
}

static void child_ptrace(int argc, char **argv)
{
	unsigned long P = page_size();
	int fd = temp_file(NULL), mem, status;
	char *file, *none, *buf, path[64];
	struct mapping text;
	pid_t pid;

	CHECK(mapping_at(getppid, &text));
	buf = malloc(4 * P);
	fill(buf, 4 * P, 19);
	CHECK(pwrite(fd, buf, 4 * P, 0) == 4 * P);
	file = mmap(NULL, 4 * P, PROT_READ, MAP_PRIVATE, fd, 0);
	none = mmap(NULL, 4 * P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(file != MAP_FAILED && none != MAP_FAILED);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(!(getppid() > 0 && filled(file, 4 * P, 19)));
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	/* Where the file ends inside a process page, text does so too. */
	poke_all(pid, mem, (char *)text.start, text.end - text.start);
	poke_all(pid, mem, file, 4 * P);
	poke_all(pid, mem, none, 4 * P);
	breakpoint(pid, &status);
	CHECK(!ptrace(PTRACE_CONT, pid, NULL, NULL));
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	memset(buf, 0, 4 * P);
	CHECK(pread(fd, buf, 4 * P, 0) == 4 * P && filled(buf, 4 * P, 19));
	CHECK(all_zero(none, 4 * P));
	close(mem);
	close(fd);
	free(buf);
	CHECK(!demoted());
}

static long futex(void *word, int op, int value)
{
	return syscall(__NR_futex, word, op, value, NULL, NULL, 0);
}

struct waiter {
	pthread_t thread;
	uint32_t *word;
	int op, woken;
};

static void *wait_on_word(void *arg)
{
	struct waiter *w = arg;

	while (!__atomic_load_n(w->word, __ATOMIC_SEQ_CST))
		futex(w->word, w->op, 0);
	__atomic_store_n(&w->woken, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* A waiter on each kernel page of @theirs is woken by that of @p, alone. */
static void futexes(char *p, char *theirs, int private)
{
	unsigned long P = page_size(), n = P / SZ_4K, i, j;
	struct waiter waiters[16] = { };

	for (i = 0; i < n; i++) {
		waiters[i].word = (uint32_t *)(theirs + i * SZ_4K + 128);
		waiters[i].op = FUTEX_WAIT | private;
		CHECK(!pthread_create(&waiters[i].thread, NULL, wait_on_word,
				      &waiters[i]));
	}
	for (i = 0; i < n; i++) {
		uint32_t *word = (uint32_t *)(p + i * SZ_4K + 128);
		int tries = 0;

		while (futex(word, FUTEX_WAKE | private, 1) != 1)
			if (!CHECK(++tries < 5000) || usleep(1000))
				break;
		__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
		futex(word, FUTEX_WAKE | private, 1);
		CHECK(!pthread_join(waiters[i].thread, NULL));
		for (j = i + 1; j < n; j++)
			CHECK(!__atomic_load_n(&waiters[j].woken,
					       __ATOMIC_SEQ_CST));
	}
}

static void child_futex(int argc, char **argv)
{
	unsigned long P = page_size(), i;
	char *p, *q, zero[512] = "";
	int fd;

	p = map_plain(P, 0);
	futexes(p, p, FUTEX_PRIVATE_FLAG);
	p = map_plain(P, 0);
	futexes(p, p, 0);
	p = map_plain(P, MAP_SHARED);
	futexes(p, p, 0);
	/* Two mappings of one file, whose pages came one by one. */
	fd = syscall(__NR_memfd_create, "futex", 0);
	CHECK(!ftruncate(fd, P));
	for (i = 0; i < P; i += SZ_4K)
		CHECK(pwrite(fd, zero, sizeof(zero), i) == sizeof(zero));
	p = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	q = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED && q != MAP_FAILED);
	futexes(p, q, 0);
	close(fd);
	fd = temp_file(NULL);
	CHECK(!ftruncate(fd, P));
	p = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	q = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED && q != MAP_FAILED)
		futexes(p, q, 0);
	/* The first access of all is the kernel's. */
	p = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	for (i = 0; i < P; i += SZ_4K)
		CHECK(futex(p + i, FUTEX_WAIT, 5) == -1 && errno == EAGAIN);
	close(fd);
}

/* A file that is in the page cache in kernel pages, as each came alone. */
static void fill_small(int fd, size_t len, unsigned long seed)
{
	char buf[SZ_4K] = "";
	size_t off = len;

	while (off) {
		off -= SZ_4K;
		fill(buf, SZ_4K, seed + off);
		CHECK(pwrite(fd, buf, SZ_4K, off) == SZ_4K);
	}
	/* What is being written to disk is waited for, but not for long. */
	CHECK(!fsync(fd));
}

static bool futex_set(char *word, int flags, int value)
{
	uint32_t mine = 0;

	return syscall(__NR_futex, &mine, FUTEX_WAKE_OP | flags, 0, NULL, word,
		       FUTEX_OP(FUTEX_OP_SET, value, FUTEX_OP_CMP_EQ, 0)) == 0;
}

/*
 * The first access is a store by the kernel. With a private futex, it must not
 * drop the lock on the mm for that.
 */
static void set_small(int fd)
{
	unsigned long P = page_size(), len = 4 * P, i, at;
	char *p, *buf = malloc(len);
	uint32_t value;

	fill_small(fd, len, 25);
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		printf("# such a file cannot be mapped\n");
		return;
	}
	for (i = 0; i < 4; i++) {
		at = i * P + (i % 2 ? 0 : P - SZ_4K) + 8;
		CHECK(futex_set(p + at, i < 2 ? FUTEX_PRIVATE_FLAG : 0, 77));
		CHECK(pread(fd, &value, 4, at) == 4 && value == 77);
	}
	CHECK(pread(fd, buf, len, 0) == len && filled(buf, len, 25));
	CHECK(!memcmp(buf, p, len));
	for (i = 0; i < 4; i++) {
		at = i * P + (i % 2 ? 0 : P - SZ_4K) + 8;
		CHECK(*(uint32_t *)(p + at) == 77);
	}
	CHECK(!munmap(p, len));
	free(buf);
}

/* And by another process, which may drop it here, and must not there. */
static void poke_small(int fd)
{
	unsigned long P = page_size(), len = 4 * P, off, turn;
	char *p, *buf = malloc(len);
	int status;
	pid_t pid;

	fill_small(fd, len, 26);
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(!filled(p, len, 26));
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	for (turn = 0; turn < 2; turn++) {
		for (off = 0; off < len; off += SZ_4K) {
			char *to = p + off + 8 + 8 * turn;
			long value = ~off - turn;
			struct iovec local = { &value, 8 }, remote = { to, 8 };

			if (off / P % 2 == turn)
				CHECK(process_vm_writev(pid, &local, 1, &remote,
							1, 0) == 8);
			else
				CHECK(!ptrace(PTRACE_POKEDATA, pid, to, value));
		}
	}
	CHECK(pread(fd, buf, len, 0) == len && filled(buf, len, 26));
	for (off = 0; off < len; off += SZ_4K)
		if (!CHECK(*(long *)(buf + off + 8) == ~off &&
			   *(long *)(buf + off + 16) == ~off - 1))
			break;
	CHECK(!memcmp(buf, p, len));
	CHECK(!ptrace(PTRACE_CONT, pid, NULL, NULL));
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(!munmap(p, len));
	free(buf);
}

static void child_futex_small(int argc, char **argv)
{
	int i, fd;

	/* Nobody waits for another CPU to have its folios on the LRU. */
	CHECK(stay_here());
	for (i = 0; i < 4; i++) {
		fd = i < 2 ? syscall(__NR_memfd_create, "small", 0) :
			     temp_file(NULL);
		CHECK(fd >= 0);
		/* For each a new file: it is in pieces only once. */
		if (i % 2)
			poke_small(fd);
		else
			set_small(fd);
		close(fd);
		if (i == 1)
			CHECK(!demoted());
	}
}

/* How many folios of a process page were split. */
static unsigned long splits(void)
{
	unsigned long n = 0;
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/transparent_hugepage/hugepages-%lukB/stats/split",
		 page_size() >> 10);
	f = fopen(path, "re");
	/* There is none of the kernel page. */
	CHECK(f ? fscanf(f, "%lu", &n) == 1 : page_size() == kernel_page_size());
	if (f)
		fclose(f);
	return n;
}

/* A process page is not split, whoever asks; and all goes on after that. */
static void child_split(int argc, char **argv)
{
	const unsigned long P = page_size(), len = 8 * P;
	char *p = map_plain(len, 0), text[80];
	unsigned long before;
	int status;
	pid_t pid;

	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	if (access(SPLIT, W_OK))
		child_skip("no " SPLIT);
	before = splits();
	fill(p, len, 1);
	snprintf(text, sizeof(text), "%d,%p,%p,0", getpid(), p, p + len);
	CHECK(put(SPLIT, text));
	CHECK(splits() == before);
	CHECK(filled(p, len, 1));
	/* Nothing is locked that this needs. */
	pid = fork();
	if (!pid) {
		fill(p, len, 2);
		_exit(!filled(p, len, 2));
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	fill(p, len, 3);
	CHECK(filled(p, len, 3));
	CHECK(!demoted());
}

/* Where folios are to be larger than the process page, they are. */
static void child_larger(int argc, char **argv)
{
	const unsigned long P = page_size(), len = 8 * LARGER;
	unsigned long i;
	long before;
	int round;
	char *p;

	for (round = 0; round < 4; round++) {
		/* No room for a block that has a table entry to itself. */
		p = map_at(place_at(len, LARGER), len);
		before = minor_faults();
		for (i = 0; i < len; i += P)
			p[i] = 1;
		CHECK(about(minor_faults() - before, len / LARGER));
		CHECK(smaps_kb(p, "Rss") == (long)len / 1024);
		CHECK(!munmap(p, len));
	}
	CHECK(!demoted());
}

static const struct child children[] = {
	{ "first-touch", child_first_touch },
	{ "sparse", child_sparse },
	{ "cow-orders", child_cow_orders },
	{ "reuse", child_reuse },
	{ "private", child_private },
	{ "madvise", child_madvise },
	{ "free", child_free },
	{ "free-pieces", child_free_pieces },
	{ "guard", child_guard },
	{ "mprotect", child_mprotect },
	{ "mremap", child_mremap },
	{ "mlock", child_mlock },
	{ "ptrace", child_ptrace },
	{ "futex", child_futex },
	{ "futex-small", child_futex_small },
	{ "split", child_split },
	{ "larger", child_larger },
	{ }
};

TEST_F(pages, first_touch)
{
	EXPECT_CHILD("first-touch");
}

TEST_F(pages, sparse)
{
	EXPECT_CHILD("sparse");
}

TEST_F(pages, cow_orders)
{
	EXPECT_CHILD("cow-orders");
}

TEST_F(pages, reuse)
{
	EXPECT_CHILD("reuse");
}

TEST_F(pages, private)
{
	EXPECT_CHILD("private");
}

TEST_F(pages, madvise)
{
	EXPECT_CHILD("madvise");
}

TEST_F(pages, free)
{
	EXPECT_CHILD("free");
}

TEST_F(pages, free_pieces)
{
	if (!fail_setup(self->size, 100))
		SKIP(return, "no " FAIL_PAGE_ALLOC);
	EXPECT_CHILD("free-pieces");
}

TEST_F(pages, guard)
{
	EXPECT_CHILD("guard");
}

TEST_F(pages, mprotect)
{
	EXPECT_CHILD("mprotect");
}

TEST_F(pages, mremap)
{
	EXPECT_CHILD("mremap");
}

TEST_F(pages, mlock)
{
	EXPECT_CHILD("mlock");
}

TEST_F(pages, ptrace)
{
	EXPECT_CHILD("ptrace");
}

TEST_F(pages, futex)
{
	EXPECT_CHILD("futex");
}

TEST_F(pages, futex_small)
{
	EXPECT_CHILD("futex-small");
}

TEST_F(pages, split)
{
	EXPECT_CHILD("split");
}

TEST_F(pages, larger)
{
	static const char path[] =
		"/sys/kernel/mm/transparent_hugepage/hugepages-128kB/enabled";

	/* As a block of a table entry is not to be had there, whatever THP is. */
	if (!put(path, "always"))
		SKIP(return, "no folios of 128K, or not root");
	EXPECT_CHILD("larger");
	put(path, "never");
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
