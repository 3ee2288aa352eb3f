// SPDX-License-Identifier: GPL-2.0
/*
 * To be preloaded on a machine whose kernel has no page size per process: a
 * personality() that judges the page size as a patched arm64 kernel does.
 *
 * KERNEL_PAGE_SHIFT is that of the kernel played, 12 if it is not set. Every
 * call is appended to the file PERSONALITY_LOG, if that is set.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int offered(unsigned int field)
{
	const char *shift = getenv("KERNEL_PAGE_SHIFT");

	if (!field)
		return 1;
	if (field != 1 && field != 3 && field != 5)
		return 0;
	return (int)field + 11 >= (shift ? atoi(shift) : 12);
}

int personality(unsigned long persona)
{
	const char *log = getenv("PERSONALITY_LOG");
	unsigned int value = persona;
	FILE *f = log ? fopen(log, "a") : NULL;

	if (f) {
		fprintf(f, "%08x\n", value);
		fclose(f);
	}
	if (value != 0xffffffff && !offered(value >> 8 & 0xf)) {
		errno = EINVAL;
		return -1;
	}
	return syscall(SYS_personality, value);
}
