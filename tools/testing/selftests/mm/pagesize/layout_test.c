// SPDX-License-Identifier: GPL-2.0
/*
 * The address space that execve() makes: each mapping starts and ends at a
 * multiple of the process page, at addresses that differ from run to run.
 */
#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "pagesize_fixture.h"

/* Within one of the pages between two addresses. */
static bool misaligned(const struct mapping *m, void *arg)
{
	unsigned long mask = page_size() - 1;

	/* Offsets of special mappings are not offsets. */
	if (m->start & mask || m->end & mask ||
	    (m->name[0] == '/' && m->offset & mask)) {
		printf("# %lx-%lx %s %lx %s\n", m->start, m->end, m->perms,
		       m->offset, m->name);
		return true;
	}
	return false;
}

static void child_maps(int argc, char **argv)
{
	struct mapping m, vdso;
	unsigned long P = page_size();
	char *heap;

	CHECK(!walk_mappings(misaligned, NULL));

	heap = sbrk(3 * P + 1);
	CHECK(heap != (void *)-1);
	memset(heap, 1, 3 * P + 1);
	CHECK(mapping_named("[heap]", &m));
	CHECK(m.end > (unsigned long)heap + 3 * P);
	CHECK(m.end - (unsigned long)sbrk(0) < P);

	CHECK(mapping_named("[stack]", &m));
	CHECK(mapping_at(&m, &m) && !strcmp(m.name, "[stack]"));

	CHECK(mapping_named("[vdso]", &vdso));
	CHECK(vdso.start == getauxval(AT_SYSINFO_EHDR));
	CHECK(mapping_named("[vvar]", &m));
	/*
	 * The distance between data and text is fixed when the vDSO is linked;
	 * one vDSO may serve all sizes up to 64K.
	 */
	CHECK(m.end <= vdso.start);
	CHECK(vdso.start - m.start <= 8 * SZ_64K);
	CHECK(!memcmp((void *)vdso.start, ELFMAG, SELFMAG));

	CHECK(!walk_mappings(misaligned, NULL));
}

static void grow_stack(size_t bytes)
{
	char *p = alloca(SZ_4K);

	memset(p, 1, SZ_4K);
	if (bytes > SZ_4K)
		grow_stack(bytes - SZ_4K);
	/* Keep the frame. */
	__asm__ __volatile__("" : : "r"(p) : "memory");
}

static void child_stack(int argc, char **argv)
{
	struct mapping before, after;

	CHECK(mapping_named("[stack]", &before));
	grow_stack(1 << 20);
	CHECK(mapping_named("[stack]", &after));
	CHECK(after.end == before.end);
	CHECK(after.start < before.start);
	CHECK(before.start - after.start <= (1 << 20) + (1 << 19) + page_size());
	CHECK(!walk_mappings(misaligned, NULL));
}

