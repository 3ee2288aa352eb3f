"""Compare the machine code of two kernels, function by function.

Reads the objects of two build directories themselves (ELF, arm64).  Addresses say
nothing: what a relocation or a branch goes to is compared by name, a string by its
text.  What only says where a line is in its file is in tables of its own, and not
looked at; a kernel that puts line numbers into code (CONFIG_DEBUG_ATOMIC_SLEEP) is not
fit for this.

Functions are the same too when they do the same in another order, and with other
registers and slots of the stack for it, as the compiler pleases, though it takes more
or fewer moves from one of these to another; these are counted by themselves.
"""

import bisect
import hashlib
import os
import re
import struct

SHT_SYMTAB, SHT_RELA, SHT_NOBITS = 2, 4, 8
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR, SHF_STRINGS = 1, 2, 4, 0x20
STT_OBJECT, STT_FUNC, STT_SECTION = 1, 2, 3


def plain(name):
    """Without the number that the compiler gives to what is local."""
    return re.sub(r'\.(?:\d+|llvm\.\d+)(?=\.|$)', '', name)


class Object:
    """One ELF object: what its functions are, and how much of everything it has."""

    def __init__(self, data):
        (offset,) = struct.unpack_from('<Q', data, 0x28)
        size, count, names = struct.unpack_from('<HHH', data, 0x3a)
        self.data = data
        self.sections = [struct.unpack_from('<IIQQQQIIQQ', data, offset + n * size)
                         for n in range(count)]
        self.names = [self.string(names, s[0]) for s in self.sections]
        self.symbols = []
        for section in self.sections:
            if section[1] == SHT_SYMTAB:
                for at in range(section[4], section[4] + section[5], 24):
                    name, info, _, index, value, length = struct.unpack_from('<IBBHQQ', data, at)
                    self.symbols.append((self.string(section[6], name), info & 15, index,
                                         value, length))
        # What is at an offset of a section, by symbols with a name and a size.
        self.map = {}
        for name, kind, index, value, length in self.symbols:
            if kind in (STT_OBJECT, STT_FUNC):
                self.map.setdefault(index, []).append((value, length, plain(name)))
        for entries in self.map.values():
            entries.sort()

    def string(self, section, offset):
        at = self.sections[section][4] + offset
        return self.data[at:self.data.index(b'\0', at)].decode('utf-8', 'replace')

    def place(self, index, offset):
        """A name for an offset of a section."""
        section = self.sections[index]
        if section[2] & SHF_STRINGS:
            if 0 <= offset < section[5]:
                # A path in the source tree, which the two kernels have elsewhere.
                return repr(re.sub(r'^\S*/(?:tree|base)/(?=\S+\.\w+$)', '',
                                   self.string(index, offset)))
            return 'end of strings'
        entries = self.map.get(index, ())
        n = bisect.bisect(entries, (offset, 1 << 62, '')) - 1
        if n >= 0 and offset <= entries[n][0] + entries[n][1]:
            return '%s+%d' % (entries[n][2], offset - entries[n][0])
        return self.names[index]

    def target(self, symbol, addend):
        name, kind, index, value, _ = self.symbols[symbol]
        if kind == STT_SECTION or name.startswith(('.L', '$')):
            return self.place(index, value + addend)
        return '%s+%d' % (plain(name), addend)

    def functions(self):
        """[(name, [what it does])], in the order of the object."""
        relocations = {}
        for section in self.sections:
            if section[1] == SHT_RELA and self.sections[section[7]][2] & SHF_EXECINSTR:
                found = relocations.setdefault(section[7], {})
                for at in range(section[4], section[4] + section[5], 24):
                    where, info, addend = struct.unpack_from('<QQq', self.data, at)
                    found[where] = '%d %s' % (info & 0xffffffff, self.target(info >> 32, addend))
        out = []
        for name, kind, index, value, length in self.symbols:
            if kind != STT_FUNC or not 0 < index < len(self.sections) or not length \
                    or not self.sections[index][2] & SHF_EXECINSTR:
                continue
            found, code = relocations.get(index, {}), []
            start = self.sections[index][4]
            for at in range(value, value + length & ~3, 4):
                (word,) = struct.unpack_from('<I', self.data, start + at)
                where = found.get(at)
                if where is None and word >> 26 & 0x1f == 5:
                    # B or BL that the assembler has resolved.
                    away = (word & 0x3ffffff) << 2
                    to = at + (away - (1 << 28) if away >> 27 else away)
                    if not value <= to < value + length:
                        where, word = self.place(index, to), word & 0xfc000000
                code.append((word, where))
            out.append((plain(name), self.names[index], code))
        return out

    def sizes(self):
        """Bytes of code, of constants and of data."""
        out = [0, 0, 0]
        for name, section in zip(self.names, self.sections):
            if section[2] & SHF_ALLOC and name != '.note.gnu.property':
                out[0 if section[2] & SHF_EXECINSTR else
                    2 if section[2] & SHF_WRITE else 1] += section[5]
        return out


