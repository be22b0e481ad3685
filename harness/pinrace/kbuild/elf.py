# SPDX-License-Identifier: GPL-2.0-or-later
"""Look into an ELF file: a program of the wrong ABI would prove nothing about the right one."""

from __future__ import annotations

from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_E_MACHINE

from pinrace.arches import Abi
from pinrace.errors import InfrastructureError

MAGIC = b"\x7fELF"


def is_elf(path: Path) -> bool:
    """Whether the file begins like one."""
    with path.open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def check_program(path: Path, abi: Abi) -> None:
    """Raise InfrastructureError unless the file is a static executable of that ABI."""
    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            known = elf.header["e_machine"]  # a name, or a number that has none
            machine, bits = ENUM_E_MACHINE.get(known, known), elf.elfclass
            kinds = {segment["p_type"] for segment in elf.iter_segments()}
    except (ELFError, OSError) as exc:
        raise InfrastructureError(f"{path} is no ELF file: {exc}") from exc
    if (machine, bits) != (abi.elf_machine, abi.bits):
        raise InfrastructureError(
            f"{path.name} is of machine {machine} with {bits} bits; "
            f"{abi.name} is {abi.elf_machine} with {abi.bits}",
            log=path,
            hint=f"is {abi.cross}gcc the compiler that it says it is? pinrace doctor",
        )
    if "PT_INTERP" in kinds:
        raise InfrastructureError(
            f"{path.name} is not static: the guest has no libraries", log=path
        )
