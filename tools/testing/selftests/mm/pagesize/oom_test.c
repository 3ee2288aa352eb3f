// SPDX-License-Identifier: GPL-2.0
/*
 * No memory left in the whole machine: who takes all of it is killed, soon, and
 * nobody else. For a machine that may lose processes, with no more than a
 * gigabyte; without swap.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"

#define SZ_1M		0x100000UL
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
