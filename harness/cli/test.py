# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace test`: from a series to a verdict per arch, ABI and suite."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from harness import matrix, stages, ui
from harness.arches import get_arch
from harness.cli import options
from harness.guest.machine import Machine, get_machine
from harness.host.budget import Budget
from harness.runs import junit, summary
from harness.runs.journal import Run, tree_facts
from harness.trees.fit import NotApplicableError
from harness.values import CellResult, Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    options.cell_options(parser)


def run(args: argparse.Namespace) -> int:
    """Build what is missing, run the cells, print the table; the exit code is the verdict's."""
    asked = options.request(args)
    wanted = options.cells(asked, args)
    tree, series = options.request_tree(args)
    try:
        lab = stages.prepare(asked, tree, series, with_base=not args.no_baseline)
    except NotApplicableError as error:
        ui.say(str(error))
        lacks = f"not applicable: the tree lacks {', '.join(error.lacks)}"
        results = [CellResult(cell, Verdict.SKIP, lacks) for cell in wanted]
        return _finish(Run.create(["pinrace", *args.words], tree={"label": tree.label}), results)
    machines = {name: get_machine(get_arch(name), smp=args.smp) for name in asked.arches}
    record = Run.create(
        ["pinrace", *args.words],
        tree=tree_facts(lab.patched.tree),
        machines={name: _facts(machine) for name, machine in machines.items()},
    )
    for name, machine in machines.items():
        why = f" ({machine.accel.reason})" if machine.accel.reason else ""
        ui.say(f"guests  {name} {machine.cpu} under {machine.accel.name}{why}")
    work = matrix.tasks(lab, wanted, machines)
    guests = args.guests or Budget.of_host().guests_at_once(args.smp, 512)
    ui.say(f"test    {len(work)} cells, {guests} guests at once, results in {record.folder}")
    return _finish(record, _run(work, record, guests, args.only))


def _finish(record: Run, results: list[CellResult]) -> int:
    """Write and show what came of it; return the exit code."""
    code = summary.exit_code(results)
    record.finish(results, exit_code=code)
    junit.write(record.folder / "junit.xml", results, record.manifest["tree"])
    summary.show(results, ui.out)
    ui.say(f"exit {int(code)}: see pinrace help exits · results in {record.folder}")
    return code


def _run(work: list[matrix.Task], record: Run, guests: int, only: str) -> list[CellResult]:
    """Run the cells with progress; on Ctrl-C every guest is ended and what ended is kept."""
    stop = Event()
    executor = ThreadPoolExecutor(guests, thread_name_prefix="guest")
    done = 0
    with ui.meter("cells") as progress:

        def on_result(result: CellResult) -> None:
            nonlocal done
            done += 1
            progress(done, len(work))
            ui.say(f"  {result.verdict:<5} {result.cell.name}  {result.reason}")

        try:
            return matrix.run(work, record, executor, on_result=on_result, only=only, stop=stop)
        finally:
            stop.set()
            executor.shutdown(cancel_futures=True)


def _facts(machine: Machine) -> dict[str, object]:
    """What a manifest says of a machine."""
    return {
        "qemu": machine.qemu.version,
        "cpu": machine.cpu,
        "smp": machine.smp,
        "memory_mib": machine.mem_mb,
        "accelerator": machine.accel.name,
        "why": machine.accel.reason,
        "scale": machine.accel.scale,
    }
