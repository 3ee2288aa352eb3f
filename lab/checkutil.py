# SPDX-License-Identifier: GPL-2.0
"""What lab/check and lab/check-full share: running the tests and judging them."""

import argparse
import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

from gitutil import BUILD, Lock

LAB = os.path.dirname(os.path.realpath(__file__))
REPO = os.path.dirname(LAB)
GOLDEN = os.path.join(LAB, "golden")
DIFFERENCES = os.path.join(GOLDEN, "differences.txt")

# Whose rows and results a process with this page size must match.
ORACLES = {"4k": "base", "16k": "oracle16", "64k": "oracle"}
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")
SHOWN = 20


class Failure(Exception):
    """What makes going on pointless: one line for the user."""


class Parser(argparse.ArgumentParser):
    """Options; what is wrong with them is one line."""

    def error(self, message):
        print(f"{os.path.basename(self.prog)}: {message}; see --help", file=sys.stderr)
        sys.exit(2)


def qemu():
    """QEMU and its version."""
    try:
        said = subprocess.run(["qemu-system-aarch64", "--version"], stdout=subprocess.PIPE, text=True).stdout
    except FileNotFoundError:
        said = ""
    return (said.splitlines() or ["no QEMU"])[0]


class Counts:
    """What is passed, failed and skipped, told as it becomes known."""

    def __init__(self, name):
        self.name = name
        self.passed = self.failed = self.skipped = 0
        self.rows = 0
        self.lock = threading.Lock()
        self.started = time.monotonic()

    def say(self, text):
        print(f"{self.name}: {text}", flush=True)

    def add(self, what, passed=0, failed=0, skipped=0, details=(), note=""):
        with self.lock:
            self.passed += passed
            self.failed += failed
            self.skipped += skipped
            parts = [f"{n} {word}" for n, word in ((passed, "passed"), (failed, "FAILED"),
                                                   (skipped, "skipped")) if n]
            self.say(f"{what}: {', '.join(parts) or 'nothing ran'}{note}")
            for line in details:
                print(f"    {line}", flush=True)

    def check(self, what, ok, details=(), note=""):
        self.add(what, passed=int(ok), failed=int(not ok), details=() if ok else details, note=note)
        return ok

    def close(self):
        rows = f"{self.rows} rows compared, " if self.rows else ""
        self.say(f"{rows}{time.monotonic() - self.started:.0f} s; {qemu()}")
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed or not self.passed else 0


RUNNING = set()
STOPPING = threading.Event()


def run(command, output=None, timeout=None):
    """Run a command of the lab in a group of its own; its status, and stdout unless in a file."""
    if STOPPING.is_set():
        raise Failure("interrupted")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output or subprocess.PIPE,
                               stderr=subprocess.STDOUT if output else None, text=True, errors="replace",
                               start_new_session=True)
    RUNNING.add(process)
    try:
        text, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        text, _ = process.communicate()
        return 124, text
    finally:
        RUNNING.discard(process)
    return process.returncode, text


