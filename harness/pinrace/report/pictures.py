# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell shows beside its cases, as the page draws it: bounded, and visible.

Each drawing also says in words what it shows, for who does not see it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pinrace.report import text
from pinrace.report.limits import NAME, Purse
from pinrace.runs import pictures
from pinrace.runs.pictures import Curve, Grid, Lanes, Square, Strip
from pinrace.values import CaseStatus

WIDTH, HEIGHT = 720, 80  # of a drawing, in pixels
WIDEST = 12  # pixels of a square
SHORT = 120  # bytes of a square's text

_ROWS = 200  # of a grid
_BYTES = 70  # of a shape without its texts, about


@dataclass(frozen=True)
class Bar:
    """Consecutive squares of a strip that came to the same."""

    x: float
    width: float
    status: CaseStatus | None
    text: str


@dataclass(frozen=True)
class StripView:
    """A strip, with what it shows in words."""

    title: str
    width: float
    bars: tuple[Bar, ...]
    said: str


@dataclass(frozen=True)
class GridView:
    """A grid."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Square, ...]], ...]
    left_out: int = 0


@dataclass(frozen=True)
class CurveView:
    """A curve in a box of WIDTH by HEIGHT, its marks with their places."""

    title: str
    line: str  # as a polyline takes it
    marks: tuple[tuple[float, str], ...]
    said: str


@dataclass(frozen=True)
class LanesView:
    """Lanes: a column a side, a row a step."""

    title: str
    lanes: tuple[str, ...]
    rows: tuple[tuple[int, str, CaseStatus | None], ...]  # number of the lane, step, outcome


@dataclass(frozen=True)
class Views:
    """All that a cell shows, and how many drawings there was no room for."""

    strips: tuple[StripView, ...] = ()
    grids: tuple[GridView, ...] = ()
    curves: tuple[CurveView, ...] = ()
    lanes: tuple[LanesView, ...] = ()
    left_out: int = 0

    def __bool__(self) -> bool:
        return bool(self.strips or self.grids or self.curves or self.lanes or self.left_out)


def read(folder: Path | None, room: int) -> Views:
    """Return what a cell shows, as far as it fits into that many bytes of the page."""
    if folder is None:
        return Views()
    found, purse = pictures.read(folder), Purse(room)
    lanes = [one for one in map(_lanes, found.lanes) if purse.take(_size(one))]
    curves = [one for one in map(_curve, found.curves) if purse.take(_size(one))]
    strips = [one for one in map(_strip, found.strips) if purse.take(_size(one))]
    grids = [one for one in map(_grid, found.grids) if purse.take(_size(one))]
    every = (found.strips, found.grids, found.curves, found.lanes)
    shown = len(lanes) + len(curves) + len(strips) + len(grids)
    return Views(
        tuple(strips),
        tuple(grids),
        tuple(curves),
        tuple(lanes),
        sum(map(len, every)) - shown,
    )


def _size(one: StripView | GridView | CurveView | LanesView) -> int:
    """Return about how many bytes a drawing takes."""
    if isinstance(one, StripView):
        return sum(_BYTES + text.size(bar.text) for bar in one.bars)
    if isinstance(one, GridView):
        squares = [square for _, row in one.rows for square in row]
        return sum(_BYTES + text.size(square.text) for square in squares)
    if isinstance(one, CurveView):
        return len(one.line) + sum(_BYTES + text.size(said) for _, said in one.marks)
    return sum(_BYTES + text.size(step) for _, step, _ in one.rows)


def _strip(strip: Strip) -> StripView:
    each = min(WIDEST, WIDTH / max(1, len(strip.squares)))
    bars, at = [], 0
    for status, same in groupby(strip.squares, key=lambda square: square.status):
        run = list(same)
        said = text.fit(run[0].text, SHORT)
        if len(run) > 1:
            said += f" … {text.fit(run[-1].text, SHORT)}"
        bars.append(Bar(round(at * each, 2), round(len(run) * each, 2), status, said))
        at += len(run)
    return StripView(
        text.fit(strip.title, NAME), round(at * each, 2), tuple(bars), _counted(strip.squares)
    )


def _counted(squares: Sequence[Square]) -> str:
    """Say how many squares of each kind there are."""
    count = Counter(str(square.status or "not tried") for square in squares)
    return ", ".join(f"{number} {name}" for name, number in count.most_common())


def _grid(grid: Grid) -> GridView:
    rows = tuple(
        (
            text.fit(name, NAME),
            tuple(Square(square.status, text.fit(square.text, SHORT)) for square in row),
        )
        for name, row in grid.rows[:_ROWS]
    )
    columns = tuple(text.fit(name, NAME) for name in grid.columns)
    return GridView(text.fit(grid.title, NAME), columns, rows, max(0, len(grid.rows) - _ROWS))


def _curve(curve: Curve) -> CurveView:
    last = max((at for at, _ in (*curve.points, *curve.marks)), default=0.0) or 1.0
    most = max((number for _, number in curve.points), default=0.0) or 1.0
    line = " ".join(
        f"{at / last * WIDTH:.1f},{HEIGHT - number / most * HEIGHT:.1f}"
        for at, number in curve.points
    )
    marks = tuple(
        (round(at / last * WIDTH, 1), f"{at:.1f} s: {text.fit(said, SHORT)}")
        for at, said in curve.marks
    )
    violations = f", {len(marks)} violations" if marks else ""
    said = f"{most:,.0f} {text.fit(curve.unit, NAME)} in {last:.0f} s{violations}"
    return CurveView(text.fit(curve.title, NAME), line, marks, said)


def _lanes(lanes: Lanes) -> LanesView:
    rows = tuple(
        (lanes.lanes.index(one.lane), text.fit(one.text, NAME), one.status)
        for one in lanes.moments
        if one.lane in lanes.lanes
    )
    return LanesView(
        text.fit(lanes.title, NAME), tuple(text.fit(name, NAME) for name in lanes.lanes), rows
    )
