/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory in whole process pages: what the rest of mm calls.
 */
#ifndef __MM_PROCESS_PAGE_H
#define __MM_PROCESS_PAGE_H

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/process_page.h>

/* No disk takes longer for what it has been given, in jiffies. */
#define PROCESS_PAGE_DISK_WAIT	(60 * HZ)

/* Not called with the option off: vmf_page_order() is 0. */
vm_fault_t process_page_fault(struct vm_fault *vmf);
vm_fault_t process_page_map_zero(struct vm_fault *vmf);
vm_fault_t process_page_copy(struct vm_fault *vmf);
vm_fault_t process_page_cow_fault(struct vm_fault *vmf);
struct folio *process_page_alloc(struct vm_fault *vmf, bool zero);
struct folio *process_page_fork_alloc(struct vm_area_struct *vma, pmd_t *pmd,
				      unsigned long addr);
int process_page_copy_present(struct vm_area_struct *dst_vma,
			      struct vm_area_struct *src_vma, pte_t *dst_pte,
			      pte_t *src_pte, pte_t pte, unsigned long addr,
			      struct folio **prealloc);
bool process_page_mappable(const struct vm_fault *vmf,
			   const struct folio *folio, pgoff_t pgoff);
bool __process_page_unchanged(const struct vm_fault *vmf);
bool process_page_may_free(struct vm_area_struct *vma, unsigned long addr,
			   pte_t *ptep);
pgoff_t process_page_around(const struct vm_fault *vmf, pgoff_t nr_pages);
bool process_page_set_access_flags(struct vm_fault *vmf, pte_t entry);
bool process_page_grows(const struct vm_fault *vmf);
vm_fault_t process_page_split_tail(const struct vm_fault *vmf,
				   struct folio *folio);
bool process_page_may_cache(struct address_space *mapping, pgoff_t index,
			    unsigned int order);

#ifdef CONFIG_PROCESS_PAGE_SIZE

unsigned int process_page_shmem_order(const struct vm_area_struct *vma,
				      struct address_space *mapping,
				      pgoff_t index);
bool process_page_allow_tail(struct address_space *mapping);
void process_page_note_growth(struct address_space *mapping, unsigned int bit);
vm_fault_t process_page_wait_grown(struct vm_fault *vmf);

/* Defined in khugepaged.c */
int collapse_file_process_page(struct mm_struct *mm, struct file *file,
			       pgoff_t start, unsigned int order);

/* Defined in memory.c */
vm_fault_t process_page_handle_pte_fault(struct vm_fault *vmf);
vm_fault_t process_page_do_fault(struct vm_fault *vmf);

/**
 * vmf_page_order - the order of what a fault has to map at least
 * @vmf: the fault under way
 *
 * Context: Any.
 * Return: the order of the process page, or 0 for a kernel page.
 */
static __always_inline unsigned int vmf_page_order(const struct vm_fault *vmf)
{
	return process_page_size_used() ? vmf->page_order : 0;
}

/**
 * mapping_page_order - the largest process page that a file is mapped with
 * @mapping: the page cache of the file
 *
 * New folios had better be of that order: a hint, not a limit.
 *
 * Context: Any.
 * Return: the order, or 0 if none has mapped it or it has no large folios.
 */
static __always_inline unsigned int
mapping_page_order(const struct address_space *mapping)
{
	unsigned long bits;

	if (!process_page_size_used())
		return 0;
	bits = (READ_ONCE(mapping->flags) >> AS_PROCESS_PAGE) &
	       (BIT(AS_PROCESS_PAGE_BITS) - 1);
	if (!bits || fls(bits) > mapping_max_folio_order(mapping))
		return 0;
	return fls(bits);
}

#else /* CONFIG_PROCESS_PAGE_SIZE */

static __always_inline unsigned int
mapping_page_order(const struct address_space *mapping)
{
	return 0;
}

static __always_inline unsigned int
process_page_shmem_order(const struct vm_area_struct *vma,
			 struct address_space *mapping, pgoff_t index)
{
	return 0;
}

static __always_inline unsigned int vmf_page_order(const struct vm_fault *vmf)
{
	return 0;
}

#endif /* CONFIG_PROCESS_PAGE_SIZE */

/**
 * process_page_tail_grows - whether a store may reach what a file grows by
 * @vmf: the fault under way, a store to a shared mapping
 * @folio: what is to be mapped; the caller has a reference
 *
 * Context: Any.
 * Return: true if process_page_split_tail() is to look.
 */
static __always_inline bool process_page_tail_grows(const struct vm_fault *vmf,
						    const struct folio *folio)
{
	return process_page_size_used() && vmf->vma->vm_file &&
	       folio_order(folio) > vmf_page_order(vmf) &&
	       test_bit(AS_PROCESS_PAGE_GROWS,
			&vmf->vma->vm_file->f_mapping->flags);
}

/**
 * vmf_nr_pages - the number of kernel pages that a fault has to map at least
 * @vmf: the fault under way
 *
 * Context: Any.
 * Return: the kernel pages of the process page, or 1 for a kernel page alone.
 */
static __always_inline unsigned int vmf_nr_pages(const struct vm_fault *vmf)
{
	return 1U << vmf_page_order(vmf);
}

/**
 * vmf_kernel_page - the kernel page that was accessed
 * @vmf: the fault
 *
 * vmf->address is that of the process page.
 *
 * Return: its address.
 */
static __always_inline unsigned long vmf_kernel_page(const struct vm_fault *vmf)
{
	return vmf_page_order(vmf) ? vmf->real_address & PAGE_MASK :
				     vmf->address;
}

/**
 * mm_zero_pfn - what absent memory is read from
 * @mm: the mm
 * @addr: the address
 *
 * Context: Any.
 * Return: the frame number of the kernel page of zeroes for @addr; in a process
 * page, they are one block.
 */
static __always_inline unsigned long mm_zero_pfn(const struct mm_struct *mm,
						 unsigned long addr)
{
#ifdef CONFIG_PROCESS_PAGE_SIZE
	const unsigned long mask = (1UL << PROCESS_PAGE_SHIFT_MAX) - 1;

	if (mm_page_order(mm))
		return process_zero_pfn + ((addr & mask) >> PAGE_SHIFT);
#endif
	return zero_pfn(addr);
}

/**
 * process_page_unchanged - whether a whole process page is still so
 * @vmf: the fault under way; its first PTE equals vmf->orig_pte
 *
 * Context: Under the page table lock.
 * Return: true if the other PTEs of the process page map its other kernel
 * pages in the same way, and for a kernel page alone.
 */
static __always_inline bool process_page_unchanged(const struct vm_fault *vmf)
{
	return !vmf_page_order(vmf) || __process_page_unchanged(vmf);
}

/**
 * process_page_orders - the folio orders that an anonymous fault may take
 * @vmf: the fault under way
 * @orders: the orders above 0 that the policy for huge pages allows, a bit each
 *
 * Policy does not apply to the process page, nor is less than it allowed.
 *
 * Context: Any.
 * Return: the orders, a bit each.
 */
static __always_inline unsigned long
process_page_orders(const struct vm_fault *vmf, unsigned long orders)
{
	const unsigned int order = vmf_page_order(vmf);

	return order ? (orders | BIT(order)) & ~(BIT(order) - 1) : orders;
}

#endif /* __MM_PROCESS_PAGE_H */