def stop(*_):
    STOPPING.set()
    for process in list(RUNNING):
        try:
            os.killpg(process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
    raise KeyboardInterrupt


def need(*command):
    """A step that all the others build on; the last line of its output."""
    status, text = run([os.path.join(LAB, command[0]), *command[1:]])
    if status:
        raise Failure(f"lab/{' '.join(command)} failed ({status}); its message is above")
    lines = text.splitlines()
    return lines[-1] if lines else ""


# --------------------------------------------------------------------------------
# The results of tests

RESULT = re.compile(r"^(not )?ok (\d+) (\S+)(?:\s+#\s*(SKIP|XFAIL)\b.*)?$")
# Why tests of native page tables are skipped on a CPU without the granule; and in the names of guests,
# the CPUs that have that of 16K.
NO_GRANULE = "the hardware has no such granule here"
HAVE_16K = re.compile(r"neoverse|\bmax\b")


class Test:
    """One test program: what its TAP says."""

    def __init__(self, name):
        self.name = name
        self.results = {}
        self.reasons, self.reason = {}, ""
        self.plan = None
        self.status = None
        self.seconds = 0
        self.lines = []
        self.counted = {}

    def line(self, line):
        self.lines.append(line)
        match = RESULT.match(line)
        if match:
            bad, _, name, directive = match.groups()
            result = "skip" if directive == "SKIP" else "fail" if bad and not directive else "pass"
            # The same name twice must not hide the first result.
            while name in self.results:
                name += "'"
            self.results[name] = result
            # What the child said, and what the test made of it.
            said = (self.reason, line.partition("# SKIP ")[2])
            self.reasons[name], self.reason = "; ".join(filter(None, said)), ""
        elif line.startswith("# skipped: "):
            # Said by the child that does it, before the result.
            self.reason = line.partition(": ")[2]
        elif self.plan is None and re.match(r"^1\.\.\d+$", line):
            self.plan = int(line[3:])

    def count(self, result):
        return sum(1 for r in self.results.values() if r == result)

    def told(self):
        """What the kernel counted, where that is not nothing."""
        return "".join(f", {n} {name.removeprefix('process_page_')}" for name, n in self.counted.items()
                       if n and name not in ("native_walks", "process_page_misfit"))

    def problems(self):
        """Lines for the user about what went wrong; none if all is well."""
        out, recent = [], []
        for line in self.lines:
            match = RESULT.match(line)
            if match and match.group(1) and not match.group(4):
                out += [text for text in recent if not text.startswith("#  RUN")][-8:] + [line]
            if match:
                recent = []
            else:
                recent.append(line)
        if self.status is None:
            out.append(f"{self.name} did not end")
        elif self.status == 124:
            out.append(f"{self.name} ran into its time limit")
        elif self.status not in (0, 4) and not out:
            out += self.lines[-8:] + [f"{self.name}: exit status {self.status}"]
        if self.plan is None and self.status != 4:
            out.append(f"{self.name} printed no plan")
        elif self.plan is not None and self.plan != len(self.results):
            out.append(f"{self.name}: {len(self.results)} of {self.plan} results")
        return out


def parse_tests(text):
    """The tests in the output of the runner that lab/selftests makes."""
    tests, current = [], None
    for line in text.splitlines():
        begin = re.match(r"^# begin (\S+)$", line)
        end = re.match(r"^# end (\S+) status (\d+) after (\d+) s$", line)
        counted = re.match(r"^# counted (\w+) (-?\d+)$", line)
        if begin:
            current = Test(begin.group(1))
            tests.append(current)
        elif end and current:
            current.status, current.seconds = int(end.group(2)), int(end.group(3))
            current = None
        elif current and counted:
            current.counted[counted.group(1)] = int(counted.group(2))
        elif current:
            current.line(line)
    return tests


# Tests inside the kernel: KUnit's TAP in the console's log, each line with a time.
KUNIT_SUITES = ("arm64_native_pgtable",)
KUNIT_LINE = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\] {5}(\S.*)$")


def parse_kunit(text):
    """The suites of KUnit in a console's log: {name: {test: result}}, with the lines of what failed."""
    suites, current, recent, failures = {}, None, [], {}
    for line in text.splitlines():
        match = KUNIT_LINE.match(line)
        if not match:
            continue
        line = match.group(1)
        begin = re.match(r"^# Subtest: (\S+)$", line)
        result = RESULT.match(line)
        if begin:
            current = begin.group(1)
            suites[current], failures[current], recent = {}, [], []
        elif current and result:
            bad, _, name, directive = result.groups()
            suites[current][name] = "skip" if directive == "SKIP" else "fail" if bad else "pass"
            if bad:
                failures[current] += recent[-20:] + [line]
            recent = []
        elif current and re.match(r"^1\.\.\d+$", line):
            suites[current]["plan"] = int(line[3:])
        elif current:
            recent.append(line)
    return suites, failures


