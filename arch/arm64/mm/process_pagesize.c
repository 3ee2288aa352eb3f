// SPDX-License-Identifier: GPL-2.0
/*
 * What arm64 provides for processes whose page is larger than the kernel's.
 */
#include <linux/process_pagesize.h>
#include <linux/sizes.h>

#include <asm/vdso.h>

#include "native.h"

/**
 * arch_process_page_size_supported - whether the kernel can emulate a page size
 * @shift: log2 of the size, above PAGE_SHIFT
 *
 * The granules of the architecture. Whether the CPUs have the granule decides
 * how fast it is, not whether it is offered.
 *
 * Context: Any.
 * Return: true if processes can have it.
 */
bool arch_process_page_size_supported(unsigned int shift)
{
	return BIT(shift) == SZ_16K || BIT(shift) == SZ_64K;
}

/**
 * arch_process_page_size_enable - get ready for the first such process
 *
 * Context: Process context, once, serialised by the caller; may sleep.
 * Return: 0 or -ENOMEM.
 */
int arch_process_page_size_enable(void)
{
	int ret = vdso_large_enable();

	if (!ret)
		native_enable();
	return ret;
}

/**
 * arch_process_page_size_exec - the page size of a new mm is settled
 * @mm: the mm; not yet in use
 *
 * Context: Process context, may sleep.
 */
void arch_process_page_size_exec(struct mm_struct *mm)
{
	native_create_exec(mm);
}

/**
 * arch_process_page_size_hw - the page size that the hardware works with
 * @mm: the mm
 *
 * Context: Any.
 * Return: log2 of the size: that of the process page, or PAGE_SHIFT.
 */
unsigned int arch_process_page_size_hw(struct mm_struct *mm)
{
	return native_active(mm) ? mm_page_shift(mm) : PAGE_SHIFT;
}
