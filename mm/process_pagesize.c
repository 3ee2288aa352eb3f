// SPDX-License-Identifier: GPL-2.0
/*
 * The page size of a process: how it is chosen.
 *
 * personality(2) records the wish in the task; execve() turns it into the
 * property of the new mm that everything else asks for with mm_page_order()
 * and friends. In between stand the program and its credentials: a file that
 * is not laid out for the size gets the largest size that it is laid out for,
 * and one that raises privileges gets the kernel's.
 */
#include <linux/binfmts.h>
#include <linux/elf.h>
#include <linux/fs.h>
#include <linux/jump_label.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/personality.h>
#include <linux/process_pagesize.h>
#include <linux/ratelimit.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/sysctl.h>
#include <linux/vm_event_item.h>
#include <linux/vmstat.h>

DEFINE_STATIC_KEY_FALSE(process_page_size_key);
EXPORT_SYMBOL(process_page_size_key);

/* The first page of a block of zeroes, from the first use on. */
unsigned long process_zero_pfn __read_mostly;
EXPORT_SYMBOL(process_zero_pfn);

static DEFINE_MUTEX(process_page_size_mutex);
/* Set when the key has its value everywhere: its sites change one by one. */
static bool process_page_size_ready;
static int sysctl_process_page_size_strict __read_mostly;

/*
 * The size that a personality asks for, as log2 of bytes: PAGE_SHIFT without
 * a wish, 0 for a size that is not offered.
 */
static unsigned int personality_page_shift(unsigned int personality)
{
	unsigned int field = personality & PER_PAGE_SIZE_MASK;
	unsigned int shift;

	if (!field)
		return PAGE_SHIFT;
	shift = (field >> PER_PAGE_SIZE_SHIFT) + 11;
	if (shift == PAGE_SHIFT)
		return PAGE_SHIFT;
	if (shift < PAGE_SHIFT || !arch_process_page_size_supported(shift))
		return 0;
	return shift;
}

static unsigned int personality_page_order(unsigned int personality)
{
	unsigned int shift = personality_page_shift(personality);

	/* Not offered: from before the feature, or past arm64's check. */
	return shift ? shift - PAGE_SHIFT : 0;
}

/**
 * process_page_size_personality - check the page size in a new personality
 * @personality: the argument of personality(2), not the query 0xffffffff
 *
 * For the architecture's personality(). Programs find out by it what is
 * offered, which must not have an effect on the others.
 *
 * Context: Process context.
 * Return: 0, or -EINVAL for a size that is not offered.
 */
int process_page_size_personality(unsigned int personality)
{
	return personality_page_shift(personality) ? 0 : -EINVAL;
}

/*
 * Absent memory is read from here, so that a process page of it is one block,
 * too. The tags are cleared because the architecture takes it that a page of
 * zeroes has none.
 */
static int process_zero_alloc(void)
{
	const unsigned int order = PROCESS_PAGE_SHIFT_MAX - PAGE_SHIFT;
	struct page *page;

	if (process_zero_pfn)
		return 0;
	/* KASAN would give it a tag of its own when they are cleared. */
	page = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_ZEROTAGS |
			   __GFP_SKIP_KASAN | __GFP_NOWARN |
			   __GFP_RETRY_MAYFAIL, order);
	if (!page)
		return -ENOMEM;
	split_page(page, order);
	process_zero_pfn = page_to_pfn(page);
	return 0;
}

/*
 * On first use, get ready all that processes with larger pages need: what can
 * fail fails here, where execve() can still return.
 */
static int process_page_size_enable(void)
{
	int ret = 0;

	/* Pairs with the release below. */
	if (smp_load_acquire(&process_page_size_ready))
		return 0;

	mutex_lock(&process_page_size_mutex);
	if (!process_page_size_ready) {
		ret = process_zero_alloc();
		if (!ret)
			ret = arch_process_page_size_enable();
		if (!ret) {
			static_branch_enable(&process_page_size_key);
			/* Nobody may have an order before all sites know. */
			smp_store_release(&process_page_size_ready, true);
		}
	}
	mutex_unlock(&process_page_size_mutex);
	return ret;
}

