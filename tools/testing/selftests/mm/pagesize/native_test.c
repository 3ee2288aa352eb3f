// SPDX-License-Identifier: GPL-2.0
/*
 * Native page tables: the hardware works with the page size of the process,
 * whatever the process does to its memory, and what it reads is right.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>
#include <linux/if_packet.h>
#include <linux/kvm.h>
#include <linux/mman.h>
#include <linux/perf_event.h>

#include "pagesize.h"
#include "pagesize_fixture.h"
#include "pagesize_system.h"

#define P	page_size()

/*
 * HardwarePageSize in kB; skips the test where the CPU has no such granule. A
 * process whose page is the kernel's has no such line.
 */
static long hardware_kb(void)
{
	char line[256], *why = NULL;
	long kb = P >> 10;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "HardwarePageSize: %ld kB", &kb) != 1)
			continue;
		why = strchr(line, '(');
		if (why && !strncmp(why, "(no granule)", 12)) {
			fclose(f);
			child_skip("the hardware has no such granule here");
		}
		break;
	}
	if (f)
		fclose(f);
	return kb;
}

#define CHECK_NATIVE()	CHECK(hardware_kb() == (long)P >> 10)

/* For what is only to be seen where there is a native table. */
static void want_native(void)
{
	if (hardware_kb() == (long)kernel_page_size() >> 10)
		child_skip("the page of the kernel");
}

/* What the environment says, for long runs and for guests made for a test. */
static unsigned int number(const char *name, unsigned int normal)
{
	const char *text = getenv(name);

	return text ? atoi(text) : normal;
}

static long read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	long value;

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &value) != 1)
		value = -1;
	fclose(f);
	return value;
}

static char *align_up(char *p, size_t len)
{
	return (char *)(((unsigned long)p + len - 1) & ~(len - 1));
}

static void child_start(int argc, char **argv)
{
	CHECK_NATIVE();
}

/* Every way to change a mapping, with a look at the memory after each. */
static void child_anon(int argc, char **argv)
{
	const size_t len = 64 * P;
	char *p, *q;
	size_t i;
	int status;
	pid_t pid;

	hardware_kb();
	p = map_anon(len, 0);
	CHECK(all_zero(p, len));
	fill(p, len, 1);
	CHECK(filled(p, len, 1));

	pid = fork();
	if (!pid) {
		CHECK(filled(p, len, 1));
		fill(p + len / 4, len / 2, 2);
		CHECK(filled(p + len / 4, len / 2, 2));
		CHECK_NATIVE();
		fflush(stdout);
		_exit(child_failures());
	}
	fill(p + len / 2, len / 2, 3);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(filled(p, len / 2, 1));
	CHECK(filled(p + len / 2, len / 2, 3));

	CHECK(!mprotect(p, len, PROT_READ));
	CHECK(store_signal(p) == SIGSEGV);
	CHECK(store_signal(p + len - 1) == SIGSEGV);
	CHECK(filled(p, len / 2, 1));
	CHECK(!mprotect(p + P, P, PROT_NONE));
	CHECK(load_signal(p + P) == SIGSEGV);
	CHECK(load_signal(p + 2 * P) == 0);
	CHECK(!mprotect(p, len, PROT_READ | PROT_WRITE));
	fill(p, len, 4);
	CHECK(filled(p, len, 4));

	q = mremap(p, len / 2, len / 2, MREMAP_MAYMOVE | MREMAP_FIXED,
		   map_anon(len, 0));
	CHECK(q != MAP_FAILED);
	CHECK(filled(q, len / 2, 4));
	CHECK(load_signal(p) == SIGSEGV);
	CHECK(*(unsigned long *)(p + len / 2));

	CHECK(!madvise(q, P, MADV_DONTNEED));
	CHECK(all_zero(q, P));
	for (i = 0; i < len / 2; i += 2 * P)
		CHECK(!munmap(q + i, P));
	CHECK(load_signal(q) == SIGSEGV);
	CHECK(load_signal(q + P) == 0);
	CHECK_NATIVE();
}

static void child_file(int argc, char **argv)
{
	const size_t len = 32 * P;
	int fd = temp_file(NULL);
	char *shared, *private;

	hardware_kb();
	CHECK(!ftruncate(fd, len));
	shared = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	fill(shared, len, 5);
	CHECK(filled(private, len, 5));
	fill(private, len / 2, 6);
	CHECK(filled(shared, len, 5));
	CHECK(!msync(shared, len, MS_SYNC));
	/* Clean now: the next store must be noticed. */
	fill(shared, len, 7);
	CHECK(!memcmp(private + len / 2, shared + len / 2, len / 2));
	CHECK(filled(private, len / 2, 6));
	CHECK(!ftruncate(fd, len / 2));
	CHECK(load_signal(shared + len / 2) == SIGBUS);
	CHECK(load_signal(shared + len / 2 - 1) == 0);
	close(fd);
	CHECK_NATIVE();
}

