// SPDX-License-Identifier: GPL-2.0
/*
 * Memory in whole process pages: page faults.
 *
 * A fault in an mm with a process page is handled for the whole of it, with
 * the code that handles faults of a kernel page: vmf->page_order tells that to
 * map what is needed at once or not at all (VM_FAULT_FALLBACK). What cannot be
 * had whole, and what is no longer whole, is handled in kernel pages by the
 * very same code with a page_order of 0. That is always right; but an mm whose
 * process pages are not all whole is demoted.
 */
#include <linux/blkdev.h>
#include <linux/dax.h>
#include <linux/delay.h>
#include <linux/delayacct.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/jhash.h>
#include <linux/leafops.h>
#include <linux/memcontrol.h>
#include <linux/mman.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_notifier.h>
#include <linux/oom.h>
#include <linux/pagemap.h>
#include <linux/pgalloc.h>
#include <linux/process_page.h>
#include <linux/rmap.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/sysctl.h>
#include <linux/userfaultfd_k.h>
#include <linux/vmstat.h>

#include <asm/tlb.h>
#include <asm/tlbflush.h>

#include "internal.h"
#include "process_page.h"
#include "swap.h"

#ifdef CONFIG_PROCESS_PAGE_SIZE_DEBUG
#define CREATE_TRACE_POINTS
#include <trace/events/process_page.h>
#endif

#define PROCESS_PAGE_PAGES_MAX	(1U << (PROCESS_PAGE_SHIFT_MAX - PAGE_SHIFT))

enum process_page_state {
	PROCESS_PAGE_ABSENT,	/* nothing is mapped */
	PROCESS_PAGE_WHOLE,	/* present: one block, mapped alike */
	PROCESS_PAGE_SWAPPED,	/* one block in the swap area */
	PROCESS_PAGE_BUSY,	/* a kernel page is being migrated */
	PROCESS_PAGE_STALE,	/* rests of a file mapping, zapped in part */
	PROCESS_PAGE_MIXED,	/* anything else */
};

static const char *const process_page_demotions[NR_PROCESS_PAGE_DEMOTIONS] = {
	[PROCESS_PAGE_DEMOTED_MEMORY]	= "memory",
	[PROCESS_PAGE_DEMOTED_FILE]	= "file",
	[PROCESS_PAGE_DEMOTED_SWAP]	= "swap",
	[PROCESS_PAGE_DEMOTED_DEVICE]	= "device",
	[PROCESS_PAGE_DEMOTED_MIXED]	= "mixed",
};

#ifdef CONFIG_PROCESS_PAGE_SIZE_DEBUG
static int sysctl_process_page_demote_fatal __read_mostly;
static int sysctl_process_page_mixed_fatal __read_mostly;

