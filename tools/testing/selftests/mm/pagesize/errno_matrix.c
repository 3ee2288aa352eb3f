// SPDX-License-Identifier: GPL-2.0
/*
 * Print what each memory mapping call answers, one row per call.
 *
 * The rows are the cross product of aligned, 4K aligned and unaligned
 * addresses, lengths, offsets and counts, all named in terms of the process
 * page size P and of an arena at a fixed address A. Nothing in a row depends on
 * how the process came to have that page size, so the rows of a 64K process on
 * a 4K kernel and those of any process on a 64K kernel can be compared as text.
 *
 * A row reads
 *
 *	CALL ARGUMENTS = RESULT | LAYOUT
 *
 * RESULT is a number, an address relative to A, "new" for an address that the
 * kernel chose, or an error name. LAYOUT is there when the call changed the
 * mappings of the arena: the bounds of each VMA in pages relative to A, its
 * permissions, its file offset in pages and its name.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <asm/unistd.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/shm.h>

#include "kselftest.h"
#include "pagesize.h"

#define SZ_4K		0x1000UL

/*
 * The arena stays clear of everything else in the address space, and neither
 * the 8 pages at A nor the 16 from A + 16P contain a whole 2M block.
 */
#define ARENA		0x1000100000UL
#define ARENA_BEFORE	8		/* pages of room below A */
#define ARENA_AFTER	56		/* pages of room above A */
#define BASE_PAGES	8UL		/* mapped at A before each call */
#define LOW_PAGES	32		/* cleaned up at address 0 */
#define HUGE_ARENA	0x1100000000UL

static unsigned long P;			/* process page size */
static unsigned long rows;
static unsigned long misaligned;
static int fd_full = -1;		/* memfd of BASE_PAGES pages */
static int maps_fd = -1;

/* --------------------------------------------------------------------- */
/* Output                                                                */

static char out[1 << 16];
static size_t out_len;

static void out_flush(void)
{
	size_t done = 0;

	while (done < out_len) {
		ssize_t n = write(STDOUT_FILENO, out + done, out_len - done);

		if (n <= 0)
			_exit(KSFT_FAIL);
		done += n;
	}
	out_len = 0;
}

static void __printf(1, 2) put(const char *fmt, ...)
{
	va_list ap;

	if (sizeof(out) - out_len < 4096)
		out_flush();
	va_start(ap, fmt);
	out_len += vsnprintf(out + out_len, sizeof(out) - out_len, fmt, ap);
	va_end(ap);
}

static const char *error_name(int err)
{
	return strerrorname_np(err) ?: "unknown error";
}

/* Bytes as pages and a remainder: 3, -1, 2+4K, 0+1. */
static const char *pages(long bytes)
{
	static char text[4][48];
	static int next;
	char *s = text[next++ % 4];
	long whole = bytes / (long)P, rest = bytes % (long)P;

	if (rest < 0) {
		rest += P;
		whole--;
	}
	if (!rest)
		snprintf(s, sizeof(text[0]), "%ld", whole);
	else if (rest % 1024)
		snprintf(s, sizeof(text[0]), "%ld+%ld", whole, rest);
	else
		snprintf(s, sizeof(text[0]), "%ld+%ldK", whole, rest / 1024);
	return s;
}

/* --------------------------------------------------------------------- */
/* Symbolic arguments                                                    */

struct value {
	char name[16];
	unsigned long v;
};

/* The values that a string names, such as "0 P-4K A+8P". */
struct set {
	const char *names;
	struct value val[24];
	unsigned int nr, pos;
};

/* A sum of numbers, of A (arena), H (huge page arena) and multiples of P. */
static unsigned long evaluate(const char *name)
{
	unsigned long sum = 0, term;
	bool minus;
	char *end;

	while (*name) {
		minus = *name == '-';
		if (*name == '+' || *name == '-')
			name++;
		term = strtoul(name, &end, 10);
		if (end == name)
			term = 1;
		else if (!strncmp(end, "<<", 2))
			term <<= strtoul(end + 2, &end, 10);
		switch (*end) {
		case 'A':
			term *= ARENA;
			break;
		case 'H':
			term *= HUGE_ARENA;
			break;
		case 'P':
			term *= P;
			break;
		case 'K':
			term <<= 10;
			break;
		case 'M':
			term <<= 20;
			break;
		default:
			end--;
		}
		sum += minus ? -term : term;
		name = end + 1;
	}
	return sum;
}

/* Of several names that are equal with this P, the first one stays. */
static void parse(struct set *set)
{
	const char *s = set->names;
	struct value *new;
	unsigned int i;
	size_t len;

	while (*s) {
		len = strcspn(s, " ");
		if (set->nr == ARRAY_SIZE(set->val) ||
		    len >= sizeof(new->name))
			abort();
		new = &set->val[set->nr];
		memcpy(new->name, s, len);
		new->name[len] = 0;
		new->v = evaluate(new->name);
		for (i = 0; set->val[i].v != new->v; i++)
			;
		if (i == set->nr)
			set->nr++;
		s += len + strspn(s + len, " ");
	}
}

/* The values one after another, then NULL; so a loop must not be left early. */
static const struct value *next(struct set *set)
{
	if (!set->nr)
		parse(set);
	if (set->pos == set->nr) {
		set->pos = 0;
		return NULL;
	}
	return &set->val[set->pos++];
}

static struct set addrs = {
	"A A+1 A+4K A+P-4K A+P A+7P A+8P-4K A+8P A-4K A-P 0 4K -P -4K -1"
};

static struct set few_addrs = { "A A+1 A+4K A+P A+8P-4K A+8P A-P -4K" };

static struct set lens = {
	"0 1 4K P-4K P-1 P P+1 P+4K 60K 64K 2P 7P+1 8P 8P+1 -P -4K -1"
};

static struct set few_lens = { "0 1 4K P-1 P P+1 64K 8P 9P -P -4K" };

static struct set tiny_lens = { "0 4K P P+1 9P -4K" };

static struct set offsets = { "0 1 4K P-4K P P+4K 64K 8P -P -4K" };

/* Never walk from address 0 over the whole address space. */
static bool wild(unsigned long addr, unsigned long len)
{
	return addr < ARENA / 2 && (long)len < 0;
}

/* --------------------------------------------------------------------- */
/* The arena and its layout                                              */

struct vma {
	unsigned long start, end, offset;
	const char *name;
	int name_len;
	char perms[5];
};

static char maps[1 << 16];

