# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kill matrix says as judged cells: one for each column, with a case for each mutant."""

from __future__ import annotations

from collections.abc import Sequence

from pinrace.mutants.finding import Kind
from pinrace.mutants.run import Column, MutantRow
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict

SUITE = "mutants"

_STATUS = {
    Kind.KILLED: CaseStatus.PASS,
    Kind.INSTEAD: CaseStatus.FAIL,
    Kind.SURVIVED: CaseStatus.FAIL,
    Kind.LOST: CaseStatus.ERROR,
    Kind.NOT_RUN: CaseStatus.SKIP,
    Kind.NOT_HERE: CaseStatus.SKIP,
}


def results(rows: Sequence[MutantRow], columns: Sequence[Column]) -> list[CellResult]:
    """Return the cells of a kill matrix, finished or not; a column without a mutant has none."""
    return [_cell(rows, column) for column in columns if rows]


def _cell(rows: Sequence[MutantRow], column: Column) -> CellResult:
    """Judge a column: the tests pass when they kill every mutant that was run there."""
    cell = Cell(column.arch, column.abi, column.flavor, SUITE)
    cases = tuple(_case(row, column) for row in rows)
    alive = tuple(case.name for case in cases if case.status is CaseStatus.FAIL)
    lost = tuple(case.name for case in cases if case.status is CaseStatus.ERROR)
    killed = sum(case.status is CaseStatus.PASS for case in cases)
    if alive:
        return CellResult(cell, Verdict.FAIL, f"not killed: {', '.join(alive)}", cases, new=alive)
    if lost:
        return CellResult(cell, Verdict.MISS, f"could not be run: {', '.join(lost)}", cases)
    if not killed:
        return CellResult(cell, Verdict.SKIP, "no mutant was run here", cases)
    return CellResult(cell, Verdict.PASS, f"{killed} mutants were killed", cases)


def _case(row: MutantRow, column: Column) -> CaseResult:
    """Return the case of a mutant: what its tests said of it."""
    kind = row.kind(column)
    said = "; ".join(
        f"{test}: {one.kind}{f' by {one.by}' if one.by else ''}"
        for test, one in row.findings.get(column, {}).items()
    )
    return CaseResult(row.mutant.name, _STATUS[kind], said or kind.value)
