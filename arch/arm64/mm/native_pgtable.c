// SPDX-License-Identifier: GPL-2.0
/*
 * Native page tables: the tables.
 */
#include <linux/cpufeature.h>
#include <linux/gfp.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/pgalloc.h>
#include <linux/process_page.h>
#include <linux/process_pagesize.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include <asm/tlbflush.h>

#include "native.h"
#include "native_encode.h"

DEFINE_STATIC_KEY_FALSE(native_pgt_key);

/* Of the first table of 64K: what the others, of 13 bits each, have left. */
#define MAX_PGD_BITS	(VA_BITS - 16 - 13 * ((VA_BITS - 16 - 1) / 13))

/* While there is no table, the reserved one is walked in that granule. */
static_assert(BIT(MAX_PGD_BITS) * sizeof(u64) <= RESERVED_PG_DIR_SIZE);

/* As many native entries are looked at around a fault. */
#define NATIVE_AROUND		32UL

/* As many tables are freed at once. */
#define NATIVE_FREE_MAX		64

/*
 * The entry of @addr that covers 1 << *@last bytes; or NULL if there is no table
 * for it, with what covers *@last bytes missing.
 */
static u64 *native_walk_to(const struct native_pgt *np, unsigned long addr,
			   unsigned int *last)
{
	const unsigned int bits = native_table_bits(np);
	unsigned int shift = np->top_shift;
	u64 *entry = np->pgd + (addr >> shift);

	if (addr >> shift >= np->pgd_entries) {
		*last = shift;
		return NULL;
	}
	while (shift != *last) {
		const u64 desc = READ_ONCE(*entry);

		if (!desc) {
			*last = shift;
			return NULL;
		}
		shift -= bits;
		entry = (u64 *)__va(native_desc_to_phys(np, desc)) +
			((addr >> shift) & (BIT(bits) - 1));
	}
	return entry;
}

/**
 * native_walk - find an entry
 * @np: the native table
 * @addr: the address
 *
 * Context: Under a page table lock, or rcu_read_lock(): the tables may go.
 * Return: the entry of @addr, or NULL if there is no table for it.
 */
u64 *native_walk(const struct native_pgt *np, unsigned long addr)
{
	unsigned int shift = np->shift;

	return native_walk_to(np, addr, &shift);
}

/**
 * native_young - whether the hardware has noted an access in a range
 * @np: the native table
 * @addr: any address in it
 * @size: its size in bytes, a power of two, to which it is aligned
 *
 * Context: Under the page table lock.
 * Return: true if a valid entry is young, of those and of all entries that are
 * contiguous with one.
 */
bool native_young(const struct native_pgt *np, unsigned long addr,
		  unsigned long size)
{
	unsigned long end;

	addr = ALIGN_DOWN(addr, size);
	end = addr + size;
	addr = ALIGN_DOWN(addr, BIT(np->shift));
	while (addr < end) {
		unsigned int shift = np->shift, nr = 1;
		const u64 *entry = native_walk_to(np, addr, &shift);

		if (!entry) {
			addr = ALIGN_DOWN(addr, BIT(shift)) + BIT(shift);
			continue;
		}
		/* It may be noted in any of them. */
		if (native_valid(READ_ONCE(*entry)) &&
		    (READ_ONCE(*entry) & PTE_CONT)) {
			entry -= native_run_index(np, addr);
			addr = ALIGN_DOWN(addr, NATIVE_RUN);
			nr = native_run(np);
		}
		addr += (unsigned long)nr << np->shift;
		for (; nr--; entry++)
			if (native_valid(READ_ONCE(*entry)) &&
			    (READ_ONCE(*entry) & PTE_AF))
				return true;
	}
	return false;
}

/**
 * arch_process_page_young - whether the hardware has noted an access
 * @mm: the mm
 * @addr: any address in what the Linux entry maps
 * @size: the size of that in bytes
 *
 * Context: Under the page table lock.
 * Return: true if an entry of the native table is young that began old.
 */
bool arch_process_page_young(struct mm_struct *mm, unsigned long addr,
			     unsigned long size)
{
	const struct native_pgt *np = mm_native(mm);

	/* Without, an entry is young as the Linux one is. */
	return np && np->hw_af && native_young(np, addr, size);
}

static struct ptdesc *native_table_alloc(const struct native_pgt *np)
{
	const gfp_t gfp = GFP_PGTABLE_USER | __GFP_NOWARN |
			  __GFP_RETRY_MAYFAIL;
	struct ptdesc *pt;

	if (native_debug_no_table())
		return NULL;
	pt = pagetable_alloc(gfp, np->shift - PAGE_SHIFT);
	if (pt)
		pagetable_pgd_ctor(pt);
	return pt;
}

/* The entry on the way to that of @addr which has no table; NULL if none. */
static u64 *native_hole(const struct native_pgt *np, unsigned long addr)
{
	const unsigned int bits = native_table_bits(np);
	unsigned int shift = np->top_shift;
	u64 *entry = np->pgd + (addr >> shift);

	for (; shift != np->shift; shift -= bits) {
		if (!*entry)
			return entry;
		entry = (u64 *)__va(native_desc_to_phys(np, *entry)) +
			((addr >> (shift - bits)) & (BIT(bits) - 1));
	}
	return NULL;
}

/*
 * Whether there is an entry for @addr, when what is missing of the tables has
 * been made. That sleeps, and all may be dropped meanwhile: nothing that points
 * into a table is kept.
 */
