// SPDX-License-Identifier: GPL-2.0
/*
 * What page faults and memory cost at the page size that it is started with: a
 * line for each thing measured, "NAME minor N major N rss N pte N", the latter
 * two in kB and not of programs that are started. Not a test; to be run as root,
 * with transparent_hugepage/enabled at "never" for figures that compare.
 *
 * A plugin of an emulator may count instructions between two that do nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "pagesize.h"

#define TREE_FILES	2000
#define PROGRAMS	300

static inline void count_from_here(void)
{
#ifdef __aarch64__
	asm volatile("movz xzr, #0xc0b1" : : : "memory");
#endif
}

static inline void count_to_here(void)
{
#ifdef __aarch64__
	asm volatile("movz xzr, #0xc0b2" : : : "memory");
#endif
}

static unsigned long length = 1UL << 30;
static char buffer[1 << 20];

struct figures {
	const char *name;
	int who;
	struct rusage usage;
	long rss, pte;
};

static void __noreturn fail(const char *what)
{
	fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void begin(struct figures *f, const char *name, int who)
{
	f->name = name;
	f->who = who;
	f->rss = status_kb("VmRSS");
	f->pte = status_kb("VmPTE");
	getrusage(who, &f->usage);
	count_from_here();
}

static void end(const struct figures *f)
{
	struct rusage now;

	count_to_here();
	getrusage(f->who, &now);
	printf("%s minor %ld major %ld", f->name,
	       now.ru_minflt - f->usage.ru_minflt,
	       now.ru_majflt - f->usage.ru_majflt);
	if (f->who == RUSAGE_SELF)
		printf(" rss %ld pte %ld", status_kb("VmRSS") - f->rss,
		       status_kb("VmPTE") - f->pte);
	printf("\n");
	fflush(stdout);
}

static void forget(int fd)
{
	if (fsync(fd))
		fail("fsync");
	if (!drop_page_cache())
		fail("drop_caches");
}

static int new_file(void)
{
	unsigned long done;
	int fd = temp_file(NULL);

	if (fd < 0)
		fail("new file");
	for (done = 0; done < length; done += sizeof(buffer))
		if (write(fd, buffer, sizeof(buffer)) != sizeof(buffer))
			fail("write");
	forget(fd);
	return fd;
}

static void touch(char *p, bool write)
{
	unsigned long off;

	for (off = 0; off < length; off += SZ_4K) {
		if (write)
			__atomic_store_n(p + off, 1, __ATOMIC_RELAXED);
		else
			__atomic_load_n(p + off, __ATOMIC_RELAXED);
	}
}

static void map_file(const char *name, int fd)
{
	struct figures f;
	char *p;

	p = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		fail("mmap");
	begin(&f, name, RUSAGE_SELF);
	touch(p, false);
	end(&f);
	munmap(p, length);
}

static void measure_anon(void)
{
	struct figures f;
	char *p = map_anon(length, MAP_PRIVATE);

	if (p == MAP_FAILED)
		fail("mmap");
	begin(&f, "anon", RUSAGE_SELF);
	touch(p, true);
	end(&f);
	munmap(p, length);
}

/* A file that nobody has in memory; and once more, when it is there. */
static void measure_map(void)
{
	int fd = new_file();

	map_file("map-cold", fd);
	map_file("map-cached", fd);
	close(fd);
}

/* The same, where read() made the page cache. */
static void measure_read(void)
{
	struct figures f;
	unsigned long done;
	int fd = new_file();

	lseek(fd, 0, SEEK_SET);
	begin(&f, "read", RUSAGE_SELF);
	for (done = 0; done < length; done += sizeof(buffer))
		if (read(fd, buffer, sizeof(buffer)) != sizeof(buffer))
			fail("read");
	end(&f);
	map_file("map-read", fd);
	close(fd);
}

/* Memory that comes and goes, and faults in memory that stays mapped. */
static void measure_mmap(void)
{
	struct figures f;
	unsigned int i;

	begin(&f, "mmap", RUSAGE_SELF);
	for (i = 0; i < 2000; i++) {
		char *p = map_anon(1 << 20, MAP_PRIVATE);

		if (p == MAP_FAILED)
			fail("mmap");
		*p = 1;
		munmap(p, 1 << 20);
	}
	end(&f);
}

