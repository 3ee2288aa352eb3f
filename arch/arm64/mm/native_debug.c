// SPDX-License-Identifier: GPL-2.0
/*
 * Native page tables: checks.
 *
 * There are two. The table checker compares native entries with the Linux
 * entries that they mirror. The ledger has a record of each native entry that
 * was valid and is so no longer, or gives less rights, until the TLB has been
 * invalidated in a way that the architecture guarantees to cover it: before
 * that, the memory must not be freed, nor must another entry take its place.
 * Nor must it be freed while an entry is valid.
 *
 * A record is made after the entry was written, and removed before the TLB is
 * invalidated: an entry that changes between is not taken for covered. So an
 * error that coincides with the invalidation for another may be missed, but
 * what is reported is one. Nor is it checked that the invalidation is waited
 * for; that memory is free which is not given back to the page allocator, but
 * to a pool (of hugetlb, for instance); and what a page had before its current
 * record, if Linux has entered another page there without a wait.
 *
 * Where only the young bit of Linux entries was cleared, nobody invalidates the
 * TLB. Their record stays until the same page is entered again or something
 * else has the TLB invalidated, which must be so before the page is freed.
 */
#define pr_fmt(fmt) "native page table: " fmt

#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/hugetlb.h>
#include <linux/init.h>
#include <linux/jump_label.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmap_lock.h>
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/rcupdate_wait.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/xarray.h>

#include <asm/native_debug.h>
#include <asm/sysreg.h>
#include <asm/tlbflush.h>

#include "native.h"
#include "native_encode.h"
#include "native_walk.h"

/* As many kernel pages are in the largest native page. */
#define MAX_PAGES		(SZ_64K >> PAGE_SHIFT)

static atomic_long_t nr_checked;	/* native entries compared */
static atomic_long_t nr_bad;		/* errors of any kind */
static atomic_long_t nr_recorded;	/* records made so far */
static atomic_long_t nr_lost;		/* not made for want of memory */
static atomic_long_t nr_skipped;	/* checks of an mm */

static u32 discard_percent;
static u32 no_table_percent;

/* What was found at the entry of system calls. */
static DEFINE_PER_CPU(unsigned long, nr_native);	/* walks a native table */
static DEFINE_PER_CPU(unsigned long, nr_linux);		/* walks a Linux table */
static DEFINE_PER_CPU(unsigned long, nr_changing);	/* from one to the other */
static DEFINE_PER_CPU(unsigned long, nr_probed);	/* translated as it is to be */

/*
 * Count an error and show it. Tests provoke them.
 */
static void report(struct native_pgt *np, unsigned long addr, const char *what,
		   u64 first, u64 second)
{
	static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 10);

	np->ledger.bad++;
	if (np->ledger.quiet)
		return;
	atomic_long_inc(&nr_bad);
	if (__ratelimit(&limit))
		WARN(1, "native page table: mm %p, %#lx: %s: %#018llx, %#018llx\n",
		     np->mm, addr, what, first, second);
}

/* The ledger. */

/* Of all; the lock is also that of each one's records. */
static LIST_HEAD(ledgers);
static DEFINE_SPINLOCK(ledger_lock);

/*
 * How many records, and how many valid entries, there are of each native page of
 * memory, by the number of its first kernel page. It is read without the lock.
 * There may be pages of two sizes: the count of the larger ones is in the upper
 * half.
 */
static DEFINE_XARRAY(stale_pfns);
static DEFINE_XARRAY(valid_pfns);
#define COUNT_64K		BIT(24)

static u64 record_desc(void *record)
{
	return ((u64)xa_to_value(record) << 1) | PTE_VALID;
}

static void count_pfn(struct xarray *pfns, struct native_pgt *np, u64 desc,
		      bool add)
{
	const unsigned long pfn = PHYS_PFN(native_desc_to_phys(np, desc));
	const unsigned long one = np->shift == 16 ? COUNT_64K : 1;
	void *count = xa_load(pfns, pfn);
	unsigned long n = count ? xa_to_value(count) : 0;

	if (!add) {
		if (n == one)
			xa_erase(pfns, pfn);
		else if (n > one)
			xa_store(pfns, pfn, xa_mk_value(n - one), GFP_ATOMIC);
		return;
	}
	if (xa_is_err(xa_store(pfns, pfn, xa_mk_value(n + one), GFP_ATOMIC)))
		atomic_long_inc(&nr_lost);
}

static void remove_record(struct native_pgt *np, unsigned long index)
{
	void *record = xa_erase(&np->ledger.stale, index);

	if (record)
		count_pfn(&stale_pfns, np, record_desc(record), false);
}

/* Who drops all entries, and who changes one meanwhile, may both say so. */
static bool remove_valid(struct native_pgt *np, unsigned long index)
{
	void *record = xa_erase(&np->ledger.valid, index);

	if (record)
		count_pfn(&valid_pfns, np, record_desc(record), false);
	return record;
}

static void add_valid(struct native_pgt *np, unsigned long index, u64 desc)
{
	if (xa_is_err(xa_store(&np->ledger.valid, index, xa_mk_value(desc >> 1),
			       GFP_ATOMIC)))
		atomic_long_inc(&nr_lost);
	else
		count_pfn(&valid_pfns, np, desc, true);
}

static void remove_all(struct native_pgt *np)
{
	unsigned long index;
	void *record;

	xa_for_each(&np->ledger.stale, index, record)
		remove_record(np, index);
	WRITE_ONCE(np->ledger.gone, NATIVE_NOTHING_GONE);
}

/* Nothing in a TLB is used any more that has an ASID of an older generation. */
static void remove_renewed(struct native_pgt *np)
{
	if (atomic_read(&np->ledger.renewed) &&
	    atomic_xchg(&np->ledger.renewed, 0))
		remove_all(np);
}

