/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Native page tables: what the hardware walks for a process whose page is
 * larger than the kernel's.
 *
 * The Linux page table of an mm with a process page stays complete and is what
 * the kernel goes by. The native table, in the granule of the process page, is
 * a cache of it: an entry exists only if the Linux entries of its process page
 * are all valid and one aligned block with the same attributes; it is young if
 * they are, and without hardware that notes accesses only exists then; and it
 * is writable only if they are also writable and dirty. It is filled at the
 * end of page faults and by set_ptes(), always under the lock of the Linux
 * page table. Whatever else takes something away from one of those Linux
 * entries zeroes it, under the same lock and before the TLB is invalidated. What
 * cannot be entered has the mm go back to its Linux table. See
 * Documentation/arch/arm64/native-pgtable.rst.
 */
#ifndef __ASM_NATIVE_PGTABLE_H
#define __ASM_NATIVE_PGTABLE_H

#ifndef __ASSEMBLER__

#include <linux/jump_label.h>
#include <linux/mm_types.h>

#include <asm/pgtable-types.h>

/* The values of mm->context.hw that are not the address of a native table. */
#define NATIVE_HW_LINUX		0UL	/* the Linux page table is walked */
#define NATIVE_HW_PARKED	1UL	/* none is, for a moment */

struct native_pgt;
struct seq_file;

#ifdef CONFIG_ARM64_NATIVE_PGTABLE

/* For what is inlined without the hook in it, too. */
#define native_inline __always_inline

DECLARE_STATIC_KEY_FALSE(native_pgt_key);

void native_enable(void);
void native_create(struct mm_struct *mm);
void native_exit(struct mm_struct *mm);
void native_destroy(struct mm_struct *mm);
void native_switch_mm(struct mm_struct *mm);
void native_unload(void);
void __native_set_tg0(unsigned long tg0);
void __native_wait(struct mm_struct *mm);
void __native_zap(struct native_pgt *np, unsigned long start,
		  unsigned long end);
void __native_wrprotect(struct native_pgt *np, unsigned long start,
			unsigned long end);
void __native_clear_young_ptes(struct native_pgt *np, unsigned long addr,
			       pte_t *ptep, unsigned int nr);
void __native_clear_young_pmd(struct native_pgt *np, unsigned long addr,
			      pmd_t *pmdp);
void __native_zap_ptes(struct native_pgt *np, unsigned long addr, pte_t *ptep,
		       unsigned int nr);
void __native_zap_pmd(struct native_pgt *np, unsigned long addr, pmd_t *pmdp);
void __native_set_ptes(struct native_pgt *np, unsigned long addr, pte_t *ptep,
		       unsigned int nr);
void __native_fault(struct vm_area_struct *vma, unsigned long addr,
		    unsigned int flags);
void native_leave(struct native_pgt *np, unsigned long addr);
void native_leave_done(struct native_pgt *np);
void native_show_pte(const struct mm_struct *mm, unsigned long addr);
void __native_free_range(struct native_pgt *np, unsigned long addr,
			 unsigned long end, unsigned long floor,
			 unsigned long ceiling);
bool native_flush_tlb_range(struct mm_struct *mm, unsigned long start,
			    unsigned long end, bool walkcache, bool broadcast);

/**
 * native_used - whether any mm has or had a native table
 *
 * Context: Any.
 * Return: true from the first program on that asked for a large page.
 */
static __always_inline bool native_used(void)
{
	return static_branch_unlikely(&native_pgt_key);
}

/**
 * mm_native - the native table of an mm
 * @mm: the mm
 *
 * Once there, it stays until the mm is freed, whether the hardware walks it or
 * not: an mm that went back to its Linux table has an empty one.
 *
 * Context: Any.
 * Return: the table, or NULL.
 */
static __always_inline struct native_pgt *mm_native(const struct mm_struct *mm)
{
	return native_used() ? READ_ONCE(mm->context.native) : NULL;
}

/**
 * native_active - whether the hardware walks the native table of an mm
 * @mm: the mm
 *
 * Context: Any; may change at any time.
 * Return: false also if there is none.
 */
static inline bool native_active(const struct mm_struct *mm)
{
	return mm_native(mm) && READ_ONCE(mm->context.hw) > NATIVE_HW_PARKED;
}

