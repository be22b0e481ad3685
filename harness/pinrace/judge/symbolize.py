# SPDX-License-Identifier: GPL-2.0-or-later
"""Turn the addresses of a kernel's traces into source lines.

A report is text of the guest, which may hold anything.  What looks like name+0xoffset/0xsize is
looked up in the symbol table of vmlinux, and one addr2line gets the numbers that come of it on its
stdin: no word of a guest reaches a command line, a shell or a script.
"""

from __future__ import annotations

import bisect
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError
from pinrace.host import sandbox

MOST = 20  # reports of a run that get source lines
LIMIT = 180.0  # seconds for all of them; addr2line reads DWARF for each function of a trace
_ADDRESSES = 4000  # of all reports; a report of 400 lines has no more than some hundred

_SYMBOL = re.compile(
    r"(?<![\w$.])(?P<name>[A-Za-z_.$][\w.$]{0,511})\+0x(?P<offset>[0-9a-f]{1,8})"
    r"/0x(?P<size>[0-9a-f]{1,8})(?![\w])"
)
_ADDRESS = re.compile(r"0x([0-9a-f]{8,16})$")
_MAIN = "init/main.c"  # where start_kernel is, below the folder that all files are in
# Lines that name the instruction itself, and not the one behind a call.
_EXACT = re.compile(r"\b[RE]IP: |\bpc : |\bPC is at ")


def symbolize(text: str, vmlinux: Path, cross: str) -> str:
    """Return the text with source lines in its traces; as symbolize_all() for one report."""
    return symbolize_all([text], vmlinux, cross)[0]


def symbolize_all(
    texts: Sequence[str], vmlinux: Path, cross: str, *, limit: float = LIMIT
) -> list[str]:
    """Return the texts with source lines in their traces, as "function (file:line)".

    cross: the prefix of the binutils for the kernel's arch.  limit: seconds for all of them.  Only
    the first MOST get source lines.  Never raises: what cannot be resolved stays as it was, with a
    note on its end that says why.  The kernel has to run where it was linked (nokaslr, or a
    kernel without CONFIG_RANDOMIZE_BASE).
    """
    chosen, rest = texts[:MOST], texts[MOST:]
    left_out = [_noted(text, f"only the first {MOST} of {len(texts)} are") for text in rest]
    if not vmlinux.is_file():
        return [*(_noted(text, f"{vmlinux} is not there") for text in chosen), *left_out]
    try:
        wanted = {m["name"] for text in chosen for m in _SYMBOL.finditer(text)}
        table = _Table(vmlinux, wanted)
        numbers = _numbers(chosen, table)
        places = _places(numbers, vmlinux, cross, limit) if numbers else {}
    except (InfrastructureError, ELFError, OSError, ValueError, struct.error) as exc:
        why = (str(exc).splitlines() or [type(exc).__name__])[0]
        return [*(_noted(text, why) for text in chosen), *left_out]
    return [*(_resolved(text, table, places) for text in chosen), *left_out]


