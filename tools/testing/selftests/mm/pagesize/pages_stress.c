// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations on memory, in threads, against a model of what each byte must
 * be. At the first byte that is not, tell where it is, and end with status 1.
 *
 * A thread has an arena of slots. A slot is absent, or a mapping of some process
 * pages: anonymous or of a file, private or shared. The model holds, for every
 * block of 512 bytes, the number that its first and its last word were made from.
 * The word depends on the block's place, so that a page at a wrong place is found.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "pagesize.h"

#define BLOCK		512UL
#define SLOTS		12
#define SLOT_PAGES	20UL		/* process pages */

enum kind { ANON, ANON_SHARED, FILE_PRIVATE, FILE_SHARED, KINDS };

static const char *const kind_names[] = {
	"anonymous", "anonymous shared", "private file", "shared file",
};

struct slot {
	char *mem;		/* NULL: absent */
	unsigned long pages;
	enum kind kind;
	int fd;
	int prot;
	uint32_t *model;	/* for each block; 0: zeroes */
	uint32_t *file;		/* what a private mapping is a view of */
};

struct arena {
	pthread_t thread;
	unsigned int number;
	uint64_t random;
	uint32_t next;		/* number for the next block */
	unsigned long operations;
	struct slot slots[SLOTS];
};

static unsigned long P, blocks_per_page, seed;
static unsigned int seconds = 10, threads = 4;
static struct timespec end;

static uint64_t rnd(struct arena *a, uint64_t below)
{
	a->random ^= a->random << 13;
	a->random ^= a->random >> 7;
	a->random ^= a->random << 17;
	return (a->random >> 11) % below;
}

static uint64_t block_word(uint32_t number, unsigned long block)
{
	return number ? number * 0x9e3779b97f4a7c15ULL + block : 0;
}

static void __noreturn fail(struct arena *a, const char *what)
{
	printf("thread %u, operation %lu: %s%s%s\n", a->number, a->operations,
	       what, errno ? ": " : "", errno ? strerror(errno) : "");
	printf("seed %lu\n", seed);
	fflush(stdout);
	_exit(1);
}

/* Does this error happen to a right program, too? */
static bool excused(int error)
{
	return error == ENOMEM || error == EAGAIN;
}

static void set_block(struct slot *s, unsigned long block, uint32_t number)
{
	uint64_t word = block_word(number, block);
	char *p = s->mem + block * BLOCK;

	*(uint64_t *)p = word;
	*(uint64_t *)(p + BLOCK - 8) = word;
	s->model[block] = number;
}

static void verify(struct arena *a, struct slot *s, unsigned long first,
		   unsigned long nr, const char *when)
{
	unsigned long block;
	uint64_t want, have;
	int half;

	for (block = first; block < first + nr; block++) {
		want = block_word(s->model[block], block);
		for (half = 0; half < 2; half++) {
			char *p = s->mem + block * BLOCK +
				  half * (BLOCK - 8);

			have = __atomic_load_n((uint64_t *)p, __ATOMIC_RELAXED);
			if (have == want)
				continue;
			printf("at %p: expected %#llx, found %#llx\n", p,
			       (unsigned long long)want,
			       (unsigned long long)have);
			printf("in page %lu of %lu of %p, %s, pid %d, %s\n",
			       block / blocks_per_page, s->pages, s->mem,
			       kind_names[s->kind], getpid(), when);
			errno = 0;
			fail(a, "mismatch");
		}
	}
}

static void verify_slot(struct arena *a, struct slot *s, const char *when)
{
	if (s->mem && s->prot & PROT_READ)
		verify(a, s, 0, s->pages * blocks_per_page, when);
}

static bool is_file(struct slot *s)
{
	return s->kind == FILE_PRIVATE || s->kind == FILE_SHARED;
}

static bool is_shared(struct slot *s)
{
	return s->kind == ANON_SHARED || s->kind == FILE_SHARED;
}

static void drop_slot(struct arena *a, struct slot *s)
{
	if (munmap(s->mem, s->pages * P))
		fail(a, "munmap");
	if (s->fd >= 0)
		close(s->fd);
	free(s->model);
	free(s->file);
	memset(s, 0, sizeof(*s));
	s->fd = -1;
}