static bool native_walk_alloc(struct native_pgt *np, unsigned long addr)
{
	if (addr >> np->top_shift >= np->pgd_entries)
		return false;
	for (;;) {
		struct ptdesc *pt;
		bool active, done;
		u64 *entry, desc;

		rcu_read_lock();
		done = native_walk(np, addr);
		rcu_read_unlock();
		if (done)
			return true;

		pt = native_table_alloc(np);
		if (!pt)
			return false;
		/* PXN for all, as in Linux's tables of user space. */
		desc = native_phys_to_desc(np, __pa(ptdesc_address(pt))) |
		       PMD_TYPE_TABLE | PMD_TABLE_AF | PMD_TABLE_PXN;
		/* Who drops the tables has it, too. */
		spin_lock(&np->lock);
		active = np->state == NATIVE_ACTIVE;
		entry = active ? native_hole(np, addr) : NULL;
		if (entry) {
			list_add(&pt->pt_list, &np->tables->list);
			np->tables->nr++;
			atomic_long_add(BIT(np->shift),
					&np->mm->pgtables_bytes);
			/* The zeroes are seen before the table is. */
			smp_wmb();
			WRITE_ONCE(*entry, desc);
		}
		spin_unlock(&np->lock);
		if (!entry)
			pagetable_dtor_free(pt);
		if (!active)
			return false;
	}
}

/**
 * native_tables_alloc - what the tables of an mm are kept together by
 *
 * Context: May sleep.
 * Return: an empty list of tables, or NULL.
 */
struct native_tables *native_tables_alloc(void)
{
	struct native_tables *tables = kzalloc_obj(*tables, GFP_KERNEL_ACCOUNT);

	if (tables)
		INIT_LIST_HEAD(&tables->list);
	return tables;
}

static void native_tables_free(struct native_tables *tables, bool resched)
{
	struct ptdesc *pt, *next;

	list_for_each_entry_safe(pt, next, &tables->list, pt_list) {
		pagetable_dtor_free(pt);
		if (resched)
			cond_resched();
	}
	kfree(tables);
}

static void native_tables_free_work(struct work_struct *work)
{
	native_tables_free(container_of(to_rcu_work(work), struct native_tables,
					work), true);
}

static void native_tables_free_rcu(struct rcu_head *rcu)
{
	native_tables_free(container_of(rcu, struct native_tables, work.rcu),
			   false);
}

/**
 * native_drop_tables - free all tables but the first, which is emptied
 * @np: the native table
 * @state: what it is from now on
 *
 * Those who change Linux entries look at native ones under the lock of the
 * Linux page table only: a table stays until they have let go of that.
 *
 * Context: May sleep. No task runs in the mm, or it is parked; but the hardware
 * may have cached what is dropped.
 */
void native_drop_tables(struct native_pgt *np, enum native_state state)
{
	struct native_tables *tables;
	unsigned long i;

	native_debug_drop(np);
	spin_lock(&np->lock);
	WRITE_ONCE(np->state, state);
	tables = np->tables;
	np->tables = NULL;
	/* A CPU that runs a kernel thread may walk it, and never half an entry. */
	for (i = 0; i < np->pgd_entries; i++)
		WRITE_ONCE(np->pgd[i], 0);
	spin_unlock(&np->lock);
	if (!tables)
		return;
	atomic_long_sub(tables->nr << np->shift, &np->mm->pgtables_bytes);
	/* What leads to the tables may be cached. */
	flush_tlb_mm(np->mm);
	native_debug_dropped(np);
	/* There may be any number of them: not in a softirq then. */
	if (tables->nr <= NATIVE_FREE_MAX) {
		call_rcu(&tables->work.rcu, native_tables_free_rcu);
		return;
	}
	INIT_RCU_WORK(&tables->work, native_tables_free_work);
	queue_rcu_work(system_dfl_wq, &tables->work);
}

static void native_table_free_rcu(struct rcu_head *rcu)
{
	pagetable_dtor_free(container_of(rcu, struct ptdesc, pt_rcu_head));
}

/*
 * Free the table that @entry points to, and those below it. Nothing is mapped
 * in the 1 << @shift bytes from @addr on, so that nobody looks for an entry in
 * it, nor the hardware for more than a cached pointer, which is invalidated.
 */
static void native_free_table(struct native_pgt *np, u64 *entry,
			      unsigned int shift, unsigned long addr)
{
	const unsigned int bits = native_table_bits(np);
	u64 *table;
	struct ptdesc *pt;
	unsigned int i;

	table = __va(native_desc_to_phys(np, *entry));
	shift -= bits;
	if (shift != np->shift)
		for (i = 0; i < BIT(bits); i++)
			if (table[i])
				native_free_table(np, table + i, shift,
						  addr + ((u64)i << shift));
	if (shift == np->shift)
		native_debug_unused(np, table, addr);

	WRITE_ONCE(*entry, 0);
	native_debug_table_gone(np, addr);
	if (native_flush_tlb_range(np->mm, addr, addr + 1, true, true))
		__tlbi_sync_s1ish(np->mm);
	native_debug_table_free(np);

	pt = virt_to_ptdesc(table);
	spin_lock(&np->lock);
	list_del(&pt->pt_list);
	np->tables->nr--;
	spin_unlock(&np->lock);
	atomic_long_sub(BIT(np->shift), &np->mm->pgtables_bytes);
	call_rcu(&pt->pt_rcu_head, native_table_free_rcu);
}

