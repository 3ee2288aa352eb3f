// SPDX-License-Identifier: GPL-2.0
/*
 * How a process comes to its page size: personality(), execve() and what is
 * inherited.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/elf.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "pagesize_fixture.h"

#define NOBODY		65534

static unsigned long expected(char **argv)
{
	return strtoul(argv[1], NULL, 10);
}

/* A mapping of one byte tells the page size that the kernel works with. */
static unsigned long mapped_size(void)
{
	unsigned long size = 0;
	struct mapping m;
	void *p;

	p = mmap(NULL, 1, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 0;
	if (mapping_at(p, &m))
		size = m.end - m.start;
	munmap(p, 1);
	return size;
}

/* Every mapping of this process consists of pages of @size, says smaps. */
static bool smaps_say(unsigned long size)
{
	unsigned long kb, nr = 0;
	char line[512];
	bool ok = true;
	FILE *f;

	f = fopen("/proc/self/smaps", "r");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "KernelPageSize: %lu kB", &kb) != 1)
			continue;
		ok &= kb * 1024 == size;
		nr++;
	}
	fclose(f);
	return ok && nr;
}

static bool query_says(unsigned long size)
{
	struct procmap_query query = {
		.size = sizeof(query),
		.query_addr = (unsigned long)&query,
	};
	int fd = open("/proc/self/maps", O_RDONLY);
	bool ok = fd >= 0 && !ioctl(fd, PROCMAP_QUERY, &query) &&
		  query.vma_page_size == size;

	close(fd);
	return ok;
}

static bool size_is(unsigned long size)
{
	bool ok = true;

	ok &= CHECK(page_size() == size);
	ok &= CHECK(sysconf(_SC_PAGESIZE) == (long)size);
	ok &= CHECK(mapped_size() == size);
	ok &= CHECK(smaps_say(size));
	ok &= CHECK(query_says(size));
	if (have_feature())
		ok &= CHECK(status_page_size(0) == size);
	return ok;
}

static void child_size(int argc, char **argv)
{
	size_is(expected(argv));
}

/* The field, and the size that execve() makes of it. */
static void child_personality(int argc, char **argv)
{
	unsigned long field = personality(PER_QUERY) & PER_PAGE_SIZE_MASK;

	size_is(expected(argv));
	CHECK(field == strtoul(argv[2], NULL, 10));
}

/* Asking for another size changes nothing before the next execve(). */
static void child_not_yet(int argc, char **argv)
{
	unsigned int shift;

	for (shift = 12; shift <= 16; shift += 2) {
		if (!size_offered(shift))
			continue;
		CHECK(set_page_size(shift) >= 0);
		size_is(expected(argv));
	}
	CHECK(set_page_size(DEFAULT_SIZE) >= 0);
	size_is(expected(argv));
}

static void finish(pid_t pid)
{
	int status;

	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, __WALL) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void child_fork(int argc, char **argv)
{
	pid_t pid = fork();

	if (!pid)
		_exit(size_is(expected(argv)) ? 0 : 1);
	finish(pid);
	/* A grandchild of a process that asked for another size meanwhile. */
	CHECK(set_page_size(DEFAULT_SIZE) >= 0);
	pid = fork();
	if (!pid)
		_exit(size_is(expected(argv)) ? 0 : 1);
	finish(pid);
}

static void child_vfork(int argc, char **argv)
{
	pid_t pid = vfork();

	if (!pid)
		_exit(mapped_size() != expected(argv));
	finish(pid);
	size_is(expected(argv));

	pid = vfork();
	if (!pid) {
		execl("/proc/self/exe", "vfork", "--child", "size", argv[1],
		      NULL);
		_exit(99);
	}
	finish(pid);
}

static int clone_fn(void *arg)
{
	return mapped_size() != *(unsigned long *)arg;
}