/* A block of 2 MB or so: fork, write, protect, and take parts out of it. */
static void change_block(char *p, size_t len, bool parts)
{
	int status;
	pid_t pid;

	fill(p, len, 1);
	CHECK(filled(p, len, 1));
	pid = fork();
	if (!pid) {
		CHECK(filled(p, len, 1));
		fill(p, len, 2);
		CHECK(filled(p, len, 2));
		CHECK_NATIVE();
		fflush(stdout);
		_exit(child_failures());
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(filled(p, len, 1));
	CHECK(!mprotect(p, len, PROT_READ));
	CHECK(store_signal(p + len - 8) == SIGSEGV);
	CHECK(!mprotect(p, len, PROT_READ | PROT_WRITE));
	fill(p, len, 3);
	CHECK(filled(p, len, 3));
	if (parts) {
		CHECK(!madvise(p + P, P, MADV_DONTNEED));
		CHECK(all_zero(p + P, P));
		CHECK(!munmap(p + 2 * P, P));
		CHECK(load_signal(p + 2 * P) == SIGSEGV);
		CHECK(load_signal(p + 3 * P) == 0);
		CHECK(filled(p, P, 3));
	}
	CHECK_NATIVE();
}

#define DEBUGFS	"/sys/kernel/debug/native_pgtable/"

/*
 * What the native table maps in a range by entries of that kind (NULL: of any),
 * in kB, or -1 where there is none, or nobody tells
 * (CONFIG_ARM64_NATIVE_PGTABLE_DEBUG, root).
 */
static long native_kb(const char *p, size_t len, const char *kind)
{
	const unsigned long first = (unsigned long)p, last = first + len;
	FILE *f = fopen(DEBUGFS "pid", "w");
	unsigned long start, end;
	char line[256];
	long kb = -1;

	if (!f)
		return -1;
	fprintf(f, "%d", getpid());
	fclose(f);
	f = fopen(DEBUGFS "table", "r");
	if (!CHECK(f))
		return -1;
	while (fgets(line, sizeof(line), f)) {
		/* The first line is not about a range. */
		if (kb < 0)
			kb = 0;
		if ((kind && !strstr(line, kind)) ||
		    sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		if (start < first)
			start = first;
		if (end > last)
			end = last;
		if (start < end)
			kb += (end - start) >> 10;
	}
	fclose(f);
	return kb;
}

/* A number of the debug option; that of a CPU if it is not negative. */
static long debug_stat(const char *name, int cpu)
{
	char line[256], prefix[16] = "", *at;
	long value = -1;
	FILE *f = fopen(DEBUGFS "stats", "r");

	if (cpu >= 0)
		snprintf(prefix, sizeof(prefix), "cpu%d ", cpu);
	while (f && value < 0 && fgets(line, sizeof(line), f)) {
		if (strncmp(line, prefix, strlen(prefix)))
			continue;
		at = strstr(line, name);
		if (at && at[strlen(name)] == ' ')
			value = atol(at + strlen(name));
	}
	if (f)
		fclose(f);
	return value;
}

/* What of a range the kernel maps in blocks is contiguous for the hardware. */
static void check_contiguous(const char *p, size_t len, long blocks)
{
	const long kb = native_kb(p, len, " contiguous");

	if (kb >= 0 && P > kernel_page_size() && !CHECK(kb == blocks))
		printf("# %ld kB contiguous, not %ld\n", kb, blocks);
}

/* The end of a file, just written; the hole before it has to be read first. */
static void child_tail(int argc, char **argv)
{
	const size_t len = 16 * P;
	int fd = temp_file("/var/tmp");
	char *p;

	CHECK(pwrite(fd, "tail", 4, len - 4) == 4);
	p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (CHECK(p != MAP_FAILED))
		CHECK(!memcmp(p + len - 4, "tail", 4));
	CHECK_NATIVE();
}

#define THP	"/sys/kernel/mm/transparent_hugepage/"

/* What one entry of the table above the last one maps. */
static size_t block_size(void)
{
	return kernel_page_size() / 8 * kernel_page_size();
}

static bool have_thp(void)
{
	char line[64] = "";
	FILE *f = fopen(THP "enabled", "re");

	if (f) {
		if (!fgets(line, sizeof(line), f))
			line[0] = 0;
		fclose(f);
	}
	/* Of 512M, there are not enough to test. */
	return line[0] && !strstr(line, "[never]") &&
	       block_size() <= 32 * SZ_1M;
}

/* Memory may be short for a moment, but it is not always so. */
#define TRIES	20

/* A file in memory, of pages of a process that has small ones, say. */
static void collapse_file(void)
{
	const size_t block = block_size();
	int fd = syscall(__NR_memfd_create, "huge", MFD_CLOEXEC), i, ret;
	char *area, *p;

	if (!CHECK(fd >= 0 && !ftruncate(fd, block)))
		return;
	area = map_anon(2 * block, 0);
	p = align_up(area, block);
	CHECK(mmap(p, block, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		   0) == p);
	fill(p, block, 6);
	CHECK(smaps_kb(p, "ShmemPmdMapped") == 0);
	for (i = 0; i < TRIES; i++) {
		ret = madvise(p, block, MADV_COLLAPSE);
		if (!ret || (errno != EAGAIN && errno != ENOMEM))
			break;
		usleep(100000);
	}
	CHECK(!ret && smaps_kb(p, "ShmemPmdMapped") == (long)block >> 10);
	CHECK(filled(p, block, 6));
	check_contiguous(p, block, block >> 10);
	fill(p, block, 7);
	CHECK(!madvise(p + P, P, MADV_DONTNEED));
	CHECK(!mprotect(p + 2 * P, P, PROT_READ));
	CHECK(filled(p, block, 7));
	CHECK(store_signal(p + 2 * P) == SIGSEGV);
	CHECK_NATIVE();
	CHECK(!munmap(area, 2 * block));
	close(fd);
}

/* Blocks that the kernel maps as such: transparent, and collapsed. */
static void child_huge(int argc, char **argv)
{
	const size_t block = block_size(), len = 2 * block;
	const long kb = block >> 10;
	char *p, *q, *area;
	int i, ret;

	hardware_kb();
	if (!have_thp())
		child_skip("no transparent huge pages, or of 512M");
	area = map_anon(5 * block, 0);
	p = align_up(area, block);
	q = p + len;
	CHECK(!madvise(p, len, MADV_HUGEPAGE));
	for (i = 0; i < TRIES; i++) {
		*p = 1;
		if (smaps_kb(p, "AnonHugePages") == kb)
			break;
		CHECK(!madvise(p, len, MADV_DONTNEED));
		usleep(100000);
	}
	CHECK(i < TRIES);
	/* As much is entered at a time, whatever the block is. */
	check_contiguous(p, 2UL << 20, 2048);
	change_block(p, len, true);
	check_contiguous(p, block, 0);

	CHECK(!madvise(q, len, MADV_NOHUGEPAGE));
	fill(q, len, 4);
	CHECK(smaps_kb(q, "AnonHugePages") == 0);
	CHECK(!madvise(q, len, MADV_HUGEPAGE));
	for (i = 0; i < TRIES; i++) {
		ret = madvise(q, len, MADV_COLLAPSE);
		if (!ret || (errno != EAGAIN && errno != ENOMEM))
			break;
		usleep(100000);
	}
	CHECK(!ret && smaps_kb(q, "AnonHugePages") == 2 * kb);
	CHECK(filled(q, len, 4));
	check_contiguous(q, len, 2 * kb);
	change_block(q, len, true);
	CHECK(!munmap(area, 5 * block));
	collapse_file();
}

/* The kernel makes a block of pages in use, at some time of its own. */
static void child_khugepaged(int argc, char **argv)
{
	const size_t block = block_size();
	const long kb = block >> 10;
	unsigned long seed = 1;
	char *p;
	int i;

	hardware_kb();
	p = align_up(map_anon(2 * block, 0), block);
	CHECK(!madvise(p, block, MADV_NOHUGEPAGE));
	fill(p, block, seed);
	CHECK(smaps_kb(p, "AnonHugePages") == 0);
	check_contiguous(p, block, 0);
	CHECK_NATIVE();
	CHECK(!madvise(p, block, MADV_HUGEPAGE));
	for (i = 0; i < 3000 && smaps_kb(p, "AnonHugePages") != kb; i++) {
		usleep(10000);
		if (!CHECK(filled(p, block, seed)))
			break;
		fill(p, block, ++seed);
	}
	CHECK(smaps_kb(p, "AnonHugePages") == kb);
	CHECK(filled(p, block, seed));
	check_contiguous(p, block, kb);
	change_block(p, block, true);
}

#define HUGEPAGES	"/sys/kernel/mm/hugepages/hugepages-%lukB/nr_hugepages"

#define DAMON	"/sys/kernel/mm/damon/admin/kdamonds/"

static bool start_damon(void)
{
	static const char *const settings[][2] = {
		{ DAMON "nr_kdamonds", "1" },
		{ DAMON "0/contexts/nr_contexts", "1" },
		{ DAMON "0/contexts/0/operations", "vaddr" },
		{ DAMON "0/contexts/0/targets/nr_targets", "1" },
		{ DAMON "0/contexts/0/monitoring_attrs/intervals/sample_us",
		  "1000" },
		{ DAMON "0/contexts/0/monitoring_attrs/intervals/aggr_us",
		  "10000" },
	};
	unsigned int i;

	if (access(DAMON "nr_kdamonds", W_OK))
		return false;
	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (!CHECK(put(settings[i][0], settings[i][1])))
			return false;
	return CHECK(put_number(DAMON "0/contexts/0/targets/0/pid_target",
				getpid())) &&
	       CHECK(put(DAMON "0/state", "on"));
}

/* Somebody makes entries old, of pages at any address in them. */
static void watch(const char *p, size_t len)
{
	const bool check = !access(DEBUGFS "check", W_OK) &&
			   hardware_kb() == (long)P >> 10 &&
			   kernel_page_size() < P;
	const long errors = debug_stat("errors", -1);
	unsigned long off;
	int i;

	if (!start_damon())
		return;
	for (i = 0; i < 40; i++) {
		for (off = 0; off < len; off += P)
			__atomic_load_n(p + off, __ATOMIC_RELAXED);
		usleep(5000);
		if (check)
			CHECK(put_number(DEBUGFS "check", getpid()));
	}
	CHECK(put(DAMON "0/state", "off"));
	CHECK(put(DAMON "nr_kdamonds", "0"));
	CHECK(debug_stat("errors", -1) == errors);
}

/*
 * Huge pages of each size there is: what is less than 2 MB is several entries
 * of the Linux table and some of the native one, and what is more takes several
 * runs of contiguous entries. PAGES_HUGETLB is the log2 of a size that must be
 * there.
 */
static void child_hugetlb(int argc, char **argv)
{
	static const unsigned int shifts[] = { 16, 21, 25, 30 };
	const unsigned int must = number("PAGES_HUGETLB", 0);
	unsigned int i, tested = 0;
	bool missing = false;
	char path[80], *p;

	hardware_kb();
	if (geteuid())
		child_skip("wants root");
	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		const size_t size = 1UL << shifts[i];
		const size_t len = size > SZ_1M * 4 ? size : SZ_1M * 4;
		/* For both sides of fork(). */
		const long wanted = 2 * len / size;
		long old, got;

		snprintf(path, sizeof(path), HUGEPAGES, size >> 10);
		old = read_number(path);
		if (old < wanted)
			put_number(path, wanted);
		got = read_number(path);
		if (got < wanted) {
			printf("# %ld of %ld pages of %lu kB\n", got, wanted,
			       size >> 10);
			CHECK(shifts[i] != must);
			/* Of those of 1 GB, few machines have some to spare. */
			if (old >= 0 && size < 1UL << 30)
				missing = true;
			goto next;
		}
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS | MAP_HUGETLB |
			 shifts[i] << MAP_HUGE_SHIFT, -1, 0);
		if (!CHECK(p != MAP_FAILED))
			goto next;
		CHECK(all_zero(p, P));
		change_block(p, len, false);
		CHECK(smaps_kb(p, "Private_Hugetlb") == (long)len >> 10);
		check_contiguous(p, len, size < SZ_1M * 2 ? 0 : len >> 10);
		/* Of more, each turn would take seconds. */
		if (len <= 32 * SZ_1M)
			watch(p, len);
		CHECK(!munmap(p, len));
		CHECK(load_signal(p) == SIGSEGV);
		printf("# pages of %lu kB\n", size >> 10);
		tested++;
next:
		if (old >= 0)
			put_number(path, old);
	}
	CHECK(tested);
	if (missing && !child_failures())
		child_skip("memory is too fragmented");
}

/* What a table of page tables maps, if all of it is one mapping of hugetlb. */
static size_t hugetlb_span(void)
{
	unsigned long kb = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Hugepagesize: %lu kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb * 1024 * (kernel_page_size() / 8);
}

static char *map_span(int fd)
{
	const int flags = MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	const size_t len = hugetlb_span();
	char *p = (char *)(8 * len);

	return CHECK(mmap(p, len, PROT_READ | PROT_WRITE, flags, fd, 0) == p) ?
		p : NULL;
}

/* The other one: with page tables that could be shared. */
static void child_sharer(int argc, char **argv)
{
	char *p = map_span(atoi(argv[1]));

	if (p)
		*p = 2;
	printf("there\n");
	fflush(stdout);
	pause();
}

/* Nobody else has our page tables, for only we have another one beside them. */
static void child_unshared(int argc, char **argv)
{
	int fd = syscall(__NR_memfd_create, "huge", 4 /* MFD_HUGETLB */);
	char number[16], line[16] = "", *p;
	const char *const other[] = { "sharer", number, NULL };
	size_t len = hugetlb_span();
	pid_t pid;
	int out;

	if (fd < 0 || ftruncate(fd, len))
		child_skip("no hugetlb");
	snprintf(number, sizeof(number), "%d", fd);
	p = map_span(fd);
	if (!p || load_signal(p))
		child_skip("no hugetlb page");
	*p = 1;
	pid = start_child(DEFAULT_SIZE, other, &out);
	CHECK(read(out, line, sizeof(line)) > 0);
	CHECK(*p == 2);
	CHECK(!mprotect(p, len, PROT_READ));
	CHECK(store_signal(p) == SIGSEGV);
	CHECK(!munmap(p, len));
	CHECK(load_signal(p) == SIGSEGV);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(out);
	close(fd);
}