static void measure_fault(void)
{
	const unsigned long size = 16 << 20;
	char *p = map_anon(size, MAP_PRIVATE);
	struct figures f;
	unsigned long off;
	unsigned int i;

	if (p == MAP_FAILED)
		fail("mmap");
	begin(&f, "fault", RUSAGE_SELF);
	for (i = 0; i < 4; i++) {
		for (off = 0; off < size; off += SZ_4K)
			__atomic_store_n(p + off, 1, __ATOMIC_RELAXED);
		if (madvise(p, size, MADV_DONTNEED))
			fail("madvise");
	}
	end(&f);
	munmap(p, size);
}

/* Bytes of native page tables, where the debug option of arm64 tells. */
static long native_bytes(void)
{
	static const char dir[] = "/sys/kernel/debug/native_pgtable";
	long pages, bytes = 0, first;
	char line[256];
	FILE *f;

	snprintf(line, sizeof(line), "%s/pid", dir);
	f = fopen(line, "w");
	if (!f)
		return 0;
	fprintf(f, "%d", getpid());
	fclose(f);
	snprintf(line, sizeof(line), "%s/table", dir);
	f = fopen(line, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%ld pages, %ld bytes of tables and %ld",
			   &pages, &bytes, &first) == 3)
			break;
	if (f)
		fclose(f);
	return bytes;
}

struct tables {
	long pte, meminfo, native;
};

static long page_tables_kb(void)
{
	FILE *f = fopen("/proc/sys/vm/stat_refresh", "w");

	/* What each CPU has counted for itself is in it then. */
	if (f) {
		fputs("1", f);
		fclose(f);
	}
	return meminfo_kb("PageTables");
}

static struct tables tables_now(void)
{
	long last, kb = page_tables_kb();
	unsigned int i, same = 0;

	/* What was unmapped is freed with some delay. */
	for (i = 0; i < 50 && same < 5; i++) {
		last = kb;
		usleep(100000);
		kb = page_tables_kb();
		same = kb == last ? same + 1 : 0;
	}
	return (struct tables) {
		.pte = status_kb("VmPTE"),
		.meminfo = kb,
		.native = native_bytes() / 1024,
	};
}

static void show_tables(const char *name, struct tables before)
{
	const struct tables now = tables_now();

	printf("tables-%s pte %ld meminfo %ld native %ld\n", name,
	       now.pte - before.pte, now.meminfo - before.meminfo,
	       now.native - before.native);
	fflush(stdout);
}

/*
 * Page tables of much memory in one mapping, and of a little in each of many:
 * it is only read, so that it need not be there.
 */
static void measure_tables(void)
{
	static const struct {
		const char *name;
		unsigned long size;
	} dense[] = {
		{ "16m", 16UL << 20 }, { "1g", 1UL << 30 }, { "8g", 8UL << 30 },
	};
	const struct tables before = tables_now();
	char *const base = (char *)(1UL << 44);
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
			  MAP_FIXED_NOREPLACE;
	unsigned long off;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(dense); i++) {
		char *p = mmap(base, dense[i].size, PROT_READ, flags, -1, 0);

		if (p != base)
			fail("mmap");
		for (off = 0; off < dense[i].size; off += page_size())
			__atomic_load_n(p + off, __ATOMIC_RELAXED);
		show_tables(dense[i].name, before);
		munmap(p, dense[i].size);
	}
	for (i = 0; i < 100; i++) {
		char *p = base + ((unsigned long)i << 30);

		if (mmap(p, page_size(), PROT_READ, flags, -1, 0) != p)
			fail("mmap");
		__atomic_load_n(p, __ATOMIC_RELAXED);
	}
	show_tables("sparse", before);
	for (i = 0; i < 100; i++)
		munmap(base + ((unsigned long)i << 30), page_size());
	show_tables("after", before);
}

static void run(char *const argv[], unsigned int times)
{
	int status;
	pid_t pid;

	while (times--) {
		pid = fork();
		if (!pid) {
			execv(argv[0], argv);
			_exit(127);
		}
		if (waitpid(pid, &status, 0) != pid || status) {
			errno = ENOEXEC;
			fail(argv[0]);
		}
	}
}

static void measure_exec(void)
{
	char *const argv[] = { "/bin/true", NULL };
	struct figures f;

	run(argv, 1);
	begin(&f, "exec", RUSAGE_CHILDREN);
	run(argv, PROGRAMS);
	end(&f);
}

