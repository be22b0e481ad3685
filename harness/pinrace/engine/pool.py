# SPDX-License-Identifier: GPL-2.0-or-later
"""Run many cells, on the patched tree and the unpatched one, and judge each.

Cells are submitted to a concurrent.futures.Executor, whose threads run guests, or wait for hosts
that do (engine.executor).  The longest begin first, where it is known how long they take.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from pinrace.deadline import Deadline
from pinrace.engine import executor as where
from pinrace.engine.baseline import DAYS, run_baseline
from pinrace.engine.build import Built, Lab
from pinrace.engine.cell import Bench, Outcome, judge_cell, run_cell
from pinrace.engine.confirm import confirm, worth
from pinrace.engine.resume import NOT_BEGUN
from pinrace.errors import InfrastructureError, said
from pinrace.guest.machine import Machine
from pinrace.races.replay.run import Made, fingerprint, get_jobs, make_token
from pinrace.races.replay.token import Token
from pinrace.runs import commands
from pinrace.runs.issues import Book
from pinrace.runs.journal import Run
from pinrace.series.files import touched
from pinrace.series.manifest import feature_of
from pinrace.suites.registry import get_suite
from pinrace.suites.suite import SELFTEST_SOURCES
from pinrace.trees.git import lookup
from pinrace.values import Cell, CellResult, PatchedTree, Request, Verdict

OnResult = Callable[[CellResult], None]


@dataclass(frozen=True)
class Task:
    """A cell with everything it runs on."""

    cell: Cell
    patched: Bench
    base: Bench | None
    tree: PatchedTree
    lacks: tuple[str, ...] = ()  # options that its suite asks for and its kernel does not have


def _machine(cell: Cell, machine: Machine) -> Machine:
    """Return what a cell runs on; what has a command of its own is no suite that asks for more."""
    if cell.suite == commands.TORTURE:
        return machine
    return get_suite(cell.suite).machine(machine)


def tasks(lab: Lab, cells: Sequence[Cell], machines: dict[str, Machine]) -> list[Task]:
    """Give each cell its benches; machines by arch."""

    def bench(built: Built, cell: Cell) -> Bench:
        return Bench(
            built.kernel(cell),
            built.images[cell.abi],
            _machine(cell, machines[cell.arch]),
            feature_of(built.tree.series),
            touched(built.tree.series),
            built.brought_by(cell),
        )

    return [
        Task(
            cell,
            bench(lab.patched, cell),
            bench(lab.base, cell) if lab.base else None,
            lab.patched.tree,
            lab.patched.lacks(cell),
        )
        for cell in cells
    ]


def run(
    work: Sequence[Task],
    record: Run,
    executor: Executor,
    *,
    on_result: OnResult,
    only: str = "",
    stop: Event | None = None,
    asked: Request | None = None,
    days: float = DAYS,
    book: Book | None = None,
    until: Deadline = Deadline(),  # noqa: B008 (frozen)
) -> list[CellResult]:
    """Run all tasks and return their results in the order of the tasks.

    asked: what the kernels were built for, which a command that replays has to say.  days: how old
    what is known of the unpatched tree may be.  book: known issues, which notes name.  until: what
    has not begun by then is a MISS.

    Each result is in the journal before on_result is called.  A cell that could not be run is a
    MISS with the reason, and the others go on.
    """
    baselines: dict[Cell, Future[Outcome]] = {}
    hands = where.current()
    for task in work:
        key = _key(task)
        if task.base and key not in baselines:
            baselines[key] = executor.submit(
                _baseline, key, task.base, only=only, stop=stop, days=days, until=until
            )
    # Baselines were submitted first, so a worker that waits for one never waits for itself.
    futures = {
        executor.submit(
            _one, task, record, baselines.get(_key(task)), only, stop, until=until
        ): task
        for task in sorted(work, key=lambda task: -hands.expected(run_cell, task.cell))
    }
    results: dict[Cell, CellResult] = {}
    for future in as_completed(futures):
        task = futures[future]
        base = baselines.get(_key(task))
        result = _judged(task, record, future, base, only=only, asked=asked)
        result = book.named(result) if book else result
        record.cell_end(result)
        results[task.cell] = result
        on_result(result)
    return [results[task.cell] for task in work]


def _key(task: Task) -> Cell:
    """The cell whose baseline serves all repetitions."""
    return replace(task.cell, repeat=1)


def _baseline(cell: Cell, base: Bench, *, until: Deadline, **more: Any) -> Outcome:
    if until.expired:
        raise InfrastructureError(NOT_BEGUN)
    return where.call(run_baseline, cell, base, **more)


def _one(
    task: Task,
    record: Run,
    baseline: Future[Outcome] | None,
    only: str,
    stop: Event | None,
    *,
    until: Deadline,
) -> Outcome:
    if until.expired:
        raise InfrastructureError(NOT_BEGUN)
    folder = record.cell_start(task.cell)
    outcome = where.call(run_cell, task.cell, task.patched, folder, only=only, stop=stop)
    # A machine that replays would only do the same again.
    if only or task.patched.machine.replay:
        return outcome
    before = baseline.result() if baseline and not baseline.exception() else None
    if not worth(task.cell, outcome, before):
        return outcome
    again = (task.cell, task.patched, outcome, before, folder)
    return where.call(confirm, *again, base=task.base, stop=stop)


def _judged(
    task: Task,
    record: Run,
    future: Future[Outcome],
    baseline: Future[Outcome] | None,
    *,
    only: str,
    asked: Request | None,
) -> CellResult:
    """Judge what a cell's future holds; whatever goes wrong in it is a MISS of this cell alone."""
    folder: Path | None = None
    try:
        folder = record.cell_folder(task.cell)
        outcome = future.result()
        return _held(task, outcome, baseline, folder, only=only, asked=asked)
    except Exception as error:
        why = f"could not be run: {said(error)}"
        return CellResult(task.cell, Verdict.MISS, why, folder=folder)


