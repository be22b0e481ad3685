# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a kernel's functions are, those included that the compiler has inlined.

A function of its own is found in the symbol table.  An inlined one is found in the debug
information of the file that its neighbours come from, and has no address but ranges.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import DWARFError, ELFError
from elftools.elf.elffile import ELFFile

from pinrace.errors import InfrastructureError, UserError

FILES = 12  # how many files' debug information is looked into for an inlined function

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Function:
    """A function as code."""

    name: str
    entries: tuple[int, ...]  # where it begins; an inlined one may begin in several places
    ranges: Ranges  # its own instructions
    body: Ranges  # those of the function that it is part of, itself if it is not inlined

    @property
    def inlined(self) -> bool:
        """Whether it is part of another one."""
        return self.ranges != self.body

    def owns(self, address: int) -> bool:
        """Whether an instruction is its own."""
        return _within(self.ranges, address)

    def holds(self, address: int) -> bool:
        """Whether an instruction is of the function that it is part of."""
        return _within(self.body, address)


def _within(ranges: Ranges, address: int) -> bool:
    return any(low <= address < high for low, high in ranges)


class Symbols:
    """The functions of a vmlinux.  Raises InfrastructureError for a file that is none."""

    def __init__(self, vmlinux: Path) -> None:
        self._path = vmlinux
        self._functions: dict[str, list[tuple[int, int]]] = {}
        self._known: dict[str, Function] = {}
        named: dict[int, str] = {}
        try:
            with vmlinux.open("rb") as stream:
                table: Any = ELFFile(stream).get_section_by_name(".symtab")
                for symbol in table.iter_symbols() if table else ():
                    if symbol["st_info"]["type"] in ("STT_FUNC", "STT_NOTYPE") and symbol.name:
                        self._add(symbol, named)
        except (ELFError, OSError) as exc:
            raise InfrastructureError(f"cannot read the symbols of {vmlinux}: {exc}") from exc
        if not self._functions:
            raise InfrastructureError(f"{vmlinux} has no symbols", log=vmlinux)
        self._addresses = sorted(named)
        self._names = [named[address] for address in self._addresses]

    def _add(self, symbol: Any, named: dict[int, str]) -> None:
        low, size = int(symbol["st_value"]), int(symbol["st_size"])
        if symbol["st_shndx"] in ("SHN_ABS", "SHN_UNDEF"):
            return
        if size or low not in named:
            named[low] = symbol.name
        if size:
            self._functions.setdefault(symbol.name, []).append((low, low + size))

    def name_at(self, address: int) -> str:
        """Return the name of the symbol at or before an address, "" when there is none."""
        at = bisect.bisect_right(self._addresses, address) - 1
        return self._names[at] if at >= 0 else ""

    def address(self, name: str) -> int | None:
        """Return where a function of its own begins, None when there is none or are many."""
        found = self._functions.get(name, [])
        return found[0][0] if len(found) == 1 else None

    def find(self, name: str) -> Function:
        """Return a function; UserError when this kernel has none of that name, or several."""
        if name not in self._known:
            self._known[name] = self._out_of_line(name) or self._inlined(name)
        return self._known[name]

    def _out_of_line(self, name: str) -> Function | None:
        """Return a function of its own, also when the compiler has changed its arguments."""
        found = {
            low: (low, high)
            for each, places in self._functions.items()
            if each == name or _clone_of(each, name)
            for low, high in places
        }
        if not found:
            return None
        if len(found) > 1:
            raise UserError(f"this kernel has {len(found)} functions called {name}")
        (low, high), *_ = found.values()
        body = ((low, high), *self._cold(name))
        return Function(name, (low,), body, body)

    def _cold(self, name: str) -> Ranges:
        """The parts of a function that the compiler has put elsewhere."""
        return tuple(
            place
            for each, places in self._functions.items()
            if each.startswith(name + ".") and each.endswith(".cold")
            for place in places
        )

    def _inlined(self, name: str) -> Function:
        """Return an inlined function."""
        try:
            with self._path.open("rb") as stream:
                dwarf = ELFFile(stream).get_dwarf_info()
                for offset in self._files_like(name, dwarf):
                    if found := self._search(dwarf, offset, name):
                        return found
        except (DWARFError, ELFError) as exc:
            raise InfrastructureError(
                f"cannot read the debug information: {exc}", log=self._path
            ) from exc
        raise UserError(
            f"this kernel has no function {name}, not even an inlined one",
            hint=f"nm {self._path} | grep -w {name}",
        )

    def _files_like(self, name: str, dwarf: Any) -> list[int]:
        """Return offsets of units that have functions whose names begin like this one's."""
        aranges = dwarf.get_aranges()
        if aranges is None:
            return []
        alike = sorted(self._functions, key=lambda each: _alike(each, name), reverse=True)
        units: dict[int, None] = {}
        for each in alike[: FILES * 8]:
            for low, _ in self._functions[each]:
                if (offset := aranges.cu_offset_at_addr(low)) is not None:
                    units[offset] = None
            if len(units) >= FILES:
                break
        return list(units)

    def _search(self, dwarf: Any, offset: int, name: str) -> Function | None:
        """Return the inlined function out of a unit, None when the unit has none."""
        unit = dwarf.get_CU_at(offset)
        entries: list[int] = []
        ranges: list[tuple[int, int]] = []
        for die in unit.iter_DIEs():
            if die.tag != "DW_TAG_inlined_subroutine" or _name_of(die) != name:
                continue
            own = _ranges(dwarf, unit, die)
            entry = die.attributes.get("DW_AT_entry_pc")
            if entry is not None and entry.form == "DW_FORM_addr":
                entries.append(int(entry.value))
            elif own:
                base = own[0][0]
                entries.append(base + int(entry.value) if entry is not None else base)
            ranges += own
        body: list[tuple[int, int]] = []
        for low, _ in ranges:
            if not _within(tuple(body), low):
                body += self._around(low)
        if not ranges:
            return None
        starts = tuple(dict.fromkeys([*entries, *(low for low, _ in ranges)]))
        return Function(name, starts, tuple(ranges), tuple(body))

    def _around(self, address: int) -> Ranges:
        """The whole of the function that has this instruction."""
        name = self.name_at(address).split(".cold")[0]
        places = tuple(self._functions.get(name, ()))
        return (*places, *self._cold(name.split(".")[0]))


