/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Native page tables: what the registers of a CPU say of the table that it
 * walks. It depends on nothing but the arguments, so that it can be tested.
 */
#ifndef __ARM64_MM_NATIVE_WALK_H
#define __ARM64_MM_NATIVE_WALK_H

#include <linux/bits.h>
#include <linux/pgtable.h>

#include <asm/sysreg.h>

/**
 * native_same_table - whether a CPU walks a table
 * @ttbr0: TTBR0_EL1
 * @table: physical address
 *
 * Neither the ASID nor CnP is of interest.
 *
 * Return: true if it does.
 */
static inline bool native_same_table(u64 ttbr0, phys_addr_t table)
{
	return !((ttbr0 ^ phys_to_ttbr(table)) & GENMASK_ULL(47, 1));
}

/* What decides which table the lower addresses have, as a CPU has it. */
struct native_walk_regs {
	u64 tcr;
	u64 ttbr0;
	u64 ttbr1;
};

/* What that is to be for an mm. */
struct native_walk_want {
	phys_addr_t table;
	unsigned long tg0;	/* as in TCR_EL1 */
	u64 asid;
	bool native;		/* the table is a native one */
	bool parked;		/* nothing, as soon as the CPU hears of it */
	bool changing;		/* that, or something else, in a moment */
};

enum native_walked {
	NATIVE_WALKED,
	NATIVE_WALKED_LINUX,
	NATIVE_WALKED_CHANGING,	/* either, or nothing: that is about to change */
	NATIVE_WALKED_WRONG,
};

/**
 * native_judge_walk - compare what a CPU walks with what it is to walk
 * @walk: its registers
 * @want: of the mm of its task
 * @reserved: physical address of the reserved table, in which nothing is
 *
 * Return: what it walks.
 */
static inline enum native_walked
native_judge_walk(const struct native_walk_regs *walk,
		  const struct native_walk_want *want, phys_addr_t reserved)
{
	const bool changing = want->changing || want->parked;
	/* In the upper bits of TTBR1_EL1; perhaps none while nothing is walked. */
	const u64 asid = walk->ttbr1 >> 48;

	if (changing && !asid && native_same_table(walk->ttbr0, reserved))
		return NATIVE_WALKED_CHANGING;
	if (asid != want->asid)
		return NATIVE_WALKED_WRONG;
	if (changing)
		return NATIVE_WALKED_CHANGING;
	if ((walk->tcr & TCR_EL1_TG0_MASK) != want->tg0 ||
	    !native_same_table(walk->ttbr0, want->table))
		return NATIVE_WALKED_WRONG;
	return want->native ? NATIVE_WALKED : NATIVE_WALKED_LINUX;
}

#endif /* __ARM64_MM_NATIVE_WALK_H */
