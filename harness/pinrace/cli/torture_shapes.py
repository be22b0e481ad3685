# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace torture --measure`: how many guests of how many CPUs; and what was found, in use."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from threading import Event

from pinrace import ui
from pinrace.arches import get_abi, get_arch
from pinrace.cli import options
from pinrace.engine import build, pool
from pinrace.errors import UserError
from pinrace.guest.machine import Machine, get_machine
from pinrace.host.budget import Budget
from pinrace.races.followup import MEMORY
from pinrace.races.torture import outcome, shapes
from pinrace.races.torture.report import SUITE
from pinrace.races.torture.run import SMP
from pinrace.races.torture.shapes import Shape
from pinrace.races.trials.values import TorturePlan
from pinrace.runs import summary
from pinrace.runs.journal import Run, tree_facts
from pinrace.values import Cell, CellResult

SECONDS = "20s"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options about shapes."""
    parser.add_argument(
        "--guests", type=int, default=0, help="guests at once (default: as --measure found)"
    )
    parser.add_argument(
        "--smp",
        type=int,
        default=0,
        help=f"CPUs of a guest (default: as --measure found, or {SMP})",
    )
    parser.add_argument(
        "--measure",
        action="store_true",
        help="try how many guests of how many CPUs expose most trials a CPU second"
        f" (default: {SECONDS} each), and keep that for this host",
    )


def choose(args: argparse.Namespace, arches: Sequence[str]) -> Shape:
    """Return the guests and CPUs that were asked for, or else found best for all of the arches."""
    budget = Budget.of_host()
    kept = {shapes.kept(get_machine(get_arch(name)), budget.cpus) for name in arches}
    found = kept.pop() if len(kept) == 1 and not args.deterministic else None
    smp = args.smp or (found.smp if found else SMP)
    if args.guests:
        return Shape(guests=args.guests, smp=smp)
    if found and found.smp == smp:
        return Shape(guests=min(found.guests, budget.guests_in_memory(MEMORY)), smp=smp)
    # One host thread runs all CPUs of a machine that repeats itself.
    threads = 1 if args.deterministic else smp
    return Shape(guests=budget.guests_at_once(threads, MEMORY), smp=smp)


def run(args: argparse.Namespace, plan: TorturePlan, machines: Mapping[str, Machine]) -> int:
    """Measure on the first ABI of each arch; exit 1 when a guest FAILs, 4 when one is lost."""
    if args.guests or args.smp or args.trials or args.deterministic or args.bench:
        raise UserError(
            "--measure finds out about guests and CPUs by itself",
            hint="leave out --guests, --smp, --trials, --deterministic and --bench",
        )
    asked = options.request(args)
    tree, series = options.request_tree(args)
    lab = build.prepare(asked, tree, series, with_base=False)
    native: dict[str, str] = {}
    for abi in asked.abis:
        native.setdefault(get_abi(abi).arch, abi)
    cells = [Cell(arch, abi, asked.flavors[0], SUITE) for arch, abi in native.items()]
    cpus, stop = Budget.of_host().cpus, Event()
    plan = replace(plan, seconds=options.duration(args.duration or SECONDS, "--for"))
    facts = tree_facts(lab.patched.tree)
    with Run.create(["pinrace", *args.words], tree=facts, seed=plan.seed) as record:
        results = []
        try:
            for task in pool.tasks(lab, cells, dict(machines)):
                results.append(_measure(task, plan, record, cpus, stop))
        finally:
            stop.set()
        return record.end(summary.exit_code(results))


def _measure(task: pool.Task, plan: TorturePlan, record: Run, cpus: int, stop: Event) -> CellResult:
    """Try each shape on one cell, keep the best one for this host, and all of them as a cell."""
    tried = shapes.candidates(cpus)
    ui.say(f"{task.cell.abi}: {len(tried)} shapes of {plan.seconds:.0f} s, {cpus} CPUs")
    cell = replace(task.cell, suite=outcome.SHAPES)
    folder = record.cell_start(cell)
    found: list[shapes.Measured] = []
    try:
        for number, shape in enumerate(tried):
            place = folder / str(number)
            found.append(shapes.measure(task.cell, task.patched, plan, shape, place, stop=stop))
    finally:
        result = outcome.measured(cell, found, folder)
        record.cell_end(result)
    ui.say("\n".join(shapes.table(found)))
    if chosen := shapes.best(found):
        shapes.keep(task.patched.machine, cpus, chosen)
    return result