def _alike(one: str, two: str) -> int:
    """How many characters two names begin with that are the same."""
    return next((n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), len(one))


def _clone_of(symbol: str, name: str) -> bool:
    """Whether a symbol is a function with its arguments changed: .constprop.0, .isra.0."""
    head, _, tail = symbol.partition(".")
    return head == name and tail.split(".")[0] in ("constprop", "isra") and "cold" not in tail


def _name_of(die: Any) -> str:
    """Return the name of the function that an entry is an inlined copy of."""
    origin = die.get_DIE_from_attribute("DW_AT_abstract_origin")
    name = origin.attributes.get("DW_AT_name")
    return name.value.decode() if name else ""


def _ranges(dwarf: Any, unit: Any, die: Any) -> list[tuple[int, int]]:
    """Return the addresses of an entry."""
    attributes = die.attributes
    if "DW_AT_low_pc" in attributes and "DW_AT_high_pc" in attributes:
        low, high = int(attributes["DW_AT_low_pc"].value), attributes["DW_AT_high_pc"]
        end = int(high.value) if high.form == "DW_FORM_addr" else low + int(high.value)
        return [(low, end)]
    if "DW_AT_ranges" not in attributes:
        return []
    lists = dwarf.range_lists()
    found = []
    top = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
    base = int(top.value) if top else 0
    for entry in lists.get_range_list_at_offset(attributes["DW_AT_ranges"].value, cu=unit):
        if hasattr(entry, "base_address"):
            base = int(entry.base_address)
        else:
            plus = 0 if getattr(entry, "is_absolute", False) else base
            found.append((entry.begin_offset + plus, entry.end_offset + plus))
    return [(low, high) for low, high in found if low < high]