def _held(
    task: Task,
    outcome: Outcome,
    baseline: Future[Outcome] | None,
    folder: Path,
    *,
    only: str,
    asked: Request | None,
) -> CellResult:
    """Hold what came of a cell against its baseline."""
    base: Outcome | None = None
    lost = ""
    if baseline:
        try:
            base = baseline.result()
        except Exception as error:
            lost = said(error).splitlines()[0]
    result = judge_cell(task.cell, outcome, base, folder, lost=lost)
    for note in filter(None, (_judges_itself(task), _lacking(task), _left_out(task, only))):
        result = replace(result, notes=(*result.notes, note))
    if result.verdict is not Verdict.FAIL or not task.patched.machine.replay or only:
        return result
    command = commands.replay(str(_token(task, folder)), task.tree, asked)
    return replace(result, notes=(*result.notes, f"{commands.REPLAY}{command}"))


def _lacking(task: Task) -> str:
    """Return a note where the kernel lacks what the suite asks of its configuration."""
    return f"Kconfig refused {', '.join(task.lacks)}" if task.lacks else ""


def _left_out(task: Task, only: str) -> str:
    """Return a note where the suite leaves cases out, unless the user picked cases."""
    cases = () if only else get_suite(task.cell.suite).left_out
    why = "; ".join(f"{name} ({reason})" for name, reason in cases)
    return f"left out, -k runs it: {why}" if why else ""


def _judges_itself(task: Task) -> str:
    """Return a note where the series changes tests that judge it, and that were there before."""
    suite = get_suite(task.cell.suite).about_series(task.tree)
    if suite.brought_by_series:
        return ""
    mine = [
        path
        for path in sorted(task.patched.changed)
        if path.startswith(SELFTEST_SOURCES)
        and suite.covers(path)
        and lookup(f"{task.tree.base.commit}:{path}")
    ]
    return f"the series changes tests that judge it: {', '.join(mine)}" if mine else ""


def _token(task: Task, folder: Path) -> Token:
    """Return the token of a cell that ran on a machine that replays."""
    on, cell = task.patched, task.cell
    assert on.machine.replay  # noqa: S101 (the caller has looked)
    made = Made(on.kernel, on.image, on.machine, get_jobs(cell.suite, on.machine.replay.seed))
    said = fingerprint(folder)
    base = task.tree.base.spec
    return make_token(made, said, tree=base, patched=task.tree.tree_id, abi=cell.abi)
