// SPDX-License-Identifier: GPL-2.0
/*
 * Programs and interpreters that are linked for a smaller page size than the
 * one asked for: they run with the largest size that fits, or not at all when
 * vm.process_page_size_strict is set.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/elf.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "pagesize.h"

#define STRICT	"/proc/sys/vm/process_page_size_strict"
#define MIN_ADDR	"/proc/sys/vm/mmap_min_addr"
#define NOBODY	65534

static const struct child children[] = { { } };

static int kernel_shift(void)
{
	return __builtin_ctzl(kernel_page_size());
}

static int min_shift(int a, int b)
{
	return a < b ? a : b;
}

static int read_strict(void)
{
	int fd = open(STRICT, O_RDONLY | O_CLOEXEC);
	char c = 0;

	if (fd < 0)
		return -1;
	if (read(fd, &c, 1) != 1)
		c = '0';
	close(fd);
	return c - '0';
}

static bool write_strict(int value)
{
	int fd = open(STRICT, O_WRONLY | O_CLOEXEC);
	char c = '0' + value;
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, &c, 1) == 1;
	close(fd);
	return ok;
}

/* What is linked, and for which page size the parts are fit. */
FIXTURE(elf) {
	int strict;
	int floor;		/* log2 of the kernel page */
	int fits;		/* log2 of what program and interpreter fit */
	char path[64];
	char *argv[4];
};

FIXTURE_VARIANT(elf) {
	const char *file;
	int file_shift, interp_shift;
};

FIXTURE_VARIANT_ADD(elf, program_4k) {
	.file = "probe_4k", .file_shift = 12, .interp_shift = 16,
};

FIXTURE_VARIANT_ADD(elf, program_16k) {
	.file = "probe_16k", .file_shift = 14, .interp_shift = 16,
};

FIXTURE_VARIANT_ADD(elf, program_64k) {
	.file = "probe_64k", .file_shift = 16, .interp_shift = 16,
};

FIXTURE_VARIANT_ADD(elf, interpreter_4k) {
	.file = "probe_64k_interp_4k", .file_shift = 16, .interp_shift = 12,
};

FIXTURE_VARIANT_ADD(elf, interpreter_16k) {
	.file = "probe_64k_interp_16k", .file_shift = 16, .interp_shift = 14,
};

FIXTURE_VARIANT_ADD(elf, interpreter_64k) {
	.file = "probe_64k_interp_64k", .file_shift = 16, .interp_shift = 16,
};

FIXTURE_VARIANT_ADD(elf, program_4k_interpreter_64k) {
	.file = "probe_4k_interp_64k", .file_shift = 12, .interp_shift = 16,
};

FIXTURE_SETUP(elf)
{
	self->strict = read_strict();
	self->floor = kernel_shift();
	self->fits = min_shift(variant->file_shift, variant->interp_shift);
	ASSERT_EQ(0, go_home());
	snprintf(self->path, sizeof(self->path), "./%s", variant->file);
	if (access(self->path, X_OK))
		SKIP(return, "%s is not built", variant->file);
	self->argv[0] = self->path;
}

FIXTURE_TEARDOWN(elf)
{
	if (self->strict >= 0)
		write_strict(self->strict);
}

/* Also the order of the checks: this holds on a kernel without the feature. */
TEST_F(elf, default_size)
{
	if (self->fits < self->floor)
		SKIP(return, "does not fit the kernel's page size");
	EXPECT_EQ(self->floor, run_program(DEFAULT_SIZE, self->path,
					   self->argv));
}

TEST_F(elf, largest_that_fits)
{
	int shift;

	if (self->fits < self->floor)
		SKIP(return, "does not fit the kernel's page size");
	if (self->strict > 0)
		ASSERT_TRUE(write_strict(0));
	for (shift = 12; shift <= 16; shift += 2) {
		if (!size_offered(shift))
			continue;
		EXPECT_EQ(min_shift(shift, self->fits),
			  run_program(shift, self->path, self->argv)) {
			TH_LOG("%s at %d", self->path, shift);
		}
	}
	if (!have_feature())
		SKIP(return, "no process page sizes in this kernel");
}

