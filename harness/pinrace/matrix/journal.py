# SPDX-License-Identifier: GPL-2.0-or-later
"""What became of a matrix's legs, a JSON line each, so that a killed run goes on where it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from pinrace.matrix.file import Leg
from pinrace.runs import jsonl
from pinrace.values import CaseStatus, CellResult, Verdict

FILE = "legs.jsonl"


@dataclass(frozen=True)
class CellLine:
    """One cell of a leg, without its cases; counts add up its repetitions."""

    abi: str
    suite: str
    repeat: int
    verdict: Verdict
    good: int
    total: int
    reason: str = ""


@dataclass(frozen=True)
class LegResult:
    """The outcome of a leg; `run` is the id of its run, "" when no cell ran."""

    key: str
    leg: Leg
    verdict: Verdict
    reason: str
    tree: str  # as results name it, "" when it could not be had
    ended: str  # local time, ISO 8601
    seconds: float
    stage: str = "run"  # how far it came: "apply", "build" or "run"
    run: str = ""
    cells: tuple[CellLine, ...] = ()


_LINE = TypeAdapter(LegResult)


def cell_line(result: CellResult) -> CellLine:
    """Return what a leg keeps of a cell."""
    ran = [case for case in result.cases if case.status is not CaseStatus.SKIP]
    good = sum(1 for case in ran if not case.status.bad)
    cell = result.cell
    return CellLine(
        cell.abi, cell.suite, cell.repeat, result.verdict, good, len(ran), result.reason
    )


def read(folder: Path) -> dict[str, LegResult]:
    """Return the legs that ended, by key; the last word on each counts.

    Raises InfrastructureError as lines.read().
    """
    hint = "remove that line, or start anew with --fresh"
    found = jsonl.read(folder / FILE, _LINE, what="the matrix's journal", hint=hint)
    return {result.key: result for result in found}


def append(folder: Path, result: LegResult) -> None:
    """Add one leg; it is on the disk when this returns."""
    jsonl.append(folder / FILE, _LINE, result)
