// SPDX-License-Identifier: GPL-2.0
/*
 * Programs on file systems without large folios, whose pages a process with
 * larger ones cannot have from the page cache: vfat, squashfs, and where this
 * test is (9p in the lab). Static and dynamic ones, with all that they consist of
 * on that file system.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "pagesize_fixture.h"
#include "pagesize_system.h"

#define DIR		"/tmp/pagesize-exec"
#define IMAGE		DIR "/image."
/* Of mksquashfs: fast. */
#define OPTIONS		"-quiet -no-progress -comp gzip -Xcompression-level 1"
#define HERE		"./pagesize-exec"
#define LOADER		"/lib/ld-linux-aarch64.so.1"
#define LIBC		"/lib/aarch64-linux-gnu/libc.so.6"
#define SHELL		"/bin/dash"

/* What of this program is mapped from its file is what read() says. */
static bool same_as_file(const struct mapping *m, void *arg)
{
	unsigned long len = m->end - m->start, rest;
	int fd = *(int *)arg;
	struct stat st;
	char *buf;

	/* What is not executed may have been written to. */
	if (m->name[0] != '/' || m->perms[2] != 'x')
		return false;
	if (!CHECK(!fstat(fd, &st)) || m->offset >= (unsigned long)st.st_size)
		return false;
	rest = st.st_size - m->offset;
	buf = malloc(len);
	if (rest > len)
		rest = len;
	CHECK(pread(fd, buf, rest, m->offset) == (ssize_t)rest);
	CHECK(!memcmp((char *)m->start, buf, rest));
	free(buf);
	*(int *)(arg + sizeof(int)) += 1;
	return false;
}

static int data[] = { 1, 2 };

static int data_sum(void)
{
	return __atomic_load_n(&data[0], __ATOMIC_RELAXED) +
	       __atomic_load_n(&data[1], __ATOMIC_RELAXED);
}

/* argv: the size of the process page, the magic of the file system. */
static void child_self(int argc, char **argv)
{
	int arg[2] = { open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 0 };
	struct statfs fs;
	int status;
	pid_t pid;

	CHECK(page_size() == strtoul(argv[1], NULL, 10));
	CHECK(!fstatfs(arg[0], &fs));
	CHECK((unsigned int)fs.f_type == strtoul(argv[2], NULL, 10));
	walk_mappings(same_as_file, arg);
	CHECK(arg[1] > 0);
	/* Its data are its own. */
	pid = fork();
	if (!pid) {
		__atomic_store_n(&data[0], 7, __ATOMIC_RELAXED);
		_exit(data_sum() != 9);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(data_sum() == 3);
}

static const struct child children[] = {
	{ "self", child_self },
	{ }
};

/*
 * Run all of them at 1 << @shift bytes, which is @text, from @dir. They are mapped
 * in whole pages, though the page cache may have them in @pieces.
 */
static void run_in(struct __test_metadata *_metadata, unsigned int shift,
		   const char *text, const char *dir, bool pieces)
{
	char *const probe[] = {
		"./probe_64k", "./probe_64k_interp_64k",
		"./probe_64k_interp_64k", NULL
	};
	char magic[24], here[4096];
	char *const self[] = {
		"./self", "--child", "self", (char *)text, magic, NULL
	};
	char *const script[] = {
		"./loader", "--library-path", ".", "./shell", "-c",
		"n=0; for i in 1 2 3; do n=$((n + i)); done; "
		"x=$(echo $n | (read y; echo $y$y)); [ $x = 66 ]", NULL
	};
	unsigned long misfits = vm_events("process_page_misfit");
	unsigned long execs = vm_events("process_page_exec");
	unsigned long bounces = vm_events("process_page_bounce");
	unsigned long size = strtoul(text, NULL, 10);
	struct statfs fs;
	int expected;

	ASSERT_NE(NULL, getcwd(here, sizeof(here)));
	ASSERT_EQ(0, chdir(dir));
	ASSERT_EQ(0, statfs(".", &fs));
	snprintf(magic, sizeof(magic), "%u", (unsigned int)fs.f_type);
	expected = __builtin_ctzl(size);
	EXPECT_EQ(0, run_program(shift, self[0], self));
	EXPECT_EQ(expected, run_program(shift, probe[0], probe + 3));
	/* A dynamic one; and one that executes the other. */
	EXPECT_EQ(expected, run_program(shift, probe[1], probe + 3));
	EXPECT_EQ(expected, run_program(shift, probe[0], probe));
	if (access("loader", X_OK))
		TH_LOG("no " LOADER ", " LIBC " or " SHELL);
	else
		EXPECT_EQ(0, run_program(shift, script[0], script));
	EXPECT_EQ(misfits, vm_events("process_page_misfit"));
	if (have_feature() && size > kernel_page_size()) {
		EXPECT_LT(execs + 4, vm_events("process_page_exec"));
		if (pieces)
			EXPECT_LT(bounces + 4, vm_events("process_page_bounce"));
	}
	ASSERT_EQ(0, chdir(here));
}

static bool copy(const char *from, const char *dir, const char *to)
{
	return shell("cp -L %s %s/%s", from, dir, to);
}

/* Copy what is to be run; the shell only where there is such a one. */
static bool copy_programs(const char *dir)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/%d/exe", getpid());
	if (!copy(self, dir, "self") || !copy("probe_64k", dir, "") ||
	    !copy("probe_64k_interp_64k", dir, "") ||
	    !copy("interp_64k", dir, ""))
		return false;
	return access(LOADER, X_OK) || access(LIBC, R_OK) ||
	       access(SHELL, X_OK) ||
	       (copy(LIBC, dir, "") && copy(SHELL, dir, "shell") &&
		copy(LOADER, dir, "loader"));
}