static void add_record(struct native_pgt *np, unsigned long index, u64 desc)
{
	void *record = xa_load(&np->ledger.stale, index);

	if (record) {
		const u64 stale = record_desc(record);

		/* The TLB may have any of both: keep the one with more rights. */
		if (native_conflict(stale, desc, native_address_mask(np)) ==
		    NATIVE_LESS_RIGHTS)
			return;
		remove_record(np, index);
	}
	record = xa_store(&np->ledger.stale, index, xa_mk_value(desc >> 1),
			  GFP_ATOMIC);
	if (xa_is_err(record)) {
		atomic_long_inc(&nr_lost);
		return;
	}
	count_pfn(&stale_pfns, np, desc, true);
	atomic_long_inc(&nr_recorded);
}

static const char * const conflicts[] = {
	[NATIVE_LESS_RIGHTS]	= "less rights without a TLB invalidation",
	[NATIVE_OTHER_PAGE]	= "another page without a TLB invalidation",
	[NATIVE_OTHER_SIZE]	= "another size without a TLB invalidation",
	[NATIVE_OTHER_TYPE]	= "another type without a TLB invalidation",
};

/*
 * Whether the TLB is going to be invalidated by who is changing the Linux
 * table. fork() takes the right to write from one VMA after the other, and does
 * that at the end, with the lock held; a fault in a VMA that it has not come to
 * yet may enter something around it.
 */
static bool flush_pending(struct mm_struct *mm, enum native_conflict conflict)
{
	unsigned int seq;

	if (mm_tlb_flush_pending(mm))
		return true;
	/* Whether it is locked for writing. */
	return conflict == NATIVE_LESS_RIGHTS &&
	       !mmap_lock_speculate_try_begin(mm, &seq);
}

/*
 * The Linux entry for @addr, with the level that it is at. The page table lock
 * is held, or what it protects cannot change.
 */
static pte_t *linux_entry(struct mm_struct *mm, unsigned long addr,
			  unsigned long *size)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;

	if (pgd_none(READ_ONCE(*pgd)))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(READ_ONCE(*p4d)))
		return NULL;
	pud = pud_offset(p4d, addr);
	*size = PUD_SIZE;
	if (!pud_table(READ_ONCE(*pud)))
		return (pte_t *)pud;
	pmd = pmd_offset(pud, addr);
	*size = PMD_SIZE;
	if (!pmd_table(READ_ONCE(*pmd)))
		return (pte_t *)pmd;
	*size = PAGE_SIZE;
	return pte_offset_kernel(pmd, addr);
}

/*
 * Native entries change together with the Linux entries that they mirror: under
 * the same lock. Without lockdep, nobody can tell.
 */
static void check_lock(struct native_pgt *np, unsigned long addr)
{
	struct mm_struct *mm = np->mm;
	unsigned long size;
	pte_t *ptep;

	if (!IS_ENABLED(CONFIG_LOCKDEP) || !debug_locks || np->ledger.quiet ||
	    READ_ONCE(np->state) != NATIVE_ACTIVE)
		return;
	ptep = linux_entry(mm, addr, &size);
	/* That is what hugetlb has, but for blocks of a PMD. */
	if (!ptep || lockdep_is_held(&mm->page_table_lock))
		return;
	/* Also where a whole table of PTEs is about to go. */
	if (size <= PMD_SIZE && lockdep_is_held(pmd_lockptr(mm, pmd_off(mm, addr))))
		return;
	if (size == PAGE_SIZE && lockdep_is_held(pte_lockptr(mm, pmd_off(mm, addr))))
		return;
	report(np, addr, "changed without the page table lock",
	       pte_val(__ptep_get(ptep)), size);
}

static void note_write(struct native_pgt *np, unsigned long addr, u64 old,
		       u64 desc, bool drop)
{
	const unsigned long index = addr >> np->shift;
	const u64 address = native_address_mask(np);
	enum native_conflict conflict = NATIVE_NO_CONFLICT;
	unsigned long flags;
	void *record;
	bool valid;

	if (old == desc)
		return;

	spin_lock_irqsave(&ledger_lock, flags);
	remove_renewed(np);
	valid = remove_valid(np, index);
	/* Somebody has just zeroed it, and may have had the TLB invalidated. */
	if (drop && !valid)
		goto out;
	/* Into a table that has been dropped meanwhile, it is of no effect. */
	if (desc && READ_ONCE(np->state) == NATIVE_ACTIVE)
		add_valid(np, index, desc);
	if (old && desc) {
		conflict = native_conflict(old, desc, address);
		if (conflict > NATIVE_LESS_RIGHTS)
			report(np, addr, conflicts[conflict], old, desc);
	}
	/* What takes all tables out has the TLB invalidated after that. */
	if (old && (!desc || conflict) && READ_ONCE(np->state) == NATIVE_ACTIVE)
		add_record(np, index, old);
	record = desc ? xa_load(&np->ledger.stale, index) : NULL;
	if (record) {
		const u64 stale = record_desc(record);

		conflict = native_conflict(stale, desc, address);
		if (!conflict)
			remove_record(np, index);
		else if (!old && !flush_pending(np->mm, conflict))
			report(np, addr, conflicts[conflict], stale, desc);
	}
out:
	spin_unlock_irqrestore(&ledger_lock, flags);
}

/**
 * native_debug_write - note a change of a native entry
 * @np: the native table
 * @addr: address of the native page
 * @old: what the entry was
 * @desc: what it will be
 *
 * Linux itself does without waiting for the TLB in one case: between a change
 * and the end of the mmu_gather that invalidates the TLB for it, a fault may
 * make a new entry. It is so, too, for the hardware that walks Linux's table.
 *
 * Context: Under the page table lock.
 */
void native_debug_write(struct native_pgt *np, unsigned long addr, u64 old,
			u64 desc)
{
	check_lock(np, addr);
	note_write(np, addr, old, desc, false);
}