def judge_kunit(counts, what, console):
    """Count the tests inside the kernel; a suite that did not run to its end has failed."""
    try:
        with open(console, errors="replace") as f:
            suites, failures = parse_kunit(f.read())
    except FileNotFoundError:
        suites, failures = {}, {}
    for name in KUNIT_SUITES:
        results = dict(suites.get(name, {}))
        plan = results.pop("plan", None)
        found = list(results.values())
        details = failures.get(name, [])
        short = plan is None or plan != len(found)
        if short:
            details = details + [f"{len(found)} of {plan} tests ran: is CONFIG_KUNIT on? See {console}"]
        counts.add(f"{what}: KUnit {name}", found.count("pass"), found.count("fail") + int(short),
                   found.count("skip"), details)


# --------------------------------------------------------------------------------
# Rows of errno_matrix

def read_rows(path):
    """The rows of a file without its comments, by what was called, in order."""
    rows = {}
    with open(path) as f:
        for line in f:
            line = line.rstrip("\n")
            if line.startswith("#") or not line:
                continue
            call, separator, answer = line.partition(" = ")
            if not separator:
                call, answer = line, ""
            # A call that is made twice has two rows.
            key, n = call, 1
            while key in rows:
                n += 1
                key = f"{call} ({n})"
            rows[key] = answer
    return rows


def complete(path):
    """Whether a file of rows is whole: its last line counts them."""
    with open(path, "rb") as f:
        f.seek(0, os.SEEK_END)
        f.seek(max(0, f.tell() - 200))
        tail = f.read().decode(errors="replace").splitlines()
    return bool(tail) and bool(re.match(r"^# rows \d+, misaligned mappings 0$", tail[-1]))


def read_differences(path=DIFFERENCES):
    """Rows that are meant to differ: {size: {call: (oracle's answer, ours)}}."""
    known = {}
    with open(path) as f:
        for n, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if line.startswith("#") or not line:
                continue
            fields = line.split("\t")
            if len(fields) != 4 or fields[0] not in ORACLES:
                raise Failure(f"{path}:{n}: wants SIZE, CALL, the oracle's answer and ours, with tabs between")
            known.setdefault(fields[0], {})[fields[1]] = (fields[2], fields[3])
    return known


def compare_rows(golden, ours, known):
    """What is wrong with our rows, as lines; a known difference must be there."""
    out = []
    for call in golden:
        if call not in ours:
            out.append(f"{call}: no such row here")
            continue
        want = golden[call]
        if call in known:
            if known[call][0] != want:
                out.append(f"{call} = {want}: differences.txt says that the oracle answers {known[call][0]}")
            want = known[call][1]
        if ours[call] != want:
            out.append(f"{call} = {ours[call]}: must be {want}")
    out += [f"{call} = {ours[call]}: no such row in the golden file" for call in ours if call not in golden]
    out += [f"{call}: in differences.txt, but no such row" for call in known if call not in golden]
    return out


# --------------------------------------------------------------------------------
# In guests

# Tests that are not started with other page sizes, for all that they look at is in
# processes that they start themselves, with each size.
ONCE = ("errno_matrix_test", "error_test", "exec_test")
# Of those, what is long: every day they do not run again. A child that is to have the default
# size has that of the kernel, whatever its parent has.
LONG = ("anon_test", "file_test", "share_test", "pin_test", "pressure_test")

# Tests that do the same under "4k" as under "default" where the kernel has 4K pages: every day,
# they do it once.
SAME_AT_4K = (*LONG, "error_test", "exec_test", "native_test")


def rerun(test, everything=True):
    """Whether a test is started with other page sizes too."""
    return test not in ONCE and (everything or test not in LONG)


def same_at_4k(test, kernel, everything=True):
    """Whether a test leaves out the page size that is the kernel's."""
    return not everything and kernel.startswith("4k") and test in SAME_AT_4K


# So long the rows of one page size may take, where no debug option makes it slow.
ROWS_SECONDS = 120