static const struct ctl_table process_page_debug_table[] = {
	{
		.procname	= "process_page_demote_fatal",
		.data		= &sysctl_process_page_demote_fatal,
		.maxlen		= sizeof(sysctl_process_page_demote_fatal),
		.mode		= 0644,
		.proc_handler	= proc_dointvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
	{
		.procname	= "process_page_mixed_fatal",
		.data		= &sysctl_process_page_mixed_fatal,
		.maxlen		= sizeof(sysctl_process_page_mixed_fatal),
		.mode		= 0644,
		.proc_handler	= proc_dointvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
};

static int __init process_page_debug_init(void)
{
	register_sysctl_init("vm", process_page_debug_table);
	return 0;
}
late_initcall(process_page_debug_init);

/* Not when somebody else works on the mm: that is not to suffer for it. */
static void process_page_forbid_demotion(const struct mm_struct *mm)
{
	if (!READ_ONCE(sysctl_process_page_demote_fatal) ||
	    mm != current->mm || (current->flags & PF_KTHREAD))
		return;
	pr_err("process page size: %s[%d]: demoted, which vm.process_page_demote_fatal forbids\n",
	       current->comm, task_tgid_nr(current));
	force_fatal_sig(SIGABRT);
}
#else
static void process_page_forbid_demotion(const struct mm_struct *mm)
{
}
#endif /* CONFIG_PROCESS_PAGE_SIZE_DEBUG */

/**
 * process_page_demote - note that not all process pages of an mm are whole
 * @mm: the mm
 * @addr: address of the first such process page, for the log
 * @reason: why it is not whole
 *
 * The first reason is kept until execve(), or process_page_promote().
 *
 * Context: Any.
 */
void process_page_demote(struct mm_struct *mm, unsigned long addr,
			 enum process_page_demotion reason)
{
	u8 none = PROCESS_PAGE_NOT_DEMOTED;

	if (READ_ONCE(mm->page_demoted) ||
	    !try_cmpxchg_relaxed(&mm->page_demoted, &none, reason))
		return;
	count_vm_event(PROCESS_PAGE_DEMOTE);
	pr_debug_ratelimited("process page size: %s[%d]: demoted at %#lx: %s\n",
			     current->comm, task_tgid_nr(current), addr,
			     process_page_demotions[reason]);
	process_page_forbid_demotion(mm);
}

/**
 * process_page_promote - take back a demotion
 * @mm: the mm
 *
 * The next mixed process page demotes it again.
 *
 * Context: Any.
 */
void process_page_promote(struct mm_struct *mm)
{
	WRITE_ONCE(mm->page_demoted, PROCESS_PAGE_NOT_DEMOTED);
	count_vm_event(PROCESS_PAGE_PROMOTE);
}

/**
 * process_page_demotion_name - the reason of a demotion, for people
 * @mm: the mm
 *
 * Context: Any.
 * Return: one word, or NULL if @mm is not demoted.
 */
const char *process_page_demotion_name(const struct mm_struct *mm)
{
	return process_page_demotions[READ_ONCE(mm->page_demoted)];
}

/**
 * arch_process_page_young - see process_page_young()
 * @mm: the mm
 * @addr: the address
 * @size: what is mapped there, in bytes
 *
 * Context: Under the page table lock.
 * Return: true if another page table notes an access.
 */
bool __weak arch_process_page_young(struct mm_struct *mm, unsigned long addr,
				    unsigned long size)
{
	return false;
}

/* What may differ between the kernel pages of one process page. */
static pte_t pte_without_use(pte_t pte)
{
	return pte_mkold(pte_mkclean(pte));
}

/*
 * Whether a store is more than that to a VMA: the page is copied, or somebody
 * takes notice of it.
 */
static bool process_page_is_written_to(const struct vm_area_struct *vma)
{
	const struct vm_operations_struct *ops = vma->vm_ops;

	return vma_is_cow_mapping(vma) ||
	       (ops && (ops->page_mkwrite || ops->pfn_mkwrite));
}

/*
 * Whether the process page whose first PTE is @first is mapped whole: its PTEs
 * are alike but for what the hardware notes, and of one aligned block. Where
 * the memory has folios, the block is of one folio, for it is only that which
 * keeps it together; and it is exclusive as a whole or not at all.
 */
static bool process_page_whole(struct vm_area_struct *vma, unsigned long addr,
			       pte_t *ptep, pte_t first, unsigned int order)
{
	const unsigned int nr = 1U << order;
	const pte_t expected = pte_without_use(first);
	struct folio *folio;
	struct page *page;
	unsigned int i;

	if (!IS_ALIGNED(pte_pfn(first), nr))
		return false;
	/* What is contiguous is alike, and costs to be read one by one. */
	for (i = pte_batch_hint(ptep, first); i < nr;) {
		const pte_t pte = ptep_get(ptep + i);

		if (!pte_present(pte) ||
		    !pte_same(pte_without_use(pte),
			      pte_advance_pfn(expected, i)))
			return false;
		i += pte_batch_hint(ptep + i, pte);
	}

	page = vm_normal_page(vma, addr, first);
	if (!page) {
		/* A driver is told of the kernel page that is written to. */
		return !(vma->vm_flags & VM_SHARED) || !vma->vm_ops ||
		       !vma->vm_ops->pfn_mkwrite;
	}
	folio = page_folio(page);
	if (folio_test_anon(folio)) {
		bool exclusive;

		/* What follows may be somebody else's. */
		if (folio_order(folio) < order)
			return false;
		exclusive = PageAnonExclusive(page);
		for (i = 1; i < nr; i++)
			if (PageAnonExclusive(page + i) != exclusive)
				return false;
	} else if (!folio->mapping && !process_page_is_written_to(vma)) {
		/* Not the page cache's: a driver's, who frees it as a whole. */
		return true;
	}
	return folio_order(folio) >= order;
}

/**
 * process_page_may_free - whether a process page may be freed instead of swapped
 * @vma: the VMA, of anonymous memory
 * @addr: address of the process page
 * @ptep: its first PTE
 *
 * A store makes all of it stay. So it may be freed only as a whole: in one folio,
 * or where there is nothing but swap.
 *
 * Context: Under the page table lock.
 * Return: true if it may.
 */
bool process_page_may_free(struct vm_area_struct *vma, unsigned long addr,
			   pte_t *ptep)
{
	const unsigned int order = mm_page_order(vma->vm_mm);
	const pte_t first = ptep_get(ptep);
	unsigned int i;

	if (pte_present(first))
		return process_page_whole(vma, addr, ptep, first, order);
	if (pte_none(first))
		return pte_range_none(ptep, 1U << order);
	for (i = 0; i < 1U << order; i++) {
		const pte_t pte = ptep_get(ptep + i);

		if (pte_present(pte) ||
		    !softleaf_is_swap(softleaf_from_pte(pte)))
			return false;
	}
	return true;
}

/*
 * Whether the fault can be handled for the whole process page as far as the end
 * of the file is concerned, which may be in it: see process_page_eof.c.
 */
static bool process_page_may_span_eof(const struct vm_fault *vmf, pgoff_t pgoff)
{
	const struct vm_area_struct *vma = vmf->vma;
	struct address_space *mapping;

	if (!(vma->vm_flags & VM_SHARED) || !vma->vm_file ||
	    !(vmf->flags & FAULT_FLAG_WRITE))
		return true;
	mapping = vma->vm_file->f_mapping;
	return !S_ISREG(mapping->host->i_mode) ||
	       ((loff_t)pgoff + vmf_nr_pages(vmf)) << PAGE_SHIFT <=
	       i_size_read(mapping->host) ||
	       process_page_allow_tail(mapping);
}

/**
 * __process_page_unchanged - whether a whole process page is still so
 * @vmf: the fault under way; its first PTE equals vmf->orig_pte
 *
 * Context: Under the page table lock.
 * Return: true if it is.
 */
bool __process_page_unchanged(const struct vm_fault *vmf)
{
	return process_page_whole(vmf->vma, vmf->address, vmf->pte,
				  vmf->orig_pte, vmf_page_order(vmf)) &&
	       process_page_may_span_eof(vmf, vmf->pgoff) &&
	       !process_page_grows(vmf);
}

/*
 * Whether the access is behind the end of a file, in the process page that the
 * end is in: of a shared mapping, there is nothing in kernel pages.
 */
static bool process_page_needs_whole(const struct vm_fault *vmf)
{
	const pgoff_t index = vmf->pgoff +
		((vmf->real_address - vmf->address) >> PAGE_SHIFT);
	const struct inode *inode;

	if (!vmf->vma->vm_file)
		return false;
	inode = file_inode(vmf->vma->vm_file);
	return S_ISREG(inode->i_mode) &&
	       index >= DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE);
}

static bool process_page_is_cached(const struct vm_area_struct *vma,
				   const struct folio *folio)
{
	return folio && !folio_test_anon(folio) &&
	       folio->mapping == vma->vm_file->f_mapping;
}

/*
 * What a process page is. If it is busy, @busy is the number of a kernel page
 * that is. Under the page table lock.
 */
static enum process_page_state process_page_classify(struct vm_fault *vmf,
						     unsigned int *busy)
{
	const unsigned int order = vmf_page_order(vmf);
	const unsigned int nr = vmf_nr_pages(vmf);
	const unsigned long addr = vmf->address;
	struct vm_area_struct *vma = vmf->vma;
	pte_t *ptep = vmf->pte;
	const pte_t first = ptep_get(ptep);
	/* DAX has large folios, but maps the kernel page that is asked for. */
	bool stale = !vma_is_anonymous(vma) && vma->vm_file && !vma_is_dax(vma);
	unsigned int i;

	if (pte_none(first)) {
		if (pte_range_none(ptep, nr))
			return PROCESS_PAGE_ABSENT;
	} else if (pte_present(first)) {
		if (process_page_whole(vma, addr, ptep, first, order))
			return PROCESS_PAGE_WHOLE;
	} else if (softleaf_is_swap(softleaf_from_pte(first))) {
		if (IS_ALIGNED(swp_offset(softleaf_from_pte(first)), nr) &&
		    swap_pte_batch(ptep, nr, first) == nr)
			return PROCESS_PAGE_SWAPPED;
	}

	for (i = 0; i < nr; i++) {
		const pte_t pte = ptep_get(ptep + i);
		struct folio *folio;

		if (pte_none(pte))
			continue;
		if (!pte_present(pte)) {
			if (softleaf_is_migration(softleaf_from_pte(pte))) {
				*busy = i;
				return PROCESS_PAGE_BUSY;
			}
			stale = false;
			continue;
		}
		folio = vm_normal_folio(vma, addr + i * PAGE_SIZE, pte);
		if (!stale || !process_page_is_cached(vma, folio) ||
		    (!process_page_mappable(vmf, folio, vmf->pgoff) &&
		     !process_page_needs_whole(vmf)))
			stale = false;
	}
	return stale ? PROCESS_PAGE_STALE : PROCESS_PAGE_MIXED;
}

static enum process_page_state process_page_state(struct vm_fault *vmf,
						  unsigned int *busy)
{
	enum process_page_state state;

	if (pmd_none(*vmf->pmd))
		return PROCESS_PAGE_ABSENT;
	vmf->pte = pte_offset_map_lock(vmf->vma->vm_mm, vmf->pmd, vmf->address,
				       &vmf->ptl);
	/* There is something else now: have the fault again. */
	if (!vmf->pte)
		return PROCESS_PAGE_BUSY;
	state = process_page_classify(vmf, busy);
	pte_unmap_unlock(vmf->pte, vmf->ptl);
	vmf->pte = NULL;
	return state;
}

/* Handle the fault of kernel page @i of the process page, alone. */
static vm_fault_t process_page_piece(const struct vm_fault *vmf, unsigned int i,
				     unsigned int flags)
{
	const unsigned long address = vmf->address + i * PAGE_SIZE;
	const bool real = (vmf->real_address & PAGE_MASK) == address;
	struct vm_fault piece = {
		.vma = vmf->vma,
		.address = address,
		.real_address = real ? vmf->real_address : address,
		.flags = flags & ~FAULT_FLAG_ORIG_PTE_VALID,
		.pgoff = vmf->pgoff + i,
		.gfp_mask = vmf->gfp_mask,
		.pud = vmf->pud,
		.pmd = vmf->pmd,
	};

	return process_page_handle_pte_fault(&piece);
}

static enum process_page_demotion
process_page_reason(const struct vm_fault *vmf, bool swapped)
{
	const struct vm_area_struct *vma = vmf->vma;

	if (swapped)
		return PROCESS_PAGE_DEMOTED_SWAP;
	if (vma_is_anonymous(vma))
		return PROCESS_PAGE_DEMOTED_MEMORY;
	if (!vma->vm_file || (vma->vm_flags & (VM_PFNMAP | VM_MIXEDMAP)))
		return PROCESS_PAGE_DEMOTED_DEVICE;
	return PROCESS_PAGE_DEMOTED_FILE;
}

/*
 * The process page of a fault is mixed. Who works on the mm of somebody else does
 * not demote that where the hardware has page tables of the process page: they
 * have nothing of it, and the mm has its own fault there, or never gets there.
 */
static bool process_page_fault_demotes(const struct vm_fault *vmf)
{
	struct mm_struct *mm = vmf->vma->vm_mm;

	return !(vmf->flags & FAULT_FLAG_REMOTE) ||
	       arch_process_page_size_hw(mm) != mm_page_shift(mm);
}

/*
 * Handle the fault in kernel pages: the one that was asked for, and, while the
 * mm has only whole process pages, those which may make this one whole again:
 * the other half of a folio whose unmapping was given up, and the pages of a
 * special mapping, which come one by one.
 */
static vm_fault_t process_page_pieces(struct vm_fault *vmf)
{
	const unsigned int real = (vmf->real_address - vmf->address) >> PAGE_SHIFT;
	const pgoff_t index = vmf->pgoff + real;
	const unsigned int nr = vmf_nr_pages(vmf);
	struct vm_area_struct *vma = vmf->vma;
	struct mm_struct *mm = vma->vm_mm;
	const bool special = !vma_is_anonymous(vma) && !vma->vm_file;
	unsigned int i, busy;
	vm_fault_t ret;
	bool swapped;

	/* It may be mapped to be read: see process_page_may_span_eof(). */
	if (!process_page_may_span_eof(vmf, vmf->pgoff) && index >=
	    DIV_ROUND_UP(i_size_read(file_inode(vma->vm_file)), PAGE_SIZE))
		return VM_FAULT_SIGBUS;

	ret = process_page_piece(vmf, real, vmf->flags);
	/* Its folio may have had to be split: see process_page_split_tail(). */
	if (ret == VM_FAULT_NOPAGE && process_page_grows(vmf))
		ret = process_page_piece(vmf, real, vmf->flags);
	count_vm_event(PROCESS_PAGE_PIECES);
	if ((ret & (VM_FAULT_ERROR | VM_FAULT_RETRY | VM_FAULT_COMPLETED)) ||
	    READ_ONCE(mm->page_demoted))
		return ret;

	swapped = ret & VM_FAULT_MAJOR && vma_is_anonymous(vma);
	for (i = 0; i < nr; i++) {
		vm_fault_t other;
		pte_t *ptep, pte;

		ptep = pte_offset_map(vmf->pmd, vmf->address + i * PAGE_SIZE);
		if (!ptep)
			return ret;
		pte = ptep_get_lockless(ptep);
		pte_unmap(ptep);
		if (pte_present(pte) || pte_none(pte) != special)
			continue;
		swapped |= !special;
		other = process_page_piece(vmf, i, vmf->flags &
					   ~(FAULT_FLAG_WRITE |
					     FAULT_FLAG_UNSHARE));
		/* The lock on the VMA may be gone. */
		if (other & (VM_FAULT_RETRY | VM_FAULT_COMPLETED))
			return other;
	}

	switch (process_page_state(vmf, &busy)) {
	case PROCESS_PAGE_MIXED:
	case PROCESS_PAGE_STALE:
		if (process_page_fault_demotes(vmf))
			process_page_demote(mm, vmf->address,
					    process_page_reason(vmf, swapped));
		break;
	default:
		if (!special)
			count_vm_event(PROCESS_PAGE_REPAIR);
	}
	return ret;
}

/*
 * Memory is there, but not in one block: fill an absent process page with
 * kernel pages. All of them at once, so that it does not take a fault for each.
 */
static vm_fault_t process_page_fill(struct vm_fault *vmf)
{
	struct folio *folios[PROCESS_PAGE_PAGES_MAX];
	const unsigned int nr = vmf_nr_pages(vmf);
	struct vm_area_struct *vma = vmf->vma;
	struct mm_struct *mm = vma->vm_mm;
	unsigned int i, got;
	vm_fault_t ret;

	ret = vmf_anon_prepare(vmf);
	if (ret)
		return ret;

	for (got = 0; got < nr; got++) {
		const unsigned long addr = vmf->address + got * PAGE_SIZE;
		struct folio *folio = vma_alloc_zeroed_movable_folio(vma, addr);

		if (!folio)
			break;
		if (mem_cgroup_charge(folio, mm, GFP_KERNEL)) {
			folio_put(folio);
			break;
		}
		folio_throttle_swaprate(folio, GFP_KERNEL);
		__folio_mark_uptodate(folio);
		folios[got] = folio;
	}
	if (got < nr) {
		ret = VM_FAULT_OOM;
		goto release;
	}

	vmf->pte = pte_offset_map_lock(mm, vmf->pmd, vmf->address, &vmf->ptl);
	if (!vmf->pte)
		goto release;
	if (pte_range_none(vmf->pte, nr))
		ret = check_stable_address_space(mm);
	else
		ret = VM_FAULT_NOPAGE;
	if (!ret) {
		for (i = 0; i < nr; i++)
			map_anon_folio_pte_nopf(folios[i], vmf->pte + i, vma,
						vmf->address + i * PAGE_SIZE,
						false);
		add_mm_counter(mm, MM_ANONPAGES, nr);
		got = 0;
	}
	pte_unmap_unlock(vmf->pte, vmf->ptl);
	if (!ret) {
		count_vm_event(PROCESS_PAGE_PIECES);
		if (process_page_fault_demotes(vmf))
			process_page_demote(mm, vmf->address,
					    PROCESS_PAGE_DEMOTED_MEMORY);
	}
release:
	while (got)
		folio_put(folios[--got]);
	return ret;
}

/* Whether the file pages of a private mapping may be replaced by a copy. */
static bool process_page_may_copy(const struct vm_fault *vmf)
{
	const struct vm_area_struct *vma = vmf->vma;
	const struct inode *inode;

	if (vma_is_anonymous(vma) || !vma->vm_file || !vma->vm_ops->fault ||
	    !vma_is_cow_mapping(vma) || vma_is_dax(vma) ||
	    (vma->vm_flags & (VM_PFNMAP | VM_MIXEDMAP)))
		return false;
	inode = vma->vm_file->f_mapping->host;
	return S_ISREG(inode->i_mode) || S_ISBLK(inode->i_mode);
}

/*
 * A copy that only takes the place of what the page cache has in pieces is memory
 * that nobody promised for a mapping that cannot be written to. That matters where
 * the kernel promises no more than it has.
 */
static bool process_page_may_bounce(const struct vm_fault *vmf)
{
	return process_page_may_copy(vmf) &&
	       ((vmf->vma->vm_flags & VM_ACCOUNT) ||
		sysctl_overcommit_memory != OVERCOMMIT_NEVER);
}

/**
 * process_page_around - how much to map around a kernel page
 * @vmf: the fault under way; the process page is in pieces
 * @nr_pages: what it would be, in kernel pages; a power of two
 *
 * The process pages around it are left alone where they may be had whole.
 *
 * Context: Any.
 * Return: the number of kernel pages, a power of two.
 */
pgoff_t process_page_around(const struct vm_fault *vmf, pgoff_t nr_pages)
{
	const struct vm_area_struct *vma = vmf->vma;
	const unsigned int order = mm_page_order(vma->vm_mm);
	struct address_space *mapping;

	if (!vma->vm_file)
		return nr_pages;
	mapping = vma->vm_file->f_mapping;
	if (!shmem_mapping(mapping) &&
	    mapping_max_folio_order(mapping) < order &&
	    !process_page_may_bounce(vmf))
		return nr_pages;
	return min_t(pgoff_t, nr_pages, 1UL << order);
}

/* Give up the rests of file pages in a process page; they are in the cache. */
static void process_page_zap(struct vm_fault *vmf)
{
	struct zap_details details = { .skip_cows = true };
	struct vm_area_struct *vma = vmf->vma;
	struct mmu_gather tlb;

	tlb_gather_mmu(&tlb, vma->vm_mm);
	zap_vma_range_batched(&tlb, vma, vmf->address,
			      mm_page_size(vma->vm_mm), &details);
	tlb_finish_mmu(&tlb);
	count_vm_event(PROCESS_PAGE_REPAIR);
}

/*
 * The memory of a segment of SysV goes on to the end of its last page, whatever
 * its size: no split may drop that. Its file is the kernel's own.
 */
static void process_page_keep_tail(struct inode *inode, unsigned int nr)
{
	const pgoff_t end = round_up(DIV_ROUND_UP(i_size_read(inode),
						  PAGE_SIZE), nr);

	if (IS_PRIVATE(inode) && READ_ONCE(SHMEM_I(inode)->fallocend) < end)
		WRITE_ONCE(SHMEM_I(inode)->fallocend, end);
}

/* Tell the page cache which folios would suit, before it makes some. */
static void process_page_note_mapping(const struct vm_fault *vmf)
{
	const struct vm_area_struct *vma = vmf->vma;
	const unsigned int bit = AS_PROCESS_PAGE + vmf_page_order(vmf) - 1;
	struct address_space *mapping;

	if (!vma->vm_file || vma_is_anonymous(vma))
		return;
	mapping = vma->vm_file->f_mapping;
	/* Not that of a device: file systems have their metadata there. */
	if (!S_ISREG(mapping->host->i_mode))
		return;
	/* It may grow by direct I/O, which has not seen the bit. */
	if (!test_bit(bit, &mapping->flags))
		process_page_note_growth(mapping, bit);
	/* Of shmem, what is mapped to be read can be written, too. */
	if (shmem_mapping(mapping) && (vma->vm_flags & VM_SHARED)) {
		process_page_allow_tail(mapping);
		process_page_keep_tail(mapping->host, vmf_nr_pages(vmf));
	}
}

/**
 * process_page_shmem_order - the order that suits process pages in shmem
 * @vma: the VMA that a fault is in, or NULL
 * @mapping: the file
 * @index: index of a kernel page that is missing
 *
 * Who waits for the absence of pages by userfaultfd must not be deprived of it
 * by the neighbours of a page.
 *
 * Context: May sleep.
 * Return: the order, or 0.
 */
unsigned int process_page_shmem_order(const struct vm_area_struct *vma,
				      struct address_space *mapping,
				      pgoff_t index)
{
	unsigned int order = mapping_page_order(mapping);
	struct vm_area_struct *other;
	pgoff_t start;

	if (vma && mm_page_order(vma->vm_mm))
		order = mm_page_order(vma->vm_mm);
	if (!order)
		return 0;
	if (likely(!test_bit(AS_PROCESS_PAGE_WATCHED, &mapping->flags)))
		return order;

	start = round_down(index, 1UL << order);
	i_mmap_lock_read(mapping);
	mapping_rmap_tree_foreach(other, mapping, start,
				  start + (1UL << order) - 1) {
		if (userfaultfd_missing(other)) {
			order = 0;
			break;
		}
	}
	i_mmap_unlock_read(mapping);
	return order;
}

/* Whether the page cache and swap lack a kernel page of the process page. */
static bool process_page_has_hole(const struct vm_fault *vmf,
				  struct address_space *mapping)
{
	const pgoff_t end = vmf->pgoff + vmf_nr_pages(vmf);
	XA_STATE(xas, &mapping->i_pages, vmf->pgoff);
	pgoff_t next = vmf->pgoff;
	void *entry;

	rcu_read_lock();
	xas_for_each(&xas, entry, end - 1) {
		if (xas_retry(&xas, entry))
			continue;
		if (xas.xa_index > next)
			break;
		next = round_down(xas.xa_index, 1UL << xas_get_order(&xas)) +
		       (1UL << xas_get_order(&xas));
	}
	rcu_read_unlock();
	return next < end;
}

/*
 * Whether somebody waits by userfaultfd for a kernel page of the process page
 * that is a hole. Then the fault is for the kernel page that was accessed, as
 * everything else fills more than that: the process page in any order, and a
 * copy of it.
 */
static bool process_page_watched(const struct vm_fault *vmf)
{
	const struct vm_area_struct *vma = vmf->vma;
	struct address_space *mapping;

	if (vma_is_anonymous(vma) || !vma->vm_file)
		return false;
	mapping = vma->vm_file->f_mapping;
	return shmem_mapping(mapping) && process_page_has_hole(vmf, mapping) &&
	       !process_page_shmem_order(vma, mapping, vmf->pgoff);
}

/*
 * Read what the page cache has not, or in part: a write of less than a page
 * leaves that behind where blocks are smaller than pages. Not while folios are
 * locked, because who truncates takes the locks in the other order.
 */
static int process_page_complete(struct file *file, pgoff_t index, pgoff_t end)
{
	struct address_space *mapping = file->f_mapping;
	bool ahead = false;

	end = min(end, DIV_ROUND_UP(i_size_read(mapping->host), PAGE_SIZE));
	while (index < end) {
		struct folio *folio = filemap_get_folio(mapping, index);

		if (IS_ERR(folio) && !ahead) {
			ahead = true;
			page_cache_sync_readahead(mapping, &file->f_ra, file,
						  index, end - index);
			continue;
		}
		if (IS_ERR(folio) || !folio_test_uptodate(folio)) {
			if (!IS_ERR(folio))
				folio_put(folio);
			filemap_invalidate_lock_shared(mapping);
			if (index < DIV_ROUND_UP(i_size_read(mapping->host),
						 PAGE_SIZE))
				folio = read_cache_folio(mapping, index, NULL,
							 file);
			else
				folio = ERR_PTR(-EAGAIN);
			filemap_invalidate_unlock_shared(mapping);
			if (IS_ERR(folio))
				return PTR_ERR(folio);
		}
		index = folio_next_index(folio);
		folio_put(folio);
	}
	return 0;
}

/*
 * Wait until nothing of a process page is under writeback, but not for ever: it
 * may be a load that waits, of what is there, and the disk may be gone.
 */
static int process_page_wait_clean(struct address_space *mapping, pgoff_t index,
				   pgoff_t end, unsigned long limit)
{
	while (index < end) {
		struct folio *folio = filemap_get_folio(mapping, index);

		if (IS_ERR(folio)) {
			index++;
			continue;
		}
		while (folio_test_writeback(folio) &&
		       time_before(jiffies, limit) &&
		       !fatal_signal_pending(current))
			schedule_timeout_killable(1);
		index = folio_next_index(folio);
		folio_put(folio);
	}
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/* All CPUs do it, whoever asks: not more than a few times a second. */
static bool process_page_drain_lru(void)
{
	static unsigned long next = INITIAL_JIFFIES;

	if (time_before(jiffies, READ_ONCE(next)))
		return false;
	WRITE_ONCE(next, jiffies + HZ / 10);
	lru_add_drain_all();
	return true;
}

/*
 * Put the folios of a process page together, once what is dirty has been
 * written. There is often somebody who has a reference for just a moment: who
 * ends writeback does while waking us up, and so do readers and the per-CPU
 * lists of the LRU. Wait a little for them, and for a while where there is
 * nothing to fall back on: behind the end of a file that is mapped shared.
 */
static int process_page_collapse(const struct vm_fault *vmf,
				 struct mm_struct *mm, struct file *file,
				 pgoff_t pgoff, bool shared, bool unlocked)
{
	struct address_space *mapping = file->f_mapping;
	const unsigned int order = vmf_page_order(vmf);
	const loff_t start = (loff_t)pgoff << PAGE_SHIFT;
	const loff_t end = start + (PAGE_SIZE << order) - 1;
	const pgoff_t real = pgoff + ((vmf->real_address - vmf->address) >>
				      PAGE_SHIFT);
	const bool shmem = shmem_mapping(mapping);
	/* With the lock on the mm, others wait for us. */
	const unsigned long patience = unlocked ? HZ : HZ / 10;
	unsigned long timeout = jiffies + patience;
	unsigned int tries;
	bool behind;
	int err;

	for (tries = 0;; tries++) {
		behind = shared && real >=
			 DIV_ROUND_UP(i_size_read(mapping->host), PAGE_SIZE);
		if (!shmem && (behind || !tries) &&
		    filemap_range_needs_writeback(mapping, start, end)) {
			/* Errors are for fsync() to report, not for us to consume. */
			filemap_flush_range(mapping, start, end);
			err = process_page_wait_clean(mapping, pgoff,
						      pgoff + (1UL << order),
						      jiffies +
						      (behind && unlocked ?
						       PROCESS_PAGE_DISK_WAIT :
						       patience));
			if (err)
				return err;
			if (!tries)
				timeout = jiffies + patience;
		}
		if (!shmem) {
			err = process_page_complete(file, pgoff,
						    pgoff + (1UL << order));
			if (err)
				return err;
		}
		/* It is not done while somebody has this lock exclusively. */
		if (!shmem && behind && unlocked) {
			const unsigned long before = jiffies;

			filemap_invalidate_lock_shared(mapping);
			filemap_invalidate_unlock_shared(mapping);
			timeout += jiffies - before;
		}
		lru_add_drain();
		err = collapse_file_process_page(mm, file, pgoff, order);
		if (err != -EAGAIN || fatal_signal_pending(current) ||
		    (behind ? time_after(jiffies, timeout) : tries >= 4))
			return err;
		if (tries || !unlocked || !process_page_drain_lru())
			fsleep(100 << min(tries, 4U));
	}
}

/* Whether the page cache may have the process page in one folio. */
static bool process_page_may_refold(const struct vm_fault *vmf)
{
	const unsigned int order = vmf_page_order(vmf);
	const struct vm_area_struct *vma = vmf->vma;
	struct address_space *mapping;

	if (vma_is_anonymous(vma) || !vma->vm_file || vma_is_dax(vma) ||
	    (vma->vm_flags & (VM_PFNMAP | VM_MIXEDMAP)))
		return false;
	mapping = vma->vm_file->f_mapping;
	if (!S_ISREG(mapping->host->i_mode) ||
	    (!shmem_mapping(mapping) && order > mapping_max_folio_order(mapping)) ||
	    vmf->pgoff >= DIV_ROUND_UP(i_size_read(mapping->host), PAGE_SIZE))
		return false;
	return process_page_may_span_eof(vmf, vmf->pgoff) &&
	       process_page_may_cache(mapping, vmf->pgoff, order);
}

/*
 * Whether a process page that is mixed has nothing but pages of its file, which
 * may be put together or copied: something was in the way of that, and may be no
 * longer. What is locked in memory here stays mapped; what is so elsewhere, or
 * pinned, stays what it is.
 */
static bool process_page_may_be_whole(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	const bool bounce = process_page_may_bounce(vmf);
	bool may = true;
	unsigned int i;
	pte_t *ptep;

	if ((vma->vm_flags & VM_LOCKED) ||
	    (!bounce && !process_page_may_refold(vmf)))
		return false;
	ptep = pte_offset_map_lock(vma->vm_mm, vmf->pmd, vmf->address,
				   &vmf->ptl);
	if (!ptep)
		return false;
	for (i = 0; i < vmf_nr_pages(vmf) && may; i++) {
		const unsigned long addr = vmf->address + i * PAGE_SIZE;
		const pte_t pte = ptep_get(ptep + i);
		struct folio *folio;

		if (pte_none(pte))
			continue;
		folio = pte_present(pte) ? vm_normal_folio(vma, addr, pte) :
					   NULL;
		may = process_page_is_cached(vma, folio) &&
		      (bounce || (!folio_test_mlocked(folio) &&
				  !folio_maybe_dma_pinned(folio)));
	}
	pte_unmap_unlock(ptep, vmf->ptl);
	return may;
}

static bool process_page_of_may_be_whole(struct vm_area_struct *vma,
					 unsigned long addr)
{
	struct vm_fault vmf = {
		.vma = vma,
		.address = addr,
		.real_address = addr,
		.page_order = mm_page_order(vma->vm_mm),
		.pgoff = linear_page_index(vma, addr),
		.pmd = mm_find_pmd(vma->vm_mm, addr),
	};

	return vmf.pmd && process_page_may_be_whole(&vmf);
}

/**
 * process_page_may_retry - whether a demotion may have lost its cause
 * @mm: the mm that was demoted
 * @addr: the address that it was demoted for
 *
 * The pages of a file that are mapped there have no more faults, which would put
 * them together. In an mm that is not demoted, the next one does.
 *
 * Context: Process context, may sleep. Locks on VMAs of @mm may be held.
 * Return: true if the process page is mixed and may be whole after a fault.
 */
bool process_page_may_retry(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma = lock_vma_under_rcu(mm, addr);
	bool may;

	if (!vma)
		return false;
	/* There may be something else by now, with other page tables. */
	may = !is_vm_hugetlb_page(vma) &&
	      process_page_of_may_be_whole(vma, mm_page_align_down(mm, addr));
	vma_end_read(vma);
	return may;
}

/*
 * The file is in the page cache in smaller folios: put what the process page
 * holds into one. Other processes do not notice, they may map any part of it.
 * With the lock dropped, if that may be: it can take a while. The fault is then
 * done once more, and finds the folio, or is handled without it.
 */
static vm_fault_t process_page_refold(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct mm_struct *mm = vma->vm_mm;
	/* What is open for reading only has no VM_SHARED. */
	const bool shared = vma->vm_flags & VM_MAYSHARE;
	const pgoff_t pgoff = vmf->pgoff;
	struct file *file, *fpin;
	int err;

	if (!process_page_may_refold(vmf))
		return VM_FAULT_FALLBACK;
	file = vma->vm_file;
	if ((vmf->flags & FAULT_FLAG_ALLOW_RETRY) &&
	    (vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		return VM_FAULT_RETRY;

	get_file(file);
	fpin = maybe_unlock_mmap_for_io(vmf, NULL);

	err = process_page_collapse(vmf, mm, file, pgoff, shared, fpin);
	count_vm_event(err ? PROCESS_PAGE_REFOLD_FAIL : PROCESS_PAGE_REFOLD);

	fput(file);
	if (fpin) {
		fput(fpin);
		return VM_FAULT_RETRY;
	}
	if (err)
		return VM_FAULT_FALLBACK;
	vmf->page = NULL;
	return process_page_handle_pte_fault(vmf);
}

#ifdef CONFIG_PROCESS_PAGE_SIZE_DEBUG
/*
 * A task that has the same fault again and again, and with the same registers,
 * does not get on: what the fault handler does is not what the access needs.
 */
static void process_page_check_loop(const struct vm_fault *vmf)
{
	const struct pt_regs *regs = current_pt_regs();
	u32 hash;

	if (!(vmf->flags & FAULT_FLAG_USER))
		return;
	hash = jhash2((const u32 *)regs, sizeof(*regs) / sizeof(u32),
		      (u32)vmf->real_address);
	if (hash != current->process_page_fault_hash) {
		current->process_page_fault_hash = hash;
		current->process_page_fault_count = 0;
		return;
	}
	WARN_ONCE(++current->process_page_fault_count == 1000,
		  "process page size: %s[%d]: the same fault again and again at %#lx, flags %#x\n",
		  current->comm, task_tgid_nr(current), vmf->real_address,
		  vmf->flags);
}

/* It is mixed: tell what came, with which access, and what does not go with it. */
static void process_page_trace(struct vm_fault *vmf, bool after, vm_fault_t ret)
{
	pte_t last = __pte(0), pte = __pte(0);
	unsigned int i;
	pte_t *ptep;

	if (!trace_process_page_mixed_enabled() ||
	    READ_ONCE(vmf->vma->vm_mm->page_demoted))
		return;
	ptep = pte_offset_map_lock(vmf->vma->vm_mm, vmf->pmd, vmf->address,
				   &vmf->ptl);
	if (!ptep)
		return;
	for (i = 1; i < vmf_nr_pages(vmf); i++) {
		last = ptep_get(ptep + i - 1);
		pte = ptep_get(ptep + i);
		if (pte_none(last) != pte_none(pte) ||
		    pte_present(last) != pte_present(pte) ||
		    (pte_present(pte) && pte_pfn(last) + 1 != pte_pfn(pte)))
			break;
	}
	pte_unmap_unlock(ptep, vmf->ptl);
	trace_process_page_mixed(vmf, after, ret, i, last, pte);
}

/*
 * Whether what is mixed does not stay so: somebody else has a fault there, and is
 * not done, or the mm is demoted. What reclaim has left in part has no other end
 * than the next fault, and is no error either.
 */
static bool process_page_settles(struct vm_fault *vmf)
{
	enum process_page_state state;
	unsigned int i, busy;
	bool swap = false;
	pte_t *ptep;

	for (i = 0; i < 50; i++) {
		fsleep(2000);
		if (READ_ONCE(vmf->vma->vm_mm->page_demoted))
			return true;
		state = process_page_state(vmf, &busy);
		if (state != PROCESS_PAGE_MIXED && state != PROCESS_PAGE_STALE)
			return true;
	}
	ptep = pte_offset_map_lock(vmf->vma->vm_mm, vmf->pmd, vmf->address,
				   &vmf->ptl);
	if (!ptep)
		return true;
	for (i = 0; i < vmf_nr_pages(vmf) && !swap; i++) {
		const pte_t pte = ptep_get(ptep + i);

		swap = !pte_none(pte) && !pte_present(pte);
	}
	pte_unmap_unlock(ptep, vmf->ptl);
	return swap;
}

/*
 * What a fault leaves behind is whole or the mm is demoted. Not an error as such:
 * it may be mixed again already, by reclaim that gave up half way, and is then
 * repaired by the next fault.
 */
static void process_page_check(struct vm_fault *vmf, vm_fault_t ret)
{
	enum process_page_state state;
	unsigned int busy;

	if (ret & VM_FAULT_ERROR)
		return;
	/* It is tried again as the same fault. */
	if (!(ret & VM_FAULT_RETRY))
		process_page_check_loop(vmf);
	if ((ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)) ||
	    READ_ONCE(vmf->vma->vm_mm->page_demoted))
		return;
	state = process_page_state(vmf, &busy);
	if ((state != PROCESS_PAGE_MIXED && state != PROCESS_PAGE_STALE) ||
	    !process_page_fault_demotes(vmf))
		return;
	count_vm_event(PROCESS_PAGE_FAULT_MIXED);
	process_page_trace(vmf, true, ret);
	if (!READ_ONCE(sysctl_process_page_mixed_fatal) ||
	    (current->flags & PF_KTHREAD) || process_page_settles(vmf))
		return;
	pr_err("process page size: %s[%d]: %#lx stays mixed after a fault, flags %#x, which vm.process_page_mixed_fatal forbids\n",
	       current->comm, task_tgid_nr(current), vmf->real_address,
	       vmf->flags);
	force_fatal_sig(SIGABRT);
}
#else
static void process_page_trace(struct vm_fault *vmf, bool after, vm_fault_t ret)
{
}

static void process_page_check(struct vm_fault *vmf, vm_fault_t ret)
{
}
#endif

static vm_fault_t __process_page_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	enum process_page_state state;
	unsigned int busy = 0;
	vm_fault_t ret;

	vmf->page_order = mm_page_order(vma->vm_mm);
	count_vm_event(PROCESS_PAGE_FAULT);
	process_page_note_mapping(vmf);
	ret = process_page_wait_grown(vmf);
	if (ret & VM_FAULT_FALLBACK)
		return process_page_pieces(vmf);
	if (ret)
		return ret;

	state = process_page_state(vmf, &busy);
	if (state == PROCESS_PAGE_STALE && process_page_needs_whole(vmf) &&
	    !process_page_may_refold(vmf) &&
	    !(vmf->flags & FAULT_FLAG_WRITE ? process_page_may_copy(vmf) :
					      process_page_may_bounce(vmf)))
		state = PROCESS_PAGE_MIXED;
	/*
	 * Left from when the mm was demoted, or by somebody else's access. Who works
	 * on another mm would begin anew with each kernel page; nor is it for GUP,
	 * which has the page already.
	 */
	if (state == PROCESS_PAGE_MIXED &&
	    !(vmf->flags & (FAULT_FLAG_REMOTE | FAULT_FLAG_UNSHARE)) &&
	    !READ_ONCE(vma->vm_mm->page_demoted) &&
	    process_page_may_be_whole(vmf))
		state = PROCESS_PAGE_STALE;
	if (state == PROCESS_PAGE_STALE || state == PROCESS_PAGE_MIXED)
		process_page_trace(vmf, false, 0);
	if (state == PROCESS_PAGE_STALE) {
		process_page_zap(vmf);
		state = PROCESS_PAGE_ABSENT;
	}

	switch (state) {
	case PROCESS_PAGE_ABSENT:
		if (process_page_watched(vmf))
			return process_page_pieces(vmf);
		break;
	case PROCESS_PAGE_BUSY:
		/* What came of it is for the next fault to see. */
		migration_entry_wait(vma->vm_mm, vmf->pmd,
				     vmf->address + busy * PAGE_SIZE);
		return 0;
	case PROCESS_PAGE_MIXED:
		return process_page_pieces(vmf);
	case PROCESS_PAGE_WHOLE:
		if (!process_page_may_span_eof(vmf, vmf->pgoff))
			return process_page_pieces(vmf);
		break;
	default:
		break;
	}

	ret = process_page_handle_pte_fault(vmf);
	/* It may be the first kernel page that is not to be had, and not ours. */
	if (state == PROCESS_PAGE_ABSENT &&
	    (ret & (VM_FAULT_SIGBUS | VM_FAULT_HWPOISON)) &&
	    !(ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)) &&
	    vmf->real_address - vmf->address >= PAGE_SIZE)
		return process_page_pieces(vmf);
	/* Or a driver, or DAX, has mapped that one only. */
	if (state == PROCESS_PAGE_ABSENT && ret == VM_FAULT_NOPAGE &&
	    (vma->vm_flags & (VM_PFNMAP | VM_MIXEDMAP) || vma_is_dax(vma)) &&
	    process_page_state(vmf, &busy) != PROCESS_PAGE_WHOLE)
		return process_page_pieces(vmf);
	if (!(ret & VM_FAULT_FALLBACK))
		return ret;

	if (state == PROCESS_PAGE_ABSENT) {
		if (vma_is_anonymous(vma) && (vmf->flags & FAULT_FLAG_WRITE))
			return process_page_fill(vmf);
		ret = process_page_refold(vmf);
		if (!(ret & VM_FAULT_FALLBACK))
			return ret;
		/* Cached in pieces, or by a file system that has no others. */
		if (!(vmf->flags & FAULT_FLAG_WRITE) &&
		    process_page_may_bounce(vmf)) {
			ret = process_page_cow_fault(vmf);
			if (!(ret & VM_FAULT_FALLBACK)) {
				count_vm_event(PROCESS_PAGE_BOUNCE);
				return ret;
			}
		}
	}
	return process_page_pieces(vmf);
}

/**
 * process_page_fault - handle a fault in an mm that has a process page
 * @vmf: the fault; its address and pgoff are those of the process page
 *
 * Context: As handle_pte_fault(): the VMA lock or the mmap lock is held and may
 * be dropped according to the flags and the return value.
 * Return: as handle_mm_fault().
 */
vm_fault_t process_page_fault(struct vm_fault *vmf)
{
	const vm_fault_t ret = __process_page_fault(vmf);

	process_page_check(vmf, ret);
	return ret;
}

/* Tries hard, but nobody is killed for want of contiguous memory. */
static struct folio *vma_alloc_process_page(struct vm_area_struct *vma,
					    unsigned long addr)
{
	const gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL |
			  __GFP_NOWARN;
	struct folio *folio;

	folio = vma_alloc_folio(gfp, mm_page_order(vma->vm_mm), vma, addr);
	if (!folio)
		return NULL;
	if (mem_cgroup_charge(folio, vma->vm_mm, gfp) ||
	    folio_memcg_alloc_deferred(folio)) {
		folio_put(folio);
		return NULL;
	}
	folio_throttle_swaprate(folio, gfp);
	return folio;
}

/**
 * process_page_alloc - allocate a process page for anonymous memory
 * @vmf: the fault under way
 * @zero: whether it is to be zeroed
 *
 * Context: Process context, may sleep.
 * Return: a folio of the process order, charged; NULL if kernel pages must do.
 */
struct folio *process_page_alloc(struct vm_fault *vmf, bool zero)
{
	struct folio *folio = vma_alloc_process_page(vmf->vma, vmf->address);

	if (folio && zero && user_alloc_needs_zeroing())
		folio_zero_user(folio, vmf->real_address);
	return folio;
}

/**
 * process_page_fork_alloc - allocate a copy of a pinned process page for fork()
 * @vma: the VMA of the parent
 * @pmd: what the page table of the parent hangs on
 * @addr: address of the kernel page that cannot be shared
 *
 * Context: Process context, may sleep. Under the mmap lock, for writing.
 * Return: a folio of the process order, charged; NULL if a kernel page must do:
 * there is no memory, or there is no whole process page from @addr on.
 */
struct folio *process_page_fork_alloc(struct vm_area_struct *vma, pmd_t *pmd,
				      unsigned long addr)
{
	const unsigned int order = mm_page_order(vma->vm_mm);
	spinlock_t *ptl;	/* of the page table */
	bool whole;
	pte_t *pte;

	if (mm_offset_in_page(vma->vm_mm, addr))
		return NULL;
	pte = pte_offset_map_lock(vma->vm_mm, pmd, addr, &ptl);
	if (!pte)
		return NULL;
	whole = pte_present(ptep_get(pte)) &&
		process_page_whole(vma, addr, pte, ptep_get(pte), order);
	pte_unmap_unlock(pte, ptl);
	return whole ? vma_alloc_process_page(vma, addr) : NULL;
}

/**
 * process_page_copy_present - copy a pinned process page for fork()
 * @dst_vma: the VMA of the child
 * @src_vma: the VMA of the parent
 * @dst_pte: the PTE of the child
 * @src_pte: the PTE of the parent
 * @pte: its value
 * @addr: address of the first kernel page
 * @prealloc: what process_page_fork_alloc() returned; NULL when it is used up
 *
 * What copy_present_page() is for a kernel page.
 *
 * Context: Under both page table locks.
 * Return: the number of PTEs copied; -EAGAIN if it is no longer a whole process
 * page; -EHWPOISON if it cannot be read.
 */
int process_page_copy_present(struct vm_area_struct *dst_vma,
			      struct vm_area_struct *src_vma, pte_t *dst_pte,
			      pte_t *src_pte, pte_t pte, unsigned long addr,
			      struct folio **prealloc)
{
	const unsigned int order = mm_page_order(src_vma->vm_mm);
	const unsigned int nr = 1U << order;
	struct folio *folio = *prealloc;
	struct page *page;
	unsigned int i;

	if (mm_offset_in_page(src_vma->vm_mm, addr) ||
	    !process_page_whole(src_vma, addr, src_pte, pte, order)) {
		folio_put(folio);
		*prealloc = NULL;
		return -EAGAIN;
	}

	page = vm_normal_page(src_vma, addr, pte);
	for (i = 0; i < nr; i++)
		if (copy_mc_user_highpage(folio_page(folio, i), page + i,
					  addr + i * PAGE_SIZE, src_vma))
			return -EHWPOISON;

	*prealloc = NULL;
	__folio_mark_uptodate(folio);
	folio_ref_add(folio, nr - 1);
	folio_add_new_anon_rmap(folio, dst_vma, addr, RMAP_EXCLUSIVE);
	folio_add_lru_vma(folio, dst_vma);
	pte = folio_mk_pte(folio, dst_vma->vm_page_prot);
	pte = maybe_mkwrite(pte_mkdirty(pte), dst_vma);
	set_ptes(dst_vma->vm_mm, addr, dst_pte, pte, nr);
	return nr;
}

/**
 * process_page_map_zero - map zeroes in an absent process page
 * @vmf: the fault under way, a read of anonymous memory
 *
 * A block of zeroes, so that the process page is whole.
 *
 * Context: The page table is there; its lock is not held.
 * Return: 0, or VM_FAULT_SIGBUS in an mm that the OOM killer takes apart.
 */
vm_fault_t process_page_map_zero(struct vm_fault *vmf)
{
	const unsigned int nr = vmf_nr_pages(vmf);
	struct vm_area_struct *vma = vmf->vma;
	struct mm_struct *mm = vma->vm_mm;
	vm_fault_t ret = 0;
	pte_t entry;

	entry = pte_mkspecial(pfn_pte(process_zero_pfn, vma->vm_page_prot));
	vmf->pte = pte_offset_map_lock(mm, vmf->pmd, vmf->address, &vmf->ptl);
	if (!vmf->pte)
		return 0;
	if (pte_range_none(vmf->pte, nr)) {
		ret = check_stable_address_space(mm);
		if (!ret) {
			set_ptes(mm, vmf->address, vmf->pte, entry, nr);
			update_mmu_cache_range(vmf, vma, vmf->address,
					       vmf->pte, nr);
		}
	}
	pte_unmap_unlock(vmf->pte, vmf->ptl);
	return ret;
}

/**
 * process_page_set_access_flags - make all PTEs of a process page more permissive
 * @vmf: the fault under way
 * @entry: the new value of the first PTE: young, dirty or writable
 *
 * Context: Under the page table lock; the process page is whole.
 * Return: whether a PTE has changed.
 */
bool process_page_set_access_flags(struct vm_fault *vmf, pte_t entry)
{
	const unsigned int nr = vmf_nr_pages(vmf);
	bool changed = false;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		changed |= ptep_set_access_flags(vmf->vma,
						 vmf->address + i * PAGE_SIZE,
						 vmf->pte + i, entry,
						 vmf->flags & FAULT_FLAG_WRITE);
		entry = pte_advance_pfn(entry, 1);
	}
	return changed;
}