/**
 * __native_free_range - free the tables of a range that was unmapped
 * @np: the native table
 * @addr: first address of what was unmapped
 * @end: address behind the last one
 * @floor: nothing is mapped from here on
 * @ceiling: to here; 0 is the end of the address space
 *
 * Context: As free_pgd_range(): no page fault in the range from @floor to
 * @ceiling is possible.
 */
void __native_free_range(struct native_pgt *np, unsigned long addr,
			 unsigned long end, unsigned long floor,
			 unsigned long ceiling)
{
	const unsigned int bits = native_table_bits(np);
	unsigned int shift;

	/* Neither demoted nor made to go away meanwhile. */
	mutex_lock(&np->transition);
	if (np->state != NATIVE_ACTIVE)
		goto out;
	for (shift = np->top_shift; shift != np->shift; shift -= bits) {
		const unsigned long span = BIT(shift);
		unsigned long a = ALIGN_DOWN(addr, span);

		if (a < floor)
			a += span;
		while (a < end && (!ceiling || a + span <= ceiling)) {
			unsigned int last = shift;
			u64 *entry = native_walk_to(np, a, &last);

			if (entry && *entry)
				native_free_table(np, entry, shift, a);
			/* On to what may have a table. */
			a = ALIGN_DOWN(a, BIT(last)) + BIT(last);
		}
	}
out:
	mutex_unlock(&np->transition);
}

static bool native_granule_supported(unsigned int shift)
{
	if (system_uses_ttbr0_pan())
		return false;
	if (shift == 16)
		return cpus_have_final_cap(ARM64_HAS_GRANULE_64K);
	return cpus_have_final_cap(ARM64_HAS_GRANULE_16K);
}

/* Whether all CPUs note accesses in the table themselves. */
static bool native_hw_af(void)
{
	const u64 mmfr1 = read_sanitised_ftr_reg(SYS_ID_AA64MMFR1_EL1);

	return IS_ENABLED(CONFIG_ARM64_HW_AFDBM) &&
	       SYS_FIELD_GET(ID_AA64MMFR1_EL1, HAFDBS, mmfr1);
}

/**
 * native_enable - get ready for the first native table
 *
 * Context: Process context; may sleep.
 */
void native_enable(void)
{
	static_branch_enable(&native_pgt_key);
}

/*
 * An empty native table for an mm. Without one, for want of the granule or of
 * memory, the hardware walks the Linux table; and so it does for an mm that is
 * demoted already, until that is promoted, which is when the reason is gone.
 */
static void __native_create(struct mm_struct *mm, const struct native_pgt *parent)
{
	const unsigned int shift = mm_page_shift(mm);
	const bool demoted = READ_ONCE(mm->page_demoted);
	struct native_pgt *np;

	if (!mm_page_order(mm) || !native_granule_supported(shift))
		return;

	np = kzalloc_obj(*np, GFP_KERNEL_ACCOUNT);
	if (!np)
		goto out;
	native_set_geometry(np, shift, vabits_actual);
	np->tg0 = shift == 16 ? TCR_TG0_64K : TCR_TG0_16K;
	/* TCR_EL1.DS is one for both halves, and without effect on 64K. */
	np->lpa2 = shift != 16 && lpa2_is_enabled();
	np->state = demoted ? NATIVE_OFF : NATIVE_ACTIVE;
	np->wait_for = NATIVE_RETRY_MIN;
	np->retry = jiffies + np->wait_for;
	np->promoted = jiffies;
	if (demoted && parent && READ_ONCE(parent->state) == NATIVE_OFF) {
		np->bad_addr = READ_ONCE(parent->bad_addr);
		np->wait_for = READ_ONCE(parent->wait_for);
		np->retry = jiffies + np->wait_for;
	}
	np->hw_af = native_hw_af();
	np->mm = mm;
	spin_lock_init(&np->lock);
	mutex_init(&np->transition);
	init_waitqueue_head(&np->wait);
	/* Aligned to its size, which is a power of two. */
	np->pgd = kzalloc(native_pgd_size(np), GFP_KERNEL_ACCOUNT);
	if (!demoted)
		np->tables = native_tables_alloc();
	if (!np->pgd || (!demoted && !np->tables))
		goto free;
	np->pgd_phys = virt_to_phys(np->pgd);
	native_debug_create(np);
	/* To be walked with its zeroes, not what the memory held before. */
	dsb(ishst);
	WRITE_ONCE(mm->context.hw, demoted ? NATIVE_HW_LINUX : np->pgd_phys);
	/* rmap may have found the mm: what mm_native() returns is complete. */
	smp_store_release(&mm->context.native, np);
	return;

free:
	kfree(np->tables);
	kfree(np->pgd);
	kfree(np);
out:
	process_page_demote(mm, 0, PROCESS_PAGE_DEMOTED_MEMORY);
}

/**
 * native_create - give the child of fork() an empty native table
 * @mm: the mm, which is not in use yet, of a child of the current task
 *
 * Context: May sleep.
 */
void native_create(struct mm_struct *mm)
{
	__native_create(mm, mm_native(current->mm));
}

/**
 * native_create_exec - give the mm of a new program an empty native table
 * @mm: the mm; its page order is settled and it is not in use yet
 *
 * Context: May sleep.
 */
void native_create_exec(struct mm_struct *mm)
{
	__native_create(mm, NULL);
}

/**
 * native_exit - drop the tables of an mm that nobody runs in any more
 * @mm: the mm; kernel threads may have borrowed it
 *
 * Context: May sleep.
 */
