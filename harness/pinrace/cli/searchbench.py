# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace searchbench`: how soon each way to look for races finds ten windows, in CPU time."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pinrace import ui
from pinrace.arches import ABIS, get_arch
from pinrace.cli import options
from pinrace.engine import build
from pinrace.errors import UserError
from pinrace.guest.machine import get_machine
from pinrace.mutants import file as mutants
from pinrace.mutants import kernels
from pinrace.paths import runs_dir
from pinrace.races.benchmark import outcome, page, repeats, windows
from pinrace.races.benchmark import run as runs
from pinrace.races.benchmark.run import Lab
from pinrace.races.benchmark.trial import ARMS, Result
from pinrace.races.benchmark.windows import SERIES, Window
from pinrace.runs import summary, tables
from pinrace.runs.journal import Run, tree_facts
from pinrace.values import Cell, Kernel, PatchedTree, Request, Series, Tree

FOLDER = "searchbench"  # in the folder of runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    parser.add_argument(
        "--windows", default="", metavar="A,B", help="only these windows (default: all)"
    )
    parser.add_argument(
        "--arms",
        default="",
        metavar="A,B",
        help=f"only these methods: {', '.join(ARMS)} (default: all)",
    )
    parser.add_argument(
        "--seeds", type=int, default=10, help="attempts for each window and method (default: 10)"
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=120.0,
        metavar="S",
        help="CPU seconds of an attempt, boots included (default: %(default)s)",
    )
    parser.add_argument(
        "--alarms",
        type=int,
        default=1,
        metavar="N",
        help="also run the first N seeds on the unmodified series, for false alarms (default: 1)",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=0,
        metavar="N",
        help="replay a token of each kind N times on each ABI (default: 0)",
    )
    parser.add_argument(
        "--at-once",
        type=int,
        default=1,
        metavar="N",
        help="run N attempts in parallel, where a guest uses one host thread (default: 1)",
    )
    parser.add_argument(
        "--into", type=Path, help=f"folder for the results (default: runs/{FOLDER})"
    )
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER", help="write the page and its plots to this folder"
    )
    parser.add_argument(
        "--only-write", action="store_true", help="write the page from earlier results"
    )


def run(args: argparse.Namespace) -> int:
    """Measure what is missing, and write the page; exit 1 when the series loses a race."""
    asked = options.request(args)
    every = windows.load()
    wanted = windows.select(every, _names(args.windows))
    arms = _arms(args.arms)
    if asked.flavors != ("plain",) or asked.kernel:
        raise UserError("the benchmark has plain kernels", hint="leave out --flavor, --kernel")
    if min(args.seeds, args.at_once) < 1 or args.budget <= 0 or min(args.alarms, args.repeats) < 0:
        raise UserError("--seeds, --at-once and --budget take numbers above 0", hint="--seeds 10")
    if args.only_write:
        more = ("--seeds", "--alarms", "--repeats", "--at-once")
        options.refuse(args, "with --only-write", *more)
    if args.only_write and not args.write:
        raise UserError("--only-write needs to know where to", hint="--write FOLDER")
    tree, series = options.request_tree(args)
    if series is None:
        raise UserError("windows are planted in a series", hint="leave out --series none")
    lab = prepare(asked, tree, series, wanted, args.into or runs_dir() / FOLDER)
    patched = PatchedTree(tree, series, lab.kernels[SERIES, asked.arches[0]].tree_id, "")
    with Run.create(["pinrace", *args.words], tree=tree_facts(patched)) as record:
        cells = [Cell(arch, runs.native_abi(arch), "plain", outcome.SUITE) for arch in asked.arches]
        folders = {cell: record.cell_start(cell) for cell in cells}
        lost = 1  # until all were attempted
        try:
            lost = 0 if args.only_write else _measure(lab, wanted, arms, asked, args)
        finally:
            found, again = runs.results(lab, wanted, args.budget), runs.repeats(lab)
            results = [
                outcome.result(cell, wanted, found, again, folder, lost=lost)
                for cell, folder in folders.items()
            ]
            for result in results:
                record.cell_end(result)
        _say(args, lab, wanted, series, found)
        return record.end(summary.exit_code(results))


def _measure(
    lab: Lab,
    wanted: Sequence[Window],
    arms: tuple[str, ...],
    asked: Request,
    args: argparse.Namespace,
) -> int:
    """Make the attempts and replays that are missing; return how many were lost or differed."""
    trials = list(runs.order(wanted, arms, asked.arches, args.seeds, args.alarms))
    lost = runs.measure(lab, wanted, trials, args.budget, args.at_once)
    if args.repeats:
        by_name = {window.name: window for window in wanted}
        lost += len(repeats.have(lab, by_name, asked.abis, args.repeats))
    return lost


def _say(
    args: argparse.Namespace,
    lab: Lab,
    wanted: Sequence[Window],
    series: Series,
    results: Sequence[Result],
) -> None:
    """Write the page, if one was asked for, and print what was seen where nothing may be."""
    if args.write:
        about = facts(lab, series, results)
        report = page.Report(wanted, results, runs.repeats(lab), args.budget, about)
        ui.say(f"page    {page.write(report, args.write)}")
    for one in results:
        if one.trial.alarm and one.hit:
            ui.say(f"FALSE ALARM  {runs.line(one)}")


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _arms(text: str) -> tuple[str, ...]:
    """Return the arms that are asked for; UserError for an unknown one."""
    names = _names(text)
    if unknown := [name for name in names if name not in ARMS]:
        raise UserError(f"no arm '{unknown[0]}'", hint=f"they are: {', '.join(ARMS)}")
    return tuple(name for name in ARMS if not names or name in names)


def prepare(
    asked: Request, tree: Tree, series: Series, wanted: Sequence[Window], folder: Path
) -> Lab:
    """Have the kernels of the series and of the mutants, and the images."""
    native = (runs.native_abi(arch) for arch in asked.arches)
    with_native = replace(asked, abis=tuple(dict.fromkeys((*native, *asked.abis))))
    built = build.prepare(with_native, tree, series, with_base=False).patched
    found: dict[tuple[str, str], Kernel] = {
        (SERIES, arch): built.kernels[arch, "plain"] for arch in asked.arches
    }
    names = dict.fromkeys(window.kernel for window in wanted if window.planted)
    for mutant in mutants.select(mutants.load(), list(names)) if names else ():
        for arch in asked.arches:
            clean = found[SERIES, arch]
            found[mutant.name, arch] = kernels.build(asked, tree, series, mutant, clean, say=ui.say)
    return Lab(tree, found, built.images, folder)


def facts(lab: Lab, series: Series, results: Sequence[Result]) -> dict[str, str]:
    """What a reader needs to know of how the numbers came about."""
    beside = " or ".join(str(count) for count in sorted({one.at_once for one in results} | {1}))
    machines = {arch: get_machine(get_arch(arch), smp=2) for _, arch in lab.kernels}
    qemus = sorted({machine.qemu.version for machine in machines.values()})
    return tables.facts(lab.tree, series) | {
        "guests": f"QEMU {', '.join(qemus)}, 2 CPUs, {beside} at a time; ABIs"
        f" {', '.join(name for name in ABIS if name in lab.images)}",
    }
