# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace torture --bench --mutants`: the torture and the naive loop on broken kernels."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace

from pinrace import ui
from pinrace.arches import Abi, get_abi
from pinrace.cli import options
from pinrace.engine import build
from pinrace.engine.cell import Bench
from pinrace.errors import BuildError, InfrastructureError, UserError
from pinrace.guest.machine import Machine
from pinrace.mutants import file, kernels
from pinrace.races.torture import bench, versus
from pinrace.races.trials.values import TorturePlan
from pinrace.runs import summary, tables
from pinrace.runs.journal import Run, tree_facts
from pinrace.series.manifest import feature_of
from pinrace.values import Cell

SEED = 1  # of the first attempt, if none was asked for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this comparison."""
    parser.add_argument(
        "--mutants",
        nargs="?",
        const=",".join(versus.FIVE),
        metavar="A,B",
        help="with --bench: compare on these mutants, --repeat times each (default: five races)",
    )
    parser.add_argument(
        "--write",
        type=tables.file,
        metavar="FILE",
        help="with --bench --mutants: write the table to this file",
    )


def run(args: argparse.Namespace, plan: TorturePlan, machines: Mapping[str, Machine]) -> int:
    """Build each mutant and compare on it; exit 1 when the torture misses one in most attempts.

    What was kept of an earlier run on the same kernels is not run again.
    """
    asked = options.request(args)
    if asked.flavors != ("plain",):
        raise UserError("mutants are compared on plain kernels", hint="leave out --flavor")
    tree, series = options.request_tree(args)
    if series is None or args.kernel or len(asked.abis) != 1:
        raise UserError(
            "mutants are those of a series on a tree, compared on one ABI",
            hint="--arch x86_64 --abi x86_64, and no --kernel",
        )
    chosen = file.select(file.load(), [name for name in args.mutants.split(",") if name])
    plan = plan if args.seed is not None else replace(plan, seed=SEED)
    abi = get_abi(asked.abis[0])
    built = build.prepare(asked, tree, series, with_base=False).patched
    machine = machines[abi.arch]
    run_facts = tree_facts(built.tree)
    found: dict[str, list[bench.Catch]] = {}
    lost: dict[str, str] = {}
    with Run.create(["pinrace", *args.words], tree=run_facts, seed=plan.seed) as record:
        cell = Cell(abi.arch, abi.name, "plain", versus.SUITE)
        folder = record.cell_start(cell)
        try:
            for number, mutant in enumerate(chosen, 1):
                ui.say(f"mutant  {number}/{len(chosen)} {mutant.name}")
                clean = built.kernels[abi.arch, "plain"]
                try:
                    kernel = kernels.build(asked, tree, series, mutant, clean, say=ui.say)
                    on = Bench(kernel, built.images[abi.name], machine, promised=feature_of(series))
                    found[mutant.name] = versus.compared(
                        on, plan, args.repeat, folder / mutant.name, say=lambda t: ui.say(f"  {t}")
                    )
                except (BuildError, InfrastructureError) as error:
                    ui.say(f"  could not be compared: {error}")
                    lost[mutant.name] = str(error)
        finally:
            result = versus.result(cell, [one.name for one in chosen], found, lost, folder)
            record.cell_end(result)
        text = versus.markdown(found, tables.facts(tree, series) | _facts(args, plan, machine, abi))
        ui.say(text)
        tables.write(args, text)
        return record.end(summary.exit_code([result]))


def _facts(
    args: argparse.Namespace, plan: TorturePlan, machine: Machine, abi: Abi
) -> dict[str, str]:
    """What a reader needs to know of how the table came about."""
    return {
        "guests": f"{abi.name}, QEMU {machine.qemu.version}, {machine.accel.name},"
        f" {machine.smp} CPUs",
        "attempts": f"{args.repeat} each, one after the other in the same guest, at most"
        f" {plan.seconds:.0f} s; medians, seconds of the guest",
        "naive loop": "one tracee, one spinning mutator, one supervisor that pins and replies"
        " (guest/pintorture/naive.c); ends with the first open of what was not shown",
        "bounds": "`>` where nothing was seen in that time",
    }
