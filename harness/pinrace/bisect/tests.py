# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether one tree has the fault: by a race, or by a suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pinrace import ui
from pinrace.arches import get_abi
from pinrace.bisect.candidates import BAD, GOOD, SKIP
from pinrace.bisect.search import Outcome
from pinrace.engine import batch
from pinrace.errors import BuildError, InfrastructureError
from pinrace.races.race import lab as labs
from pinrace.races.race import prove
from pinrace.races.race.folder import Race
from pinrace.races.race.lab import Wanted
from pinrace.races.race.prove import Budget
from pinrace.races.race.tokens import HOLD
from pinrace.races.trials.judge import bound
from pinrace.runs import summary
from pinrace.trees.fetch import resolve
from pinrace.values import Cell, Request, Series, Verdict


def guarded(test: Callable[[], Outcome]) -> Outcome:
    """Test; what does not build or cannot be run is skipped, with its reason."""
    try:
        return test()
    except (BuildError, InfrastructureError) as error:
        return Outcome(SKIP, str(error).splitlines()[0])


def by_race(
    race: Race, wanted: Wanted, budget: Budget, folder: Path, *, series: Series | None = None
) -> Outcome:
    """Look for a race's loss on one tree; the ways of the budget, until one loses."""
    lab = labs.prepare_tree(race, wanted, series)
    abi = lab.asked.abis[0]
    proof = prove.Prover(lab, abi, replace(budget, replays=1), folder, ui.say).run()
    lost = next((row for row in proof.rows if row.lost), None)
    if lost:
        sure = "certain: a hold that loses each time" if HOLD in lost.token else lost.way
        again = f"pinrace repro --race {race.folder} {lost.token}" if lost.token else ""
        return Outcome(BAD, lost.text, sure, again)
    bad = next((row for row in proof.rows if row.miss or not row.text.startswith("kept in")), None)
    if bad or not proof.rows:
        return Outcome(SKIP, bad.text if bad else "nothing was tried")
    return Outcome(GOOD, "; ".join(f"{row.way}: {row.text}" for row in proof.rows), _sure(proof))


def _sure(proof: prove.Proof) -> str:
    """Say what a kept race is worth."""
    if any(row.way == prove.HOLDS for row in proof.rows):
        return "every hold of its windows"
    free = [row.tries for row in proof.rows if row.way != prove.SEEDS]
    return f"a loss is below {bound(sum(free)):.2g} a round (95 %)" if free else "seeds alone"


def by_suite(
    spec: str,
    series: Series | None,
    asked: Request,
    suites: Sequence[str],
    *,
    only: str,
    words: Sequence[str],
) -> Outcome:
    """Run suites on one tree, without comparing it to another: a failing case is the fault."""
    tree = resolve(spec, say=ui.say)
    cells = tuple(
        Cell(get_abi(abi).arch, abi, asked.flavors[0], suite)
        for abi in asked.abis
        for suite in suites
    )
    record, results = batch.run(
        batch.Batch(asked, tree, series, cells, only=only, with_base=False), words
    )
    record.finish(results, exit_code=summary.exit_code(results))
    bad = next((one for one in results if one.verdict is Verdict.FAIL), None)
    if bad:
        return Outcome(BAD, f"{bad.cell.name}: {bad.reason}")
    other = next((one for one in results if one.verdict is not Verdict.PASS), None)
    if other:
        return Outcome(SKIP, f"{other.cell.name}: {other.verdict}, {other.reason}")
    return Outcome(GOOD, f"{len(results)} cells pass")