static void child_clone(int argc, char **argv)
{
	static const int flags[] = {
		0, CLONE_VM, CLONE_VM | CLONE_VFORK, CLONE_FS | CLONE_FILES,
	};
	unsigned long size = expected(argv);
	char *stack;
	size_t i;

	stack = mmap(NULL, SZ_64K * 4, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(stack != MAP_FAILED);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		finish(clone(clone_fn, stack + SZ_64K * 4, flags[i] | SIGCHLD,
			     &size));
	size_is(size);
}

static void *thread_fn(void *arg)
{
	return mapped_size() == *(unsigned long *)arg ? arg : NULL;
}

static void child_thread(int argc, char **argv)
{
	unsigned long size = expected(argv);
	pthread_t thread;
	void *ok = NULL;

	CHECK(!pthread_create(&thread, NULL, thread_fn, &size));
	CHECK(!pthread_join(thread, &ok));
	CHECK(ok);
}

/* argv: the size now, the shift to ask for, the size then. */
static void *thread_exec(void *arg)
{
	char **argv = arg;

	if (set_page_size(atoi(argv[2])) < 0)
		_exit(98);
	execl("/proc/self/exe", "thread", "--child", "size", argv[3], NULL);
	_exit(99);
}

/* The thread that calls execve() decides, not the leader. */
static void child_thread_exec(int argc, char **argv)
{
	pthread_t thread;

	size_is(expected(argv));
	CHECK(!pthread_create(&thread, NULL, thread_exec, argv));
	pthread_join(thread, NULL);
	CHECK(!"reached");
}

/* Nothing is said before execve() in a new process: the field is inherited. */
static void child_again(int argc, char **argv)
{
	int depth = atoi(argv[2]);
	char text[16];

	size_is(expected(argv));
	if (child_failures() || !depth)
		return;
	snprintf(text, sizeof(text), "%d", depth - 1);
	execl("/proc/self/exe", "again", "--child", "again", argv[1], text,
	      NULL);
	CHECK(!"executed");
}

static void child_default(int argc, char **argv)
{
	CHECK(set_page_size(DEFAULT_SIZE) >= 0);
	execl("/proc/self/exe", "default", "--child", "size", argv[1], NULL);
	CHECK(!"executed");
}

static void child_wait(int argc, char **argv)
{
	char c;

	printf("ready\n");
	fflush(stdout);
	CHECK(read(STDIN_FILENO, &c, 1) >= 0);
}

static const struct child children[] = {
	{ "size", child_size },
	{ "personality", child_personality },
	{ "not-yet", child_not_yet },
	{ "fork", child_fork },
	{ "vfork", child_vfork },
	{ "clone", child_clone },
	{ "thread", child_thread },
	{ "thread-exec", child_thread_exec },
	{ "again", child_again },
	{ "default", child_default },
	{ "wait", child_wait },
	{ }
};

TEST(query)
{
	unsigned long old = personality(PER_QUERY);

	ASSERT_NE(-1, (int)old);
	EXPECT_EQ(old, personality(PER_QUERY));
	EXPECT_EQ(old, personality(old | ADDR_NO_RANDOMIZE));
	EXPECT_EQ(old | ADDR_NO_RANDOMIZE, personality(PER_QUERY));
}

TEST(every_value)
{
	unsigned long old = personality(PER_QUERY) & ~PER_PAGE_SIZE_MASK;
	unsigned long field, now;
	bool offered;
	int ret;

	if (!have_feature())
		SKIP(return, "no process page sizes in this kernel");

	for (field = 0; field <= PER_PAGE_SIZE_MASK; field += 0x100) {
		ASSERT_LE(0, personality(old));
		offered = field == per_page_size(DEFAULT_SIZE) ||
			  (field == per_page_size(12) && size_offered(12)) ||
			  (field == per_page_size(14) && size_offered(14)) ||
			  (field == per_page_size(16) && size_offered(16));
		errno = 0;
		ret = personality(old | field);
		now = personality(PER_QUERY);
		if (offered) {
			EXPECT_EQ((int)old, ret);
			EXPECT_EQ(old | field, now);
		} else {
			EXPECT_EQ(-1, ret) TH_LOG("field %#lx", field);
			EXPECT_EQ(EINVAL, errno);
			EXPECT_EQ(old, now);
		}
		/* Other bits make no difference. */
		ret = personality(old | field | ADDR_NO_RANDOMIZE);
		EXPECT_EQ(offered, ret >= 0);
	}
	/* Only all ones is a query. */
	ASSERT_LE(0, personality(old));
	EXPECT_EQ(-1, personality(0xfffffffe));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, personality(0x7fffffff));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(old, personality(PER_QUERY));
}