TEST_F(elf, strict)
{
	int shift, expected;

	if (!have_feature())
		SKIP(return, "no process page sizes in this kernel");
	if (self->fits < self->floor)
		SKIP(return, "does not fit the kernel's page size");
	if (!write_strict(1))
		SKIP(return, "needs root: strict mode is not tested");
	for (shift = 12; shift <= 16; shift += 2) {
		if (!size_offered(shift))
			continue;
		expected = shift <= self->fits ? shift : -ENOEXEC;
		EXPECT_EQ(expected, run_program(shift, self->path, self->argv)) {
			TH_LOG("%s at %d", self->path, shift);
		}
	}
	/* Strictness is about sizes that were asked for. */
	EXPECT_EQ(self->floor, run_program(DEFAULT_SIZE, self->path,
					   self->argv));
}

/* A program that does not fit leaves what it starts as it was asked for. */
TEST_F(elf, children_get_theirs)
{
	char *const argv[] = { self->path, "./probe_64k", NULL };

	if (!size_offered(16) || self->floor == 16)
		SKIP(return, "page size not offered");
	if (self->fits < self->floor)
		SKIP(return, "does not fit the kernel's page size");
	if (self->strict > 0)
		ASSERT_TRUE(write_strict(0));
	EXPECT_EQ(16, run_program(16, self->path, argv));
}

/* A set-id program gets the kernel's size, so that none has to fit. */
TEST_F(elf, strict_setid)
{
	char path[] = "/tmp/pagesize.XXXXXX", buf[4096];
	char *const argv[] = { path, NULL };
	struct statvfs fs;
	int in, out;
	ssize_t n;

	if (!size_offered(16))
		SKIP(return, "page size not offered");
	if (self->fits < self->floor)
		SKIP(return, "does not fit the kernel's page size");
	if (getuid())
		SKIP(return, "needs root: set-id programs are not tested");
	ASSERT_EQ(0, statvfs("/tmp", &fs));
	if (fs.f_flag & ST_NOSUID)
		SKIP(return, "/tmp is nosuid: set-id programs are not tested");
	ASSERT_TRUE(write_strict(1));

	in = open(self->path, O_RDONLY | O_CLOEXEC);
	out = mkostemp(path, O_CLOEXEC);
	ASSERT_LE(0, in);
	ASSERT_LE(0, out);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		ASSERT_EQ(n, write(out, buf, n));
	ASSERT_EQ(0, fchmod(out, 04755));
	close(in);
	close(out);
	ASSERT_EQ(0, syscall(__NR_setresuid, NOBODY, NOBODY, 0));
	EXPECT_EQ(self->floor, run_program(16, path, argv));
	ASSERT_EQ(0, syscall(__NR_setresuid, 0, 0, 0));
	unlink(path);
}