void native_exit(struct mm_struct *mm)
{
	struct native_pgt *np = mm_native(mm);

	native_check_mm(np);
	/*
	 * It stays in the registers of lazy CPUs. Reclaim, which finds no entry from
	 * now on, invalidates what leads to one, too, as while the mm is parked.
	 */
	if (native_active(mm)) {
		WRITE_ONCE(mm->context.hw, NATIVE_HW_PARKED);
		/* Pairs with the barriers between zapping and flushing. */
		smp_mb();
	}
	native_drop_tables(np, NATIVE_DEAD);
}

/**
 * native_destroy - free the native table of an mm
 * @mm: the mm, after native_exit(); no CPU has it
 *
 * Context: Any but hardirq; must not sleep, see __mmdrop().
 */
void native_destroy(struct mm_struct *mm)
{
	struct native_pgt *np = mm_native(mm);

	/* Empty already, unless the mm was never used. */
	native_drop_tables(np, NATIVE_DEAD);
	mm->context.native = NULL;
	native_debug_destroy(np);
	kfree(np->pgd);
	kfree(np);
}

/* No longer have a valid entry, nor those that it is contiguous with. */
static void native_clear(struct native_pgt *np, unsigned long addr, u64 *entry)
{
	unsigned int nr = 1;

	if (*entry & PTE_CONT) {
		entry -= native_run_index(np, addr);
		addr = ALIGN_DOWN(addr, NATIVE_RUN);
		nr = native_run(np);
	}
	for (; nr--; addr += BIT(np->shift), entry++)
		native_write(np, addr, entry, native_zapped(*entry));
}

/*
 * Have no TLB hold what is not valid any more of the run of @addr, so that the
 * contiguous bit may be another one in what is entered next.
 */
static void native_settle(struct native_pgt *np, unsigned long addr, u64 *entry)
{
	unsigned int nr = native_run(np);

	entry -= native_run_index(np, addr);
	addr = ALIGN_DOWN(addr, NATIVE_RUN);
	if (native_flush_tlb_range(np->mm, addr, addr + NATIVE_RUN, false, true))
		__tlbi_sync_s1ish(np->mm);
	for (; nr--; entry++)
		if (!native_valid(*entry))
			WRITE_ONCE(*entry, 0);
}

/**
 * __native_zap - zero the entries of a range
 * @np: the native table
 * @start: first address
 * @end: address behind the last one
 *
 * Context: Under the page table lock.
 */
void __native_zap(struct native_pgt *np, unsigned long start, unsigned long end)
{
	const unsigned long size = BIT(np->shift);
	const unsigned long span = size << native_table_bits(np);
	unsigned long addr = ALIGN_DOWN(start, size);

	while (addr < end) {
		unsigned long next = min(ALIGN_DOWN(addr, span) + span, end);
		u64 *entry = native_walk(np, addr);

		for (; entry && addr < next; addr += size, entry++)
			if (native_valid(*entry))
				native_clear(np, addr, entry);
		addr = next;
	}
}

/**
 * __native_wrprotect - take the right to write from the entries of a range
 * @np: the native table
 * @start: first address
 * @end: address behind the last one
 *
 * So that fork() does not cost the parent a fault for all that it reads. An
 * entry of which only a part is concerned is no longer of one kind: it goes.
 *
 * Context: Under the page table lock.
 */
void __native_wrprotect(struct native_pgt *np, unsigned long start,
			unsigned long end)
{
	const unsigned long size = BIT(np->shift);
	unsigned long addr;

	for (addr = ALIGN_DOWN(start, size); addr < end; addr += size) {
		u64 *entry = native_walk(np, addr);
		unsigned long alike;	/* bytes that are to stay so */

		if (!entry || !native_valid(*entry))
			continue;
		alike = *entry & PTE_CONT ? NATIVE_RUN : size;
		if (ALIGN_DOWN(addr, alike) < start ||
		    ALIGN_DOWN(addr, alike) + alike > end) {
			native_clear(np, addr, entry);
			continue;
		}
		native_debug_write(np, addr, *entry,
				   (*entry | PTE_RDONLY) & ~PTE_DBM);
		/*
		 * The hardware may be setting PTE_AF right now. With PTE_DBM,
		 * it would also clear PTE_RDONLY again.
		 */
		atomic64_andnot(PTE_DBM, (atomic64_t *)entry);
		atomic64_or(PTE_RDONLY, (atomic64_t *)entry);
	}
}

/*
 * Have the entries of a range forget that they were used. The hardware may be
 * noting it right now.
 */
static bool native_clear_young(struct native_pgt *np, unsigned long start,
			       unsigned long end)
{
	const unsigned long size = BIT(np->shift);
	unsigned long addr;
	bool young = false;

	for (addr = ALIGN_DOWN(start, size); addr < end; addr += size) {
		u64 *entry = native_walk(np, addr);

		if (!entry || !native_valid(*entry))
			continue;
		if (np->hw_af)
			young |= atomic64_fetch_andnot(PTE_AF,
						       (atomic64_t *)entry) &
				 PTE_AF;
		else
			native_clear(np, addr, entry);
	}
	return young;
}

/* Note in a Linux entry that it was used, if it maps anything. */
static void native_mark_young(pte_t *ptep)
{
	pte_t old = __ptep_get(ptep);

	while (pte_valid(old) && !pte_young(old) &&
	       !try_cmpxchg_relaxed(&pte_val(*ptep), &pte_val(old),
				    pte_val(pte_mkyoung(old))))
		;
}

