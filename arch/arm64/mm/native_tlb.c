// SPDX-License-Identifier: GPL-2.0
/*
 * Native page tables: TLB maintenance.
 *
 * What is invalidated was cached in the granule of the mm that it belongs to,
 * which need not be that of the CPU at the time: reclaim, or an unmap of a
 * shared file, works on behalf of others. So the geometry comes from the mm.
 */
#include <linux/mm.h>

#include <asm/tlbflush.h>

#include "native.h"

/*
 * By address, without a hint of the level. What is noted is what the operand says.
 */
static void native_tlbi_va(struct native_pgt *np, unsigned long addr,
			   unsigned long asid, bool walkcache, bool broadcast)
{
	const u64 arg = (u64)asid << 48 | ((addr >> 12) & GENMASK_ULL(43, 0));

	native_debug_tlbi_va(np, arg, !walkcache, broadcast);
	if (!broadcast)
		vale1(arg);
	else if (walkcache)
		vae1is(arg);
	else
		vale1is(arg);
}

/**
 * native_flush_tlb_range - invalidate what the TLBs have of a native table
 * @mm: the mm
 * @start: first address
 * @end: address behind the last one
 * @walkcache: whether to invalidate what leads to the entries, too
 * @broadcast: whether on all CPUs, or on this one only
 *
 * Leaves it to the caller to wait for completion.
 *
 * No hint of the level and no range operation is given: a hint or a range in
 * another granule than the entry's need not invalidate it. An operation by
 * address does, whichever address in the page it is given.
 *
 * Which table is walked is read after the barrier that has the walkers see the
 * changed entries: should the mm change tables after that, the walks of the
 * other table see the change, too, and the change of tables invalidates all
 * that is cached of this one. In between, while no table is, what is cached may
 * be of either: of the Linux table in small pages, until the change of tables
 * has invalidated it, for which whoever frees a page must not wait.
 *
 * Context: Any.
 * Return: false if the hardware does not walk the native table.
 */
bool native_flush_tlb_range(struct mm_struct *mm, unsigned long start,
			    unsigned long end, bool walkcache, bool broadcast)
{
	struct native_pgt *np = mm_native(mm);
	const unsigned long size = 1UL << np->shift;
	unsigned long addr, asid, hw;

	if (broadcast)
		dsb(ishst);
	else
		dsb(nshst);

	hw = READ_ONCE(mm->context.hw);
	if (hw == NATIVE_HW_LINUX)
		return false;

	start = ALIGN_DOWN(start, size);
	end = ALIGN(end, size);
	if (broadcast && (hw == NATIVE_HW_PARKED ||
			  (end - start) >> np->shift >= MAX_DVM_OPS)) {
		flush_tlb_mm(mm);
		return true;
	}

	/* A hugetlb page of 1G, for instance. */
	if ((end - start) >> np->shift >= MAX_DVM_OPS) {
		local_flush_tlb_all();
		return true;
	}

	asid = ASID(mm);
	for (addr = start; addr != end; addr += size)
		native_tlbi_va(np, addr, asid, walkcache && broadcast,
			       broadcast);
	return true;
}

/**
 * native_do_flush_tlb_range - __do_flush_tlb_range() where there is a native table
 * @mm: the mm
 * @start: first address
 * @end: address behind the last one
 * @stride: what the Linux entries map, in bytes
 * @tlb_level: their level
 * @flags: as there
 *
 * Context: Any.
 */
void native_do_flush_tlb_range(struct mm_struct *mm, unsigned long start,
			       unsigned long end, unsigned long stride,
			       int tlb_level, tlbf_t flags)
{
	const bool broadcast = !(flags & TLBF_NOBROADCAST);

	if (!native_flush_tlb_range(mm, start, end, !(flags & TLBF_NOWALKCACHE),
				    broadcast)) {
		__do_flush_linux_tlb_range(mm, start, end, stride, tlb_level,
					   flags);
		return;
	}

	if (!(flags & TLBF_NONOTIFY))
		mmu_notifier_arch_invalidate_secondary_tlbs(mm, start, end);

	if (flags & TLBF_NOSYNC)
		return;
	if (broadcast)
		__tlbi_sync_s1ish(mm);
	else
		dsb(nsh);
}
