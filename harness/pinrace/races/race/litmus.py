# SPDX-License-Identifier: GPL-2.0-or-later
"""Which reorderings of memory accesses free-running guests show on this host.

A guest's loads and stores become the host's, so that a guest of any arch shows what the host's CPUs
do, less what QEMU's fences take away.  kernel/litmus has a test for each, in the form of a race:
"lost" is that the outcome was seen.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from pinrace import ui
from pinrace.arches import ABIS
from pinrace.paths import KERNEL
from pinrace.races.race import lab as labs
from pinrace.races.race import ways
from pinrace.races.race.folder import opened
from pinrace.races.race.lab import RaceLab, Wanted
from pinrace.races.race.ways import Bench, Tried
from pinrace.races.trials.judge import bound
from pinrace.runs import summary
from pinrace.runs.journal import Run
from pinrace.values import CaseResult, Cell, CellResult, Verdict

TESTS = KERNEL / "litmus"
NEVER = "-fenced"  # the end of a test's name that no CPU may show
SECONDS = 3.0  # of the guest's, for each test


def run(args: argparse.Namespace, asked: Wanted) -> int:
    """Run every test on each ABI; exit 1 when what may not be was seen, 4 when one is deaf."""
    with Run.create(["pinrace", *args.words]) as record:
        results = []
        for folder in sorted(TESTS.iterdir()):
            with opened(str(folder)) as race:
                lab = labs.prepare(race, asked)
                results += [_one(lab, abi, record) for abi in lab.asked.abis]
        return record.end(summary.exit_code(results))


def _one(lab: RaceLab, abi: str, record: Run) -> CellResult:
    """Run one test on one ABI, and its control."""
    cell = Cell(ABIS[abi].arch, abi, lab.asked.flavors[0], f"litmus-{lab.race.name}")
    folder = record.cell_start(cell)
    began = time.monotonic()
    bench = lab.bench(abi, folder)
    result = judge(cell, *_tried(bench), folder, time.monotonic() - began)
    record.cell_end(result)
    ui.say(f"{abi:<7} {lab.race.name:<24} {result.reason}")
    return result


def _tried(bench: Bench) -> tuple[Tried, Tried]:
    return ways.free(bench, "spin", SECONDS), ways.control(bench)


def judge(cell: Cell, tried: Tried, control: Tried, folder: Path, seconds: float) -> CellResult:
    """Return what a test came to: PASS whether it was seen or not, unless it must not be."""
    missing = tried.missing or control.missing
    if missing:
        verdict, reason = Verdict.MISS, missing
    elif not control.lost:
        verdict, reason = Verdict.INCONCLUSIVE, "its check does not see its control"
    elif tried.lost:
        verdict, reason = Verdict.PASS, f"seen in round {tried.first + 1:,}: {tried.lost}"
        if cell.suite.endswith(NEVER):
            verdict = Verdict.FAIL
    elif not tried.tries:
        verdict, reason = Verdict.INCONCLUSIVE, "no round was run"
    else:
        verdict = Verdict.PASS
        reason = f"not seen in {tried.tries:,} rounds: below {bound(tried.tries):.1g} a round"
    case = CaseResult("outcome", verdict.case_status, reason)
    new = (case.name,) if verdict is Verdict.FAIL else ()
    return CellResult(cell, verdict, reason, (case,), new=new, seconds=seconds, folder=folder)
