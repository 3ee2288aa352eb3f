// SPDX-License-Identifier: GPL-2.0
/*
 * Native page tables: KUnit tests.
 */
#include <kunit/test.h>

#include <linux/bitfield.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/mmu_context.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>

#include <asm/tlbflush.h>

#include "native.h"
#include "native_encode.h"
#include "native_ledger.h"
#include "native_walk.h"

#define SHIFT_16K	14
#define SHIFT_64K	16

static const struct geometry {
	unsigned int shift;
	unsigned int va_bits;
	unsigned int levels;
	unsigned int pgd_entries;
	size_t pgd_size;
} geometries[] = {
	{ SHIFT_64K, 36, 2, 128, SZ_1K },
	{ SHIFT_64K, 39, 2, 1024, SZ_8K },
	{ SHIFT_64K, 42, 2, 8192, SZ_64K },
	{ SHIFT_64K, 47, 3, 32, 256 },
	{ SHIFT_64K, 48, 3, 64, 512 },
	{ SHIFT_64K, 52, 3, 1024, SZ_8K },
	{ SHIFT_16K, 36, 2, 2048, SZ_16K },
	{ SHIFT_16K, 39, 3, 8, 64 },
	{ SHIFT_16K, 47, 3, 2048, SZ_16K },
	{ SHIFT_16K, 48, 4, 2, 64 },
	{ SHIFT_16K, 52, 4, 32, 256 },
};

static void geometry_name(const struct geometry *g, char *name)
{
	snprintf(name, KUNIT_PARAM_DESC_SIZE, "%luK pages, %u bits",
		 BIT(g->shift) >> 10, g->va_bits);
}

KUNIT_ARRAY_PARAM(geometry, geometries, geometry_name);

static void test_geometry(struct kunit *test)
{
	const struct geometry *g = test->param_value;
	struct native_pgt np = { };

	native_set_geometry(&np, g->shift, g->va_bits);
	KUNIT_EXPECT_EQ(test, np.shift, g->shift);
	KUNIT_EXPECT_EQ(test, np.levels, g->levels);
	KUNIT_EXPECT_EQ(test, np.pgd_entries, g->pgd_entries);
	KUNIT_EXPECT_EQ(test, native_pgd_size(&np), g->pgd_size);
	/* The last address is that of the last entry. */
	KUNIT_EXPECT_EQ(test, (BIT(g->va_bits) - 1) >> np.top_shift,
			np.pgd_entries - 1);
}

static u64 *new_table(struct kunit *test, const struct native_pgt *np)
{
	u64 *table = kunit_kzalloc(test, BIT(np->shift), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, table);
	/* The allocator aligns what has the size of a power of two. */
	KUNIT_ASSERT_TRUE(test, IS_ALIGNED(__pa(table), BIT(np->shift)));
	return table;
}

/* Make tables for one address, with indices worked out by hand, and find it. */
static void test_walk(struct kunit *test)
{
	const struct geometry *g = test->param_value;
	const unsigned long addr = BIT(g->va_bits) - 3 * BIT(g->shift);
	const unsigned int per_table = BIT(g->shift) / sizeof(u64);
	const unsigned long pages = BIT(g->va_bits - g->shift);
	struct native_pgt np = { };
	unsigned int level;
	u64 *table, *next;

	native_set_geometry(&np, g->shift, g->va_bits);
	np.pgd = kunit_kzalloc(test, max(native_pgd_size(&np),
					 BIT(g->shift)), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, np.pgd);

	KUNIT_EXPECT_NULL(test, native_walk(&np, addr));
	/* The last entry of each table, as the address is among the last. */
	table = np.pgd + g->pgd_entries - 1;
	for (level = 1; level < g->levels; level++) {
		next = new_table(test, &np);
		*table = native_phys_to_desc(&np, __pa(next)) | PMD_TYPE_TABLE;
		table = next + per_table - 1;
	}
	KUNIT_EXPECT_PTR_EQ(test, native_walk(&np, addr), table - 2);
	KUNIT_EXPECT_PTR_EQ(test, native_walk(&np, addr + BIT(g->shift) - 1),
			    table - 2);
	KUNIT_EXPECT_PTR_EQ(test, native_walk(&np, addr + BIT(g->shift)),
			    table - 1);
	KUNIT_EXPECT_PTR_EQ(test, native_walk(&np, BIT(g->va_bits) - 1), table);
	/* What is before the last table has none; nor has what is too large. */
	KUNIT_EXPECT_NULL(test, native_walk(&np, (pages - per_table - 1) *
					    BIT(g->shift)));
	KUNIT_EXPECT_NULL(test, native_walk(&np, BIT(g->va_bits)));
}

/*
 * What is walked while there is no table, in the granule of whoever ran last.
 * Nothing must be found behind the end of it, nor before its start: its address
 * is taken for aligned to the size of a first table.
 */
static void test_reserved(struct kunit *test)
{
	static const unsigned int granules[] = { PAGE_SHIFT, SHIFT_16K, SHIFT_64K };
	const phys_addr_t reserved = __pa_symbol(reserved_pg_dir);
	struct native_pgt np = { };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(granules); i++) {
		if (granules[i] < PAGE_SHIFT)
			continue;
		native_set_geometry(&np, granules[i], vabits_actual);
		KUNIT_EXPECT_LE(test, native_pgd_size(&np), RESERVED_PG_DIR_SIZE);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(reserved, native_pgd_size(&np)));
	}
	KUNIT_EXPECT_NULL(test, memchr_inv(lm_alias(reserved_pg_dir), 0,
					   RESERVED_PG_DIR_SIZE));
	KUNIT_EXPECT_EQ(test, __pa_symbol(swapper_pg_dir) - reserved,
			RESERVED_PG_DIR_SIZE);
}

static void test_phys(struct kunit *test)
{
	struct native_pgt np = { .shift = SHIFT_64K };
	const phys_addr_t high = 0xfedcba9870000ULL;

	/* Bits 51:48 of the address are bits 15:12 of the descriptor. */
	KUNIT_EXPECT_EQ(test, native_phys_to_desc(&np, high), 0xedcba987f000ULL);
	KUNIT_EXPECT_EQ(test, native_desc_to_phys(&np, 0xedcba987ffffULL |
						  GENMASK_ULL(63, 48)), high);
	np.shift = SHIFT_16K;
	KUNIT_EXPECT_EQ(test, native_phys_to_desc(&np, 0xfedcba98c000ULL),
			0xfedcba98c000ULL);
	KUNIT_EXPECT_EQ(test, native_desc_to_phys(&np, 0xfedcba98cfffULL |
						  GENMASK_ULL(63, 48)),
			0xfedcba98c000ULL);
	/* Bits 51:50 of it are bits 9:8. */
	np.lpa2 = true;
	KUNIT_EXPECT_EQ(test, native_phys_to_desc(&np, 0xbedcba987c000ULL),
			0x3edcba987c200ULL);
	KUNIT_EXPECT_EQ(test, native_phys_to_desc(&np, 0x4edcba987c000ULL),
			0x0edcba987c100ULL);
	KUNIT_EXPECT_EQ(test, native_desc_to_phys(&np, 0x3edcba987feffULL |
						  GENMASK_ULL(63, 50)),
			0xbedcba987c000ULL);
}