static unsigned long hex(const char **s)
{
	unsigned long v = 0;

	for (;; (*s)++) {
		if (**s >= '0' && **s <= '9')
			v = v * 16 + **s - '0';
		else if (**s >= 'a' && **s <= 'f')
			v = v * 16 + **s - 'a' + 10;
		else
			return v;
	}
}

static void read_maps(void)
{
	size_t len = 0;
	ssize_t n;

	if (lseek(maps_fd, 0, SEEK_SET))
		_exit(KSFT_FAIL);
	while ((n = read(maps_fd, maps + len, sizeof(maps) - 1 - len)) > 0)
		len += n;
	maps[len] = 0;
}

static bool next_vma(const char **s, struct vma *vma)
{
	const char *eol;
	int i;

	if (!**s)
		return false;
	vma->start = hex(s);
	(*s)++;
	vma->end = hex(s);
	(*s)++;
	memcpy(vma->perms, *s, 4);
	vma->perms[4] = 0;
	*s += 5;
	vma->offset = hex(s);
	/* device and inode */
	for (i = 0; i < 2; i++) {
		(*s)++;
		while (**s != ' ' && **s != '\n')
			(*s)++;
	}
	while (**s == ' ')
		(*s)++;
	eol = strchr(*s, '\n');
	vma->name = *s;
	vma->name_len = eol - *s;
	*s = eol + 1;
	return true;
}

static bool find_vma(unsigned long addr, struct vma *vma)
{
	const char *s = maps;

	while (next_vma(&s, vma))
		if (addr >= vma->start && addr < vma->end)
			return true;
	return false;
}

/* Describe all mappings of the arena and at address 0. */
static void describe(char *buf, size_t size)
{
	unsigned long low = ARENA - ARENA_BEFORE * P;
	unsigned long high = ARENA + ARENA_AFTER * P;
	const char *s = maps;
	size_t len = 0;
	struct vma vma;

	buf[0] = 0;
	while (next_vma(&s, &vma)) {
		bool zero = vma.start < LOW_PAGES * P;
		unsigned long base = zero ? 0 : ARENA;

		if (vma.start % P || vma.end % P)
			misaligned++;
		if (!zero && (vma.end <= low || vma.start >= high))
			continue;
		len += snprintf(buf + len, size - len, " %s%s:%s%s",
				zero ? "@" : "", pages(vma.start - base),
				pages(vma.end - base), vma.perms);
		if (vma.name_len && vma.name[0] == '/')
			len += snprintf(buf + len, size - len, "/%s",
					pages(vma.offset));
		else if (vma.name_len)
			len += snprintf(buf + len, size - len, "%.*s",
					vma.name_len, vma.name);
		if (len >= size)
			_exit(KSFT_FAIL);
	}
}

enum base {
	NOTHING,	/* no mapping */
	ANON,		/* 8 pages, private, not touched */
	TOUCHED,	/* the same, its first and third page populated */
	SHARED,		/* 8 pages of a memfd, shared */
	PRIVATE,	/* 8 pages of a memfd, private */
	HOLE,		/* anonymous pages 0-3 and 5-7 */
	NR_BASES,
};

static char base_layout[NR_BASES][512];

static void *sys_mmap(unsigned long addr, unsigned long len, int prot,
		      int flags, int fd, unsigned long off)
{
	return (void *)syscall(__NR_mmap, addr, len, prot, flags, fd, off);
}

static void must_map(unsigned long addr, unsigned long len, int flags, int fd)
{
	if (sys_mmap(addr, len, PROT_READ | PROT_WRITE, MAP_FIXED | flags, fd,
		     0) == (void *)addr)
		return;
	put("cannot prepare the arena: %s\n", error_name(errno));
	out_flush();
	_exit(KSFT_FAIL);
}

static void poke(unsigned long addr)
{
	__atomic_store_n((char *)addr, 1, __ATOMIC_RELAXED);
}

static void touch(unsigned long addr, unsigned long len)
{
	unsigned long off;

	for (off = 0; off < len; off += SZ_4K)
		poke(addr + off);
}

