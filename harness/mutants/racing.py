# SPDX-License-Identifier: GPL-2.0-or-later
"""The torture program as a test of mutants."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from threading import Event
from typing import Any

from harness.cells import Bench
from harness.mutants.tries import Breach, Try, reports
from harness.values import Cell, Verdict

SEED = 1  # the same for all mutants, so that they are held against the same trials
_MODULE = "harness.torture.run"


def available() -> bool:
    """Whether there is a torture program."""
    return importlib.util.find_spec("harness.torture") is not None


def torture(
    cell: Cell, bench: Bench, folder: Path, seconds: float, *, first: bool, stop: Event | None
) -> Try:
    """Race the kernel for that many guest seconds, or until something is seen when `first`."""
    module: Any = importlib.import_module(_MODULE)
    plan = module.TorturePlan(SEED, seconds, stop_at_first=first)
    result = module.torture(cell, bench, plan, folder, stop=stop)
    breaches = tuple(
        Breach(seen.statement, f"{seen.family} by {seen.mutator}, trial {seen.trial}", seen.second)
        for seen in result.violations
    )
    quiet = result.verdict is Verdict.FAIL and not breaches and not result.splats
    return Try(
        "torture",
        ran=result.verdict not in (Verdict.MISS, Verdict.SKIP),
        why=result.reason,
        ending="hang" if quiet and "hung" in result.reason else "",
        reports=reports(tuple(result.splats)),
        breaches=breaches,
        trials=result.exposed,
        seconds=result.seconds,
    )
