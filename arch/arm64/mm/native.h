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

#include <asm/native_pgtable.h>

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
};

/* The tables below the first, freed all at once after an RCU grace period. */
struct native_tables {
	struct rcu_head rcu;
	struct list_head list;
};

struct native_pgt {
	u64 *pgd;
	phys_addr_t pgd_phys;
	unsigned long tg0;		/* as in TCR_EL1 */
	unsigned int shift;		/* log2 of the native page */
	unsigned int levels;
	unsigned int top_shift;		/* what an entry of the pgd covers, log2 */
	unsigned int pgd_entries;
	bool hw_af;			/* the hardware may set PTE_AF */
	enum native_state state;	/* changes under both locks */
	spinlock_t lock;		/* tables come and go under it */
	struct mutex transition;	/* from one table to the other */
	wait_queue_head_t wait;
	struct native_tables *tables;
	struct mm_struct *mm;
	/* Of the last demotion: */
	unsigned long bad_addr;		/* what could not be entered */
	unsigned long retry;		/* not to be undone before, in jiffies */
	unsigned long wait_for;		/* how long that was, in jiffies */
};

struct native_tables *native_tables_alloc(void);
void native_promote(struct native_pgt *np);
void native_drop_tables(struct native_pgt *np, enum native_state state);
void native_demote(struct native_pgt *np, unsigned long addr,
		   enum native_result why);

#endif /* __ARM64_MM_NATIVE_H */
