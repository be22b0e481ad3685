# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace torture`: races of every family for as long as you like, and what they prove."""

from __future__ import annotations

import argparse
import re
import secrets
import shlex
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from harness import runner, stages, ui
from harness.arches import get_abi, get_arch
from harness.cli import options
from harness.errors import InfrastructureError, UserError
from harness.guest.machine import get_machine
from harness.host.budget import Budget
from harness.runs import commands, junit, summary
from harness.runs.journal import Run, tree_facts
from harness.torture import report
from harness.torture.run import SMP, TorturePlan, TortureResult, torture
from harness.values import Cell, CellResult, Verdict

_FOR = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|)")
_UNITS = {"s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    parser.add_argument("--for", dest="duration", default="1m", help="30s, 10m, 2h (default: 1m)")
    parser.add_argument("--seed", type=int, help="of all that is random (default: a new one)")
    parser.add_argument(
        "--families", default="", metavar="A,B", help="system calls to race (default: all)"
    )
    parser.add_argument("--repeat", type=int, default=1, help="the same again, this many times")
    parser.add_argument("--guests", type=int, default=0, help="guests at once")
    parser.add_argument("--smp", type=int, default=SMP, help=f"CPUs of a guest (default: {SMP})")
    parser.add_argument("--lanes", type=int, default=0, help="races at once (default: two a CPU)")
    parser.add_argument("--no-chaos", action="store_true", help="races alone, nothing beside them")
    parser.add_argument(
        "--stop-at-first", action="store_true", help="end a guest at its first violation"
    )
    parser.add_argument(
        "--break-plain",
        action="store_true",
        help="break the supervisor on purpose, with plain replies: the torture has to FAIL",
    )


def parse_duration(text: str) -> float:
    """Return the seconds that a duration like 90, 30s, 10m or 2h means; UserError for others."""
    match = _FOR.fullmatch(text)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if seconds < 1:
        raise UserError(f"--for takes no '{text}'", hint="--for 30s, --for 10m, --for 2h")
    return seconds


def make_plan(args: argparse.Namespace) -> TorturePlan:
    """Return what was asked for; UserError for numbers that make no sense."""
    if args.repeat < 1 or args.smp < 1 or args.guests < 0 or args.lanes < 0:
        raise UserError("--repeat, --smp, --guests and --lanes take numbers of 1 or more")
    if args.seed is not None and not 0 <= args.seed < 2**63:
        raise UserError("--seed takes no negative number, and none beyond 63 bits")
    return TorturePlan(
        seed=secrets.randbits(32) if args.seed is None else args.seed,
        seconds=parse_duration(args.duration),
        families=tuple(name for name in args.families.split(",") if name),
        stop_at_first=args.stop_at_first,
        chaos=not args.no_chaos,
        lanes=args.lanes,
        break_plain=args.break_plain,
    )


@dataclass(frozen=True)
class _Work:
    """Everything that the cells of one command share."""

    plan: TorturePlan
    record: Run
    stop: Event
    again: commands.Again | None


def run(args: argparse.Namespace) -> int:
    """Build what is missing, torture each cell, print a line each; the code is the verdict's."""
    asked = options.request(args)
    plan = make_plan(args)
    ui.say(f"seed    {plan.seed}")
    cells = [
        Cell(get_abi(abi).arch, abi, flavor, report.SUITE, repeat)
        for flavor in asked.flavors
        for abi in asked.abis
        for repeat in range(1, args.repeat + 1)
    ]
    tree, series = options.request_tree(args)
    lab = stages.prepare(asked, tree, series, with_base=False)
    machines = {name: get_machine(get_arch(name), smp=args.smp) for name in asked.arches}
    base = commands.again(asked, tree, series, smp=args.smp, only="", with_base=True)
    how = commands.Again(base.build, (*base.test, *report.plan_options(plan))) if base else None
    record = Run.create(
        ["pinrace", *args.words],
        tree=tree_facts(lab.patched.tree),
        machines={
            n: {"qemu": m.qemu.version, "cpu": m.cpu, "smp": m.smp, "accelerator": m.accel.name}
            for n, m in machines.items()
        },
        cells=tuple(cells),
        seed=plan.seed,
        again=how,
    )
    work = runner.tasks(lab, cells, machines)
    guests = args.guests or Budget.of_host().guests_at_once(args.smp, 512)
    ui.say(
        f"torture {len(work)} cells of {plan.seconds:.0f} s, {guests} guests of {args.smp} CPUs"
        f" at once, results in {record.folder}"
    )
    done = _torture_all(work, _Work(plan, record, Event(), how), guests)
    results = [report.cell_result(cell, one) for cell, one in done.items()]
    code = summary.exit_code(results)
    record.finish(results, exit_code=code)
    junit.write(record.folder / "junit.xml", results, record.manifest["tree"])
    _show_repeats(cells, done)
    ui.say(f"exit {int(code)}: see pinrace help exits · results in {record.folder}")
    return code


def _torture_all(
    work: Sequence[runner.Task], shared: _Work, guests: int
) -> dict[Cell, TortureResult]:
    """Run all; on Ctrl-C every guest is ended, and what it said so far is judged and kept."""
    executor = ThreadPoolExecutor(guests, thread_name_prefix="guest")
    futures = {executor.submit(_one, task, shared): task.cell for task in work}
    found: dict[Cell, TortureResult] = {}
    try:
        for future in as_completed(futures):
            found[futures[future]] = _judged(futures[future], future, shared)
    except KeyboardInterrupt:
        shared.stop.set()
        executor.shutdown(cancel_futures=True)
        for future, cell in futures.items():
            if cell not in found and not future.cancelled():
                found[cell] = _judged(cell, future, shared)
        shared.record.event("interrupted")
        raise
    finally:
        shared.stop.set()
        executor.shutdown(cancel_futures=True)
    return {cell: found[cell] for cell in futures.values()}


def _one(task: runner.Task, shared: _Work) -> TortureResult:
    folder = shared.record.cell_start(task.cell)
    return torture(task.cell, task.patched, shared.plan, folder, stop=shared.stop)


def _judged(cell: Cell, future: Future[TortureResult], shared: _Work) -> TortureResult:
    """Take the result of a cell, note and print it; one that could not be run is a MISS."""
    folder: Path = shared.record.cell_folder(cell)
    try:
        result = future.result()
    except (InfrastructureError, OSError) as error:
        why = f"could not be run: {error}"
        result = TortureResult(Verdict.MISS, why, (), 0, {}, {}, (), 0.0, folder)
    report.save(result, shared.plan, folder / report.RESULT)
    value: CellResult = report.cell_result(cell, result)
    shared.record.cell_end(value)
    ui.say(f"{cell.name}\n" + "\n".join(report.lines(result)))
    if result.verdict is not Verdict.PASS:
        ui.say(f"      console  {folder / 'console.log'}")
        built = shared.again.build if shared.again else ()
        words = report.again(cell, shared.plan, [*built, "--smp", _smp(shared)])
        ui.say(f"      again    {shlex.join(['pinrace', 'torture', *words])}")
    return result


def _smp(shared: _Work) -> str:
    return str(next(iter(shared.record.manifest["machines"].values()))["smp"])


def _show_repeats(cells: Sequence[Cell], done: dict[Cell, TortureResult]) -> None:
    """Say for each cell that ran more than once how often it failed."""
    kinds = dict.fromkeys((cell.arch, cell.abi, cell.flavor) for cell in cells if cell.repeat > 1)
    for kind in kinds:
        same = [done[c] for c in cells if (c.arch, c.abi, c.flavor) == kind]
        ui.say(f"{'-'.join(kind)}: {report.repeated(same)}")