JOB = r"""#!/bin/sh
# Made by lab/check: all tests, then the rows, into results/.
cd /mnt || exit 1
mkdir -p results
export TIMEOUT
for size in $1; do
	case $size in
	default)
		for test in $(cat tests); do
			OPTIONS=
			! echo "$test" | grep -qxE "$5" || OPTIONS='-V 4k'
			[ -z "$4" ] || [ "$test" != file_test ] || OPTIONS="$OPTIONS -T remount"
			export OPTIONS
			./run "$test"
		done > results/tests-default 2>&1 ;;
	*) OPTIONS=$4 setarch --pagesize=$size ./run $(grep -vxE "$3" tests) > results/tests-$size 2>&1 ;;
	esac
	echo "tests $size"
done
for size in $2; do
	start=$(cut -d. -f1 /proc/uptime)
	case $size in
	native) ./errno_matrix > results/rows-native 2> results/rows-native.err ;;
	*) setarch --pagesize=$size ./errno_matrix > results/rows-$size 2> results/rows-$size.err ;;
	esac
	echo "rows $size status $? after $(($(cut -d. -f1 /proc/uptime) - start)) s"
done
exit 0
"""


def for_all(folder):
    """Other users of the guest read it too, whatever the user's umask was when its files were made."""
    subprocess.run(["chmod", "-R", "a+rX", "--", folder], check=True)


# Of tests that are started with a page size, those that go on with that size. The others start
# programs with sizes of their own, as they do when they are started with none.
INHERITED = "-V 4k -V 16k -V 64k"


def guest(name, options, tests=("default",), rows=(), limit=3600, each=600, everything=True):
    """
    Run the tests in a guest. Returns the folder of results, the status and what lab/vm said. Without
    everything, the name is that of the kernel.
    """
    folder = os.path.join(BUILD, "check", name)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(os.path.join(BUILD, "selftests", "pagesize"), folder,
                    ignore=shutil.ignore_patterns("x-*", ".how"))
    with open(os.path.join(folder, "job"), "w") as f:
        f.write(JOB.replace("export TIMEOUT", f"export TIMEOUT={each}"))
    os.chmod(os.path.join(folder, "job"), 0o755)
    for_all(folder)
    said = os.path.join(folder, "vm.log")
    with open(said, "w") as f:
        status, _ = run([os.path.join(LAB, "vm"), "run", *options, "--share", folder, "--timeout", str(limit),
                         "--log", os.path.join(folder, "console.log"),
                         "--", "/mnt/job", " ".join(tests), " ".join(rows),
                         "|".join(test for test in (*ONCE, *LONG) if not rerun(test, everything)),
                         "" if everything else INHERITED,
                         "|".join(test for test in SAME_AT_4K if same_at_4k(test, name, everything))], output=f)
    with open(said, errors="replace") as f:
        return os.path.join(folder, "results"), status, f.read()


# Tests in which processes may go back to the kernel's own page tables, how often, and why; in no other
# one. At most half as many again as were seen on any CPU, and where they are few, some.
DEMOTING = {
    "vdso_test": (9, "the data of a time namespace for which no block can be had"),
    "memory_test": (6, "now and then, memory that is shared with a partner of smaller pages"),
    "anon_test": (6, "futexes in files that are cached in pieces, and may be busy"),
    "file_test": (40, "files that are cached in pieces, or lose their end while they are mapped"),
    "share_test": (35, "files and shared memory that a process with smaller pages has in pieces"),
    "pin_test": (9, "pins that keep a block from being made whole"),
    "pressure_test": (24, "reclaim and swap, in pieces"),
    "error_test": (24, "no memory; pages that cannot be read or written"),
    "native_test": (80, "asks for it: by debugfs, and to see what it costs and that it can be fatal"),
}
# Tests that must pass though no oracle has them, where the kernel's debug options are on.
OURS = {
    "selection_test": ("seen_by_others",),
    "args_test": ("to_the_byte",),
    "file_test": ("preferred", "race"),
    "share_test": ("direct_append", "later", "later_on_disk"),
    "native_test": ("demote", "retry", "vfat", "remote", "refill", "faults", "fatal", "walk", "ipi",
                    "no_table", "hugetlb"),
}