/* Blocks of the file, of which some are written before it is mapped. */
static void make_file(struct arena *a, struct slot *s)
{
	unsigned long nr = s->pages * blocks_per_page, block, i;
	uint64_t buf[BLOCK / 8] = { };

	s->fd = rnd(a, 2) ? temp_file(NULL) :
			    syscall(__NR_memfd_create, "stress", MFD_CLOEXEC);
	if (s->fd < 0)
		fail(a, "file");
	if (ftruncate(s->fd, s->pages * P))
		fail(a, "ftruncate");
	for (i = rnd(a, 64); i; i--) {
		block = rnd(a, nr);
		s->file[block] = ++a->next;
		buf[0] = block_word(a->next, block);
		buf[BLOCK / 8 - 1] = buf[0];
		if (pwrite(s->fd, buf, BLOCK, block * BLOCK) != BLOCK)
			fail(a, "pwrite");
	}
	memcpy(s->model, s->file, nr * sizeof(*s->model));
}

static void map_slot(struct arena *a, struct slot *s)
{
	unsigned long nr;
	int flags;

	s->pages = 1 + rnd(a, SLOT_PAGES);
	s->kind = rnd(a, KINDS);
	s->prot = PROT_READ | PROT_WRITE;
	s->fd = -1;
	nr = s->pages * blocks_per_page;
	s->model = calloc(nr, sizeof(*s->model));
	s->file = calloc(nr, sizeof(*s->file));
	if (!s->model || !s->file)
		fail(a, "calloc");
	flags = is_shared(s) ? MAP_SHARED : MAP_PRIVATE;
	if (is_file(s))
		make_file(a, s);
	else
		flags |= MAP_ANONYMOUS;
	s->mem = mmap(NULL, s->pages * P, s->prot, flags, s->fd, 0);
	if (s->mem == MAP_FAILED)
		fail(a, "mmap");
}

static void write_blocks(struct arena *a, struct slot *s)
{
	unsigned long nr = s->pages * blocks_per_page, first, i;

	if (!(s->prot & PROT_WRITE))
		return;
	first = rnd(a, nr);
	if (rnd(a, 2)) {
		/* Here and there. */
		for (i = rnd(a, 16); i; i--)
			set_block(s, rnd(a, nr), ++a->next);
		return;
	}
	for (i = rnd(a, nr - first); i; i--)
		set_block(s, first++, ++a->next);
}

static void pwrite_block(struct arena *a, struct slot *s)
{
	unsigned long block = rnd(a, s->pages * blocks_per_page);
	uint64_t buf[BLOCK / 8] = { };

	if (s->kind != FILE_SHARED)
		return;
	s->model[block] = ++a->next;
	buf[0] = block_word(a->next, block);
	buf[BLOCK / 8 - 1] = buf[0];
	if (pwrite(s->fd, buf, BLOCK, block * BLOCK) != BLOCK)
		fail(a, "pwrite");
}

/* A range of whole process pages. */
static void range(struct arena *a, struct slot *s, unsigned long *page,
		  unsigned long *nr)
{
	*page = rnd(a, s->pages);
	*nr = 1 + rnd(a, s->pages - *page);
}

static void advise(struct arena *a, struct slot *s)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT,
		MADV_WILLNEED, MADV_REMOVE,
	};
	int what = advice[rnd(a, ARRAY_SIZE(advice))];
	unsigned long page, nr, bytes;
	uint32_t *model;

	if (what == MADV_REMOVE && !is_shared(s))
		return;
	range(a, s, &page, &nr);
	if (madvise(s->mem + page * P, nr * P, what)) {
		/* Not all advice is for all mappings and file systems. */
		if (what == MADV_DONTNEED)
			fail(a, "madvise");
		return;
	}
	model = s->model + page * blocks_per_page;
	bytes = nr * blocks_per_page * sizeof(*model);
	if (what == MADV_REMOVE || (what == MADV_DONTNEED && s->kind == ANON))
		memset(model, 0, bytes);
	else if (what == MADV_DONTNEED && s->kind == FILE_PRIVATE)
		memcpy(model, s->file + page * blocks_per_page, bytes);
}