/* The formats of granules that are larger than the kernel's page. */
static const struct format {
	unsigned int shift;
	bool lpa2;
} formats[] = {
#if PAGE_SHIFT < SHIFT_16K
	{ SHIFT_16K, false },
	{ SHIFT_16K, true },
#endif
	{ SHIFT_64K, false },
};

static void format_name(const struct format *f, char *name)
{
	snprintf(name, KUNIT_PARAM_DESC_SIZE, "%luK pages%s", BIT(f->shift) >> 10,
		 f->lpa2 ? " with LPA2" : "");
}

KUNIT_ARRAY_PARAM(format, formats, format_name);

static struct native_pgt table_of(struct kunit *test)
{
	const struct format *f = test->param_value;

	return (struct native_pgt) { .shift = f->shift, .lpa2 = f->lpa2 };
}

/* An entry as Linux makes it for users: see adjust_protection_map(). */
static pte_t user_pte(unsigned long pfn, pteval_t prot)
{
	if (lpa2_is_enabled())
		prot &= ~PTE_SHARED;
	return pfn_pte(pfn, __pgprot(prot));
}

#define PHYS	0x123450000ULL
#define PFN	(PHYS >> PAGE_SHIFT)

/* Of the ARM ARM: the fields of a descriptor of a page of the last level. */
#define D_PAGE	0x3ULL
#define D_EL0	BIT_ULL(6)
#define D_RO	BIT_ULL(7)
#define D_SH	(3ULL << 8)
#define D_AF	BIT_ULL(10)
#define D_NG	BIT_ULL(11)
#define D_GP	BIT_ULL(50)
#define D_DBM	BIT_ULL(51)
#define D_CONT	BIT_ULL(52)
#define D_PXN	BIT_ULL(53)
#define D_UXN	BIT_ULL(54)
#define D_ALL	(D_PAGE | D_AF | D_NG | PHYS)

static u64 encode(const struct native_pgt *np, pteval_t prot, pteval_t set,
		  pteval_t clear)
{
	pte_t pte = user_pte(PFN, prot);

	pte = __pte((pte_val(pte) | set) & ~clear);
	/* The index of the attributes is tested apart. */
	return native_encode(np, pte, true, pte_dirty(pte), PHYS) &
	       ~PTE_ATTRINDX_MASK;
}

static void test_encode(struct kunit *test)
{
	const struct native_pgt np = table_of(test);
	const struct native_pgt hw_af = {
		.shift = np.shift, .lpa2 = np.lpa2, .hw_af = true,
	};
	const u64 all = np.lpa2 ? D_ALL : D_ALL | D_SH;
	const u64 data = all | D_EL0 | D_PXN | D_UXN;
	const u64 code = all | D_EL0 | D_PXN;
	unsigned int i;
	pte_t pte;

	/* Writable only if dirty, by software's bit or by hardware's. */
	KUNIT_EXPECT_EQ(test, encode(&np, _PAGE_SHARED, 0, 0), data | D_RO);
	KUNIT_EXPECT_EQ(test, encode(&np, _PAGE_SHARED, PTE_DIRTY, PTE_RDONLY),
			data | D_DBM);
	KUNIT_EXPECT_EQ(test, encode(&np, _PAGE_SHARED, 0, PTE_RDONLY),
			data | D_DBM);
	KUNIT_EXPECT_EQ(test, encode(&np, _PAGE_READONLY, PTE_DIRTY, 0),
			data | D_RO);
	KUNIT_EXPECT_EQ(test, encode(&np, _PAGE_SHARED_EXEC, PTE_DIRTY, PTE_RDONLY),
			code | D_DBM);
	KUNIT_EXPECT_EQ(test, encode(&np, _PAGE_SHARED_EXEC, 0, 0), code | D_RO);
	KUNIT_EXPECT_EQ(test, encode(&np, _PAGE_READONLY_EXEC, 0, 0), code | D_RO);
	KUNIT_EXPECT_EQ(test, encode(&np, _PAGE_EXECONLY, 0, 0),
			(code | D_RO) & ~D_EL0);
	KUNIT_EXPECT_EQ(test, encode(&np, _PAGE_READONLY_EXEC, PTE_GP, 0),
			code | D_RO | D_GP);

	/* What is Linux's only, or says something of the Linux table. */
	KUNIT_EXPECT_EQ(test, encode(&np, _PAGE_READONLY, PTE_CONT | PTE_SPECIAL |
				     PTE_SWBITS_MASK, 0), data | D_RO);
	KUNIT_EXPECT_EQ(test, encode(&np, _PAGE_READONLY, 0, PTE_AF | PTE_SHARED),
			data | D_RO);
	/* The entry of a block has another type. */
	KUNIT_EXPECT_EQ(test, encode(&np, _PAGE_READONLY, 0, PTE_TYPE_PAGE &
				     ~PMD_TYPE_SECT), data | D_RO);

	for (i = 0; i < 8; i++) {
		pte = user_pte(PFN, (_PAGE_READONLY & ~PTE_ATTRINDX_MASK) |
				    PTE_ATTRINDX(i));
		KUNIT_EXPECT_EQ(test, native_encode(&np, pte, true, false, PHYS),
				data | D_RO | i << 2);
	}

	/* What is old is for hardware that notes when it is used, or is not. */
	pte = user_pte(PFN, _PAGE_READONLY);
	KUNIT_EXPECT_EQ(test, native_encode(&np, pte, false, false, PHYS), 0);
	KUNIT_EXPECT_EQ(test, native_encode(&hw_af, pte, false, false, PHYS) &
			~PTE_ATTRINDX_MASK, (data | D_RO) & ~D_AF);
#ifdef CONFIG_ARM64_POE
	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, encode(&np, _PAGE_READONLY,
					     (pteval_t)i << 60, 0),
				data | D_RO | (u64)i << 60);
#endif
}

static unsigned int pi_index(u64 desc)
{
	return FIELD_GET(BIT_ULL(54), desc) << 3 |
	       FIELD_GET(BIT_ULL(53), desc) << 2 |
	       FIELD_GET(BIT_ULL(51), desc) << 1 |
	       FIELD_GET(BIT_ULL(6), desc);
}

/*
 * With permission indirection, bits that were permissions are an index: that of
 * what is writable, but not dirty, must be that of the same, read-only.
 */
static void test_encode_pie(struct kunit *test)
{
	const struct native_pgt np = table_of(test);

	KUNIT_EXPECT_EQ(test, pi_index(encode(&np, _PAGE_SHARED, PTE_DIRTY, PTE_RDONLY)),
			pi_index(_PAGE_SHARED));
	KUNIT_EXPECT_EQ(test, pi_index(encode(&np, _PAGE_SHARED, 0, 0)),
			pi_index(_PAGE_READONLY));
	KUNIT_EXPECT_EQ(test, pi_index(encode(&np, _PAGE_SHARED_EXEC, 0, 0)),
			pi_index(_PAGE_READONLY_EXEC));
	KUNIT_EXPECT_EQ(test, pi_index(encode(&np, _PAGE_EXECONLY, 0, 0)),
			pi_index(_PAGE_EXECONLY));
	KUNIT_EXPECT_EQ(test, pi_index(encode(&np, _PAGE_GCS, PTE_DIRTY, PTE_RDONLY)),
			pi_index(_PAGE_GCS));
	KUNIT_EXPECT_EQ(test, pi_index(encode(&np, _PAGE_GCS, PTE_RDONLY, 0)),
			pi_index(_PAGE_GCS_RO));
}

