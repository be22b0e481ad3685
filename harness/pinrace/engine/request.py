# SPDX-License-Identifier: GPL-2.0-or-later
"""Which arches and ABIs a user asks for."""

from __future__ import annotations

from pinrace.arches import ARCHES, get_abi, get_arch
from pinrace.errors import UserError


def select(arch_names: list[str], abi_names: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the arches and ABIs that these lists mean; an empty list means all that fit.

    Raises UserError for unknown names, and for an ABI on an arch that is left out.
    """
    arches = [get_arch(name).name for name in arch_names]
    abis = [get_abi(name) for name in abi_names]
    for abi in abis:
        if arches and abi.arch not in arches:
            raise UserError(
                f"ABI {abi.name} runs on {abi.arch}, which --arch leaves out",
                hint=f"--arch {abi.arch} --abi {abi.name}",
            )
    arches = arches or [abi.arch for abi in abis] or list(ARCHES)
    arches = list(dict.fromkeys(arches))
    chosen = [abi.name for abi in abis]
    for name in arches:
        mine = [abi.name for abi in ARCHES[name].abis]
        if not set(mine) & set(chosen):
            chosen += mine
    ordered = [abi.name for name in arches for abi in ARCHES[name].abis if abi.name in chosen]
    return tuple(arches), tuple(ordered)
