# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a kernel's functions are, those included that the compiler has inlined.

A function of its own is found in the symbol table.  An inlined one is found in the debug
information, and has no address but ranges.  Which units of it have a function is noted once for
each vmlinux, as to read all of them takes a quarter of a minute.  Where several files have a
function of one name, FILE:FUNCTION names it.
"""

from __future__ import annotations

import bisect
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import DWARFError, ELFError
from elftools.elf.elffile import ELFFile

from pinrace import store
from pinrace.errors import InfrastructureError, UserError

MOST_UNITS = 200  # that are looked into for one inlined function
_KIND = "inlined"  # in the store: which units have a function

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
        self.path = vmlinux
        self._functions: dict[str, list[tuple[int, int]]] = {}
        self._known: dict[str, Function] = {}
        self._units: dict[str, list[int]] = {}  # where inlined functions are
        self._data: dict[str, int] = {}
        named: dict[int, str] = {}
        try:
            with vmlinux.open("rb") as stream:
                table: Any = ELFFile(stream).get_section_by_name(".symtab")
                for symbol in table.iter_symbols() if table else ():
                    if symbol["st_info"]["type"] in ("STT_FUNC", "STT_NOTYPE") and symbol.name:
                        self._add(symbol, named)
                    elif symbol["st_info"]["type"] == "STT_OBJECT":
                        self._data[symbol.name] = int(symbol["st_value"])
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

    def data(self, name: str) -> int | None:
        """Return where a variable is, None when there is none."""
        return self._data.get(name)

    def find(self, name: str) -> Function:
        """Return a function; UserError when this kernel has none of that name, or several.

        name: of the function, or FILE:FUNCTION.
        """
        if name not in self._known:
            file, _, bare = name.rpartition(":")
            self._known[name] = self._out_of_line(name, file, bare) or self._inlined(
                name, file, bare
            )
        return self._known[name]

    def _out_of_line(self, name: str, file: str, bare: str) -> Function | None:
        """Return a function of its own, also when the compiler has changed its arguments."""
        found = {
            low: (low, high)
            for each, places in self._functions.items()
            if each == bare or _clone_of(each, bare)
            for low, high in places
        }
        if file and found:
            found = self._of_file(found, file)
        if not found:
            return None
        if len(found) > 1:
            files = sorted(self._files(found).values())
            raise UserError(
                f"this kernel has {len(found)} functions called {bare}, in {', '.join(files)}",
                hint=f"name one of them: {files[0]}:{bare}",
            )
        (low, high), *_ = found.values()
        body = ((low, high), *self._cold(bare, low))
        return Function(name, (low,), body, body)

    def _of_file(self, found: dict[int, tuple[int, int]], file: str) -> dict[int, tuple[int, int]]:
        """Leave those that come of a source file."""
        files = self._files(found)
        return {low: found[low] for low in found if _same_file(files[low], file)}

    def _files(self, places: dict[int, tuple[int, int]]) -> dict[int, str]:
        """Return the source file of each of these addresses."""
        with self.path.open("rb") as stream:
            dwarf: Any = ELFFile(stream).get_dwarf_info()
            aranges = dwarf.get_aranges()
            files = {}
            for low in places:
                offset = aranges.cu_offset_at_addr(low) if aranges else None
                files[low] = _unit_name(dwarf.get_CU_at(offset)) if offset is not None else "?"
        return files

    def _cold(self, name: str, low: int | None = None) -> Ranges:
        """The parts of a function that the compiler has put elsewhere; low: where it begins.

        Where there are several functions of a name, nobody knows whose part it is: then none.
        """
        if low is not None and len(self._functions.get(name, ())) > 1:
            return ()
        return tuple(
            place
            for each, places in self._functions.items()
            if each.startswith(name + ".") and each.endswith(".cold")
            for place in places
        )

    def _inlined(self, name: str, file: str, bare: str) -> Function:
        """Return an inlined function: all copies of it, in all units."""
        try:
            with self.path.open("rb") as stream:
                dwarf = ELFFile(stream).get_dwarf_info()
                units = self._index(dwarf).get(bare, [])
                parts = [
                    part
                    for offset in units[:MOST_UNITS]
                    if not file or _same_file(_unit_name(dwarf.get_CU_at(offset)), file)
                    if (part := self._search(dwarf, offset, bare))
                ]
        except (DWARFError, ELFError) as exc:
            raise InfrastructureError(
                f"cannot read the debug information: {exc}", log=self.path
            ) from exc
        if parts:
            return Function(
                name,
                tuple(dict.fromkeys(a for part in parts for a in part.entries)),
                tuple(dict.fromkeys(a for part in parts for a in part.ranges)),
                tuple(dict.fromkeys(a for part in parts for a in part.body)),
            )
        if units:
            where = f"no code of it in {file}" if file else "it was optimised away everywhere"
            raise UserError(f"this kernel's sources have {bare}, and {where}")
        raise UserError(
            f"this kernel has no function {bare}, not even an inlined one",
            hint=f"nm {self.path} | grep -w {bare}",
        )

    def _index(self, dwarf: Any) -> dict[str, list[int]]:
        """Return which units of the debug information have which inlined function."""
        if not self._units:
            key = store.digest("1", store.digest_file(self.path))

            def fill(into: Path) -> None:
                store.write_json(into / "units.json", _units_of(dwarf))

            path = store.make(_KIND, key, fill) / "units.json"
            self._units = json.loads(path.read_text())
        return self._units

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


def _units_of(dwarf: Any) -> dict[str, list[int]]:
    """Return, by name, the units that have a function which was inlined.  Reads all of them."""
    found: dict[str, list[int]] = {}
    for unit in dwarf.iter_CUs():
        for die in unit.get_top_DIE().iter_children():
            if die.tag != "DW_TAG_subprogram" or "DW_AT_inline" not in die.attributes:
                continue
            name = die.attributes.get("DW_AT_name")
            if name and found.setdefault(name.value.decode(), [])[-1:] != [unit.cu_offset]:
                found[name.value.decode()].append(unit.cu_offset)
    return found


def _unit_name(unit: Any) -> str:
    """Return the source file of a unit, as the kernel's makefiles name it."""
    attribute = unit.get_top_DIE().attributes.get("DW_AT_name")
    return attribute.value.decode() if attribute else ""


def _same_file(path: str, wanted: str) -> bool:
    """Whether a unit's path is the file that was named: both may begin at any folder."""
    return path == wanted or path.endswith(f"/{wanted.removeprefix('./')}")


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