/**
 * process_page_copy - copy a process page on write, or to unshare it
 * @vmf: the fault under way; vmf->page is the first page of what was mapped
 * when vmf->orig_pte was read, or NULL; a reference to its folio is handed over
 *
 * What wp_page_copy() is for a kernel page: see there for the order of things.
 *
 * Context: Process context, may sleep; without the page table lock.
 * Return: as handle_mm_fault(); VM_FAULT_FALLBACK to copy kernel pages instead.
 */
vm_fault_t process_page_copy(struct vm_fault *vmf)
{
	const bool unshare = vmf->flags & FAULT_FLAG_UNSHARE;
	const bool zero = is_zero_pfn(pte_pfn(vmf->orig_pte));
	const unsigned int nr = vmf_nr_pages(vmf);
	const unsigned long start = vmf->address;
	const unsigned long end = start + nr * PAGE_SIZE;
	struct folio *old = vmf->page ? page_folio(vmf->page) : NULL;
	struct vm_area_struct *vma = vmf->vma;
	struct mm_struct *mm = vma->vm_mm;
	struct mmu_notifier_range range;
	bool copied = false;
	struct folio *new;
	vm_fault_t ret;
	unsigned int i;
	pte_t entry;

	delayacct_wpcopy_start();
	ret = vmf_anon_prepare(vmf);
	if (ret)
		goto out;

	/*
	 * Memory without struct page is copied by address, page by page; and so
	 * is that of a driver, which has a reference for each.
	 */
	new = (old && folio_order(old) >= vmf_page_order(vmf)) || zero ?
	      process_page_alloc(vmf, zero) : NULL;
	if (!new) {
		ret = VM_FAULT_FALLBACK;
		goto out;
	}
	for (i = 0; old && i < nr; i++) {
		if (copy_mc_user_highpage(folio_page(new, i), vmf->page + i,
					  start + i * PAGE_SIZE, vma)) {
			folio_put(new);
			ret = VM_FAULT_HWPOISON;
			goto out;
		}
		kmsan_copy_page_meta(folio_page(new, i), vmf->page + i);
	}
	__folio_mark_uptodate(new);

	mmu_notifier_range_init(&range, MMU_NOTIFY_CLEAR, 0, mm, start, end);
	mmu_notifier_invalidate_range_start(&range);

	vmf->pte = pte_offset_map_lock(mm, vmf->pmd, start, &vmf->ptl);
	if (vmf->pte && pte_same(ptep_get(vmf->pte), vmf->orig_pte) &&
	    process_page_unchanged(vmf)) {
		if (!old || !folio_test_anon(old)) {
			if (old)
				add_mm_counter(mm, mm_counter_file(old),
					       -(long)nr);
			add_mm_counter(mm, MM_ANONPAGES, nr);
		}
		flush_cache_range(vma, start, end);
		entry = folio_mk_pte(new, vma->vm_page_prot);
		entry = pte_sw_mkyoung(entry);
		if (!unshare)
			entry = maybe_mkwrite(pte_mkdirty(entry), vma);
		else if (pte_soft_dirty(vmf->orig_pte))
			entry = pte_mksoft_dirty(entry);

		/* No CPU may see old and new at once. */
		get_and_clear_ptes(mm, start, vmf->pte, nr);
		flush_tlb_range(vma, start, end);
		folio_ref_add(new, nr - 1);
		folio_add_new_anon_rmap(new, vma, start, RMAP_EXCLUSIVE);
		folio_add_lru_vma(new, vma);
		set_ptes(mm, start, vmf->pte, entry, nr);
		update_mmu_cache_range(vmf, vma, start, vmf->pte, nr);
		/* Not before the switch: the last one to map it may write. */
		if (old)
			folio_remove_rmap_ptes(old, vmf->page, nr, vma);
		copied = true;
	} else if (vmf->pte) {
		update_mmu_tlb_range(vma, start, vmf->pte, nr);
	}
	if (vmf->pte)
		pte_unmap_unlock(vmf->pte, vmf->ptl);
	mmu_notifier_invalidate_range_end(&range);

	if (!copied) {
		folio_put(new);
	} else {
		count_vm_event(PROCESS_PAGE_COW);
		if (old) {
			free_swap_cache(old);
			folio_put_refs(old, nr);
		}
	}
out:
	if (old)
		folio_put(old);
	delayacct_wpcopy_end();
	return ret;
}

