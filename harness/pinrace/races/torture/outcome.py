# SPDX-License-Identifier: GPL-2.0-or-later
"""What the commands around a torture say as judged cells, and what the page shows of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pinrace.races.torture.bench import Catch, summarize
from pinrace.races.torture.report import repeated
from pinrace.races.torture.search import Ran, exposed
from pinrace.races.torture.shapes import Measured, best
from pinrace.races.trials.records import Told
from pinrace.races.trials.values import TortureResult
from pinrace.runs import pictures
from pinrace.runs.pictures import Curve, Square, Strip
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict

BENCH = "torture-bench"
SHAPES = "torture-shapes"
POINTS = 400  # of a curve
MARKS = 50  # violations that are marked on it


def curve(records: Iterable[str], folder: Path) -> None:
    """Keep how the exposed trials grew over a torture's time, with its violations."""
    told, points = Told(), [(0.0, 0.0)]
    for line in records:
        told.feed(line)
        if line.startswith("torture second"):
            points.append((told.seconds, float(told.exposed)))
    step = -(-len(points) // POINTS)
    kept = (*points[:-1:step], points[-1])
    marks = tuple(
        (one.second, f"{one.statement} {one.family} by {one.mutator}, trial {one.trial}")
        for one in told.violations[:MARKS]
    )
    if len(kept) > 1 or marks:
        title = "trials in which a change landed in the window, and violations"
        pictures.keep(folder, curves=[Curve(title, "exposed trials", kept, marks)])


def searched(
    cell: Cell, ran: Sequence[Ran], verdict: Verdict, folder: Path, *, notes: Sequence[str] = ()
) -> CellResult:
    """Return a search over seeds as a cell, a case a deterministic run."""
    cases = tuple(
        CaseResult(
            f"seed {one.attempt.replay.seed}, shift {one.attempt.replay.shift}, run {number}",
            one.result.verdict.case_status,
            one.result.reason,
        )
        for number, one in enumerate(ran, 1)
    )
    new = tuple(case.name for case in cases if case.status is CaseStatus.FAIL)
    squares = tuple(Square(case.status, f"{case.name}: {case.reason}") for case in cases)
    pictures.keep(folder, strips=[Strip("runs, in their order", squares)] if squares else [])
    said = f"{len(new)} of {len(ran)} runs failed, {exposed(ran):,} exposed trials"
    seconds = sum(one.result.seconds for one in ran)
    return CellResult(
        cell, verdict, said, cases, new=new, seconds=seconds, folder=folder, notes=tuple(notes)
    )


def replayed(cell: Cell, ran: Sequence[TortureResult], folder: Path) -> CellResult:
    """Return repetitions of a torture that failed: PASS when one fails again, else a MISS."""
    cases = tuple(
        CaseResult(
            f"run {number}",
            CaseStatus.PASS if one.verdict is Verdict.FAIL else CaseStatus.SKIP,
            f"{one.verdict}: {one.reason}",
        )
        for number, one in enumerate(ran, 1)
    )
    verdict = Verdict.PASS if any(one.verdict is Verdict.FAIL for one in ran) else Verdict.MISS
    seconds = sum(one.seconds for one in ran)
    return CellResult(cell, verdict, repeated(ran), cases, seconds=seconds, folder=folder)


def compared(cell: Cell, catches: Sequence[Catch], folder: Path) -> CellResult:
    """Return a comparison with the naive loop as a cell: a MISS when neither caught anything."""
    seen: dict[str, int] = {}
    cases = []
    for one in catches:
        seen[one.how] = seen.get(one.how, 0) + 1
        did = "caught" if one.caught else "missed"
        status = CaseStatus.PASS if one.caught else CaseStatus.SKIP
        said = f"{did} after {one.trials:,} trials, {one.seconds:.2f} s"
        cases.append(CaseResult(f"{one.how}/attempt {seen[one.how]}", status, said))
    caught = any(one.caught for one in catches)
    said = "; ".join(summarize(catches)) or "no attempt was made"
    verdict = Verdict.PASS if caught else Verdict.MISS
    return CellResult(cell, verdict, said, tuple(cases), folder=folder)


def measured(cell: Cell, found: Sequence[Measured], folder: Path) -> CellResult:
    """Return the shapes that were tried as a cell, a case a shape."""
    cases = tuple(_shape(one) for one in found)
    verdicts = {verdict for one in found for verdict in one.verdicts}
    chosen = best(found)
    if Verdict.FAIL in verdicts:
        verdict = Verdict.FAIL
    else:
        verdict = Verdict.MISS if Verdict.MISS in verdicts or not chosen else Verdict.PASS
    said = f"best: {chosen}" if chosen else "no shape exposed anything"
    new = tuple(case.name for case in cases if case.status is CaseStatus.FAIL)
    return CellResult(cell, verdict, said, cases, new=new, folder=folder)


def _shape(one: Measured) -> CaseResult:
    verdicts = set(one.verdicts)
    status = next((v.case_status for v in (Verdict.FAIL, Verdict.MISS) if v in verdicts), None)
    said = f"{one.rate:.1f} exposed trials a CPU second, {one.exposed:,} of {one.trials:,} trials"
    return CaseResult(str(one.shape), status or CaseStatus.PASS, said)
