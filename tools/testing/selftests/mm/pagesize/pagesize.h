/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the process page size share.
 *
 * A page size comes into force at execve(). A test therefore runs a function of
 * its own program in a new process: run_child() sets the personality, executes
 * /proc/self/exe and names the function. CHECK() in such a function reports a
 * failure and goes on.
 */
#ifndef __PAGESIZE_SELFTEST_H
#define __PAGESIZE_SELFTEST_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/types.h>

#include "kselftest.h"

/* The installed headers may be older than the feature. */
#ifndef PER_PAGE_SIZE_MASK
#define PER_PAGE_SIZE_MASK	0x0f00
#endif

#define PER_QUERY		0xffffffffUL

#define SZ_4K			0x1000UL
#define SZ_64K			0x10000UL

/* run_child() and friends ask for no particular size. */
#define DEFAULT_SIZE		0

/* A function that a test runs in a new process. */
struct child {
	const char *name;
	void (*fn)(int argc, char **argv);
};

/* The personality field that asks for pages of 1 << @shift bytes. */
unsigned long per_page_size(unsigned int shift);

/* The page size in force here, as AT_PAGESZ tells. */
unsigned long page_size(void);

/* ProcessPageSize of @pid (0: this process) in bytes, 0 when there is none. */
unsigned long status_page_size(pid_t pid);

/* Does this kernel know process page sizes at all? */
bool have_feature(void);

/* The size of a process that asks for none. */
unsigned long kernel_page_size(void);

/* Can a process have pages of 1 << @shift bytes? Always so for DEFAULT_SIZE. */
bool size_offered(unsigned int shift);

/* Set only the page size in this task's personality. */
int set_page_size(unsigned int shift);

/*
 * Run child function @name with arguments up to NULL at 1 << @shift bytes.
 * Return its exit status, which is 0, KSFT_SKIP or the number of failed checks
 * (at most 100), or -1 if it died from a signal.
 */
int run_child(unsigned int shift, const char *name, ...);

/* The same in two steps. @out takes what the child prints, if not NULL. */
pid_t start_child(unsigned int shift, const char *const argv[], int *out);
int finish_child(pid_t pid);

/* Run @path instead, with @argv; -errno when execve() fails. */
int run_program(unsigned int shift, const char *path, char *const argv[]);

/* Change to the directory of this program. */
int go_home(void);

/* One line of /proc/PID/maps. */
struct mapping {
	unsigned long start, end, offset;
	char perms[5];
	char name[256];
};

/* Call @fn for each mapping of this process until it returns true. */
bool walk_mappings(bool (*fn)(const struct mapping *m, void *arg), void *arg);

/* The mapping of this name, or the one at this address. */
bool mapping_named(const char *name, struct mapping *found);
bool mapping_at(const void *addr, struct mapping *found);

/* Write a different word every 512 bytes; are they there? Is all zero? */
void fill(char *p, size_t len, unsigned long seed);
bool filled(const char *p, size_t len, unsigned long seed);
bool all_zero(const char *p, size_t len);

/* New memory for reading and writing, private if @flags say nothing else. */
char *map_anon(size_t len, int flags);

/* A new file in @dir (NULL: where the files of tests go) without a name. */
int temp_file(const char *dir);

/* Load from @p, or store what is there: the signal that this gets, or 0. */
int load_signal(const void *p);
int store_signal(void *p);

/* The value in kB of line @name of smaps for the mapping at @addr. */
long smaps_kb(const void *addr, const char *name);

/* The value of line @name of /proc/self/status. */
long status_kb(const char *name);
long meminfo_kb(const char *name);

/* Page faults of this process without I/O, until now. */
long minor_faults(void);

/* Forget what is clean in the page cache; false if that is not allowed. */
bool drop_page_cache(void);

void check_failed(const char *file, int line, const char *what);
int child_failures(void);
int child_main(const struct child *children, int argc, char **argv);

#define CHECK(cond)							\
	({								\
		bool ok_ = (cond);					\
									\
		if (!ok_)						\
			check_failed(__FILE__, __LINE__, #cond);	\
		ok_;							\
	})

/* Leave a child function. */
void __noreturn child_skip(const char *why);

#endif /* __PAGESIZE_SELFTEST_H */