/**
 * native_wait - wait for a change of tables that a fault may be due to
 * @mm: the mm of the current task
 *
 * Context: Page fault of user space, or of a kernel access to it that may
 * sleep; no lock of the mm is held.
 * Return: true if there was one, so that the access had better be tried again.
 */
static __always_inline bool native_wait(struct mm_struct *mm)
{
	if (!mm_native(mm) || READ_ONCE(mm->context.hw) != NATIVE_HW_PARKED)
		return false;
	__native_wait(mm);
	return true;
}

#else /* CONFIG_ARM64_NATIVE_PGTABLE */

#define native_inline inline

static inline void native_enable(void) { }
static inline void native_create(struct mm_struct *mm) { }
static inline void native_exit(struct mm_struct *mm) { }
static inline void native_destroy(struct mm_struct *mm) { }
static inline void native_switch_mm(struct mm_struct *mm) { }
static inline void native_unload(void) { }
static inline void __native_set_tg0(unsigned long tg0) { }
static inline void __native_zap(struct native_pgt *np, unsigned long start,
				unsigned long end) { }
static inline void __native_wrprotect(struct native_pgt *np,
				      unsigned long start,
				      unsigned long end) { }
static inline void __native_clear_young_ptes(struct native_pgt *np,
					     unsigned long addr, pte_t *ptep,
					     unsigned int nr) { }
static inline void __native_clear_young_pmd(struct native_pgt *np,
					    unsigned long addr,
					    pmd_t *pmdp) { }
static inline void __native_zap_ptes(struct native_pgt *np, unsigned long addr,
				     pte_t *ptep, unsigned int nr) { }
static inline void __native_zap_pmd(struct native_pgt *np, unsigned long addr,
				    pmd_t *pmdp) { }
static inline void __native_set_ptes(struct native_pgt *np, unsigned long addr,
				     pte_t *ptep, unsigned int nr) { }
static inline void __native_fault(struct vm_area_struct *vma,
				  unsigned long addr, unsigned int flags) { }
static inline void native_leave(struct native_pgt *np, unsigned long addr) { }
static inline void native_leave_done(struct native_pgt *np) { }
static inline void native_show_pte(const struct mm_struct *mm,
				   unsigned long addr) { }
static inline void __native_free_range(struct native_pgt *np,
				       unsigned long addr, unsigned long end,
				       unsigned long floor,
				       unsigned long ceiling) { }
static inline bool native_flush_tlb_range(struct mm_struct *mm,
					  unsigned long start,
					  unsigned long end, bool walkcache,
					  bool broadcast)
{
	return false;
}

static __always_inline bool native_used(void)
{
	return false;
}

static __always_inline struct native_pgt *mm_native(const struct mm_struct *mm)
{
	return NULL;
}

static inline bool native_active(const struct mm_struct *mm)
{
	return false;
}

static __always_inline bool native_wait(struct mm_struct *mm)
{
	return false;
}

#endif /* CONFIG_ARM64_NATIVE_PGTABLE */

#ifdef CONFIG_ARM64_NATIVE_PGTABLE_DEBUG
void __native_debug_tlbi_mm(struct mm_struct *mm);
void __native_debug_tlbi_all(void);
void __native_debug_new_asid(struct mm_struct *mm);
#else
static inline void __native_debug_tlbi_mm(struct mm_struct *mm) { }
static inline void __native_debug_tlbi_all(void) { }
static inline void __native_debug_new_asid(struct mm_struct *mm) { }
#endif

/**
 * native_debug_tlbi_mm - note that all entries of an ASID are invalidated
 * @mm: the mm that this is done for
 *
 * The notes of the debug option are made before the TLB is invalidated: what
 * is zeroed after that is not noted as invalidated, although it may be.
 *
 * Context: Any.
 */
static __always_inline void native_debug_tlbi_mm(struct mm_struct *mm)
{
	if (IS_ENABLED(CONFIG_ARM64_NATIVE_PGTABLE_DEBUG) && mm_native(mm))
		__native_debug_tlbi_mm(mm);
}

/**
 * native_debug_tlbi_all - note that all entries of all CPUs are invalidated
 *
 * Context: Any.
 */
static __always_inline void native_debug_tlbi_all(void)
{
	if (IS_ENABLED(CONFIG_ARM64_NATIVE_PGTABLE_DEBUG) && native_used())
		__native_debug_tlbi_all();
}

