// SPDX-License-Identifier: GPL-2.0
/*
 * The vDSO of a process: its data and text, the clocks, time namespaces and
 * getrandom, whose states lie anywhere within a process page.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../vDSO/parse_vdso.h"
#include "pagesize_fixture.h"
#include "pagesize_system.h"

#define VERSION		"LINUX_2.6.39"
#define NSEC		1000000000LL
#define OFFSET_SEC	1000000

struct vgetrandom_params {
	uint32_t size_of_opaque_state;
	uint32_t mmap_prot;
	uint32_t mmap_flags;
	uint32_t reserved[13];
};

typedef ssize_t (*vgetrandom_t)(void *buf, size_t len, unsigned int flags,
				void *state, size_t state_len);
typedef int (*vgettime_t)(clockid_t clock, struct timespec *ts);

static void *vdso_function(const char *name)
{
	unsigned long base = getauxval(AT_SYSINFO_EHDR);

	if (!base)
		child_skip("no vDSO");
	vdso_init_from_sysinfo_ehdr(base);
	return vdso_sym(VERSION, name);
}

static bool random_at(vgetrandom_t vgetrandom, char *state, size_t len)
{
	unsigned char buf[64] = { };
	unsigned int i, zeros = 0;
	ssize_t ret;

	ret = vgetrandom(buf, sizeof(buf), 0, state, len);
	for (i = 0; i < sizeof(buf); i++)
		zeros += !buf[i];
	if (ret != sizeof(buf))
		printf("# state at +%#lx: %zd\n",
		       (unsigned long)state % page_size(), ret);
	return ret == sizeof(buf) && zeros < sizeof(buf) / 2;
}

static void child_getrandom(int argc, char **argv)
{
	vgetrandom_t vgetrandom = vdso_function("__kernel_getrandom");
	struct vgetrandom_params params = { };
	unsigned long P = page_size(), off;
	unsigned char buf[16];
	size_t size;
	char *states;

	if (!vgetrandom)
		child_skip("no getrandom in the vDSO");
	CHECK(!vgetrandom(NULL, 0, 0, &params, ~0UL));
	size = params.size_of_opaque_state;
	CHECK(size >= 16 && size <= 4096);
	states = mmap(NULL, 2 * P, params.mmap_prot, params.mmap_flags, -1, 0);
	if (!CHECK(states != MAP_FAILED))
		return;
	/* As a C library packs them: one after another within each page. */
	for (off = 0; off + size <= P; off += size)
		if (!CHECK(random_at(vgetrandom, states + off, size)))
			break;
	/* Across each 4K line but the last, at several distances. */
	for (off = SZ_4K; off < P; off += SZ_4K) {
		if (!CHECK(random_at(vgetrandom, states + off - 16, size)))
			break;
		if (!CHECK(random_at(vgetrandom, states + off - size / 2, size)))
			break;
	}
	/*
	 * Nor is one used of which the kernel could zero a part: the system
	 * call answers, and leaves it alone.
	 */
	off = kernel_page_size();
	if (off < P) {
		char *state = states + off - size / 2;

		memset(states, 0, P);
		CHECK(random_at(vgetrandom, state, size));
		for (off = 0; off < size; off++)
			if (!CHECK(!state[off]))
				break;
	}
	/*
	 * A state in two pages may vanish in part, and is refused. The vDSO of
	 * 64K pages may serve 16K ones too: test at a 64K line.
	 */
	states = mmap(NULL, 4 * SZ_64K, params.mmap_prot, params.mmap_flags, -1,
		      0);
	if (!CHECK(states != MAP_FAILED))
		return;
	states += 2 * SZ_64K - (unsigned long)states % SZ_64K;
	CHECK(vgetrandom(buf, sizeof(buf), 0, states - 16, size) == -EFAULT);
}

static long long nsec(const struct timespec *ts)
{
	return ts->tv_sec * NSEC + ts->tv_nsec;
}

/* The vDSO's answer lies between two of the kernel. */
static bool clock_agrees(vgettime_t vgettime, clockid_t clock)
{
	struct timespec before, now, after;

	if (syscall(__NR_clock_gettime, clock, &before) ||
	    vgettime(clock, &now) ||
	    syscall(__NR_clock_gettime, clock, &after))
		return false;
	if (nsec(&before) <= nsec(&now) && nsec(&now) <= nsec(&after))
		return true;
	printf("# clock %d: %lld %lld %lld\n", clock, nsec(&before), nsec(&now),
	       nsec(&after));
	return false;
}