/* The first access to memory of a device is a store to a private copy. */
static void child_device(int argc, char **argv)
{
	int fd = open("/dev/mem", O_RDWR | O_CLOEXEC), status;
	const unsigned long at = kernel_page_size() % P + 8;
	unsigned long i;
	char *p, *q;
	pid_t pid;

	/* What is there on the machines that we know: flash memory. */
	p = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	q = mmap(NULL, P, PROT_READ, MAP_SHARED, fd, 0);
	if (fd < 0 || p == MAP_FAILED || q == MAP_FAILED)
		child_skip("no memory of a device at 0");
	CHECK_NATIVE();
	pid = fork();
	if (!pid) {
		__atomic_store_n((long *)(p + at), 1, __ATOMIC_RELAXED);
		for (i = 0; i < P; i += 8)
			if (!CHECK(*(long *)(p + i) ==
				   (i == at ? 1 : *(long *)(q + i))))
				break;
		fflush(stdout);
		_exit(child_failures());
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		child_skip("no memory of a device at 0");
	CHECK(status == 0);
}

#define TRACING	"/sys/kernel/tracing/"

static bool tracing(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_APPEND | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* A breakpoint comes and goes, and what it replaces is executed elsewhere. */
static void child_probe(int argc, char **argv)
{
	/* add x0, x0, #1; ret */
	static const unsigned int code[] = { 0x91000400, 0xd65f03c0 };
	const unsigned long at = P / 2 + 8;
	char name[32], text[128], enable[128];
	int (*f)(int), fd = temp_file(NULL), i;
	const unsigned int *insn;
	char *p;

	CHECK(pwrite(fd, code, sizeof(code), at) == sizeof(code));
	CHECK(!ftruncate(fd, P));
	p = mmap(NULL, P, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	if (!CHECK(p != MAP_FAILED))
		return;
	f = (void *)(p + at);
	insn = (void *)f;
	CHECK(f(1) == 2);
	CHECK_NATIVE();

	mount("none", TRACING, "tracefs", 0, NULL);
	sprintf(name, "pagesize_%d", getpid());
	sprintf(text, "p:%s /proc/%d/fd/%d:%#lx\n", name, getpid(), fd, at);
	if (!tracing(TRACING "uprobe_events", text))
		child_skip("no uprobes");
	sprintf(enable, TRACING "events/uprobes/%s/enable", name);
	CHECK(tracing(enable, "1"));
	CHECK(__atomic_load_n(insn, __ATOMIC_RELAXED) != code[0]);
	for (i = 0; i < 10; i++)
		CHECK(f(i) == i + 1);
	CHECK_NATIVE();
	CHECK(tracing(enable, "0"));
	CHECK(__atomic_load_n(insn, __ATOMIC_RELAXED) == code[0]);
	CHECK(f(10) == 11);
	CHECK_NATIVE();
	sprintf(text, "-:%s\n", name);
	CHECK(tracing(TRACING "uprobe_events", text));
}

struct worker {
	pthread_t thread;
	unsigned long seed;
	bool bad;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	for (i = 0; i < 200 && !w->bad; i++) {
		const size_t len = (1 + i % 20) * P;
		char *p = map_anon(len, 0);

		fill(p, len, w->seed + i);
		if (i % 3 == 0)
			mprotect(p, len, PROT_READ);
		if (!filled(p, len, w->seed + i))
			w->bad = true;
		if (i % 7 == 0) {
			pid_t pid = fork();
			int status;

			if (!pid)
				_exit(!filled(p, len, w->seed + i));
			if (waitpid(pid, &status, 0) != pid || status)
				w->bad = true;
		}
		munmap(p, len);
	}
	return NULL;
}

static void child_threads(int argc, char **argv)
{
	struct worker w[8] = {};
	int i;

	hardware_kb();
	for (i = 0; i < 8; i++) {
		w[i].seed = 1000 * i;
		CHECK(!pthread_create(&w[i].thread, NULL, work, w + i));
	}
	for (i = 0; i < 8; i++) {
		pthread_join(w[i].thread, NULL);
		CHECK(!w[i].bad);
	}
	CHECK_NATIVE();
}

/* Whether a child that accesses a page keeps its table. */
static bool fits_native(const char *p)
{
	int status = -1;
	pid_t child = fork();

	if (!child) {
		CHECK(!load_signal(p));
		exit(hardware_kb() == (long)P >> 10);
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       WEXITSTATUS(status);
}

static char *map_ring(int *fd)
{
	const unsigned long size = kernel_page_size();
	struct tpacket_req req = {
		.tp_block_size = size,
		.tp_block_nr = 2 * P / size,
		.tp_frame_size = size,
		.tp_frame_nr = 2 * P / size,
	};
	char *p;

	*fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (*fd < 0)
		child_skip("no packet socket (root, CONFIG_PACKET)");
	if (!CHECK(!setsockopt(*fd, SOL_PACKET, PACKET_RX_RING, &req,
			       sizeof(req))))
		return NULL;
	p = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	return CHECK(p != MAP_FAILED) ? p : NULL;
}

/*
 * Memory in kernel pages, each from somewhere else: the ring of a packet socket
 * with blocks of that size. Nothing else makes such without luck; and with bad
 * luck, they lie side by side in memory, and what has them must stay there for
 * the next ones to be others.
 */
static char *map_pieces(int *fd)
{
	int i, spare[20];
	char *p;

	for (i = 0; (p = map_ring(fd)) && fits_native(p); i++) {
		munmap(p, 2 * P);
		spare[i] = *fd;
		if (!CHECK(i < 19)) {
			p = NULL;
			i++;
			break;
		}
	}
	while (i--)
		close(spare[i]);
	return p;
}

static char vfat[] = "/tmp/pagesize-XXXXXX";

/*
 * A file system without large folios, for this process and those that it
 * starts: what a shared mapping has from there is kernel pages.
 */
static bool mount_vfat(void)
{
	char path[64];
	struct loop loop;
	bool mounted;
	int fd;

	if (geteuid() || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return false;
	fd = temp_file("/tmp");
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	if (fd < 0 || ftruncate(fd, 16 * SZ_1M) ||
	    !shell("mkfs.vfat %s", path) || !loop_make(&loop, fd, 512)) {
		close(fd);
		return false;
	}
	mounted = mkdtemp(vfat) &&
		  !mount(loop.device, vfat, "vfat", 0, NULL);
	setenv("PAGES_VFAT", vfat, 1);
	/* Gone when it is no longer mounted. */
	loop_drop(&loop);
	close(fd);
	return mounted;
}

static void drop_vfat(void)
{
	umount2(vfat, MNT_DETACH);
	rmdir(vfat);
}

/* The same from there: two pages of ours of zeroes. */
static char *map_vfat(int *fd)
{
	char path[64], *p;

	snprintf(path, sizeof(path), "%s/%d", getenv("PAGES_VFAT"), getpid());
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (!CHECK(*fd >= 0))
		return NULL;
	CHECK(!unlink(path));
	p = map_anon(2 * P, 0);
	CHECK(pwrite(*fd, p, 2 * P, 0) == (ssize_t)(2 * P));
	munmap(p, 2 * P);
	p = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	return CHECK(p != MAP_FAILED) ? p : NULL;
}

static bool is_vfat(const char *what)
{
	return !strcmp(what, "vfat");
}

/* Lines like those of log_lines(), of the last seconds. */
static int recent_lines(int fd)
{
	struct timespec now;
	char text[8192];
	int lines = 0;
	double at;
	ssize_t len;

	clock_gettime(CLOCK_MONOTONIC, &now);
	while ((len = read(fd, text, sizeof(text) - 1)) > 0 ||
	       (len < 0 && errno == EPIPE)) {
		if (len < 0)
			continue;
		text[len] = 0;
		if (!strstr(text, "] leaves it at "))
			continue;
		/* In microseconds, of a clock that may be a little ahead. */
		if (sscanf(text, "%*u,%*u,%lf", &at) == 1 &&
		    at / 1e6 > now.tv_sec - 7)
			lines++;
	}
	return lines;
}

/*
 * From here on, the log is read. It takes ten lines in five seconds: if others
 * have had too many of them, wait.
 */
static int open_log(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	CHECK(fd >= 0);
	while (recent_lines(fd) > 5 && CHECK(lseek(fd, 0, SEEK_SET) == 0))
		usleep(200000);
	CHECK(lseek(fd, 0, SEEK_END) == 0);
	return fd;
}

/*
 * How often the log has said since that this process left its table; that must
 * have been for this address and reason.
 */
static int log_lines(int fd, const void *addr, const char *why)
{
	char text[8192], any[32], wanted[128];
	int lines = 0;
	ssize_t len;

	snprintf(any, sizeof(any), "[%d] leaves it at", getpid());
	snprintf(wanted, sizeof(wanted), "%s %#lx: %s\n", any,
		 (unsigned long)addr, why);
	while ((len = read(fd, text, sizeof(text) - 1)) > 0 ||
	       (len < 0 && errno == EPIPE)) {
		if (len < 0)
			continue;
		text[len] = 0;
		if (!strstr(text, any))
			continue;
		lines++;
		if (!CHECK(strstr(text, wanted)))
			printf("# found  %s# wanted %s", text, wanted);
	}
	return lines;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) > 0);
	close(fd);
}

/* What was accessed is reported so, whichever table that is noted in. */
static void child_referenced(int argc, char **argv)
{
	const size_t len = 16 * P;
	char *p = map_anon(len, 0);
	int i, status;
	pid_t child;

	fill(p, len, 1);
	for (i = 0; i < 3; i++) {
		write_file("/proc/self/clear_refs", "1");
		CHECK(smaps_kb(p, "Referenced") == 0);
		/* So that nothing is left in a TLB, which notes nothing. */
		child = fork();
		if (!child)
			_exit(0);
		CHECK(waitpid(child, &status, 0) == child && !status);
		CHECK(filled(p, len, 1));
		CHECK(smaps_kb(p, "Referenced") == (long)len / 1024);
	}
	munmap(p, len);
}

static bool stop;

static void *keep_working(void *arg)
{
	struct worker *w = arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) && !w->bad)
		work(w);
	return NULL;
}

/* Some memory, after a page fault. */
static char *touched(size_t len)
{
	char *p = map_anon(len, 0);

	*p = 1;
	return p;
}

/* What this process was demoted for is gone: it is not for ever. */
static void wait_native(void)
{
	int i;

	for (i = 0; i < 200 && hardware_kb() != (long)P >> 10; i++) {
		usleep(100000);
		munmap(touched(P), P);
	}
	CHECK_NATIVE();
}

/*
 * Blocks of a driver, two of which lie side by side, sooner or later, and then
 * look like a page of ours: a store to a private mapping copies that.
 */
static void child_ring(int argc, char **argv)
{
	const size_t block = kernel_page_size() < SZ_64K / 2 ? SZ_64K / 2 :
							       SZ_64K;
	const size_t len = 64 * block;
	struct tpacket_req req = {
		.tp_block_size = block,
		.tp_block_nr = 64,
		.tp_frame_size = SZ_4K,
		.tp_frame_nr = len / SZ_4K,
	};
	int fd, i, round;
	char *p[2];
	size_t off;

	/* Blocks that were given back come in the other order. */
	for (round = 0; round < 4; round++) {
		fd = socket(AF_PACKET, SOCK_RAW, 0);
		if (fd < 0)
			child_skip("no packet socket (root, CONFIG_PACKET)");
		CHECK(!setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req,
				  sizeof(req)));
		for (i = 0; i < 2; i++) {
			p[i] = mmap(NULL, len, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE, fd, 0);
			if (!CHECK(p[i] != MAP_FAILED))
				return;
		}
		for (off = 0; off < len; off += P) {
			CHECK(!p[0][off + 64]);
			p[0][off + 64] = 1;
			CHECK(!p[1][off + 64]);
		}
		for (off = 0; off < len; off += SZ_4K)
			CHECK(p[0][off + 64] == !(off % P) &&
			      !p[1][off + 64]);
		/* The kernel complains if what it has were counted wrong. */
		CHECK(!munmap(p[1], len));
		CHECK(!munmap(p[0], len));
		close(fd);
	}
}