/* The field says nothing about the process that has it. */
TEST(proc_personality)
{
	unsigned long value = 0;
	FILE *f;

	if (!size_offered(16))
		SKIP(return, "page size not offered");
	ASSERT_LE(0, set_page_size(16));
	f = fopen("/proc/self/personality", "r");
	if (!f)
		SKIP(return, "no /proc/self/personality");
	EXPECT_EQ(1, fscanf(f, "%lx", &value));
	fclose(f);
	EXPECT_EQ(per_page_size(16), value & PER_PAGE_SIZE_MASK);
}

TEST_F(pages, exec)
{
	EXPECT_CHILD("size");
}

TEST_F(pages, field)
{
	char field[16];

	snprintf(field, sizeof(field), "%lu", per_page_size(variant->shift));
	EXPECT_CHILD("personality", field);
}

TEST_F(pages, not_before_exec)
{
	EXPECT_CHILD("not-yet");
}

TEST_F(pages, fork)
{
	EXPECT_CHILD("fork");
}

TEST_F(pages, vfork)
{
	EXPECT_CHILD("vfork");
}

TEST_F(pages, clone)
{
	EXPECT_CHILD("clone");
}

TEST_F(pages, thread)
{
	EXPECT_CHILD("thread");
}

TEST_F(pages, thread_exec)
{
	unsigned int shift;
	char then[24], ask[8];

	for (shift = 12; shift <= 16; shift += 2) {
		if (!size_offered(shift))
			continue;
		snprintf(ask, sizeof(ask), "%u", shift);
		snprintf(then, sizeof(then), "%lu", 1UL << shift);
		EXPECT_CHILD("thread-exec", ask, then);
	}
}

TEST_F(pages, exec_inherits)
{
	EXPECT_CHILD("again", "3");
}

TEST_F(pages, back_to_default)
{
	char text[24];

	snprintf(text, sizeof(text), "%lu", kernel_page_size());
	EXPECT_EQ(0, run_child(variant->shift, "default", text, NULL));
}

/* The tester sees the size of another process. */
TEST_F(pages, seen_by_others)
{
	static const char *const argv[] = { "wait", NULL };
	int in[2], out;
	char text[16];
	pid_t pid;

	if (!have_feature())
		SKIP(return, "no process page sizes in this kernel");
	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(STDIN_FILENO, dup2(in[0], STDIN_FILENO));
	close(in[0]);
	ASSERT_EQ(0, fcntl(in[1], F_SETFD, FD_CLOEXEC));
	pid = start_child(variant->shift, argv, &out);
	ASSERT_LT(0, pid);
	ASSERT_LT(0, read(out, text, sizeof(text)));
	EXPECT_EQ(self->size, status_page_size(pid));
	ASSERT_EQ(1, write(in[1], "x", 1));
	EXPECT_EQ(0, finish_child(pid));
}

static int copy_self(struct __test_metadata *const _metadata, const char *to,
		     uid_t uid, gid_t gid, mode_t mode)
{
	static char buf[SZ_64K];
	int in, out;
	ssize_t n;

	in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ASSERT_LE(0, in);
	ASSERT_LE(0, out);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		ASSERT_EQ(n, write(out, buf, n));
	ASSERT_EQ(0, n);
	ASSERT_EQ(0, fchown(out, uid, gid));
	ASSERT_EQ(0, fchmod(out, mode));
	close(in);
	close(out);
	return 0;
}

