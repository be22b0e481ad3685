# SPDX-License-Identifier: GPL-2.0-or-later
"""A replay that a person stops in: with gdb at a moment of it, or with a shell at its end.

Up to that moment it is the run of the token, byte for byte; from there on it is somebody's.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace.arches import get_arch
from pinrace.errors import InfrastructureError, UserError
from pinrace.guest.boot import Limits
from pinrace.guest.process import Guest
from pinrace.races.replay import run as replays
from pinrace.races.replay.run import Made, Once
from pinrace.races.torture.records import Told, parse

PROGRESS = 0x5EED0000  # where rootfs/programs/race.c has its fingerprint so far
# Where programs that go round by round have an instruction for each: rootfs/lib/marks.h.
MARKS = 0x5EED1000
MARK_SIZE = 4  # bytes
MOST_MARKS = 65536
PANIC = "panic"  # the kernel's function
FOREVER = Limits(boot=1e7, step=1e7)  # seconds; who debugs is not hurried


@dataclass(frozen=True)
class Place:
    """Where gdb stops."""

    what: str  # for people
    spec: str  # for gdb: what `thbreak` takes


def place(once: Once | None, at: int | None) -> Place:
    """Return where to stop a run: before round `at`, or before the one that failed.

    once: what came of the run.  Where no round failed, that is at a panic.  The rounds of a torture
    are its trials.  Raises UserError for a round that the run does not have.
    """
    rounds, failed = _rounds(once) if once else (0, None)
    if at is not None:
        if not 0 <= at < rounds:
            what = f"its rounds are 0 to {rounds - 1}" if rounds else "its job has no rounds"
            raise UserError(f"the token's run has no round {at} to stop at: {what}")
    elif failed is not None and failed < MOST_MARKS:
        at = failed
    if at is None:
        return Place("at a panic", PANIC)
    return Place(f"before round {at}", f"*{MARKS + at * MARK_SIZE:#x}")


def _rounds(once: Once) -> tuple[int, int | None]:
    """Return how many rounds of a run can be stopped at, and the first that failed."""
    if once.race:
        lost = int(once.race.get("first_lost", -1))
        return min(int(once.race["rounds"]), MOST_MARKS), lost if lost >= 0 else None
    told = parse(once.run.jobs[-1].recs) if once.run.jobs else Told()
    numbers = [one.number for one in told.violations if one.number is not None]
    return min(told.trials, MOST_MARKS), min(numbers, default=None)


def gdb_line(made: Made, socket: Path, where: Place, *more: str) -> list[str]:
    """Return the command that attaches gdb and runs the guest up to that place.

    more: further commands for gdb.  Raises InfrastructureError when no gdb knows the arch.
    """
    arch = get_arch(made.machine.arch)
    names = ["gdb-multiarch", *(["gdb"] if arch.host_machine == os.uname().machine else [])]
    gdb = next((name for name in names if shutil.which(name)), None)
    if not gdb:
        raise InfrastructureError(f"no gdb for {arch.name}", hint="apt-get install gdb-multiarch")
    commands = (f"target remote {socket}", f"thbreak {where.spec}", "continue", *more)
    return [gdb, "-q", str(made.kernel.vmlinux), *(w for c in commands for w in ("-ex", c))]


def with_gdb(
    made: Made, folder: Path, socket: Path, where: Place, say: Callable[[str], None]
) -> Once:
    """Start the guest stopped, say how to attach, and return what came of the run.

    It comes to its end when gdb lets it; a gdb that leaves with `kill` ends it at once.  Of an
    AArch32 task QEMU 7.2 tells gdb the AArch64 registers: it stops at the right instruction, and
    the pc that gdb shows is that of the kernel's return to it.
    """
    stub = ("-S", "-gdb", f"unix:path={socket},server=on,wait=off")
    watched = replace(made, machine=replace(made.machine, qemu_args=stub))
    say(f"the guest stands at its first instruction; this goes on, and stops {where.what}:")
    say(f"  {shlex.join(gdb_line(made, socket, where))}")
    return replays.run_once(watched, folder, limits=FOREVER)


def with_shell(made: Made, folder: Path, talk: Callable[[Guest], None]) -> Once:
    """Run it to its end, and then give its console to `talk`."""
    return replays.run_once(made, folder, limits=FOREVER, remain=talk)


def same_until_done(one: Path, other: Path) -> bool:
    """Whether two runs' folders have the same results, each with its time in nanoseconds."""
    name = "channel.bin"
    return (one / name).read_bytes() == (other / name).read_bytes()