static void prepare(enum base base)
{
	munmap((void *)(ARENA - ARENA_BEFORE * P),
	       (ARENA_BEFORE + ARENA_AFTER) * P);

	switch (base) {
	case ANON:
	case TOUCHED:
		must_map(ARENA, BASE_PAGES * P, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		if (base == TOUCHED) {
			touch(ARENA, P);
			touch(ARENA + 2 * P, P);
		}
		break;
	case SHARED:
		must_map(ARENA, BASE_PAGES * P, MAP_SHARED, fd_full);
		break;
	case PRIVATE:
		must_map(ARENA, BASE_PAGES * P, MAP_PRIVATE, fd_full);
		break;
	case HOLE:
		must_map(ARENA, 4 * P, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		must_map(ARENA + 5 * P, 3 * P, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		break;
	default:
		break;
	}
}

static void learn_layouts(void)
{
	enum base base;

	for (base = NOTHING; base < NR_BASES; base++) {
		prepare(base);
		read_maps();
		describe(base_layout[base], sizeof(base_layout[base]));
		put("# base %d:%s\n", base, base_layout[base]);
	}
}

/* The mapping at an address that the kernel chose, then remove it. */
static void put_new(unsigned long addr)
{
	struct vma vma;

	if (!find_vma(addr, &vma)) {
		put(" unmapped");
		return;
	}
	put(" size %s", pages(vma.end - vma.start));
	if (addr != vma.start)
		put(" at %s", pages(addr - vma.start));
	if (vma.name_len && vma.name[0] == '/')
		put(" /%s", pages(vma.offset));
	munmap((void *)vma.start, vma.end - vma.start);
}

static bool in_arena(unsigned long addr)
{
	return addr < LOW_PAGES * P ||
	       (addr >= ARENA - ARENA_BEFORE * P &&
		addr < ARENA + ARENA_AFTER * P);
}

/* End a row: the result, and the layout if it is not that of @base. */
static void end_row(long ret, int err, bool is_addr, enum base base)
{
	char layout[1024];

	rows++;
	read_maps();
	if (ret == -1 && err)
		put(" = %s", error_name(err));
	else if (!is_addr)
		put(" = %ld", ret);
	else if ((unsigned long)ret < LOW_PAGES * P)
		put(" = @%s", pages(ret));
	else if (in_arena(ret))
		put(" = A+%s", pages(ret - ARENA));
	else
		put(" = new%s", ret % P ? " misaligned" : "");

	describe(layout, sizeof(layout));
	if (is_addr && !(ret == -1 && err) && !in_arena(ret))
		put_new(ret);
	if (strcmp(layout, base_layout[base]))
		put(" |%s", layout);
	put("\n");
	if (strchr(layout, '@'))
		munmap(NULL, LOW_PAGES * P);
}

/* Call, and end the row. errno is cleared so that -1 may be a result. */
#define CALL(base, ...)							\
	do {								\
		long ret_;						\
									\
		errno = 0;						\
		ret_ = syscall(__VA_ARGS__);				\
		end_row(ret_, errno, false, base);			\
	} while (0)

#define CALL_ADDR(base, ...)						\
	do {								\
		long ret_;						\
									\
		errno = 0;						\
		ret_ = syscall(__VA_ARGS__);				\
		end_row(ret_, errno, true, base);			\
	} while (0)

static void in_child(void (*fn)(const void *arg), const void *arg)
{
	unsigned long *count, before = rows;
	int status;
	pid_t pid;

	count = sys_mmap(0, P, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	out_flush();
	pid = fork();
	if (!pid) {
		close(maps_fd);
		maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
		fn(arg);
		out_flush();
		count[0] = rows;
		count[1] = misaligned;
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status) {
		put("# a child of row %lu failed\n", before);
		out_flush();
		_exit(KSFT_FAIL);
	}
	rows = count[0];
	misaligned = count[1];
	munmap(count, P);
}

/* --------------------------------------------------------------------- */
/* The calls                                                             */

static void do_mmap_anon(void)
{
	const struct value *a, *l, *o;
	static const struct {
		const char *name;
		int flags;
	} how[] = {
		{ "hint", 0 },
		{ "fixed", MAP_FIXED },
		{ "noreplace", MAP_FIXED_NOREPLACE },
		{ "fixed,shared", MAP_FIXED | MAP_SHARED },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(how); i++) {
		while ((a = next(&addrs))) {
			while ((l = next(&lens))) {
				prepare(ANON);
				put("mmap anon %s %s %s", how[i].name, a->name,
				    l->name);
				CALL_ADDR(ANON, __NR_mmap, a->v, l->v,
					  PROT_READ,
					  MAP_ANONYMOUS | how[i].flags |
					  (how[i].flags & MAP_SHARED ? 0 :
					   MAP_PRIVATE), -1, 0L);
			}
		}
	}
	/* The offset is checked for anonymous memory too. */
	while ((o = next(&offsets))) {
		prepare(ANON);
		put("mmap anon offset %s", o->name);
		CALL_ADDR(ANON, __NR_mmap, 0L, P, PROT_READ,
			  MAP_ANONYMOUS | MAP_PRIVATE, -1, o->v);
	}
}

static struct set file_addrs = { "0 A A+4K A+8P A+9P-4K" };

static void do_mmap_file(void)
{
	const struct value *a, *l, *o;
	static const struct {
		const char *name;
		int flags;
	} how[] = {
		{ "shared,hint", MAP_SHARED },
		{ "shared,fixed", MAP_SHARED | MAP_FIXED },
		{ "private,fixed", MAP_PRIVATE | MAP_FIXED },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(how); i++) {
		while ((a = next(&file_addrs))) {
			if (!a->v && how[i].flags & MAP_FIXED)
				continue;
			while ((l = next(&few_lens))) {
				while ((o = next(&offsets))) {
					prepare(ANON);
					put("mmap file %s %s %s off %s",
					    how[i].name, a->name, l->name,
					    o->name);
					CALL_ADDR(ANON, __NR_mmap, a->v, l->v,
						  PROT_READ, how[i].flags,
						  fd_full, o->v);
				}
			}
		}
	}
}

static void do_munmap(void)
{
	const struct value *a, *l;
	static const enum base bases[] = { ANON, HOLE };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		while ((a = next(&addrs))) {
			while ((l = next(&lens))) {
				if (wild(a->v, l->v))
					continue;
				prepare(bases[i]);
				put("munmap b%d %s %s", bases[i], a->name,
				    l->name);
				CALL(bases[i], __NR_munmap, a->v, l->v);
			}
		}
	}
}

static void do_mprotect(void)
{
	const struct value *a, *l;
	static const struct {
		const char *name;
		int prot;
		enum base base;
	} how[] = {
		{ "r--", PROT_READ, TOUCHED },
		{ "r-x", PROT_READ | PROT_EXEC, HOLE },
		{ "---", PROT_NONE, SHARED },
	};
	static const struct {
		const char *name;
		int prot;
	} odd[] = {
		{ "growsdown", PROT_READ | PROT_GROWSDOWN },
		{ "growsup", PROT_READ | PROT_GROWSUP },
		{ "both", PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP },
		{ "bad", 0x40000000 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(how); i++) {
		while ((a = next(&addrs))) {
			while ((l = next(&lens))) {
				if (wild(a->v, l->v))
					continue;
				prepare(how[i].base);
				put("mprotect b%d %s %s %s", how[i].base,
				    how[i].name, a->name, l->name);
				CALL(how[i].base, __NR_mprotect, a->v, l->v,
				     how[i].prot);
			}
		}
	}
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		while ((a = next(&few_addrs))) {
			while ((l = next(&few_lens))) {
				prepare(ANON);
				put("mprotect b%d %s %s %s", ANON, odd[i].name,
				    a->name, l->name);
				CALL(ANON, __NR_mprotect, a->v, l->v,
				     odd[i].prot);
			}
		}
	}
	/* A mapping that may grow down is extended to its start. */
	while ((a = next(&few_addrs))) {
		while ((l = next(&few_lens))) {
			prepare(NOTHING);
			must_map(ARENA, 4 * P, MAP_PRIVATE | MAP_ANONYMOUS |
				 MAP_GROWSDOWN, -1);
			put("mprotect stack growsdown %s %s", a->name, l->name);
			CALL(ANON, __NR_mprotect, a->v, l->v,
			     PROT_READ | PROT_GROWSDOWN);
		}
	}
}

static void do_pkey_mprotect(void)
{
	const struct value *a, *l;
	static const int pkeys[] = { -1, 0, 1, 99 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pkeys); i++) {
		while ((a = next(&few_addrs))) {
			while ((l = next(&few_lens))) {
				prepare(ANON);
				put("pkey_mprotect key %d %s %s", pkeys[i],
				    a->name, l->name);
				CALL(ANON, __NR_pkey_mprotect, a->v, l->v,
				     PROT_READ, pkeys[i]);
			}
		}
	}
}

static struct set remap_old = { "A A+1 A+4K A+P A-P" };

static struct set remap_old_lens = { "0 4K P P+4K 7P 8P 9P -4K" };

static struct set remap_new_lens = { "0 1 4K P P+1 2P+4K 8P 16P -4K -1" };

static struct set remap_to = { "A+16P A+16P+4K A+16P+1 A+P A+8P A-4K 0 4K -P" };

static struct set remap_few_lens = { "0 P P+4K 8P" };

static struct set remap_few_new_lens = { "0 P P+4K 8P" };

static void do_mremap(void)
{
	const struct value *a, *ol, *nl, *t;
	static const struct {
		const char *name;
		int flags;
		enum base base;
	} how[] = {
		{ "0", 0, ANON },
		{ "maymove", MREMAP_MAYMOVE, ANON },
		{ "maymove", MREMAP_MAYMOVE, SHARED },
		{ "dontunmap", MREMAP_MAYMOVE | MREMAP_DONTUNMAP, ANON },
	};
	static const struct {
		const char *name;
		int flags;
		enum base base;
	} to[] = {
		{ "fixed", MREMAP_MAYMOVE | MREMAP_FIXED, ANON },
		{ "fixed,dontunmap", MREMAP_MAYMOVE | MREMAP_FIXED |
		  MREMAP_DONTUNMAP, SHARED },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(how); i++) {
		while ((a = next(&remap_old))) {
			while ((ol = next(&remap_old_lens))) {
				while ((nl = next(&remap_new_lens))) {
					prepare(how[i].base);
					put("mremap b%d %s %s %s %s",
					    how[i].base, how[i].name, a->name,
					    ol->name, nl->name);
					CALL_ADDR(how[i].base, __NR_mremap,
						  a->v, ol->v, nl->v,
						  how[i].flags, 0L);
				}
			}
		}
	}
	for (i = 0; i < ARRAY_SIZE(to); i++) {
		while ((a = next(&remap_old))) {
			while ((ol = next(&remap_few_lens))) {
				while ((nl = next(&remap_few_new_lens))) {
					while ((t = next(&remap_to))) {
						prepare(to[i].base);
						put("mremap b%d %s %s %s %s %s",
						    to[i].base, to[i].name,
						    a->name, ol->name, nl->name,
						    t->name);
						CALL_ADDR(to[i].base,
							  __NR_mremap, a->v,
							  ol->v, nl->v,
							  to[i].flags, t->v);
					}
				}
			}
		}
	}
	/* Flags that need others, and a move of several mappings at once. */
	for (i = 0; i < 16; i++) {
		prepare(ANON);
		put("mremap flags %#x A P P A+16P", i);
		CALL_ADDR(ANON, __NR_mremap, ARENA, P, P, i, ARENA + 16 * P);
	}
	while ((ol = next(&remap_old_lens))) {
		while ((t = next(&remap_to))) {
			prepare(HOLE);
			put("mremap b%d move A %s %s", HOLE, ol->name, t->name);
			CALL_ADDR(HOLE, __NR_mremap, ARENA, ol->v, ol->v,
				  MREMAP_MAYMOVE | MREMAP_FIXED, t->v);
		}
	}
}

/* The heap relative to the process page above the current break. */
static void brk_row(unsigned long base, long ret)
{
	struct vma vma;

	rows++;
	read_maps();
	put(" = %s", pages(ret - base));
	if (find_vma(base - 1, &vma)) {
		put(" | end %s", pages(vma.end - base));
		if (vma.end % P)
			misaligned++;
	}
	put("\n");
}

static struct set old_breaks = { "0 1 4K P-4K P P+1 P+4K 64K 6P 7P" };

static struct set breaks = {
	"0 1 4K 4K+1 P-4K P-1 P P+1 P+4K 64K 3P 6P 7P-1 7P 7P+1 7P+4K 8P"
};

static void do_brk_rows(const void *unused)
{
	const struct value *from, *to;
	unsigned long start = syscall(__NR_brk, 0L), base;
	unsigned long heap = 0;
	struct vma vma;

	/* The break is in a mapping of its own page; count from the next. */
	base = (start + P - 1) / P * P + P;
	if (syscall(__NR_brk, base) != (long)base)
		_exit(KSFT_FAIL);
	read_maps();
	if (find_vma(base - 1, &vma))
		heap = vma.start;
	put("brk start %s\n", heap % P ? "misaligned" : "aligned");

	while ((from = next(&old_breaks))) {
		while ((to = next(&breaks))) {
			syscall(__NR_brk, base);
			syscall(__NR_brk, base + from->v);
			put("brk %s %s", from->name, to->name);
			brk_row(base, syscall(__NR_brk, base + to->v));
		}
	}
	/* A page stays free below the next mapping. */
	must_map(base + 8 * P, P, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	while ((to = next(&breaks))) {
		syscall(__NR_brk, base);
		put("brk blocked %s", to->name);
		brk_row(base, syscall(__NR_brk, base + to->v));
	}
	syscall(__NR_brk, base);
	put("brk low 1");
	brk_row(base, syscall(__NR_brk, 1L));
	put("brk high -4K");
	brk_row(base, syscall(__NR_brk, -SZ_4K));
}

static struct set file_pages = { "0 1 2 7 8 1<<40 1<<50 1<<61 -1" };

static void do_remap_file_pages(void)
{
	const struct value *a, *l, *o;

	while ((a = next(&few_addrs))) {
		while ((l = next(&tiny_lens))) {
			while ((o = next(&file_pages))) {
				prepare(SHARED);
				put("remap_file_pages %s %s pgoff %s", a->name,
				    l->name, o->name);
				CALL(SHARED, __NR_remap_file_pages, a->v, l->v,
				     0, o->v, 0);
			}
		}
	}
	while ((l = next(&lens))) {
		prepare(ANON);
		put("remap_file_pages anon A %s pgoff 0", l->name);
		CALL(ANON, __NR_remap_file_pages, ARENA, l->v, 0, 0L, 0);
	}
}

#define ADVICE(x) { #x, MADV_##x }
static const struct {
	const char *name;
	int advice;
} advices[] = {
	ADVICE(NORMAL), ADVICE(RANDOM), ADVICE(SEQUENTIAL), ADVICE(WILLNEED),
	ADVICE(DONTNEED), ADVICE(FREE), ADVICE(REMOVE), ADVICE(DONTFORK),
	ADVICE(DOFORK), ADVICE(MERGEABLE), ADVICE(UNMERGEABLE),
	ADVICE(HUGEPAGE), ADVICE(NOHUGEPAGE), ADVICE(DONTDUMP), ADVICE(DODUMP),
	ADVICE(WIPEONFORK), ADVICE(KEEPONFORK), ADVICE(COLD), ADVICE(PAGEOUT),
	ADVICE(POPULATE_READ), ADVICE(POPULATE_WRITE), ADVICE(DONTNEED_LOCKED),
	ADVICE(COLLAPSE), ADVICE(GUARD_INSTALL), ADVICE(GUARD_REMOVE),
	{ "77", 77 },
};

static void do_madvise(void)
{
	const struct value *a, *l;
	static const enum base bases[] = { ANON, SHARED };
	unsigned int i, j;

	for (j = 0; j < ARRAY_SIZE(bases); j++) {
		for (i = 0; i < ARRAY_SIZE(advices); i++) {
			while ((a = next(&few_addrs))) {
				while ((l = next(j ? &tiny_lens : &few_lens))) {
					prepare(bases[j]);
					put("madvise b%d %s %s %s", bases[j],
					    advices[i].name, a->name, l->name);
					CALL(bases[j], __NR_madvise, a->v, l->v,
					     advices[i].advice);
				}
			}
		}
	}
	/* One advice in full, and over a hole. */
	while ((a = next(&addrs))) {
		while ((l = next(&lens))) {
			if (wild(a->v, l->v))
				continue;
			prepare(HOLE);
			put("madvise b%d DONTFORK %s %s", HOLE, a->name,
			    l->name);
			CALL(HOLE, __NR_madvise, a->v, l->v, MADV_DONTFORK);
		}
	}
	/* These poison memory unless the address is refused. */
	prepare(ANON);
	put("madvise b%d HWPOISON A+1 P", ANON);
	CALL(ANON, __NR_madvise, ARENA + 1, P, MADV_HWPOISON);
	put("madvise b%d HWPOISON A 0", ANON);
	CALL(ANON, __NR_madvise, ARENA, 0L, MADV_HWPOISON);
	if (P > SZ_4K) {
		put("madvise b%d HWPOISON A+4K P", ANON);
		CALL(ANON, __NR_madvise, ARENA + SZ_4K, P, MADV_HWPOISON);
		put("madvise b%d SOFT_OFFLINE A+4K P", ANON);
		CALL(ANON, __NR_madvise, ARENA + SZ_4K, P, MADV_SOFT_OFFLINE);
	}
}

static void process_madvise_rows(const char *whose, int pidfd)
{
	const struct value *a, *l;
	static const struct {
		const char *name;
		int advice;
	} how[] = {
		ADVICE(WILLNEED), ADVICE(COLD), ADVICE(PAGEOUT),
		ADVICE(COLLAPSE), ADVICE(DONTNEED), ADVICE(DONTFORK),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(how); i++) {
		while ((a = next(&few_addrs))) {
			while ((l = next(&tiny_lens))) {
				struct iovec vec[2] = {
					{ (void *)a->v, l->v },
					{ (void *)ARENA, P },
				};

				prepare(ANON);
				put("process_madvise %s %s %s %s", whose,
				    how[i].name, a->name, l->name);
				CALL(ANON, __NR_process_madvise, pidfd, vec, 2L,
				     how[i].advice, 0);
			}
		}
	}
}

static void do_process_madvise(void)
{
	int pidfd, pipe_fd[2];
	pid_t pid;
	char c;

	pidfd = syscall(__NR_pidfd_open, getpid(), 0);
	process_madvise_rows("self", pidfd);
	close(pidfd);

	prepare(ANON);
	out_flush();
	if (pipe(pipe_fd))
		_exit(KSFT_FAIL);
	pid = fork();
	if (!pid) {
		close(pipe_fd[1]);
		/* Live until the parent is through. */
		_exit(read(pipe_fd[0], &c, 1) != 0);
	}
	close(pipe_fd[0]);
	pidfd = syscall(__NR_pidfd_open, pid, 0);
	process_madvise_rows("other", pidfd);
	close(pidfd);
	close(pipe_fd[1]);
	waitpid(pid, NULL, 0);
}

static void do_anon_name(void)
{
	const struct value *a, *l;
	static const enum base bases[] = { ANON, HOLE };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		while ((a = next(&addrs))) {
			while ((l = next(&lens))) {
				if (wild(a->v, l->v))
					continue;
				prepare(bases[i]);
				put("anon_name b%d %s %s", bases[i], a->name,
				    l->name);
				CALL(bases[i], __NR_prctl, PR_SET_VMA,
				     PR_SET_VMA_ANON_NAME, a->v, l->v, "n");
			}
		}
	}
	while ((a = next(&few_addrs))) {
		while ((l = next(&tiny_lens))) {
			prepare(SHARED);
			put("anon_name b%d %s %s", SHARED, a->name, l->name);
			CALL(SHARED, __NR_prctl, PR_SET_VMA,
			     PR_SET_VMA_ANON_NAME, a->v, l->v, "n");
		}
	}
}

static void do_mincore(void)
{
	const struct value *a, *l;
	static const enum base bases[] = { TOUCHED, SHARED, HOLE };
	static unsigned char vec[64];
	unsigned int i, j, last;
	unsigned char *edge;
	long ret;
	int err;

	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		while ((a = next(&addrs))) {
			while ((l = next(&lens))) {
				if (wild(a->v, l->v))
					continue;
				prepare(bases[i]);
				memset(vec, 0x5a, sizeof(vec));
				errno = 0;
				ret = syscall(__NR_mincore, a->v, l->v, vec);
				err = errno;
				put("mincore b%d %s %s vec ", bases[i],
				    a->name, l->name);
				for (j = last = 0; j < sizeof(vec); j++)
					if (vec[j] != 0x5a)
						last = j + 1;
				for (j = 0; j < last; j++)
					put("%c", vec[j] < 2 ? '0' + vec[j] :
						  '.');
				end_row(ret, err, false, bases[i]);
			}
		}
	}
	/* A vector that ends at the end of its mapping. */
	edge = (unsigned char *)ARENA + 32 * P;
	for (i = 0; i < 10; i++) {
		while ((l = next(&few_lens))) {
			prepare(SHARED);
			must_map(ARENA + 31 * P, P, MAP_PRIVATE | MAP_ANONYMOUS,
				 -1);
			put("mincore vec of %d A %s", i, l->name);
			errno = 0;
			ret = syscall(__NR_mincore, ARENA, l->v, edge - i);
			err = errno;
			munmap(edge - P, P);
			end_row(ret, err, false, SHARED);
		}
	}
}

static void do_mlock(void)
{
	const struct value *a, *l;
	static const struct {
		const char *name;
		enum base base;
	} how[] = {
		{ "mlock", ANON }, { "mlock", HOLE }, { "mlock", SHARED },
		{ "mlock2,onfault", ANON }, { "munlock", ANON },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(how); i++) {
		while ((a = next(&addrs))) {
			while ((l = next(&lens))) {
				if (wild(a->v, l->v))
					continue;
				prepare(how[i].base);
				if (i == 4)
					syscall(__NR_mlock2, ARENA,
						BASE_PAGES * P, MLOCK_ONFAULT);
				put("%s b%d %s %s", how[i].name, how[i].base,
				    a->name, l->name);
				switch (i) {
				case 3:
					CALL(how[i].base, __NR_mlock2, a->v,
					     l->v, MLOCK_ONFAULT);
					break;
				case 4:
					CALL(how[i].base, __NR_munlock, a->v,
					     l->v);
					break;
				default:
					CALL(how[i].base, __NR_mlock, a->v,
					     l->v);
				}
			}
		}
	}
	prepare(ANON);
	put("mlock2 A P");
	CALL(ANON, __NR_mlock2, ARENA, P, 0);
	put("mlock2,bad A P");
	CALL(ANON, __NR_mlock2, ARENA, P, 8);
}

static void do_msync(void)
{
	const struct value *a, *l;
	static const struct {
		const char *name;
		int flags;
		enum base base;
	} how[] = {
		{ "async", MS_ASYNC, HOLE },
		{ "sync", MS_SYNC, SHARED },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(how); i++) {
		while ((a = next(&addrs))) {
			while ((l = next(&lens))) {
				if (wild(a->v, l->v))
					continue;
				prepare(how[i].base);
				put("msync b%d %s %s %s", how[i].base,
				    how[i].name, a->name, l->name);
				CALL(how[i].base, __NR_msync, a->v, l->v,
				     how[i].flags);
			}
		}
	}
	for (i = 0; i < 16; i++) {
		prepare(ANON);
		put("msync flags %#x A P", i);
		CALL(ANON, __NR_msync, ARENA, P, i);
	}
	/* Invalidating what is locked is refused. */
	while ((a = next(&few_addrs))) {
		while ((l = next(&few_lens))) {
			prepare(ANON);
			syscall(__NR_mlock, ARENA, P);
			put("msync locked %s %s", a->name, l->name);
			CALL(ANON, __NR_msync, a->v, l->v, MS_INVALIDATE);
		}
	}
}

struct seal_arg {
	enum base base;
	const struct value *a, *l;
};

static void mseal_row(const void *p)
{
	const struct seal_arg *arg = p;

	prepare(arg->base);
	put("mseal b%d %s %s", arg->base, arg->a->name, arg->l->name);
	CALL(arg->base, __NR_mseal, arg->a->v, arg->l->v, 0L);
	/* What got sealed can no longer be changed. */
	put("mseal b%d %s %s then mprotect", arg->base, arg->a->name,
	    arg->l->name);
	CALL(arg->base, __NR_mprotect, ARENA, BASE_PAGES * P, PROT_NONE);
}

static void do_mseal(void)
{
	const struct value *a, *l;
	static const enum base bases[] = { ANON, HOLE };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		while ((a = next(&few_addrs))) {
			while ((l = next(&few_lens))) {
				struct seal_arg arg = { bases[i], a, l };

				/* A seal lasts as long as the process. */
				in_child(mseal_row, &arg);
			}
		}
	}
}

