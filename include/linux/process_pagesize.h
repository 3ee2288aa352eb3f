/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The page size of a process.
 *
 * The kernel page is PAGE_SIZE. The process page is what a process sees as its
 * page size: a power of two of kernel pages, chosen at execve(), a property of
 * the mm. It is the unit of addresses, lengths and offsets at the system call
 * boundary. vm_pgoff, i_size, page cache indices, futex keys and resource
 * limits stay in kernel pages.
 *
 * The invariant: in every mm, each VMA starts and ends at a multiple of the
 * process page, and its vm_pgoff is a multiple of the process page too.
 *
 * Always pass the mm that is operated on: asynchronous work and operations on
 * another process must not take that of current.
 */
#ifndef _LINUX_PROCESS_PAGESIZE_H
#define _LINUX_PROCESS_PAGESIZE_H

#include <linux/jump_label.h>
#include <linux/mm_types.h>
#include <asm/page.h>

struct elf64_hdr;
struct elf64_phdr;
struct file;
struct linux_binprm;

#ifdef CONFIG_PROCESS_PAGE_SIZE

/* The largest process page that an architecture may offer. */
#define PROCESS_PAGE_SHIFT_MAX	16

DECLARE_STATIC_KEY_FALSE(process_page_size_key);
extern unsigned long process_zero_pfn;

int process_page_size_personality(unsigned int personality);
int process_page_size_bprm_init(struct linux_binprm *bprm);
void process_page_size_elf_fit(struct linux_binprm *bprm, struct file *file,
			       const struct elf64_hdr *ehdr,
			       const struct elf64_phdr *phdr);
int process_page_size_begin_exec(struct linux_binprm *bprm);

/* What the architecture provides. */
bool arch_process_page_size_supported(unsigned int shift);
int arch_process_page_size_enable(void);
void arch_process_page_size_exec(struct mm_struct *mm);
unsigned int arch_process_page_size_hw(struct mm_struct *mm);

/**
 * process_page_size_used - whether any process may have its own page size
 *
 * Context: Any.
 * Return: true once a program has asked for a page size above the kernel's.
 */
static __always_inline bool process_page_size_used(void)
{
	return static_branch_unlikely(&process_page_size_key);
}

/**
 * is_process_zero_pfn - whether a page is of the zeroes for process pages
 * @pfn: its frame number
 *
 * Context: Any.
 * Return: true if @pfn is in the block that absent memory is read from.
 */
static __always_inline bool is_process_zero_pfn(unsigned long pfn)
{
	return process_page_size_used() &&
	       pfn - process_zero_pfn <
	       1UL << (PROCESS_PAGE_SHIFT_MAX - PAGE_SHIFT);
}

/**
 * mm_page_order - the process page of @mm as an order of kernel pages
 * @mm: the mm that is operated on
 *
 * Context: Any. Constant from execve() on.
 * Return: 0 where the process page is the kernel page.
 */
static __always_inline unsigned int mm_page_order(const struct mm_struct *mm)
{
	return process_page_size_used() ? mm->page_order : 0;
}

#else /* CONFIG_PROCESS_PAGE_SIZE */

static __always_inline bool process_page_size_used(void)
{
	return false;
}

static __always_inline bool is_process_zero_pfn(unsigned long pfn)
{
	return false;
}

static __always_inline unsigned int mm_page_order(const struct mm_struct *mm)
{
	return 0;
}

static inline int process_page_size_personality(unsigned int personality)
{
	return 0;
}

static inline int process_page_size_bprm_init(struct linux_binprm *bprm)
{
	return 0;
}

static inline int process_page_size_begin_exec(struct linux_binprm *bprm)
{
	return 0;
}

#endif /* CONFIG_PROCESS_PAGE_SIZE */

/**
 * mm_page_shift - log2 of the size of the process page of @mm in bytes
 * @mm: the mm that is operated on
 *
 * Context: Any.
 * Return: PAGE_SHIFT or more.
 */
static __always_inline unsigned int mm_page_shift(const struct mm_struct *mm)
{
	return PAGE_SHIFT + mm_page_order(mm);
}

/**
 * mm_page_size - the size of the process page of @mm
 * @mm: the mm that is operated on
 *
 * Context: Any.
 * Return: the size in bytes.
 */
static __always_inline unsigned long mm_page_size(const struct mm_struct *mm)
{
	return PAGE_SIZE << mm_page_order(mm);
}

/**
 * mm_page_mask - mask of the bits of an address above the process page of @mm
 * @mm: the mm that is operated on
 *
 * Context: Any.
 * Return: what PAGE_MASK is for a kernel page.
 */
static __always_inline unsigned long mm_page_mask(const struct mm_struct *mm)
{
	return ~(mm_page_size(mm) - 1);
}

/**
 * mm_page_align - round up to the process page of @mm
 * @mm: the mm that is operated on
 * @x: an address or a length in bytes; wraps to 0 as PAGE_ALIGN() does
 *
 * Context: Any.
 * Return: @x rounded up.
 */
static __always_inline unsigned long mm_page_align(const struct mm_struct *mm,
						   unsigned long x)
{
	const unsigned long mask = mm_page_size(mm) - 1;

	return (x + mask) & ~mask;
}

/**
 * mm_page_align_down - round down to the process page of @mm
 * @mm: the mm that is operated on
 * @x: an address or a length in bytes
 *
 * Context: Any.
 * Return: @x rounded down.
 */
static __always_inline unsigned long mm_page_align_down(const struct mm_struct *mm,
							unsigned long x)
{
	return x & mm_page_mask(mm);
}

/**
 * mm_offset_in_page - the offset of an address in its process page
 * @mm: the mm that is operated on
 * @x: an address, a length or a file offset in bytes
 *
 * Context: Any.
 * Return: 0 where @x is a multiple of the process page of @mm.
 */
static __always_inline unsigned long mm_offset_in_page(const struct mm_struct *mm,
						       unsigned long x)
{
	return x & ~mm_page_mask(mm);
}

/**
 * mm_kernel_pages_to_pages - convert a count that user space is given
 * @mm: the mm of the reader, which multiplies the count by its page size
 * @nr: a count of kernel pages
 *
 * Context: Any.
 * Return: the count in process pages of @mm, rounded up.
 */
static __always_inline u64
mm_kernel_pages_to_pages(const struct mm_struct *mm, u64 nr)
{
	const unsigned int order = mm_page_order(mm);

	return (nr >> order) + !!(nr & ((1U << order) - 1));
}

#endif /* _LINUX_PROCESS_PAGESIZE_H */
