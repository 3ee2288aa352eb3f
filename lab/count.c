// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU that counts the instructions of one virtual processor, apart
 * for kernel and user space: by bit 63 of the address. Made by lab/count.
 *
 * A program in the guest tells what to count: it executes
 *	movz xzr, #0xc0b1	from here
 *	movz xzr, #0xc0b2	to here
 * which do nothing else, and which no compiler writes. For each such pair, a line
 * "kernel N user N" is written to the file out=FILE. With text=ADDRESS,size=BYTES,
 * lines "at ADDRESS N" follow it, for each instruction executed there.
 *
 * What is used of QEMU's interface is declared here: the header is not in Debian's
 * binary packages, and these functions have not changed between its versions, but
 * for insn_data(). The version that QEMU wants is that of the release.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* Version 1: QEMU 6 to 8.1; 2: 8.2 and 9.0; 3: 9.1 and later; 4: 9.2. */
#ifndef API
#define API 1
#endif

typedef uint64_t plugin_id;
struct plugin_tb;
struct plugin_insn;
typedef void (*tb_trans_cb)(plugin_id id, struct plugin_tb *tb);
typedef void (*exec_cb)(unsigned int vcpu, void *data);

size_t qemu_plugin_tb_n_insns(const struct plugin_tb *tb);
struct plugin_insn *qemu_plugin_tb_get_insn(const struct plugin_tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct plugin_insn *insn);
#if API < 3
const void *qemu_plugin_insn_data(const struct plugin_insn *insn);
#else
size_t qemu_plugin_insn_data(const struct plugin_insn *insn, void *to, size_t len);
#endif
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, tb_trans_cb cb);
void qemu_plugin_register_vcpu_insn_exec_cb(struct plugin_insn *insn, exec_cb cb, int flags, void *data);

EXPORT int qemu_plugin_version = API;

#define MOVZ_XZR(imm)	(0xd2800000u | (imm) << 5 | 31)
#define BEGIN		MOVZ_XZR(0xc0b1u)
#define END		MOVZ_XZR(0xc0b2u)

static uint64_t count[2], start[2];
static FILE *out;

/* How often each instruction of the kernel was executed. */
static uint64_t *at, text, nr_at;

static void on_insn(unsigned int vcpu, void *data)
{
	++*(uint64_t *)data;
}

static void on_begin(unsigned int vcpu, void *data)
{
	memcpy(start, count, sizeof(start));
	if (at)
		memset(at, 0, nr_at * sizeof(*at));
}

static void on_end(unsigned int vcpu, void *data)
{
	uint64_t i;

	fprintf(out, "kernel %llu user %llu\n", (unsigned long long)(count[1] - start[1]),
		(unsigned long long)(count[0] - start[0]));
	for (i = 0; i < nr_at; i++)
		if (at[i])
			fprintf(out, "at %llx %llu\n", (unsigned long long)(text + i * 4),
				(unsigned long long)at[i]);
	fflush(out);
}

static void on_translate(plugin_id id, struct plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), i;

	for (i = 0; i < n; i++) {
		struct plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t addr = qemu_plugin_insn_vaddr(insn);
		uint32_t code = 0;

#if API < 3
		memcpy(&code, qemu_plugin_insn_data(insn), sizeof(code));
#else
		qemu_plugin_insn_data(insn, &code, sizeof(code));
#endif
		qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, 0, &count[addr >> 63]);
		if (addr - text < nr_at * 4)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_insn, 0, &at[(addr - text) / 4]);
		if (!(addr >> 63) && (code == BEGIN || code == END))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, code == BEGIN ? on_begin : on_end, 0, NULL);
	}
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
		else if (!strncmp(argv[i], "text=", 5))
			text = strtoull(argv[i] + 5, NULL, 16);
		else if (!strncmp(argv[i], "size=", 5))
			nr_at = strtoull(argv[i] + 5, NULL, 0) / 4;
	}
	if (nr_at)
		at = calloc(nr_at, sizeof(*at));
	if (!out || (nr_at && !at))
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
