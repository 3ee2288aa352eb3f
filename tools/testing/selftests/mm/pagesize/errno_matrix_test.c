// SPDX-License-Identifier: GPL-2.0
/*
 * Run errno_matrix with each page size. What a row must say only a kernel with
 * that page size can tell; here, no call may leave a mapping that is not whole
 * process pages, and asking for the kernel's size must change nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "pagesize_fixture.h"

#define PROGRAM		"./errno_matrix"

static const struct child children[] = { { } };

static int run_matrix(unsigned int shift, int out)
{
	static char *const argv[] = { PROGRAM, NULL };
	int old = dup(STDOUT_FILENO), ret;

	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	ret = run_program(shift, PROGRAM, argv);
	dup2(old, STDOUT_FILENO);
	close(old);
	return ret;
}

/* The program fails when it finds a mapping that is not whole pages. */
TEST_F_TIMEOUT(pages, rows, 600)
{
	bool native = self->size == kernel_page_size();
	struct stat st[2];
	void *rows[2];
	int fd[2], i;

	ASSERT_EQ(0, go_home());
	for (i = 0; i < (native && variant->shift ? 2 : 1); i++) {
		fd[i] = memfd_create("rows", MFD_CLOEXEC);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, run_matrix(i ? DEFAULT_SIZE : variant->shift,
					fd[i]));
		ASSERT_EQ(0, fstat(fd[i], &st[i]));
		EXPECT_LT(100000, st[i].st_size);
		rows[i] = mmap(NULL, st[i].st_size, PROT_READ, MAP_SHARED,
			       fd[i], 0);
		ASSERT_NE(MAP_FAILED, rows[i]);
	}
	if (i < 2)
		return;
	ASSERT_EQ(st[0].st_size, st[1].st_size);
	EXPECT_EQ(0, memcmp(rows[0], rows[1], st[0].st_size));
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