static void fill(pte_t *ptes, unsigned int nr, unsigned long pfn, pteval_t prot)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		ptes[i] = user_pte(pfn + i, prot);
}

static void test_block(struct kunit *test)
{
	const struct native_pgt np = table_of(test);
	const unsigned int nr = native_pages(&np);
	static const pteval_t other[] = {
		PTE_WRITE, PTE_USER, PTE_UXN, PTE_PXN, PTE_GP, PTE_ATTRINDX_MASK,
	};
	pte_t ptes[SZ_64K / PAGE_SIZE];
	struct native_block block;
	unsigned int i, j;

	KUNIT_ASSERT_LE(test, nr, ARRAY_SIZE(ptes));

	fill(ptes, nr, PFN, _PAGE_SHARED);
	KUNIT_EXPECT_TRUE(test, native_read_block(&np, ptes, &block));
	KUNIT_EXPECT_EQ(test, pte_val(block.pte), pte_val(ptes[0]));
	KUNIT_EXPECT_TRUE(test, block.young);
	KUNIT_EXPECT_FALSE(test, block.dirty);

	/* Another place, in memory or in the block. */
	fill(ptes, nr, PFN + 1, _PAGE_SHARED);
	KUNIT_EXPECT_FALSE(test, native_read_block(&np, ptes, &block));
	fill(ptes, nr, PFN + nr / 2, _PAGE_SHARED);
	KUNIT_EXPECT_FALSE(test, native_read_block(&np, ptes, &block));

	for (i = 0; i < nr; i++) {
		fill(ptes, nr, PFN, _PAGE_SHARED);
		ptes[i] = __pte(0);
		KUNIT_EXPECT_FALSE(test, native_read_block(&np, ptes, &block));
		ptes[i] = user_pte(PFN + i, pgprot_val(PAGE_NONE));
		KUNIT_EXPECT_FALSE(test, native_read_block(&np, ptes, &block));
		ptes[i] = user_pte(PFN + nr + i, _PAGE_SHARED);
		KUNIT_EXPECT_FALSE(test, native_read_block(&np, ptes, &block));
		for (j = 0; j < ARRAY_SIZE(other); j++) {
			ptes[i] = user_pte(PFN + i, _PAGE_SHARED ^ other[j]);
			KUNIT_EXPECT_FALSE(test, native_read_block(&np, ptes, &block));
		}

		/* One that is old, or dirty, or clean; hardware's dirty, too. */
		ptes[i] = pte_mkold(user_pte(PFN + i, _PAGE_SHARED));
		KUNIT_EXPECT_TRUE(test, native_read_block(&np, ptes, &block));
		KUNIT_EXPECT_FALSE(test, block.young);
		ptes[i] = pte_mkdirty(user_pte(PFN + i, _PAGE_SHARED));
		KUNIT_EXPECT_TRUE(test, native_read_block(&np, ptes, &block));
		KUNIT_EXPECT_TRUE(test, block.young);
		KUNIT_EXPECT_FALSE(test, block.dirty);
		fill(ptes, nr, PFN, (_PAGE_SHARED | PTE_DIRTY) & ~PTE_RDONLY);
		KUNIT_EXPECT_TRUE(test, native_read_block(&np, ptes, &block));
		KUNIT_EXPECT_TRUE(test, block.dirty);
		ptes[i] = user_pte(PFN + i, _PAGE_SHARED & ~PTE_RDONLY);
		KUNIT_EXPECT_TRUE(test, native_read_block(&np, ptes, &block));
		KUNIT_EXPECT_TRUE(test, block.dirty);
		ptes[i] = user_pte(PFN + i, _PAGE_SHARED);
		KUNIT_EXPECT_TRUE(test, native_read_block(&np, ptes, &block));
		KUNIT_EXPECT_FALSE(test, block.dirty);
	}
}

static void test_compare(struct kunit *test)
{
	const struct native_pgt np = table_of(test);
	const pte_t clean = user_pte(PFN, _PAGE_SHARED);
	const pte_t dirty = pte_mkdirty(clean);
	const struct native_pgt hw_af = {
		.shift = np.shift, .lpa2 = np.lpa2, .hw_af = true,
	};
	const u64 ro = native_encode(&np, clean, true, false, PHYS);
	const u64 rw = native_encode(&np, dirty, true, true, PHYS);

	KUNIT_EXPECT_NULL(test, native_compare(&np, ro, clean, PHYS));
	KUNIT_EXPECT_NULL(test, native_compare(&np, rw, dirty, PHYS));
	/* Linux has more rights. */
	KUNIT_EXPECT_NULL(test, native_compare(&np, ro, dirty, PHYS));
	/* Or less. */
	KUNIT_EXPECT_NOT_NULL(test, native_compare(&np, rw, clean, PHYS));
	KUNIT_EXPECT_NOT_NULL(test, native_compare(&np, rw, pte_wrprotect(dirty),
						   PHYS));
	KUNIT_EXPECT_NOT_NULL(test, native_compare(&np, ro & ~PTE_UXN, clean, PHYS));
	KUNIT_EXPECT_NOT_NULL(test, native_compare(&np, ro, pte_mkold(clean), PHYS));
	KUNIT_EXPECT_NOT_NULL(test, native_compare(&np, ro, __pte(0), PHYS));
	KUNIT_EXPECT_NOT_NULL(test, native_compare(&np, ro,
						   user_pte(PFN, pgprot_val(PAGE_NONE)),
						   PHYS));
	/* Another page, in the Linux entry or in the native one. */
	KUNIT_EXPECT_NOT_NULL(test, native_compare(&np, ro,
						   user_pte(PFN + 1, _PAGE_SHARED),
						   PHYS));
	KUNIT_EXPECT_NOT_NULL(test, native_compare(&np, ro, clean, PHYS + PAGE_SIZE));
	/* The hardware would make it writable. */
	KUNIT_EXPECT_NOT_NULL(test, native_compare(&np, ro | PTE_DBM, clean, PHYS));
	KUNIT_EXPECT_NOT_NULL(test, native_compare(&np, ro ^ PTE_GP, clean, PHYS));
	KUNIT_EXPECT_NOT_NULL(test, native_compare(&np, ro ^ BIT(2), clean, PHYS));
	KUNIT_EXPECT_NOT_NULL(test, native_compare(&np, ro & ~PTE_AF, clean, PHYS));
	KUNIT_EXPECT_NULL(test, native_compare(&hw_af, ro & ~PTE_AF, clean, PHYS));
	KUNIT_EXPECT_NULL(test, native_compare(&hw_af, ro, pte_mkold(clean), PHYS));
	KUNIT_EXPECT_NOT_NULL(test, native_compare(&np, ro & ~PTE_NG, clean, PHYS));
}

/*
 * What is young in native entries goes to all Linux entries of the native pages
 * that are asked for, and stays in those around them, unless they are one
 * contiguous block.
 */