static void check_clocks(vgettime_t vgettime)
{
	static const clockid_t clocks[] = {
		CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW,
		CLOCK_BOOTTIME, CLOCK_TAI, CLOCK_REALTIME_COARSE,
		CLOCK_MONOTONIC_COARSE,
	};
	struct timespec last, now;
	size_t i;
	int n;

	for (i = 0; i < ARRAY_SIZE(clocks); i++)
		for (n = 0; n < 20; n++)
			if (!CHECK(clock_agrees(vgettime, clocks[i])))
				break;
	CHECK(!vgettime(CLOCK_MONOTONIC, &last));
	for (n = 0; n < 1000; n++) {
		CHECK(!vgettime(CLOCK_MONOTONIC, &now));
		if (!CHECK(nsec(&now) >= nsec(&last)))
			break;
		last = now;
	}
}

static void child_clocks(int argc, char **argv)
{
	vgettime_t vgettime = vdso_function("__kernel_clock_gettime");
	vgettime_t vgetres;
	struct timespec ours, theirs;

	if (!CHECK(vgettime))
		return;
	check_clocks(vgettime);
	vgetres = vdso_function("__kernel_clock_getres");
	if (!CHECK(vgetres))
		return;
	CHECK(!vgetres(CLOCK_MONOTONIC, &ours));
	CHECK(!syscall(__NR_clock_getres, CLOCK_MONOTONIC, &theirs));
	CHECK(nsec(&ours) == nsec(&theirs));
}

/* All of the vDSO's data and text can be read. */
static void child_read(int argc, char **argv)
{
	static const char *const names[] = { "[vdso]", "[vvar]" };
	unsigned long sum = 0, addr;
	int pipe_fd[2];
	struct mapping m;
	size_t i;

	CHECK(!pipe(pipe_fd));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (!CHECK(mapping_named(names[i], &m)))
			continue;
		CHECK(m.start % page_size() == 0);
		CHECK(m.end % page_size() == 0);
		/*
		 * The text is whole. Not every page of the data is there for
		 * each process, so ask instead of touching it.
		 */
		for (addr = m.start; addr < m.end; addr += SZ_4K) {
			ssize_t n = write(pipe_fd[1], (void *)addr, 8);

			if (n == 8)
				CHECK(read(pipe_fd[0], &sum, 8) == 8);
			else
				CHECK(i && errno == EFAULT);
		}
	}
}

static bool set_offsets(void)
{
	char text[64];
	int fd, len;
	bool ok;

	fd = open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = snprintf(text, sizeof(text), "monotonic %d 0\nboottime %d 0\n",
		       OFFSET_SEC, OFFSET_SEC);
	ok = write(fd, text, len) == len;
	close(fd);
	return ok;
}

static void in_namespace(vgettime_t vgettime)
{
	struct timespec ts;

	check_clocks(vgettime);
	CHECK(!vgettime(CLOCK_MONOTONIC, &ts));
	CHECK(ts.tv_sec >= OFFSET_SEC);
	CHECK(!vgettime(CLOCK_BOOTTIME, &ts));
	CHECK(ts.tv_sec >= OFFSET_SEC);
	CHECK(!vgettime(CLOCK_MONOTONIC_COARSE, &ts));
	CHECK(ts.tv_sec >= OFFSET_SEC);
}

/* There is no block for the time of the namespace: its page and others do. */
static void in_namespace_without_block(vgettime_t vgettime)
{
	const bool larger = page_size() > kernel_page_size();
	struct timespec ts;

	/* Where the hardware has such pages, its table is there before. */
	CHECK(!memcmp((void *)getauxval(AT_SYSINFO_EHDR), "\177ELF", 4));
	fail_here(true);
	CHECK(!vgettime(CLOCK_MONOTONIC, &ts));
	fail_here(false);
	CHECK(ts.tv_sec >= OFFSET_SEC);
	CHECK(demoted() == larger);
	in_namespace(vgettime);
}

static void child_timens_inside(int argc, char **argv)
{
	vgettime_t vgettime = vdso_function("__kernel_clock_gettime");

	if (argc > 1)
		in_namespace_without_block(vgettime);
	else
		in_namespace(vgettime);
}

/* A new namespace, with another time, and where we are; for setns(). */
static bool new_namespace(int *home, int *away)
{
	if (unshare(CLONE_NEWTIME))
		child_skip("no time namespaces, or not allowed to make one");
	*home = open("/proc/self/ns/time", O_RDONLY | O_CLOEXEC);
	*away = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
	return CHECK(*home >= 0 && *away >= 0) && CHECK(set_offsets());
}

static void at_home(vgettime_t vgettime)
{
	struct timespec ts;

	check_clocks(vgettime);
	CHECK(!vgettime(CLOCK_MONOTONIC, &ts));
	CHECK(ts.tv_sec < OFFSET_SEC);
}