/* What cannot be whole costs speed, while it is there, and nothing else. */
static void child_demote(int argc, char **argv)
{
	const unsigned long step = kernel_page_size();
	struct worker w[3] = {};
	int i, round, fd, status, log;
	size_t off;
	pid_t child;
	char *p;

	want_native();
	log = open_log();
	for (i = 0; i < 3; i++) {
		w[i].seed = 1000 * i;
		CHECK(!pthread_create(&w[i].thread, NULL, keep_working, w + i));
	}
	for (round = 0; round < 2; round++) {
		p = map_pieces(&fd);
		if (!p)
			break;
		/* The first word of a frame is its state, and ours so far. */
		for (off = 0; off < 2 * P; off += step)
			*(unsigned long *)(p + off + 64) = off + round;
		CHECK(hardware_kb() == (long)step >> 10);
		CHECK(demoted_for("device"));
		CHECK(log_lines(log, p + 64, "not one block") == 1);
		for (off = 0; off < 2 * P; off += step)
			CHECK(*(unsigned long *)(p + off + 64) == off + round);
		/* A child inherits that, as long as it has the reason. */
		child = fork();
		if (!child) {
			for (i = 0; i < (round ? 1 : 25); i++) {
				CHECK(hardware_kb() == (long)step >> 10);
				usleep(100000);
				munmap(touched(P), P);
			}
			munmap(p, 2 * P);
			wait_native();
			exit(child_failures());
		}
		CHECK(waitpid(child, &status, 0) == child && !status);
		CHECK(!munmap(p, 2 * P));
		close(fd);
		wait_native();
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < 3; i++) {
		pthread_join(w[i].thread, NULL);
		CHECK(!w[i].bad);
	}
}

static long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A process that is demoted again and again is so for longer each time. */
static void child_retry(int argc, char **argv)
{
	/* As NATIVE_RETRY_MIN, twice that, and as before after a rest. */
	static const long least[] = { 1000, 2000, 1000 };
	long begin, last = 0, took;
	int round, fd, i, again_fd;
	char *p, *page, *again;

	want_native();
	page = map_anon(P, 0);
	/* For the second time, which is to come at once. */
	again = map_pieces(&again_fd);
	if (!again)
		return;
	for (round = 0; round < 3; round++) {
		if (round == 1) {
			p = again;
			fd = again_fd;
		} else {
			/* Long enough not to be "again". */
			usleep(round ? 2500000 : 1500000);
			p = map_pieces(&fd);
			if (!p)
				return;
		}
		begin = milliseconds();
		*(p + 64) = 1;
		CHECK(demoted_for("device"));
		CHECK(!munmap(p, 2 * P));
		close(fd);
		if (round == 1 && milliseconds() - last >= 1000)
			child_skip("too slow to see it");
		/* Only a page fault looks whether the reason is gone. */
		for (i = 0; i < 2000 && demoted(); i++) {
			last = milliseconds();
			usleep(10000);
			CHECK(!madvise(page, P, MADV_DONTNEED));
			*page = 1;
		}
		took = milliseconds() - begin;
		CHECK_NATIVE();
		printf("# native after %ld ms\n", took);
		CHECK(took >= least[round] - 20);
	}
	/* It would have been 4 s. */
	CHECK(took < 4000);
}

/*
 * A shared mapping of a file that the page cache has in kernel pages only. All
 * is as it is on a kernel with such pages, but for the speed.
 */
static void child_vfat(int argc, char **argv)
{
	const unsigned long step = kernel_page_size();
	unsigned long before;
	char *p, *buf;
	size_t off;
	int fd, log;

	want_native();
	p = map_vfat(&fd);
	if (!p)
		return;
	buf = map_anon(2 * P, 0);
	log = open_log();
	before = vm_events("process_page_demote");
	*(unsigned long *)(p + 64) = 64;
	CHECK(hardware_kb() == (long)step >> 10);
	CHECK(demoted_for("file"));
	/* It is there, with whatever part. */
	p[P + step] = 0;
	CHECK(node_of(p + P) == 0);
	for (off = step; off < 2 * P; off += step)
		*(unsigned long *)(p + off + 64) = off + 64;
	CHECK(vm_events("process_page_demote") == before + 1);
	CHECK(log_lines(log, p + 64, "not one block") == 1);
	CHECK(!msync(p, 2 * P, MS_SYNC));
	CHECK(pread(fd, buf, 2 * P, 0) == (ssize_t)(2 * P));
	CHECK(!memcmp(p, buf, 2 * P));
	for (off = 0; off < 2 * P; off += step)
		CHECK(*(unsigned long *)(buf + off + 64) == off + 64);
	CHECK(!munmap(p, 2 * P));
	close(fd);
	wait_native();
}

/*
 * Somebody else reads, which needs no entry: it is not for them to have this
 * process demoted, though they look at what it will be demoted for. argv: what
 * that is.
 */
static void child_remote(int argc, char **argv)
{
	const bool file = is_vfat(argv[2]);
	unsigned long before;
	int fd, log, status;
	pid_t child;
	char *p;

	want_native();
	p = file ? map_vfat(&fd) : map_pieces(&fd);
	if (!p)
		return;
	if (file)
		CHECK(pwrite(fd, "there", 5, P + 64) == 5);
	log = open_log();
	before = vm_events("process_page_demote");
	fflush(stdout);
	child = fork();
	if (!child) {
		char *buf = map_anon(2 * P, 0);
		struct iovec here = { buf, 2 * P }, there = { p, 2 * P };

		CHECK(process_vm_readv(getppid(), &here, 1, &there, 1, 0) ==
		      (ssize_t)(2 * P));
		if (file)
			CHECK(!memcmp(buf + P + 64, "there", 5));
		CHECK_NATIVE();
		fflush(stdout);
		_exit(child_failures());
	}
	CHECK(waitpid(child, &status, 0) == child && !status);
	CHECK_NATIVE();
	CHECK(!demoted());
	/* Nor has it been noted, to come out in the next child. */
	CHECK(vm_events("process_page_demote") == before);
	fflush(stdout);
	child = fork();
	if (!child) {
		CHECK_NATIVE();
		fflush(stdout);
		_exit(child_failures());
	}
	CHECK(waitpid(child, &status, 0) == child && !status);
	CHECK(log_lines(log, p + 64, "") == 0);
	*(p + 64) = 1;
	CHECK(vm_events("process_page_demote") == before + 1);
	CHECK(demoted_for(file ? "file" : "device"));
	CHECK(log_lines(log, p + 64, "not one block") == 1);
	CHECK(!munmap(p, 2 * P));
	close(fd);
	wait_native();
}