/**
 * process_page_size_bprm_init - give a new mm the page size asked for
 * @bprm: the execution under way; its mm has no VMA yet
 *
 * What is already known. process_page_size_begin_exec() may lower it: a layout
 * for a large page is also one for a small page.
 *
 * Context: Process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int process_page_size_bprm_init(struct linux_binprm *bprm)
{
	unsigned int order = personality_page_order(current->personality);

	if (order) {
		int ret = process_page_size_enable();

		if (ret)
			return ret;
	}
	bprm->page_order = order;
	bprm->mm->page_order = order;
	return 0;
}

/*
 * Whether the segments can be mapped with pages of 1 << shift bytes: offset
 * and address are congruent, no two segments share a page, for the second
 * would replace the first, and the first page of a file that cannot be moved
 * does not reach below mmap_min_addr, unless the segment itself does.
 */
static bool elf_fits(const struct elf64_hdr *ehdr,
		     const struct elf64_phdr *phdr, unsigned int shift)
{
	const u64 mask = (1ULL << shift) - 1;
	const bool fixed = ehdr->e_type == ET_EXEC;
	bool first = true;
	u64 last = 0;
	int i;

	for (i = 0; i < ehdr->e_phnum; i++) {
		if (phdr[i].p_type != PT_LOAD)
			continue;
		if (phdr[i].p_filesz &&
		    ((phdr[i].p_vaddr ^ phdr[i].p_offset) & mask))
			return false;
		/* An empty segment maps nothing. */
		if (!phdr[i].p_memsz)
			continue;
		if (first && fixed && phdr[i].p_vaddr >= mmap_min_addr &&
		    (phdr[i].p_vaddr & ~mask) < mmap_min_addr)
			return false;
		if (!first && phdr[i].p_vaddr >> shift <= last)
			return false;
		first = false;
		last = (phdr[i].p_vaddr + phdr[i].p_memsz - 1) >> shift;
	}
	return true;
}

/**
 * process_page_size_elf_fit - lower the page size to what an ELF file fits
 * @bprm: the execution under way
 * @file: the program or its interpreter; stays open until begin_new_exec()
 * @ehdr: its header
 * @phdr: its program headers
 *
 * Only the sizes that the architecture offers are tried, down to the kernel's,
 * which is left to the loader to judge.
 *
 * Context: Process context.
 */
void process_page_size_elf_fit(struct linux_binprm *bprm, struct file *file,
			       const struct elf64_hdr *ehdr,
			       const struct elf64_phdr *phdr)
{
	unsigned int order = bprm->page_order_max;

	while (order && !(arch_process_page_size_supported(PAGE_SHIFT + order) &&
			  elf_fits(ehdr, phdr, PAGE_SHIFT + order)))
		order--;
	if (order == bprm->page_order_max)
		return;
	bprm->page_order_max = order;
	bprm->page_order_misfit = file;
}

/**
 * process_page_size_begin_exec - settle the page size of the new mm
 * @bprm: the execution under way; bprm->per_clear is final
 *
 * Context: Process context, before the point of no return.
 * Return: 0, or -ENOEXEC if the file does not fit the page size and
 * vm.process_page_size_strict is set.
 */
int process_page_size_begin_exec(struct linux_binprm *bprm)
{
	struct mm_struct *mm = bprm->mm;
	unsigned int order;

	if (!mm_page_order(mm))
		return 0;

	order = personality_page_order(current->personality & ~bprm->per_clear);
	if (order > bprm->page_order_max) {
		if (bprm->page_order_misfit) {
			const bool strict =
				READ_ONCE(sysctl_process_page_size_strict);

			count_vm_event(PROCESS_PAGE_MISFIT);
			pr_notice_ratelimited("process page size: %pD4 fits pages of at most %lu kB, not %lu kB: %s\n",
					      bprm->page_order_misfit,
					      (PAGE_SIZE << bprm->page_order_max) >> 10,
					      (PAGE_SIZE << order) >> 10,
					      strict ? "not run" : "run with those");
			if (strict)
				return -ENOEXEC;
		}
		order = bprm->page_order_max;
	}
	if (order)
		count_vm_event(PROCESS_PAGE_EXEC);
	mm->page_order = order;
	/* What the arguments were put in may now be split, too. */
	if (bprm->vma->anon_vma)
		WRITE_ONCE(bprm->vma->anon_vma->page_order, order);
	if (order)
		arch_process_page_size_exec(mm);
	return 0;
}

static const struct ctl_table process_page_size_table[] = {
	{
		.procname	= "process_page_size_strict",
		.data		= &sysctl_process_page_size_strict,
		.maxlen		= sizeof(sysctl_process_page_size_strict),
		.mode		= 0644,
		.proc_handler	= proc_dointvec_minmax,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
};

static int __init process_page_size_init(void)
{
	register_sysctl_init("vm", process_page_size_table);
	return 0;
}
late_initcall(process_page_size_init);