class _Table:
    """Where the functions are that reports name.

    Several of one name are told apart by their size, which a kernel reckons up to the next symbol.
    """

    def __init__(self, vmlinux: Path, wanted: Iterable[str]) -> None:
        """Read the symbol table; raises ELFError, OSError or ValueError where there is none."""
        names = {name.encode(errors="replace"): name for name in wanted}
        names[b"start_kernel"] = "start_kernel"
        self._at: dict[str, list[int]] = {}
        self._all: list[int] = []
        with vmlinux.open("rb") as stream:
            elf: Any = ELFFile(stream)
            table = elf.get_section_by_name(".symtab")
            if table is None:
                raise ValueError(f"{vmlinux} has no symbols")
            strings = elf.get_section(table["sh_link"]).data()
            self._read(table.data(), strings, names, _layout(elf))
        self._all = sorted(set(self._all))

    def _read(
        self,
        table: bytes,
        strings: bytes,
        names: dict[bytes, str],
        layout: tuple[str, Callable[[tuple[int, ...]], tuple[int, int, int, int]]],
    ) -> None:
        form, fields = layout
        size = struct.calcsize(form)
        for entry in struct.iter_unpack(form, table[: len(table) // size * size]):
            at, info, section, value = fields(entry)
            # STT_NOTYPE and STT_FUNC; of a section of the file, and no mark of the assembler's
            if info & 15 not in (0, 2) or not 0 < section < 0xFF00 or strings[at : at + 1] in b"$":
                continue
            if strings[at : at + 2] == b".L":
                continue
            self._all.append(value)
            name = names.get(strings[at : strings.find(b"\0", at)])
            if name is not None:
                self._at.setdefault(name, []).append(value)

    def find(self, name: str, offset: int, size: int) -> int | None:
        """Return an address, None when there is no such function or nothing tells which it is."""
        found = self._at.get(name, [])
        fitting = [at for at in found if self._size(at) == size]
        chosen = fitting or found
        if len(set(chosen)) != 1 or offset > size:
            return None
        return chosen[0] + offset

    def _size(self, at: int) -> int:
        """Bytes up to the next symbol."""
        after = bisect.bisect_right(self._all, at)
        return self._all[after] - at if after < len(self._all) else 0


def _layout(
    elf: Any,
) -> tuple[str, Callable[[tuple[int, ...]], tuple[int, int, int, int]]]:
    """Return how an entry of the table is packed, and its name, info, section and value."""
    order = "<" if elf.little_endian else ">"
    if elf.elfclass == 64:
        return f"{order}IBBHQQ", lambda e: (e[0], e[1], e[3], e[4])
    return f"{order}IIIBBH", lambda e: (e[0], e[3], e[5], e[1])


def _address(m: re.Match[str], line: str, begin: int, table: _Table) -> int | None:
    """Return the address of what a line names from `begin` on.

    For a call that is the call's own, and not the one that it returns to.
    """
    at = table.find(m["name"], int(m["offset"], 16), int(m["size"], 16))
    if at is None:
        return None
    behind = line[begin + len(m[0]) :]
    exact = _EXACT.search(line[:begin]) or behind.startswith((" (P", "] (P"))
    return at if exact else at - 1


def _numbers(texts: Iterable[str], table: _Table) -> list[int]:
    """Return the addresses in reports, each once."""
    found: dict[int, None] = {}
    for text in texts:
        for line in text.split("\n"):
            for m in _SYMBOL.finditer(line):
                at = _address(m, line, m.start(), table)
                if at is not None and len(found) < _ADDRESSES:
                    found[at] = None
    if found and (start := table.find("start_kernel", 0, 1 << 32)) is not None:
        found.setdefault(start)
    return list(found)


def _places(numbers: list[int], vmlinux: Path, cross: str, limit: float) -> dict[int, str]:
    """Ask addr2line for files and lines, those of what is inlined there included."""
    done = sandbox.run(
        [f"{cross}addr2line", "-a", "-i", "-e", vmlinux],
        binds=sandbox.reads(vmlinux),
        stdin="".join(f"{number:#x}\n" for number in numbers).encode(),
        deadline=Deadline.after(limit),
        what="looking up a kernel's source lines",
    )
    found: dict[int, list[str]] = {}
    lines: list[str] = []
    for line in done.output.splitlines():
        if m := _ADDRESS.match(line):
            lines = found.setdefault(int(m[1], 16), [])
        elif not line.startswith("??"):
            lines.append(line)
    base = _base(found)
    return {
        number: " ".join(line.removeprefix(base) for line in lines)
        for number, lines in found.items()
        if lines
    }


def _base(found: dict[int, list[str]]) -> str:
    """Return the folder that the source is in, which start_kernel's file tells; "" if none."""
    for lines in found.values():
        file = lines[-1].rpartition(":")[0] if lines else ""
        if file.endswith(f"/{_MAIN}"):
            return file.removesuffix(_MAIN)
    return ""


def _resolved(text: str, table: _Table, places: dict[int, str]) -> str:
    """Write the places into a text."""

    def named(m: re.Match[str]) -> str:
        begin, end = m.string.rfind("\n", 0, m.start()) + 1, m.string.find("\n", m.end())
        line = m.string[begin : end if end >= 0 else len(m.string)]
        at = _address(m, line, m.start() - begin, table)
        place = places.get(at) if at is not None else None
        return f"{m['name']} ({place})" if place else m[0]

    return _SYMBOL.sub(named, text.rstrip()) + "\n"


def _noted(text: str, why: str) -> str:
    """Return the text as it was, and why."""
    return f"{text.rstrip()}\n(not symbolized: {why})\n"
