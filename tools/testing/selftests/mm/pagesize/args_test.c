// SPDX-License-Identifier: GPL-2.0
/*
 * The limits of argument strings: 32 process pages for one string, a quarter of
 * the stack limit for all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"

/* Verify what arrived: argv is NAME, the count of strings, the strings. */
static void child_strings(int argc, char **argv)
{
	int nr = atoi(argv[1]), i;
	size_t j, len;

	CHECK(argc == nr + 2);
	for (i = 2; i < argc; i++) {
		len = strlen(argv[i]);
		for (j = 0; j < len; j += 61)
			if (argv[i][j] != 'a' + i % 26)
				break;
		CHECK(j >= len);
	}
}

static const struct child children[] = {
	{ "strings", child_strings },
	{ }
};

#define POOL	(8UL << 20)
#define MAX_NR	512

/* Execute with @nr strings of @len bytes, each with its NUL. */
static int exec_strings(unsigned int shift, char *pool, int nr, size_t len)
{
	char *argv[MAX_NR + 5], count[16];
	int i;

	snprintf(count, sizeof(count), "%d", nr);
	argv[0] = "strings";
	argv[1] = "--child";
	argv[2] = "strings";
	argv[3] = count;
	for (i = 0; i < nr; i++) {
		argv[i + 4] = pool + i * len;
		memset(argv[i + 4], 'a' + (i + 2) % 26, len - 1);
		argv[i + 4][len - 1] = 0;
	}
	argv[nr + 4] = NULL;
	return run_program(shift, "/proc/self/exe", argv);
}

static char *make_pool(void)
{
	return mmap(NULL, POOL, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int set_stack(unsigned long bytes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_STACK, &limit))
		return -1;
	limit.rlim_cur = bytes;
	return setrlimit(RLIMIT_STACK, &limit);
}

TEST_F(pages, one_string)
{
	unsigned long max = 32 * self->size;
	char *pool = make_pool();

	ASSERT_NE(MAP_FAILED, pool);
	ASSERT_EQ(0, set_stack(64UL << 20));
	EXPECT_EQ(0, exec_strings(variant->shift, pool, 1, max - 1));
	EXPECT_EQ(0, exec_strings(variant->shift, pool, 1, max));
	EXPECT_EQ(-E2BIG, exec_strings(variant->shift, pool, 1, max + 1));
	EXPECT_EQ(0, exec_strings(variant->shift, pool, 2, max));
}

/* What all strings may take does not depend on the page size. */
TEST_F(pages, all_strings)
{
	static const unsigned long stacks[] = { 512UL << 10, 2UL << 20 };
	const size_t len = 16384;
	unsigned long limit, nr;
	size_t i;
	char *pool = make_pool();

	ASSERT_NE(MAP_FAILED, pool);
	ASSERT_EQ(0, clearenv());
	for (i = 0; i < ARRAY_SIZE(stacks); i++) {
		ASSERT_EQ(0, set_stack(stacks[i]));
		limit = stacks[i] / 4;
		if (limit < 128 << 10)
			limit = 128 << 10;
		nr = limit / len;
		/* Pointers and the other strings count too. */
		EXPECT_EQ(-E2BIG, exec_strings(variant->shift, pool, nr, len));
		EXPECT_EQ(0, exec_strings(variant->shift, pool, nr - 1, len));
	}
	/* Three quarters of 8M is the most. */
	ASSERT_EQ(0, set_stack(64UL << 20));
	nr = (6UL << 20) / len;
	EXPECT_EQ(-E2BIG, exec_strings(variant->shift, pool, nr, len));
	EXPECT_EQ(0, exec_strings(variant->shift, pool, nr - 1, len));
}

/* To the byte: the largest second string, found by halving. */
static long largest(unsigned int shift, char *pool)
{
	long good = 1, bad = 128 << 10;

	while (bad - good > 1) {
		long len = (good + bad) / 2;
		int ret = exec_strings(shift, pool, 1, len);

		if (ret == 0)
			good = len;
		else if (ret == -E2BIG)
			bad = len;
		else
			return ret;
	}
	return good;
}

TEST_F(pages, to_the_byte)
{
	char *pool;
	long len;

	if (!variant->shift || !have_feature())
		SKIP(return, "nothing to compare");
	pool = make_pool();
	ASSERT_NE(MAP_FAILED, pool);
	ASSERT_EQ(0, clearenv());
	ASSERT_EQ(0, set_stack(512UL << 10));
	len = largest(DEFAULT_SIZE, pool);
	EXPECT_LT(120 << 10, len);
	EXPECT_EQ(len, largest(variant->shift, pool));
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