/* perf maps pages of the kernel: one and a power of two, or EINVAL. */
static void child_perf(int argc, char **argv)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
	};
	const unsigned long size = kernel_page_size();
	unsigned int n;
	char *p;
	int fd;

	fd = syscall(__NR_perf_event_open, &attr, 0, -1, -1,
		     PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		child_skip("no perf events");
	for (n = 0; n < 6; n++) {
		const size_t lens[] = { (1 + (1UL << n)) * P,
					(1 + (1UL << n)) * size };
		int i;

		for (i = 0; i < 2; i++) {
			p = mmap(NULL, lens[i], PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, 0);
			if (size != P) {
				/* The odd number of them is rounded up. */
				CHECK(p == MAP_FAILED && errno == EINVAL);
			} else if (CHECK(p != MAP_FAILED)) {
				CHECK(load_signal(p) == 0);
				CHECK(load_signal(p + lens[i] - 1) == 0);
				CHECK(!munmap(p, lens[i]));
			}
		}
	}
	close(fd);
}

/*
 * The native table goes and comes again: nothing is in it, but for what this
 * needs itself.
 */
static bool empty_table(void)
{
	if (access(DEBUGFS "demote", W_OK))
		child_skip("wants CONFIG_ARM64_NATIVE_PGTABLE_DEBUG, debugfs");
	return CHECK(put_number(DEBUGFS "demote", getpid())) &&
	       CHECK(demoted_for("mixed")) &&
	       CHECK(put_number(DEBUGFS "promote", getpid())) &&
	       CHECK(hardware_kb() == (long)P >> 10);
}

/* What the kernel adds to @p without a page fault that it may have there. */
static bool futex_add(int *p)
{
	static int other;
	const int op = FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_LT, 0);

	return !syscall(__NR_futex, &other, FUTEX_WAKE_OP_PRIVATE, 1, 1, p, op);
}

static bool futex_lock(int *p)
{
	return !syscall(__NR_futex, p, FUTEX_LOCK_PI_PRIVATE, 0, NULL);
}

/*
 * The kernel accesses what the Linux table has and the native one has not: its
 * own page fault fills in the native one, or it would try again for ever.
 */
static void child_refill(int argc, char **argv)
{
	const size_t len = 4 * P;
	int direct, fd = temp_file("/var/tmp"), *word;
	char name[64], *buf, *p;

	want_native();
	alarm(40);
	/* Nothing else is near: a fault there would fill in this, too. */
	p = align_up(map_anon(SZ_1M * 4, 0), SZ_1M * 2);
	CHECK(!madvise(p, SZ_1M * 2, MADV_NOHUGEPAGE));

	/* Written before; read before; and locked, which is to store to it. */
	word = (int *)(p + 64);
	*word = 1;
	CHECK(empty_table() && native_kb(p, P, NULL) == 0);
	CHECK(futex_add(word));
	CHECK(native_kb(p, P, NULL) == (long)P >> 10);
	CHECK(*word == 2);

	word = (int *)(p + P + 64);
	CHECK(*word == 0);
	CHECK(empty_table() && native_kb(p + P, P, NULL) == 0);
	CHECK(futex_add(word));
	CHECK(*word == 1);

	word = (int *)(p + 2 * P + 64);
	*word = 0;
	CHECK(empty_table() && native_kb(p + 2 * P, P, NULL) == 0);
	CHECK(futex_lock(word));
	CHECK(native_kb(p + 2 * P, P, NULL) == (long)P >> 10);
	CHECK(*word == gettid());
	CHECK(!syscall(__NR_futex, word, FUTEX_UNLOCK_PI_PRIVATE));
	CHECK(*word == 0);
	CHECK_NATIVE();

	/* A disk stores to it by the Linux table. */
	buf = map_anon(len, 0);
	fill(buf, len, 3);
	CHECK(pwrite(fd, buf, len, 0) == (ssize_t)len && !fsync(fd));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	direct = open(name, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (direct < 0)
		child_skip("no O_DIRECT in /var/tmp");
	fill(p, len, 4);
	CHECK(empty_table() && native_kb(p, len, NULL) == 0);
	CHECK(pread(direct, p, len, 0) == (ssize_t)len);
	CHECK(filled(p, len, 3));
	CHECK_NATIVE();
}

/* What reading some pages costs. */
static long faults_of(const char *p, size_t len)
{
	long before;
	size_t off;

	/* What this needs itself is there then. */
	minor_faults();
	before = minor_faults();
	for (off = 0; off < len; off += P)
		__atomic_load_n(p + off, __ATOMIC_RELAXED);
	return minor_faults() - before;
}

/*
 * Not a fault for each page: entries are made when those of the Linux table are
 * written, and around a fault for as much as it looks at.
 */
static void child_faults(int argc, char **argv)
{
	const unsigned int around = 32;		/* NATIVE_AROUND */
	const size_t len = 64 * P;
	char *area, *p;
	long faults;

	want_native();
	area = map_anon(2 * len, 0);
	p = align_up(area, len);
	CHECK(!madvise(area, 2 * len, MADV_NOHUGEPAGE));
	fill(p, len, 1);
	CHECK(faults_of(p, len) == 0);

	CHECK(!mprotect(p, len, PROT_READ));
	CHECK(!mprotect(p, len, PROT_READ | PROT_WRITE));
	faults = faults_of(p, len);
	printf("# %ld faults after mprotect()\n", faults);
	/* By what is around faults alone, it would be 2. */
	CHECK(faults < 64 / around);
	CHECK(filled(p, len, 1));

	if (empty_table()) {
		faults = faults_of(p, len);
		printf("# %ld faults with an empty table\n", faults);
		CHECK(faults >= 1 && faults <= 64 / around + 4);
	}
	CHECK(filled(p, len, 1));
	CHECK_NATIVE();
}

/* Whole page tables move elsewhere, and nothing of what was there stays. */
static void child_moved(int argc, char **argv)
{
	const size_t block = block_size(), len = 2 * block;
	long errors = debug_stat("errors", -1), kb;
	char *area, *p, *q;
	int round;

	hardware_kb();
	if (block > 32 * SZ_1M)
		child_skip("what a PMD maps is too large");
	area = map_anon(7 * block, 0);
	p = align_up(area, block);
	q = p + 3 * block;
	CHECK(!madvise(area, 7 * block, MADV_NOHUGEPAGE));
	fill(p, len, 1);
	for (round = 0; round < 4; round++) {
		char *from = round % 2 ? q : p, *to = round % 2 ? p : q;

		/* The place is not empty; nor was it ever unmapped. */
		if (!round)
			fill(to, len, 2);
		CHECK(mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			     to) == to);
		kb = native_kb(from, len, NULL);
		CHECK(kb == 0 || kb == -1);
		CHECK(filled(to, len, 1 + round));
		CHECK(load_signal(from) == SIGSEGV);
		CHECK(load_signal(from + block) == SIGSEGV);
		CHECK(load_signal(from + len - 1) == SIGSEGV);
		fill(to, len, 2 + round);
		if (kb == 0)
			CHECK(native_kb(to, len, NULL) == (long)len >> 10);
		/* To other memory, where the next one goes. */
		if (round % 2)
			continue;
		CHECK(mmap(from, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			   MAP_ANONYMOUS | MAP_FIXED, -1, 0) == from);
		CHECK(!madvise(from, len, MADV_NOHUGEPAGE));
		fill(from, len, 9);
	}
	if (errors >= 0) {
		put_number(DEBUGFS "check", getpid());
		CHECK(debug_stat("errors", -1) == errors);
	}
	CHECK_NATIVE();
}

#define FATAL	"/proc/sys/vm/process_page_demote_fatal"

static bool set_fatal(char value)
{
	int fd = open(FATAL, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, &value, 1) == 1;

	close(fd);
	return done;
}

