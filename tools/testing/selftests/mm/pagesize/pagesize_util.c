// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "pagesize.h"

#define EXEC_FAILED	101	/* exit status: errno is in the pipe */

static int failures;

unsigned long per_page_size(unsigned int shift)
{
	return shift ? (unsigned long)(shift - 11) << 8 : 0;
}

unsigned long page_size(void)
{
	return getauxval(AT_PAGESZ);
}

unsigned long status_page_size(pid_t pid)
{
	unsigned long kb = 0;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid ?: getpid());
	f = fopen(path, "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "ProcessPageSize: %lu kB", &kb) == 1)
			break;
	fclose(f);
	return kb * 1024;
}

bool have_feature(void)
{
	return status_page_size(0);
}

unsigned long kernel_page_size(void)
{
	static const char *const argv[] = { "page-size", NULL };
	unsigned long size = 0;
	char text[32] = "";
	int out;
	pid_t pid;

	if (!have_feature())
		return page_size();
	pid = start_child(DEFAULT_SIZE, argv, &out);
	if (pid < 0)
		return 0;
	if (read(out, text, sizeof(text) - 1) > 0)
		size = strtoul(text, NULL, 10);
	close(out);
	finish_child(pid);
	return size;
}

bool size_offered(unsigned int shift)
{
	if (!shift)
		return true;
	return have_feature() && 1UL << shift >= kernel_page_size();
}

int set_page_size(unsigned int shift)
{
	unsigned long old = personality(PER_QUERY);

	return personality((old & ~PER_PAGE_SIZE_MASK) | per_page_size(shift));
}

pid_t start_child(unsigned int shift, const char *const argv[], int *out)
{
	const char *args[16] = { "/proc/self/exe", "--child" };
	int fds[2], i;
	pid_t pid;

	for (i = 0; argv[i] && i < 13; i++)
		args[i + 2] = argv[i];
	if (out && pipe(fds))
		return -1;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (out) {
			dup2(fds[1], STDOUT_FILENO);
			close(fds[0]);
			close(fds[1]);
		}
		if (set_page_size(shift) < 0)
			_exit(KSFT_SKIP);
		execv(args[0], (char **)args);
		_exit(EXEC_FAILED);
	}
	if (out) {
		close(fds[1]);
		*out = fds[0];
	}
	return pid;
}

int finish_child(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	if (WIFSIGNALED(status))
		printf("# the child died from signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int run_child(unsigned int shift, const char *name, ...)
{
	const char *argv[8] = { name };
	va_list ap;
	int i = 0;

	va_start(ap, name);
	do {
		argv[++i] = va_arg(ap, const char *);
	} while (argv[i] && i < 7);
	va_end(ap);
	return finish_child(start_child(shift, argv, NULL));
}

int run_program(unsigned int shift, const char *path, char *const argv[])
{
	int fds[2], err = 0, status;
	pid_t pid;

	if (pipe(fds))
		return -errno;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(fds[0]);
		/* Closes on success; else errno goes through. */
		if (dup3(fds[1], 100, O_CLOEXEC) < 0)
			_exit(EXEC_FAILED);
		close(fds[1]);
		err = set_page_size(shift) < 0 ? errno : 0;
		if (!err) {
			execv(path, argv);
			err = errno;
		}
		if (write(100, &err, sizeof(err)) != sizeof(err))
			_exit(EXEC_FAILED);
		_exit(EXEC_FAILED);
	}
	close(fds[1]);
	if (read(fds[0], &err, sizeof(err)) != sizeof(err))
		err = 0;
	close(fds[0]);
	status = finish_child(pid);
	return err ? -err : status;
}

int go_home(void)
{
	char path[4096];
	ssize_t len;

	len = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (len < 0)
		return -1;
	path[len] = 0;
	return chdir(dirname(path));
}

bool walk_mappings(bool (*fn)(const struct mapping *m, void *arg), void *arg)
{
	char line[512];
	bool found = false;
	FILE *f;

	f = fopen("/proc/self/maps", "r");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		struct mapping m = { };

		if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %255s", &m.start,
			   &m.end, m.perms, &m.offset, m.name) >= 4)
			found = fn(&m, arg);
	}
	fclose(f);
	return found;
}

struct search {
	const char *name;
	const void *addr;
	struct mapping *found;
};

static bool matches(const struct mapping *m, void *arg)
{
	struct search *search = arg;
	unsigned long addr = (unsigned long)search->addr;

	if (search->name ? strcmp(m->name, search->name) :
			   addr < m->start || addr >= m->end)
		return false;
	*search->found = *m;
	return true;
}

