// SPDX-License-Identifier: GPL-2.0
/*
 * Interfaces that deal in kernel pages are refused with EOPNOTSUPP in a process
 * with larger ones, and work in any other. Two more are refused that need a
 * driver to get at: the buffers of relay and the memory of devices.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "pagesize_fixture.h"

#define KCOV		"/sys/kernel/debug/kcov"
#define KCOV_INIT_TRACE	_IOR('c', 1, unsigned long)

static void check_refused(long ret)
{
	const int error = errno;

	if (page_size() == kernel_page_size()) {
		if (!CHECK(ret >= 0))
			printf("# %s\n", strerror(error));
	} else if (!CHECK(ret == -1 && error == EOPNOTSUPP)) {
		printf("# %ld, %s\n", ret, strerror(error));
	}
}

static void child_userfaultfd(int argc, char **argv)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (unsigned long)map_anon(page_size(), MAP_PRIVATE),
			   page_size() },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		child_skip("no userfaultfd");
	CHECK(!ioctl(fd, UFFDIO_API, &api));
	check_refused(ioctl(fd, UFFDIO_REGISTER, &reg));
}

static void child_kvm(int argc, char **argv)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		child_skip("no /dev/kvm");
	check_refused(ioctl(fd, KVM_CREATE_VM, 0));
}

static void child_secret(int argc, char **argv)
{
	/* It has a switch on the command line. */
	syscall(__NR_memfd_secret, ~0U);
	if (errno != EINVAL)
		child_skip("no memfd_secret()");
	check_refused(syscall(__NR_memfd_secret, O_CLOEXEC));
}

/* One of a process that has kernel pages. */
static void child_mapped_secret(int argc, char **argv)
{
	check_refused((long)mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
				 MAP_SHARED, atoi(argv[2]), 0) == -1 ? -1 : 0);
}

static int new_map(union bpf_attr *attr)
{
	int fd = syscall(__NR_bpf, BPF_MAP_CREATE, attr, sizeof(*attr));

	if (fd < 0)
		child_skip("no such BPF map");
	return fd;
}

static void child_ringbuf(int argc, char **argv)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_RINGBUF,
		.max_entries = SZ_64K,
	};

	check_refused((long)mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
				 MAP_SHARED, new_map(&attr), 0) == -1 ? -1 : 0);
}

static void child_arena(int argc, char **argv)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARENA,
		.map_flags = BPF_F_MMAPABLE,
		.max_entries = SZ_64K / kernel_page_size(),
	};

	check_refused((long)mmap(NULL, SZ_64K, PROT_READ | PROT_WRITE,
				 MAP_SHARED, new_map(&attr), 0) == -1 ? -1 : 0);
}

static void child_kcov(int argc, char **argv)
{
	int fd;

	mount("none", "/sys/kernel/debug", "debugfs", 0, NULL);
	fd = open(KCOV, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		child_skip("no " KCOV);
	CHECK(!ioctl(fd, KCOV_INIT_TRACE, SZ_64K / sizeof(long)));
	check_refused((long)mmap(NULL, SZ_64K, PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, 0) == -1 ? -1 : 0);
}

static const struct child children[] = {
	{ "userfaultfd", child_userfaultfd },
	{ "kvm", child_kvm },
	{ "secret", child_secret },
	{ "mapped-secret", child_mapped_secret },
	{ "ringbuf", child_ringbuf },
	{ "arena", child_arena },
	{ "kcov", child_kcov },
	{ }
};

TEST_F(pages, userfaultfd)
{
	EXPECT_CHILD("userfaultfd");
}

TEST_F(pages, kvm)
{
	EXPECT_CHILD("kvm");
}

TEST_F(pages, memfd_secret)
{
	EXPECT_CHILD("secret");
}

TEST_F(pages, mapped_secret)
{
	const int fd = syscall(__NR_memfd_secret, 0);
	char number[16];

	if (fd < 0)
		SKIP(return, "no memfd_secret(), or refused here");
	ASSERT_EQ(0, ftruncate(fd, SZ_64K));
	snprintf(number, sizeof(number), "%d", fd);
	EXPECT_CHILD("mapped-secret", number);
	close(fd);
}

TEST_F(pages, bpf_ringbuf)
{
	EXPECT_CHILD("ringbuf");
}

TEST_F(pages, bpf_arena)
{
	EXPECT_CHILD("arena");
}

TEST_F(pages, kcov)
{
	EXPECT_CHILD("kcov");
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--child"))
		return child_main(children, argc - 2, argv + 2);
	return test_harness_run(argc, argv);
}