/* A script takes the size of its interpreter. */
TEST_F(pages, script)
{
	char dir[] = "/tmp/pagesize.XXXXXX", exe[64], script[64];
	char *const argv[] = { script, NULL };
	FILE *f;

	ASSERT_NE(NULL, mkdtemp(dir));
	snprintf(exe, sizeof(exe), "%s/exe", dir);
	/* The base name of the script is that of the function to run. */
	snprintf(script, sizeof(script), "%s/script-%lu", dir, self->size);
	copy_self(_metadata, exe, getuid(), getgid(), 0755);
	f = fopen(script, "w");
	ASSERT_NE(NULL, f);
	fprintf(f, "#!%s --script\n", exe);
	fclose(f);
	ASSERT_EQ(0, chmod(script, 0755));
	EXPECT_EQ(0, run_program(variant->shift, script, argv));
	unlink(script);
	unlink(exe);
	rmdir(dir);
}

FIXTURE(setid) {
	char dir[32];
	char exe[64];
	char kernel_size[24];
};

FIXTURE_VARIANT(setid) {
	uid_t owner, user;
	gid_t group;
	mode_t mode;
	bool caps, no_new_privs, cleared;
};

/* The owner and the user differ, and they are the same. */
FIXTURE_VARIANT_ADD(setid, suid_other) {
	.owner = 1, .user = 0, .mode = 04755, .cleared = true,
};

FIXTURE_VARIANT_ADD(setid, suid_root) {
	.owner = 0, .user = NOBODY, .mode = 04755, .cleared = true,
};

FIXTURE_VARIANT_ADD(setid, sgid) {
	.owner = 0, .group = 1, .user = NOBODY, .mode = 02755, .cleared = true,
};

FIXTURE_VARIANT_ADD(setid, caps) {
	.owner = 0, .user = NOBODY, .mode = 0755, .caps = true, .cleared = true,
};

/* Who has them already gains nothing. */
FIXTURE_VARIANT_ADD(setid, caps_root) {
	.owner = 0, .user = 0, .mode = 0755, .caps = true,
};

FIXTURE_VARIANT_ADD(setid, no_new_privs) {
	.owner = 0, .user = NOBODY, .mode = 04755, .no_new_privs = true,
};

FIXTURE_VARIANT_ADD(setid, plain) {
	.owner = 1, .user = NOBODY, .mode = 0755,
};

/* A program that may open raw sockets, whoever executes it. */
static bool give_caps(const char *path)
{
	const struct vfs_cap_data caps = {
		.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
		.data[0].permitted = 1U << CAP_NET_RAW,
	};

	return !setxattr(path, "security.capability", &caps, sizeof(caps), 0);
}