/*
 * Copy what the page cache has for a process page. The lock may be dropped. The
 * caller gets a reference to the first folio that is copied from, if it is of
 * the page cache; locked, if it has all of the process page.
 */
static vm_fault_t process_page_read_file(struct vm_fault *vmf,
					 struct folio *new,
					 struct folio **cached)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	const struct inode *inode = mapping->host;
	const unsigned int nr = vmf_nr_pages(vmf);
	struct mm_struct *mm = vmf->vma->vm_mm;
	vm_fault_t major = 0;
	unsigned int i = 0;

	while (i < nr) {
		struct vm_fault piece = {
			.vma = vmf->vma,
			.address = vmf->address + i * PAGE_SIZE,
			.real_address = vmf->address + i * PAGE_SIZE,
			.flags = vmf->flags & ~(FAULT_FLAG_WRITE |
						FAULT_FLAG_ORIG_PTE_VALID),
			.pgoff = vmf->pgoff + i,
			.gfp_mask = vmf->gfp_mask,
			.pud = vmf->pud,
			.pmd = vmf->pmd,
		};
		struct folio *folio;
		vm_fault_t ret;

		/* The rest of the process page that the file ends in. */
		if (i && piece.pgoff >= DIV_ROUND_UP(i_size_read(inode),
						     PAGE_SIZE)) {
			clear_user_highpage(folio_page(new, i), piece.address);
			i++;
			continue;
		}

		ret = process_page_do_fault(&piece);
		if (piece.prealloc_pte)
			pte_free(mm, piece.prealloc_pte);
		if (ret & (VM_FAULT_RETRY | VM_FAULT_NOPAGE))
			return ret;
		/* Another kernel page may still be had. */
		if (ret & VM_FAULT_ERROR)
			return i ? VM_FAULT_FALLBACK : ret;
		major |= ret & VM_FAULT_MAJOR;

		folio = page_folio(piece.page);
		do {
			if (PageHWPoison(piece.page) ||
			    copy_mc_user_highpage(folio_page(new, i), piece.page,
						  vmf->address + i * PAGE_SIZE,
						  vmf->vma))
				ret |= VM_FAULT_HWPOISON;
			piece.page++;
			i++;
			/* A driver's page is alone, whatever its index says. */
		} while (i < nr && folio->mapping == mapping &&
			 folio_contains(folio, vmf->pgoff + i));
		if (!*cached && folio->mapping == mapping) {
			folio_get(folio);
			*cached = folio;
		}
		if (*cached != folio || folio_order(folio) < vmf_page_order(vmf))
			folio_unlock(folio);
		folio_put(folio);
		if (ret & VM_FAULT_HWPOISON)
			return VM_FAULT_FALLBACK;
	}
	return major;
}

