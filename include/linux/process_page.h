/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory in whole process pages.
 *
 * In an mm with a process page, each process page of the Linux page table is
 * either absent or whole: all its kernel pages are mapped alike and are one
 * contiguous and aligned block, of a single folio where the memory has folios.
 * What is neither is mixed. Page faults are handled for the process page; what
 * cannot be had whole is mapped in kernel pages, and the mm is demoted. See
 * Documentation/mm/process_page_size.rst.
 */
#ifndef _LINUX_PROCESS_PAGE_H
#define _LINUX_PROCESS_PAGE_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/process_pagesize.h>

/* Why there is a mixed process page in an mm; 0: there is none. */
enum process_page_demotion {
	PROCESS_PAGE_NOT_DEMOTED,
	PROCESS_PAGE_DEMOTED_MEMORY,	/* no block of memory could be had */
	PROCESS_PAGE_DEMOTED_FILE,	/* a shared file is cached in pieces */
	PROCESS_PAGE_DEMOTED_SWAP,	/* swapped in pieces */
	PROCESS_PAGE_DEMOTED_DEVICE,	/* memory of a driver, in pieces */
	PROCESS_PAGE_DEMOTED_MIXED,	/* anything else */
	NR_PROCESS_PAGE_DEMOTIONS
};

/* Not called with the option off. */
int process_page_write_begin(const struct kiocb *iocb, size_t count);
void process_page_dio_begin(struct address_space *mapping, loff_t to);

#ifdef CONFIG_PROCESS_PAGE_SIZE

void process_page_demote(struct mm_struct *mm, unsigned long addr,
			 enum process_page_demotion reason);
void process_page_promote(struct mm_struct *mm);
bool process_page_may_retry(struct mm_struct *mm, unsigned long addr);
const char *process_page_demotion_name(const struct mm_struct *mm);

int __process_page_grow_begin(const struct inode *inode, loff_t to,
			      bool nowait);
void __process_page_grow_end(struct inode *inode, loff_t from);
bool arch_process_page_young(struct mm_struct *mm, unsigned long addr,
			     unsigned long size);

/**
 * process_page_young - whether an access is noted elsewhere than in the PTE
 * @mm: the mm
 * @addr: the address
 * @size: what the PTE, or PMD, maps there, in bytes
 *
 * An architecture may have another page table for process pages, and the
 * hardware note accesses there.
 *
 * Context: Under the page table lock.
 * Return: true if there was an access since young was cleared.
 */
static __always_inline bool process_page_young(struct mm_struct *mm,
					       unsigned long addr,
					       unsigned long size)
{
	return mm_page_order(mm) && arch_process_page_young(mm, addr, size);
}

/**
 * process_page_tail - whether a file was stored to behind its end
 * @inode: the file
 *
 * Context: Any.
 * Return: true if its growth must take notice.
 */
static __always_inline bool process_page_tail(const struct inode *inode)
{
	return process_page_size_used() &&
	       test_bit(AS_PROCESS_PAGE_TAIL, &inode->i_mapping->flags);
}

#else

static __always_inline bool process_page_young(struct mm_struct *mm,
					       unsigned long addr,
					       unsigned long size)
{
	return false;
}

static __always_inline int
__process_page_grow_begin(const struct inode *inode, loff_t to, bool nowait)
{
	return 0;
}

static __always_inline void __process_page_grow_end(struct inode *inode,
						    loff_t from)
{
}

static __always_inline bool process_page_tail(const struct inode *inode)
{
	return false;
}

static inline void process_page_demote(struct mm_struct *mm, unsigned long addr,
				       enum process_page_demotion reason)
{
}

#endif /* CONFIG_PROCESS_PAGE_SIZE */

/**
 * process_page_grow_begin - to be called before a file grows
 * @inode: the file
 * @to: what its size will be, in bytes; may be less than it is
 * @nowait: whether it is forbidden to wait
 *
 * Context: May sleep unless @nowait. Under the inode lock, exclusively; no folio
 * of the file is locked.
 * Return: 0, or -EAGAIN if it would have to wait.
 */
static __always_inline int process_page_grow_begin(const struct inode *inode,
						   loff_t to, bool nowait)
{
	return process_page_tail(inode) ?
	       __process_page_grow_begin(inode, to, nowait) : 0;
}

/**
 * process_page_grow_from - the size that process_page_grow_end() is told
 * @inode: the file, before it grows
 *
 * Context: Any.
 * Return: the size in bytes.
 */
static __always_inline loff_t process_page_grow_from(const struct inode *inode)
{
	return IS_ENABLED(CONFIG_PROCESS_PAGE_SIZE) ? i_size_read(inode) : 0;
}

/**
 * process_page_grow_end - to be called after a file grew
 * @inode: the file
 * @from: its size before, in bytes
 *
 * Context: May sleep.
 */
static __always_inline void process_page_grow_end(struct inode *inode,
						  loff_t from)
{
	if (process_page_tail(inode))
		__process_page_grow_end(inode, from);
}

#endif /* _LINUX_PROCESS_PAGE_H */
