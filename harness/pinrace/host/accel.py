# SPDX-License-Identifier: GPL-2.0-or-later
"""Which accelerator guests run under, and how fast it is: found by running a tiny guest.

A device that opens proves nothing: nested KVM may accept a guest that never runs.  So the arch's
probe firmware (arches.py) is started and has to come to its end.
"""

from __future__ import annotations

import itertools
import os
import select
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pinrace import procs, store
from pinrace.arches import PROBE_END, PROBE_ROUNDS, PROBE_TICK, PROBE_TURNS, Arch
from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError
from pinrace.host.qemu import Qemu, choose_cpu
from pinrace.paths import cache_dir

KVM = Path("/dev/kvm")
KVM_SECONDS = 5  # for a guest that takes 0.1 s where KVM works
TCG_SECONDS = 120  # for one that takes 1 s on an idle host

# Seconds for one turn of the probe's loop natively: about one and a half cycles at 3 GHz.
NATIVE_TURN = 0.5e-9

# A tight loop says little about TLB misses and translation, so the measured figure is held
# within what kernels were seen to need.
TCG_SCALE = (5.0, 60.0)
# Why TCG is taken where KVM would work: single steps and instruction counts are its alone.
CHOSEN = ("holds need TCG", "a replay needs TCG")
KVM_SCALE = (1.0, 60.0)


class Accelerator(BaseModel):
    """How guests of an arch run on this host."""

    model_config = ConfigDict(frozen=True)

    name: str  # "kvm" or "tcg"
    reason: str  # why it is not kvm, for people; "" when it is
    scale: float  # how many times slower than native; deadlines are multiplied by it


def probe(arch: Arch, qemu: Qemu, *, forget: bool = False) -> Accelerator:
    """Return the accelerator for the arch's guests, KVM when it works and TCG otherwise.

    The answer holds until the host reboots or QEMU changes; `forget` asks again.  Raises
    InfrastructureError when not even TCG runs the test guest.
    """
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    key = store.digest("accel-1", boot_id, str(qemu.path), qemu.build, arch.name, arch.probe_rom)
    memo = cache_dir() / "host" / f"accel-{key}.json"
    memo.parent.mkdir(exist_ok=True)
    with store.locked(f"host-accel-{key}"):
        if not forget:
            try:
                return Accelerator.model_validate_json(memo.read_bytes())
            except (FileNotFoundError, ValidationError):
                pass
        found = _probe(arch, qemu)
        store.write_json(memo, found.model_dump())
        return found


def scale_of(ticks: list[float], limits: tuple[float, float]) -> float:
    """Return how many times slower than native, from the moments (in seconds) of the marks.

    The median round counts: a host that is busy for a moment slows one or two of them.
    """
    rounds = [later - earlier for earlier, later in itertools.pairwise(ticks)]
    measured = statistics.median(rounds) / (PROBE_TURNS * NATIVE_TURN)
    return round(min(max(measured, limits[0]), limits[1]), 1)


def _probe(arch: Arch, qemu: Qemu) -> Accelerator:
    """Try KVM where it could work, then TCG."""
    host = os.uname().machine
    if host != arch.host_machine:
        reason = f"this host is {host}, so KVM cannot run {arch.name} guests"
    elif not KVM.exists():
        reason = f"{KVM} is not there"
    else:
        ticks, said = _run_rom(arch, qemu, "kvm", Deadline.after(KVM_SECONDS))
        if len(ticks) > PROBE_ROUNDS:
            return Accelerator(name="kvm", reason="", scale=scale_of(ticks, KVM_SCALE))
        ended = [line for line in said.splitlines() if "warning:" not in line]
        reason = (
            f"KVM failed: {ended[-1]}"
            if ended
            else f"{KVM} opens, but a test guest did not finish in {KVM_SECONDS} s"
        )
    ticks, said = _run_rom(arch, qemu, "tcg", Deadline.after(TCG_SECONDS))
    if len(ticks) > PROBE_ROUNDS:
        return Accelerator(name="tcg", reason=reason, scale=scale_of(ticks, TCG_SCALE))
    raise InfrastructureError(
        f"{qemu.path} runs no {arch.name} guest: a test guest of a second did not finish in "
        f"{TCG_SECONDS} s{': ' + said.strip() if said.strip() else ''}",
        hint="pinrace doctor",
    )


def _run_rom(arch: Arch, qemu: Qemu, accel: str, deadline: Deadline) -> tuple[list[float], str]:
    """Run the probe firmware; return the moments of its marks and what QEMU said besides."""
    with (
        tempfile.TemporaryDirectory(prefix="pinrace-probe-") as folder,
        tempfile.TemporaryFile() as errors,
    ):
        rom = Path(folder) / "rom"
        rom.write_bytes(arch.probe_rom)
        argv = [
            *(str(qemu.path), "-nodefaults", "-no-user-config", "-display", "none"),
            *("-no-reboot", "-machine", arch.machine, "-accel", accel),
            *("-cpu", choose_cpu(arch, qemu, accel), "-m", "64M", "-bios", str(rom)),
            *("-chardev", "stdio,id=con,signal=off", "-serial", "chardev:con"),
            *qemu.confined,
        ]
        procs.log.info("%s", procs.show(argv))
        process = subprocess.Popen(
            [*procs.PDEATHSIG, *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        assert process.stdout is not None  # noqa: S101
        with process.stdout:
            try:
                ticks = _collect(process.stdout.fileno(), deadline)
            finally:
                process.kill()
                process.wait()
        errors.seek(0)
        return ticks, errors.read().decode(errors="replace")


def _collect(output: int, deadline: Deadline) -> list[float]:
    """Return the moments at which marks arrived, up to the last mark or the deadline."""
    ticks: list[float] = []
    while len(ticks) <= PROBE_ROUNDS:
        ready, _, _ = select.select([output], [], [], deadline.remaining)
        data = os.read(output, 4096) if ready else b""
        if not data:
            break
        ticks += [time.monotonic() for byte in data if byte in PROBE_TICK + PROBE_END]
    return ticks