static void child_timens(int argc, char **argv)
{
	vgettime_t vgettime = vdso_function("__kernel_clock_gettime");
	int status, home, away;
	pid_t pid;

	if (!CHECK(vgettime) || !new_namespace(&home, &away))
		return;
	at_home(vgettime);

	/* A child is in it, and so is what it executes. */
	pid = fork();
	if (!pid) {
		in_namespace(vgettime);
		if (child_failures())
			_exit(1);
		execl("/proc/self/exe", "timens", "--child", "timens-inside",
		      NULL);
		_exit(99);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);

	/* There and back while the data is mapped. */
	CHECK(!setns(away, CLONE_NEWTIME));
	in_namespace(vgettime);
	CHECK(!setns(home, CLONE_NEWTIME));
	at_home(vgettime);
	CHECK(!demoted());
}

/* The same without contiguous memory at first. */
static void child_timens_pieces(int argc, char **argv)
{
	vgettime_t vgettime = vdso_function("__kernel_clock_gettime");
	int status, home, away;
	pid_t pid;

	if (!CHECK(vgettime) || !new_namespace(&home, &away))
		return;
	pid = fork();
	if (!pid) {
		in_namespace_without_block(vgettime);
		if (child_failures())
			_exit(1);
		execl("/proc/self/exe", "timens", "--child", "timens-inside",
		      "without", NULL);
		_exit(99);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	at_home(vgettime);
	CHECK(!demoted());
	CHECK(!setns(away, CLONE_NEWTIME));
	in_namespace_without_block(vgettime);
	CHECK(!setns(home, CLONE_NEWTIME));
	at_home(vgettime);
	/* With memory in blocks again, it is made. */
	CHECK(!setns(away, CLONE_NEWTIME));
	in_namespace(vgettime);
	CHECK(!setns(home, CLONE_NEWTIME));
	at_home(vgettime);
}

static int got_signal;

static void on_signal(int sig)
{
	__atomic_store_n(&got_signal, sig, __ATOMIC_RELAXED);
}

/* Without SA_RESTORER the vDSO returns from the handler. */
static void child_signal(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };

	CHECK(!sigaction(SIGUSR1, &action, NULL));
	CHECK(!raise(SIGUSR1));
	CHECK(__atomic_load_n(&got_signal, __ATOMIC_RELAXED) == SIGUSR1);
}

/* The mapping may be moved as a whole, and clocks go on working. */
static void child_move(int argc, char **argv)
{
	struct mapping vvar, vdso;
	unsigned long len, offset;
	vgettime_t vgettime = vdso_function("__kernel_clock_gettime");
	char *to;

	if (!CHECK(vgettime) || !CHECK(mapping_named("[vvar]", &vvar)) ||
	    !CHECK(mapping_named("[vdso]", &vdso)))
		return;
	len = vdso.end - vvar.start;
	to = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(to != MAP_FAILED);
	offset = vdso.start - vvar.start;
	/* Data first, in as many mappings as it has. */
	while (vvar.start < vdso.start) {
		unsigned long size = vvar.end - vvar.start;
		char *dest = to + offset - (vdso.start - vvar.start);

		errno = 0;
		if (mremap((void *)vvar.start, size, size,
			   MREMAP_MAYMOVE | MREMAP_FIXED, dest) != dest) {
			if (errno == EPERM)
				child_skip("system mappings are sealed");
			CHECK(!"moved");
			return;
		}
		if (!mapping_at((void *)vvar.end, &vvar))
			break;
	}
	CHECK(mremap((void *)vdso.start, vdso.end - vdso.start,
		     vdso.end - vdso.start, MREMAP_MAYMOVE | MREMAP_FIXED,
		     to + offset) == to + offset);
	vgettime = (vgettime_t)((char *)vgettime - vdso.start + (unsigned long)to +
				offset);
	check_clocks(vgettime);
}

static const struct child children[] = {
	{ "getrandom", child_getrandom },
	{ "clocks", child_clocks },
	{ "read", child_read },
	{ "timens", child_timens },
	{ "timens-inside", child_timens_inside },
	{ "timens-pieces", child_timens_pieces },
	{ "signal", child_signal },
	{ "move", child_move },
	{ }
};

TEST_F(pages, getrandom)
{
	EXPECT_CHILD("getrandom");
}

TEST_F(pages, clocks)
{
	EXPECT_CHILD("clocks");
}

TEST_F(pages, read)
{
	EXPECT_CHILD("read");
}

TEST_F(pages, time_namespace)
{
	EXPECT_CHILD("timens");
}

TEST_F(pages, time_namespace_no_block)
{
	/* Of the data of a vDSO for larger pages, whichever they are. */
	if (!fail_setup(SZ_64K, 100))
		SKIP(return, "no " FAIL_PAGE_ALLOC);
	EXPECT_CHILD("timens-pieces");
}

TEST_F(pages, signal)
{
	EXPECT_CHILD("signal");
}

TEST_F(pages, move)
{
	EXPECT_CHILD("move");
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
