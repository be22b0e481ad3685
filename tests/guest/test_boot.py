# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests boot, and what jobs do there comes out as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pinrace.arches import ABIS, Abi, get_arch
from pinrace.guest.boot import Ending, run_guest
from pinrace.guest.machine import get_machine
from pinrace.guest.outcome import GuestRun
from pinrace.values import Image, Job

MISBEHAVE = "/pinrace/bin/misbehave"

EVERY_ABI = pytest.mark.parametrize("abi", ABIS.values(), ids=lambda abi: abi.name)


def sh(name: str, script: str, timeout: float = 5, **env: str) -> Job:
    return Job(name, ("/bin/sh", "-c", script), timeout, tuple(env.items()))


def check_run(run: GuestRun) -> None:
    """What is true of any guest of two CPUs that came to its end."""
    assert run.ending is Ending.DONE, run
    assert run.sound, run.damage
    assert run.hello["cpus"] == "2"
    assert run.boot_seconds is not None
    assert 0 < run.boot_seconds <= run.seconds
    assert run.cpu_seconds > 0


@EVERY_ABI
def test_ends_and_output_are_kept(
    abi: Abi,
    boot_kernel: Callable[[str], Path],
    abi_image: Callable[[str], Image],
    tmp_path: Path,
) -> None:
    arch = get_arch(abi.arch)
    folder = tmp_path / "with, comma"
    seen = []
    run = run_guest(
        boot_kernel(arch.name),
        abi_image(abi.name),
        [
            Job("zero", (MISBEHAVE, "exit", "0"), 5),
            Job("seven", (MISBEHAVE, "exit", "7"), 5),
            Job("segv", (MISBEHAVE, "signal", "11"), 5),
            sh("words", 'echo "$V"; echo err >&2; echo a=1 b=2 >&3; echo c >&3', V="two  words"),
            sh("bytes", "head -c 20000 /dev/zero"),
            Job("missing", ("/nonexistent", "x"), 5),
            Job("hang", (MISBEHAVE, "hang"), 0.1),
            Job("orphans", (MISBEHAVE, "spawn-orphans"), 5),
            Job("printk", (MISBEHAVE, "printk-between"), 5),
            sh(
                "cpus",
                "nproc; cat /sys/devices/system/clocksource/clocksource0/current_clocksource",
            ),
        ],
        get_machine(arch),
        folder,
        on_record=seen.append,
    )
    check_run(run)
    assert tuple(seen) == run.records
    job = {one.name: one for one in run.jobs}
    assert [job[name].status for name in ("zero", "seven", "words", "bytes")] == [0, 7, 0, 0]
    assert (job["segv"].status, job["segv"].signal) == (None, 11)
    assert job["words"].output == b"two  words\nerr\n"
    assert job["words"].recs == ("a=1 b=2", "c")
    assert job["bytes"].output == bytes(20000)
    assert "No such file" in job["missing"].error
    assert job["missing"].status is None
    assert job["hang"].timed_out
    assert job["hang"].output == b"hanging\n"
    assert not job["zero"].timed_out
    assert job["orphans"].status == 0
    assert not job["orphans"].unkillable
    # The kernel's messages are on the console and not in the midst of the output.
    assert job["printk"].output == b"KTAP version 1\n1..2\nok 1 first\nok 2 second\n"
    assert b"in the midst of a line" in run.console.read_bytes()
    # A clock that moves in steps of a tick would make every race test blind.
    cpus, clock = job["cpus"].output.decode().split()
    assert cpus == "2"
    assert "jiffies" not in clock
    for name in ("zero", "seven", "segv", "hang"):
        assert (job[name].elf_machine, job[name].elf_class) == (abi.elf_machine, abi.bits)
    assert (folder / "qemu.txt").read_text().startswith("/")
    assert not (folder / "initrd").exists()