def judge_demotions(tests):
    """A line for each test where more processes were demoted than there is a reason for."""
    out = []
    for name, test in tests.items():
        demoted, (most, _) = test.counted.get("process_page_demote", 0), DEMOTING.get(test.name, (0, ""))
        if demoted > most:
            out.append(f"{name}: {demoted} demotions, at most {most} have a reason")
    return out


def judge_walks(tests, native=True):
    """Lines about the table that system calls saw the hardware walk, if not always the right one."""
    out = [f"{name}: {test.counted['native_errors']} errors of the checker and the ledger"
           for name, test in tests.items() if test.counted.get("native_errors")]
    walks = sum(test.counted.get("native_walks", 0) for test in tests.values())
    if not any("native_errors" in test.counted for test in tests.values()):
        out.append("nothing was counted: is CONFIG_ARM64_NATIVE_PGTABLE_DEBUG on?")
    elif bool(walks) != native:
        out.append(f"{walks} system calls saw that a native table was walked")
    return out, walks


# What kernels with 16K pages cannot show, and what the test says of it.
SKIPPED_16K = {
    # Blocks of swap are of a size that the disk has no room for.
    ("error_test", "64k.swapoff"): "skipped in the child",
    ("share_test", "64k.direct_append"): "no page of this kernel ends there",
    ("share_test", "64k.later"): "a partner with smaller ones",
    ("share_test", "64k.later_on_disk"): "a partner with smaller ones",
}


def page_of(what):
    """The page of the kernel that was checked: its name begins with that, or is not told."""
    return "16k" if re.match(r"16k\b", what) else "4k"


def may_be_skipped(what, test, name, result, reason):
    """Whether a test that must pass may be skipped, as the kernel has 16K pages, or the guest one processor."""
    if re.search(r"\b1 processors?\b", what) and result == "skip" and reason.endswith("wants two processors"):
        return True
    said = SKIPPED_16K.get((test, ".".join(name.split(".")[1:])))
    return bool(page_of(what) == "16k" and result == "skip" and said and said in reason)


def judge_ours(what, listed, size, results, reasons, lacks=False):
    """A line for each test that no oracle has, and that did not pass; or find no granule, where that lacks."""
    out = []
    for test in listed:
        for name in OURS.get(test, ()):
            name = f"pages.{size}.{name}"
            found, reason = (said.get(test, {}).get(name, "") for said in (results, reasons))
            if not lacks or test != "native_test":
                if found != "pass" and not may_be_skipped(what, test, name, found, reason):
                    out.append(f"{test} {name} must pass: {found or 'not run'} {reason}".rstrip())
            elif found != "skip" or NO_GRANULE not in reason:
                out.append(f"{test} {name} must find no granule: {found or 'not run'} {reason}".rstrip())
    return out


