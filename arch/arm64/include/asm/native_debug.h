/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Native page tables: what their debug option has in other files.
 */
#ifndef __ASM_NATIVE_DEBUG_H
#define __ASM_NATIVE_DEBUG_H

#include <linux/jump_label.h>

#ifdef CONFIG_ARM64_NATIVE_PGTABLE_DEBUG

DECLARE_STATIC_KEY_FALSE(native_debug_syscall_key);

void __native_debug_syscall(void);
void native_debug_limit_asids(unsigned long *map, unsigned long nr);

/**
 * native_debug_syscall - look whether the hardware walks the right table
 *
 * Context: Entry of a system call.
 */
static __always_inline void native_debug_syscall(void)
{
	if (static_branch_unlikely(&native_debug_syscall_key))
		__native_debug_syscall();
}

#else /* CONFIG_ARM64_NATIVE_PGTABLE_DEBUG */

static inline void native_debug_syscall(void) { }
static inline void native_debug_limit_asids(unsigned long *map,
					    unsigned long nr) { }

#endif /* CONFIG_ARM64_NATIVE_PGTABLE_DEBUG */

#endif /* __ASM_NATIVE_DEBUG_H */
