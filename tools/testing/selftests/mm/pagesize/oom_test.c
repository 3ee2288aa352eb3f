// SPDX-License-Identifier: GPL-2.0
/*
 * No memory left in the whole machine: who takes all of it is killed, soon, and
 * nobody else. No blocks of memory left: nobody is killed. For a machine that
 * may lose processes, with no more than a gigabyte; without swap.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"
#include "pagesize_system.h"
#include "uring.h"

#define SECONDS		20

static void child_neighbour(int argc, char **argv)
{
	unsigned long len = 16 * SZ_1M;
	char *p = map_anon(len, MAP_PRIVATE), c;

	fill(p, len, 9);
	/* Until the tester closes the pipe. */
	CHECK(read(atoi(argv[2]), &c, 1) == 0);
	CHECK(filled(p, len, 9));
}

static void child_hog(int argc, char **argv)
{
	unsigned long len = strtoul(argv[2], NULL, 10);
	char *p = map_anon(len, MAP_PRIVATE | MAP_NORESERVE);

	if (!CHECK(p != MAP_FAILED))
		return;
	/* Tell that the time runs from here. */
	CHECK(write(STDOUT_FILENO, "x", 1) == 1);
	alarm(4 * SECONDS);
	fill(p, len, 1);
	CHECK(!"killed before this");
}

static unsigned long free_memory(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? 0 : info.freeram * info.mem_unit;
}

/* Free memory that is in blocks of @size bytes or more. */
static unsigned long free_blocks(unsigned long size)
{
	static unsigned long K;
	unsigned long total = 0, n, block;
	FILE *f = fopen("/proc/buddyinfo", "re");

	/* That is a program to execute. */
	if (!K)
		K = kernel_page_size();
	while (f && fscanf(f, "Node %*d, zone %*s") != EOF)
		for (block = K; fscanf(f, "%lu", &n) == 1;
		     block *= 2)
			if (block >= size)
				total += n * block;
	if (f)
		fclose(f);
	return total;
}

#define RINGS		4
#define BUFFERS		16384	/* that a ring of io_uring may have */

/* In each block of memory, one page stays where it is, and ours. */
struct pins {
	struct uring rings[RINGS];
	struct iovec iov[BUFFERS];
	unsigned int nr, ring;
};

static bool pin_all(struct pins *pins)
{
	if (!pins->nr)
		return true;
	if (pins->ring == RINGS)
		return false;
	if (!uring_open(&pins->rings[pins->ring]))
		child_skip("no io_uring");
	if (!CHECK(!uring_fix(&pins->rings[pins->ring], pins->iov, pins->nr)))
		return false;
	pins->ring++;
	pins->nr = 0;
	return true;
}

/* All but those pages, from number @i on, until so much memory is free. */
static unsigned long give_back(char *p, const bool *pinned, unsigned long i,
			       unsigned long n, unsigned long enough)
{
	const unsigned long K = page_size();

	for (; i < n && (i % 256 || free_memory() < enough); i++)
		if (!pinned[i])
			CHECK(!madvise(p + i * K, K, MADV_DONTNEED));
	return i;
}

/*
 * Take all memory, and give back what a program may need, but not in blocks.
 * argv: the size of a block, of each of which a page stays; all memory.
 */
static void child_fragmenter(int argc, char **argv)
{
	unsigned long block = strtoul(argv[1], NULL, 10), K = page_size();
	unsigned long i, j, total = strtoul(argv[2], NULL, 10), n = total / K, end;
	char *p, c;
	uint64_t *places = calloc(n, sizeof(*places));
	bool *seen = calloc(1, 2 * n), *pinned = calloc(1, n);
	struct pins *pins = calloc(1, sizeof(*pins));
	uint64_t first = ~UINT64_C(0);
	int fd;

	/* It shall not have to be read again all the time. */
	CHECK(!mlockall(MCL_CURRENT));
	p = map_anon(total, MAP_PRIVATE | MAP_NORESERVE);
	if (!CHECK(p != MAP_FAILED && places && seen && pinned && pins))
		return;
	CHECK(!madvise(p, total, MADV_NOHUGEPAGE));
	/* All but what the kernel keeps free; what is small is taken first. */
	for (end = 0; end < total / SZ_1M * SZ_1M; end += SZ_1M) {
		if (free_blocks(block) < total / 50 ||
		    free_memory() < total / 12)
			break;
		fill(p + end, SZ_1M, end);
	}
	n = end / K;
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	CHECK(pread(fd, places, n * sizeof(*places),
		    (uintptr_t)p / K * sizeof(*places)) ==
	      (ssize_t)(n * sizeof(*places)));
	close(fd);
	for (i = 0; i < n; i++) {
		places[i] &= (UINT64_C(1) << 55) - 1;
		if (places[i] && places[i] < first)
			first = places[i];
	}
	first -= first % (block / K);
	for (i = 0; i < n; i++) {
		const uint64_t nr = (places[i] - first) / (block / K);

		if (!places[i] || nr >= 2 * n || seen[nr])
			continue;
		seen[nr] = true;
		pinned[i] = true;
	}
	/* To pin takes memory, too. */
	i = give_back(p, pinned, 0, n, total * 3 / 20);
	for (j = 0; j < n; j++) {
		if (!pinned[j])
			continue;
		pins->iov[pins->nr++] = (struct iovec){ p + j * K, K };
		if (pins->nr == BUFFERS && !CHECK(pin_all(pins)))
			return;
	}
	if (!CHECK(pin_all(pins)))
		return;
	give_back(p, pinned, i, n, total * 3 / 10);
	CHECK(write(STDOUT_FILENO, "x", 1) == 1);
	CHECK(read(STDIN_FILENO, &c, 1) == 0);
}

