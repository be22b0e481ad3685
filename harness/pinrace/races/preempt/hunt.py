# SPDX-License-Identifier: GPL-2.0-or-later
"""Sweep a window: hold one side at each of its instructions, and say what that showed."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pinrace.arches import get_arch
from pinrace.errors import InfrastructureError
from pinrace.guest.outcome import GuestRun
from pinrace.judge import ending, splats
from pinrace.judge.ending import End
from pinrace.races.preempt.disasm import noticeable
from pinrace.races.preempt.played import LostError, Played
from pinrace.races.preempt.session import Lab, run_script
from pinrace.races.preempt.spec import Hold, Move, pair, single
from pinrace.races.preempt.stage import ROUND_SECONDS, Stage
from pinrace.races.preempt.stub import StubGoneError
from pinrace.races.preempt.windows import Window

CRASHED = "crashed"  # the verdict of a hold under which the kernel died
LOST = "lost"  # that of one whose guest ended for no known reason
CONFIRM = 3  # times that a violation is played again before it counts as one
MOST_LOST = 3  # guests lost in one sweep
STRIDES = (16, 4, 1)  # of pairs: there are too many to wait for the last of them
# A guest that is lost under a hold has CPUs that stand still; that the others say so is its doing.
STALLS = frozenset({"rcu-stall", "soft-lockup", "hard-lockup", "hung-task", "workqueue-lockup"})
LONGEST_WINDOW = 5000  # instructions

# What a sweep does: gives holds, and is sent what came of each.
Sweep = Generator[Hold, Played | None, None]


@dataclass(frozen=True)
class Found:
    """A hold whose verdict is a violation."""

    hold: Hold
    verdict: str
    why: str  # the guest program's words, or the kernel's
    again: int  # of CONFIRM times that it was played again, how many gave the same verdict
    console: Path
    at: int | None = None  # the address of the instruction before which the side was held

    @property
    def certain(self) -> bool:
        """Whether it came each time."""
        return self.again == CONFIRM


@dataclass
class Hunt:
    """What a sweep came to; grows while it goes on."""

    window: Window
    tried: int = 0
    length: int | None = None  # instructions of the window, once its end was seen
    verdicts: Counter[str] = field(default_factory=Counter)
    given_up: Counter[str] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)  # guests that ended for no known reason
    reports: list[str] = field(default_factory=list)  # what kernels said of themselves
    seconds: float = 0.0
    complete: bool = False  # nothing of the sweep is left to try
    by_count: dict[tuple[str, int], str] = field(default_factory=dict)  # single holds' verdicts
    strange: Counter[str] = field(default_factory=Counter)  # entries on nobody's stack, by function

    @property
    def violations(self) -> int:
        """Holds with a violation, and reports of the kernel."""
        return len(self.found) + len(self.reports)


def singles(hunt: Hunt, window: Window) -> Sweep:
    """One preemption: at each instruction of a window, until it is left."""
    side, function, count = window.side, window.window, window.first
    while window.last is None or count <= window.last:
        hold = single(
            side, function, count, window.until, settle=window.settle, runners=window.runners,
            before=window.led,
        )  # fmt: skip
        played = yield hold
        if played is not None and played.over:
            played = yield hold  # one round in which it was not entered is no end
        if played is not None:
            if played.over:
                if hunt.length is None and function == hunt.window.window:
                    hunt.length = count
                return
            count = played.hold.swept.count
            word = f"given up: {played.stopped}" if played.stopped else str(played.verdict)
            hunt.by_count[side, count] = word
        count += 1


def pairs(hunt: Hunt, window: Window) -> Sweep:
    """Two preemptions: instructions of one window with those of the other, coarse steps first.

    Of the first window, only where the other side got through alone: elsewhere it waits for a lock.
    Where the second one ends depends on where the first side is held.
    """
    tried: set[tuple[int, int]] = set()
    for some, stride in _coarse_first(hunt, window.side):
        for first in some:
            for second in range(0, LONGEST_WINDOW, stride):
                if (first, second) in tried:
                    continue
                tried.add((first, second))
                one = Move(window.side, window.window, first)
                played = yield pair(one, Move(window.runner, window.against, second), window.led)
                if played is not None and played.over:
                    break


def _coarse_first(hunt: Hunt, side: str) -> Iterator[tuple[list[int], int]]:
    """Yield counts to hold the first side at, and the step for the second one.

    One of each run of counts with the same verdict comes first: a run is what lies between two
    places where a lock is taken or dropped, or where the outcome changes.
    """
    counts = [(n, word) for (each, n), word in hunt.by_count.items() if each == side]
    words = ["", *(word for _, word in counts)]
    starts = [n for (n, word), before in zip(counts, words, strict=False) if word != before]
    free = [n for n, word in counts if _free(word)]
    for stride in STRIDES:
        yield [n for n in starts if n in free], stride
    for stride in STRIDES:
        yield free[::stride], stride


def _free(word: str) -> bool:
    return not word.startswith("given up")


def sweep_of(hunt: Hunt, window: Window, *, with_pairs: bool) -> Sweep:
    """Return the whole sweep of a window."""
    yield from singles(hunt, window)
    if with_pairs and window.against:
        yield from pairs(hunt, window)


def replay(lab: Lab, scenario: str, hold: Hold, folder: Path, *, times: int) -> list[str]:
    """Play one hold that often and return the verdicts; after one that ends its guest, in another.

    Raises InfrastructureError when the first guests are lost, which says nothing of the hold.
    """
    verdicts: list[str] = []
    spoils = lab.program is not None and lab.program.spoils

    def script(stage: Stage) -> None:
        while len(verdicts) < times:
            verdicts.append(str(stage.play(hold).verdict))
            if spoils:
                break
        stage.next_round()
        stage.leave()

    for boot in range(1, times + 1):
        place = folder / str(boot)
        try:
            run_script(lab, scenario, script, place, seconds=ROUND_SECONDS * times)
        except (StubGoneError, LostError) as exc:
            verdicts.append(CRASHED if died(exc, place / "console.log") else LOST)
            if verdicts == [LOST] * MOST_LOST:
                raise InfrastructureError(f"guests are lost: {exc}", log=place) from exc
        if len(verdicts) >= times:
            break
    return verdicts


def play_once(lab: Lab, scenario: str, hold: Hold, folder: Path) -> Played | None:
    """Play one hold once, in a guest of its own; None when the kernel died under it.

    Raises InfrastructureError when the guest is lost otherwise.
    """
    came: list[Played] = []

    def script(stage: Stage) -> None:
        came.append(stage.play(hold))
        stage.next_round()
        stage.leave()

    try:
        run_script(lab, scenario, script, folder, seconds=ROUND_SECONDS)
    except (StubGoneError, LostError) as exc:
        if not came and not died(exc, folder / "console.log"):
            raise
    return came[0] if came else None


def died(exc: Exception, console: Path) -> bool:
    """Whether a guest was lost because its kernel died; one that hangs, does so for the hold."""
    return isinstance(exc, StubGoneError) and bool(splats.against(console))


def hunt_window(
    lab: Lab,
    window: Window,
    folder: Path,
    *,
    seconds: float,
    with_pairs: bool = False,
    keep_going: bool = False,
    every: bool = False,
    hunt: Hunt | None = None,
) -> Hunt:
    """Sweep a window until its end, a violation (unless keep_going) or the end of the time.

    every: hold before instructions that nobody else can notice, too.  hunt: grows while the sweep
    goes on, for who wants what there is when it is interrupted.  The folder gets one folder a
    guest.  A few guests that are lost end the sweep, and are in what is returned.  Raises UserError
    when the kernel lacks the functions, and InfrastructureError when guests cannot be run.
    """
    function = lab.symbols.find(window.window)
    arch = get_arch(lab.machine.arch)
    slide = None if every else noticeable(lab.kernel.vmlinux, arch, function)
    if with_pairs and window.against:
        lab.symbols.find(window.against)
    hunt = Hunt(window) if hunt is None else hunt
    sweep = sweep_of(hunt, window, with_pairs=with_pairs)
    spoils = lab.program is not None and lab.program.spoils
    began = time.monotonic()
    boot = 0
    carry = _Carry(next(sweep, None))
    while carry.hold is not None and len(hunt.lost) < MOST_LOST:
        boot += 1
        left = began + seconds - time.monotonic()
        if left <= 0:
            break
        place = folder / str(boot)
        console, until = place / "console.log", time.monotonic() + left
        play = _Play(hunt, sweep, carry, console, until, keep_going, slide, spoils)
        try:
            run = run_script(lab, window.scenario, play, place, seconds=left)
            play.settle(run)
        except (StubGoneError, LostError) as exc:
            _lost(lab, hunt, play, place, exc)
        except KeyboardInterrupt:
            with contextlib.suppress(InfrastructureError):  # it had not printed anything yet
                play.settle(None)
            raise
        if play.enough and not (spoils and keep_going and time.monotonic() < until):
            break
    hunt.complete = carry.hold is None
    hunt.seconds = time.monotonic() - began
    return hunt


@dataclass
class _Carry:
    """The hold to be played next, across guests; None when there is none."""

    hold: Hold | None


@dataclass
class _Bad:
    """A violation: of which round, and how often it came again."""

    round: int
    hold: Hold
    verdict: str
    again: int = 0
    at: int | None = None


@dataclass
class _Play:
    """The script of one guest."""

    hunt: Hunt
    sweep: Sweep
    carry: _Carry
    console: Path
    until: float  # time.monotonic()
    keep_going: bool
    slide: frozenset[int] | None = None
    spoils: bool = False
    enough: bool = False
    _bad: list[_Bad] = field(default_factory=list)
    _size: int = 0  # of the console, when it was read last
    # By reports' fingerprints; None for those of before any hold.
    _under: dict[str, Hold | None] = field(default_factory=dict)

    def __call__(self, stage: Stage) -> None:
        """Play until there is nothing left, or it is enough."""
        self._listen(None)
        while self.carry.hold is not None and not self.enough:
            played = stage.play(self.carry.hold, slide=self.slide)
            self._note(stage, played)
            self._listen(played.hold)
            try:
                self.carry.hold = self.sweep.send(played)
            except StopIteration:
                self.carry.hold = None
            if time.monotonic() > self.until:
                self.enough = True
        self.hunt.strange.update(stage.strange)
        stage.next_round()
        stage.leave()

    def _note(self, stage: Stage, played: Played) -> None:
        """Count it; play a violation again."""
        hunt, hold = self.hunt, played.hold
        if played.over and not played.verdict.violated:
            return
        hunt.tried += 1
        hunt.verdicts[str(played.verdict)] += 1
        if played.stopped:
            hunt.given_up[played.stopped] += 1
        if not played.verdict.violated:
            return
        bad = _Bad(stage.rounds - 1, hold, str(played.verdict), at=played.at)
        self._bad.append(bad)
        if self.spoils:
            self.enough = True
        elif not hunt.window.control:
            self.enough = not self.keep_going
            for _ in range(CONFIRM):
                bad.again += stage.play(hold, slide=self.slide).verdict == played.verdict

    def _listen(self, hold: Hold | None) -> None:
        """See whether the kernel has reported something of itself, and lives on."""
        size = self.console.stat().st_size
        if size == self._size:
            return
        self._size = size
        for splat in splats.against(self.console):
            if splat.fingerprint not in self._under:
                self._under[splat.fingerprint] = hold
                self.enough = not self.keep_going

    def settle(self, run: GuestRun | None) -> None:
        """Add what the guest's end tells: why, and what the kernel says of itself."""
        console = self.console
        recs = run.jobs[0].recs if run and run.jobs else ()
        for bad in self._bad:
            line = recs[bad.round] if bad.round < len(recs) else ""
            why = line.partition("why=")[2] or "the guest program says so"
            self.hunt.found.append(Found(bad.hold, bad.verdict, why, bad.again, console, bad.at))
        # What a lost round of such a program leaves is what the round was lost by.
        for splat in () if self.spoils and self._bad else splats.against(console):
            if run is None and splat.rule in STALLS:
                continue
            hold = self._under.get(splat.fingerprint)
            under = f" under {hold}" if hold else ""
            self.hunt.reports.append(f"{splat.title}{under} ({console}:{splat.line})")
        reading = ending.of(run, splats.find(splats.read(console))) if run else None
        if reading and reading.end is End.DIED and not reading.reports:
            self.hunt.reports.append(f"{reading.sentence} ({console})")
        elif reading and not reading.reports and reading.end is not End.ENDED:
            self.hunt.lost.append(f"{reading.sentence} ({console})")


def _lost(lab: Lab, hunt: Hunt, play: _Play, folder: Path, exc: Exception) -> None:
    """Take note of a guest that ended under a hold: a crash is the kernel's, the rest is not."""
    console = folder / "console.log"
    carry, hold = play.carry, play.carry.hold
    before = len(hunt.reports)
    play.settle(None)
    if died(exc, console) and len(hunt.reports) > before and hold is not None:
        why = hunt.reports.pop(before)
        again = 0
        with contextlib.suppress(InfrastructureError):  # what was seen stays seen
            verdicts = replay(lab, hunt.window.scenario, hold, folder / "again", times=CONFIRM)
            again = verdicts.count(CRASHED)
        hunt.found.append(Found(hold, CRASHED, why, again, console))
        hunt.tried += 1
        play.enough = not play.keep_going
    else:
        hunt.lost.append(f"{exc} ({console})")
    try:
        carry.hold = play.sweep.send(None)
    except StopIteration:
        carry.hold = None
