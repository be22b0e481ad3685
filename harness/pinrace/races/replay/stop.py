# SPDX-License-Identifier: GPL-2.0-or-later
"""A replay that a person stops in: with gdb at a moment of it, or with a shell at its end.

Up to that moment it is the run of the token, byte for byte; from there on it is somebody's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace.access import gdb as access
from pinrace.arches import get_arch
from pinrace.errors import InfrastructureError, UserError
from pinrace.guest.boot import Limits
from pinrace.guest.process import Guest
from pinrace.races.replay import run as replays
from pinrace.races.replay.run import Made, Once
from pinrace.races.trials.records import Told, parse

PROGRESS = 0x5EED0000  # where guest/programs/race.c has its fingerprint so far
# Where programs that go round by round have an instruction for each: rootfs/lib/marks.h.
MARKS = 0x5EED1000
MARK_SIZE = 4  # bytes
MOST_MARKS = 65536
PANIC = "panic"  # the kernel's function
START_SECONDS = 30.0  # for QEMU itself; the host may be busy
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


def gdb_line(
    made: Made, socket: Path, where: Place, *more: str, programs: Sequence[Path] = ()
) -> list[str]:
    """Return the command that attaches gdb and runs the guest up to that place.

    more: further commands for gdb.  programs: files with symbols of what runs in the guest.  Raises
    InfrastructureError when no gdb knows the arch.
    """
    gdb = access.find_gdb(get_arch(made.machine.arch))
    argv = access.command_line(gdb, made.kernel, socket, None, ())
    symbols = [f"add-symbol-file {program}" for program in programs]
    commands = (*symbols, f"thbreak {where.spec}", "continue", *more)
    quiet = ("-ex", "set confirm off") if programs else ()
    return [argv[0], *quiet, *argv[1:], *(w for c in commands for w in ("-ex", c))]


def in_gdb(
    made: Made,
    folder: Path,
    socket: Path,
    where: Place,
    *,
    programs: Sequence[Path] = (),
    more: Sequence[str] = (),
    say: Callable[[str], None],
) -> Once | None:
    """Have the run in a gdb on our terminal, stopped at that place; return what came of it.

    When gdb leaves and lets the guest go, the run comes to its end; None when gdb ended it.  Of an
    AArch32 task QEMU 7.2 tells gdb the AArch64 registers: it stops at the right instruction, and
    the pc that gdb shows is that of the kernel's return to it.
    """
    line = gdb_line(made, socket, where, *more, programs=programs)
    stub = ("-S", "-gdb", f"unix:path={socket},server=on,wait=off")
    watched = replace(made, machine=replace(made.machine, qemu_args=stub))
    stop = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="guest") as executor:
        running = executor.submit(replays.run_once, watched, folder, stop=stop, limits=FOREVER)
        try:
            _wait_for(socket, running)
            say(f"gdb stops {where.what}; `detach` lets the run go on, `kill` ends it")
            access.run_gdb(line)
            return running.result()
        except InfrastructureError:
            return None
        finally:
            stop.set()


def _wait_for(socket: Path, running: Future[Once]) -> None:
    """Wait until QEMU listens; raises what ended it before."""
    until = time.monotonic() + START_SECONDS
    while not socket.exists():
        if running.done():
            running.result()
        if running.done() or time.monotonic() > until:
            raise InfrastructureError("QEMU does not start", hint="pinrace doctor")
        time.sleep(0.02)


def with_shell(made: Made, folder: Path, talk: Callable[[Guest], None]) -> Once:
    """Run it to its end, and then give its console to `talk`."""
    return replays.run_once(made, folder, limits=FOREVER, remain=talk)


def same_until_done(one: Path, other: Path) -> bool:
    """Whether two runs' folders have the same results, each with its time in nanoseconds."""
    name = "channel.bin"
    return (one / name).read_bytes() == (other / name).read_bytes()
