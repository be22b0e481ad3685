# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benchmark says as judged cells: one for each arch, with a case a window and method."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from pinrace.races.benchmark.trial import ARMS, Repeat, Result
from pinrace.races.benchmark.windows import Window
from pinrace.runs import pictures
from pinrace.runs.pictures import Grid, Square
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict

SUITE = "searchbench"


def result(
    cell: Cell,
    windows: Sequence[Window],
    results: Sequence[Result],
    repeats: Sequence[Repeat],
    folder: Path,
    *,
    lost: int = 0,
) -> CellResult:
    """Return an arch's attempts as a cell.

    A hit on the unmodified series is a FAIL; lost: attempts and replays that could not be run, or
    came to something else, which makes it a MISS.
    """
    mine = [one for one in results if one.trial.arch == cell.arch]
    cases, rows = [], []
    for window in windows:
        row = []
        for arm in ARMS:
            case = _case(window.name, arm, mine)
            cases += [case] if case else []
            row.append(Square(case.status, case.reason) if case else Square(None, "not tried"))
        rows.append((window.name, tuple(row)))
    cases += [
        CaseResult(
            f"replays/{one.kind} {one.what} on {one.abi}",
            CaseStatus.PASS if one.same == one.of else CaseStatus.ERROR,
            f"{one.same}/{one.of} the same",
        )
        for one in repeats
    ]
    pictures.keep(folder, grids=[Grid("windows found, by method", tuple(ARMS), tuple(rows))])
    new = tuple(case.name for case in cases if case.status is CaseStatus.FAIL)
    hits = sum(one.hit and not one.trial.alarm for one in mine)
    said = f"{hits} hits in {len(mine)} attempts"
    if new:
        verdict, said = Verdict.FAIL, f"false alarms: {', '.join(new)}; {said}"
    elif lost or not mine:
        verdict, said = Verdict.MISS, f"{lost} could not be run or differed; {said}"
    else:
        verdict = Verdict.PASS
    seconds = sum(one.cpu_seconds for one in mine)
    return CellResult(cell, verdict, said, tuple(cases), new=new, seconds=seconds, folder=folder)


def _case(window: str, arm: str, results: Sequence[Result]) -> CaseResult | None:
    """Return the case of a window and a method, None when it was not tried."""
    both = [one for one in results if (one.trial.window, one.trial.arm) == (window, arm)]
    if not both:
        return None
    name = f"{window}/{arm}"
    if alarms := [one for one in both if one.trial.alarm and one.hit]:
        how = f"a hit on the unmodified series: {alarms[0].how}"
        return CaseResult(name, CaseStatus.FAIL, how)
    tried = [one for one in both if not one.trial.alarm]
    hits = [one.cpu_seconds for one in tried if one.hit]
    if not hits:
        return CaseResult(name, CaseStatus.SKIP, f"no hit in {len(tried)} attempts")
    said = f"{len(hits)}/{len(tried)} hits, median {statistics.median(hits):.1f} CPU s"
    return CaseResult(name, CaseStatus.PASS, said)
