# SPDX-License-Identifier: GPL-2.0-or-later
"""What a report shows, as values; `gather` makes them from a run's folder, `render` prints them.

Texts are visible and cut to their share; escaping them is left to the templates.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pinrace.report.pictures import Views
from pinrace.values import GRAVEST, CaseStatus, Cell, CellResult, Verdict


@dataclass(frozen=True)
class Night:
    """One run of the past."""

    label: str  # for people, e.g. "2026-11-23"
    counts: tuple[tuple[Verdict, int], ...]  # cells by verdict; those of no cell may be absent
    run: str = ""  # id of the run
    note: str = ""  # e.g. that the tree changed

    def count(self, *verdicts: Verdict) -> int:
        """Return how many cells had one of these verdicts."""
        return sum(number for verdict, number in self.counts if verdict in verdicts)


@dataclass(frozen=True)
class Trend:
    """One cell through the nights."""

    cell: str  # Cell.name
    verdicts: tuple[Verdict | None, ...]  # one for each night; None when it did not run
    note: str = ""  # e.g. "fails since 2026-11-20"


@dataclass(frozen=True)
class History:
    """Past nights, the oldest first, and what became of each cell in them."""

    nights: tuple[Night, ...]
    trends: tuple[Trend, ...] = ()


@dataclass(frozen=True)
class Node:
    """A case or a group of cases."""

    name: str
    status: CaseStatus
    reason: str = ""
    lines: tuple[str, ...] = ()  # its diagnostics
    tags: tuple[str, ...] = ()  # new, known, fixed, flaky
    children: tuple[Node | Fold, ...] = ()


@dataclass(frozen=True)
class Fold:
    """Cases that passed, one after the other."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True)
class Cases:
    """The cases of a cell that are shown, and how many are not."""

    items: tuple[Node | Fold, ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class Part:
    """Some of a console; line is the number of its first line where something points, else 0."""

    text: str
    line: int = 0


@dataclass(frozen=True)
class Piece:
    """Consecutive lines of a console."""

    first: int  # number of its first line, from 1
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Console:
    """A console, whole or cut in the middle."""

    path: str
    size: int  # bytes
    lines: int
    pieces: tuple[Piece, ...]
    skipped: int = 0  # lines between the two pieces

    def shows(self, line: int) -> bool:
        """Whether something can point at that line."""
        return any(part.line == line for piece in self.pieces for part in piece.parts)


@dataclass(frozen=True)
class SplatView:
    """A report that the kernel printed about itself."""

    title: str
    line: int  # in the console
    tag: str  # new, known, setup, host, blind, note
    text: str
    where: str = ""  # the first source line that it names


@dataclass(frozen=True)
class Counts:
    """How many cases of each kind."""

    new: int  # failures and kernel reports that the unpatched tree does not have
    known: int  # failures that it has too
    good: int
    skip: int


@dataclass(frozen=True)
class Section:
    """All of one cell."""

    id: str  # of the element
    result: CellResult
    ended: bool  # False when the run left it unfinished
    reason: str
    counts: Counts
    notes: tuple[str, ...]
    fixed: tuple[str, ...]
    cases: Cases
    splats: tuple[SplatView, ...]
    splats_left_out: int
    console: Console | None
    commands: tuple[tuple[str, str], ...]  # what for, and the line to type
    qemu: str
    folder: str  # relative to the run's; "" when there is none
    files: tuple[str, ...]  # relative to that
    pictures: Views = field(default_factory=Views)
    dump: str = ""  # what the memory of its guest said

    @property
    def cell(self) -> Cell:
        """Which one."""
        return self.result.cell

    @property
    def verdict(self) -> Verdict:
        """Its verdict."""
        return self.result.verdict


@dataclass(frozen=True)
class Finding:
    """Something bad, and all the cells that have it."""

    kind: str  # case, splat, cell
    title: str
    verdict: Verdict
    detail: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Square:
    """Where a row and a column of the matrix meet."""

    sections: tuple[Section, ...]  # several when cells are repeated

    @property
    def worst(self) -> Section:
        """The one that decides."""
        return min(self.sections, key=lambda section: GRAVEST.index(section.verdict))


@dataclass(frozen=True)
class Matrix:
    """The cells by where they ran and what."""

    columns: tuple[str, ...]  # suites
    rows: tuple[tuple[tuple[str, ...], tuple[Square | None, ...]], ...]  # arch, abi, …; squares
    flavors: bool  # whether the rows name the flavor


@dataclass(frozen=True)
class Page:
    """All that is shown of a run."""

    id: str
    verdict: Verdict
    sentence: str
    finished: bool
    began: str
    ended: str  # of the last event, when it is not finished
    seconds: float | None
    exit_code: int | None
    facts: tuple[tuple[str, tuple[str, ...]], ...]  # heading, lines
    command: str
    compared: bool  # with the unpatched tree
    project: str
    findings: tuple[Finding, ...]
    matrix: Matrix
    sections: tuple[Section, ...]  # the gravest first
    left_out: int  # cells that have no section
