# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell's section of the page shows beside its cases, as data in the cell's folder.

A command says what there is to see; how it is drawn is the page's matter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pinrace.store import write_json
from pinrace.values import CaseStatus

FILE = "pictures.json"
MOST = 64 << 20  # bytes of such a file


@dataclass(frozen=True)
class Square:
    """One place of a strip or of a grid."""

    status: CaseStatus | None  # None: nothing was to be run there
    text: str = ""  # for people, e.g. "a.f+12: violated"


@dataclass(frozen=True)
class Strip:
    """Places in their order: the instructions of a window, the seeds of a search."""

    title: str
    squares: tuple[Square, ...]


@dataclass(frozen=True)
class Grid:
    """Rows and columns: a kill matrix, a benchmark."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Square, ...]], ...]


@dataclass(frozen=True)
class Curve:
    """A number that grows over time, with what happened at some moments."""

    title: str
    unit: str  # of the number
    points: tuple[tuple[float, float], ...]  # guest seconds, number
    marks: tuple[tuple[float, str], ...] = ()  # guest seconds, what


@dataclass(frozen=True)
class Moment:
    """A step of one side."""

    lane: str
    text: str
    status: CaseStatus | None = None


@dataclass(frozen=True)
class Lanes:
    """The steps of several sides, one after the other: how one violation came about."""

    title: str
    lanes: tuple[str, ...]
    moments: tuple[Moment, ...]


@dataclass(frozen=True)
class Pictures:
    """All that a cell shows."""

    strips: tuple[Strip, ...] = ()
    grids: tuple[Grid, ...] = ()
    curves: tuple[Curve, ...] = ()
    lanes: tuple[Lanes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.strips or self.grids or self.curves or self.lanes)


_PICTURES = TypeAdapter(Pictures)


def keep(
    folder: Path,
    *,
    strips: Sequence[Strip] = (),
    grids: Sequence[Grid] = (),
    curves: Sequence[Curve] = (),
    lanes: Sequence[Lanes] = (),
) -> None:
    """Write what a cell shows into its folder."""
    value = Pictures(tuple(strips), tuple(grids), tuple(curves), tuple(lanes))
    if value:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / FILE, dataclasses.asdict(value))


def read(folder: Path) -> Pictures:
    """Return what a cell shows; nothing where there is no such file, or one that is damaged."""
    path = folder / FILE
    try:
        if path.stat().st_size > MOST:
            return Pictures()
        return _PICTURES.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return Pictures()
