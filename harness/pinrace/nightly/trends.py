# SPDX-License-Identifier: GPL-2.0-or-later
"""Nights in a row: pass rates with their intervals, numbers, and what changed when."""

from __future__ import annotations

import itertools
import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinrace import procs
from pinrace.errors import InfrastructureError
from pinrace.nightly import history, measures
from pinrace.nightly.history import Said, Spot
from pinrace.paths import PROJECT
from pinrace.values import Verdict, gravest

NIGHTS = 1000  # that a site shows
LATEST = 100  # that a text is about
COMMITS = 20  # between two versions of pinrace
_Z = 1.959964  # of a normal distribution, for 95 %

# By what nights can be grouped; a case's rate is over the spots in which its suite ran.
BY: dict[str, Callable[[Spot], str]] = {
    "tree": lambda spot: spot.tree,
    "series": lambda spot: spot.series,
    "abi": lambda spot: spot.abi,
    "suite": lambda spot: spot.suite,
    "spot": str,
}


@dataclass(frozen=True)
class Rate:
    """How often something passed, of the times that it told something."""

    passed: int
    told: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval at 95 %: (0, 1) when nothing was told."""
        if not self.told:
            return 0.0, 1.0
        n, p = self.told, self.passed / self.told
        middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * math.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = self.interval
        share = f"{100 * self.passed / self.told:.1f}" if self.told else "?"
        return f"{share} % ({100 * low:.1f} to {100 * high:.1f})"


@dataclass(frozen=True)
class Line:
    """One row: a group's rate, and its verdict in each night."""

    name: str
    rate: Rate
    verdicts: tuple[Verdict | None, ...]  # the gravest of each night, the oldest first
    changed: str = ""  # the last night in which it became good or bad, as a date


@dataclass(frozen=True)
class Curve:
    """One number over the nights; None where it was not measured."""

    name: str
    unit: str
    values: tuple[float | None, ...]

    @property
    def last(self) -> float:
        """The latest value."""
        return next(value for value in reversed(self.values) if value is not None)

    @property
    def first(self) -> float:
        """The earliest value."""
        return next(value for value in self.values if value is not None)


@dataclass(frozen=True)
class Step:
    """What was not as in the night before."""

    night: int
    began: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Trends:
    """All of a matrix."""

    matrix: str
    nights: tuple[tuple[int, str], ...]  # number and date, the oldest first
    lines: Mapping[str, tuple[Line, ...]]  # by what they are grouped
    cases: tuple[Line, ...]
    curves: tuple[Curve, ...]
    steps: tuple[Step, ...]  # the newest first


def read(
    connection: sqlite3.Connection, matrix: str, limit: int = NIGHTS, *, curves: bool = True
) -> Trends:
    """Return the trends of a matrix over its latest nights, with its numbers if asked for."""
    nights = tuple(reversed(history.nights(connection, matrix, limit)))
    past = history.past(connection, matrix, limit)
    numbers = measures.numbers(connection, matrix, limit) if curves else {}
    order = [number for number, _ in nights]
    return Trends(
        matrix,
        tuple((number, began[:10]) for number, began in nights),
        {by: _lines(past, key, nights) for by, key in BY.items()},
        _cases(past, measures.bad_cases(connection, matrix, limit), nights),
        _curves(numbers, order),
        tuple(_steps(connection, nights)),
    )


def _lines(
    past: Mapping[Spot, Sequence[Said]],
    key: Callable[[Spot], str],
    nights: Sequence[tuple[int, str]],
) -> tuple[Line, ...]:
    """Return a line for each group of spots."""
    groups: dict[str, list[Said]] = {}
    for spot, said in past.items():
        groups.setdefault(key(spot), []).extend(said)
    return tuple(_line(name, said, nights) for name, said in sorted(groups.items()))


def _line(name: str, said: Iterable[Said], nights: Sequence[tuple[int, str]]) -> Line:
    """Return the line of one group."""
    by_night: dict[int, list[Verdict]] = {}
    passed = told = 0
    for one in said:
        by_night.setdefault(one.night, []).append(one.verdict)
        passed += one.verdict is Verdict.PASS
        told += one.verdict in (Verdict.PASS, Verdict.FAIL)
    verdicts = tuple(
        gravest(by_night[number]) if number in by_night else None for number, _ in nights
    )
    return Line(name, Rate(passed, told), verdicts, _changed(verdicts, nights))