/* Read-only for a while, and back, in pieces. */
static void protect(struct arena *a, struct slot *s)
{
	unsigned long page, nr;

	range(a, s, &page, &nr);
	if (mprotect(s->mem + page * P, nr * P,
		     rnd(a, 2) ? PROT_READ : PROT_NONE))
		fail(a, "mprotect");
	if (page)
		verify(a, s, 0, page * blocks_per_page, "beside mprotect");
	if (mprotect(s->mem, s->pages * P, PROT_READ | PROT_WRITE))
		fail(a, "mprotect");
}

static void move(struct arena *a, struct slot *s)
{
	unsigned long old = s->pages, new = 1 + rnd(a, SLOT_PAGES);
	uint32_t *model, *file;
	size_t keep;
	char *p;

	/* What a file does not have cannot be mapped; nor shared memory. */
	if (s->kind != ANON && new > old)
		new = old;
	p = mremap(s->mem, old * P, new * P, MREMAP_MAYMOVE);
	if (p != MAP_FAILED && rnd(a, 2)) {
		char *q = mmap(NULL, new * P, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (q == MAP_FAILED)
			fail(a, "mmap");
		p = mremap(p, new * P, new * P, MREMAP_MAYMOVE | MREMAP_FIXED,
			   q);
	}
	if (p == MAP_FAILED)
		fail(a, "mremap");
	model = calloc(new * blocks_per_page, sizeof(*model));
	file = calloc(new * blocks_per_page, sizeof(*file));
	if (!model || !file)
		fail(a, "calloc");
	keep = (new < old ? new : old) * blocks_per_page * sizeof(*model);
	memcpy(model, s->model, keep);
	memcpy(file, s->file, keep);
	free(s->model);
	free(s->file);
	s->model = model;
	s->file = file;
	s->mem = p;
	s->pages = new;
}

/* The end goes away; what is there after it comes back is zeroes. */
static void resize(struct arena *a, struct slot *s)
{
	unsigned long nr = s->pages * blocks_per_page, block = rnd(a, nr);
	unsigned long page = (block + blocks_per_page - 1) / blocks_per_page;
	size_t size = sizeof(*s->model);

	if (!is_file(s))
		return;
	if (ftruncate(s->fd, block * BLOCK) || ftruncate(s->fd, s->pages * P))
		fail(a, "ftruncate");
	memset(s->file + block, 0, (nr - block) * size);
	if (s->kind == FILE_SHARED)
		memset(s->model + block, 0, (nr - block) * size);
	else
		memset(s->model + page * blocks_per_page, 0,
		       (nr - page * blocks_per_page) * size);
	/* Of a private page at the end, either is right. */
	if (s->kind == FILE_PRIVATE && block < page * blocks_per_page) {
		if (madvise(s->mem, s->pages * P, MADV_DONTNEED))
			fail(a, "madvise");
		memcpy(s->model, s->file, nr * size);
	}
}

static void punch(struct arena *a, struct slot *s)
{
	unsigned long nr = s->pages * blocks_per_page, block = rnd(a, nr);
	unsigned long len = 1 + rnd(a, nr - block);

	if (s->kind != FILE_SHARED)
		return;
	if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      block * BLOCK, len * BLOCK)) {
		if (errno == EOPNOTSUPP)
			return;
		fail(a, "fallocate");
	}
	memset(s->model + block, 0, len * sizeof(*s->model));
}

/* Another program takes the place of all this; it has the same page. */
static void __noreturn exec_instead(void)
{
	char size[24];

	snprintf(size, sizeof(size), "%lu", P);
	execl("/proc/self/exe", "pages_stress", "--pages", size, NULL);
	_exit(excused(errno) ? 0 : 3);
}

/* That program: new memory is zeroes, and keeps what is written. */
static int executed(unsigned long size)
{
	char *p = map_anon(4 * P, 0);
	bool right = size == P && all_zero(p, 4 * P);

	fill(p, 4 * P, size);
	return right && filled(p, 4 * P, size) ? 0 : 4;
}

