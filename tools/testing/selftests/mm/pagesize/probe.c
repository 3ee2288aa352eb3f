// SPDX-License-Identifier: GPL-2.0
/*
 * A program without a C library that exits with log2 of its page size. It is
 * linked for several page sizes, as a program and as an ELF interpreter.
 *
 * With arguments it executes the first one with the rest of them.
 */
#include <stddef.h>
#include <linux/auxvec.h>
#include <asm/unistd.h>

#define BAD_DATA	100
#define BAD_BSS		101
#define NO_PAGE_SIZE	102
#define NOT_EXECUTED	103

/* Their own segment, in part from the file and in part beyond it. */
static unsigned long data[3] = { 0x64617461, 0, 0x61746164 };
static unsigned char bss[0x21000];

static long call3(long nr, long a, long b, long c)
{
	register long x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ __volatile__("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2)
			     : "memory");
	return x0;
}

static int page_shift(const unsigned long *auxv)
{
	unsigned long size = 0;
	int shift = 0;

	for (; auxv[0] != AT_NULL; auxv += 2)
		if (auxv[0] == AT_PAGESZ)
			size = auxv[1];
	if (!size)
		return NO_PAGE_SIZE;
	while (size >>= 1)
		shift++;
	return shift;
}

void probe(unsigned long *sp)
{
	unsigned long argc = sp[0];
	unsigned long *argv = sp + 1, *envp = argv + argc + 1, *auxv = envp;
	size_t i;
	int ret;

	while (*auxv)
		auxv++;
	ret = page_shift(auxv + 1);

	if (data[0] != 0x64617461 || data[1] || data[2] != 0x61746164)
		ret = BAD_DATA;
	/* The compiler must not assume what bss holds. */
	__asm__ __volatile__("" : : "r"(bss) : "memory");
	for (i = 0; i < sizeof(bss); i++)
		if (bss[i])
			ret = BAD_BSS;
	for (i = 0; i < sizeof(bss); i += 512)
		bss[i] = 1;
	data[1] = 1;

	if (argc > 1) {
		call3(__NR_execve, argv[1], (long)(argv + 1), (long)envp);
		ret = NOT_EXECUTED;
	}
	call3(__NR_exit, ret, 0, 0);
	for (;;)
		;
}

__asm__(".globl _start\n"
	"_start:\n"
	"	mov	x29, #0\n"
	"	mov	x30, #0\n"
	"	mov	x0, sp\n"
	"	b	probe\n");