static void do_mempolicy(void)
{
	const struct value *a, *l;
	static const struct {
		const char *name;
		int mode, flags;
		enum base base;
	} how[] = {
		{ "bind", MPOL_BIND, 0, ANON },
		{ "default", MPOL_DEFAULT, 0, HOLE },
		{ "preferred,move", MPOL_PREFERRED, MPOL_MF_MOVE, TOUCHED },
		{ "interleave,strict", MPOL_INTERLEAVE, MPOL_MF_STRICT, SHARED },
	};
	unsigned long node0 = 1;
	unsigned int i;
	int mode;
	long ret;

	for (i = 0; i < ARRAY_SIZE(how); i++) {
		while ((a = next(&addrs))) {
			while ((l = next(&lens))) {
				bool def = how[i].mode == MPOL_DEFAULT;

				if (wild(a->v, l->v))
					continue;
				prepare(how[i].base);
				put("mbind b%d %s %s %s", how[i].base,
				    how[i].name, a->name, l->name);
				CALL(how[i].base, __NR_mbind, a->v, l->v,
				     how[i].mode, def ? NULL : &node0,
				     def ? 0L : 64L, how[i].flags);
			}
		}
	}
	while ((a = next(&addrs))) {
		while ((l = next(&lens))) {
			if (wild(a->v, l->v))
				continue;
			prepare(ANON);
			syscall(__NR_mbind, ARENA, 4 * P, MPOL_BIND, &node0,
				64L, 0);
			put("home_node %s %s", a->name, l->name);
			CALL(ANON, __NR_set_mempolicy_home_node, a->v, l->v,
			     0L, 0L);
		}
	}
	while ((a = next(&addrs))) {
		static const int flags[] = {
			0, MPOL_F_ADDR, MPOL_F_ADDR | MPOL_F_NODE,
		};

		for (i = 0; i < ARRAY_SIZE(flags); i++) {
			prepare(TOUCHED);
			syscall(__NR_mbind, ARENA, P, MPOL_BIND, &node0, 64L,
				0);
			mode = -1;
			errno = 0;
			ret = syscall(__NR_get_mempolicy, &mode, NULL, 0L,
				      a->v, flags[i]);
			put("get_mempolicy %#x %s mode %d", flags[i], a->name,
			    mode);
			end_row(ret, errno, false, TOUCHED);
		}
	}
}