/**
 * __native_clear_young_ptes - hand over to Linux entries that they were used
 * @np: the native table
 * @addr: address of the first of them
 * @ptep: the first of them
 * @nr: their number; or all of the contiguous blocks that they are in
 *
 * What the hardware has noted in native entries since they were made. It tells
 * nothing of which part of a native page was used, and the parts may be folios of
 * their own, of which the others must not look unused when their turn comes.
 *
 * Context: Under the page table lock; the caller goes on to clear it in the
 * Linux entries.
 */
void __native_clear_young_ptes(struct native_pgt *np, unsigned long addr,
			       pte_t *ptep, unsigned int nr)
{
	const unsigned long size = BIT(np->shift);
	unsigned long start = addr, end = addr + nr * PAGE_SIZE;
	unsigned int i;

	/* That of a contiguous block is cleared in all of its entries. */
	if (pte_valid_cont(__ptep_get(ptep + nr - 1)))
		end = ALIGN(end, CONT_PTE_SIZE);
	if (pte_valid_cont(__ptep_get(ptep)))
		start = ALIGN_DOWN(start, CONT_PTE_SIZE);
	start = ALIGN_DOWN(start, size);
	ptep -= (addr - start) >> PAGE_SHIFT;
	for (; start < end; start += size, ptep += native_pages(np))
		if (native_clear_young(np, start, start + size))
			for (i = 0; i < native_pages(np); i++)
				native_mark_young(ptep + i);
}

/**
 * __native_clear_young_pmd - the same for a block of the size of a PMD
 * @np: the native table
 * @addr: address of the block
 * @pmdp: its entry, or that of a page table, which is left alone
 *
 * Context: Under the page table lock.
 */
void __native_clear_young_pmd(struct native_pgt *np, unsigned long addr,
			      pmd_t *pmdp)
{
	pte_t *ptep = (pte_t *)pmdp;

	if (pmd_table(pte_pmd(__ptep_get(ptep))))
		return;
	addr &= PMD_MASK;
	if (native_clear_young(np, addr, addr + PMD_SIZE))
		native_mark_young(ptep);
}

/**
 * __native_zap_ptes - forget entries, but not that they were used
 * @np: the native table
 * @addr: address of the first of them
 * @ptep: the first of them
 * @nr: their number
 *
 * Context: Under the page table lock; the caller goes on to clear the Linux
 * entries.
 */
void __native_zap_ptes(struct native_pgt *np, unsigned long addr, pte_t *ptep,
		       unsigned int nr)
{
	if (np->hw_af)
		__native_clear_young_ptes(np, addr, ptep, nr);
	__native_zap(np, addr, addr + nr * PAGE_SIZE);
}

/**
 * __native_zap_pmd - the same for what a PMD maps
 * @np: the native table
 * @addr: an address in it
 * @pmdp: the PMD
 *
 * Context: Under the page table lock.
 */
void __native_zap_pmd(struct native_pgt *np, unsigned long addr, pmd_t *pmdp)
{
	const pmd_t pmd = pmdp_get(pmdp);

	addr &= PMD_MASK;
	if (np->hw_af && pmd_present(pmd) && pmd_table(pmd)) {
		/* Each process page has its own. */
		const unsigned long size = BIT(np->shift);
		pte_t *ptep = pte_offset_kernel(pmdp, addr);
		unsigned long a;

		for (a = addr; a < addr + PMD_SIZE;
		     a += size, ptep += native_pages(np))
			__native_clear_young_ptes(np, a, ptep,
						  native_pages(np));
	} else if (np->hw_af) {
		__native_clear_young_pmd(np, addr, pmdp);
	}
	__native_zap(np, addr, addr + PMD_SIZE);
}

/*
 * Note for all kernel pages of a native page what the hardware would note for
 * one of them. It could do so itself any time, as the access is permitted, and
 * it does not walk the table. The entries of a contiguous block stay alike.
 */
static void native_mark(const struct native_pgt *np, pte_t *ptep, bool dirty)
{
	unsigned int nr = native_pages(np);

	if (nr < CONT_PTES && pte_cont(__ptep_get(ptep))) {
		ptep = PTR_ALIGN_DOWN(ptep, sizeof(*ptep) * CONT_PTES);
		nr = CONT_PTES;
	}
	for (; nr--; ptep++) {
		pte_t old = __ptep_get(ptep), new;

		do {
			new = pte_mkyoung(old);
			if (dirty)
				new = pte_mkdirty(new);
		} while (pte_val(new) != pte_val(old) &&
			 !try_cmpxchg_relaxed(&pte_val(*ptep), &pte_val(old),
					      pte_val(new)));
	}
}

/*
 * Enter what a fault at @addr needs. A valid entry that does not change may be
 * the reason for the fault where the TLB has an older one, with less rights.
 */
static void native_enter(struct native_pgt *np, unsigned long addr, u64 *entry,
			 u64 desc)
{
	const u64 old = READ_ONCE(*entry);

	/* Only rights may change in place, and only be added. */
	if (native_valid(old) && ((old ^ desc) & ~NATIVE_RIGHTS)) {
		VM_WARN_ON_ONCE(1);
		native_clear(np, addr, entry);
		native_settle(np, addr, entry);
	} else if (!native_valid(old) && (old & PTE_CONT)) {
		native_settle(np, addr, entry);
	}
	if (*entry != desc)
		native_write(np, addr, entry, desc);
	if (native_valid(old) &&
	    native_flush_tlb_range(np->mm, addr, addr + 1, false, false))
		dsb(nsh);
}