static void test_young(struct kunit *test)
{
	struct native_pgt np = table_of(test);
	const unsigned int nr = native_pages(&np);
	const unsigned int first = CONT_PTES, per_block = CONT_PTES / nr;
	const unsigned long size = BIT(np.shift), addr = CONT_PTE_SIZE;
	unsigned int i;
	pte_t *ptes;
	u64 *table;

	ptes = kunit_kcalloc(test, 3 * CONT_PTES, sizeof(*ptes), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ptes);
	np.hw_af = true;
	np.levels = 1;
	np.top_shift = np.shift;
	np.pgd_entries = BIT(native_table_bits(&np));
	table = new_table(test, &np);
	np.pgd = table;
	KUNIT_ASSERT_LE(test, 1U, per_block);

	for (i = 0; i < 3 * CONT_PTES; i++)
		ptes[i] = pte_mkold(user_pte(PFN + i, _PAGE_READONLY));
	for (i = 0; i < 3 * per_block; i++)
		table[i] = native_encode(&np, ptes[i * nr], true, false,
					 PHYS + i * size);

	/* Of the one that is asked for only, whatever the address in it. */
	table[per_block] &= ~PTE_AF;
	KUNIT_EXPECT_FALSE(test, native_young(&np, addr, PAGE_SIZE));
	KUNIT_EXPECT_FALSE(test, native_young(&np, addr + size - 1, PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, native_young(&np, addr + size, PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, native_young(&np, addr - 1, size));
	table[per_block] |= PTE_AF;
	KUNIT_EXPECT_TRUE(test, native_young(&np, addr + size - 1, PAGE_SIZE));

	__native_clear_young_ptes(&np, addr, ptes + first, nr);
	for (i = 0; i < 3 * per_block; i++)
		KUNIT_EXPECT_EQ(test, !(table[i] & PTE_AF), i == per_block);
	for (i = 0; i < 3 * CONT_PTES; i++)
		KUNIT_EXPECT_EQ(test, !!pte_young(ptes[i]),
				i >= first && i < first + nr);

	/* A part of the page, each time another one: its neighbours were used. */
	for (i = 0; i < nr; i++) {
		unsigned int j;

		for (j = 0; j < 3 * CONT_PTES; j++)
			ptes[j] = pte_mkold(ptes[j]);
		table[per_block] |= PTE_AF;
		__native_clear_young_ptes(&np, addr + i * PAGE_SIZE,
					  ptes + first + i, 1);
		KUNIT_EXPECT_FALSE(test, table[per_block] & PTE_AF);
		for (j = 0; j < 3 * CONT_PTES; j++)
			KUNIT_EXPECT_EQ(test, !!pte_young(ptes[j]),
					j >= first && j < first + nr);
	}

	/* One of a block: all of it, and nothing that is beside it. */
	for (i = 0; i < CONT_PTES; i++)
		ptes[first + i] = pte_mkold(pte_mkcont(ptes[first + i]));
	for (i = 0; i < 3 * per_block; i++)
		table[i] |= PTE_AF;
	__native_clear_young_ptes(&np, addr + CONT_PTE_SIZE - PAGE_SIZE,
				  ptes + first + CONT_PTES - 1, 1);
	for (i = 0; i < 3 * per_block; i++)
		KUNIT_EXPECT_EQ(test, !(table[i] & PTE_AF),
				i >= per_block && i < 2 * per_block);
	KUNIT_EXPECT_TRUE(test, pte_young(ptes[first + CONT_PTES - 1]));
}

/* The ledger. */

#define ASID_OURS	0x42UL
#define ADDR		0x7654320000UL

/* What leaves an entry of a page of 64 KB at ADDR in some TLB, or may do so. */
static const struct {
	const char *what;
	struct native_tlbi op;
} wrong[] = {
	{ "another ASID", {
		NATIVE_TLBI_ASID, true, ASID_OURS + 1 } },
	{ "the address with another ASID", {
		NATIVE_TLBI_VA, true, ASID_OURS + 1, ADDR } },
	{ "the page before", {
		NATIVE_TLBI_VA, true, ASID_OURS, ADDR - 1 } },
	{ "the page behind", {
		NATIVE_TLBI_VA, true, ASID_OURS, ADDR + SZ_64K } },
	{ "a hint of 4K", {
		NATIVE_TLBI_VA, true, ASID_OURS, ADDR, 0, 12, 3 } },
	{ "a hint of 16K", {
		NATIVE_TLBI_VA, true, ASID_OURS, ADDR, 0, SHIFT_16K, 3 } },
	{ "a hint of another level", {
		NATIVE_TLBI_VA, true, ASID_OURS, ADDR, 0, SHIFT_64K, 2 } },
	{ "a range of 4K pages", {
		NATIVE_TLBI_RANGE, true, ASID_OURS, ADDR, ADDR + SZ_64K, 12 } },
	{ "a range with another ASID", {
		NATIVE_TLBI_RANGE, true, ASID_OURS + 1, ADDR, ADDR + SZ_64K,
		SHIFT_64K } },
	{ "a range of another level", {
		NATIVE_TLBI_RANGE, true, ASID_OURS, ADDR, ADDR + SZ_64K,
		SHIFT_64K, 2 } },
	{ "a range that ends before", {
		NATIVE_TLBI_RANGE, true, ASID_OURS, ADDR - SZ_128K, ADDR,
		SHIFT_64K } },
	{ "a range that starts behind", {
		NATIVE_TLBI_RANGE, true, ASID_OURS, ADDR + SZ_64K, ADDR + SZ_256K,
		SHIFT_64K } },
	{ "a part of the page", {
		NATIVE_TLBI_RANGE, true, ASID_OURS, ADDR, ADDR + SZ_32K,
		SHIFT_64K } },
	{ "the address, on this CPU", {
		NATIVE_TLBI_VA, false, ASID_OURS, ADDR } },
	{ "the ASID, on this CPU", {
		NATIVE_TLBI_ASID, false, ASID_OURS } },
	{ "all, on this CPU", {
		NATIVE_TLBI_ALL, false } },
};

static const struct {
	const char *what;
	struct native_tlbi op;
} right[] = {
	{ "the address", {
		NATIVE_TLBI_VA, true, ASID_OURS, ADDR } },
	{ "any address of the page", {
		NATIVE_TLBI_VA, true, ASID_OURS, ADDR + SZ_32K + SZ_4K } },
	{ "the right hint", {
		NATIVE_TLBI_VA, true, ASID_OURS, ADDR, 0, SHIFT_64K, 3 } },
	{ "a range", {
		NATIVE_TLBI_RANGE, true, ASID_OURS, ADDR - SZ_64K, ADDR + SZ_64K,
		SHIFT_64K } },
	{ "a range with the level", {
		NATIVE_TLBI_RANGE, true, ASID_OURS, ADDR, ADDR + SZ_128K,
		SHIFT_64K, 3 } },
	{ "the ASID", {
		NATIVE_TLBI_ASID, true, ASID_OURS } },
	{ "all", {
		NATIVE_TLBI_ALL, true } },
};

static void test_covers(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		KUNIT_EXPECT_FALSE_MSG(test,
				       native_tlbi_covers(&wrong[i].op, ASID_OURS,
							  ADDR, SHIFT_64K),
				       "%s", wrong[i].what);
	for (i = 0; i < ARRAY_SIZE(right); i++)
		KUNIT_EXPECT_TRUE_MSG(test,
				      native_tlbi_covers(&right[i].op, ASID_OURS,
							 ADDR, SHIFT_64K),
				      "%s", right[i].what);
}

static enum native_conflict conflict(const struct native_pgt *np, u64 stale,
				     u64 desc)
{
	return native_conflict(stale, desc, native_address_mask(np));
}

static void test_conflict(struct kunit *test)
{
	const struct native_pgt np = { .shift = SHIFT_64K };
	const struct native_pgt small = { .shift = SHIFT_16K };
	const struct native_pgt lpa2 = { .shift = SHIFT_16K, .lpa2 = true };
	const pte_t pte = pte_mkdirty(user_pte(PFN, _PAGE_SHARED));
	const u64 rw = native_encode(&np, pte, true, true, PHYS);
	const u64 ro = native_encode(&np, pte, true, false, PHYS);

	KUNIT_EXPECT_EQ(test, conflict(&np, rw, rw), NATIVE_NO_CONFLICT);
	KUNIT_EXPECT_EQ(test, conflict(&np, ro, rw), NATIVE_NO_CONFLICT);
	KUNIT_EXPECT_EQ(test, conflict(&np, ro, ro & ~D_UXN), NATIVE_NO_CONFLICT);
	KUNIT_EXPECT_EQ(test, conflict(&np, rw, ro), NATIVE_LESS_RIGHTS);
	KUNIT_EXPECT_EQ(test, conflict(&np, ro & ~D_UXN, ro), NATIVE_LESS_RIGHTS);
	KUNIT_EXPECT_EQ(test, conflict(&np, ro & ~D_UXN, rw), NATIVE_LESS_RIGHTS);
	KUNIT_EXPECT_EQ(test, conflict(&np, ro, ro & ~D_EL0), NATIVE_LESS_RIGHTS);
	KUNIT_EXPECT_EQ(test, conflict(&np, ro, ro ^ D_GP), NATIVE_LESS_RIGHTS);
	KUNIT_EXPECT_EQ(test, conflict(&np, ro, ro + SZ_64K), NATIVE_OTHER_PAGE);
	/* An address of more than 48 bits. */
	KUNIT_EXPECT_EQ(test, conflict(&np, ro, ro ^ BIT(12)), NATIVE_OTHER_PAGE);
	KUNIT_EXPECT_EQ(test, conflict(&lpa2, ro, ro ^ BIT(8)), NATIVE_OTHER_PAGE);
	KUNIT_EXPECT_EQ(test, conflict(&lpa2, ro, ro ^ BIT_ULL(49)), NATIVE_OTHER_PAGE);
	KUNIT_EXPECT_EQ(test, conflict(&small, ro, ro ^ BIT(8)), NATIVE_OTHER_TYPE);
	KUNIT_EXPECT_EQ(test, conflict(&np, ro, ro ^ BIT(8)), NATIVE_OTHER_TYPE);
	KUNIT_EXPECT_EQ(test, conflict(&np, ro, ro ^ D_CONT), NATIVE_OTHER_SIZE);
	KUNIT_EXPECT_EQ(test, conflict(&np, ro, ro ^ BIT(3)), NATIVE_OTHER_TYPE);
}

/* An mm with a native table that no hardware walks. */
static struct native_pgt *new_ledger(struct kunit *test)
{
	struct native_pgt *np = kunit_kzalloc(test, sizeof(*np), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, np);
	np->mm = mm_alloc();
	KUNIT_ASSERT_NOT_NULL(test, np->mm);
	atomic64_set(&np->mm->context.id, BIT(16) | ASID_OURS);
	native_set_geometry(np, SHIFT_64K, 48);
	np->state = NATIVE_ACTIVE;
	native_debug_create(np);
	np->ledger.quiet = true;
	return np;
}

static void free_ledger(struct native_pgt *np)
{
	native_debug_destroy(np);
	mmput(np->mm);
}

/* As if the hardware walked it. */
static void walk_ledger(struct native_pgt *np)
{
	np->mm->context.native = np;
	np->mm->context.hw = PHYS;
}

static void unwalk_ledger(struct native_pgt *np)
{
	np->mm->context.native = NULL;
	np->mm->context.hw = NATIVE_HW_LINUX;
}

static bool has_record(struct native_pgt *np, unsigned long addr)
{
	return xa_load(&np->ledger.stale, addr >> np->shift);
}

static u64 entry_of(const struct native_pgt *np, phys_addr_t phys, bool writable)
{
	pte_t pte = pte_mkdirty(user_pte(PHYS_PFN(phys), _PAGE_SHARED));

	return native_encode(np, pte, true, writable, phys);
}

static const struct native_tlbi whole_asid = {
	NATIVE_TLBI_ASID, true, ASID_OURS
};

/* Something else is entered after a wrong invalidation, or none, or the right. */
static void test_reuse(struct kunit *test)
{
	struct native_pgt *np = new_ledger(test);
	const u64 old = entry_of(np, PHYS, true);
	const u64 next = entry_of(np, PHYS + SZ_64K, true);
	unsigned int i;

	for (i = 0; i <= ARRAY_SIZE(wrong); i++) {
		const char *what = i < ARRAY_SIZE(wrong) ? wrong[i].what : "none";

		np->ledger.bad = 0;
		native_debug_write(np, ADDR, 0, old);
		KUNIT_EXPECT_FALSE(test, has_record(np, ADDR));
		native_debug_write(np, ADDR, old, 0);
		if (i < ARRAY_SIZE(wrong))
			native_debug_tlbi(np, &wrong[i].op);
		KUNIT_EXPECT_TRUE_MSG(test, has_record(np, ADDR), "%s", what);
		KUNIT_EXPECT_EQ_MSG(test, np->ledger.bad, 0, "%s", what);
		native_debug_write(np, ADDR, 0, next);
		KUNIT_EXPECT_EQ_MSG(test, np->ledger.bad, 1, "%s", what);
		native_debug_write(np, ADDR, next, 0);
		native_debug_tlbi(np, &whole_asid);
		KUNIT_EXPECT_FALSE(test, has_record(np, ADDR));
	}

	np->ledger.bad = 0;
	for (i = 0; i < ARRAY_SIZE(right); i++) {
		native_debug_write(np, ADDR, 0, old);
		native_debug_write(np, ADDR, old, 0);
		native_debug_tlbi(np, &right[i].op);
		KUNIT_EXPECT_FALSE_MSG(test, has_record(np, ADDR), "%s",
				       right[i].what);
		native_debug_write(np, ADDR, 0, next);
		KUNIT_EXPECT_EQ_MSG(test, np->ledger.bad, 0, "%s", right[i].what);
		native_debug_write(np, ADDR, next, 0);
		native_debug_tlbi(np, &whole_asid);
	}
	free_ledger(np);
}

static u64 tlbi_operand(unsigned long addr, unsigned long asid)
{
	return asid << 48 | addr >> 12;
}

/* What an operand says is what the ledger goes by. */
static void test_decode(struct kunit *test)
{
	const u64 arg = tlbi_operand(ADDR, ASID_OURS);
	const unsigned int shifts[] = { 0, 12, 14, 16 };
	struct native_tlbi op = { .broadcast = true };
	unsigned int ttl;

	for (ttl = 0; ttl < 16; ttl++) {
		native_tlbi_decode(arg | (u64)ttl << 44, &op);
		KUNIT_EXPECT_EQ(test, op.kind, NATIVE_TLBI_VA);
		KUNIT_EXPECT_EQ(test, op.asid, ASID_OURS);
		KUNIT_EXPECT_EQ(test, op.start, ADDR);
		KUNIT_EXPECT_EQ(test, op.shift, shifts[ttl >> 2]);
		KUNIT_EXPECT_EQ(test, op.level, ttl >> 2 ? ttl & 3 : 0);
		/* None, or the right one. */
		KUNIT_EXPECT_EQ(test, native_tlbi_covers(&op, ASID_OURS, ADDR,
							 SHIFT_64K),
				ttl < 4 || ttl == 15 || ttl == 12);
		KUNIT_EXPECT_EQ(test, native_tlbi_covers_table(&op, ASID_OURS,
							       ADDR), ttl < 4);
	}
	native_tlbi_decode(tlbi_operand(ADDR, ASID_OURS + 1), &op);
	KUNIT_EXPECT_FALSE(test, native_tlbi_covers(&op, ASID_OURS, ADDR,
						    SHIFT_64K));
}

/* A table is taken out, and what leads to it is to be gone before it is freed. */
static void test_table(struct kunit *test)
{
	const u64 arg = tlbi_operand(ADDR, ASID_OURS);
	struct native_pgt *np = new_ledger(test);

	native_debug_table_gone(np, ADDR);
	native_debug_table_free(np);
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 1);
	native_debug_table_gone(np, ADDR);
	/* Only the last level, one CPU, another address, another level. */
	native_debug_tlbi_va(np, arg, true, true);
	native_debug_tlbi_va(np, arg, false, false);
	native_debug_tlbi_va(np, arg + 16, false, true);
	native_debug_tlbi_va(np, arg | BIT_ULL(47) | BIT_ULL(46), false, true);
	native_debug_table_free(np);
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 2);
	native_debug_table_gone(np, ADDR);
	native_debug_tlbi_va(np, arg, false, true);
	native_debug_table_free(np);
	native_debug_table_gone(np, ADDR);
	native_debug_tlbi(np, &whole_asid);
	native_debug_table_free(np);
	native_debug_table_gone(np, ADDR);
	/* A new ASID. */
	atomic_set(&np->ledger.renewed, 1);
	native_debug_table_free(np);
	native_debug_table_free(np);
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 2);
	free_ledger(np);
}

