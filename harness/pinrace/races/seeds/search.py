# SPDX-License-Identifier: GPL-2.0-or-later
"""Which trials to run next, and which smaller ones when one fails.  No guest is needed for that.

A trial is a deterministic run of guest/programs/seek.c.  What it covers are ordered pairs of the
steps of two actors; a trial that covers new ones is varied further.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

SHIFTS = (0, 1, 2)  # of icount: instructions of 1, 2 or 4 virtual nanoseconds
MUTATORS = (1, 4)  # the fewest and the most that seek.c takes, and so of
POINTS = (0, 8)
FRESH = 0.5  # share of trials with a seed of their own


@dataclass(frozen=True)
class Trial:
    """One run: what it is drawn from, and how big it is."""

    seed: int
    shift: int = 1
    rounds: int = 200
    mutators: int = 2
    points: int = 2

    def job(self, mode: str) -> str:
        """Return what tokens call it; mode: plain or pinned."""
        return f"seek-{mode}-{self.rounds}.{self.mutators}.{self.points}"


@dataclass(frozen=True)
class Found:
    """What came of a trial."""

    trial: Trial
    fails: str = ""  # what kind of failure of the kernel; "" for none
    missing: str = ""  # why nothing came of it
    kept: int = 0  # rounds that went on, and had what was approved
    pairs: int = 0  # covered, a bit each
    first: int = -1  # the first round that failed, -1 when that is not known


@dataclass
class Search:
    """The state of a search; `next` and `take` alternate."""

    rng: random.Random
    covered: int = 0
    kept: list[Trial] = field(default_factory=list)  # those that covered something new
    ran: int = 0
    rounds: int = 0  # in which something could have been seen
    missing: list[str] = field(default_factory=list)  # why nothing came of a trial
    asked: set[Trial] = field(default_factory=set)

    def next(self, count: int) -> list[Trial]:
        """Return the trials to run now, none of them twice."""
        return [self._new() for _ in range(count)]

    def take(self, found: Found) -> bool:
        """Learn from a trial that has run; whether it covered anything new."""
        self.ran += 1
        self.rounds += found.kept
        self.missing += [found.missing] if found.missing else []
        new = found.pairs & ~self.covered
        self.covered |= found.pairs
        if new:
            self.kept.append(found.trial)
        return bool(new)

    def _new(self) -> Trial:
        trial = self._one()
        while trial in self.asked:
            trial = self._fresh()
        self.asked.add(trial)
        return trial

    def _fresh(self) -> Trial:
        return Trial(self.rng.randrange(1, 1 << 31), self.rng.choice(SHIFTS))

    def _one(self) -> Trial:
        if not self.kept or self.rng.random() < FRESH:
            return self._fresh()
        old = self.rng.choice(self.kept)
        what = self.rng.choice(("shift", "mutators", "points"))
        if what == "shift":
            return replace(old, shift=self.rng.choice([s for s in SHIFTS if s != old.shift]))
        least, most = MUTATORS if what == "mutators" else POINTS
        was = getattr(old, what)
        return replace(old, **{what: min(max(was + self.rng.choice((-1, 1)), least), most)})


def smaller(found: Found) -> Iterator[Trial]:
    """Return the trials that are one step smaller than one that failed, the smallest first."""
    trial = found.trial
    if 0 <= found.first < trial.rounds - 1:
        yield replace(trial, rounds=found.first + 1)
    if trial.rounds > 1:
        yield replace(trial, rounds=max(1, trial.rounds // 2))
    for name, (least, _) in (("mutators", MUTATORS), ("points", POINTS)):
        was = getattr(trial, name)
        for value in dict.fromkeys((least, was - 1)):
            if least <= value < was:
                yield replace(trial, **{name: value})


def minimise(found: Found, run: Callable[[Trial], Found], tries: int) -> tuple[Found, int]:
    """Return the smallest trial found that fails in the same way, and how many were tried.

    None of those one step smaller fails so, unless `tries` runs were not enough to see that.
    """
    seen: set[Trial] = set()
    used = 0
    shrunk = True
    while shrunk:
        shrunk = False
        for trial in smaller(found):
            if trial in seen:
                continue
            if used == tries:
                return found, used
            seen.add(trial)
            used += 1
            got = run(trial)
            if got.fails == found.fails:
                found, shrunk = got, True
                break
    return found, used


def hunt(
    search: Search, run: Callable[[Sequence[Trial]], list[Found]], runs: int, width: int
) -> Found | None:
    """Run trials, `width` at once, until one fails or `runs` have been; return the one that did."""
    while search.ran < runs:
        batch = run(search.next(min(width, runs - search.ran)))
        for found in batch:
            search.take(found)
        if failed := next((found for found in batch if found.fails), None):
            return failed
    return None
