# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace torture`: races of every family for as long as you like, and what they prove."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock

from pinrace import ui
from pinrace.arches import get_abi, get_arch
from pinrace.cli import again, options, torture_bench, torture_shapes
from pinrace.cli.torture_plan import DURATION, add_arguments, make_plan, refuse
from pinrace.engine import batch, build, pool
from pinrace.engine import executor as where
from pinrace.errors import Exit, InfrastructureError
from pinrace.guest.machine import Machine, Replay, get_machine
from pinrace.races import followup
from pinrace.races.race import single
from pinrace.races.race.prove import Budget
from pinrace.races.replay.run import get_replay_machine
from pinrace.races.torture import bench, outcome, report
from pinrace.races.torture.run import RECORDS, TorturePlan, TortureResult, missed, torture
from pinrace.races.trials.records import Told
from pinrace.runs import commands, summary
from pinrace.runs.journal import Run, tree_facts
from pinrace.values import Cell, CellResult, Verdict

__all__ = ["add_arguments", "make_plan", "run"]


def _race(args: argparse.Namespace) -> int:
    """Torture one race of the user's own: freely and behind its gate."""
    options.refuse(
        args, "with --race", "--trials", "--deterministic", "--seed", "--search-for",
        "--no-search", "--families", "--mutators", "--repeat", "--guests", "--smp", "--measure",
        "--lanes", "--no-chaos", "--bench", "--mutants", "--write", "--stop-at-first", "--break",
    )  # fmt: skip
    seconds = options.duration(args.duration or DURATION, "--for")
    return single.run(
        args,
        single.wanted(args, options.DEFAULT_TREE),
        Budget(free=seconds, ways=("free", "gate")),
        series=single.series_of(args, str(options.DEFAULT_SERIES)),
    )


@dataclass(frozen=True)
class _Work:
    """Everything that the cells of one command share."""

    ask: followup.Ask
    stop: Event
    again: commands.Again
    progress: _Progress


class _Progress:
    """How far all cells are together, in trials or seconds of guests; called by several threads."""

    def __init__(self, meter: ui.Meter, cells: int, plan: TorturePlan) -> None:
        self._meter, self._trials = meter, bool(plan.trials)
        self._whole = math.ceil(cells * (plan.trials or plan.seconds))
        self._done: dict[Cell, float] = {}
        self._lock = Lock()

    def __call__(self, cell: Cell, told: Told) -> None:
        """Note how far a cell is."""
        with self._lock:
            self._done[cell] = told.trials if self._trials else told.seconds
            self._meter(min(int(sum(self._done.values())), self._whole), self._whole)


def run(args: argparse.Namespace) -> int:
    """Build what is missing, torture each cell, print a line each; the code is the verdict's."""
    if args.race:
        return _race(args)
    refuse(args)
    asked = options.request(args)
    plan, search_for = make_plan(args), options.duration(args.search_for, "--search-for")
    replay = Replay(plan.seed) if args.deterministic else None
    shape = torture_shapes.choose(args, asked.arches)
    machines = {name: _machine(name, replay, shape.smp) for name in asked.arches}
    if not (args.bench and args.mutants):
        again.settle(args, "--seed", plan.seed)
    if args.measure:
        return torture_shapes.run(args, plan, machines)
    if args.bench and args.mutants:
        return torture_bench.run(args, plan, machines)
    ui.say(f"seed    {plan.seed}")
    cells = [
        Cell(get_abi(abi).arch, abi, flavor, report.SUITE, repeat)
        for flavor in asked.flavors
        for abi in asked.abis
        for repeat in range(1, args.repeat + 1)
    ]
    tree, series = options.request_tree(args)
    lab = build.prepare(asked, tree, series, with_base=False)
    work = pool.tasks(lab, cells, machines)
    if args.bench:
        cells = [replace(cell, suite=outcome.BENCH) for cell in cells if cell.repeat == 1]
    base = commands.again(asked, tree, series, smp=shape.smp, only="", with_base=True)
    options_of = report.plan_options(plan, deterministic=args.deterministic)
    options_of += ["--no-search"] if args.no_search else ["--search-for", args.search_for]
    how = (
        commands.Again(base.build, (*base.test, *options_of))
        if base
        else commands.Again(whole=shlex.join(["pinrace", *args.words]))
    )
    with Run.create(
        ["pinrace", *args.words],
        tree=tree_facts(lab.patched.tree),
        machines={name: batch.machine_facts(machine) for name, machine in machines.items()},
        cells=tuple(cells),
        seed=plan.seed,
        again=how,
    ) as record:
        length = f"{plan.trials} trials" if plan.trials else f"{plan.seconds:.0f} s"
        many = ui.counted(len(work), "cell")
        ui.say(f"torture {many} of {length}, {shape} at once, results in {record.folder}")
        if args.bench:
            return record.end(_bench(work, record, plan, args.repeat))
        with ui.meter("trials" if plan.trials else "seconds") as meter:
            progress = _Progress(meter, len(work), plan)
            shared = _Work(followup.Ask(asked, plan, record), Event(), how, progress)
            done = _torture_all(work, shared, shape.guests)
        if not args.deterministic and not args.no_search:
            _search(work, shared, done, search_for)
        results = [report.cell_result(cell, one) for cell, one in done.items()]
        code = record.end(summary.exit_code(results))
        _show_repeats(cells, done)
        ui.say(f"exit {int(code)}: see pinrace help exits · results in {record.folder}")
        return code