/* Read what the kernel log got since it was opened. */
static bool logged(int kmsg, const char *file, const char *fits,
		   const char *asked)
{
	char line[2048];
	bool found = false;
	ssize_t n;

	while ((n = read(kmsg, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		if (n <= 0)
			continue;
		line[n] = 0;
		found |= strstr(line, file) && strstr(line, fits) &&
			 strstr(line, asked);
	}
	return found;
}

/* The log says which file, what it fits and what was asked for. */
TEST(notice)
{
	static char *const argv[] = { "./probe_4k", NULL };
	int kmsg;

	if (!size_offered(16) || kernel_page_size() != SZ_4K)
		SKIP(return, "page size not offered");
	if (read_strict())
		SKIP(return, "strict mode is set");
	ASSERT_EQ(0, go_home());
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0)
		SKIP(return, "cannot read /dev/kmsg");
	ASSERT_LE(0, lseek(kmsg, 0, SEEK_END));
	/* The rate is limited: let the interval of other tests be over. */
	sleep(6);
	EXPECT_EQ(12, run_program(16, argv[0], argv));
	EXPECT_TRUE(logged(kmsg, "probe_4k", "4 kB", "64 kB"));
	close(kmsg);
}

static unsigned long counter(const char *name)
{
	unsigned long value = 0;
	char line[128];
	FILE *f;

	f = fopen("/proc/vmstat", "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		size_t len = strlen(name);

		if (!strncmp(line, name, len) && line[len] == ' ')
			value = strtoul(line + len, NULL, 10);
	}
	fclose(f);
	return value;
}

TEST(counters)
{
	static char *const fits[] = { "./probe_64k", NULL };
	static char *const misfit[] = { "./probe_4k", NULL };
	unsigned long execs, misfits;

	if (!size_offered(16) || kernel_page_size() != SZ_4K)
		SKIP(return, "page size not offered");
	if (read_strict())
		SKIP(return, "strict mode is set");
	ASSERT_EQ(0, go_home());
	execs = counter("process_page_exec");
	misfits = counter("process_page_misfit");
	EXPECT_EQ(16, run_program(16, fits[0], fits));
	EXPECT_LT(execs, counter("process_page_exec"));
	EXPECT_EQ(misfits, counter("process_page_misfit"));
	EXPECT_EQ(12, run_program(16, misfit[0], misfit));
	EXPECT_LT(misfits, counter("process_page_misfit"));
}

/* A program of a few instructions: exit with log2 of AT_PAGESZ. */
#define STUB_SIZE	64
extern const char stub[STUB_SIZE];

__asm__(".pushsection .rodata\n"
	"	.balign	4\n"
	"stub:	ldr	x0, [sp]\n"
	"	add	x1, sp, #16\n"
	"	add	x1, x1, x0, lsl #3\n"
	"1:	ldr	x2, [x1], #8\n"
	"	cbnz	x2, 1b\n"
	"2:	ldp	x2, x3, [x1], #16\n"
	"	cbz	x2, 3f\n"
	"	cmp	x2, #6\n"
	"	b.ne	2b\n"
	"3:	clz	x3, x3\n"
	"	mov	x0, #63\n"
	"	sub	x0, x0, x3\n"
	"	mov	x8, #93\n"
	"	svc	#0\n"
	"	.space	64 - (. - stub)\n"
	".popsection\n");

struct segment {
	unsigned long offset, vaddr, filesz, memsz;
};

#define TEXT		0x400000UL
#define FILE_SIZE	0x60000

FIXTURE(segments) {
	char path[32];
	char *argv[2];
};

/* The second and third segment; the first, at text or TEXT, has the code. */
FIXTURE_VARIANT(segments) {
	unsigned long text;
	struct segment seg[2];
	unsigned long align;
	int fits;
};

/* What counts is where the segments are, not p_align. */
FIXTURE_VARIANT_ADD(segments, text_only) { .align = 0x1000, .fits = 16 };

FIXTURE_VARIANT_ADD(segments, congruent) {
	.seg = { { 0x10000, TEXT + 0x10000, 0x100, 0x100 } },
	.align = 0x1000, .fits = 16,
};

FIXTURE_VARIANT_ADD(segments, next_page) {
	.seg = { { 0x1000, TEXT + 0x1000, 0x100, 0x100 } },
	.align = 0x1000, .fits = 12,
};

FIXTURE_VARIANT_ADD(segments, next_16k) {
	.seg = { { 0x4000, TEXT + 0x4000, 0x100, 0x100 } },
	.align = 0x1000, .fits = 14,
};

/* Offset and address agree to 16K only. */
FIXTURE_VARIANT_ADD(segments, offset_16k) {
	.seg = { { 0x4000, TEXT + 0x20000, 0x100, 0x100 } },
	.align = 0x4000, .fits = 14,
};

FIXTURE_VARIANT_ADD(segments, offset_4k) {
	.seg = { { 0x3000, TEXT + 0x20000, 0x100, 0x100 } },
	.align = 0x1000, .fits = 12,
};

/* The last byte and the first byte of two segments, in one page or in two. */
FIXTURE_VARIANT_ADD(segments, touching) {
	.seg = {
		{ 0x10000, TEXT + 0x10000, 0x10000, 0x10000 },
		{ 0x20000, TEXT + 0x20000, 0x100, 0x100 },
	},
	.align = 0x10000, .fits = 16,
};

FIXTURE_VARIANT_ADD(segments, overlapping_by_a_byte) {
	.seg = {
		{ 0x10000, TEXT + 0x10000, 0x100, 0x10001 },
		{ 0x28000, TEXT + 0x28000, 0x100, 0x100 },
	},
	.align = 0x10000, .fits = 14,
};

/* Memory without a file has no offset. */
FIXTURE_VARIANT_ADD(segments, bss_only) {
	.seg = { { 0x1234, TEXT + 0x10000, 0, 0x8000 } },
	.align = 0x10000, .fits = 16,
};

/* A larger page would begin at 0, below vm.mmap_min_addr. */
FIXTURE_VARIANT_ADD(segments, at_4k) {
	.text = 0x1000, .align = 0x1000, .fits = 12,
};

FIXTURE_VARIANT_ADD(segments, at_16k) {
	.text = 0x4000, .align = 0x1000, .fits = 14,
};

FIXTURE_VARIANT_ADD(segments, at_64k) {
	.text = 0x10000, .align = 0x1000, .fits = 16,
};

static unsigned long read_min_addr(void)
{
	unsigned long value = 0;
	FILE *f;

	f = fopen(MIN_ADDR, "r");
	if (!f)
		return 0;
	if (fscanf(f, "%lu", &value) != 1)
		value = 0;
	fclose(f);
	return value;
}

FIXTURE_SETUP(segments)
{
	const unsigned long text = variant->text ?: TEXT;
	struct elf64_hdr ehdr = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
			     ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_AARCH64,
		.e_version = EV_CURRENT,
		.e_entry = text + 0x200,
		.e_phoff = sizeof(struct elf64_hdr),
		.e_ehsize = sizeof(struct elf64_hdr),
		.e_phentsize = sizeof(struct elf64_phdr),
		.e_phnum = 1,
	};
	struct elf64_phdr phdr[3] = { {
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X,
		.p_offset = variant->text, .p_vaddr = text,
		.p_filesz = 0x300, .p_memsz = 0x300, .p_align = variant->align,
	} };
	int fd, i;

	snprintf(self->path, sizeof(self->path), "/tmp/pagesize.XXXXXX");
	self->argv[0] = self->path;
	fd = mkostemp(self->path, O_CLOEXEC);
	ASSERT_LE(0, fd);
	for (i = 0; i < 2 && variant->seg[i].memsz; i++) {
		phdr[i + 1] = (struct elf64_phdr) {
			.p_type = PT_LOAD, .p_flags = PF_R | PF_W,
			.p_offset = variant->seg[i].offset,
			.p_vaddr = variant->seg[i].vaddr,
			.p_filesz = variant->seg[i].filesz,
			.p_memsz = variant->seg[i].memsz,
			.p_align = variant->align,
		};
		ehdr.e_phnum++;
	}
	ASSERT_EQ(0, ftruncate(fd, FILE_SIZE));
	ASSERT_EQ(sizeof(ehdr), pwrite(fd, &ehdr, sizeof(ehdr), 0));
	ASSERT_EQ(sizeof(phdr), pwrite(fd, phdr, sizeof(phdr), sizeof(ehdr)));
	ASSERT_EQ(STUB_SIZE, pwrite(fd, stub, STUB_SIZE,
				    variant->text + 0x200));
	ASSERT_EQ(0, fchmod(fd, 0755));
	close(fd);
}

FIXTURE_TEARDOWN(segments)
{
	unlink(self->path);
}

TEST_F(segments, fit)
{
	int shift, floor = kernel_shift();

	if (variant->fits < floor)
		SKIP(return, "does not fit the kernel's page size");
	if (variant->text &&
	    (!read_min_addr() || read_min_addr() > variant->text))
		SKIP(return, "vm.mmap_min_addr is 0 or above the program");
	EXPECT_EQ(floor, run_program(DEFAULT_SIZE, self->path, self->argv));
	if (read_strict() > 0)
		SKIP(return, "strict mode is set");
	for (shift = 12; shift <= 16; shift += 2)
		if (size_offered(shift))
			EXPECT_EQ(min_shift(shift, variant->fits),
				  run_program(shift, self->path, self->argv));
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
