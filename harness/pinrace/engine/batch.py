# SPDX-License-Identifier: GPL-2.0-or-later
"""One batch of cells, from a request to judged results in a run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event

from pinrace import ui
from pinrace.arches import get_arch
from pinrace.deadline import Deadline
from pinrace.engine import build, coverage, pool, resume
from pinrace.engine import executor as where
from pinrace.engine.baseline import DAYS
from pinrace.errors import Exit, UserError
from pinrace.guest.extras import Extras
from pinrace.guest.machine import Machine, Replay, get_machine
from pinrace.host.budget import Budget
from pinrace.paths import runs_dir
from pinrace.races.replay.run import get_replay_machine
from pinrace.runs import commands, issues, summary
from pinrace.runs.journal import Run, tree_facts
from pinrace.series.files import touched
from pinrace.series.fit import NotApplicableError
from pinrace.series.load import apply
from pinrace.suites import auto
from pinrace.suites.registry import get_suite
from pinrace.values import Cell, CellResult, Mark, PatchedTree, Request, Series, Tree, Verdict
from pinrace.visible import one_line


@dataclass(frozen=True)
class Batch:
    """What to run: cells of one tree and series."""

    asked: Request
    tree: Tree
    series: Series | None
    cells: tuple[Cell, ...]
    smp: int = 2
    guests: int = 0  # at once; 0: as many as fit
    only: str = ""  # cases whose name holds this
    with_base: bool = True  # hold it against the unpatched tree
    replay: Replay | None = None  # on machines that repeat themselves
    days: float = DAYS  # how old what is known of the unpatched tree may be
    chosen: bool = True  # its suites were named, and not all there are
    dump: int = 0  # MiB that the kept memory of a guest that dies or hangs may take; 0: keep none
    leg: str = ""  # of a matrix: cells that a killed run of the same leg had are not run again
    until: Deadline = field(default_factory=Deadline)  # no cell begins after that
    accepted: bool = False  # that no suite looks at some of what the series changes
    extras: Extras = field(default_factory=Extras)  # of the machines


def run(batch: Batch, argv: Sequence[str]) -> tuple[Run, list[CellResult]]:
    """Build what is missing, run the cells, keep the results; argv is the user's command line.

    A series that is not meant for the tree gives cells that are skipped with what is lacking.
    What no suite looks at is a cell of its own.  Raises BuildError and InfrastructureError when
    there is nothing to run cells on, and UserError when `only` picked no case in any of them.
    """
    book = issues.load()  # what is wrong with it is said before anything is built
    try:
        patched = apply(batch.tree, batch.series, say=ui.say)
        batch = replace(batch, cells=auto.expand(batch.cells, patched))
        suites = [get_suite(name) for name in dict.fromkeys(cell.suite for cell in batch.cells)]
        asked = batch.extras.ask(batch.asked)
        lab = build.prepare(
            asked, batch.tree, batch.series, with_base=batch.with_base, suites=suites
        )
    except NotApplicableError as error:
        return _not_applicable(batch, error, argv)
    had = resume.earlier(batch.leg, runs_dir())
    machines = {name: _machine(name, batch) for name in batch.asked.arches}
    record = _begin(batch, lab, machines, argv)
    threads = max(machine.threads for machine in machines.values())
    guests = batch.guests or Budget.of_host().guests_at_once(threads, 512)
    kept = [had[cell.name] for cell in batch.cells if cell.name in had]
    for result in kept:
        record.cell_end(result)
    work = pool.tasks(lab, [cell for cell in batch.cells if cell.name not in had], machines)
    guests = where.current().width(guests)
    what = f"{ui.counted(len(work), 'cell')}, {ui.counted(guests, 'guest')} at once"
    ui.say(f"test    {what}, results in {record.folder}")
    if kept:
        ui.say(f"kept    {ui.counted(len(kept), 'cell')} of a run that did not come to its end")
    results = _in_order(batch.cells, kept, _run(work, record, guests, batch, book))
    if one := coverage.judge(
        results,
        touched(batch.series),
        {suite.name: suite.about_series(lab.patched.tree) for suite in suites},
        chosen=batch.chosen or bool(batch.only),
        accepted=batch.accepted,
    ):
        record.cell_end(one)
        results.append(one)
    none = bool(batch.only) and all(_unmatched(result) for result in results)
    _keep(record, results, Exit.USAGE if none else None)
    if none:
        named = ", ".join(suite.name for suite in suites)
        hint = "-k takes names, or parts of names, as tables and pages print them"
        raise UserError(f"no case of {named} matches '{batch.only}'", hint=hint)
    return record, results


def _begin(batch: Batch, lab: build.Lab, machines: dict[str, Machine], argv: Sequence[str]) -> Run:
    """Make the run's folder, and say what its guests are."""
    record = Run.create(
        argv,
        tree=tree_facts(lab.patched.tree),
        machines={name: machine_facts(machine) for name, machine in machines.items()},
        compared=lab.base is not None,
        built=build.how_built(lab),
        cells=batch.cells,
        again=_again(batch),
        leg=batch.leg,
        sizes=_sizes(lab),
    )
    for name, machine in machines.items():
        why = f" ({machine.accel.reason})" if machine.accel.reason else ""
        ui.say(f"guests  {name} {machine.cpu} under {machine.accel.name}{why}")
    return record