def judge_guest(counts, what, result, tests=("default",), rows=(), expected=None, everything=True, native=True):
    """
    Count what a guest did; expected: {size: names that must pass}. Without everything, "what" is the
    name of the kernel; native: whether there can be native tables on this CPU.
    """
    results, status, said = result
    counts.check(f"{what}: guest", status == 0,
                 said.splitlines()[-25:] + [f"lab/vm: status {status}"])
    debugging = not re.search(r"\+(perf|nonative|off)\b", what)
    if debugging:
        judge_kunit(counts, what, os.path.join(os.path.dirname(results), "console.log"))
    listed = open(os.path.join(BUILD, "selftests", "pagesize", "tests")).read().split()
    passed, reasons, ran = {}, {}, {}
    for size in tests:
        under = "" if size == "default" else f" under {size}"
        try:
            with open(os.path.join(results, f"tests-{size}"), errors="replace") as f:
                found = {test.name: test for test in parse_tests(f.read())}
        except FileNotFoundError:
            found = {}
        for name in listed:
            if size != "default" and not rerun(name, everything):
                continue
            test = found.get(name) or Test(name)
            problems = test.problems()
            failed = test.count("fail") or int(bool(problems))
            counts.add(f"{what}: {name}{under}", test.count("pass"), failed, test.count("skip"), problems[:60],
                       note=f" ({test.seconds} s{test.told()})")
            ran[name + under] = test
            if size == "default":
                passed[name], reasons[name] = test.results, test.reasons
    if not re.search(r"\+off\b", what):
        counted = sum(test.name not in DEMOTING for test in ran.values() if "process_page_demote" in test.counted)
        demoted = judge_demotions(ran)
        counts.check(f"{what}: no process was demoted in {counted} tests that have no reason for it",
                     bool(counted) and not demoted, demoted or ["no test said how many were"])
    if debugging:
        wrong, walks = judge_walks(ran, native)
        counts.check(f"{what}: {walks} system calls saw a native table walked, and none a wrong one", not wrong, wrong)
    for size in rows:
        match = re.search(rf"^rows {size} status (\d+) after (\d+) s$", said, re.M)
        seconds = int(match[2]) if match else 0
        judge_rows(counts, what, size, os.path.join(results, f"rows-{size}"),
                   [f"status {match[1]}" if match else "did not end"] if not match or match[1] != "0" else
                   [f"took {seconds} s, at most {ROWS_SECONDS} were agreed on"]
                   if seconds > ROWS_SECONDS and "debug" not in what else [], seconds)
    for size, names in (expected or {}).items():
        if not names:
            counts.add(f"{what}: results under {size}", skipped=1, details=[f"no golden results for {size}"])
            continue
        # What was left out is the same as what the default is.
        wanted = [(test, name, name if size == "4k" and same_at_4k(test, what, everything) else
                   re.sub(r"^pages\.default\.", f"pages.{size}.", name)) for test, name in names]
        # A CPU may lack the granule: then all that needs it is skipped for that reason.
        lacks = not native or size == "16k" and not HAVE_16K.search(what)
        missing = [f"{test} {here} passes on {ORACLES[size]} as {name}, here: "
                   f"{passed.get(test, {}).get(here, 'not run')}"
                   for test, name, here in wanted if passed.get(test, {}).get(here) != "pass" and not
                   (lacks and NO_GRANULE in reasons.get(test, {}).get(here, "")) and not
                   may_be_skipped(what, test, here, passed.get(test, {}).get(here), reasons.get(test, {}).get(here, ""))]
        if debugging and size != page_of(what):
            missing += judge_ours(what, listed, size, passed, reasons, lacks)
        counts.check(f"{what}: {len(wanted)} results of {ORACLES[size]} under {size}", not missing, missing)


def judge_rows(counts, what, size, path, wrong, seconds):
    golden = os.path.join(GOLDEN, f"errno-{size}.txt")
    if not os.path.exists(golden):
        counts.add(f"{what}: rows under {size}", skipped=1,
                   details=[f"no {golden}; make it by 'lab/check-full golden --update --sizes {size}'"])
        return
    if not os.path.exists(path) or not complete(path):
        counts.check(f"{what}: rows under {size}", False, [f"{path} is missing or was cut short"])
        return
    want, have = read_rows(golden), read_rows(path)
    known = read_differences().get(size, {})
    wrong = wrong + compare_rows(want, have, known)
    counts.rows += len(want)
    details = wrong[:SHOWN]
    if len(wrong) > SHOWN:
        details.append(f"and {len(wrong) - SHOWN} more: compare {path} with {golden}")
    counts.check(f"{what}: {len(want)} rows under {size} against {ORACLES[size]}", not wrong, details,
                 note=f" ({len(known)} known differences, {seconds} s)" if known else f" ({seconds} s)")


def golden_results(size):
    """The tests that passed on the oracle: [(program, name)]."""
    names, path = [], os.path.join(GOLDEN, f"selftests-{size}.txt")
    if not os.path.exists(path):
        return []
    with open(path) as f:
        for line in f:
            if not line.startswith("#") and line.strip():
                names.append(tuple(line.split()))
    return names


