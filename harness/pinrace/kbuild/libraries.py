# SPDX-License-Identifier: GPL-2.0-or-later
"""What programs that are not static need in a guest: their loader and their libraries.

They are looked for beside the programs, in the ABI's sysroot, and where its compiler looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_E_MACHINE
from elftools.elf.segments import InterpSegment

from pinrace import procs
from pinrace.arches import Abi
from pinrace.errors import InfrastructureError


@dataclass(frozen=True)
class Linked:
    """What an ELF file says of itself."""

    machine: int
    bits: int
    loader: str  # an absolute path, "" when it names none
    needs: tuple[str, ...]  # names of libraries


def linked(path: Path) -> Linked:
    """Read an ELF file's headers; InfrastructureError for what is none."""
    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            known = elf.header["e_machine"]
            loader, needs = "", []
            for segment in elf.iter_segments():
                if isinstance(segment, InterpSegment):
                    loader = segment.get_interp_name()
                if isinstance(segment, DynamicSegment):
                    needs = [str(vars(tag)["needed"]) for tag in segment.iter_tags("DT_NEEDED")]
            return Linked(ENUM_E_MACHINE.get(known, known), elf.elfclass, loader, tuple(needs))
    except (ELFError, OSError) as exc:
        raise InfrastructureError(f"{path} is no ELF file: {exc}") from exc


class Libraries:
    """Gathers the libraries of an ABI's programs; `files` maps a guest's path to a host's file."""

    def __init__(self, abi: Abi, places: Iterable[Path]) -> None:
        self.abi = abi
        self.places = tuple(places)
        self.files: dict[str, Path] = {}
        self._found: dict[str, Path | None] = {}

    def add(self, program: Path) -> tuple[str, ...]:
        """Add what a program needs; return the names of what is nowhere."""
        said = linked(program)
        lacking = []
        if said.loader.startswith("/"):
            found = self._find(Path(said.loader).name, program.parent)
            if found:
                self.files[said.loader] = found
            else:
                lacking.append(Path(said.loader).name)
        todo = list(said.needs)
        seen: set[str] = set()
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            found = self._find(name, program.parent)
            if found is None:
                lacking.append(name)
                continue
            todo += linked(found).needs
            # The file beside the program is found by its run path; others where the loader looks.
            if found.parent != program.parent and not said.loader.endswith(f"/{name}"):
                self.files[f"/lib/{self.abi.triple}/{name}"] = found
        return tuple(dict.fromkeys(lacking))

    def _find(self, name: str, beside: Path) -> Path | None:
        if (beside / name).is_file():
            return beside / name
        if name not in self._found:
            self._found[name] = self._look(name)
        return self._found[name]

    def _look(self, name: str) -> Path | None:
        for place in self.places:
            if (place / name).is_file():
                return place / name
        argv = [f"{self.abi.cross}gcc", f"-print-file-name={name}"]
        said = Path(procs.run(argv, what=argv[0]).output.strip())
        if said.is_absolute() and said.is_file():
            return said
        other = Path("/lib") / self.abi.triple / name
        return other if other.is_file() else None