/**
 * native_debug_tlbi - note that entries of the TLB are invalidated
 * @np: the native table of the mm that it is done for
 * @op: what the instruction is told
 *
 * Context: Any; before the instruction.
 */
void native_debug_tlbi(struct native_pgt *np, const struct native_tlbi *op)
{
	unsigned long first = 0, last = ULONG_MAX, index, flags;
	const unsigned long asid = ASID(np->mm);
	unsigned long gone;
	void *record;

	gone = READ_ONCE(np->ledger.gone);
	if (gone != NATIVE_NOTHING_GONE &&
	    native_tlbi_covers_table(op, asid, gone))
		WRITE_ONCE(np->ledger.gone, NATIVE_NOTHING_GONE);
	if (xa_empty(&np->ledger.stale))
		return;

	if (op->kind == NATIVE_TLBI_VA) {
		first = op->start >> np->shift;
		last = first;
	} else if (op->kind == NATIVE_TLBI_RANGE) {
		first = op->start >> np->shift;
		last = op->end >> np->shift;
	}
	spin_lock_irqsave(&ledger_lock, flags);
	remove_renewed(np);
	xa_for_each_range(&np->ledger.stale, index, record, first, last)
		if (native_tlbi_covers(op, asid, index << np->shift, np->shift))
			remove_record(np, index);
	spin_unlock_irqrestore(&ledger_lock, flags);
}

/**
 * native_debug_tlbi_va - the same for an operation by address
 * @np: the native table of the mm that it is done for
 * @arg: the operand
 * @last: whether it is for entries of the last level only
 * @broadcast: whether it is done on all CPUs
 *
 * Context: Any; before the instruction.
 */
void native_debug_tlbi_va(struct native_pgt *np, u64 arg, bool last,
			  bool broadcast)
{
	struct native_tlbi op = { .last = last, .broadcast = broadcast };

	native_tlbi_decode(arg, &op);
	native_debug_tlbi(np, &op);
}

/**
 * native_debug_table_gone - note that a table was taken out
 * @np: the native table
 * @addr: the first address that the table translates
 *
 * Context: One at a time, as for native_debug_table_free().
 */
void native_debug_table_gone(struct native_pgt *np, unsigned long addr)
{
	WRITE_ONCE(np->ledger.gone, addr);
}

/**
 * native_debug_table_free - the table that was taken out is about to be freed
 * @np: the native table
 *
 * Context: After the TLB was invalidated, walk caches included.
 */
void native_debug_table_free(struct native_pgt *np)
{
	unsigned long flags, gone;

	spin_lock_irqsave(&ledger_lock, flags);
	remove_renewed(np);
	gone = READ_ONCE(np->ledger.gone);
	if (gone != NATIVE_NOTHING_GONE)
		report(np, gone, "its table is freed without a TLB invalidation",
		       0, 0);
	WRITE_ONCE(np->ledger.gone, NATIVE_NOTHING_GONE);
	spin_unlock_irqrestore(&ledger_lock, flags);
}

/**
 * __native_debug_tlbi_mm - see native_debug_tlbi_mm()
 * @mm: the mm; it has a native table
 *
 * Context: Any.
 */
void __native_debug_tlbi_mm(struct mm_struct *mm)
{
	native_debug_tlbi(mm_native(mm), &(struct native_tlbi) {
		.kind = NATIVE_TLBI_ASID,
		.broadcast = true,
		.asid = ASID(mm),
	});
}

/**
 * __native_debug_tlbi_all - see native_debug_tlbi_all()
 *
 * Context: Any.
 */
void __native_debug_tlbi_all(void)
{
	struct native_pgt *np;
	unsigned long flags;

	if (xa_empty(&stale_pfns))
		return;
	spin_lock_irqsave(&ledger_lock, flags);
	list_for_each_entry(np, &ledgers, ledger.node)
		remove_all(np);
	spin_unlock_irqrestore(&ledger_lock, flags);
}

/**
 * __native_debug_new_asid - see native_debug_new_asid()
 * @mm: the mm; it has a native table
 *
 * Context: Any.
 */
void __native_debug_new_asid(struct mm_struct *mm)
{
	/* A raw lock is held: it is done with the next look at the ledger. */
	atomic_set(&mm_native(mm)->ledger.renewed, 1);
}

/* Whether there is a record, or an entry, that maps any of these pages. */
static bool is_counted(struct xarray *pfns, unsigned long pfn, unsigned long nr)
{
	unsigned long index = ALIGN_DOWN(pfn, MAX_PAGES);
	void *count;

	xa_for_each_range(pfns, index, count, index, pfn + nr - 1) {
		const unsigned long n = xa_to_value(count);
		const unsigned long size = n >= COUNT_64K ? SZ_64K : SZ_16K;

		if (index + PHYS_PFN(size) > pfn)
			return true;
	}
	return false;
}

/* Whether an entry maps any of these pages. */
static bool maps(const struct native_pgt *np, u64 desc, unsigned long pfn,
		 unsigned long nr)
{
	const unsigned long first = PHYS_PFN(native_desc_to_phys(np, desc));

	return first < pfn + nr && first + BIT(np->shift - PAGE_SHIFT) > pfn;
}

/*
 * Whether an entry is there. What was entered while all are dropped, or into a
 * table that has been dropped, is noted as valid, and is not. Tests have only
 * what they note.
 */
static bool is_entered(const struct native_pgt *np, unsigned long addr,
		       unsigned long pfn, unsigned long nr)
{
	const u64 *entry;
	bool entered;
	u64 desc;

	if (np->ledger.quiet)
		return true;
	rcu_read_lock();
	entry = native_walk(np, addr);
	desc = entry ? READ_ONCE(*entry) : 0;
	entered = native_valid(desc) && maps(np, desc, pfn, nr);
	rcu_read_unlock();
	return entered;
}