/**
 * process_page_cow_fault - map a copy of a file in an absent process page
 * @vmf: the fault under way, in a private mapping
 *
 * On write; and on read where the page cache has the file in smaller folios,
 * for only a private copy can then be mapped whole. What is behind the end of
 * the file in the process page that it ends in is zero.
 *
 * Context: As handle_pte_fault().
 * Return: as handle_mm_fault(); VM_FAULT_FALLBACK to map kernel pages instead.
 */
vm_fault_t process_page_cow_fault(struct vm_fault *vmf)
{
	const unsigned int nr = vmf_nr_pages(vmf);
	struct vm_area_struct *vma = vmf->vma;
	struct mm_struct *mm = vma->vm_mm;
	struct folio *folio, *cached = NULL;
	struct address_space *mapping;
	vm_fault_t ret, error;
	bool locked = false;
	pte_t entry;

	if (!process_page_may_copy(vmf))
		return VM_FAULT_FALLBACK;
	ret = vmf_can_call_fault(vmf);
	if (!ret)
		ret = vmf_anon_prepare(vmf);
	if (ret)
		return ret;

	folio = process_page_alloc(vmf, false);
	if (!folio)
		return VM_FAULT_FALLBACK;
	mapping = vma->vm_file->f_mapping;
	/* Not with a folio locked: see __do_fault(). */
	if (pte_alloc(mm, vmf->pmd)) {
		ret = VM_FAULT_OOM;
		goto release;
	}
	ret = process_page_read_file(vmf, folio, &cached);
	locked = cached && folio_order(cached) >= vmf_page_order(vmf);
	if (ret & ~VM_FAULT_MAJOR)
		goto unlock;
	__folio_mark_uptodate(folio);

	/*
	 * Who truncates the file sets its size, takes the folios away, each with
	 * its lock, and then looks for copies. It may be as long as before since.
	 */
	if (cached && !locked) {
		error = folio_lock_or_retry(cached, vmf);
		if (error) {
			ret |= error;
			goto release;
		}
		locked = true;
	}
	vmf->pte = pte_offset_map_lock(mm, vmf->pmd, vmf->address, &vmf->ptl);
	if (!vmf->pte)
		goto unlock;
	error = check_stable_address_space(mm);
	if (error || !pte_range_none(vmf->pte, nr) ||
	    (cached && cached->mapping != mapping) ||
	    vmf->pgoff >= DIV_ROUND_UP(i_size_read(mapping->host), PAGE_SIZE)) {
		pte_unmap_unlock(vmf->pte, vmf->ptl);
		ret |= error;
		goto unlock;
	}

	flush_icache_pages(vma, folio_page(folio, 0), nr);
	entry = pte_sw_mkyoung(folio_mk_pte(folio, vma->vm_page_prot));
	/* A debugger writes to what the process itself must not write to. */
	if (vmf->flags & FAULT_FLAG_WRITE)
		entry = maybe_mkwrite(pte_mkdirty(entry), vma);
	folio_ref_add(folio, nr - 1);
	folio_add_new_anon_rmap(folio, vma, vmf->address, RMAP_EXCLUSIVE);
	folio_add_lru_vma(folio, vma);
	set_ptes(mm, vmf->address, vmf->pte, entry, nr);
	update_mmu_cache_range(vmf, vma, vmf->address, vmf->pte, nr);
	add_mm_counter(mm, MM_ANONPAGES, nr);
	pte_unmap_unlock(vmf->pte, vmf->ptl);
	/* The page table has it. */
	folio = NULL;

unlock:
	if (locked)
		folio_unlock(cached);
release:
	if (cached)
		folio_put(cached);
	if (folio)
		folio_put(folio);
	return ret;
}

/**
 * process_page_mappable - whether a folio of the page cache can be mapped whole
 * @vmf: the fault under way
 * @folio: a folio of the file
 * @pgoff: index of the first kernel page of a process page in it
 *
 * Context: Any; while @folio is locked, the answer holds.
 * Return: true if it holds the whole process page, all of which may be mapped.
 */
bool process_page_mappable(const struct vm_fault *vmf,
			   const struct folio *folio, pgoff_t pgoff)
{
	/* Also what is a driver's, or the vDSO's: it comes in pieces. */
	if (folio_order(folio) < vmf_page_order(vmf))
		return false;
	/* Only what has not failed is to be had. */
	if (folio_test_has_hwpoisoned(folio))
		return false;
	return process_page_may_span_eof(vmf, pgoff);
}
