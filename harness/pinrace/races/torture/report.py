# SPDX-License-Identifier: GPL-2.0-or-later
"""A torture in words: for the terminal, for a file beside the console, and as a cell's result."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pinrace.races.trials.judge import bound
from pinrace.races.trials.values import Count, TorturePlan, TortureResult
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict

SUITE = "torture"
SHOWN = 5  # violations below the line
RESULT = "torture.json"


def by_kind(result: TortureResult, family: str, *, free: bool) -> Count:
    """Return a family's counts with free-running mutators, or with staged ones."""
    found = (
        c for (name, _, is_free), c in result.counts.items() if (name, is_free) == (family, free)
    )
    return sum(found, Count())


def lines(result: TortureResult) -> list[str]:
    """Return what a person reads: the verdict with its bound, and what it rests on."""
    told = [f"{result.verdict.value}  {result.reason}"]
    if not result.trials:
        return [*told, *(f"      {splat.title}" for splat in result.splats[:SHOWN])]
    per_second = result.trials / result.seconds if result.seconds else 0.0
    exposed = sum(result.exposed.values())
    pinned = sum(count.pinned for count in result.counts.values())
    share = exposed / pinned if pinned else 0.0
    told.append(
        f"      {result.trials:,} trials in {result.seconds:.0f} s, {per_second:,.0f} a second;"
        f" {share:.0%} of {pinned:,} pinned ones exposed"
    )
    if result.exposed:
        told.append(f"      exposure by family, free + staged: {_exposure(result)}")
        never = ", ".join(result.inconclusive) or "none"
        told.append(f"      INCONCLUSIVE {never}")
    told += [
        f"      {v.statement} {v.family} by {v.mutator} at {v.second:.1f} s,"
        f" trial {v.trial}: {v.text}"
        for v in result.violations[:SHOWN]
    ]
    more = len(result.violations) - SHOWN + result.unshown
    if more > 0:
        told.append(f"      … and {more} more violations in {result.folder / 'records.txt'}")
    told += [f"      {splat.title}" for splat in result.splats[:SHOWN]]
    told += [f"      {note}" for note in result.notes]
    return told


def _exposure(result: TortureResult) -> str:
    parts = []
    for name in result.exposed:
        free, staged = (by_kind(result, name, free=kind).exposed for kind in (True, False))
        parts.append(f"{name} {free:,}+{staged:,}")
    return " · ".join(parts)


def plan_options(plan: TorturePlan, *, deterministic: bool = False) -> list[str]:
    """Return the options of `pinrace torture` that make this plan."""
    words = ["--deterministic"] if deterministic else []
    words += [] if plan.trials else ["--for", f"{plan.seconds:.0f}s"]
    words += ["--seed", str(plan.seed)]
    words += ["--trials", str(plan.trials)] if plan.trials else []
    words += ["--mutators", ",".join(plan.mutators)] if plan.mutators else []
    words += ["--families", ",".join(plan.families)] if plan.families else []
    words += ["--lanes", str(plan.lanes)] if plan.lanes else []
    words += ["--stop-at-first"] if plan.stop_at_first else []
    words += [] if plan.chaos else ["--no-chaos"]
    words += ["--break", plan.broken] if plan.broken else []
    return words


def cell_result(cell: Cell, result: TortureResult) -> CellResult:
    """Return the same as the result of a cell, one case a family."""
    cases = [_case(result, name) for name in result.exposed]
    others = Counter(v.family for v in result.violations if v.family not in result.exposed)
    cases += [CaseResult(name, CaseStatus.FAIL, "violated") for name in others]
    bad = tuple(case.name for case in cases if case.status.bad)
    return CellResult(
        cell=cell,
        verdict=result.verdict,
        reason=result.reason,
        cases=tuple(cases),
        splats=result.splats,
        new=bad,
        seconds=result.seconds,
        folder=result.folder,
        notes=(f"{result.trials:,} trials", *result.notes),
    )


def _case(result: TortureResult, family: str) -> CaseResult:
    violations = [v for v in result.violations if v.family == family]
    free, staged = (by_kind(result, family, free=kind) for kind in (True, False))
    both = free + staged
    said = (
        f"exposed: {free.exposed} by free-running mutators, {staged.exposed} staged, "
        f"of {both.pinned} pinned",
        f"control: {both.lost} of {both.control} lost",
        f"below {bound(both.exposed):.1e} a trial" if not violations else "",
    )
    if violations:
        first = violations[0]
        why = f"{first.statement}, trial {first.trial}: {first.text}"
        return CaseResult(family, CaseStatus.FAIL, why, said)
    if family in result.inconclusive:
        return CaseResult(family, CaseStatus.SKIP, "INCONCLUSIVE: not lost, or not exposed", said)
    return CaseResult(family, CaseStatus.PASS, "", said)


def save(result: TortureResult, plan: TorturePlan, path: Path) -> None:
    """Keep the whole result as JSON, for programs."""
    value = {
        "plan": dataclasses.asdict(plan),
        "verdict": result.verdict.value,
        "reason": result.reason,
        "trials": result.trials,
        "seconds": result.seconds,
        "violations": [dataclasses.asdict(v) for v in result.violations],
        "unshown": result.unshown,
        "inconclusive": list(result.inconclusive),
        "counts": [
            {"family": family, "mutator": mutator, "free": free, **dataclasses.asdict(count)}
            for (family, mutator, free), count in result.counts.items()
        ],
    }
    path.write_text(json.dumps(value, indent=1) + "\n")


def repeated(results: Sequence[TortureResult]) -> str:
    """Say how often the failure came back over several runs of the same plan."""
    failed = sum(result.verdict is Verdict.FAIL for result in results)
    lost = sum(result.verdict is Verdict.MISS for result in results)
    missing = f", and {lost} could not be run" if lost else ""
    return f"failed {failed}/{len(results) - lost}{missing}"
