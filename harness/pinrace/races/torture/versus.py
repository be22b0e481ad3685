# SPDX-License-Identifier: GPL-2.0-or-later
"""The torture program and the naive loop on some broken kernels: which sees them sooner.

What an attempt gave is kept by kernel, image, machine and plan, so that a comparison that was cut
short goes on where it was.  An attempt that saw nothing in its time is only a lower bound, and is
said as one.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pinrace import store
from pinrace.engine import kept
from pinrace.engine.cell import Bench
from pinrace.paths import cache_dir
from pinrace.races.torture import bench
from pinrace.races.torture.bench import Catch
from pinrace.races.trials.jobs import job_name
from pinrace.races.trials.values import TorturePlan
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict

# Of the mutants that only a race shows, one for each way in which they do: what is shown and what
# is kept, a string whose length and bytes are, a mapping before it is sealed, one that can be
# written to, a snapshot that is used while it is still being shown.
FIVE = (
    "shown-and-kept-apart",
    "string-read-twice",
    "seal-late",
    "writable-for-a-moment",
    "copied-after-attach",
)
KIND = "torture-bench"
SUITE = "torture-mutants"
_CATCHES = TypeAdapter(list[Catch])


def compared(
    on: Bench, plan: TorturePlan, times: int, folder: Path, *, say: Callable[[str], None]
) -> list[Catch]:
    """Return what both saw of a kernel in that many attempts each; what is kept is not run again.

    Raises InfrastructureError when a guest fails or an attempt tells nothing.
    """
    found = []
    for number in range(times):
        how = (job_name(plan), str(plan.seconds))
        name = kept.key(on, "torture", KIND, str(plan.seed + number), *how)
        path = cache_dir() / KIND / f"{name}.json"
        try:
            once = _CATCHES.validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError):
            once = bench.attempt(on, plan, number, folder / str(number))
            path.parent.mkdir(exist_ok=True)
            store.write_json(path, [asdict(catch) for catch in once])
        say(" · ".join(_one(catch) for catch in once))
        found += once
    return found


def _one(catch: Catch) -> str:
    did = "caught" if catch.caught else "missed"
    return f"{catch.how} {did}, {catch.trials:,} trials, {catch.seconds:.1f} s"


def _median(catches: Sequence[Catch]) -> tuple[float, float, str]:
    """Return the median trials and seconds, and ">" when more than half of them are bounds."""
    ordered = sorted(catches, key=lambda catch: (not catch.caught, catch.seconds))
    middle = ordered[(len(ordered) - 1) // 2]
    sign = "" if middle.caught else "> "
    if middle.caught:
        return middle.trials, middle.seconds, sign
    trials = statistics.median(catch.trials for catch in catches)
    return trials, statistics.median(catch.seconds for catch in catches), sign


def markdown(found: Mapping[str, Sequence[Catch]], facts: Mapping[str, str]) -> str:
    """Return the facts and a row for each mutant; seconds are the guest's."""
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "| mutant | naive loop | torture | fewer seconds |", "|---|---|---|---|"]
    factors = []
    for name, catches in found.items():
        cells, middles = [], []
        for how in ("naive", "torture"):
            mine = [catch for catch in catches if catch.how == how]
            trials, seconds, sign = _median(mine)
            middles.append((seconds, sign))
            seen = sum(catch.caught for catch in mine)
            cells.append(f"{seen}/{len(mine)}, {sign}{trials:,.0f} trials, {sign}{seconds:.1f} s")
        (slow, bound), (fast, lost) = middles
        factor = slow / max(fast, 0.001)
        factors.append(factor)
        times = f"{bound}{_times(factor)} times"
        said = "neither" if bound and lost else "unknown" if lost else times
        lines.append(f"| {name} | {' | '.join(cells)} | {said} |")
    if factors:
        lines += ["", f"Median of the factors, bounds taken as they are: {_middle(factors)}."]
    return "\n".join(lines) + "\n"


def result(
    cell: Cell,
    wanted: Sequence[str],
    found: Mapping[str, Sequence[Catch]],
    lost: Mapping[str, str],
    folder: Path,
) -> CellResult:
    """Return the comparison as a cell, a case a mutant: FAIL where the torture mostly missed it.

    lost: why a mutant could not be compared.
    """
    cases = []
    for name in wanted:
        if name in lost:
            cases.append(CaseResult(name, CaseStatus.ERROR, lost[name].splitlines()[0]))
        elif name in found:
            status = CaseStatus.PASS if mostly_caught(found[name]) else CaseStatus.FAIL
            lines = bench.summarize(found[name])
            cases.append(CaseResult(name, status, "; ".join(lines)))
        else:
            cases.append(CaseResult(name, CaseStatus.ERROR, "not run"))
    new = tuple(case.name for case in cases if case.status is CaseStatus.FAIL)
    missing = tuple(case.name for case in cases if case.status is CaseStatus.ERROR)
    if missing:
        verdict, said = Verdict.MISS, f"not compared: {', '.join(missing)}"
    elif new:
        verdict, said = Verdict.FAIL, f"mostly missed by the torture: {', '.join(new)}"
    else:
        verdict, said = Verdict.PASS, f"{len(cases)} mutants, each mostly caught"
    return CellResult(cell, verdict, said, tuple(cases), new=new, folder=folder)


def mostly_caught(catches: Sequence[Catch]) -> bool:
    """Whether the torture saw it in more than half of its attempts."""
    mine = [catch.caught for catch in catches if catch.how == "torture"]
    return sum(mine) * 2 > len(mine)


def _times(factor: float) -> str:
    return f"{factor:,.0f}" if factor >= 1 else f"{factor:.2f}"


def _middle(factors: Sequence[float]) -> str:
    return f"{statistics.median(factors):.0f}"
