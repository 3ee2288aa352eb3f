/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Native page tables: what the debug option knows of TLBs. It depends on
 * nothing but the arguments, so that it can be tested.
 */
#ifndef __ARM64_MM_NATIVE_LEDGER_H
#define __ARM64_MM_NATIVE_LEDGER_H

#include <linux/bits.h>
#include <linux/pgtable.h>

enum native_tlbi_kind {
	NATIVE_TLBI_ALL,	/* all entries of all ASIDs */
	NATIVE_TLBI_ASID,	/* all entries of one */
	NATIVE_TLBI_VA,		/* what translates an address */
	NATIVE_TLBI_RANGE,	/* what translates addresses of a range */
};

/* What an instruction that invalidates entries of the TLB is told. */
struct native_tlbi {
	enum native_tlbi_kind kind;
	bool broadcast;		/* to all CPUs */
	unsigned long asid;
	unsigned long start;
	unsigned long end;	/* of a range */
	unsigned int shift;	/* log2 of the granule; 0: not told */
	unsigned int level;	/* of the translation; 0: not told */
	bool last;		/* only entries of the last level */
};

/**
 * native_tlbi_decode - read the operand of an operation by address
 * @arg: the operand
 * @op: what it says; the kind is set, too
 *
 * As the hardware does: neither from what the operand was made of, nor by the
 * macros that it was made with.
 */
static inline void native_tlbi_decode(u64 arg, struct native_tlbi *op)
{
	const unsigned int ttl = (arg >> 44) & 15;

	op->kind = NATIVE_TLBI_VA;
	op->asid = arg >> 48;
	op->start = (arg & GENMASK_ULL(43, 0)) << 12;
	/* TG: 1 is 4K, 2 is 16K, 3 is 64K. */
	op->shift = ttl >> 2 ? 10 + 2 * (ttl >> 2) : 0;
	op->level = ttl >> 2 ? ttl & 3 : 0;
}

/**
 * native_tlbi_covers - whether an entry is gone from all TLBs
 * @op: the instruction
 * @asid: ASID of the entry
 * @addr: address of the native page that it translates
 * @shift: log2 of the granule; it is an entry of the last level
 *
 * This is what the architecture guarantees, which is less than what most CPUs
 * do, and much less than what emulators do:
 *
 * - With a hint in TTL, nothing need be invalidated if the entry has another
 *   level or granule.
 * - A range operation need not invalidate entries of another granule than TG,
 *   and with a level other than the entry's not any.
 * - By address without a hint, any address in the page does.
 *
 * Return: true if the entry is certain to be gone when @op has completed.
 */
static inline bool native_tlbi_covers(const struct native_tlbi *op,
				      unsigned long asid, unsigned long addr,
				      unsigned int shift)
{
	if (!op->broadcast)
		return false;
	if (op->kind == NATIVE_TLBI_ALL)
		return true;
	if (op->asid != asid)
		return false;
	if (op->kind == NATIVE_TLBI_ASID)
		return true;
	if (op->level && op->level != 3)
		return false;
	if (op->kind == NATIVE_TLBI_VA)
		return (!op->shift || op->shift == shift) &&
		       (op->start ^ addr) >> shift == 0;
	return op->shift == shift && addr >= op->start &&
	       addr + BIT(shift) <= op->end;
}

/**
 * native_tlbi_covers_table - whether what leads to a table is gone from all TLBs
 * @op: the instruction
 * @asid: ASID of the mm
 * @addr: first address that the table translates
 *
 * Return: true if it is certain to be gone when @op has completed.
 */
static inline bool native_tlbi_covers_table(const struct native_tlbi *op,
					    unsigned long asid,
					    unsigned long addr)
{
	/* With a hint, what is cached of the levels above need not go. */
	if (op->kind >= NATIVE_TLBI_VA && (op->last || op->shift || op->level))
		return false;
	/* As for the entry of a page of the size of the operand's unit. */
	return native_tlbi_covers(op, asid, addr, 12);
}

/* How a new entry is at odds with an older one that a TLB may still have. */
enum native_conflict {
	NATIVE_NO_CONFLICT,
	NATIVE_LESS_RIGHTS,
	NATIVE_OTHER_PAGE,
	NATIVE_OTHER_SIZE,
	NATIVE_OTHER_TYPE,
};

/**
 * native_conflict - compare an entry with what it comes after
 * @stale: the older entry
 * @desc: the new one
 * @address: the bits of both that are the address
 *
 * With the same or more rights, the older one does no harm: it has an access
 * fault that would not, and the fault is found to be spurious.
 *
 * Return: what needs the TLB to be invalidated in between.
 */
static inline enum native_conflict native_conflict(u64 stale, u64 desc,
						   u64 address)
{
	const u64 diff = stale ^ desc;

	if (diff & PTE_CONT)
		return NATIVE_OTHER_SIZE;
	if (diff & address)
		return NATIVE_OTHER_PAGE;
	if (diff & (PTE_ATTRINDX_MASK | PTE_SHARED))
		return NATIVE_OTHER_TYPE;
	/* What is not known to add rights may take some away. */
	if (diff & ~(PTE_RDONLY | PTE_DBM | PTE_PXN | PTE_UXN | PTE_AF))
		return NATIVE_LESS_RIGHTS;
	if (diff & desc & (PTE_RDONLY | PTE_PXN | PTE_UXN))
		return NATIVE_LESS_RIGHTS;
	return NATIVE_NO_CONFLICT;
}

#endif /* __ARM64_MM_NATIVE_LEDGER_H */