/* For tests: who causes a demotion does not get away with it. */
static void child_fatal(int argc, char **argv)
{
	const struct rlimit none = { };
	char *p = map_anon(P, 0);
	int status, fd;
	pid_t child;

	want_native();
	if (access(FATAL, F_OK))
		child_skip("no CONFIG_PROCESS_PAGE_SIZE_DEBUG");
	setrlimit(RLIMIT_CORE, &none);
	CHECK(set_fatal('1'));
	child = fork();
	if (!child) {
		signal(SIGABRT, SIG_IGN);
		*p = 1;
		p = map_pieces(&fd);
		if (p)
			*(p + 64) = 1;
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(set_fatal('0'));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

/* Where a table cannot be had, the kernel's own are walked until one can. */
static void child_no_table(int argc, char **argv)
{
	const unsigned long at = 3UL << 40;
	char *p;
	int log;

	want_native();
	if (access(DEBUGFS "no_table", W_OK))
		child_skip("wants CONFIG_ARM64_NATIVE_PGTABLE_DEBUG, debugfs");
	log = open_log();
	p = mmap((void *)at, P, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		 MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (!CHECK(p == (void *)at))
		return;
	write_file(DEBUGFS "no_table", "100");
	fill(p, P, 1);
	write_file(DEBUGFS "no_table", "0");
	CHECK(demoted_for("memory"));
	CHECK(log_lines(log, p, "no memory for a table") == 1);
	close(log);
	wait_native();
	CHECK(filled(p, P, 1));
	fill(p, P, 2);
	CHECK(native_kb(p, P, NULL) == (long)P >> 10);
	CHECK_NATIVE();
}

/* Tables go with what they map: one touch in each of many far places. */
static void child_sweep(int argc, char **argv)
{
	const unsigned long step = 1UL << 40;
	unsigned long addr;
	long before = 0, most = 0;

	for (addr = step; addr < 1UL << 46; addr += step) {
		char *p = mmap((void *)addr, P, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS |
			       MAP_FIXED_NOREPLACE, -1, 0);

		if (!CHECK(p == (void *)addr))
			return;
		*p = 1;
		if (status_kb("VmPTE") > most)
			most = status_kb("VmPTE");
		CHECK(!munmap(p, P));
		/* The first time, there is also what the test itself touches. */
		if (addr == step) {
			before = status_kb("VmPTE");
			most = before;
		}
	}
	CHECK(most > before);
	CHECK(status_kb("VmPTE") <= before);
	CHECK_NATIVE();
}

#define MAX_CPUS	64

static void run_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK(!sched_setaffinity(0, sizeof(set), &set));
}

/* The CPUs that this task may run on; returns their number. */
static int usable_cpus(int *cpus)
{
	cpu_set_t set;
	int cpu, nr = 0;

	CHECK(!sched_getaffinity(0, sizeof(set), &set));
	for (cpu = 0; cpu < MAX_CPUS; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[nr++] = cpu;
	return nr;
}

struct walker {
	pthread_t thread;
	int cpu;
	bool native;
	bool bad;
};

#define WALKS	2000

/* What the registers of a CPU have, for a thread that is on it. */
static void *walk(void *arg)
{
	struct walker *w = arg;
	char text[80], want[80];
	FILE *f;
	int i;

	run_on(w->cpu);
	for (i = 0; i < WALKS; i++)
		getppid();
	f = fopen(DEBUGFS "walk", "r");
	if (!f || !fgets(text, sizeof(text), f))
		text[0] = 0;
	if (f)
		fclose(f);
	snprintf(want, sizeof(want), "cpu %d walks %s granule %lu\n", w->cpu,
		 w->native ? "native" : "linux",
		 (w->native ? P : kernel_page_size()) >> 10);
	if (strcmp(text, want)) {
		printf("# found %s# wanted %s", text, want);
		w->bad = true;
	}
	return NULL;
}

/* The hardware has the granule and the table of this process, on all CPUs. */
static void child_walk(int argc, char **argv)
{
	const unsigned long size = kernel_page_size();
	const bool native = hardware_kb() == (long)P >> 10 && size != P;
	const char *name = native ? "walks_native" : "walks_linux";
	struct walker w[MAX_CPUS] = {};
	long before[MAX_CPUS], probes[MAX_CPUS];
	int cpus[MAX_CPUS], nr, i;
	long errors;
	char c;

	i = open(DEBUGFS "walk", O_RDONLY | O_CLOEXEC);
	if (i < 0)
		child_skip("wants CONFIG_ARM64_NATIVE_PGTABLE_DEBUG, debugfs");
	/* TTBR0_EL1 is not the mm's then while it is looked at. */
	if (read(i, &c, 1) < 0 && errno == EOPNOTSUPP)
		child_skip("PAN is emulated");
	close(i);
	nr = usable_cpus(cpus);
	errors = debug_stat("errors", -1);
	write_file(DEBUGFS "syscalls", "1");
	for (i = 0; i < nr; i++) {
		before[i] = debug_stat(name, cpus[i]);
		probes[i] = debug_stat("probes", cpus[i]);
		w[i].cpu = cpus[i];
		w[i].native = native;
		CHECK(!pthread_create(&w[i].thread, NULL, walk, w + i));
	}
	for (i = 0; i < nr; i++) {
		pthread_join(w[i].thread, NULL);
		CHECK(!w[i].bad);
		CHECK(debug_stat(name, cpus[i]) >= before[i] + WALKS);
		/* The program counter each time, and most often the stack. */
		CHECK(!native || debug_stat("probes", cpus[i]) >=
				 probes[i] + WALKS);
	}
	write_file(DEBUGFS "syscalls", "0");
	CHECK(debug_stat("errors", -1) == errors);
	if (native)
		CHECK_NATIVE();
}

/* How often each CPU was interrupted to call a function. */
static void count_ipis(const int *cpus, int nr, long *counts)
{
	char line[1024], *at;
	FILE *f = fopen("/proc/interrupts", "r");
	long value;
	int i, cpu;

	for (i = 0; i < nr; i++)
		counts[i] = -1;
	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, "Function call interrupts"))
			continue;
		at = strchr(line, ':') + 1;
		for (cpu = i = 0; i < nr; cpu++) {
			value = strtol(at, &at, 10);
			if (cpu == cpus[i])
				counts[i++] = value;
		}
	}
	if (f)
		fclose(f);
}

static void *spin(void *arg)
{
	bool *running = arg;

	run_on(1);
	__atomic_store_n(running, true, __ATOMIC_RELAXED);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		;
	return NULL;
}

/* Somebody interrupted an uninvolved CPU for reasons of their own? */
#define INTERRUPTED	50

/*
 * A change of tables interrupts the CPUs that run this mm, and no others. With
 * "both", a second thread is on CPU 1. Then, what it is demoted for.
 */
static void child_ipi(int argc, char **argv)
{
	const bool both = !strcmp(argv[2], "both");
	const unsigned long step = kernel_page_size();
	long before[MAX_CPUS], after[MAX_CPUS];
	int cpus[MAX_CPUS], nr, i, fd, log;
	bool running = false;
	pthread_t thread;
	size_t off;
	char *p;

	want_native();
	for (nr = 0; nr < sysconf(_SC_NPROCESSORS_ONLN); nr++)
		cpus[nr] = nr;
	if (nr < 2)
		child_skip("wants two processors");
	p = is_vfat(argv[3]) ? map_vfat(&fd) : map_pieces(&fd);
	if (!p)
		return;
	log = open_log();
	if (both) {
		CHECK(!pthread_create(&thread, NULL, spin, &running));
		while (!__atomic_load_n(&running, __ATOMIC_RELAXED))
			sched_yield();
	}

	count_ipis(cpus, nr, before);
	*(unsigned long *)(p + 64) = 64;
	count_ipis(cpus, nr, after);

	CHECK(hardware_kb() == (long)step >> 10);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	if (both)
		pthread_join(thread, NULL);
	for (off = step; off < 2 * P; off += step)
		*(unsigned long *)(p + off + 64) = off + 64;
	for (off = 0; off < 2 * P; off += step)
		CHECK(*(unsigned long *)(p + off + 64) == off + 64);
	CHECK(demoted_for(is_vfat(argv[3]) ? "file" : "device"));
	CHECK(log_lines(log, p + 64, "not one block") == 1);
	if (child_failures())
		return;
	for (i = 0; i < nr; i++) {
		CHECK(before[i] >= 0);
		if (i == 1 && both) {
			CHECK(after[i] > before[i]);
		} else if (i && after[i] != before[i]) {
			printf("# CPU %d: %ld\n", i, after[i] - before[i]);
			exit(INTERRUPTED);
		}
	}
}

/*
 * Memory of one's own, checked all the time, on one CPU with processes of other
 * page sizes, or from CPU to CPU.
 */
static void child_alternate(int argc, char **argv)
{
	const bool move = argc > 2 && !strcmp(argv[2], "move");
	const size_t len = 16 * P;
	unsigned long seed = getpid(), round = 0;
	int cpus[MAX_CPUS], nr;
	struct timespec now, end;
	char *p;

	nr = usable_cpus(cpus);
	run_on(cpus[0]);
	p = map_anon(len, 0);
	fill(p, len, seed);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += number("PAGES_SECONDS", 2);
	do {
		if (!CHECK(filled(p, len, seed + round)))
			return;
		round++;
		/* New memory, or protected and old, or just that. */
		if (round % 8 == 0) {
			CHECK(!madvise(p, len, MADV_DONTNEED));
			CHECK(all_zero(p, len));
		} else if (round % 8 == 4) {
			CHECK(!mprotect(p, len, PROT_READ));
			CHECK(filled(p, len, seed + round - 1));
			CHECK(!mprotect(p, len, PROT_READ | PROT_WRITE));
		}
		fill(p, len, seed + round);
		if (move)
			run_on(cpus[round % nr]);
		else
			sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
	printf("# %lu rounds with pages of %lu bytes%s\n", round, P,
	       move ? ", moving" : "");
	CHECK(round > 10);
	CHECK_NATIVE();
}

#ifdef __aarch64__
#define GUEST_MEMORY	0x80000000UL
#define GUEST_DEVICE	0x10000000UL
#define GUEST_PC	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
			 KVM_REG_ARM_CORE_REG(regs.pc))

/* Counts, and tells a device; with a TCR_EL1 that suits nobody else. */
static const uint32_t guest_code[] = {
	0xd2a20001,	/* mov	x1, #0x10000000 */
	0xd2900322,	/* mov	x2, #0x8019: TG0 16K, 25 bits less */
	0xd5182042,	/* msr	tcr_el1, x2 */
	0xd5182001,	/* msr	ttbr0_el1, x1 */
	0xd5033fdf,	/* isb */
	0x91000400,	/* add	x0, x0, #1 */
	0xf9000020,	/* str	x0, [x1] */
	0x17fffffe,	/* b	. - 8 */
};