def header(kernel, command, what):
    return (f"# {what}\n"
            f"# Made by lab/check-full --update, from kernel {kernel}: \n"
            f"#   {command}\n").replace(": \n", ":\n")


def make_golden(counts, folder, sizes=("4k", "16k", "64k")):
    """Ask the oracles anew; write their answers to a folder."""
    os.makedirs(folder, exist_ok=True)
    for size in sizes:
        kernel = ORACLES[size]
        result = guest(f"golden-{size}", ["--kernel", kernel], rows=("native",))
        results, status, said = result
        if not counts.check(f"{kernel}: guest", status == 0, said.splitlines()[-25:]):
            continue
        rows = os.path.join(results, "rows-native")
        if not counts.check(f"{kernel}: rows", os.path.exists(rows) and complete(rows), [f"see {rows}"]):
            continue
        with open(rows) as f:
            text = f.read()
        with open(os.path.join(folder, f"errno-{size}.txt"), "w") as f:
            f.write(header(kernel, f"lab/vm run --kernel {kernel} --share build/selftests/pagesize -- "
                                   "/mnt/errno_matrix",
                           f"What memory mapping calls answer to a process with {size} pages.") + text)
        with open(os.path.join(results, "tests-default"), errors="replace") as f:
            tests = parse_tests(f.read())
        names = []
        for test in tests:
            problems = test.problems()
            counts.add(f"{kernel}: {test.name}", test.count("pass"), test.count("fail") or int(bool(problems)),
                       test.count("skip"), problems[:60])
            names += [f"{test.name} {name}" for name, outcome in test.results.items()
                      if outcome == "pass" and name.startswith("pages.default.")]
        with open(os.path.join(folder, f"selftests-{size}.txt"), "w") as f:
            f.write(header(kernel, f"lab/vm run --kernel {kernel} --share build/selftests/pagesize -- /mnt/run",
                           f"Tests that pass where all processes have {size} pages.") + "\n".join(names) + "\n")


def compare_golden(counts, folder):
    for name in sorted(os.listdir(folder)):
        new, old = os.path.join(folder, name), os.path.join(GOLDEN, name)
        before = open(old).read().splitlines() if os.path.exists(old) else []
        after = open(new).read().splitlines()
        diff = list(difflib.unified_diff(before, after, f"lab/golden/{name}", new, lineterm="", n=0))
        counts.check(f"lab/golden/{name} is what the kernel says", not diff,
                     diff[:SHOWN] + ["lab/check-full --update takes the new answers"])


# --------------------------------------------------------------------------------
# Tests of the lab itself

def host_tests(counts):
    folder = os.path.join(LAB, "tests")
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if not name.endswith("-test") or not os.access(path, os.X_OK):
            continue
        started = time.monotonic()
        # lab/check and lab/check-full may both be at it.
        log = os.path.join(BUILD, "check", f"{name}.{counts.name}.log")
        with open(log, "w") as f:
            status, _ = run([path], output=f)
        with open(log, errors="replace") as f:
            lines = f.read().splitlines()
        match = SUMMARY.match(lines[-1]) if lines else None
        note = f" ({time.monotonic() - started:.0f} s)"
        if not match:
            counts.check(f"lab/tests/{name}", False, lines[-15:] + [f"no summary; status {status}, log {log}"])
            continue
        passed, failed, skipped = map(int, match.groups())
        if status and not failed:
            failed = 1
        counts.add(f"lab/tests/{name}", passed, failed, skipped, lines[-40:] if failed else (), note)


def alone(name):
    """Keeps out another run of the program, which would remove what ours works with."""
    return Lock(os.path.join(BUILD, f".{name}.lock"))


def main(function, parse):
    """Run a check with its options, one at a time; an interrupted one stops what it started."""
    os.umask(0o022)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    # The terminal is gone: so shall be what was started in sessions of its own.
    signal.signal(signal.SIGHUP, stop)
    name = os.path.basename(sys.argv[0])
    # Before the lock: --help does not wait.
    args = parse()
    try:
        with alone(name):
            return function(args)
    except (Failure, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