FIXTURE_SETUP(setid)
{
	struct statvfs fs;

	if (getuid())
		SKIP(return, "needs root: set-id programs are not tested");
	if (!size_offered(16) || kernel_page_size() == SZ_64K)
		SKIP(return, "page size not offered");
	ASSERT_EQ(0, statvfs("/tmp", &fs));
	if (fs.f_flag & ST_NOSUID)
		SKIP(return, "/tmp is nosuid: set-id programs are not tested");
	snprintf(self->dir, sizeof(self->dir), "/tmp/pagesize.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	/* Other file systems may have been built without such attributes. */
	if (variant->caps && mount("none", self->dir, "tmpfs", 0, NULL)) {
		rmdir(self->dir);
		SKIP(return, "no tmpfs");
	}
	ASSERT_EQ(0, chmod(self->dir, 0755));
	snprintf(self->exe, sizeof(self->exe), "%s/exe", self->dir);
	snprintf(self->kernel_size, sizeof(self->kernel_size), "%lu",
		 kernel_page_size());
	copy_self(_metadata, self->exe, variant->owner, variant->group,
		  variant->mode);
	if (variant->caps && !give_caps(self->exe)) {
		umount2(self->dir, MNT_DETACH);
		rmdir(self->dir);
		SKIP(return, "no capabilities of files");
	}
}

/* Not as the user that the test has become. */
FIXTURE_TEARDOWN_PARENT(setid)
{
	unlink(self->exe);
	if (variant->caps)
		umount2(self->dir, MNT_DETACH);
	rmdir(self->dir);
}

/* A program that gains rights starts with the kernel's page size. */
TEST_F(setid, clears)
{
	char size[24], field[24];
	char *const argv[] = {
		self->exe, "--child", "personality", size, field, NULL,
	};

	snprintf(size, sizeof(size), "%lu",
		 variant->cleared ? kernel_page_size() : SZ_64K);
	snprintf(field, sizeof(field), "%lu",
		 per_page_size(variant->cleared ? DEFAULT_SIZE : 16));
	if (variant->user) {
		/* The C library would change all threads; this one suffices. */
		ASSERT_EQ(0, syscall(__NR_setresgid, NOBODY, NOBODY, NOBODY));
		ASSERT_EQ(0, syscall(__NR_setresuid, NOBODY, NOBODY, NOBODY));
	}
	if (variant->no_new_privs)
		ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	EXPECT_EQ(0, run_program(16, self->exe, argv));
}

/*
 * A 32-bit program always has the kernel's page size. This one is a branch to
 * itself, so that it can be looked at from here.
 */
TEST(aarch32)
{
	struct {
		struct elf32_hdr ehdr;
		struct elf32_phdr phdr;
		__u32 code;
	} image = {
		.ehdr = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
				     ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_ARM,
			.e_version = EV_CURRENT,
			.e_entry = 0x100000 + offsetof(typeof(image), code),
			.e_phoff = offsetof(typeof(image), phdr),
			.e_flags = 0x05000000,	/* EABI version 5 */
			.e_ehsize = sizeof(struct elf32_hdr),
			.e_phentsize = sizeof(struct elf32_phdr),
			.e_phnum = 1,
		},
		.phdr = {
			.p_type = PT_LOAD,
			.p_vaddr = 0x100000,
			.p_filesz = sizeof(image),
			.p_memsz = sizeof(image),
			.p_flags = PF_R | PF_X,
			.p_align = SZ_64K,
		},
		.code = 0xeafffffe,
	};
	char path[] = "/tmp/pagesize.XXXXXX";
	char *const argv[] = { path, NULL };
	int fd, i, status;
	pid_t pid;

	if (!size_offered(16) || kernel_page_size() != SZ_4K)
		SKIP(return, "page size not offered");
	fd = mkstemp(path);
	ASSERT_LE(0, fd);
	ASSERT_EQ(sizeof(image), write(fd, &image, sizeof(image)));
	ASSERT_EQ(0, fchmod(fd, 0755));
	close(fd);

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (set_page_size(16) < 0)
			_exit(1);
		execv(path, argv);
		_exit(errno == ENOEXEC ? KSFT_SKIP : 1);
	}
	/* Its name changes with execve(). */
	for (i = 0; i < 500; i++) {
		char comm_path[64], comm[32] = "";
		FILE *f;

		if (waitpid(pid, &status, WNOHANG) == pid) {
			unlink(path);
			ASSERT_TRUE(WIFEXITED(status));
			ASSERT_EQ(KSFT_SKIP, WEXITSTATUS(status));
			SKIP(return, "no AArch32 programs on this machine");
		}
		snprintf(comm_path, sizeof(comm_path), "/proc/%d/comm", pid);
		f = fopen(comm_path, "r");
		if (f) {
			if (!fgets(comm, sizeof(comm), f))
				comm[0] = 0;
			fclose(f);
		}
		if (!strncmp(comm, "pagesize.", 9))
			break;
		usleep(10000);
	}
	unlink(path);
	EXPECT_GT(500, i);
	/* The name is set a little before the mm is complete. */
	for (i = 0; i < 500 && status_page_size(pid) != kernel_page_size(); i++)
		usleep(10000);
	EXPECT_EQ(kernel_page_size(), status_page_size(pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	/* The interpreter of a script named script-SIZE, see above. */
	if (argc == 3 && !strcmp(argv[1], "--script")) {
		const char *size = strrchr(argv[2], '-');

		return !size || page_size() != strtoul(size + 1, NULL, 10);
	}
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
