# SPDX-License-Identifier: GPL-2.0-or-later
"""The arms that hold a vCPU: in the named function, or in all that the operation goes through."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from pinrace.arches import get_arch
from pinrace.errors import InfrastructureError, UserError
from pinrace.host.meter import Meter
from pinrace.judge import splats
from pinrace.races.benchmark.arms import MOST_LOST, WALL, Bench, Found
from pinrace.races.preempt.disasm import noticeable
from pinrace.races.preempt.hunt import CRASHED, died
from pinrace.races.preempt.played import BLOCKERS, LostError, Played
from pinrace.races.preempt.session import Lab, get_lab, run_script
from pinrace.races.preempt.spec import Hold, single
from pinrace.races.preempt.stage import Stage
from pinrace.races.preempt.stub import StubGoneError

SIDE = "a"  # the one that is held


def given(bench: Bench, meter: Meter) -> Found:
    """Hold in the window's function, from its first instruction on, until the budget is spent."""
    return _Sweep(bench, meter, [bench.window.function[bench.arch]]).run()


def blind(bench: Bench, meter: Meter) -> Found:
    """See which functions the operation runs, and hold in each of them, in random order."""
    return _Sweep(bench, meter, None).run()


class _Sweep:
    """An attempt, over as many guests as it takes."""

    def __init__(self, bench: Bench, meter: Meter, functions: Sequence[str] | None) -> None:
        self.bench, self.meter = bench, meter
        self.lab: Lab = get_lab(bench.kernel, bench.image)
        self.functions = functions
        self._blind = functions is None
        self.found = Found()
        self._holds: Iterator[tuple[Hold, frozenset[int]]] | None = None
        self._next: tuple[Hold, frozenset[int]] | None = None
        self._count = 0  # of the last hold
        self._over = False  # its function has no more to hold at

    def run(self) -> Found:
        """Boot guests and play."""
        bad = 0
        while not self.meter.over and not self.found.hit:
            place = self.bench.folder / str(self.found.boots + 1)
            self.found.boots += 1
            try:
                run_script(self.lab, self.bench.window.scenario, self._play, place, seconds=WALL)
                self._read(place / "console.log")
            except (StubGoneError, LostError) as exc:
                bad += not self._crashed(exc, place)
                self._over = self._blind  # leave a function that loses guests
                if bad >= MOST_LOST:
                    raise InfrastructureError(
                        f"guests are lost: {exc}", log=place / "console.log"
                    ) from exc
        return self.found

    def _read(self, console: Path) -> None:
        """Take what a kernel that lived on reported of itself for a hit, too."""
        if not self.found.hit and (reports := splats.against(console)):
            self.found.hit, self.found.how = True, reports[0].title

    def _play(self, stage: Stage) -> None:
        """Play holds in one guest."""
        if self.functions is None:
            stage.next_round()
            self.functions = self._shuffled(stage.functions(SIDE))
        if self._holds is None:
            self._holds = self._all(self.functions)
        while not self.meter.over and not self.found.hit:
            self._next = next(self._holds, None) or self._again()
            hold, slide = self._next
            self.found.tries += 1
            self._take(stage.play(hold, slide=slide))
        stage.next_round()
        stage.leave()

    def _again(self) -> tuple[Hold, frozenset[int]]:
        """Begin anew behind the last hold: the sides do not meet in the same way each time."""
        assert self.functions is not None  # noqa: S101 (set before)
        self._holds = self._all(self.functions)
        return next(self._holds)

    def _take(self, played: Played) -> None:
        self._over = played.over
        self._count = played.hold.swept.count
        if played.verdict.violated:
            self.found.hit, self.found.how = True, str(played.hold)
            self.found.hold, self.found.verdict = str(played.hold), str(played.verdict)

    def _all(self, functions: Sequence[str]) -> Iterator[tuple[Hold, frozenset[int]]]:
        """Yield holds: each function's, from its first instruction to its end."""
        arch = get_arch(self.lab.machine.arch)
        settle = self.bench.window.settle
        for name in functions:
            slide = noticeable(self.lab.kernel.vmlinux, arch, self.lab.symbols.find(name))
            self._over, count = False, 0
            while not self._over:
                self._count = count
                yield single(SIDE, name, count, settle=settle), slide
                count = self._count + 1

    def _shuffled(self, names: Sequence[str]) -> list[str]:
        """Return those of these that can be held in, in an order that the seed gives."""
        known = []
        for name in names:
            if name in BLOCKERS:
                continue
            try:
                function = self.lab.symbols.find(name)
            except UserError:
                continue
            if name == function.name and not function.inlined:
                known.append(name)
        if not known:
            raise InfrastructureError("the operation ran no function that is known")
        random.Random(self.bench.seed).shuffle(known)  # noqa: S311 (no secret)
        return known

    def _crashed(self, exc: Exception, place: Path) -> bool:
        """Whether a guest that was lost is a kernel that crashed, which is a hit."""
        console = place / "console.log"
        if not died(exc, console):
            return False
        hold = str(self._next[0]) if self._next else ""
        self.found.hit, self.found.how = True, f"{CRASHED}: {hold}"
        self.found.hold, self.found.verdict = hold, CRASHED
        return True