/* A child sees what there was at fork(), whatever both write then. */
static void fork_and_write(struct arena *a)
{
	int status, i;
	pid_t pid;

	pid = fork();
	if (pid < 0) {
		if (excused(errno))
			return;
		fail(a, "fork");
	}
	if (!pid) {
		for (i = 0; i < SLOTS; i++) {
			struct slot *s = &a->slots[i];

			if (!s->mem || is_shared(s))
				continue;
			verify_slot(a, s, "in a child");
			write_blocks(a, s);
			verify_slot(a, s, "in a child that wrote");
		}
		if (!rnd(a, 4))
			exec_instead();
		_exit(0);
	}
	for (i = 0; i < SLOTS; i++)
		if (a->slots[i].mem)
			write_blocks(a, &a->slots[i]);
	for (i = 0; i < SLOTS; i++)
		verify_slot(a, &a->slots[i], "beside a child");
	if (waitpid(pid, &status, 0) != pid)
		fail(a, "waitpid");
	if (status) {
		printf("status %#x of pid %d\n", status, pid);
		fail(a, "child");
	}
}

static bool over(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > end.tv_sec ||
	       (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec);
}

static void *run(void *arg)
{
	struct arena *a = arg;
	int i;

	while (!over()) {
		struct slot *s = &a->slots[rnd(a, SLOTS)];

		a->operations++;
		if (!s->mem) {
			map_slot(a, s);
			continue;
		}
		switch (rnd(a, 40)) {
		case 0 ... 11:
			write_blocks(a, s);
			break;
		case 12 ... 17:
			verify_slot(a, s, "any time");
			break;
		case 18 ... 22:
			advise(a, s);
			break;
		case 23 ... 25:
			protect(a, s);
			break;
		case 26 ... 28:
			move(a, s);
			break;
		case 29 ... 30:
			resize(a, s);
			break;
		case 31 ... 32:
			punch(a, s);
			break;
		case 33 ... 35:
			pwrite_block(a, s);
			break;
		case 36:
			fork_and_write(a);
			break;
		case 37:
			if (is_shared(s) && msync(s->mem, s->pages * P,
						  MS_SYNC))
				fail(a, "msync");
			break;
		default:
			verify_slot(a, s, "before munmap");
			drop_slot(a, s);
		}
	}
	for (i = 0; i < SLOTS; i++)
		verify_slot(a, &a->slots[i], "at the end");
	return NULL;
}

static void usage(const char *name)
{
	printf("Usage: %s [--seconds N] [--threads N] [--seed N]\n", name);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "threads", required_argument, NULL, 't' },
		{ "seed", required_argument, NULL, 'r' },
		{ "pages", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	unsigned long operations = 0;
	struct arena *arenas;
	unsigned int i;
	int c;

	P = page_size();
	blocks_per_page = P / BLOCK;
	seed = time(NULL) ^ (unsigned long)getpid() << 32;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seconds = atoi(optarg);
			break;
		case 't':
			threads = atoi(optarg);
			break;
		case 'r':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 'p':
			/* Of fork_and_write(). */
			return executed(strtoul(optarg, NULL, 0));
		default:
			usage(argv[0]);
			return c == 'h' ? 0 : 2;
		}
	}
	printf("pages of %lu bytes, %u threads, %u s, seed %lu\n", P, threads,
	       seconds, seed);
	fflush(stdout);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += seconds;
	arenas = calloc(threads, sizeof(*arenas));
	if (!arenas)
		return 2;
	for (i = 0; i < threads; i++) {
		arenas[i].number = i;
		arenas[i].random = (seed + i + 1) * 0x9e3779b97f4a7c15UL | 1;
		for (c = 0; c < SLOTS; c++)
			arenas[i].slots[c].fd = -1;
		if (pthread_create(&arenas[i].thread, NULL, run, &arenas[i]))
			return 2;
	}
	for (i = 0; i < threads; i++) {
		pthread_join(arenas[i].thread, NULL);
		operations += arenas[i].operations;
	}
	printf("%lu operations, no mismatch\n", operations);
	return 0;
}
