# SPDX-License-Identifier: GPL-2.0-or-later
"""Why two runs that should be the same are not: where they part, and whether it is the CPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from pinrace.guest.outcome import Ending
from pinrace.races.replay import run as replays
from pinrace.races.replay.run import Made, Once

NEEDS = "8.1"  # the release whose icount shares time fairly between CPUs
WIDTH = 100  # of a line that is shown


def first_difference(one: Path, other: Path) -> str:
    """Return where two runs' folders part, for people; "" when they do not."""
    for name in ("console.log", "channel.bin"):
        lines = ((folder / name).read_bytes().split(b"\n") for folder in (one, other))
        for number, (a, b) in enumerate(zip_longest(*lines, fillvalue=b"(its end)"), 1):
            if a != b:
                return f"{name}:{number}\n    {_shown(a)}\n    {_shown(b)}"
    return ""


def _shown(line: bytes) -> str:
    return line.decode(errors="replace").strip()[:WIDTH]


def explain(made: Made, ran: Sequence[Once], folders: Sequence[Path], place: Path) -> str:
    """Return what there is to say of runs that differ, or that did not come to their end.

    Where there are several CPUs, two more runs with one of them tell whether it is that: QEMU
    before NEEDS gives all the time until the next timer to the first.
    """
    machine = made.machine
    assert machine.replay  # noqa: S101 (only such runs repeat themselves)
    said = []
    if machine.replay.without:
        said.append(f"'{machine.replay.without}' was left out")
    said += [once.run.reason for once in ran if once.run.ending is not Ending.DONE][:1]
    apart = next(
        (found for other in folders[1:] if (found := first_difference(folders[0], other))), ""
    )
    if apart:
        said.append(f"they part at {apart}")
    if machine.smp > 1 and not machine.replay.without:
        alone = replace(made, machine=replace(machine, smp=1))
        one, two = (replays.run_once(alone, place / f"one-cpu-{n}") for n in (1, 2))
        if one.fingerprint == two.fingerprint and one.run.ending is Ending.DONE:
            said.append(
                f"with one CPU they repeat: it is QEMU {machine.qemu.version} with {machine.smp}"
                f" CPUs that does not; take {NEEDS} or later, or --smp 1"
            )
        else:
            said.append("one CPU does not help")
    return "".join(f"\n        {line}" for line in said)