/* The entry at place @i of a run, for a block of which @phys is at its start. */
static u64 native_encode_run(const struct native_pgt *np, pte_t pte,
			     phys_addr_t phys, unsigned int i)
{
	return native_encode(np, pte, true, pte_dirty(pte),
			     phys + ((u64)i << np->shift)) | PTE_CONT;
}

/*
 * The same for all entries of a run, from @start and @entries on, of a block
 * of which @phys is there. They are contiguous.
 */
static void native_enter_run(struct native_pgt *np, unsigned long start,
			     u64 *entries, unsigned long addr, pte_t pte,
			     phys_addr_t phys)
{
	const unsigned int nr = native_run(np);
	const bool flush = native_valid(entries[native_run_index(np, addr)]);
	bool settle = false;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		const u64 desc = native_encode_run(np, pte, phys, i);
		const u64 old = READ_ONCE(entries[i]);

		/*
		 * Contiguous entries must be alike but for AF. Only rights
		 * that are taken may be taken one by one, as fork() does.
		 */
		if ((old && !(old & PTE_CONT)) ||
		    (native_valid(old) && ((old ^ desc) & ~PTE_AF)))
			settle = true;
	}
	if (settle) {
		__native_zap(np, start, start + NATIVE_RUN);
		native_settle(np, start, entries);
	}
	for (i = 0; i < nr; i++, start += BIT(np->shift)) {
		const u64 desc = native_encode_run(np, pte, phys, i);

		if (entries[i] != desc)
			native_write(np, start, entries + i, desc);
	}
	if (flush && native_flush_tlb_range(np->mm, addr, addr + 1, false, false))
		dsb(nsh);
}

/* The part of the native table that is filled with one look. */
struct native_window {
	unsigned long start;
	unsigned long end;
	u64 *entries;
};

static void native_window(const struct native_pgt *np, unsigned long addr,
			  u64 *entry, struct native_window *w)
{
	const unsigned long size = min(NATIVE_AROUND << np->shift, PMD_SIZE);

	w->start = ALIGN_DOWN(addr, size);
	w->end = w->start + size;
	w->entries = entry - ((addr - w->start) >> np->shift);
}

static enum native_result
native_fill_ptes(struct native_pgt *np, unsigned long addr, u64 *entry,
		 pte_t *ptep, bool write)
{
	const unsigned long page = ALIGN_DOWN(addr, BIT(np->shift));
	const pte_t pte = __ptep_get(ptep + ((addr - page) >> PAGE_SHIFT));
	struct native_block block;
	bool dirty;

	if (!pte_valid(pte) || !pte_young(pte))
		return NATIVE_ABSENT;
	dirty = write && pte_write(pte) && pte_dirty(pte);
	if (!native_read_block(np, ptep, &block))
		return NATIVE_MIXED;
	if (!block.young || (dirty && !block.dirty))
		native_mark(np, ptep, dirty);
	native_enter(np, page, entry,
		     native_encode(np, block.pte, true, dirty || block.dirty,
				   PFN_PHYS(pte_pfn(block.pte))));
	return NATIVE_FILLED;
}

/* What else there is, without a mark: nobody has asked for it. */
static void native_fill_around(struct native_pgt *np, unsigned long addr,
			       const struct native_window *w, pte_t *ptep)
{
	const unsigned long size = BIT(np->shift);
	struct native_block block;
	u64 *entry = w->entries, desc;
	unsigned long a;

	for (a = w->start; a < w->end;
	     a += size, entry++, ptep += native_pages(np)) {
		/* With another contiguous bit than was there: not without need. */
		if (native_valid(*entry) || (*entry & PTE_CONT) ||
		    (addr ^ a) < size)
			continue;
		if (!pte_valid(__ptep_get(ptep)) ||
		    !native_read_block(np, ptep, &block))
			continue;
		desc = native_encode(np, block.pte, block.young, block.dirty,
				     PFN_PHYS(pte_pfn(block.pte)));
		if (desc)
			native_write(np, a, entry, desc);
	}
}

/**
 * native_enter_block - enter a block that the Linux table maps with one entry
 * @np: the native table
 * @addr: what a fault was for
 * @entry: its native entry
 * @pte: the Linux entry, of any level; it is young
 * @base: first address of the block
 * @size: its size in bytes; no less than a native page, and so aligned
 *
 * What is in the same 2 MB as @addr is entered.
 *
 * Context: Under the page table lock.
 */
void native_enter_block(struct native_pgt *np, unsigned long addr, u64 *entry,
			pte_t pte, unsigned long base, unsigned long size)
{
	const unsigned long page = ALIGN_DOWN(addr, BIT(np->shift));
	const unsigned long run = ALIGN_DOWN(addr, NATIVE_RUN);
	const phys_addr_t phys = PFN_PHYS(pte_pfn(pte)) - base;
	unsigned long a = max(base, run);

	if (base <= run && base + size >= run + NATIVE_RUN &&
	    IS_ALIGNED(phys + run, NATIVE_RUN)) {
		native_enter_run(np, run, entry - native_run_index(np, addr),
				 addr, pte, phys + run);
		return;
	}
	native_enter(np, page, entry, native_encode(np, pte, true,
						    pte_dirty(pte),
						    phys + page));
	entry -= (page - a) >> np->shift;
	for (; a < min(base + size, run + NATIVE_RUN);
	     a += BIT(np->shift), entry++)
		if (!native_valid(*entry))
			native_write(np, a, entry,
				     native_encode(np, pte, true,
						   pte_dirty(pte), phys + a));
}