static void report_free(unsigned long pfn, unsigned long nr)
{
	unsigned long index, flags;
	struct native_pgt *np;
	void *record;

	/* It may be freed on behalf of us, who allocate memory for a record. */
	if (!spin_trylock_irqsave(&ledger_lock, flags)) {
		atomic_long_inc(&nr_lost);
		return;
	}
	list_for_each_entry(np, &ledgers, ledger.node) {
		remove_renewed(np);
		xa_for_each(&np->ledger.stale, index, record) {
			const u64 desc = record_desc(record);

			if (!maps(np, desc, pfn, nr))
				continue;
			report(np, index << np->shift,
			       "freed without a TLB invalidation", desc,
			       PFN_PHYS(pfn));
			remove_record(np, index);
		}
		xa_for_each(&np->ledger.valid, index, record) {
			const u64 desc = record_desc(record);

			if (!maps(np, desc, pfn, nr))
				continue;
			if (is_entered(np, index << np->shift, pfn, nr))
				report(np, index << np->shift,
				       "freed while it is entered", desc,
				       PFN_PHYS(pfn));
			remove_valid(np, index);
		}
	}
	spin_unlock_irqrestore(&ledger_lock, flags);
}

/**
 * arch_free_page - look whether a TLB may still have what is freed
 * @page: the first page
 * @order: log2 of their number
 *
 * Context: Any.
 */
void arch_free_page(struct page *page, int order)
{
	const unsigned long pfn = page_to_pfn(page);

	if (is_counted(&stale_pfns, pfn, BIT(order)) ||
	    is_counted(&valid_pfns, pfn, BIT(order)))
		report_free(pfn, BIT(order));
}

/**
 * native_debug_create - get ready to check a native table
 * @np: the new native table
 *
 * Context: Any.
 */
void native_debug_create(struct native_pgt *np)
{
	unsigned long flags;

	xa_init_flags(&np->ledger.stale, XA_FLAGS_LOCK_IRQ);
	xa_init_flags(&np->ledger.valid, XA_FLAGS_LOCK_IRQ);
	np->ledger.gone = NATIVE_NOTHING_GONE;
	spin_lock_irqsave(&ledger_lock, flags);
	list_add(&np->ledger.node, &ledgers);
	spin_unlock_irqrestore(&ledger_lock, flags);
}

/**
 * native_debug_destroy - forget a native table
 * @np: the native table; it is empty, and so should be the ledger
 *
 * Context: Any.
 */
void native_debug_destroy(struct native_pgt *np)
{
	unsigned long flags;

	native_debug_dropped(np);
	spin_lock_irqsave(&ledger_lock, flags);
	list_del(&np->ledger.node);
	remove_all(np);
	spin_unlock_irqrestore(&ledger_lock, flags);
}

/*
 * The next entry of the last level, from @addr on, for which there is a table;
 * @addr becomes its address. Return: the entry, or NULL if there is none.
 */
static u64 *next_entry(const struct native_pgt *np, unsigned long *addr)
{
	const unsigned int bits = native_table_bits(np);
	unsigned long a = *addr;

	while (a >> np->top_shift < np->pgd_entries) {
		unsigned int shift = np->top_shift;
		u64 *entry = np->pgd + (a >> shift), desc;

		while (shift != np->shift && (desc = READ_ONCE(*entry))) {
			shift -= bits;
			entry = (u64 *)__va(native_desc_to_phys(np, desc)) +
				((a >> shift) & (BIT(bits) - 1));
		}
		if (shift == np->shift) {
			*addr = a;
			return entry;
		}
		a = ALIGN_DOWN(a, BIT(shift)) + BIT(shift);
	}
	return NULL;
}

/*
 * The next valid entry, from @addr on. Return: the entry, or 0.
 */
static u64 next_valid(const struct native_pgt *np, unsigned long *addr)
{
	const unsigned long span = BIT(np->shift + native_table_bits(np));
	u64 *entry, desc;

	while ((entry = next_entry(np, addr))) {
		const unsigned long end = ALIGN_DOWN(*addr, span) + span;

		for (; *addr != end; *addr += BIT(np->shift), entry++) {
			desc = READ_ONCE(*entry);
			if (native_valid(desc))
				return desc;
		}
	}
	return 0;
}

/**
 * native_debug_drop - note that all entries are about to go
 * @np: the native table
 *
 * Context: Process context; before the tables are taken out.
 */
void native_debug_drop(struct native_pgt *np)
{
	unsigned long addr = 0;
	u64 desc;

	rcu_read_lock();
	while ((desc = next_valid(np, &addr))) {
		note_write(np, addr, desc, 0, true);
		addr += BIT(np->shift);
	}
	rcu_read_unlock();
}

/**
 * native_debug_dropped - nothing of a native table should be in a TLB
 * @np: the native table
 *
 * Context: Any.
 */
void native_debug_dropped(struct native_pgt *np)
{
	unsigned long index = 0, flags;
	void *record;

	spin_lock_irqsave(&ledger_lock, flags);
	remove_renewed(np);
	record = xa_find(&np->ledger.stale, &index, ULONG_MAX, XA_PRESENT);
	if (record)
		report(np, index << np->shift,
		       "dropped without a TLB invalidation",
		       record_desc(record), 0);
	/* What was entered after native_debug_drop() had been there. */
	xa_for_each(&np->ledger.valid, index, record)
		remove_valid(np, index);
	spin_unlock_irqrestore(&ledger_lock, flags);
}

/**
 * native_debug_unused - nothing should be in a table that is freed by itself
 * @np: the native table
 * @table: one of its tables of the last level
 * @addr: address of its first page
 *
 * Context: Any.
 */
void native_debug_unused(struct native_pgt *np, const u64 *table,
			 unsigned long addr)
{
	const unsigned long nr = BIT(native_table_bits(np));
	unsigned long i;

	for (i = 0; i < nr; i++)
		if (native_valid(table[i]))
			report(np, addr + (i << np->shift),
			       "freed with its table", table[i], 0);
}