/* argv: how much memory is to be filled, in which there are no blocks. */
static void child_in_pieces(int argc, char **argv)
{
	unsigned long pieces = vm_events("process_page_pieces");
	unsigned long len = strtoul(argv[2], NULL, 10);
	char *p = map_anon(len, MAP_PRIVATE);
	struct timespec start, end;

	alarm(4 * SECONDS);
	clock_gettime(CLOCK_MONOTONIC, &start);
	fill(p, len, 1);
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK(end.tv_sec - start.tv_sec < SECONDS);
	CHECK(filled(p, len, 1));
	if (page_size() == kernel_page_size())
		return;
	pieces = vm_events("process_page_pieces") - pieces;
	printf("# %lu of %lu in pieces, after %ld s\n", pieces,
	       len / page_size(), end.tv_sec - start.tv_sec);
	CHECK(pieces > 0);
	CHECK(demoted_for("memory"));
}

TEST_F_TIMEOUT(pages, no_blocks, 180)
{
	const char *fragmenter[] = { "fragmenter", NULL, NULL, NULL };
	unsigned long kills = vm_events("oom_kill"), total;
	char block[24], all[24], len[24], c;
	int in[2], out, ret = KSFT_SKIP;
	struct sysinfo info;
	pid_t pid;

	ASSERT_EQ(0, sysinfo(&info));
	total = info.totalram * info.mem_unit;
	if (total > 1024 * SZ_1M || info.totalswap)
		SKIP(return, "more than a gigabyte of memory, or swap");
	if (geteuid())
		SKIP(return, "not root");
	snprintf(block, sizeof(block), "%lu",
		 self->size > kernel_page_size() ? self->size :
						   16 * kernel_page_size());
	snprintf(all, sizeof(all), "%lu", total);
	snprintf(len, sizeof(len), "%lu", total * 3 / 20 / SZ_64K * SZ_64K);
	fragmenter[1] = block;
	fragmenter[2] = all;
	drop_page_cache();
	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(STDIN_FILENO, dup2(in[0], STDIN_FILENO));
	close(in[0]);
	fcntl(in[1], F_SETFD, FD_CLOEXEC);
	pid = start_child(DEFAULT_SIZE, fragmenter, &out);
	ASSERT_LT(0, pid);
	if (read(out, &c, 1) != 1 || c != 'x') {
		ret = finish_child(pid);
		if (ret == KSFT_SKIP)
			SKIP(return, "no io_uring");
		ASSERT_EQ(0, ret);
	}
	TH_LOG("%lu of %lu kB are free, %lu in blocks", free_memory() / 1024,
	       total / 1024, free_blocks(strtoul(block, NULL, 10)) / 1024);
	/* Not enough for all of it. */
	if (free_blocks(strtoul(block, NULL, 10)) < total / 10)
		ret = run_child(variant->shift, "in-pieces", self->text, len,
				NULL);
	EXPECT_EQ(kills, vm_events("oom_kill"));
	close(in[1]);
	EXPECT_EQ(0, finish_child(pid));
	close(out);
	if (ret == KSFT_SKIP)
		SKIP(return, "there are still blocks");
	EXPECT_EQ(0, ret);
}

TEST_F_TIMEOUT(pages, victim, 180)
{
	const char *other[4] = { "neighbour", self->text };
	const char *hog[4] = { "hog", self->text };
	struct timespec start, end;
	pid_t neighbours[2], victim;
	int status, pipefd[2], out, i;
	char fd[16], len[24], c;
	struct sysinfo info;

	ASSERT_EQ(0, sysinfo(&info));
	if (info.totalram * info.mem_unit > 1024 * SZ_1M || info.totalswap)
		SKIP(return, "more than a gigabyte of memory, or swap");
	if (geteuid())
		SKIP(return, "not root");
	ASSERT_EQ(0, pipe2(pipefd, 0));
	snprintf(fd, sizeof(fd), "%d", pipefd[0]);
	snprintf(len, sizeof(len), "%lu", 2 * info.totalram * info.mem_unit);
	fcntl(pipefd[1], F_SETFD, FD_CLOEXEC);
	other[2] = fd;
	hog[2] = len;
	neighbours[0] = start_child(variant->shift, other, NULL);
	neighbours[1] = start_child(DEFAULT_SIZE, other, NULL);
	close(pipefd[0]);

	victim = start_child(variant->shift, hog, &out);
	ASSERT_LT(0, victim);
	ASSERT_EQ(1, read(out, &c, 1));
	clock_gettime(CLOCK_MONOTONIC, &start);
	ASSERT_EQ(victim, waitpid(victim, &status, 0));
	clock_gettime(CLOCK_MONOTONIC, &end);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		TH_LOG("status %#x", status);
	EXPECT_LE(end.tv_sec - start.tv_sec, SECONDS);

	close(pipefd[1]);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, finish_child(neighbours[i]));
	close(out);
}

static const struct child children[] = {
	{ "fragmenter", child_fragmenter },
	{ "in-pieces", child_in_pieces },
	{ "neighbour", child_neighbour },
	{ "hog", child_hog },
	{ }
};

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