static enum native_result
native_fill_block(struct native_pgt *np, unsigned long addr, u64 *entry,
		  pte_t pte, unsigned long base, unsigned long size)
{
	const unsigned long run = ALIGN_DOWN(addr, NATIVE_RUN);
	const unsigned long start = max(base, run);
	const unsigned long end = min(base + size, run + NATIVE_RUN);

	if (!pte_valid(pte) || !pte_young(pte))
		return NATIVE_ABSENT;
	if (size < BIT(np->shift) ||
	    !IS_ALIGNED(PFN_PHYS(pte_pfn(pte)), BIT(np->shift)))
		return NATIVE_MIXED;
	native_enter_block(np, addr, entry, pte, base, size);
	native_check(np, start, end, NULL);
	native_debug_discard(np, start, end, addr);
	return NATIVE_FILLED;
}

#ifdef CONFIG_HUGETLB_PAGE
static enum native_result
native_fill_hugetlb(struct native_pgt *np, struct vm_area_struct *vma,
		    unsigned long addr, u64 *entry)
{
	struct hstate *h = hstate_vma(vma);
	const unsigned long base = addr & huge_page_mask(h);
	enum native_result result = NATIVE_ABSENT;
	spinlock_t *ptl;	/* of the Linux page table */
	pte_t *ptep, pte;

	ptep = huge_pte_offset(vma->vm_mm, base, huge_page_size(h));
	if (!ptep)
		return NATIVE_ABSENT;
	ptl = huge_pte_lock(h, vma->vm_mm, ptep);
	pte = huge_ptep_get(vma->vm_mm, base, ptep);
	if (pte_present(pte))
		result = native_fill_block(np, addr, entry, pte, base,
					   huge_page_size(h));
	spin_unlock(ptl);
	return result;
}
#else
static enum native_result
native_fill_hugetlb(struct native_pgt *np, struct vm_area_struct *vma,
		    unsigned long addr, u64 *entry)
{
	return NATIVE_ABSENT;
}
#endif

static enum native_result
native_fill(struct native_pgt *np, struct vm_area_struct *vma,
	    unsigned long addr, bool write)
{
	struct mm_struct *mm = vma->vm_mm;
	enum native_result result = NATIVE_ABSENT;
	struct native_window w;
	spinlock_t *ptl;	/* of the Linux page table */
	p4d_t *p4d;
	pgd_t *pgd;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;
	pte_t *ptep;
	u64 *entry;

	if (!native_walk_alloc(np, addr))
		return READ_ONCE(np->state) == NATIVE_ACTIVE ?
		       NATIVE_NO_MEMORY : NATIVE_ABSENT;

	/* Once more, as the tables may be dropped any time. */
	rcu_read_lock();
	entry = native_walk(np, addr);
	if (!entry)
		goto out;
	native_window(np, addr, entry, &w);

	if (is_vm_hugetlb_page(vma)) {
		result = native_fill_hugetlb(np, vma, addr, entry);
		goto out;
	}

	pgd = pgd_offset(mm, addr);
	if (pgd_none(READ_ONCE(*pgd)))
		goto out;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(READ_ONCE(*p4d)))
		goto out;
	pudp = pud_offset(p4d, addr);
	pud = READ_ONCE(*pudp);
	if (pud_none(pud))
		goto out;
	if (pud_leaf(pud)) {
		ptl = pud_lock(mm, pudp);
		pud = READ_ONCE(*pudp);
		if (pud_leaf(pud))
			result = native_fill_block(np, addr, entry,
						   pud_pte(pud),
						   addr & PUD_MASK, PUD_SIZE);
		spin_unlock(ptl);
		goto out;
	}
	pmdp = pmd_offset(pudp, addr);
	pmd = pmdp_get_lockless(pmdp);
	if (pmd_none(pmd))
		goto out;
	if (pmd_leaf(pmd)) {
		ptl = pmd_lock(mm, pmdp);
		pmd = READ_ONCE(*pmdp);
		if (pmd_leaf(pmd))
			result = native_fill_block(np, addr, entry,
						   pmd_pte(pmd),
						   addr & PMD_MASK, PMD_SIZE);
		spin_unlock(ptl);
		goto out;
	}
	ptep = pte_offset_map_lock(mm, pmdp, w.start, &ptl);
	if (!ptep)
		goto out;
	result = native_fill_ptes(np, addr, entry, ptep +
				  ((ALIGN_DOWN(addr, BIT(np->shift)) -
				    w.start) >> PAGE_SHIFT), write);
	if (result == NATIVE_FILLED) {
		native_fill_around(np, addr, &w, ptep);
		native_check(np, w.start, w.end, NULL);
		native_debug_discard(np, w.start, w.end, addr);
	}
	pte_unmap_unlock(ptep, ptl);
out:
	rcu_read_unlock();
	return result;
}

/*
 * Whether what an mm was demoted for is still there. No lock keeps it from
 * changing, nor need it be right.
 */
