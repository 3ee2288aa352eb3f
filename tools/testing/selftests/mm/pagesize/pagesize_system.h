/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests do to the machine, as root: settings and counters, cgroups, swap,
 * disks and file systems. Whoever may not, or has no such thing, skips.
 */
#ifndef __PAGESIZE_SYSTEM_H
#define __PAGESIZE_SYSTEM_H

#include <stdbool.h>

#define SZ_1M			0x100000UL

/* Write a text, or a number, to a file of the kernel's. */
bool put(const char *path, const char *text);
bool put_number(const char *path, unsigned long number);

/* The number after @name in a file of names and numbers; 0 without such a line. */
unsigned long counter(const char *path, const char *name);
unsigned long vm_events(const char *name);

/* Whether this process is demoted; with that @reason, unless it is NULL. */
bool demoted_for(const char *reason);
bool demoted(void);

/* Where it is said what memory cannot be had. */
#define FAIL_PAGE_ALLOC		"/sys/kernel/debug/fail_page_alloc/"

/* Blocks of the process page, or of two kernel pages, cannot be had... */
bool fail_setup(unsigned long size, unsigned int percent);

/* ...in this task. */
void fail_here(bool on);

/*
 * Write to memory for which no block can be had; it is filled in pieces, which is
 * checked if @sure.
 */
void fill_pieces(char *p, unsigned long len, unsigned long seed, bool sure);

/* A new cgroup, not more than @max bytes; NULL if that cannot be had. */
char *new_cgroup(unsigned long max, bool swap);

/* Move this process there. */
void enter(const char *cgroup);

/*
 * Stay on one CPU: what this process gets from now on is never on the way to the
 * LRU on another one, where reclaim does not find it.
 */
bool stay_here(void);

/* The NUMA node that a page is on, or the negative errno. */
int node_of(void *page);

/* Have the kernel swap to @device, all of its @size bytes. */
bool swap_to(const char *device, unsigned long size);

/* A swap area that is enough for tests, and for process pages in one piece. */
unsigned long swap_size(void);

/*
 * A new segment of SysV with a size that is no multiple of any page; NULL if there
 * is none. @len becomes what can be accessed of it here.
 */
char *odd_segment(unsigned long *len);

/* /dev/zram0 of @size bytes, if nobody uses it; give it back. */
bool zram_make(unsigned long size);
void zram_drop(void);

/*
 * A loop device on a file, with blocks of that size. It is given back at once, or
 * when nobody uses it any more.
 */
struct loop {
	char device[32];
};

bool loop_make(struct loop *loop, int file, unsigned int block);
void loop_drop(const struct loop *loop);

/* A shell command, with what it says in the log only if it fails. */
bool shell(const char *format, ...) __printf(1, 2);

#endif /* __PAGESIZE_SYSTEM_H */
