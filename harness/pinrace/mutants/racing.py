# SPDX-License-Identifier: GPL-2.0-or-later
"""The torture program as a test of mutants."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event

from pinrace.engine import executor as where
from pinrace.engine.cell import Bench
from pinrace.mutants.tries import ENDINGS, Breach, Try, reports
from pinrace.races.torture import run
from pinrace.races.trials.values import TorturePlan, TortureResult, Violation
from pinrace.values import Cell, Verdict

SEED = 1  # the same for all mutants, so that they are held against the same trials
LEAKS = "C15"  # the statement that a leak speaks of


def torture(
    cell: Cell, bench: Bench, folder: Path, seconds: float, *, first: bool, stop: Event | None
) -> Try:
    """Race the kernel for that many guest seconds, or until something is seen when `first`."""
    plan = TorturePlan(SEED, seconds, stop_at_first=first)
    began = time.monotonic()
    result = where.call(run.torture, cell, bench, plan, folder, stop=stop)
    return of_torture(result, time.monotonic() - began)


def _number(seen: Violation) -> int:
    """Return how many trials of all lanes there were up to that one."""
    return seen.trial if seen.number is None else seen.number + 1


def of_torture(result: TortureResult, seconds: float) -> Try:
    """Return what a torture amounts to as a try; seconds: of the whole guest, on the host."""
    breaches = [
        Breach(
            seen.statement, f"{seen.family} by {seen.mutator}, trial {_number(seen)}", seen.second
        )
        for seen in result.violations
    ]
    failed = result.verdict is Verdict.FAIL
    panics = any(splat.rule == "panic" for splat in result.splats)
    reported = reports(tuple(result.splats))
    if failed and result.leaks and not (breaches or reported):
        # Of which kind the memory is, the records say.
        what = f"something leaks: {result.leaks[0].partition(': ')[0]}"
        breaches.append(Breach(LEAKS, what, result.seconds))
    ending = ENDINGS.get(result.end, "") if failed and not (breaches or reported) else ""
    dead = bool(ending or panics or reported) and result.began
    seen = bool(breaches) or dead
    return Try(
        "torture",
        ran=result.verdict is not Verdict.MISS and (seen or not failed),
        why=result.reason,
        ending="panic" if panics else ending,
        reports=reported,
        breaches=tuple(breaches),
        trials=sum(result.exposed.values()),
        seconds=seconds,
    )