/* Beyond its limit the stack does not grow. */
static void child_stack_limit(int argc, char **argv)
{
	struct rlimit limit = { 1 << 20, 1 << 20 };
	pid_t pid;
	int status;

	CHECK(!setrlimit(RLIMIT_STACK, &limit));
	pid = fork();
	if (!pid) {
		grow_stack(512 << 10);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	pid = fork();
	if (!pid) {
		grow_stack(2 << 20);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void child_brk(int argc, char **argv)
{
	unsigned long P = page_size(), start, step;
	struct mapping m;
	char *p;

	start = (unsigned long)sbrk(0);
	for (step = 1; step <= 4 * P; step = step * 3 + 1) {
		p = sbrk(step);
		CHECK(p != (void *)-1);
		memset(p, 0x55, step);
		CHECK(mapping_at(p, &m));
		CHECK(m.end - (unsigned long)sbrk(0) < P);
	}
	CHECK(!brk((void *)start));
	CHECK((unsigned long)sbrk(0) == start);
	/* What was given back and taken again is zero. */
	p = sbrk(4 * P);
	start = (start + P - 1) / P * P;
	for (p = (char *)start; p < (char *)start + 2 * P; p += 512)
		if (*p)
			break;
	CHECK(p >= (char *)start + 2 * P);
	CHECK(!walk_mappings(misaligned, NULL));
}

/* The places of everything, for the tester to compare. */
static void child_places(int argc, char **argv)
{
	static const char *const names[] = { "[stack]", "[vdso]", "[heap]" };
	struct mapping m;
	size_t i;

	if (sbrk(1) == (void *)-1)
		return;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (!mapping_named(names[i], &m))
			continue;
		/* The stack grows down: its end is what is random. */
		printf("%s %lx\n", names[i], i ? m.start : m.end);
	}
	printf("mmap %lx\n", (unsigned long)
	       mmap(NULL, 1, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	printf("sp %lx\n", (unsigned long)getauxval(AT_RANDOM) & ~0xful);
}

/* The page at 0 that some personalities get is a process page. */
static void child_page_zero(int argc, char **argv)
{
	struct mapping m;

	if (mapping_at(NULL, &m)) {
		CHECK(m.start == 0 && m.end == page_size());
		CHECK(!strcmp(m.perms, "r-xp"));
		return;
	}
	if (argc > 2)
		child_skip("no page at 0");
	personality(personality(PER_QUERY) | MMAP_PAGE_ZERO);
	execl("/proc/self/exe", "zero", "--child", "page-zero", argv[1], "again",
	      NULL);
	CHECK(!"executed");
}

static void child_sizes_in_core(int argc, char **argv)
{
	unsigned long P = page_size(), i;
	struct mapping m;
	char *p;

	/* Many small mappings with different protection do not merge. */
	for (i = 0; i < 16; i++) {
		p = mmap(NULL, 1 + i * 4096, i % 2 ? PROT_READ : PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(p != MAP_FAILED);
		CHECK(mapping_at(p, &m));
		CHECK((unsigned long)p % P == 0);
		CHECK(m.end - (unsigned long)p >= (i * 4096 + P) / P * P);
	}
	CHECK(!walk_mappings(misaligned, NULL));
}

static bool gap_is_chosen(void)
{
	FILE *f = fopen("/proc/cmdline", "re");
	char line[4096] = "";
	bool chosen;

	if (!f)
		return false;
	chosen = fgets(line, sizeof(line), f) &&
		 strstr(line, "stack_guard_gap=");
	fclose(f);
	return chosen;
}

/* Is memory mapped where it was asked to be? It is gone again. */
static bool is_free(char *p)
{
	unsigned long P = page_size();
	char *q = mmap(p, P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(q != MAP_FAILED && !munmap(q, P));
	return q == p;
}

/* The gap below what grows down: 256 pages of the kernel, whoever has it. */
static void child_guard_gap(int argc, char **argv)
{
	unsigned long P = page_size(), gap = 256 * kernel_page_size();
	char *room, *stack, *other;
	struct mapping m;

	if (gap_is_chosen())
		child_skip("stack_guard_gap= is on the command line");
	room = mmap(NULL, 3 * gap + 16 * P, PROT_NONE, MAP_PRIVATE |
		    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!CHECK(room != MAP_FAILED) ||
	    !CHECK(!munmap(room, 3 * gap + 16 * P)))
		return;
	stack = mmap(room + 2 * gap + 8 * P, 2 * P, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN |
		     MAP_FIXED_NOREPLACE, -1, 0);
	if (!CHECK(stack == room + 2 * gap + 8 * P))
		return;
	CHECK(is_free(stack - gap - P));
	CHECK(!is_free(stack - gap));
	CHECK(!is_free(stack - P));
	/* Above it there is none. */
	CHECK(is_free(stack + 2 * P));

	/* Who wants it has it, but it does not grow into the gap any more. */
	other = mmap(stack - gap - 2 * P, P, PROT_READ, MAP_PRIVATE |
		     MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(other == stack - gap - 2 * P);
	CHECK(store_signal(stack - 1) == 0);
	CHECK(mapping_at(stack, &m) && m.start == (unsigned long)stack - P);
	CHECK(store_signal(stack - P - 1) == SIGSEGV);
	/* Up to what cannot be accessed, it does. */
	CHECK(!mprotect(other, P, PROT_NONE));
	CHECK(store_signal(stack - P - 1) == 0);
	CHECK(mapping_at(stack, &m) && m.start == (unsigned long)stack - 2 * P);
	CHECK(m.end == (unsigned long)stack + 2 * P);
}

static const struct child children[] = {
	{ "maps", child_maps },
	{ "stack", child_stack },
	{ "stack-limit", child_stack_limit },
	{ "brk", child_brk },
	{ "places", child_places },
	{ "page-zero", child_page_zero },
	{ "mmap", child_sizes_in_core },
	{ "guard-gap", child_guard_gap },
	{ }
};

TEST_F(pages, maps)
{
	EXPECT_CHILD("maps");
}

TEST_F(pages, fixed_addresses)
{
	ASSERT_LE(0, personality(personality(PER_QUERY) | ADDR_NO_RANDOMIZE));
	EXPECT_CHILD("maps");
}

TEST_F(pages, legacy)
{
	ASSERT_LE(0, personality(personality(PER_QUERY) | ADDR_COMPAT_LAYOUT));
	EXPECT_CHILD("maps");
}

TEST_F(pages, stack)
{
	EXPECT_CHILD("stack");
}

TEST_F(pages, stack_limit)
{
	EXPECT_CHILD("stack-limit");
}

TEST_F(pages, brk)
{
	EXPECT_CHILD("brk");
}

TEST_F(pages, mmap)
{
	EXPECT_CHILD("mmap");
}

TEST_F(pages, guard_gap)
{
	EXPECT_CHILD("guard-gap");
}

TEST_F(pages, page_zero)
{
	if (getuid())
		SKIP(return, "needs root: the page at 0 is not tested");
	EXPECT_CHILD("page-zero");
}

/* Random addresses: aligned, and with the randomness that is left. */
TEST_F(pages, aslr)
{
	static const char *const argv[] = { "places", NULL };
	static const char *const names[] = {
		"[stack]", "[vdso]", "[heap]", "mmap", "sp",
	};
	enum { RUNS = 16, SP = ARRAY_SIZE(names) - 1 };
	unsigned long least = ~0UL, most = 0, kernel = kernel_page_size();
	unsigned long place[ARRAY_SIZE(names)][RUNS] = { };
	char text[512], *line;
	unsigned int run, i, distinct;
	size_t len;
	ssize_t n;
	pid_t pid;
	int out;
	FILE *f;

	f = fopen("/proc/sys/kernel/randomize_va_space", "r");
	if (f && fgetc(f) != '2') {
		fclose(f);
		SKIP(return, "address randomization is off");
	}
	if (f)
		fclose(f);
	ASSERT_LE(0, personality(personality(PER_QUERY) & ~ADDR_NO_RANDOMIZE));

	for (run = 0; run < RUNS; run++) {
		pid = start_child(variant->shift, argv, &out);
		ASSERT_LT(0, pid);
		len = 0;
		while ((n = read(out, text + len, sizeof(text) - 1 - len)) > 0)
			len += n;
		text[len] = 0;
		close(out);
		ASSERT_EQ(0, finish_child(pid));
		for (i = 0; i < ARRAY_SIZE(names); i++) {
			line = strstr(text, names[i]);
			ASSERT_NE(NULL, line);
			place[i][run] = strtoul(line + strlen(names[i]), NULL,
						16);
			/* The stack starts anywhere in a page. */
			if (i != SP)
				EXPECT_EQ(0, place[i][run] % self->size);
		}
		/* What is below the end of the stack. */
		place[SP][run] = place[0][run] - place[SP][run];
		if (least > place[SP][run])
			least = place[SP][run];
		if (most < place[SP][run])
			most = place[SP][run];
	}
	/* In a page of the process, not only in one of the kernel. */
	EXPECT_LT(self->size > kernel ? kernel : kernel / 4, most - least);
	EXPECT_LT(most - least, self->size);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		distinct = 0;
		for (run = 1; run < RUNS; run++)
			distinct += place[i][run] != place[i][0];
		EXPECT_LT(RUNS / 2, distinct) TH_LOG("%s", names[i]);
	}
}

/* Programs at no fixed address, for 64K: without and with an interpreter. */
FIXTURE(pie) {
	char path[32];
};

FIXTURE_VARIANT(pie) {
	const char *file;
};

FIXTURE_VARIANT_ADD(pie, static_pie) { .file = "interp_64k" };
FIXTURE_VARIANT_ADD(pie, pie) { .file = "probe_64k_interp_64k" };

/* Copy a program, but for p_align, which then does not help to place it. */
FIXTURE_SETUP(pie)
{
	Elf64_Phdr *phdr;
	struct stat st;
	Elf64_Ehdr *ehdr;
	int in, out, i;

	ASSERT_EQ(0, go_home());
	in = open(variant->file, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		SKIP(return, "%s is not built", variant->file);
	ASSERT_EQ(0, fstat(in, &st));
	ehdr = malloc(st.st_size);
	ASSERT_EQ(st.st_size, read(in, ehdr, st.st_size));
	close(in);
	ASSERT_EQ(ET_DYN, ehdr->e_type);
	phdr = (Elf64_Phdr *)((char *)ehdr + ehdr->e_phoff);
	for (i = 0; i < ehdr->e_phnum; i++) {
		if (phdr[i].p_type != PT_LOAD)
			continue;
		ASSERT_EQ(SZ_64K, phdr[i].p_align);
		phdr[i].p_align = SZ_4K;
	}
	snprintf(self->path, sizeof(self->path), "/tmp/pagesize.XXXXXX");
	out = mkostemp(self->path, O_CLOEXEC);
	ASSERT_LE(0, out);
	ASSERT_EQ(st.st_size, write(out, ehdr, st.st_size));
	ASSERT_EQ(0, fchmod(out, 0755));
	close(out);
	free(ehdr);
}

FIXTURE_TEARDOWN(pie)
{
	unlink(self->path);
}

/* Run @path, to its end, and see where it is before that. */
static int run_pie(unsigned int shift, bool random, const char *path,
		   unsigned long *base, unsigned long *misplaced)
{
	char name[32], line[512];
	unsigned long start, end;
	int status;
	pid_t pid;
	FILE *f;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		unsigned long old = personality(PER_QUERY);

		personality(random ? old & ~ADDR_NO_RANDOMIZE :
				     old | ADDR_NO_RANDOMIZE);
		if (set_page_size(shift) < 0 ||
		    ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(100);
		execl(path, path, NULL);
		_exit(101);
	}
	*base = *misplaced = 0;
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return -1;
	snprintf(name, sizeof(name), "/proc/%d/maps", pid);
	f = fopen(name, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		if ((start | end) & ((1UL << shift) - 1))
			++*misplaced;
		if (!*base && strstr(line, path))
			*base = start;
	}
	if (f)
		fclose(f);
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

TEST_F(pie, fits)
{
	unsigned long base, misplaced;
	int shift, random;

	for (shift = 12; shift <= 16; shift += 2) {
		/* That of the kernel need not be asked for. */
		if (1UL << shift != kernel_page_size() && !size_offered(shift))
			continue;
		for (random = 0; random < 4; random++) {
			EXPECT_EQ(shift, run_pie(shift, random, self->path,
						 &base, &misplaced));
			EXPECT_NE(0, base);
			EXPECT_EQ(0, base & ((1UL << shift) - 1));
			EXPECT_EQ(0, misplaced);
		}
	}
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