static void do_move_pages(void)
{
	const struct value *a;
	static const struct {
		const char *name;
		bool nodes;
		int flags;
	} how[] = {
		{ "query", false, 0 }, { "move", true, MPOL_MF_MOVE },
		{ "bad", true, 8 },
	};
	int zero[2] = { 0, 0 }, status[2];
	unsigned int i, n;
	long ret;

	for (i = 0; i < ARRAY_SIZE(how); i++) {
		while ((a = next(&addrs))) {
			for (n = 0; n <= 2; n++) {
				void *ptr[2] = {
					(void *)a->v, (void *)(a->v + 2 * P),
				};

				prepare(TOUCHED);
				status[0] = 99;
				status[1] = 99;
				errno = 0;
				ret = syscall(__NR_move_pages, 0, (long)n, ptr,
					      how[i].nodes ? zero : NULL,
					      status, how[i].flags);
				put("move_pages %s %s %u status %d %d",
				    how[i].name, a->name, n, status[0],
				    status[1]);
				end_row(ret, errno, false, TOUCHED);
			}
		}
	}
}

static struct set cache_offs = { "0 1 4K P-4K P-1 P P+4K 7P 8P-1 8P -4K" };

static struct set cache_lens = { "0 1 4K 4K+1 P-4K P P+1 64K 3P 8P 64P -4K" };