def objects(archive):
    """The paths in a thin archive, which is how kbuild makes vmlinux.a."""
    with open(archive, 'rb') as file:
        data = file.read()
    if data[:8] != b'!<thin>\n':
        raise ValueError('%s is not a thin archive' % archive)
    at, names, out = 8, b'', []
    while at + 60 <= len(data):
        # GNU ar leaves a "/" behind the spaces where the name without its folder would have fit.
        name = data[at:at + 16].rstrip()
        size = int(data[at + 48:at + 58])
        at += 60
        if name in (b'/', b'//', b'/SYM64/'):
            if name == b'//':
                names = data[at:at + size]
            at += size + (size & 1)
        elif match := re.fullmatch(rb'/(\d+) */?', name):
            begin = int(match.group(1))
            out.append(names[begin:names.index(b'/\n', begin)].decode())
        else:
            out.append(name.rstrip(b'/').decode())
    return out


def kind(word):
    """An instruction without its registers; None for what only leads elsewhere, or takes
    a value from one place of the function's own to another."""
    if word == 0xd503201f or word >> 26 == 5:       # NOP, B
        return None
    if word & 0x7fe0ffe0 == 0x2a0003e0:             # MOV from register to register
        return None
    if word >> 5 & 31 == 31 and (word & 0x3b000000 == 0x39000000 or
                                 word & 0x3a000000 == 0x28000000):
        return None                                 # to or from the stack
    top = word >> 24
    if top == 0x54:                                 # B.cond: either way round
        return top
    if top & 0x7e == 0x34:                          # CBZ, CBNZ
        return word >> 24 & 0xfe
    if top & 0x7e == 0x36:                          # TBZ, TBNZ and the bit
        return word & 0xfef80000
    group = top >> 1 & 15
    if group in (8, 9):                             # immediate; ADR has another one
        return word & (0x9f000000 if top & 0x1f == 0x10 else 0xfffffc00)
    if group in (5, 13):                            # registers
        if word & 0x1fe00000 == 0x1a800000:         # CSEL: either way round
            return word & 0xffe00000
        return word & 0xffe0fc00
    if group & 5 == 4:                              # loads and stores
        if top & 0x3a == 0x28:                      # of pairs
            return word & 0xffff8000
        if top & 0x3b == 0x39:                      # with an offset
            return word & 0xfffffc00
        return word & 0xffe0fc00
    return word & 0xffffffe0


def rearranged(one, other):
    """Whether two functions do the same things, if not at the same places."""
    sums = []
    for code in (one, other):
        found = {}
        for word, where in code:
            # What a branch that the compiler may turn round goes to is its affair.
            key = (kind(word), where)
            if key != (None, None):
                found[key] = found.get(key, 0) + 1
        sums.append(found)
    return sums[0] == sums[1]


def compare(one, other):
    """(functions compared, rearranged ones, what differs, sizes of both); of what differs,
    (name, bytes that it has grown by, a description)."""
    paths = [objects(os.path.join(d, 'vmlinux.a')) for d in (one, other)]
    wrong, count, moved, sizes = [], 0, 0, [[0, 0, 0], [0, 0, 0]]
    for path in sorted(set(paths[0]) ^ set(paths[1])):
        wrong.append((path, 0, 'only in %s' % (one if path in paths[0] else other)))
    for path in sorted(set(paths[0]) & set(paths[1])):
        found = []
        for n, folder in enumerate((one, other)):
            with open(os.path.join(folder, path), 'rb') as file:
                data = file.read()
            if data[:5] != b'\x7fELF\x02':
                raise ValueError('%s/%s is not an ELF object' % (folder, path))
            this = Object(data)
            sizes[n] = [a + b for a, b in zip(sizes[n], this.sizes())]
            by_name = {}
            for name, section, code in this.functions():
                by_name.setdefault((name, section), []).append(code)
            found.append(by_name)
        for key in sorted(set(found[0]) | set(found[1])):
            codes = [f.get(key, []) for f in found]
            count += len(codes[0])
            if sorted(map(digest, codes[0])) == sorted(map(digest, codes[1])):
                continue
            if len(codes[0]) == len(codes[1]) == 1 and rearranged(codes[0][0], codes[1][0]):
                moved += 1
                continue
            lengths = [4 * sum(map(len, c)) for c in codes]
            wrong.append(('%s: %s()' % (path, key[0]), lengths[1] - lengths[0],
                          describe(*codes)))
    return count, moved, wrong, sizes


def digest(code):
    return hashlib.sha256(repr(code).encode()).digest()


def describe(one, other):
    if not one or not other:
        return 'only in the %s kernel' % ('second' if not one else 'first')
    lengths = [4 * sum(map(len, c)) for c in (one, other)]
    if lengths[0] != lengths[1]:
        return '%d bytes, %d bytes' % tuple(lengths)
    for a, b in zip(one[0], other[0]):
        if a != b:
            return '%08x %s, %08x %s' % (a[0], a[1] or '', b[0], b[1] or '')
    return 'another order'
