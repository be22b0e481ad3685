# SPDX-License-Identifier: GPL-2.0-or-later
"""What a call needs of a host, and what a host has: as resources of dask, which are counts.

What there is an unlimited amount of on a host that has it is a tag: PLENTY of it, of which each
call takes 1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from pinrace.arches import ARCHES, Arch
from pinrace.errors import InfrastructureError, PinraceError
from pinrace.guest.machine import RICHEST, Machine
from pinrace.host.accel import Accelerator, probe
from pinrace.host.budget import KEEP_MB, QEMU_MB, Budget
from pinrace.host.qemu import Qemu, get_qemu
from pinrace.suites.registry import get_suite
from pinrace.values import EMULATED, NATIVE, Cell

SLOTS = "slots"  # of the host's CPUs, one for each that a guest keeps busy
MEMORY = "memory-mib"
PLENTY = 1_000_000.0
NAME_TAG = "host-"  # and the host's name: what runs on it alone
CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Needs:
    """What a call takes of a host while it runs, and the tags that the host must have."""

    slots: int = 1
    mem_mb: int = 0
    tags: frozenset[str] = frozenset()

    def and_(self, other: Needs) -> Needs:
        """Return both: one guest runs at a time, so that the larger counts."""
        most = max(self.slots, other.slots), max(self.mem_mb, other.mem_mb)
        return Needs(*most, self.tags | other.tags)

    @property
    def resources(self) -> dict[str, float]:
        """Return it as dask has it."""
        taken = {SLOTS: float(self.slots), MEMORY: float(self.mem_mb)}
        return {name: much for name, much in taken.items() if much} | dict.fromkeys(self.tags, 1.0)


def of_machine(machine: Machine) -> Needs:
    """Return what a guest on such a machine needs; a race gets all of its CPUs at once.

    A replay repeats itself on the same version of QEMU alone, and its clock is TCG's.
    """
    tags = {runs(machine.arch)}
    if machine.replay:
        tags |= {qemu_tag(machine.qemu.version)}
    if machine.rich:
        tags |= {rich(machine.arch)}
    return Needs(machine.threads, machine.mem_mb + QEMU_MB, frozenset(tags))


def of_cell(cell: Cell) -> Needs:
    """Return what a cell needs besides its machine."""
    tags = set()
    if cell.on:
        tags.add(f"{cell.on}-{cell.arch}")
    with contextlib.suppress(PinraceError):  # what is no suite has a command of its own
        if get_suite(cell.suite).rich:
            tags.add(rich(cell.arch))
    return Needs(tags=frozenset(tags))


def runs(arch: str) -> str:
    """Return the tag of a host that boots guests of an arch."""
    return f"runs-{arch}"


def rich(arch: str) -> str:
    """Return the tag of a host whose guests can have protection keys or memory tags."""
    return f"rich-{arch}"


def qemu_tag(version: str) -> str:
    """Return the tag of a host with a version of QEMU."""
    return f"qemu-{version}"


def of_host(slots: int = 0, tags: Collection[str] = ()) -> dict[str, float]:
    """Return what this host has, found by running a tiny guest of each arch.

    slots: instead of one a CPU; tags: more, as hosts.toml has them.  A host without any QEMU runs
    no guest, and may still build.
    """
    budget = Budget.of_host()
    found: dict[str, float] = {
        SLOTS: float(slots or budget.cpus),
        MEMORY: float(max(1, budget.mem_mb - KEEP_MB)),
    }
    found |= dict.fromkeys(tags, PLENTY)
    for arch in ARCHES.values():
        try:
            qemu = get_qemu(arch)
            accel = probe(arch, qemu)
        except InfrastructureError:
            continue
        found |= dict.fromkeys(_of_arch(arch, qemu, accel, tags), PLENTY)
    return found


def _of_arch(arch: Arch, qemu: Qemu, accel: Accelerator, tags: Collection[str]) -> set[str]:
    native = f"{NATIVE}-{arch.name}"
    found = {runs(arch.name), qemu_tag(qemu.version), f"{accel.name}-{arch.name}"}
    if accel.name == "kvm" or native in tags:
        found.add(native)
    else:
        found.add(f"{EMULATED}-{arch.name}")
    if _has_rich(arch, qemu, accel):
        found.add(rich(arch.name))
    return found


def _has_rich(arch: Arch, qemu: Qemu, accel: Accelerator, cpuinfo: Path = CPUINFO) -> bool:
    """Whether guests can have protection keys (x86) or memory tags (arm64)."""
    if accel.name != "kvm":
        return RICHEST in qemu.cpus
    return arch.rich_flag in cpuinfo.read_text(errors="replace").split()


def lacking(needs: Needs, hosts: Mapping[str, Mapping[str, float]]) -> str:
    """Return why no host can ever serve this, as a sentence; "" when one can.

    hosts: by name, what each has.
    """
    wanted = needs.resources
    if any(all(has.get(n, 0) >= much for n, much in wanted.items()) for has in hosts.values()):
        return ""
    if not hosts:
        return "the fleet has no host"
    nowhere = [
        _said(name, much)
        for name, much in sorted(wanted.items())
        if not any(has.get(name, 0) >= much for has in hosts.values())
    ]
    if nowhere:
        return f"no host of the fleet has {', '.join(nowhere)}"
    every = ", ".join(_said(name, much) for name, much in sorted(wanted.items()))
    return f"no single host of the fleet has all of {every}"


def _said(name: str, much: float) -> str:
    if name == SLOTS:
        return f"{much:.0f} CPUs for one guest"
    return f"{much:.0f} MiB of memory" if name == MEMORY else f"'{name}'"
