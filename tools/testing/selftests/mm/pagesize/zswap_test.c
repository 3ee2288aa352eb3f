// SPDX-License-Identifier: GPL-2.0
/*
 * Swap with zswap in front of it. Process pages go there whole and come back in
 * kernel pages, as all memory does on any kernel: their mm is demoted, and the
 * data are right. For a machine of its own, as the kernel does no longer swap in
 * larger folios once zswap was on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/swap.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"
#include "pagesize_system.h"

#define ENABLED		"/sys/module/zswap/parameters/enabled"
#define LEN		(8 * SZ_1M)

static bool large(void)
{
	return page_size() != kernel_page_size();
}

/* Out with all of it, then look at it. */
static void out_and_back(char *p, unsigned long seed)
{
	unsigned long out = vm_events("zswpout"), in = vm_events("zswpin");
	int i;

	for (i = 0; i < 20 && smaps_kb(p, "Swap") < (long)(LEN / 1024); i++)
		madvise(p, LEN, MADV_PAGEOUT);
	if (!CHECK(smaps_kb(p, "Swap") == LEN / 1024))
		printf("# %ld kB\n", smaps_kb(p, "Swap"));
	CHECK(vm_events("zswpout") - out >= LEN / kernel_page_size());
	CHECK(filled(p, LEN, seed));
	CHECK(vm_events("zswpin") - in >= LEN / kernel_page_size());
	CHECK(smaps_kb(p, "Swap") == 0);
	CHECK(smaps_kb(p, "Rss") == LEN / 1024);
}

static void child_back(int argc, char **argv)
{
	unsigned long P = page_size(), off;
	char *p = map_anon(LEN, 0), *shared = map_anon(LEN, MAP_SHARED);
	int status;
	pid_t pid;

	CHECK(stay_here());
	alarm(100);
	/* One kind of memory is not merged with its neighbour. */
	CHECK(!madvise(p, LEN, MADV_NOHUGEPAGE));
	fill(p, LEN, 1);
	CHECK(!demoted());
	out_and_back(p, 1);
	CHECK(demoted_for("swap") == large());
	/* In pieces, and out again; by one byte of each. */
	out_and_back(p, 1);
	for (off = 0; off < LEN; off += P)
		p[off + P / 2 + 8] = 1;
	madvise(p, LEN, MADV_PAGEOUT);
	pid = fork();
	if (!pid) {
		bool right = filled(p, LEN, 1);

		for (off = 0; off < LEN; off += 2 * P)
			fill(p + off, P, 7);
		for (off = 0; off < LEN; off += 2 * P)
			right &= filled(p + off, P, 7) &&
				 filled(p + off + P, P, 1 + off + P);
		_exit(!right);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(filled(p, LEN, 1));
	/* New memory is whole. */
	CHECK(!madvise(p, LEN, MADV_DONTNEED));
	CHECK(all_zero(p, LEN));
	fill(p, LEN, 2);
	CHECK(filled(p, LEN, 2));

	fill(shared, LEN, 3);
	for (off = 0; off < 3; off++) {
		madvise(shared, LEN, MADV_PAGEOUT);
		CHECK(filled(shared, LEN, 3 + off));
		madvise(shared, LEN, MADV_PAGEOUT);
		fill(shared, LEN, 4 + off);
		CHECK(filled(shared, LEN, 4 + off));
	}
}

/* What a segment of SysV has behind its size comes back in pieces, too. */
static void child_segment(int argc, char **argv)
{
	unsigned long len;
	char *p = odd_segment(&len);
	int i, round;

	if (!CHECK(p))
		return;
	CHECK(stay_here());
	alarm(100);
	for (round = 0; round < 3; round++) {
		fill(p, len, round);
		for (i = 0; i < 20 && smaps_kb(p, "Rss"); i++)
			madvise(p, len, MADV_PAGEOUT);
		CHECK(smaps_kb(p, "Swap") == (long)len / 1024);
		/* From the end on. */
		CHECK(filled(p + len - 512, 512, round + len - 512));
		CHECK(filled(p, len, round));
	}
}

/* Twice as much memory as may be used. */
static void child_limited(int argc, char **argv)
{
	unsigned long P = page_size(), i, round;
	char *p = map_anon(LEN, 0);
	bool right = true;

	alarm(100);
	enter(argv[2]);
	fill(p, LEN, 1);
	for (round = 0; round < 3; round++) {
		CHECK(filled(p, LEN, 1));
		/* From page to page, some of each. */
		for (i = 0; i < LEN / P; i++) {
			char *q = p + i * 37 % (LEN / P) * P;

			right &= *(unsigned long *)(q + P / 2) ==
				 1 + (unsigned long)(q + P / 2 - p);
			q[P - 8]++;
		}
	}
	for (i = 0; i < LEN / P; i++)
		right &= p[i * P + P - 8] == 3;
	CHECK(right);
}

static const struct child children[] = {
	{ "back", child_back },
	{ "segment", child_segment },
	{ "limited", child_limited },
	{ }
};

static int zswap_child(unsigned int shift, const char *name, const char *text,
		       unsigned long max)
{
	const unsigned long size = 64 * SZ_1M;
	char *cgroup;
	int ret = KSFT_SKIP;

	if (!zram_make(size))
		return ret;
	if (put(ENABLED, "Y") && swap_to("/dev/zram0", size)) {
		cgroup = new_cgroup(max, true);
		if (cgroup) {
			ret = run_child(shift, name, text, cgroup, NULL);
			rmdir(cgroup);
		}
		swapoff("/dev/zram0");
	}
	zram_drop();
	return ret;
}

TEST_F_TIMEOUT(pages, back, 120)
{
	int ret = zswap_child(variant->shift, "back", self->text, 64 * SZ_1M);

	if (ret == KSFT_SKIP)
		SKIP(return, "no zswap, or no /dev/zram0 to swap to");
	EXPECT_EQ(0, ret);
}

TEST_F_TIMEOUT(pages, segment, 120)
{
	int ret = zswap_child(variant->shift, "segment", self->text,
			      64 * SZ_1M);

	if (ret == KSFT_SKIP)
		SKIP(return, "no zswap, or no /dev/zram0 to swap to");
	EXPECT_EQ(0, ret);
}

TEST_F_TIMEOUT(pages, limited, 120)
{
	int ret = zswap_child(variant->shift, "limited", self->text,
			      4 * SZ_1M);

	if (ret == KSFT_SKIP)
		SKIP(return, "no zswap, or no /dev/zram0 to swap to");
	EXPECT_EQ(0, ret);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