TEST_F_TIMEOUT(pages, vfat, 120)
{
	if (access(DIR "/vfat/self", X_OK))
		SKIP(return, "no vfat, mkfs.vfat or root");
	run_in(_metadata, variant->shift, self->text, DIR "/vfat", true);
}

TEST_F_TIMEOUT(pages, squashfs, 120)
{
	if (access(DIR "/squashfs/self", X_OK))
		SKIP(return, "no squashfs, mksquashfs or root");
	run_in(_metadata, variant->shift, self->text, DIR "/squashfs", true);
}

/* Wherever this is. */
TEST_F_TIMEOUT(pages, here, 120)
{
	if (access(HERE "/self", X_OK))
		SKIP(return, "cannot write where this program is");
	run_in(_metadata, variant->shift, self->text, HERE, false);
}

static bool mount_image(const char *image, const char *kind)
{
	int fd = open(image, O_RDWR | O_CLOEXEC);
	struct loop loop;
	char dir[64];
	bool ok;

	snprintf(dir, sizeof(dir), DIR "/%s", kind);
	mkdir(dir, 0755);
	if (fd < 0 || !loop_make(&loop, fd, 512)) {
		printf("# no loop device on %s: %s\n", image, strerror(errno));
		return false;
	}
	ok = !mount(loop.device, dir, kind,
		    strcmp(kind, "vfat") ? MS_RDONLY : 0, NULL);
	if (!ok)
		printf("# cannot mount %s: %s\n", kind, strerror(errno));
	/* Gone when it is no longer mounted. */
	loop_drop(&loop);
	close(fd);
	return ok;
}

static void make_file_systems(void)
{
	if (!mkdir(HERE, 0755))
		copy_programs(HERE);
	if (geteuid() || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return;
	if (mkdir(DIR, 0755) || mkdir(DIR "/programs", 0755) ||
	    !copy_programs(DIR "/programs"))
		return;
	if (shell("mksquashfs " DIR "/programs " IMAGE "squashfs " OPTIONS))
		mount_image(IMAGE "squashfs", "squashfs");
	if (shell("truncate -s 16M " IMAGE "vfat && mkfs.vfat " IMAGE "vfat") &&
	    mount_image(IMAGE "vfat", "vfat"))
		shell("cp " DIR "/programs/* " DIR "/vfat");
}

static void drop_file_systems(void)
{
	umount2(DIR "/vfat", MNT_DETACH);
	umount2(DIR "/squashfs", MNT_DETACH);
	shell("rm -rf --one-file-system " DIR " " HERE);
}

int main(int argc, char **argv)
{
	int status = 0;
	pid_t pid;

	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	if (go_home())
		return KSFT_FAIL;
	make_file_systems();
	/* It exits where it likes to. */
	pid = fork();
	if (!pid)
		return test_harness_run(argc, argv);
	waitpid(pid, &status, 0);
	drop_file_systems();
	return WIFEXITED(status) ? WEXITSTATUS(status) : KSFT_FAIL;
}
