/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Native page tables, inside: see asm/native_pgtable.h.
 */
#ifndef __ARM64_MM_NATIVE_H
#define __ARM64_MM_NATIVE_H

#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <asm/native_pgtable.h>

#include "native_ledger.h"

enum native_state {
	NATIVE_ACTIVE,		/* the hardware walks it */
	NATIVE_OFF,		/* the Linux table is walked; this is empty */
	NATIVE_DEAD,		/* the mm is going away */
};

/* What came of filling an entry; from NATIVE_MIXED on, why it cannot be. */
enum native_result {
	NATIVE_FILLED,
	NATIVE_ABSENT,		/* the Linux table has nothing (any more) */
	NATIVE_MIXED,		/* the Linux entries are not alike */
	NATIVE_NO_MEMORY,	/* no memory for a table */
	NATIVE_FORCED,		/* debugfs was told so */
};

/* The tables below the first, freed all at once after an RCU grace period. */
struct native_tables {
	struct rcu_work work;
	struct list_head list;
	unsigned long nr;
};

/* No table was taken out. */
#define NATIVE_NOTHING_GONE	1UL

/* What was taken out of a native table, and may still be in a TLB. */
struct native_ledger {
	struct xarray stale;		/* by native page: see native_debug.c */
	struct xarray valid;		/* the same */
	struct list_head node;
	atomic_t renewed;		/* the mm has got another ASID */
	unsigned long gone;		/* address of a table that was taken out */
	unsigned long bad;		/* errors that were found */
	bool quiet;			/* a test that expects them */
};

/* A demotion is not undone sooner, in jiffies. */
#define NATIVE_RETRY_MIN	(1UL * HZ)

struct native_pgt {
	u64 *pgd;
	phys_addr_t pgd_phys;
	unsigned long tg0;		/* as in TCR_EL1 */
	unsigned int shift;		/* log2 of the native page */
	unsigned int levels;
	unsigned int top_shift;		/* what an entry of the pgd covers, log2 */
	unsigned int pgd_entries;
	bool hw_af;			/* the hardware may set PTE_AF */
	bool lpa2;			/* the format of 16K with TCR_EL1.DS */
	enum native_state state;	/* changes under both locks */
	spinlock_t lock;		/* tables come and go under it */
	struct mutex transition;	/* from one table to the other */
	atomic_t held;			/* who reads by the Linux table */
	wait_queue_head_t wait;
	struct native_tables *tables;
	struct mm_struct *mm;
	/* Of the last demotion: */
	unsigned long bad_addr;		/* what could not be entered */
	unsigned long retry;		/* not to be undone before, in jiffies */
	unsigned long wait_for;		/* how long that was, in jiffies */
	unsigned long promoted;		/* when that was, or the mm was made */
	bool in_hope;			/* what it was demoted for was still there */
	unsigned long noted;		/* when it looked demoted; or 0 */
#ifdef CONFIG_ARM64_NATIVE_PGTABLE_DEBUG
	struct native_ledger ledger;
#endif
};

#ifdef CONFIG_ARM64_NATIVE_PGTABLE
void native_create_exec(struct mm_struct *mm);
#else
static inline void native_create_exec(struct mm_struct *mm) { }
#endif

u64 *native_walk(const struct native_pgt *np, unsigned long addr);
struct native_tables *native_tables_alloc(void);
void native_enter_block(struct native_pgt *np, unsigned long addr, u64 *entry,
			pte_t pte, unsigned long base, unsigned long size);
bool native_young(const struct native_pgt *np, unsigned long addr,
		  unsigned long size);
void native_promote(struct native_pgt *np, bool in_hope);
void native_stay(struct native_pgt *np);
void native_drop_tables(struct native_pgt *np, enum native_state state);
void native_demote(struct native_pgt *np, unsigned long addr,
		   enum native_result why);

#ifdef CONFIG_ARM64_NATIVE_PGTABLE_DEBUG
void native_debug_create(struct native_pgt *np);
void native_debug_destroy(struct native_pgt *np);
void native_debug_write(struct native_pgt *np, unsigned long addr, u64 old,
			u64 desc);
void native_debug_tlbi(struct native_pgt *np, const struct native_tlbi *op);
void native_debug_tlbi_va(struct native_pgt *np, u64 arg, bool last,
			  bool broadcast);
void native_debug_table_gone(struct native_pgt *np, unsigned long addr);
void native_debug_table_free(struct native_pgt *np);
void native_debug_drop(struct native_pgt *np);
void native_debug_dropped(struct native_pgt *np);
void native_debug_unused(struct native_pgt *np, const u64 *table,
			 unsigned long addr);
void native_debug_discard(struct native_pgt *np, unsigned long start,
			  unsigned long end, unsigned long keep);
bool native_debug_no_table(void);
void native_check(struct native_pgt *np, unsigned long start,
		  unsigned long end, pte_t *ptep);
void native_check_mm(struct native_pgt *np);
const char *native_compare(const struct native_pgt *np, u64 desc, pte_t pte,
			   phys_addr_t phys);
#else
static inline void native_debug_create(struct native_pgt *np) { }
static inline void native_debug_destroy(struct native_pgt *np) { }
static inline void native_debug_write(struct native_pgt *np, unsigned long addr,
				      u64 old, u64 desc) { }
static inline void native_debug_tlbi_va(struct native_pgt *np, u64 arg,
					bool last, bool broadcast) { }
static inline void native_debug_table_gone(struct native_pgt *np,
					   unsigned long addr) { }
static inline void native_debug_table_free(struct native_pgt *np) { }
static inline void native_debug_drop(struct native_pgt *np) { }
static inline void native_debug_dropped(struct native_pgt *np) { }
static inline void native_debug_unused(struct native_pgt *np, const u64 *table,
				       unsigned long addr) { }
static inline void native_debug_discard(struct native_pgt *np,
					unsigned long start, unsigned long end,
					unsigned long keep) { }
static inline bool native_debug_no_table(void)
{
	return false;
}

static inline void native_check(struct native_pgt *np, unsigned long start,
				unsigned long end, pte_t *ptep) { }
static inline void native_check_mm(struct native_pgt *np) { }
#endif

/**
 * native_write - change an entry
 * @np: the native table
 * @addr: address of the native page
 * @entry: its entry
 * @desc: what it is to be; what is not valid tells what was
 *
 * Context: Under the page table lock.
 */
static inline void native_write(struct native_pgt *np, unsigned long addr,
				u64 *entry, u64 desc)
{
	native_debug_write(np, addr, *entry & PTE_VALID ? *entry : 0,
			   desc & PTE_VALID ? desc : 0);
	WRITE_ONCE(*entry, desc);
}

#endif /* __ARM64_MM_NATIVE_H */