static struct set tails = { "P 1 4K 2P+4K 2P-1" };

static void do_cachestat(void)
{
	const struct value *o, *l, *t;
	struct cachestat_range range;
	struct cachestat stat;
	long ret;
	int fd;

	prepare(NOTHING);
	while ((o = next(&cache_offs))) {
		while ((l = next(&cache_lens))) {
			range.off = o->v;
			range.len = l->v;
			memset(&stat, 0, sizeof(stat));
			errno = 0;
			ret = syscall(__NR_cachestat, fd_full, &range, &stat, 0);
			put("cachestat %s %s cache %lu", o->name, l->name,
			    (unsigned long)stat.nr_cache);
			end_row(ret, errno, false, NOTHING);
		}
	}
	/* Files that end within a page. */
	while ((t = next(&tails))) {
		unsigned long off;

		fd = syscall(__NR_memfd_create, "tail", 0);
		for (off = 0; off < t->v; off += SZ_4K)
			if (pwrite(fd, "x", 1, off) != 1)
				_exit(KSFT_FAIL);
		if (ftruncate(fd, t->v))
			_exit(KSFT_FAIL);
		while ((l = next(&cache_lens))) {
			range.off = 0;
			range.len = l->v;
			memset(&stat, 0, sizeof(stat));
			errno = 0;
			ret = syscall(__NR_cachestat, fd, &range, &stat, 0);
			put("cachestat file of %s 0 %s cache %lu", t->name,
			    l->name, (unsigned long)stat.nr_cache);
			end_row(ret, errno, false, NOTHING);
		}
		close(fd);
	}
}