def _bench(work: Sequence[pool.Task], record: Run, plan: TorturePlan, times: int) -> Exit:
    """Compare with the naive loop, one cell after the other; exit 4 when nothing was caught."""
    results = []
    for task in work:
        if task.cell.repeat > 1:
            continue
        cell = replace(task.cell, suite=outcome.BENCH)
        folder = record.cell_start(cell)
        catches = bench.compare(task.patched, plan, times, folder)
        ui.say("\n  ".join([cell.name, *bench.summarize(catches)]))
        results.append(outcome.compared(cell, catches, folder))
        record.cell_end(results[-1])
    return summary.exit_code(results)


def _torture_all(
    work: Sequence[pool.Task], shared: _Work, guests: int
) -> dict[Cell, TortureResult]:
    """Run all; on Ctrl-C every guest is ended, and what it said so far is judged and kept."""
    executor = where.threads(guests)
    futures = {executor.submit(_one, task, shared): task for task in work}
    found: dict[Cell, TortureResult] = {}
    try:
        for future in as_completed(futures):
            task = futures[future]
            found[task.cell] = _judged(task, future, shared)
    except KeyboardInterrupt:
        shared.stop.set()
        executor.shutdown(cancel_futures=True)
        for future, task in futures.items():
            if task.cell not in found and not future.cancelled():
                found[task.cell] = _judged(task, future, shared)
        shared.ask.record.event("interrupted")
        raise
    finally:
        shared.stop.set()
        executor.shutdown(cancel_futures=True)
    return {task.cell: found[task.cell] for task in work}


def _one(task: pool.Task, shared: _Work) -> TortureResult:
    folder = shared.ask.record.cell_start(task.cell)
    return where.call(
        torture,
        task.cell,
        task.patched,
        shared.ask.plan,
        folder,
        stop=shared.stop,
        on_second=lambda told: shared.progress(task.cell, told),
    )


def _judged(task: pool.Task, future: Future[TortureResult], shared: _Work) -> TortureResult:
    """Take the result of a cell, note and print it; one that could not be run is a MISS."""
    cell = task.cell
    folder: Path = shared.ask.record.cell_folder(cell)
    try:
        result = future.result()
    except Exception as error:  # one odd record ends no other cell
        result = missed(error, folder)
    failed, replay = result.verdict is Verdict.FAIL, bool(task.patched.machine.replay)
    if failed and replay and not shared.stop.is_set():
        line = followup.replay_line(task, shared.ask.plan, folder, shared.ask.asked)
        result = replace(result, notes=(*result.notes, f"{commands.REPLAY}{line}"))
    report.save(result, shared.ask.plan, folder / report.RESULT)
    if (folder / RECORDS).exists():
        outcome.curve((folder / RECORDS).read_text(errors="replace").split("\n"), folder)
    value: CellResult = report.cell_result(cell, result)
    shared.ask.record.cell_end(value)
    ui.say(f"{cell.name}\n" + "\n".join(report.lines(result)))
    if result.verdict is not Verdict.PASS:
        ui.say("\n".join(f"      {line}" for line in _where(task, result, shared)))
    return result


def _where(task: pool.Task, result: TortureResult, shared: _Work) -> list[str]:
    """Return where to look, and how to run it again."""
    lines = [f"console  {result.folder / 'console.log'}"]
    lines += [f"reports  {result.folder / 'splats.txt'}"] if result.splats else []
    lines += [f"seed     {shared.ask.plan.seed}"]
    if result.verdict is not Verdict.FAIL:
        return [*lines, f"again    {commands.rerun(task.cell, shared.again)}"]
    if not task.patched.machine.replay:
        line = followup.repeat_line(task, shared.ask)
        lines.append(f"again    {line} --times 5")
    return lines


def _machine(arch: str, replay: Replay | None, smp: int) -> Machine:
    """Return the machine of an arch."""
    if replay:
        return get_replay_machine(arch, replay, smp)
    return get_machine(get_arch(arch), smp=smp)


def _search(
    work: Sequence[pool.Task], shared: _Work, done: dict[Cell, TortureResult], seconds: float
) -> None:
    """For each cell that failed, look for a run of it that comes back, and note that.

    Once for its repetitions.
    """
    seen: set[Cell] = set()
    for task in work:
        result, kind = done[task.cell], replace(task.cell, repeat=1)
        if result.verdict is Verdict.FAIL and result.trials and kind not in seen:
            seen.add(kind)
            try:
                found = followup.follow_up(task, result, shared.ask, seconds)
                done[task.cell] = found
                shared.ask.record.cell_end(report.cell_result(task.cell, found))
            except (InfrastructureError, OSError) as error:
                ui.say(f"        the search could not be run: {error}")


def _show_repeats(cells: Sequence[Cell], done: dict[Cell, TortureResult]) -> None:
    """Say for each cell that ran more than once how often it failed."""
    kinds = dict.fromkeys((cell.arch, cell.abi, cell.flavor) for cell in cells if cell.repeat > 1)
    for kind in kinds:
        same = [done[c] for c in cells if (c.arch, c.abi, c.flavor) == kind]
        ui.say(f"{'-'.join(kind)}: {report.repeated(same)}")