def _changed(verdicts: Sequence[Verdict | None], nights: Sequence[tuple[int, str]]) -> str:
    """Return the date since which it passes, or fails, as it does now."""
    told = [
        (verdict, began[:10])
        for verdict, (_, began) in zip(verdicts, nights, strict=True)
        if verdict in (Verdict.PASS, Verdict.FAIL)
    ]
    since = ""
    for (before, _), (after, day) in itertools.pairwise(told):
        since = day if before is not after else since
    return since


def _cases(
    past: Mapping[Spot, Sequence[Said]],
    bad: Mapping[tuple[str, str], Mapping[int, int]],
    nights: Sequence[tuple[int, str]],
) -> tuple[Line, ...]:
    """Return a line for each case that was ever bad, the one that was bad most often first."""
    ran: dict[str, dict[int, int]] = {}
    for spot, said in past.items():
        for one in said:
            if one.stage == "run" and one.verdict not in (Verdict.MISS, Verdict.SKIP):
                of = ran.setdefault(spot.suite, {})
                of[one.night] = of.get(one.night, 0) + 1
    lines = []
    for (suite, name), when in bad.items():
        times = ran.get(suite, {})
        told = max(sum(times.values()), sum(when.values()))
        verdicts = tuple(
            Verdict.FAIL if when.get(number) else Verdict.PASS if times.get(number) else None
            for number, _ in nights
        )
        rate = Rate(told - sum(when.values()), told)
        lines.append(Line(f"{suite} {name}", rate, verdicts, _changed(verdicts, nights)))
    return tuple(sorted(lines, key=lambda line: (line.rate.passed - line.rate.told, line.name)))


def _curves(
    numbers: Mapping[tuple[Spot, str], Mapping[int, float]], order: Sequence[int]
) -> tuple[Curve, ...]:
    """Return a curve for each number of a spot that was ever measured."""
    found = []
    for (spot, what), values in sorted(numbers.items(), key=lambda one: (one[0][1], one[0][0])):
        name = str(spot).replace(f" {history.WHOLE}", "")
        scale = 1.0
        if what == "size":
            name = f"{spot.tree} {spot.series} {spot.arch} {spot.flavor}"
            scale = 2.0**20
        line = tuple(values[night] / scale if night in values else None for night in order)
        if any(value is not None for value in line):
            found.append(Curve(f"{what}: {name}", measures.UNITS.get(what, ""), line))
    return tuple(found)


def _steps(connection: sqlite3.Connection, nights: Sequence[tuple[int, str]]) -> list[Step]:
    """Return what moved in each night, with pinrace's commits between; the newest first."""
    had: dict[str, str] = {}
    found = []
    for number, began in nights:
        rows = connection.execute("SELECT what, value FROM fact WHERE night = ?", (number,))
        have = {str(what): str(value) for what, value in rows}
        trees = "SELECT DISTINCT tree, version FROM result WHERE night = ? AND version != ''"
        have |= {f"tree {row[0]}": str(row[1]) for row in connection.execute(trees, (number,))}
        lines = []
        for what, value in sorted(have.items()):
            if what in had and had[what] != value:
                lines.append(f"{what}: {had[what]} → {value}")
                if what == "pinrace":
                    lines += _commits(had[what], value)
        had |= have
        if lines:
            found.append(Step(number, began[:10], tuple(lines)))
    return found[::-1]


def _commits(before: str, after: str) -> list[str]:
    """Return pinrace's commits between two versions of it; none where this is no checkout."""
    span = f"{before.removesuffix('-dirty')}..{after.removesuffix('-dirty')}"
    argv = ["git", "-C", str(PROJECT), "log", "--oneline", f"-{COMMITS + 1}", span, "--"]
    try:
        lines = procs.run(argv, what="listing commits").output.splitlines()
    except InfrastructureError:
        return []
    more = [f"  and more, see git log {span}"] if len(lines) > COMMITS else []
    return [f"  {line}" for line in lines[:COMMITS]] + more


def matrices(path: Path) -> list[str]:
    """Return the matrices of a history."""
    with history.opened(path) as connection:
        rows = connection.execute("SELECT DISTINCT matrix FROM night ORDER BY matrix")
        return [str(row[0]) for row in rows]