static bool native_is_mixed(const struct native_pgt *np, unsigned long addr)
{
	struct mm_struct *mm = np->mm;
	struct native_block block;
	unsigned long flags;
	bool mixed = false;
	unsigned int i;
	pgd_t pgd;
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;
	pte_t *ptep;

	addr = ALIGN_DOWN(addr, BIT(np->shift));
	/* As gup_fast: the tables are not freed meanwhile. */
	local_irq_save(flags);
	pgd = pgdp_get(pgd_offset(mm, addr));
	if (pgd_none(pgd))
		goto out;
	p4dp = p4d_offset_lockless(pgd_offset(mm, addr), pgd, addr);
	p4d = p4dp_get(p4dp);
	if (p4d_none(p4d))
		goto out;
	pudp = pud_offset_lockless(p4dp, p4d, addr);
	pud = pudp_get(pudp);
	if (pud_none(pud) || pud_leaf(pud))
		goto out;
	pmdp = pmd_offset_lockless(pudp, pud, addr);
	pmd = pmdp_get_lockless(pmdp);
	if (!pmd_present(pmd) || pmd_leaf(pmd))
		goto out;
	ptep = pte_offset_map(pmdp, addr);
	if (!ptep)
		goto out;
	if (!native_read_block(np, ptep, &block))
		for (i = 0; i < native_pages(np) && !mixed; i++)
			mixed = !pte_none(__ptep_get(ptep + i));
	pte_unmap(ptep);
out:
	local_irq_restore(flags);
	return mixed;
}

/**
 * __native_fault - take over what a page fault has made of the Linux table
 * @vma: what the fault was in; its mm need not be that of the current task
 * @addr: the address
 * @flags: FAULT_FLAG_*
 *
 * If that cannot be entered and the current task is about to access it, the mm
 * goes back to its Linux table.
 *
 * Context: At the end of handle_mm_fault(); may sleep.
 */
void __native_fault(struct vm_area_struct *vma, unsigned long addr,
		    unsigned int flags)
{
	const bool own = vma->vm_mm == current->mm &&
			 !(flags & FAULT_FLAG_REMOTE);
	struct native_pgt *np = mm_native(vma->vm_mm);
	enum native_result result;
	unsigned long retry;
	bool mixed;

	/* Who tries again with page faults disabled would not wait. */
	if (own)
		native_wait(vma->vm_mm);

	switch (READ_ONCE(np->state)) {
	case NATIVE_ACTIVE:
		result = native_fill(np, vma, addr, flags & FAULT_FLAG_WRITE);
		if (!own)
			break;
		if (result >= NATIVE_MIXED)
			native_demote(np, addr, result);
		else if (unlikely(READ_ONCE(np->mm->page_demoted)))
			native_stay(np);
		break;
	case NATIVE_OFF:
		retry = READ_ONCE(np->retry);
		if (!own || !time_after(jiffies, retry))
			break;
		addr = READ_ONCE(np->bad_addr);
		mixed = native_is_mixed(np, addr);
		if (!mixed || process_page_may_retry(np->mm, addr))
			native_promote(np, mixed);
		else	/* Not by each page fault, unless it was demoted anew. */
			cmpxchg(&np->retry, retry, jiffies + NATIVE_RETRY_MIN);
		break;
	case NATIVE_DEAD:
		break;
	}
}

/**
 * native_show_pte - log what the native table of an mm has for an address
 * @mm: the mm
 * @addr: the address; of user space
 *
 * Context: Any, with interrupts off, so that the tables stay.
 */
void native_show_pte(const struct mm_struct *mm, unsigned long addr)
{
	const struct native_pgt *np = mm_native(mm);
	unsigned int shift;
	const u64 *entry;

	if (!np)
		return;
	pr_alert("native pgtable: %luk pages, %u levels, pgdp=%pap, %s\n",
		 BIT(np->shift) / SZ_1K, np->levels, &np->pgd_phys,
		 native_active(mm) ? "walked" : "not walked");
	shift = np->top_shift;
	if (addr >> shift >= np->pgd_entries)
		return;
	entry = np->pgd + (addr >> shift);
	for (;;) {
		const u64 desc = READ_ONCE(*entry);

		pr_alert("[%016lx] native entry of %lu kB: %016llx\n", addr,
			 BIT(shift) / SZ_1K, desc);
		if (shift == np->shift || !desc)
			return;
		shift -= native_table_bits(np);
		entry = (const u64 *)__va(native_desc_to_phys(np, desc)) +
			((addr >> shift) & (BIT(native_table_bits(np)) - 1));
	}
}

/**
 * __native_set_ptes - take over Linux entries that were just written
 * @np: the native table
 * @addr: address of the first of them
 * @ptep: the first of them
 * @nr: their number
 *
 * A native page is entered when the last of its kernel pages is, for they come
 * in ascending order. It is what saves the faults after mprotect(), for
 * instance.
 *
 * Context: Under the page table lock.
 */
void __native_set_ptes(struct native_pgt *np, unsigned long addr, pte_t *ptep,
		       unsigned int nr)
{
	const unsigned long size = BIT(np->shift);
	const unsigned long end = addr + nr * PAGE_SIZE;
	unsigned long page = ALIGN_DOWN(addr, size);
	struct native_block block;
	u64 desc;

	ptep -= (addr - page) >> PAGE_SHIFT;
	for (; page < end; page += size, ptep += native_pages(np)) {
		u64 *entry = native_walk(np, page);

		if (!entry)
			continue;
		desc = 0;
		/* What is there is from before, and may be in a TLB. */
		if (!native_valid(*entry) && !(*entry & PTE_CONT) &&
		    page + size <= end && native_read_block(np, ptep, &block))
			desc = native_encode(np, block.pte, block.young,
					     block.dirty,
					     PFN_PHYS(pte_pfn(block.pte)));
		if (desc)
			native_write(np, page, entry, desc);
		else if (native_valid(*entry))
			native_clear(np, page, entry);
		native_check(np, page, page + size, ptep);
	}
}