/* The table checker. */

/**
 * native_compare - compare a native entry with a Linux entry
 * @np: the native table
 * @desc: the native entry
 * @pte: a Linux entry of its page, of any level
 * @phys: what @pte maps if it is that part of the block that @desc maps
 *
 * Linux may have added rights since.
 *
 * Return: what is wrong, or NULL.
 */
const char *native_compare(const struct native_pgt *np, u64 desc, pte_t pte,
			   phys_addr_t phys)
{
	const bool writable = !(desc & PTE_RDONLY);
	u64 want;

	if (!pte_valid(pte))
		return "the Linux entry is not valid";
	if (PFN_PHYS(pte_pfn(pte)) != phys)
		return "the Linux entry has another page";
	if (!np->hw_af && !(desc & PTE_AF))
		return "nobody notes that it is used";
	if (!np->hw_af && !pte_young(pte))
		return "the Linux entry is not young";
	if (writable && !(pte_write(pte) && pte_dirty(pte)))
		return "the Linux entry is not writable and dirty";
	if (writable != !!(desc & PTE_DBM))
		return "hardware may note that it is dirty";
	want = native_encode(np, pte, true, true, native_desc_to_phys(np, desc));
	if ((want ^ desc) & ~(NATIVE_RIGHTS | PTE_CONT))
		return "the attributes differ";
	return NULL;
}

static void check_entry(struct native_pgt *np, unsigned long addr, u64 desc,
			pte_t *ptep)
{
	phys_addr_t phys = native_desc_to_phys(np, desc);
	const char *wrong = "the Linux entry is missing";
	unsigned long size = PAGE_SIZE;
	pte_t pte = __pte(0);
	unsigned int i, nr;

	atomic_long_inc(&nr_checked);
	if (!ptep)
		ptep = linux_entry(np->mm, addr, &size);
	nr = size == PAGE_SIZE ? native_pages(np) : 1;
	for (i = 0; ptep && i < nr; i++, ptep++, phys += PAGE_SIZE) {
		pte = __ptep_get(ptep);
		wrong = native_compare(np, desc, pte, size == PAGE_SIZE ? phys :
				       phys - (addr & (size - 1)));
		if (wrong)
			break;
	}
	/* The block of 2 MB of a kernel with 16K pages is contiguous itself. */
	if (size == PAGE_SIZE && pte_cont(pte))
		size = CONT_PTE_SIZE;
	if (!wrong && (desc & PTE_CONT) && size < NATIVE_RUN)
		wrong = "contiguous, which the Linux entry is not";
	if (wrong)
		report(np, addr, wrong, desc, pte_val(pte));
}

/* Contiguous entries are alike, but for what the hardware notes in one of them. */
static void check_run(struct native_pgt *np, unsigned long addr, u64 *entry)
{
	const u64 desc = READ_ONCE(*entry);
	const unsigned int i = native_run_index(np, addr);
	const u64 first = READ_ONCE(entry[-(int)i]);

	if (((desc ^ first) & ~PTE_AF) !=
	    (native_phys_to_desc(np, native_desc_to_phys(np, desc)) ^
	     native_phys_to_desc(np, native_desc_to_phys(np, first))) ||
	    native_desc_to_phys(np, desc) !=
	    native_desc_to_phys(np, first) + ((phys_addr_t)i << np->shift))
		report(np, addr, "not like what it is contiguous with", desc,
		       first);
}

/**
 * native_check - compare the native entries of a range with Linux's
 * @np: the native table
 * @start: first address
 * @end: address behind the last one
 * @ptep: the Linux entry of the first native page, if it is known: the table
 *	that it is in may be about to take the place of a block
 *
 * Context: Under the page table lock of the whole range.
 */
void native_check(struct native_pgt *np, unsigned long start, unsigned long end,
		  pte_t *ptep)
{
	const unsigned long size = BIT(np->shift);
	const unsigned long span = size << native_table_bits(np);
	const unsigned long first = ALIGN_DOWN(start, size);
	unsigned long addr = first;

	while (addr < end) {
		unsigned long next = min(ALIGN_DOWN(addr, span) + span, end);
		u64 *entry = native_walk(np, addr), desc;

		for (; entry && addr < next; addr += size, entry++) {
			desc = READ_ONCE(*entry);
			if (!native_valid(desc))
				continue;
			check_entry(np, addr, desc, ptep ? ptep +
				    ((addr - first) >> PAGE_SHIFT) : NULL);
			if (desc & PTE_CONT)
				check_run(np, addr, entry);
		}
		addr = next;
	}
}

/* With the lock of the Linux entries of this range, which one PMD is for. */
static void check_locked(struct native_pgt *np, struct vm_area_struct *vma,
			 unsigned long start, unsigned long end)
{
	struct mm_struct *mm = np->mm;
	unsigned long size;
	spinlock_t *ptl;	/* of the Linux page table */
	pte_t *ptep;

	if (is_vm_hugetlb_page(vma)) {
		struct hstate *h = hstate_vma(vma);

		ptep = huge_pte_offset(mm, start & huge_page_mask(h),
				       huge_page_size(h));
		if (ptep) {
			ptl = huge_pte_lock(h, mm, ptep);
			native_check(np, start, end, NULL);
			spin_unlock(ptl);
			return;
		}
	}
again:
	ptep = linux_entry(mm, start, &size);
	if (ptep && size == PAGE_SIZE) {
		ptep = pte_offset_map_lock(mm, pmd_off(mm, start), start, &ptl);
		/* It has become a block, or is gone. */
		if (!ptep)
			goto again;
		native_check(np, start, end, NULL);
		pte_unmap_unlock(ptep, ptl);
	} else if (ptep && size == PMD_SIZE) {
		ptl = pmd_lock(mm, (pmd_t *)ptep);
		if (pmd_table(READ_ONCE(*(pmd_t *)ptep))) {
			spin_unlock(ptl);
			goto again;
		}
		native_check(np, start, end, NULL);
		spin_unlock(ptl);
	} else {
		spin_lock(&mm->page_table_lock);
		native_check(np, start, end, NULL);
		spin_unlock(&mm->page_table_lock);
	}
}

