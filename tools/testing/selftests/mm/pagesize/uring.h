/* SPDX-License-Identifier: GPL-2.0 */
/* As much of io_uring as the tests use: one request, then its result. */
#ifndef __PAGESIZE_URING_H
#define __PAGESIZE_URING_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

struct uring {
	int fd;
	char *rings;
	struct io_uring_sqe *sqes;
	struct io_uring_params p;
};

static inline bool uring_open(struct uring *u)
{
	size_t len, cqes;

	memset(u, 0, sizeof(*u));
	u->fd = syscall(__NR_io_uring_setup, 4, &u->p);
	if (u->fd < 0)
		return false;
	len = u->p.sq_off.array + u->p.sq_entries * sizeof(__u32);
	cqes = u->p.cq_off.cqes + u->p.cq_entries * sizeof(struct io_uring_cqe);
	if (len < cqes)
		len = cqes;
	u->rings = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
			IORING_OFF_SQ_RING);
	u->sqes = mmap(NULL, u->p.sq_entries * sizeof(*u->sqes),
		       PROT_READ | PROT_WRITE, MAP_SHARED, u->fd,
		       IORING_OFF_SQES);
	if (u->rings != MAP_FAILED && u->sqes != MAP_FAILED &&
	    u->p.features & IORING_FEAT_SINGLE_MMAP)
		return true;
	close(u->fd);
	return false;
}

static inline int uring_fix(struct uring *u, const struct iovec *iov, int nr)
{
	return syscall(__NR_io_uring_register, u->fd, IORING_REGISTER_BUFFERS,
		       iov, nr);
}

/* @buffer is the index of a fixed one, or -1. */
static inline void uring_submit(struct uring *u, bool write, int fd, void *p,
				size_t len, off_t off, int buffer)
{
	__u32 *tail = (__u32 *)(u->rings + u->p.sq_off.tail);
	__u32 mask = *(__u32 *)(u->rings + u->p.sq_off.ring_mask);
	__u32 *array = (__u32 *)(u->rings + u->p.sq_off.array);
	__u32 i = *tail & mask;
	struct io_uring_sqe *sqe = &u->sqes[i];

	memset(sqe, 0, sizeof(*sqe));
	if (buffer >= 0)
		sqe->opcode = write ? IORING_OP_WRITE_FIXED :
				      IORING_OP_READ_FIXED;
	else
		sqe->opcode = write ? IORING_OP_WRITE : IORING_OP_READ;
	sqe->fd = fd;
	sqe->addr = (unsigned long)p;
	sqe->len = len;
	sqe->off = off;
	sqe->buf_index = buffer < 0 ? 0 : buffer;
	array[i] = i;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	syscall(__NR_io_uring_enter, u->fd, 1, 0, 0, NULL, 0);
}

static inline int uring_wait(struct uring *u)
{
	__u32 *head = (__u32 *)(u->rings + u->p.cq_off.head);
	__u32 *tail = (__u32 *)(u->rings + u->p.cq_off.tail);
	__u32 mask = *(__u32 *)(u->rings + u->p.cq_off.ring_mask);
	struct io_uring_cqe *cqes;
	int res;

	cqes = (struct io_uring_cqe *)(u->rings + u->p.cq_off.cqes);
	while (__atomic_load_n(tail, __ATOMIC_ACQUIRE) == *head)
		if (syscall(__NR_io_uring_enter, u->fd, 0, 1,
			    IORING_ENTER_GETEVENTS, NULL, 0) < 0 &&
		    errno != EINTR)
			return -errno;
	res = cqes[*head & mask].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return res;
}

#endif /* __PAGESIZE_URING_H */