/* The same page comes back. */
static void test_reenter(struct kunit *test)
{
	struct native_pgt *np = new_ledger(test);
	const u64 rw = entry_of(np, PHYS, true);
	const u64 ro = entry_of(np, PHYS, false);
	const u64 other = entry_of(np, PHYS + SZ_64K, false);

	/* As after the young bit was cleared, which has no TLB invalidation. */
	native_debug_write(np, ADDR, rw, 0);
	KUNIT_EXPECT_TRUE(test, has_record(np, ADDR));
	native_debug_write(np, ADDR, 0, rw);
	KUNIT_EXPECT_FALSE(test, has_record(np, ADDR));
	native_debug_write(np, ADDR, ro, 0);
	native_debug_write(np, ADDR, 0, rw);
	KUNIT_EXPECT_FALSE(test, has_record(np, ADDR));
	native_debug_write(np, ADDR, ro, rw);
	KUNIT_EXPECT_FALSE(test, has_record(np, ADDR));
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 0);

	/* With less rights. */
	native_debug_write(np, ADDR, rw, 0);
	native_debug_write(np, ADDR, 0, ro);
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 1);
	/* The TLB may still have the rights of before. */
	KUNIT_EXPECT_TRUE(test, has_record(np, ADDR));
	native_debug_write(np, ADDR, ro, 0);
	native_debug_write(np, ADDR, 0, ro);
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 2);
	native_debug_tlbi(np, &whole_asid);

	/* In place: another page is never right, less rights need a record. */
	np->ledger.bad = 0;
	native_debug_write(np, ADDR, rw, ro);
	KUNIT_EXPECT_TRUE(test, has_record(np, ADDR));
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 0);
	native_debug_tlbi(np, &whole_asid);
	native_debug_write(np, ADDR, ro, other);
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 1);
	native_debug_tlbi(np, &whole_asid);

	/* Linux lets a fault in before an mmu_gather is finished. */
	np->ledger.bad = 0;
	inc_tlb_flush_pending(np->mm);
	native_debug_write(np, ADDR, rw, 0);
	native_debug_write(np, ADDR, 0, other);
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 0);
	KUNIT_EXPECT_TRUE(test, has_record(np, ADDR));
	dec_tlb_flush_pending(np->mm);
	native_debug_tlbi(np, &whole_asid);

	/* What is left at the end. */
	native_debug_dropped(np);
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 0);
	native_debug_write(np, ADDR, other, 0);
	native_debug_dropped(np);
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 1);
	free_ledger(np);
}