/* How many tables a table of @entries entries leads to. */
static unsigned long tables_below(const struct native_pgt *np, const u64 *table,
				  unsigned long entries, unsigned int shift)
{
	const unsigned int bits = native_table_bits(np);
	unsigned long nr = 0;

	for (; shift != np->shift && entries--; table++) {
		if (!*table)
			continue;
		nr += 1 + tables_below(np,
				       __va(native_desc_to_phys(np, *table)),
				       BIT(bits), shift - bits);
	}
	return nr;
}

/*
 * What is walked is what is freed, and what it counts for. While others use
 * it, munmap() may have taken a table out that is about to be freed.
 */
static void check_tables(struct native_pgt *np)
{
	const bool unused = !atomic_read(&np->mm->mm_users);
	unsigned long walked = 0, listed = 0, counted = 0;

	spin_lock(&np->lock);
	if (unused)
		walked = tables_below(np, np->pgd, np->pgd_entries,
				      np->top_shift);
	if (np->tables) {
		listed = list_count_nodes(&np->tables->list);
		counted = np->tables->nr;
	}
	spin_unlock(&np->lock);
	if (unused && walked != counted)
		report(np, 0, "tables walked are not those counted", walked,
		       counted);
	if (listed != counted)
		report(np, 0, "tables listed are not those counted", listed,
		       counted);
}

/**
 * native_check_mm - compare a whole native table with Linux's
 * @np: the native table
 *
 * Also that each of its tables is accounted for, and at exit that each entry is
 * in a VMA: before, munmap() may have taken a VMA out and be about to take out
 * what it maps, with the lock for reading only. It is not done if another task
 * has the mm locked for writing, or waits for that, as the caller may have
 * locked it for reading.
 *
 * Context: May sleep; no page table lock is held.
 */
void native_check_mm(struct native_pgt *np)
{
	const unsigned long span = BIT(np->shift + native_table_bits(np));
	struct vm_area_struct *vma;
	unsigned long addr = 0;
	unsigned long end;
	u64 desc;

	check_tables(np);
	if (!mmap_read_trylock(np->mm)) {
		atomic_long_inc(&nr_skipped);
		return;
	}
	rcu_read_lock();
	while ((desc = next_valid(np, &addr))) {
		end = min(ALIGN_DOWN(addr, PMD_SIZE) + PMD_SIZE,
			  ALIGN_DOWN(addr, span) + span);
		vma = find_vma(np->mm, addr);
		if (!vma || vma->vm_start > addr) {
			if (!atomic_read(&np->mm->mm_users))
				report(np, addr, "there is no VMA", desc, 0);
			addr += BIT(np->shift);
			continue;
		}
		end = min(end, vma->vm_end);
		check_locked(np, vma, addr, end);
		addr = end;
		cond_resched_rcu();
	}
	rcu_read_unlock();
	mmap_read_unlock(np->mm);
}

/**
 * native_debug_discard - forget entries at random, as the knob says
 * @np: the native table
 * @start: first address of the range
 * @end: address behind the last one
 * @keep: address of what a fault was for; it stays, unless it is contiguous
 *	with others, which all go or stay
 *
 * Context: Under the page table lock of the whole range.
 */
void native_debug_discard(struct native_pgt *np, unsigned long start,
			  unsigned long end, unsigned long keep)
{
	const unsigned long size = BIT(np->shift);
	const u32 percent = READ_ONCE(discard_percent);
	const u64 *entry;
	unsigned long addr;

	if (!percent)
		return;
	entry = native_walk(np, keep);
	if (entry && (READ_ONCE(*entry) & PTE_CONT)) {
		/* A run goes as a whole: the same fault comes once more. */
		if (get_random_u32_below(200) < percent)
			__native_zap(np, keep, keep + 1);
		return;
	}
	for (addr = start; addr < end; addr += size)
		if ((addr ^ keep) >= size && get_random_u32_below(100) < percent)
			__native_zap(np, addr, addr + size);
}

/**
 * native_debug_no_table - have the allocation of a table fail, as the knob says
 *
 * Context: Any.
 * Return: true if it is to fail.
 */
bool native_debug_no_table(void)
{
	const u32 percent = READ_ONCE(no_table_percent);

	return percent && get_random_u32_below(100) < percent;
}

/* What the hardware walks. */

DEFINE_STATIC_KEY_FALSE(native_debug_syscall_key);

/*
 * Compare the registers of this CPU with what the mm of the current task is to
 * have. With interrupts off, nobody can have changed the mm's table on this CPU:
 * who does waits for an interrupt of it before the change is complete.
 */
static enum native_walked check_walk(struct native_walk_regs *walk)
{
	struct mm_struct *mm = current->mm;
	struct native_pgt *np = mm_native(mm);
	struct native_walk_want want = {
		.table = virt_to_phys(mm->pgd),
		.tg0 = TCR_TG0_KERNEL,
	};
	unsigned long flags, hw;

	local_irq_save(flags);
	want.changing = np && mutex_is_locked(&np->transition);
	/* The lock is looked at first: it is taken before the change. */
	smp_rmb();
	hw = np ? READ_ONCE(mm->context.hw) : NATIVE_HW_LINUX;
	walk->tcr = read_sysreg(tcr_el1);
	walk->ttbr0 = read_sysreg(ttbr0_el1);
	walk->ttbr1 = read_sysreg(ttbr1_el1);
	want.asid = ASID(mm);
	local_irq_restore(flags);