/**
 * native_debug_new_asid - note that an mm gets another ASID
 * @mm: the mm; it runs nowhere
 *
 * Each CPU empties its TLB before it runs anything with an ASID of the new
 * generation, so that no entry of the old one is used again.
 *
 * Context: Any.
 */
static __always_inline void native_debug_new_asid(struct mm_struct *mm)
{
	if (IS_ENABLED(CONFIG_ARM64_NATIVE_PGTABLE_DEBUG) && mm_native(mm))
		__native_debug_new_asid(mm);
}

/**
 * native_zap - forget what the native table has for a range
 * @mm: the mm whose Linux entries change
 * @start: first address
 * @end: address behind the last one
 *
 * Context: Under the page table lock, before the TLB is invalidated.
 */
static __always_inline void native_zap(struct mm_struct *mm,
				       unsigned long start, unsigned long end)
{
	struct native_pgt *np = mm_native(mm);

	if (np)
		__native_zap(np, start, end);
}

/**
 * native_wrprotect - take the right to write from what there is for a range
 * @mm: the mm whose Linux entries lose it
 * @start: first address
 * @end: address behind the last one
 *
 * Context: Under the page table lock, before the TLB is invalidated.
 */
static __always_inline void native_wrprotect(struct mm_struct *mm,
					     unsigned long start,
					     unsigned long end)
{
	struct native_pgt *np = mm_native(mm);

	if (np)
		__native_wrprotect(np, start, end);
}

/**
 * native_clear_young_ptes - to be called before young is cleared
 * @mm: the mm
 * @addr: address of the first entry
 * @ptep: the first entry
 * @nr: their number; or all of the contiguous blocks that they are in
 *
 * Context: Under the page table lock.
 */
static __always_inline void native_clear_young_ptes(struct mm_struct *mm,
						    unsigned long addr,
						    pte_t *ptep,
						    unsigned int nr)
{
	struct native_pgt *np = mm_native(mm);

	if (np)
		__native_clear_young_ptes(np, addr, ptep, nr);
}

/**
 * native_clear_young_pmd - to be called before young is cleared
 * @mm: the mm
 * @addr: address of the block
 * @pmdp: its entry
 *
 * Context: Under the page table lock.
 */
static __always_inline void native_clear_young_pmd(struct mm_struct *mm,
						   unsigned long addr,
						   pmd_t *pmdp)
{
	struct native_pgt *np = mm_native(mm);

	if (np)
		__native_clear_young_pmd(np, addr, pmdp);
}

/**
 * native_zap_ptes - to be called before entries are cleared
 * @mm: the mm
 * @addr: address of the first entry
 * @ptep: the first entry
 * @nr: their number
 *
 * Whoever clears them may want to know whether they were used.
 *
 * Context: Under the page table lock.
 */
static __always_inline void native_zap_ptes(struct mm_struct *mm,
					    unsigned long addr, pte_t *ptep,
					    unsigned int nr)
{
	struct native_pgt *np = mm_native(mm);

	if (np)
		__native_zap_ptes(np, addr, ptep, nr);
}

/**
 * native_zap_pmd - to be called before a PMD is cleared or replaced
 * @mm: the mm
 * @addr: an address in what it maps
 * @pmdp: the PMD; it may be that of a page table
 *
 * Context: Under the page table lock.
 */
static __always_inline void native_zap_pmd(struct mm_struct *mm,
					   unsigned long addr, pmd_t *pmdp)
{
	struct native_pgt *np = mm_native(mm);

	if (np)
		__native_zap_pmd(np, addr, pmdp);
}

/**
 * native_set_ptes - take over Linux entries that were just written
 * @mm: the mm
 * @addr: address of the first of them
 * @ptep: the first of them
 * @nr: their number; they are in one page table
 *
 * Context: Under the page table lock.
 */
static __always_inline void native_set_ptes(struct mm_struct *mm,
					    unsigned long addr, pte_t *ptep,
					    unsigned int nr)
{
	struct native_pgt *np = mm_native(mm);

	if (np)
		__native_set_ptes(np, addr, ptep, nr);
}

#endif /* __ASSEMBLER__ */
#endif /* __ASM_NATIVE_PGTABLE_H */