static void measure_python(void)
{
	char *const argv[] = {
		"/usr/bin/python3", "-c", "import json, re, asyncio", NULL
	};
	/* What the kernel counts on the way is not exact, page tables are. */
	char *const rss[] = {
		"/usr/bin/python3", "-c", "import json, re, asyncio\n"
		"for line in open('/proc/self/smaps_rollup'):\n"
		"  if line.startswith('Rss:'):\n"
		"    print('python-rss rss', line.split()[1])", NULL
	};
	struct figures f;

	run(argv, 1);
	begin(&f, "python", RUSAGE_CHILDREN);
	run(argv, 1);
	end(&f);
	run(rss, 1);
}

/* Read small files: how much of the page cache do they take? */
static void measure_tree(void)
{
	struct {
		uint64_t off, len;
	} all = { };
	struct {
		uint64_t cache, dirty, writeback, evicted, recently_evicted;
	} stat;
	const struct rlimit limit = { TREE_FILES + 100, TREE_FILES + 100 };
	unsigned long cached = 0, size = 0;
	unsigned int i;
	int fds[TREE_FILES];

	setrlimit(RLIMIT_NOFILE, &limit);
	for (i = 0; i < TREE_FILES; i++) {
		/* From nothing to 30,000 bytes, half of them below 7,500. */
		unsigned long x = i * 7919UL % TREE_FILES;
		ssize_t len = x * x * 30000 / TREE_FILES / TREE_FILES;

		fds[i] = temp_file(NULL);
		if (fds[i] < 0 || write(fds[i], buffer, len) != len ||
		    fsync(fds[i]))
			fail("tree");
		size += len;
	}
	sync();
	if (!drop_page_cache())
		fail("drop_caches");
	for (i = 0; i < TREE_FILES; i++) {
		if (pread(fds[i], buffer, sizeof(buffer), 0) < 0)
			fail("read");
		if (syscall(__NR_cachestat, fds[i], &all, &stat, 0))
			fail("cachestat");
		cached += stat.cache * page_size();
		close(fds[i]);
	}
	printf("tree files %u bytes %lu cache %lu\n", TREE_FILES, size,
	       cached / 1024);
}

/* Be there, with memory of one's own, while somebody else measures. */
static void stay(bool busy)
{
	const size_t len = 16 * page_size();
	char *p = map_anon(64 << 20, MAP_PRIVATE);
	int fd = temp_file(NULL);

	memset(p, 1, 64 << 20);
	/* Beside the files that others read. */
	if (fd < 0 || ftruncate(fd, len))
		fail("file");
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		fail("mmap");
	memset(p, 1, len);
	printf("hold %lu\n", page_size());
	fflush(stdout);
	if (!busy)
		pause();
	/* To have the CPU change from one to the other. */
	for (;;) {
		usleep(1000);
		p[0]++;
	}
}

static const struct {
	const char *name;
	void (*fn)(void);
} all[] = {
	{ "anon", measure_anon },
	{ "map", measure_map },
	{ "read", measure_read },
	{ "exec", measure_exec },
	{ "python", measure_python },
	{ "tree", measure_tree },
	{ "mmap", measure_mmap },
	{ "fault", measure_fault },
	{ "tables", measure_tables },
};

static void __noreturn usage(void)
{
	size_t i;

	fprintf(stderr, "Usage: measure [-m MIB] [hold|wake");
	for (i = 0; i < ARRAY_SIZE(all); i++)
		fprintf(stderr, "|%s", all[i].name);
	fprintf(stderr, "]...\n");
	exit(2);
}

int main(int argc, char **argv)
{
	size_t i;
	int opt;

	while ((opt = getopt(argc, argv, "m:")) != -1) {
		if (opt != 'm' || !atol(optarg))
			usage();
		length = strtoul(optarg, NULL, 10) << 20;
	}
	printf("pagesize %lu\n", page_size());
	if (optind == argc) {
		for (i = 0; i < ARRAY_SIZE(all); i++)
			all[i].fn();
		return 0;
	}
	for (; optind < argc; optind++) {
		if (!strcmp(argv[optind], "hold") ||
		    !strcmp(argv[optind], "wake"))
			stay(argv[optind][0] == 'w');
		for (i = 0; i < ARRAY_SIZE(all); i++)
			if (!strcmp(argv[optind], all[i].name))
				break;
		if (i == ARRAY_SIZE(all))
			usage();
		all[i].fn();
	}
	return 0;
}