static void do_shadow_stack(void)
{
	const struct value *a, *l;

	while ((a = next(&few_addrs))) {
		while ((l = next(&few_lens))) {
			prepare(ANON);
			put("map_shadow_stack %s %s", a->name, l->name);
			CALL_ADDR(ANON, __NR_map_shadow_stack, a->v, l->v, 0);
		}
	}
}

static struct set shm_sizes = { "0 1 4K P-1 P P+1 P+4K 64K 3P -1" };

static struct set shm_addrs = {
	"0 A A+1 A+4K A+P-1 A+P A+16P A+16P+4K A+17P-1 4K 1 -4K"
};

static void do_shm(void)
{
	const struct value *s, *a;
	static const struct {
		const char *name;
		int flags;
	} how[] = {
		{ "0", 0 }, { "rnd", SHM_RND }, { "remap", SHM_REMAP },
		{ "rnd,remap", SHM_RND | SHM_REMAP },
		{ "rdonly,rnd", SHM_RDONLY | SHM_RND },
	};
	unsigned int i;
	long ret;
	int id;

	while ((s = next(&shm_sizes))) {
		prepare(ANON);
		errno = 0;
		id = syscall(__NR_shmget, IPC_PRIVATE, s->v, IPC_CREAT | 0600);
		put("shmget %s", s->name);
		end_row(id < 0 ? id : 0, errno, false, ANON);
		if (id < 0)
			continue;
		for (i = 0; i < ARRAY_SIZE(how); i++) {
			while ((a = next(&shm_addrs))) {
				prepare(ANON);
				put("shmat of %s %s %s", s->name, how[i].name,
				    a->name);
				CALL_ADDR(ANON, __NR_shmat, id, a->v,
					  how[i].flags);
			}
		}
		/* Detach a whole segment, and one cut in two. */
		while ((a = next(&shm_addrs))) {
			for (i = 0; i < 2; i++) {
				prepare(NOTHING);
				ret = syscall(__NR_shmat, id, ARENA, 0);
				if (ret != ARENA)
					continue;
				if (i && s->v <= P)
					continue;
				if (i)
					must_map(ARENA, P, MAP_PRIVATE |
						 MAP_ANONYMOUS, -1);
				put("shmdt of %s%s %s", s->name,
				    i ? ",cut" : "", a->name);
				CALL(NOTHING, __NR_shmdt, a->v);
			}
		}
		prepare(NOTHING);
		syscall(__NR_shmctl, id, IPC_RMID, NULL);
	}
}

static struct set below = { "-1 -4K -4K-1 -P -P-1 -3P-4K" };

/* Faults below a mapping that may grow down. */
static void do_growsdown(void)
{
	const struct value *b;

	while ((b = next(&below))) {
		prepare(NOTHING);
		must_map(ARENA, P, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN,
			 -1);
		put("growsdown touch %s", b->name);
		poke(ARENA + b->v);
		end_row(0, 0, false, NOTHING);
	}
}

/* Limits are in bytes of whole pages. */
static unsigned long status_bytes(const char *key)
{
	unsigned long kb = 0;
	char line[256];
	FILE *f;

	f = fopen("/proc/self/status", "r");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			kb = strtoul(line + strlen(key) + 1, NULL, 10);
	fclose(f);
	return kb * 1024;
}

static struct set rooms = { "0 4K P-4K P-1 P P+4K 64K 3P 8P" };

static void limit_rows(const void *unused)
{
	const struct value *room, *l, *a;
	static const struct {
		const char *name, *key;
		int resource;
	} limits[] = {
		{ "AS", "VmSize", RLIMIT_AS }, { "DATA", "VmData", RLIMIT_DATA },
	};
	unsigned int i;

	prepare(NOTHING);
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		while ((room = next(&rooms))) {
			struct rlimit old, limit;

			getrlimit(limits[i].resource, &old);
			limit = old;
			limit.rlim_cur = status_bytes(limits[i].key) + room->v;
			setrlimit(limits[i].resource, &limit);
			while ((l = next(&lens))) {
				prepare(NOTHING);
				put("limit %s %s mmap %s", limits[i].name,
				    room->name, l->name);
				CALL_ADDR(NOTHING, __NR_mmap, ARENA, l->v,
					  PROT_READ | PROT_WRITE, MAP_PRIVATE |
					  MAP_ANONYMOUS | MAP_FIXED, -1, 0L);
			}
			setrlimit(limits[i].resource, &old);
		}
	}
	/* Locked memory is not limited for the privileged. */
	if (syscall(__NR_setresuid, 65534, 65534, 65534))
		return;
	while ((room = next(&rooms))) {
		struct rlimit limit;

		getrlimit(RLIMIT_MEMLOCK, &limit);
		limit.rlim_cur = room->v;
		setrlimit(RLIMIT_MEMLOCK, &limit);
		while ((a = next(&few_addrs))) {
			while ((l = next(&tiny_lens))) {
				prepare(ANON);
				put("limit MEMLOCK %s mlock %s %s", room->name,
				    a->name, l->name);
				CALL(ANON, __NR_mlock, a->v, l->v);
			}
		}
	}
}

