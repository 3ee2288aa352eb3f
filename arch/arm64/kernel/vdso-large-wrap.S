/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The vDSO image for processes with larger pages. Not aligned to a page: it is
 * copied to a block of its own before it is mapped.
 */

#include <linux/init.h>
#include <linux/linkage.h>
#include <linux/const.h>
#include <asm/assembler.h>

	.globl vdso_large_start, vdso_large_end
	.section .rodata
	.balign 16
vdso_large_start:
	.incbin "arch/arm64/kernel/vdso/vdso-large.so"
	.balign 16
vdso_large_end:

	.previous

emit_aarch64_feature_1_and
