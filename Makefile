# SPDX-License-Identifier: GPL-2.0
# The front door: thin calls of the programs in lab/, each of which has --help and
# does again only what is out of date.

KERNEL = 4k
SIGNOFF =
ARGS =
MAILS = build/mails

ifdef LINUX
export LINUX
endif

.PHONY: help deps deps-all tree base-tree kernel run shell measure check check-full \
	check-series lint series clean

help:
	@echo 'make run            boot the patched kernel, run real programs under 64k and 16k'
	@echo 'make check          the everyday proof: build, boot, run the tests'
	@echo
	@echo 'make deps           install the Debian packages that these two need'
	@echo 'make tree           build/tree: the kernel, one commit per patch'
	@echo 'make kernel         build a kernel; KERNEL=4k|16k|base|oracle|oracle16, and of these +debug,'
	@echo '                    +perf, +va52, +hw; of 4k and 16k also +nonative, +off'
	@echo 'make shell          a shell in a guest; KERNEL=, ARGS= as for lab/vm shell'
	@echo 'make measure        page faults and memory: base, 4k, 64k and oracle in a table'
	@echo 'make check-full     oracle, debug and 16K kernels, CPU models, long tests (hours)'
	@echo 'make check-series   every patch on its own: build, boot, other configurations (hours)'
	@echo 'make lint           checkpatch on every patch, syntax of the tools'
	@echo 'make series         the series as mails in $(MAILS); SIGNOFF="Name <mail>"'
	@echo 'make clean          remove build/ (refused while build/tree has work of its own); the'
	@echo '                    cache in ~/.cache/process-page-size is removed by hand'
	@echo
	@echo 'LINUX=PATH          the base: git tree, directory or tarball of Linux 7.3'
	@echo 'ARGS="OPTION..."    for the program that run, shell, measure, check, check-full,'
	@echo '                    check-series and lint call; ARGS=--help lists its options'

deps:
	@lab/deps

# One after the other also with make -j: dpkg has one lock.
deps-all: deps
	@lab/deps --all

# Little of a first build is in the compiler cache: do not preprocess to look for it.
kernel run shell check: export CCACHE_DEPEND = 1

tree: deps
	@lab/series apply

kernel: tree base-tree
	@lab/kernel $(KERNEL)

# build/base, for the kernels that are built from it
base-tree: deps
	@case "$(KERNEL)" in base*|oracle*) lab/base --quiet --tree >/dev/null;; esac

run: tree
	@lab/run $(ARGS)

shell: tree base-tree
	@lab/kernel $(KERNEL)
	@lab/vm shell --kernel $(KERNEL) $(ARGS)

measure: tree
	@lab/base --quiet --tree >/dev/null
	@lab/measure $(ARGS)

check: tree
	@lab/check $(ARGS)

check-full: deps-all tree
	@lab/base --quiet --tree >/dev/null
	@lab/check-full $(ARGS)

check-series: deps-all tree
	@lab/check-series $(ARGS)

lint: deps-all tree
	@lab/lint $(ARGS)

series: tree
	@lab/series export $(MAILS) $(if $(SIGNOFF),--signoff "$(SIGNOFF)")

clean:
	@lab/series clean
