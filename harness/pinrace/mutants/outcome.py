# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kill matrix says as judged cells: one for each column, with a case for each mutant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pinrace.mutants.finding import Kind
from pinrace.mutants.run import Column, MutantRow
from pinrace.runs import pictures
from pinrace.runs.pictures import Grid, Square
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


def cell(column: Column) -> Cell:
    """Return the cell of a column."""
    return Cell(column.arch, column.abi, column.flavor, SUITE)


def results(
    rows: Sequence[MutantRow], columns: Sequence[Column], folders: Mapping[Column, Path]
) -> list[CellResult]:
    """Return the cells of a kill matrix, finished or not; a column without a mutant has none.

    folders: what the page shows of each is kept there.
    """
    if not rows:
        return []
    for column in columns:
        pictures.keep(folders[column], grids=[_grid(rows, column)])
    return [replace(_cell(rows, column), folder=folders[column]) for column in columns]


def _grid(rows: Sequence[MutantRow], column: Column) -> Grid:
    """Return a column as a matrix: a row a mutant, with a square for each test."""
    tests = dict.fromkeys(test for row in rows for test in row.findings.get(column, {}))
    squares = tuple(
        (row.mutant.name, tuple(_square(row, column, test) for test in tests)) for row in rows
    )
    return Grid("kill matrix", tuple(tests), squares)


def _square(row: MutantRow, column: Column, test: str) -> Square:
    one = row.findings.get(column, {}).get(test)
    if one is None:
        return Square(None, "not run")
    return Square(_STATUS[one.kind], f"{one.kind}{f' by {one.by}' if one.by else ''}")


def _cell(rows: Sequence[MutantRow], column: Column) -> CellResult:
    """Judge a column: the tests pass when they kill every mutant that was run there."""
    its = cell(column)
    cases = tuple(_case(row, column) for row in rows)
    alive = tuple(case.name for case in cases if case.status is CaseStatus.FAIL)
    lost = tuple(case.name for case in cases if case.status is CaseStatus.ERROR)
    killed = sum(case.status is CaseStatus.PASS for case in cases)
    if alive:
        return CellResult(its, Verdict.FAIL, f"not killed: {', '.join(alive)}", cases, new=alive)
    if lost:
        return CellResult(its, Verdict.MISS, f"could not be run: {', '.join(lost)}", cases)
    if not killed:
        return CellResult(its, Verdict.SKIP, "no mutant was run here", cases)
    return CellResult(its, Verdict.PASS, f"{killed} mutants were killed", cases)


def _case(row: MutantRow, column: Column) -> CaseResult:
    """Return the case of a mutant: what its tests said of it."""
    kind = row.kind(column)
    said = "; ".join(
        f"{test}: {one.kind}{f' by {one.by}' if one.by else ''}"
        for test, one in row.findings.get(column, {}).items()
    )
    return CaseResult(row.mutant.name, _STATUS[kind], said or kind.value)