static void limits(void)
{
	in_child(limit_rows, NULL);
}

static void do_brk(void)
{
	in_child(do_brk_rows, NULL);
}

static struct set huge_addrs = { "0 H H+4K H+P H+2M" };

static struct set huge_lens = { "0 1 4K P 2M-P 2M-4K 2M 2M+1 4M" };

static void huge_row(unsigned long huge, long ret, int err, bool is_addr)
{
	const char *s = maps;
	unsigned int left = 0;
	struct vma vma;

	rows++;
	read_maps();
	if (ret == -1 && err)
		put(" = %s", error_name(err));
	else if (!is_addr)
		put(" = %ld", ret);
	else if ((unsigned long)ret >= huge && ret < huge + 0x2000000)
		put(" = H+%#lx", ret - huge);
	else
		put(" = new%s", ret % 0x200000 ? " misaligned" : "");
	while (next_vma(&s, &vma)) {
		if (vma.name_len < 14 ||
		    strncmp(vma.name, "/anon_hugepage", 14))
			continue;
		put("%s %#lx%s", left++ ? "" : " |", vma.end - vma.start,
		    vma.perms);
		munmap((void *)vma.start, vma.end - vma.start);
		read_maps();
		s = maps;
	}
	put("\n");
	munmap((void *)huge, 0x2000000);
}

/* Huge pages of 2M exist for every kernel page size; none gets touched. */
static void do_hugetlb(void)
{
	const struct value *a, *l;

	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE |
		    21 << MAP_HUGE_SHIFT;
	unsigned long huge = HUGE_ARENA;
	long ret;

	prepare(NOTHING);
	while ((a = next(&huge_addrs))) {
		while ((l = next(&huge_lens))) {
			put("mmap hugetlb hint %s %s", a->name, l->name);
			errno = 0;
			ret = syscall(__NR_mmap, a->v, l->v, PROT_READ, flags,
				      -1, 0L);
			huge_row(huge, ret, errno, true);
			if (!a->v)
				continue;
			put("mmap hugetlb fixed %s %s", a->name, l->name);
			errno = 0;
			ret = syscall(__NR_mmap, a->v, l->v, PROT_READ,
				      flags | MAP_FIXED, -1, 0L);
			huge_row(huge, ret, errno, true);
		}
	}
#define HUGE_CALL(call, ...)						\
	do {								\
		sys_mmap(huge, 0x600000, PROT_READ, flags | MAP_FIXED,	\
			 -1, 0);					\
		errno = 0;						\
		ret = syscall(__NR_##call, a->v, l->v, __VA_ARGS__);	\
		put(#call " hugetlb %s %s", a->name, l->name);		\
		huge_row(huge, ret, errno, false);			\
	} while (0)
	while ((a = next(&huge_addrs))) {
		while ((l = next(&huge_lens))) {
			HUGE_CALL(munmap, 0);
			HUGE_CALL(mprotect, PROT_NONE);
			HUGE_CALL(madvise, MADV_DONTNEED);
			HUGE_CALL(madvise, MADV_DONTFORK);
			HUGE_CALL(mlock, 0);
			HUGE_CALL(msync, MS_ASYNC);
		}
	}
#undef HUGE_CALL
}

/* --------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*fn)(void);
} calls[] = {
	{ "mmap-anon", do_mmap_anon },
	{ "mmap-file", do_mmap_file },
	{ "munmap", do_munmap },
	{ "mprotect", do_mprotect },
	{ "pkey_mprotect", do_pkey_mprotect },
	{ "mremap", do_mremap },
	{ "brk", do_brk },
	{ "remap_file_pages", do_remap_file_pages },
	{ "madvise", do_madvise },
	{ "process_madvise", do_process_madvise },
	{ "anon_name", do_anon_name },
	{ "mincore", do_mincore },
	{ "mlock", do_mlock },
	{ "msync", do_msync },
	{ "mseal", do_mseal },
	{ "mempolicy", do_mempolicy },
	{ "move_pages", do_move_pages },
	{ "cachestat", do_cachestat },
	{ "shadow_stack", do_shadow_stack },
	{ "shm", do_shm },
	{ "growsdown", do_growsdown },
	{ "limits", limits },
	{ "hugetlb", do_hugetlb },
};

static void usage(void)
{
	unsigned int i;

	fprintf(stderr, "Print what memory mapping calls answer. Names of calls select some:");
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		fprintf(stderr, " %s", calls[i].name);
	fprintf(stderr, "\n");
	exit(KSFT_FAIL);
}

static void setup(void)
{
	unsigned long off;

	P = getauxval(AT_PAGESZ);
	maps_fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	fd_full = syscall(__NR_memfd_create, "full", 0);
	if (maps_fd < 0 || fd_full < 0) {
		fprintf(stderr, "errno_matrix: needs /proc and memfd_create\n");
		exit(KSFT_SKIP);
	}
	for (off = 0; off < BASE_PAGES * P; off += SZ_4K) {
		if (pwrite(fd_full, "x", 1, off) == 1)
			continue;
		perror("errno_matrix: memfd");
		exit(KSFT_FAIL);
	}
	if (ftruncate(fd_full, BASE_PAGES * P))
		exit(KSFT_FAIL);
}

int main(int argc, char **argv)
{
	unsigned int i;
	int arg;

	for (arg = 1; arg < argc; arg++) {
		for (i = 0; i < ARRAY_SIZE(calls); i++)
			if (!strcmp(argv[arg], calls[i].name))
				break;
		if (i == ARRAY_SIZE(calls))
			usage();
	}

	setup();
	put("# process page size %lu\n", P);
	learn_layouts();
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		bool wanted = argc == 1;

		for (arg = 1; arg < argc; arg++)
			wanted |= !strcmp(argv[arg], calls[i].name);
		if (wanted)
			calls[i].fn();
	}
	prepare(NOTHING);
	put("# rows %lu, misaligned mappings %lu\n", rows, misaligned);
	out_flush();
	return misaligned ? KSFT_FAIL : KSFT_PASS;
}