/* Memory is freed, in whole and in part, or as a part of more. */
static void test_free(struct kunit *test)
{
	const unsigned int order = SHIFT_64K - PAGE_SHIFT;
	struct native_pgt *np = new_ledger(test);
	unsigned int i;

	for (i = 0; i < 4; i++) {
		struct page *page = alloc_pages(GFP_KERNEL, order + 1);
		u64 desc;

		KUNIT_ASSERT_NOT_NULL(test, page);
		desc = entry_of(np, page_to_phys(page) + (i & 1 ? SZ_64K : 0), true);
		np->ledger.bad = 0;
		native_debug_write(np, ADDR, desc, 0);
		if (i & 2)
			native_debug_tlbi(np, &right[0].op);
		else
			native_debug_tlbi(np, &wrong[4].op);
		__free_pages(page, order + 1);
		KUNIT_EXPECT_EQ(test, np->ledger.bad, i & 2 ? 0 : 1);
		KUNIT_EXPECT_FALSE(test, has_record(np, ADDR));
	}

	/* As if what takes the Linux entry out did not know of this table. */
	for (i = 0; i < 2; i++) {
		struct page *page = alloc_pages(GFP_KERNEL, order);
		u64 desc;

		KUNIT_ASSERT_NOT_NULL(test, page);
		desc = entry_of(np, page_to_phys(page), true);
		np->ledger.bad = 0;
		native_debug_write(np, ADDR, 0, desc);
		if (i) {
			native_debug_write(np, ADDR, desc, 0);
			native_debug_tlbi(np, &whole_asid);
		}
		__free_pages(page, order);
		KUNIT_EXPECT_EQ(test, np->ledger.bad, i ? 0 : 1);
	}

	for (i = 0; i < BIT(order + 1); i++) {
		struct page *page = alloc_pages(GFP_KERNEL, order + 1);
		unsigned int j;

		KUNIT_ASSERT_NOT_NULL(test, page);
		np->ledger.bad = 0;
		native_debug_write(np, ADDR, entry_of(np, page_to_phys(page), true),
				   0);
		split_page(page, order + 1);
		__free_page(page + i);
		KUNIT_EXPECT_EQ(test, np->ledger.bad, i < BIT(order) ? 1 : 0);
		native_debug_tlbi(np, &whole_asid);
		for (j = 0; j < BIT(order + 1); j++)
			if (j != i)
				__free_page(page + j);
	}
	free_ledger(np);
}

/* What the kernel itself does, with the pages from @first to @last noted. */
static unsigned int remaining(struct native_pgt *np, unsigned int first,
			      unsigned int last)
{
	unsigned int n = 0;

	for (; first <= last; first++)
		n += has_record(np, ADDR + first * SZ_64K);
	return n;
}

static void note(struct native_pgt *np)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		native_debug_write(np, ADDR + i * SZ_64K,
				   entry_of(np, PHYS + i * SZ_64K, true), 0);
}

