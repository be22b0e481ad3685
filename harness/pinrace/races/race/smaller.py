# SPDX-License-Identifier: GPL-2.0-or-later
"""Make a loss small: the fewest rounds of a seed, the interval of instructions of a hold."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pinrace.arches import Arch
from pinrace.deadline import Deadline
from pinrace.host import sandbox
from pinrace.races.preempt import hunt as hunts
from pinrace.races.preempt.hunt import CRASHED, Found
from pinrace.races.preempt.played import LostError
from pinrace.races.preempt.session import Lab, run_script
from pinrace.races.preempt.stage import Stage
from pinrace.races.preempt.stub import StubGoneError
from pinrace.races.race.ways import Bench, Seed, Tried, run_seed

SECONDS = 120.0  # for addr2line, which reads the debug information of one unit
ONE_GUEST = 600.0  # host seconds
WIDEST = 4096  # instructions of an interval


@dataclass(frozen=True)
class Line:
    """A place in the source, and the functions that were inlined into each other there."""

    address: int
    frames: tuple[str, ...]  # "function at file:line", innermost first

    def __str__(self) -> str:
        return " < ".join(self.frames) or f"{self.address:#x}"


@dataclass(frozen=True)
class Interval:
    """The instructions of a function at which a hold is lost, first and last."""

    function: str
    first: int
    last: int
    first_line: Line | None
    last_line: Line | None
    ends: bool  # whether the last was seen to be the last

    def __str__(self) -> str:
        return f"{self.function}+{self.first}..+{self.last}{'' if self.ends else ' and more'}"


def fewest_rounds(bench: Bench, found: Seed) -> tuple[Seed, int]:
    """Return the seed's run with the fewest rounds that is lost, and how many runs that took.

    Rounds before the one that was lost are drawn and not run; of those right before it, as few are
    run as it takes.
    """
    first = found.loss.first
    if first < 0 or not found.job.startswith("timer-"):
        return found, 0
    runs, more = 0, 1
    while True:
        skip = max(0, first + 1 - more)
        rounds = first + 1 - skip
        name = f"timer-{rounds}" + (f"+{skip}" if skip else "")
        one = run_seed(bench, name, found.seed, bench.place(f"smaller-{rounds}"))
        runs += 1
        if one.loss:
            return one, runs
        if not skip:
            return found, runs
        more *= 4


def interval(bench: Bench, lab: Lab, tried: Tried, arch: Arch) -> Interval | None:
    """Return the interval around the first hold that was lost; None where there is none.

    Its end is looked for by doubling and halving, on the assumption that the losing counts lie
    together.
    """
    if not tried.found:
        return None
    found = tried.found
    first = found.hold.swept.count
    folder = bench.place("interval")
    at: dict[int, int | None] = {first: found.at}

    def loses(count: int) -> bool:
        verdict, address = _play(lab, found, count, folder / str(count))
        at[count] = address
        return verdict == found.verdict

    shared = _in_one_guest(lab, found, folder / "all", at)
    last, ends = shared or last_of(first, loses)
    move = found.hold.swept
    return Interval(
        move.function,
        first,
        last,
        _line(lab, arch, at.get(first)),
        _line(lab, arch, at.get(last)),
        ends,
    )


def _in_one_guest(
    lab: Lab, found: Found, folder: Path, at: dict[int, int | None]
) -> tuple[int, bool] | None:
    """Look for the end of the interval in the rounds of one guest, and note where each was held.

    None where a lost round spoils its guest, or the guest is lost on the way.
    """
    if lab.program is None or lab.program.spoils:
        return None
    came: list[tuple[int, bool]] = []

    def script(stage: Stage) -> None:
        def loses(count: int) -> bool:
            played = stage.play(found.hold.at_count(count))
            at[count] = played.at
            return not played.stopped and str(played.verdict) == found.verdict

        came.append(last_of(found.hold.swept.count, loses))
        stage.next_round()
        stage.leave()

    with contextlib.suppress(StubGoneError, LostError):
        run_script(lab, "race", script, folder, seconds=ONE_GUEST)
    return came[0] if came else None


def last_of(first: int, loses: Callable[[int], bool]) -> tuple[int, bool]:
    """Return the last of the counts from `first` on that lose, and whether it is seen to be it."""
    good, step = first, 1
    while loses(good + step):
        good += step
        step *= 2
        if good - first > WIDEST:
            return good, False
    bad = good + step
    while bad - good > 1:
        middle = (good + bad) // 2
        if loses(middle):
            good = middle
        else:
            bad = middle
    return good, True


def _play(lab: Lab, found: Found, count: int, folder: Path) -> tuple[str, int | None]:
    """Play the hold with another count once; return its verdict and where the side was held."""
    played = hunts.play_once(lab, "race", found.hold.at_count(count), folder)
    if played is None:
        return CRASHED, None
    if played.stopped:
        return f"given up: {played.stopped}", played.at
    return str(played.verdict), played.at


def _line(lab: Lab, arch: Arch, address: int | None) -> Line | None:
    return source_line(lab.kernel.vmlinux, arch, address) if address is not None else None


def source_line(vmlinux: Path, arch: Arch, address: int) -> Line:
    """Return the source line of an instruction; without frames when addr2line does not know."""
    shown = sandbox.run(
        [f"{arch.cross}addr2line", "-i", "-f", "-e", vmlinux, f"{address:#x}"],
        binds=sandbox.reads(vmlinux),
        deadline=Deadline.after(SECONDS),
        check=False,
        what="addr2line",
        hint="pinrace doctor",
    )
    lines = [line for line in shown.output.splitlines() if line]
    pairs = zip(lines[::2], lines[1::2], strict=False)
    frames = [f"{name} {_short(place)}" for name, place in pairs if not place.startswith("?")]
    return Line(address, tuple(frames))


def _short(place: str) -> str:
    """Return FILE:LINE as the kernel's makefiles name it."""
    path = place.split(" (", maxsplit=1)[0]
    for top in ("/src/", "/./"):
        _, found, rest = path.rpartition(top)
        if found:
            return rest
    return path