def _in_order(
    cells: Sequence[Cell], kept: Sequence[CellResult], ran: Sequence[CellResult]
) -> list[CellResult]:
    """Return what was kept and what ran, in the order in which it was asked for."""
    found = {result.cell.name: result for result in (*kept, *ran)}
    return [found[cell.name] for cell in cells if cell.name in found]


def _unmatched(result: CellResult) -> bool:
    """Whether no case of a cell was asked for."""
    return any(case.mark is Mark.UNMATCHED for case in result.cases)


def _machine(arch: str, batch: Batch) -> Machine:
    """Return the machine of an arch.

    Suites stage their races, so that a guest's CPUs may take turns.
    """
    if batch.replay:
        return get_replay_machine(arch, batch.replay, batch.smp)
    machine = get_machine(get_arch(arch), smp=batch.smp, turns=True)
    return batch.extras.apply(replace(machine, dump=batch.dump))


def _not_applicable(
    batch: Batch, error: NotApplicableError, argv: Sequence[str]
) -> tuple[Run, list[CellResult]]:
    """Skip all cells, each with what the tree lacks."""
    ui.say(str(error))
    tree = PatchedTree(batch.tree, batch.series, batch.tree.tree_id, batch.tree.commit)
    record = Run.create(argv, tree=tree_facts(tree), cells=batch.cells, again=_again(batch))
    lacks = f"not applicable: the tree lacks {', '.join(error.lacks)}"
    results = [CellResult(cell, Verdict.SKIP, lacks) for cell in batch.cells]
    for result in results:
        record.cell_end(result)
    return record, _keep(record, results)


def _again(batch: Batch) -> commands.Again | None:
    """What a manifest says of how to do one of the cells again."""
    return commands.again(
        batch.asked,
        batch.tree,
        batch.series,
        smp=batch.smp,
        only=batch.only,
        with_base=batch.with_base,
        seed=batch.replay.seed if batch.replay else None,
        more=[
            *(["--baseline-days", f"{batch.days:g}"] if batch.days != DAYS else []),
            *(["--accept-uncovered"] if batch.accepted else []),
            *commands.userland(),
            *([f"--dump={batch.dump}"] if batch.dump else []),
            *batch.extras.words,
        ],
    )


def _keep(record: Run, results: list[CellResult], code: Exit | None = None) -> list[CellResult]:
    """Write what came of it."""
    record.finish(results, exit_code=summary.exit_code(results) if code is None else code)
    return results


def _run(
    work: list[pool.Task], record: Run, guests: int, batch: Batch, book: issues.Book
) -> list[CellResult]:
    """Run the cells with progress; on Ctrl-C every guest is ended and what ended is kept."""
    stop = Event()
    executor = ThreadPoolExecutor(guests, thread_name_prefix="guest")
    done = 0
    with ui.meter("cells") as progress:

        def on_result(result: CellResult) -> None:
            nonlocal done
            done += 1
            progress(done, len(work))
            ui.say(f"  {result.verdict:<5} {result.cell.name}  {one_line(result.reason)}")
            for note in result.notes:
                if note.startswith(commands.REPLAY):
                    ui.say(f"        {one_line(note)}")

        try:
            return pool.run(
                work,
                record,
                executor,
                on_result=on_result,
                only=batch.only,
                stop=stop,
                asked=batch.asked,
                days=batch.days,
                book=book,
                until=batch.until,
            )
        finally:
            stop.set()
            executor.shutdown(cancel_futures=True)


def _sizes(lab: build.Lab) -> dict[str, int]:
    """Return how many bytes QEMU boots, by arch and flavor."""
    kernels = lab.patched.kernels.items()
    return {f"{arch} {flavor}": one.boot.stat().st_size for (arch, flavor), one in kernels}


def machine_facts(machine: Machine) -> dict[str, object]:
    """What a manifest says of a machine."""
    return {
        "qemu": machine.qemu.version,
        "cpu": machine.cpu,
        "smp": machine.smp,
        "threads": machine.threads,
        "memory_mib": machine.mem_mb,
        "accelerator": machine.accel.name,
        "why": machine.accel.reason,
        "scale": machine.accel.scale,
    }