	want.parked = hw == NATIVE_HW_PARKED;
	if (hw > NATIVE_HW_PARKED) {
		want.table = hw;
		want.tg0 = np->tg0;
		want.native = true;
	}
	return native_judge_walk(walk, &want, __pa_symbol(reserved_pg_dir));
}

/* As often as it is tried again, a microsecond each: TLB maintenance takes time. */
#define PROBES			1000

/*
 * Have this CPU translate an address, for which it may use its TLB, and compare
 * that with the table. What differs because the table was changed does so only
 * until the TLB has been invalidated.
 */
static void probe_tlb(struct native_pgt *np, unsigned long addr)
{
	const u64 page = GENMASK_ULL(51, PAGE_SHIFT);
	u64 desc = 0, par = 0;
	unsigned int i;

	addr = untagged_addr(addr);
	for (i = 0; i < PROBES; i++) {
		const u64 *entry;
		unsigned long flags;
		bool here;

		/* So long, the tables stay, and so does the one that is walked. */
		local_irq_save(flags);
		here = READ_ONCE(np->mm->context.hw) == np->pgd_phys &&
		       native_same_table(read_sysreg(ttbr0_el1), np->pgd_phys);
		asm volatile("at s1e0r, %0" : : "r" (addr));
		isb();
		par = read_sysreg_par();
		entry = here ? native_walk(np, addr) : NULL;
		desc = entry ? READ_ONCE(*entry) : 0;
		local_irq_restore(flags);

		/* Not to be had for reading, or not any more. */
		if (!here || (par & SYS_PAR_EL1_F))
			return;
		if (native_valid(desc) &&
		    !((par ^ (native_desc_to_phys(np, desc) +
			      (addr & (BIT(np->shift) - 1)))) & page)) {
			this_cpu_inc(nr_probed);
			return;
		}
		udelay(1);
	}
	report(np, addr, "the hardware has another translation", desc, par);
}

/**
 * __native_debug_syscall - see native_debug_syscall()
 *
 * Context: Process context.
 */
void __native_debug_syscall(void)
{
	static DEFINE_RATELIMIT_STATE(limit, 5 * HZ, 10);
	struct pt_regs *regs = current_pt_regs();
	struct native_walk_regs walk;

	/* With PAN emulated, nothing is walked in the kernel. */
	if (system_uses_ttbr0_pan() || !current->mm)
		return;
	switch (check_walk(&walk)) {
	case NATIVE_WALKED:
		this_cpu_inc(nr_native);
		/* The TLB has had both a moment ago. */
		probe_tlb(mm_native(current->mm), instruction_pointer(regs));
		probe_tlb(mm_native(current->mm), user_stack_pointer(regs));
		break;
	case NATIVE_WALKED_LINUX:
		this_cpu_inc(nr_linux);
		break;
	case NATIVE_WALKED_CHANGING:
		this_cpu_inc(nr_changing);
		break;
	case NATIVE_WALKED_WRONG:
		atomic_long_inc(&nr_bad);
		if (__ratelimit(&limit))
			WARN(1, "native page table: %s[%d], hw %#lx: the hardware walks another table: TCR %#llx, TTBR0 %#llx, TTBR1 %#llx\n",
			     current->comm, task_pid_nr(current),
			     current->mm->context.hw, walk.tcr, walk.ttbr0,
			     walk.ttbr1);
		break;
	}
}

/* Few ASIDs, so that they are used up all the time. */

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX	"native_pgtable."

static unsigned int asid_limit;
module_param_named(asids, asid_limit, uint, 0444);

static unsigned long nr_rollovers;

/**
 * native_debug_limit_asids - have most ASIDs look used
 * @map: the new map of those that are used
 * @nr: their number
 *
 * As many are left as the boot parameter says, but enough for all CPUs where
 * each second one belongs to user space (KPTI).
 *
 * Context: At boot, and when the ASIDs are used up.
 */
void native_debug_limit_asids(unsigned long *map, unsigned long nr)
{
	const unsigned long left = max(asid_limit, 2 * num_possible_cpus() + 4);

	nr_rollovers++;
	if (asid_limit && left < nr)
		bitmap_set(map, left, nr - left);
}

/* What debugfs has. */

static u32 table_pid;

static struct mm_struct *native_mm_of(pid_t pid)
{
	struct task_struct *task = find_get_task_by_vpid(pid);
	struct mm_struct *mm;

	if (!task)
		return NULL;
	mm = get_task_mm(task);
	put_task_struct(task);
	if (mm && !mm_native(mm)) {
		mmput(mm);
		mm = NULL;
	}
	return mm;
}

/* What is mapped by contiguous entries that differ only in the address. */
struct run {
	unsigned long start;
	unsigned long size;
	phys_addr_t phys;
	u64 desc;		/* but the address */
};

static void show_run(struct seq_file *m, const struct run *run)
{
	const u64 desc = run->desc;

	if (!run->size)
		return;
	seq_printf(m, "%013lx-%013lx %8lu kB %#014llx %c%c%c%c attr %llu%s%s\n",
		   run->start, run->start + run->size, run->size >> 10,
		   (u64)run->phys, desc & PTE_USER ? 'r' : '-', desc & PTE_RDONLY ? '-' : 'w',
		   desc & PTE_UXN ? '-' : 'x', desc & PTE_PXN ? '-' : 'p',
		   (desc & PTE_ATTRINDX_MASK) >> 2,
		   desc & PTE_GP ? " guarded" : "",
		   desc & PTE_CONT ? " contiguous" : "");
}