bool mapping_named(const char *name, struct mapping *found)
{
	struct search search = { .name = name, .found = found };

	return walk_mappings(matches, &search);
}

bool mapping_at(const void *addr, struct mapping *found)
{
	struct search search = { .addr = addr, .found = found };

	return walk_mappings(matches, &search);
}

void fill(char *p, size_t len, unsigned long seed)
{
	size_t off;

	for (off = 0; off < len; off += 512)
		*(unsigned long *)(p + off) = seed + off;
}

bool filled(const char *p, size_t len, unsigned long seed)
{
	size_t off;

	for (off = 0; off < len; off += 512) {
		if (*(unsigned long *)(p + off) == seed + off)
			continue;
		printf("# at %#lx: %#lx\n", off, *(unsigned long *)(p + off));
		return false;
	}
	return true;
}

bool all_zero(const char *p, size_t len)
{
	size_t off;

	for (off = 0; off < len; off++) {
		if (!p[off])
			continue;
		printf("# at %#lx: %#x\n", off, p[off]);
		return false;
	}
	return true;
}

char *map_anon(size_t len, int flags)
{
	if (!(flags & MAP_SHARED))
		flags |= MAP_PRIVATE;
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags,
		    -1, 0);
}

int temp_file(const char *dir)
{
	char path[4096];
	int fd;

	if (!dir)
		dir = getenv("PAGES_DIR") ?: getenv("TMPDIR") ?: "/tmp";
	snprintf(path, sizeof(path), "%s/pagesize.XXXXXX", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static sigjmp_buf after_fault;

static void on_fault(int sig)
{
	siglongjmp(after_fault, sig);
}

static int access_signal(char *p, bool store)
{
	static const int signals[] = { SIGBUS, SIGSEGV };
	struct sigaction old[2], new = { .sa_handler = on_fault };
	size_t i;
	int sig;

	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &new, &old[i]);
	sig = sigsetjmp(after_fault, 1);
	if (!sig) {
		char c = __atomic_load_n(p, __ATOMIC_RELAXED);

		if (store)
			__atomic_store_n(p, c, __ATOMIC_RELAXED);
	}
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &old[i], NULL);
	return sig;
}

int load_signal(const void *p)
{
	return access_signal((char *)p, false);
}

int store_signal(void *p)
{
	return access_signal(p, true);
}

static long find_kb(const char *path, unsigned long addr, const char *name)
{
	unsigned long start, end;
	char line[512], perms[8];
	bool here = !addr;
	long kb = -1;
	size_t len = strlen(name);
	FILE *f;

	f = fopen(path, "r");
	if (!f)
		return -1;
	while (kb < 0 && fgets(line, sizeof(line), f)) {
		if (addr && sscanf(line, "%lx-%lx %7s", &start, &end,
				   perms) == 3)
			here = addr >= start && addr < end;
		else if (here && !strncmp(line, name, len) && line[len] == ':')
			kb = strtol(line + len + 1, NULL, 10);
	}
	fclose(f);
	return kb;
}

long smaps_kb(const void *addr, const char *name)
{
	return find_kb("/proc/self/smaps", (unsigned long)addr, name);
}

long status_kb(const char *name)
{
	return find_kb("/proc/self/status", 0, name);
}

long meminfo_kb(const char *name)
{
	return find_kb("/proc/meminfo", 0, name);
}

long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

bool drop_page_cache(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	bool done;

	if (fd < 0)
		return false;
	done = write(fd, "1", 1) == 1;
	close(fd);
	return done;
}

void check_failed(const char *file, int line, const char *what)
{
	printf("# %s:%d: %lu byte pages: failed: %s\n", file, line,
	       page_size(), what);
	failures++;
}

int child_failures(void)
{
	return failures < 100 ? failures : 100;
}

void child_skip(const char *why)
{
	printf("# skipped: %s\n", why);
	fflush(stdout);
	_exit(KSFT_SKIP);
}

int child_main(const struct child *children, int argc, char **argv)
{
	const char *name = basename(argv[0]);

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(name, "page-size")) {
		printf("%lu\n", page_size());
		return 0;
	}
	for (; children->name; children++) {
		if (strcmp(children->name, name))
			continue;
		children->fn(argc, argv);
		fflush(stdout);
		return failures == KSFT_SKIP ? failures + 1 : child_failures();
	}
	printf("# no child function %s\n", name);
	return 100;
}