/* A virtual machine, on the processor of the others. */
static void child_guest(int argc, char **argv)
{
	struct kvm_userspace_memory_region memory = {
		.guest_phys_addr = GUEST_MEMORY,
		.memory_size = SZ_64K,
	};
	unsigned long long pc = GUEST_MEMORY, value;
	struct kvm_one_reg reg = {
		.id = GUEST_PC,
		.addr = (unsigned long)&pc,
	};
	struct timespec now, end;
	struct kvm_vcpu_init init;
	int cpus[MAX_CPUS], kvm, vm, vcpu;
	unsigned long exits = 0;
	struct kvm_run *run;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		child_skip("no /dev/kvm");
	usable_cpus(cpus);
	run_on(cpus[0]);
	vm = ioctl(kvm, KVM_CREATE_VM, 0UL);
	if (!CHECK(vm >= 0))
		return;
	memory.userspace_addr = (unsigned long)map_anon(SZ_64K, 0);
	memcpy((void *)memory.userspace_addr, guest_code, sizeof(guest_code));
	__builtin___clear_cache((char *)memory.userspace_addr,
				(char *)memory.userspace_addr + SZ_4K);
	CHECK(!ioctl(vm, KVM_SET_USER_MEMORY_REGION, &memory));
	CHECK(!ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init));
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0UL);
	if (!CHECK(vcpu >= 0) || !CHECK(!ioctl(vcpu, KVM_ARM_VCPU_INIT, &init)))
		return;
	CHECK(!ioctl(vcpu, KVM_SET_ONE_REG, &reg));
	run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0UL),
		   PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (!CHECK(run != MAP_FAILED))
		return;
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += number("PAGES_SECONDS", 2);
	do {
		if (!CHECK(!ioctl(vcpu, KVM_RUN, 0UL)) ||
		    !CHECK(run->exit_reason == KVM_EXIT_MMIO) ||
		    !CHECK(run->mmio.phys_addr == GUEST_DEVICE))
			return;
		memcpy(&value, run->mmio.data, sizeof(value));
		if (!CHECK(value == ++exits))
			return;
		sched_yield();
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec < end.tv_sec);
	printf("# %lu rounds of a virtual machine\n", exits);
	CHECK(exits > 10);
}
#else
static void child_guest(int argc, char **argv)
{
	child_skip("not for this architecture");
}
#endif

/* A short life: the tables are made and go. */
static void child_short(int argc, char **argv)
{
	char *p = map_anon(4 * P, 0);

	fill(p, 4 * P, 1);
	/* The vDSO and the stack are there anyway; once more after fork(). */
	if (!fork())
		_exit(!filled(p, 4 * P, 1));
	wait(NULL);
}

/* What must be back where it was, in kB, but for what others do meanwhile. */
static const struct {
	const char *name;
	long most;
} leaks[] = {
	{ "PageTables", 2048 },
	{ "SUnreclaim", 8192 },
	{ "MemFree", 24576 },
};

static void count_memory(long *kb)
{
	size_t i;

	/* What RCU is about to free, and what CPUs keep. */
	for (i = 0; i < 10; i++) {
		usleep(100000);
		write_file("/proc/sys/vm/drop_caches", "3");
	}
	for (i = 0; i < ARRAY_SIZE(leaks); i++)
		kb[i] = meminfo_kb(leaks[i].name);
}

/* KASAN keeps what was freed for a while. */
static bool have_kasan(void)
{
	char line[256];
	bool have = false;
	FILE *f = fopen("/proc/kallsyms", "r");

	while (f && !have && fgets(line, sizeof(line), f))
		have = strstr(line, " kasan_quarantine_put");
	if (f)
		fclose(f);
	return have;
}

/* As little as fork() and execve() can be; such a program exits with its page. */
static bool run_small(unsigned int shift)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execl("./probe_64k", "probe", NULL);
		_exit(99);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == (int)shift;
}

static void child_leak(int argc, char **argv)
{
	const bool kasan = have_kasan();
	const unsigned int rounds = number("PAGES_ROUNDS", 100);
	unsigned int shift = __builtin_ctzl(P), i;
	long before[ARRAY_SIZE(leaks)], after[ARRAY_SIZE(leaks)], pte;
	/* With a larger one now and then, where it would take hours. */
	const unsigned int each = rounds > 1000 ? 64 : 1;

	if (access("/proc/sys/vm/drop_caches", W_OK))
		child_skip("wants root");
	hardware_kb();
	if (!CHECK(!go_home()))
		return;
	if (access("./probe_64k", X_OK))
		child_skip("no probe_64k beside this program");
	for (i = 0; i < 20; i++)
		CHECK(!run_child(shift, "short", NULL) && run_small(shift));
	count_memory(before);
	pte = status_kb("VmPTE");
	for (i = 0; i < rounds; i++)
		if (!CHECK(i % each ? run_small(shift) :
			   !run_child(shift, "short", NULL)))
			return;
	CHECK(status_kb("VmPTE") <= pte);
	count_memory(after);
	for (i = 0; i < ARRAY_SIZE(leaks); i++) {
		const long most = leaks[i].most * (kasan ? 4 : 1);
		long more = after[i] - before[i];

		if (!strcmp(leaks[i].name, "MemFree"))
			more = -more;
		printf("# %u rounds: %s %ld kB, at most %ld\n", rounds,
		       leaks[i].name, more, most);
		CHECK(before[i] >= 0 && more <= most);
	}
	CHECK_NATIVE();
}

#define FAR	32
#define FAR_STEP	0x10000000000UL