static void test_kernel(struct kunit *test)
{
	const bool used = static_key_enabled(&native_pgt_key);
	struct native_pgt *np = new_ledger(test);
	struct native_pgt *other = new_ledger(test);
	struct mm_struct *mm = np->mm;
	struct vm_area_struct vma = { .vm_mm = mm };

	atomic64_set(&other->mm->context.id, BIT(16) | (ASID_OURS + 2));
	if (!used)
		static_branch_enable(&native_pgt_key);
	walk_ledger(np);
	walk_ledger(other);

	note(np);
	note(other);
	KUNIT_EXPECT_EQ(test, remaining(np, 0, 7), 8);
	__flush_tlb_page(&vma, ADDR + SZ_64K + 5 * SZ_4K, TLBF_NOBROADCAST);
	KUNIT_EXPECT_EQ(test, remaining(np, 0, 7), 8);
	flush_tlb_page(&vma, ADDR + SZ_64K + 5 * SZ_4K);
	KUNIT_EXPECT_EQ(test, remaining(np, 0, 7), 7);
	KUNIT_EXPECT_EQ(test, remaining(np, 1, 1), 0);
	flush_tlb_range(&vma, ADDR + 3 * SZ_64K + PAGE_SIZE,
			ADDR + 5 * SZ_64K + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, remaining(np, 0, 7), 4);
	KUNIT_EXPECT_EQ(test, remaining(np, 3, 5), 0);
	KUNIT_EXPECT_EQ(test, remaining(other, 0, 7), 8);

	/* As for a huge page: the level that Linux has it at is not native. */
	note(np);
	__flush_tlb_range(&vma, ADDR & PMD_MASK, (ADDR & PMD_MASK) + 2 * PMD_SIZE,
			  PMD_SIZE, 2, TLBF_NOWALKCACHE);
	KUNIT_EXPECT_EQ(test, remaining(np, 0, 7), 0);

	/* While it is the Linux table that is walked. */
	note(np);
	mm->context.hw = NATIVE_HW_LINUX;
	flush_tlb_range(&vma, ADDR, ADDR + SZ_64K);
	KUNIT_EXPECT_EQ(test, remaining(np, 0, 7), 8);
	mm->context.hw = PHYS;

	/* It may be that of either table while none is. */
	mm->context.hw = NATIVE_HW_PARKED;
	flush_tlb_page(&vma, ADDR);
	KUNIT_EXPECT_EQ(test, remaining(np, 0, 7), 0);
	mm->context.hw = PHYS;
	note(np);

	/* More than is done one by one. */
	flush_tlb_range(&vma, ADDR, ADDR + BIT(33));
	KUNIT_EXPECT_EQ(test, remaining(np, 0, 7), 0);
	note(np);
	flush_tlb_mm(other->mm);
	KUNIT_EXPECT_EQ(test, remaining(np, 0, 7), 8);
	KUNIT_EXPECT_EQ(test, remaining(other, 0, 7), 0);
	flush_tlb_mm(mm);
	KUNIT_EXPECT_EQ(test, remaining(np, 0, 7), 0);
	note(np);
	note(other);
	local_flush_tlb_all();
	KUNIT_EXPECT_EQ(test, remaining(np, 0, 7), 8);
	flush_tlb_all();
	KUNIT_EXPECT_EQ(test, remaining(np, 0, 7), 0);
	KUNIT_EXPECT_EQ(test, remaining(other, 0, 7), 0);

	/* A new ASID, since when another page was taken out. */
	native_debug_write(np, ADDR, entry_of(np, PHYS, true), 0);
	native_debug_new_asid(mm);
	native_debug_write(np, ADDR + SZ_64K, entry_of(np, PHYS, true), 0);
	native_debug_write(np, ADDR, 0, entry_of(np, PHYS + SZ_64K, true));
	KUNIT_EXPECT_EQ(test, remaining(np, 0, 7), 1);
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 0);
	flush_tlb_mm(mm);

	unwalk_ledger(other);
	unwalk_ledger(np);
	if (!used)
		static_branch_disable(&native_pgt_key);
	free_ledger(other);
	free_ledger(np);
}

/* What a CPU walks is told from what it is to walk, in each way that it may be. */
static void test_judge_walk(struct kunit *test)
{
	const phys_addr_t reserved = 0x40000000, plain = 0x50000000;
	const phys_addr_t native = 0x60000000;
	const struct native_walk_want wants[] = {
		{ native, TCR_TG0_64K, 5, .native = true },
		{ native, TCR_TG0_16K, 5, .native = true },
		{ plain, TCR_TG0_4K, 5 },
	};
	unsigned int i, change;

	for (i = 0; i < 4 * ARRAY_SIZE(wants); i++) {
		struct native_walk_want want = wants[i / 4];
		const enum native_walked right = want.native ? NATIVE_WALKED :
							       NATIVE_WALKED_LINUX;
		const struct native_walk_regs good = {
			want.tg0, phys_to_ttbr(want.table) | 1, 5UL << 48 | plain,
		};
		struct native_walk_regs walk = good;

		want.changing = i & 1;
		want.parked = i & 2;
		change = i & 3;

		KUNIT_EXPECT_EQ(test, native_judge_walk(&walk, &want, reserved),
				change ? NATIVE_WALKED_CHANGING : right);
		/* Another granule. */
		walk.tcr = want.tg0 == TCR_TG0_64K ? TCR_TG0_4K : TCR_TG0_64K;
		KUNIT_EXPECT_EQ(test, native_judge_walk(&walk, &want, reserved),
				change ? NATIVE_WALKED_CHANGING :
					 NATIVE_WALKED_WRONG);
		/* Another table, or none. */
		walk = good;
		walk.ttbr0 = phys_to_ttbr(want.native ? plain : native);
		KUNIT_EXPECT_EQ(test, native_judge_walk(&walk, &want, reserved),
				change ? NATIVE_WALKED_CHANGING :
					 NATIVE_WALKED_WRONG);
		walk.ttbr0 = phys_to_ttbr(reserved);
		KUNIT_EXPECT_EQ(test, native_judge_walk(&walk, &want, reserved),
				change ? NATIVE_WALKED_CHANGING :
					 NATIVE_WALKED_WRONG);
		/* None, and no ASID: a CPU that the mm was parked on. */
		walk.ttbr1 = plain;
		KUNIT_EXPECT_EQ(test, native_judge_walk(&walk, &want, reserved),
				change ? NATIVE_WALKED_CHANGING :
					 NATIVE_WALKED_WRONG);
		/* Another ASID, or none with a table: never. */
		walk = good;
		walk.ttbr1 = 6UL << 48 | plain;
		KUNIT_EXPECT_EQ(test, native_judge_walk(&walk, &want, reserved),
				NATIVE_WALKED_WRONG);
		walk.ttbr1 = plain;
		KUNIT_EXPECT_EQ(test, native_judge_walk(&walk, &want, reserved),
				NATIVE_WALKED_WRONG);
	}
}

