/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Native page tables: what depends on nothing but the arguments, so that it can
 * be tested for each geometry.
 */
#ifndef __ARM64_MM_NATIVE_ENCODE_H
#define __ARM64_MM_NATIVE_ENCODE_H

#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/pgtable.h>
#include <linux/sizes.h>

#include "native.h"

/* What a Linux entry and a native one have in the same place. */
#ifdef CONFIG_ARM64_POE
#define NATIVE_COPY_PO		PTE_PO_IDX_MASK
#else
#define NATIVE_COPY_PO		0
#endif
#define NATIVE_COPY		(PTE_ATTRINDX_MASK | PTE_USER | PTE_GP | \
				 PTE_PXN | PTE_UXN | NATIVE_COPY_PO)

/* What may differ between the Linux entries that make one native entry. */
#define NATIVE_MAY_DIFFER	(PTE_AF | PTE_RDONLY | PTE_CONT | \
				 PTE_SWBITS_MASK)

/*
 * An entry that was valid and is so no longer: a TLB may still have it. The
 * hardware looks at nothing but PTE_VALID; PTE_CONT is as it was. It counts for
 * an entry, as long as one of its run is not known to be out of all TLBs: the
 * contiguous bit may change only then.
 */
#define NATIVE_ZAPPED		BIT_ULL(1)

/* What contiguous entries map together, in the 16K granule as in the 64K one. */
#define NATIVE_RUN		SZ_2M

/* What may change in a valid entry, and only so that it gives more rights. */
#define NATIVE_RIGHTS		(PTE_RDONLY | PTE_DBM | PTE_AF)

static inline bool native_valid(u64 desc)
{
	return desc & PTE_VALID;
}

static inline u64 native_zapped(u64 desc)
{
	return NATIVE_ZAPPED | (desc & PTE_CONT);
}

/* Entries of a run. */
static inline unsigned int native_run(const struct native_pgt *np)
{
	return NATIVE_RUN >> np->shift;
}

/* The place in its run of the entry of @addr. */
static inline unsigned int native_run_index(const struct native_pgt *np,
					    unsigned long addr)
{
	return (addr & (NATIVE_RUN - 1)) >> np->shift;
}

static inline unsigned int native_table_bits(const struct native_pgt *np)
{
	return np->shift - 3;
}

static inline unsigned int native_pages(const struct native_pgt *np)
{
	return 1U << (np->shift - PAGE_SHIFT);
}

/**
 * native_set_geometry - settle the levels and sizes of a native table
 * @np: the native table
 * @shift: log2 of the native page
 * @va_bits: bits of an address
 */
static inline void native_set_geometry(struct native_pgt *np,
				       unsigned int shift, unsigned int va_bits)
{
	np->shift = shift;
	np->levels = DIV_ROUND_UP(va_bits - shift, native_table_bits(np));
	np->top_shift = shift + native_table_bits(np) * (np->levels - 1);
	np->pgd_entries = 1U << (va_bits - np->top_shift);
}

/* The first table is aligned to its size, and at least to 64 bytes. */
static inline size_t native_pgd_size(const struct native_pgt *np)
{
	return max_t(size_t, np->pgd_entries * sizeof(u64), 64);
}

/*
 * The address in a descriptor. In the 64K granule, bits 51:48 of it are where
 * a smaller granule has bits 15:12. In the 16K granule with TCR_EL1.DS, bits
 * 51:50 are where the shareability is otherwise, which is then that of
 * TCR_EL1.SH0; without, there are no more than 48 bits.
 */
static inline u64 native_phys_to_desc(const struct native_pgt *np,
				      phys_addr_t phys)
{
	if (np->shift == 16)
		return (phys & GENMASK_ULL(47, 16)) |
		       ((phys >> 36) & GENMASK_ULL(15, 12));
	if (np->lpa2)
		return (phys & GENMASK_ULL(49, 14)) |
		       ((phys >> 42) & GENMASK_ULL(9, 8));
	return phys & GENMASK_ULL(47, 14);
}

static inline phys_addr_t native_desc_to_phys(const struct native_pgt *np,
					      u64 desc)
{
	if (np->shift == 16)
		return (desc & GENMASK_ULL(47, 16)) |
		       ((desc & GENMASK_ULL(15, 12)) << 36);
	if (np->lpa2)
		return (desc & GENMASK_ULL(49, 14)) |
		       ((desc & GENMASK_ULL(9, 8)) << 42);
	return desc & GENMASK_ULL(47, 14);
}

/* Where it is. */
static inline u64 native_address_mask(const struct native_pgt *np)
{
	return native_phys_to_desc(np, GENMASK_ULL(51, 0));
}

/*
 * The native entry for a Linux entry of any level, or 0 where there is to be
 * none: an old one only serves hardware that notes accesses itself. It never
 * finds a store to note: what is writable is dirty.
 */
static inline u64 native_encode(const struct native_pgt *np, pte_t pte,
				bool young, bool dirty, phys_addr_t phys)
{
	u64 desc = (pte_val(pte) & NATIVE_COPY) | PTE_TYPE_PAGE | PTE_NG |
		   native_phys_to_desc(np, phys);

	if (!np->lpa2)
		desc |= PTE_SHARED;
	if (young)
		desc |= PTE_AF;
	else if (!np->hw_af)
		return 0;
	return desc | (pte_write(pte) && dirty ? PTE_DBM : PTE_RDONLY);
}

struct native_block {
	pte_t pte;		/* of the first kernel page */
	bool young;		/* all of them are */
	bool dirty;
};

/*
 * Whether the Linux entries from @ptep on, those of a native page, are valid,
 * of one aligned block of memory and with the same attributes.
 */
static inline bool native_read_block(const struct native_pgt *np, pte_t *ptep,
				     struct native_block *block)
{
	const unsigned int nr = native_pages(np);
	const pte_t first = __ptep_get(ptep);
	pteval_t expected = pte_val(first);
	unsigned int i;

	if (!pte_valid(first) || !IS_ALIGNED(pte_pfn(first), nr))
		return false;
	block->pte = first;
	block->young = pte_young(first);
	block->dirty = pte_dirty(first);
	for (i = 1; i < nr; i++) {
		const pte_t pte = __ptep_get(ptep + i);

		/* In an aligned block, the bits of the address above it are alike. */
		expected += PAGE_SIZE;
		if ((pte_val(pte) ^ expected) & ~NATIVE_MAY_DIFFER)
			return false;
		block->young &= pte_young(pte);
		block->dirty &= pte_dirty(pte);
	}
	return true;
}

#endif /* __ARM64_MM_NATIVE_ENCODE_H */