/* One page in each of some places that have page tables of their own. */
static void map_far(void)
{
	unsigned long i;

	for (i = 1; i <= FAR; i++) {
		char *p = mmap((void *)(i * FAR_STEP), P,
			       PROT_READ | PROT_WRITE, MAP_PRIVATE |
			       MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

		if (!CHECK(p == (void *)(i * FAR_STEP)))
			return;
		*p = 1;
	}
}

static void unmap_far(void)
{
	unsigned long i;

	for (i = 1; i <= FAR; i++)
		CHECK(!munmap((void *)(i * FAR_STEP), P));
}

/* Page tables, in kB: of the cgroup, and all there are. */
static void count_tables(const char *stat, long *kb)
{
	/* What CPUs have counted for themselves, too. */
	put("/proc/sys/vm/stat_refresh", "1");
	kb[0] = counter(stat, "pagetables") >> 10;
	kb[1] = meminfo_kb("PageTables");
}

/*
 * What the processes before this one had is freed with some delay; and cgroups
 * are told of a little only every two seconds.
 */
static void count_settled_tables(const char *stat, long *kb)
{
	int i, same = 0;
	long last[2];

	count_tables(stat, kb);
	for (i = 0; i < 100 && same < 30; i++) {
		memcpy(last, kb, sizeof(last));
		usleep(100000);
		count_tables(stat, kb);
		same = memcmp(last, kb, sizeof(last)) ? 0 : same + 1;
	}
}

/*
 * Sooner or later, both accounts have that many kB more than before, or less
 * than that if it is to become less. Others have page tables, too.
 */
static bool tables_are(const char *stat, const long *before, long kb, bool less)
{
	long now[2];
	int i, j;

	for (i = 0; i < 100; i++) {
		bool right = true;

		count_tables(stat, now);
		for (j = 0; j < 2; j++)
			right &= less ? now[j] <= before[j] + kb :
					now[j] >= before[j] + kb;
		if (right)
			return true;
		usleep(100000);
	}
	printf("# %ld and %ld kB before, %ld and %ld now, %ld wanted\n",
	       before[0], before[1], now[0], now[1], kb);
	return false;
}

/* Whoever makes page tables pays for them, and for the native ones as well. */
static void child_account(int argc, char **argv)
{
	long before[2], own, more;
	char *cgroup, stat[96];
	int fds[2];
	pid_t child;

	hardware_kb();
	cgroup = new_cgroup(512 * SZ_1M, true);
	if (!cgroup)
		child_skip("no cgroup with memory (root, CONFIG_MEMCG)");
	snprintf(stat, sizeof(stat), "%s/memory.stat", cgroup);
	enter(cgroup);
	/* Once before it counts: what the test itself touches has tables, too. */
	map_far();
	unmap_far();
	count_settled_tables(stat, before);
	own = status_kb("VmPTE");
	map_far();
	more = status_kb("VmPTE") - own;
	printf("# %ld kB of page tables\n", more);
	/*
	 * For each of them three, of which a native one, or that of a kernel
	 * with 64K pages, may serve several.
	 */
	CHECK(more >= FAR * (kernel_page_size() < SZ_64K ? 2 : 1) *
		      (long)kernel_page_size() >> 10);
	if (kernel_page_size() < P && hardware_kb() == (long)P >> 10)
		CHECK(more >= FAR * (long)P >> 10);
	CHECK(tables_are(stat, before, more - more / 4, false));
	unmap_far();
	CHECK(status_kb("VmPTE") <= own);
	CHECK(tables_are(stat, before, more / 4, true));

	/* And those that exit() finds. */
	CHECK(!pipe(fds));
	child = fork();
	if (!child) {
		map_far();
		CHECK(write(fds[1], "", 1) == 1);
		pause();
	}
	CHECK(read(fds[0], stat + sizeof(stat) - 1, 1) == 1);
	CHECK(tables_are(stat, before, more - more / 4, false));
	kill(child, SIGKILL);
	CHECK(waitpid(child, NULL, 0) == child);
	CHECK(tables_are(stat, before, more / 4, true));
	CHECK(put("/sys/fs/cgroup/cgroup.procs", "0"));
	CHECK(!rmdir(cgroup));
	CHECK_NATIVE();
}

/*
 * Addresses of more than 48 bits, which only a hint gives. Where the kernel has
 * none, the hint is void.
 */
static void child_high(int argc, char **argv)
{
	const unsigned long limit = 1UL << 48, top = 1UL << 52;
	const size_t len = 64 * P;
	const unsigned long hints[] = { limit + P, 3 * (top / 4) - P, top - len };
	const size_t nr = ARRAY_SIZE(hints);
	int fd = temp_file(NULL);
	long before = 0;
	bool have;
	char *p, *q;
	size_t i;
	int status;
	pid_t pid;

	hardware_kb();
	p = mmap((void *)hints[0], P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
		 MAP_FIXED_NOREPLACE, -1, 0);
	have = p == (void *)hints[0];
	if (have)
		CHECK(!munmap(p, P));
	else
		CHECK(p == MAP_FAILED && errno == ENOMEM);
	printf("# addresses of %d bits\n", have ? 52 : 48);
	for (i = 0; i < 2 * nr; i++) {
		/* The first time, the test itself touches something new. */
		if (i == nr)
			before = status_kb("VmPTE");
		p = mmap((void *)hints[i % nr], len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (!CHECK(p != MAP_FAILED))
			return;
		if (have)
			CHECK((unsigned long)p == hints[i % nr]);
		else
			CHECK((unsigned long)p < limit);
		fill(p, len, i);
		CHECK(filled(p, len, i));
		pid = fork();
		if (!pid) {
			CHECK(filled(p, len, i));
			fill(p, len / 2, i + 1);
			CHECK(filled(p, len / 2, i + 1));
			CHECK_NATIVE();
			fflush(stdout);
			_exit(child_failures());
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
		CHECK(filled(p, len, i));
		/* To where addresses are by default, and back. */
		q = map_anon(len, 0);
		CHECK((unsigned long)q < limit);
		CHECK(mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q);
		CHECK(load_signal(p) == SIGSEGV);
		CHECK(filled(q, len, i));
		CHECK(mremap(q, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p);
		CHECK(load_signal(q) == SIGSEGV);
		CHECK(filled(p, len, i));
		CHECK(!mprotect(p, len, PROT_READ));
		CHECK(store_signal(p + len - 1) == SIGSEGV);
		/* The kernel's own accesses, to what is there and what is not. */
		CHECK(pwrite(fd, p, len, 0) == (ssize_t)len);
		CHECK(!mprotect(p, len, PROT_READ | PROT_WRITE));
		CHECK(!madvise(p, len, MADV_DONTNEED));
		CHECK(pread(fd, p, len, 0) == (ssize_t)len);
		CHECK(filled(p, len, i));
		CHECK(!munmap(p, len));
		CHECK(load_signal(p) == SIGSEGV);
	}
	CHECK(status_kb("VmPTE") <= before);
	CHECK_NATIVE();
}

static const struct child children[] = {
	{ "start", child_start },
	{ "anon", child_anon },
	{ "file", child_file },
	{ "huge", child_huge },
	{ "khugepaged", child_khugepaged },
	{ "hugetlb", child_hugetlb },
	{ "threads", child_threads },
	{ "tail", child_tail },
	{ "unshared", child_unshared },
	{ "sharer", child_sharer },
	{ "device", child_device },
	{ "probe", child_probe },
	{ "ring", child_ring },
	{ "referenced", child_referenced },
	{ "demote", child_demote },
	{ "retry", child_retry },
	{ "vfat", child_vfat },
	{ "remote", child_remote },
	{ "perf", child_perf },
	{ "refill", child_refill },
	{ "faults", child_faults },
	{ "moved", child_moved },
	{ "fatal", child_fatal },
	{ "no-table", child_no_table },
	{ "sweep", child_sweep },
	{ "walk", child_walk },
	{ "ipi", child_ipi },
	{ "alternate", child_alternate },
	{ "guest", child_guest },
	{ "short", child_short },
	{ "leak", child_leak },
	{ "account", child_account },
	{ "high", child_high },
	{ }
};

TEST_F(pages, start)
{
	EXPECT_CHILD("start");
}

TEST_F(pages, anon)
{
	EXPECT_CHILD("anon");
}

TEST_F(pages, file)
{
	EXPECT_CHILD("file");
}

TEST_F_TIMEOUT(pages, huge, 120)
{
	EXPECT_CHILD("huge");
}

TEST_F_TIMEOUT(pages, khugepaged, 120)
{
	static const char *const names[] = {
		THP "khugepaged/scan_sleep_millisecs",
		THP "khugepaged/alloc_sleep_millisecs",
	};
	long old[ARRAY_SIZE(names)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		old[i] = read_number(names[i]);
	if (!have_thp() || access(names[0], W_OK))
		SKIP(return, "no khugepaged or not root");
	for (i = 0; i < ARRAY_SIZE(names); i++)
		EXPECT_TRUE(put_number(names[i], 10));
	EXPECT_CHILD("khugepaged");
	for (i = 0; i < ARRAY_SIZE(names); i++)
		EXPECT_TRUE(put_number(names[i], old[i]));
}

TEST_F_TIMEOUT(pages, hugetlb, 300)
{
	EXPECT_CHILD("hugetlb");
}

TEST_F(pages, unshared)
{
	/* The child is content without. */
	const char *path = "/proc/sys/vm/nr_hugepages";
	const long old = read_number(path);

	put_number(path, old + 8);
	EXPECT_CHILD("unshared");
	put_number(path, old);
}

TEST_F(pages, tail)
{
	EXPECT_CHILD("tail");
}

TEST_F(pages, device)
{
	EXPECT_CHILD("device");
}

TEST_F_TIMEOUT(pages, threads, 120)
{
	EXPECT_CHILD("threads");
}

TEST_F(pages, probe)
{
	EXPECT_CHILD("probe");
}

TEST_F(pages, ring)
{
	EXPECT_CHILD("ring");
}

TEST_F(pages, referenced)
{
	EXPECT_CHILD("referenced");
}

TEST_F_TIMEOUT(pages, demote, 180)
{
	EXPECT_CHILD("demote");
}

TEST_F_TIMEOUT(pages, retry, 120)
{
	EXPECT_CHILD("retry");
}

TEST_F_TIMEOUT(pages, vfat, 60)
{
	if (!mount_vfat())
		SKIP(return, "no vfat, mkfs.vfat or root");
	EXPECT_CHILD("vfat");
	drop_vfat();
}

TEST_F_TIMEOUT(pages, remote, 60)
{
	const bool have_vfat = mount_vfat();

	EXPECT_CHILD("remote", "ring");
	if (have_vfat)
		EXPECT_CHILD("remote", "vfat");
	else
		TH_LOG("no vfat, mkfs.vfat or root");
	drop_vfat();
}

TEST_F(pages, perf)
{
	EXPECT_CHILD("perf");
}

TEST_F_TIMEOUT(pages, refill, 60)
{
	EXPECT_CHILD("refill");
}

TEST_F(pages, faults)
{
	EXPECT_CHILD("faults");
}

TEST_F(pages, moved)
{
	EXPECT_CHILD("moved");
}

TEST_F(pages, fatal)
{
	EXPECT_CHILD("fatal");
}

TEST_F_TIMEOUT(pages, no_table, 60)
{
	EXPECT_CHILD("no-table");
}

TEST_F(pages, sweep)
{
	EXPECT_CHILD("sweep");
}

TEST_F(pages, walk)
{
	EXPECT_CHILD("walk");
}

/* Whether the scheduler may interrupt a CPU to have it wake a task. */
static void wake_by_ipi(bool on)
{
	int fd = open("/sys/kernel/debug/sched/features", O_WRONLY);

	if (fd < 0)
		return;
	dprintf(fd, "%sTTWU_QUEUE", on ? "" : "NO_");
	close(fd);
}

TEST_F_TIMEOUT(pages, ipi, 240)
{
	static const char * const who[] = { "one", "both" };
	unsigned int i, try;
	bool have_vfat;
	cpu_set_t all;
	int ret;

	if (!have_feature())
		SKIP(return, "no page sizes of processes");
	/* From its beginning on, the child is on no other CPU. */
	ASSERT_EQ(0, sched_getaffinity(0, sizeof(all), &all));
	run_on(0);
	have_vfat = mount_vfat();
	if (!have_vfat)
		TH_LOG("no vfat, mkfs.vfat or root");
	wake_by_ipi(false);
	for (i = 0; i < (have_vfat ? 4 : 2); i++) {
		/* Others interrupt CPUs, too, but not each time. */
		for (try = 0; try < 40; try++) {
			ret = run_child(variant->shift, "ipi", self->text,
					who[i % 2], i < 2 ? "ring" : "vfat",
					NULL);
			if (ret != INTERRUPTED)
				break;
		}
		if (ret == KSFT_SKIP)
			break;
		EXPECT_EQ(0, ret);
	}
	wake_by_ipi(true);
	if (have_vfat)
		drop_vfat();
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(all), &all));
	if (ret == KSFT_SKIP)
		SKIP(return, "skipped in the child");
}

TEST_F_TIMEOUT(pages, leak, 7200)
{
	EXPECT_CHILD("leak");
}

TEST_F_TIMEOUT(pages, account, 120)
{
	EXPECT_CHILD("account");
}

/* On one CPU with processes of the kernel's page, and from CPU to CPU. */
TEST_F_TIMEOUT(pages, alternate, 1200)
{
	static const char * const how[] = { "stay", "move" };
	pid_t pids[6];
	int i;

	for (i = 0; i < 6; i++) {
		const char *const argv[] = {
			"alternate", self->text, how[i % 2], NULL
		};

		pids[i] = start_child(i < 4 ? variant->shift : DEFAULT_SIZE,
				      argv, NULL);
	}
	for (i = 0; i < 6; i++) {
		int ret = finish_child(pids[i]);

		/* Without a granule, it was checked all the same. */
		if (ret != KSFT_SKIP)
			EXPECT_EQ(0, ret);
	}
}

/* A virtual machine leaves the processor to processes as it was. */
TEST_F_TIMEOUT(pages, guest, 1200)
{
	pid_t pids[3];
	int i;

	for (i = 0; i < 3; i++) {
		const char *const argv[] = {
			i ? "alternate" : "guest", self->text, "stay", NULL
		};

		pids[i] = start_child(i ? variant->shift : DEFAULT_SIZE, argv,
				      NULL);
	}
	for (i = 0; i < 3; i++) {
		int ret = finish_child(pids[i]);

		if (i && ret == KSFT_SKIP)
			continue;
		if (ret == KSFT_SKIP) {
			finish_child(pids[1]);
			finish_child(pids[2]);
			SKIP(return, "no virtual machines here");
		}
		EXPECT_EQ(0, ret);
	}
}

TEST_F(pages, high)
{
	EXPECT_CHILD("high");
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