/* While an mm is parked, a CPU that switches to it has no table and no ASID. */
static void test_parked(struct kunit *test)
{
	const bool used = static_key_enabled(&native_pgt_key);
	u64 before, ttbr0, ttbr1;
	struct native_pgt *np;
	struct mm_struct *mm;
	unsigned long flags;

	if (system_uses_ttbr0_pan())
		kunit_skip(test, "PAN is emulated");
	np = new_ledger(test);
	mm = np->mm;
	if (!used)
		static_branch_enable(&native_pgt_key);
	mm->context.native = np;
	mm->context.hw = NATIVE_HW_PARKED;

	local_irq_save(flags);
	before = read_sysreg(ttbr1_el1);
	native_switch_mm(mm);
	ttbr0 = read_sysreg(ttbr0_el1);
	ttbr1 = read_sysreg(ttbr1_el1);
	native_unload();
	if (current->active_mm != &init_mm) {
		check_and_switch_context(current->active_mm);
	} else {
		cpu_set_reserved_ttbr0();
		write_sysreg(before, ttbr1_el1);
		isb();
	}
	local_irq_restore(flags);

	KUNIT_EXPECT_NE(test, ASID(mm), 0);
	KUNIT_EXPECT_EQ(test, ttbr1 >> 48, 0);
	KUNIT_EXPECT_EQ(test, ttbr0 & GENMASK_ULL(47, 1),
			phys_to_ttbr(__pa_symbol(reserved_pg_dir)));
	mm->context.native = NULL;
	mm->context.hw = NATIVE_HW_LINUX;
	if (!used)
		static_branch_disable(&native_pgt_key);
	free_ledger(np);
}

/* The tables that lead to @addr; they go with the test. */
static u64 *add_tables(struct kunit *test, struct native_pgt *np,
		       unsigned long addr)
{
	const unsigned int bits = native_table_bits(np);
	unsigned int shift = np->top_shift;
	u64 *entry = np->pgd + (addr >> shift);

	for (; shift != np->shift; shift -= bits) {
		u64 *table = new_table(test, np);

		*entry = native_phys_to_desc(np, __pa(table)) | PMD_TYPE_TABLE;
		entry = table + ((addr >> (shift - bits)) & (BIT(bits) - 1));
	}
	return entry;
}

static unsigned int count(const u64 *entries, unsigned int nr, u64 mask, u64 bits)
{
	unsigned int n = 0;

	while (nr--)
		n += (*entries++ & mask) == bits;
	return n;
}

/* The contiguous bit: entries come and go together, and not with a stale TLB. */
static void test_run(struct kunit *test)
{
	const struct format *f = test->param_value;
	const unsigned int shift = f->shift;
	const unsigned long run = ALIGN_DOWN(ADDR, SZ_2M), page = BIT(shift);
	const pteval_t readonly = pgprot_val(PAGE_READONLY);
	const pteval_t shared = pgprot_val(PAGE_SHARED);
	const pte_t ro = pte_mkyoung(user_pte(PHYS_PFN(SZ_1G), readonly));
	const pte_t rw = pte_mkyoung(pte_mkdirty(user_pte(PHYS_PFN(SZ_1G),
							  shared)));
	const pte_t part = pte_mkyoung(user_pte(PHYS_PFN(SZ_1G + 5 * page),
						readonly));
	const unsigned int nr = SZ_2M >> shift;
	const bool used = static_key_enabled(&native_pgt_key);
	struct native_pgt *np = new_ledger(test);
	u64 *run_entries;

	native_set_geometry(np, shift, 48);
	np->lpa2 = f->lpa2;
	np->pgd = kunit_kzalloc(test, max(native_pgd_size(np), page), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, np->pgd);
	run_entries = add_tables(test, np, run);
	if (!used)
		static_branch_enable(&native_pgt_key);
	walk_ledger(np);
#define COUNT(mask, bits)	count(run_entries, nr, mask, bits)
#define ENTER(pte)		native_enter_block(np, run + 5 * page,	\
						   run_entries + 5, pte, run, SZ_2M)

	ENTER(ro);
	KUNIT_EXPECT_EQ(test, COUNT(PTE_VALID | D_CONT, PTE_VALID | D_CONT), nr);
	KUNIT_EXPECT_EQ(test, native_desc_to_phys(np, run_entries[nr - 1]),
			SZ_1G + SZ_2M - page);
	/* More rights, and less, for all. */
	ENTER(rw);
	KUNIT_EXPECT_EQ(test, COUNT(D_CONT | D_RO, D_CONT), nr);
	__native_wrprotect(np, run, run + SZ_2M);
	KUNIT_EXPECT_EQ(test, COUNT(PTE_VALID | D_CONT | D_RO,
				    PTE_VALID | D_CONT | D_RO), nr);
	native_debug_tlbi(np, &whole_asid);
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 0);

	/* For a part of it only, or a part of it gone: none is left. */
	__native_wrprotect(np, run + page, run + 2 * page);
	KUNIT_EXPECT_EQ(test, COUNT(PTE_VALID, 0), nr);
	native_debug_tlbi(np, &whole_asid);
	ENTER(rw);
	__native_zap(np, run + page, run + 2 * page);
	KUNIT_EXPECT_EQ(test, COUNT(PTE_VALID, 0), nr);

	/* In parts now, which the TLB, not invalidated, may have as a whole. */
	native_enter_block(np, run + 5 * page, run_entries + 5, part,
			   run + 5 * page, page);
	KUNIT_EXPECT_EQ(test, COUNT(PTE_VALID | D_CONT, PTE_VALID), 1);
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 0);
	KUNIT_EXPECT_TRUE(test, xa_empty(&np->ledger.stale));

	/* And the other way round, with a part valid and one that was. */
	__native_zap(np, run + 5 * page, run + 6 * page);
	KUNIT_EXPECT_FALSE(test, xa_empty(&np->ledger.stale));
	ENTER(rw);
	KUNIT_EXPECT_EQ(test, COUNT(PTE_VALID | D_CONT, PTE_VALID | D_CONT), nr);
	KUNIT_EXPECT_EQ(test, np->ledger.bad, 0);
#undef ENTER
#undef COUNT
	__native_zap(np, run, run + SZ_2M);
	native_debug_tlbi(np, &whole_asid);
	unwalk_ledger(np);
	if (!used)
		static_branch_disable(&native_pgt_key);
	free_ledger(np);
}

static struct kunit_case native_cases[] = {
	KUNIT_CASE_PARAM(test_geometry, geometry_gen_params),
	KUNIT_CASE_PARAM(test_walk, geometry_gen_params),
	KUNIT_CASE(test_reserved),
	KUNIT_CASE(test_phys),
	KUNIT_CASE_PARAM(test_encode, format_gen_params),
	KUNIT_CASE_PARAM(test_encode_pie, format_gen_params),
	KUNIT_CASE_PARAM(test_block, format_gen_params),
	KUNIT_CASE_PARAM(test_compare, format_gen_params),
	KUNIT_CASE_PARAM(test_young, format_gen_params),
	KUNIT_CASE(test_covers),
	KUNIT_CASE(test_conflict),
	KUNIT_CASE(test_decode),
	KUNIT_CASE(test_table),
	KUNIT_CASE(test_reuse),
	KUNIT_CASE(test_reenter),
	KUNIT_CASE(test_free),
	KUNIT_CASE(test_kernel),
	KUNIT_CASE(test_judge_walk),
	KUNIT_CASE(test_parked),
	KUNIT_CASE_PARAM(test_run, format_gen_params),
	{ }
};

static struct kunit_suite native_suite = {
	.name = "arm64_native_pgtable",
	.test_cases = native_cases,
};

kunit_test_suite(native_suite);