static int table_show(struct seq_file *m, void *v)
{
	struct mm_struct *mm = native_mm_of(READ_ONCE(table_pid));
	unsigned long addr = 0, pages = 0, bytes = 0;
	struct run run = { };
	struct native_pgt *np;
	struct ptdesc *pt;
	u64 desc;

	if (!mm)
		return -ESRCH;
	np = mm_native(mm);

	seq_printf(m, "page %lu kB, %u levels, %s\n", BIT(np->shift) >> 10,
		   np->levels, native_active(mm) ? "walked" : "not walked");
	rcu_read_lock();
	while ((desc = next_valid(np, &addr))) {
		const phys_addr_t phys = native_desc_to_phys(np, desc);

		desc &= ~native_address_mask(np);
		if (!run.size || addr != run.start + run.size ||
		    phys != run.phys + run.size || desc != run.desc) {
			show_run(m, &run);
			run = (struct run) {
				.start = addr, .phys = phys, .desc = desc,
			};
		}
		run.size += BIT(np->shift);
		pages++;
		addr += BIT(np->shift);
	}
	show_run(m, &run);
	rcu_read_unlock();

	spin_lock(&np->lock);
	if (np->tables)
		list_for_each_entry(pt, &np->tables->list, pt_list)
			bytes += BIT(np->shift);
	spin_unlock(&np->lock);
	seq_printf(m, "%lu pages, %lu bytes of tables and %zu of the first\n",
		   pages, bytes, native_pgd_size(np));
	mmput(mm);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(table);

static int stats_show(struct seq_file *m, void *v)
{
	unsigned long index, nr = 0, flags;
	struct native_pgt *np;
	void *record;
	int cpu;

	spin_lock_irqsave(&ledger_lock, flags);
	list_for_each_entry(np, &ledgers, ledger.node)
		xa_for_each(&np->ledger.stale, index, record)
			nr++;
	spin_unlock_irqrestore(&ledger_lock, flags);

	seq_printf(m, "errors %ld\n", atomic_long_read(&nr_bad));
	seq_printf(m, "entries_checked %ld\n", atomic_long_read(&nr_checked));
	seq_printf(m, "checks_skipped %ld\n", atomic_long_read(&nr_skipped));
	seq_printf(m, "records %lu\n", nr);
	seq_printf(m, "records_made %ld\n", atomic_long_read(&nr_recorded));
	seq_printf(m, "records_lost %ld\n", atomic_long_read(&nr_lost));
	/* Once at boot. */
	seq_printf(m, "asid_rollovers %lu\n", READ_ONCE(nr_rollovers) - 1);
	for_each_online_cpu(cpu)
		seq_printf(m, "cpu%d walks_native %lu walks_linux %lu walks_changing %lu probes %lu\n",
			   cpu, per_cpu(nr_native, cpu), per_cpu(nr_linux, cpu),
			   per_cpu(nr_changing, cpu), per_cpu(nr_probed, cpu));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int demote_set(void *data, u64 pid)
{
	struct mm_struct *mm = native_mm_of(pid);

	if (!mm)
		return -ESRCH;
	native_demote(mm_native(mm), 0, NATIVE_FORCED);
	mmput(mm);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(demote_fops, NULL, demote_set, "%llu\n");

static int promote_set(void *data, u64 pid)
{
	struct mm_struct *mm = native_mm_of(pid);

	if (!mm)
		return -ESRCH;
	native_promote(mm_native(mm), false);
	mmput(mm);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(promote_fops, NULL, promote_set, "%llu\n");

static int check_set(void *data, u64 pid)
{
	struct mm_struct *mm = native_mm_of(pid);

	if (!mm)
		return -ESRCH;
	native_check_mm(mm_native(mm));
	mmput(mm);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(check_fops, NULL, check_set, "%llu\n");

static int syscalls_get(void *data, u64 *val)
{
	*val = static_key_enabled(&native_debug_syscall_key);
	return 0;
}

static int syscalls_set(void *data, u64 val)
{
	if (val)
		static_branch_enable(&native_debug_syscall_key);
	else
		static_branch_disable(&native_debug_syscall_key);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(syscalls_fops, syscalls_get, syscalls_set, "%llu\n");

/* On the CPU that the reader is on, for its own mm. */
static int walk_show(struct seq_file *m, void *v)
{
	static const char * const names[] = {
		[NATIVE_WALKED] = "native", [NATIVE_WALKED_LINUX] = "linux",
		[NATIVE_WALKED_CHANGING] = "changing", [NATIVE_WALKED_WRONG] = "wrong",
	};
	struct native_walk_regs regs;
	enum native_walked found;
	unsigned long kb;
	int cpu;

	if (system_uses_ttbr0_pan())
		return -EOPNOTSUPP;
	cpu = get_cpu();
	found = check_walk(&regs);
	put_cpu();
	switch (regs.tcr & TCR_EL1_TG0_MASK) {
	case TCR_TG0_64K:
		kb = 64;
		break;
	case TCR_TG0_16K:
		kb = 16;
		break;
	default:
		kb = 4;
	}
	seq_printf(m, "cpu %d walks %s granule %lu\n", cpu, names[found], kb);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(walk);

static int __init native_debug_init(void)
{
	struct dentry *dir = debugfs_create_dir("native_pgtable", NULL);

	debugfs_create_u32("pid", 0600, dir, &table_pid);
	debugfs_create_file("table", 0400, dir, NULL, &table_fops);
	debugfs_create_file("stats", 0400, dir, NULL, &stats_fops);
	debugfs_create_file_unsafe("demote", 0200, dir, NULL, &demote_fops);
	debugfs_create_file_unsafe("promote", 0200, dir, NULL, &promote_fops);
	debugfs_create_file_unsafe("check", 0200, dir, NULL, &check_fops);
	debugfs_create_u32("discard", 0600, dir, &discard_percent);
	debugfs_create_u32("no_table", 0600, dir, &no_table_percent);
	debugfs_create_file_unsafe("syscalls", 0600, dir, NULL, &syscalls_fops);
	debugfs_create_file("walk", 0400, dir, NULL, &walk_fops);
	return 0;
}
late_initcall(native_debug_init);
