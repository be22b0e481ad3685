# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace prove RACE`: lost without a fix, made small, replayed, and kept with it."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from pinrace import ui
from pinrace.arches import ABIS
from pinrace.cli import options
from pinrace.errors import Exit, UserError
from pinrace.races.race import lab as labs
from pinrace.races.race import prove, proven
from pinrace.races.race.folder import Race, opened
from pinrace.races.race.lab import RaceLab, Wanted
from pinrace.report.render import write
from pinrace.runs import tables
from pinrace.runs.journal import Run, tree_facts
from pinrace.values import Cell, CellResult, Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("race", help="a folder with a race.toml, or a name in kernel/races")
    parser.add_argument(
        "--fix",
        metavar="SERIES",
        help="a series for the broken kernel, or 'none' for the tree without the race's plant;"
        " without it, this only reproduces the loss",
    )
    build_options(parser)
    parser.add_argument(
        "--way",
        action="append",
        choices=prove.WAYS,
        help="only this way; may be repeated (default: all that fit)",
    )
    parser.add_argument("--free", default="20s", help="guest time of free rounds (default: 20s)")
    parser.add_argument("--seeds", type=int, default=20, help="boots at most (default: 20)")
    parser.add_argument(
        "--for", dest="duration", default="15m", help="host time of each window (default: 15m)"
    )
    parser.add_argument("--replays", type=int, default=5, help="of each token (default: 5)")
    parser.add_argument("--pairs", action="store_true", help="also pairs of holds, with the fix")
    parser.add_argument(
        "--add", type=tables.file, metavar="FILE", help="put the result into the table of a page"
    )
    tables.option(parser)


def build_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides which kernels a race runs on."""
    parser.add_argument("--tree", default="", help="another tree than the race's")
    options.insecure_option(parser)
    parser.add_argument("--arch", action="append", default=[], help="may be repeated")
    parser.add_argument("--abi", action="append", default=[], help="may be repeated")
    parser.add_argument("--flavor", default="", help="another than the race's")
    parser.add_argument(
        "--config", action="append", default=[], metavar="X=y", help="one more kernel option"
    )
    parser.add_argument("--llvm", nargs="?", const="1", default="", metavar="SUFFIX")
    parser.add_argument("-j", "--jobs", type=int, default=0, help="compilers at once")
    parser.add_argument("--ltp", type=Path, metavar="DIR", help="a tree of the Linux Test Project")


def wanted(args: argparse.Namespace) -> Wanted:
    """Return what these options add up to."""
    return Wanted(
        tuple(args.arch),
        tuple(args.abi),
        args.tree,
        args.flavor,
        tuple(args.config),
        args.llvm,
        args.jobs,
        args.insecure,
        args.ltp,
    )


def run(args: argparse.Namespace) -> int:
    """Prove it on each ABI; exit 0 only when all of it is so."""
    if args.seeds < 1 or args.replays < 1:
        raise UserError("--seeds and --replays take 1 or more")
    budget = prove.Budget(
        options.duration(args.free, "--free"),
        args.seeds,
        options.duration(args.duration, "--for"),
        args.replays,
        args.pairs,
        tuple(args.way or prove.WAYS),
    )
    with opened(args.race) as race:
        return _prove(race, args, budget)


def _prove(race: Race, args: argparse.Namespace, budget: prove.Budget) -> int:
    """Go through the ABIs."""
    asked = wanted(args)
    lab = labs.prepare(race, asked, fix=args.fix)
    with Run.create(
        ["pinrace", *args.words], tree=tree_facts(lab.broken.tree), race=race.name
    ) as record:
        results, proofs = [], []
        for abi in labs.skipped(race, asked):
            results.append(_skipped(record, race, abi, lab))
        for abi in lab.asked.abis:
            result, proof = _one(record, lab, abi, budget)
            results.append(result)
            proofs.append(proof)
            tables.write(args, prove.table(proofs, with_fix=lab.fixed is not None))
            if args.add:
                proven.add(args.add, race.name, proofs)
        code = _code([result.verdict for result in results])
        _say_all(results, proofs)
        record.finish(results, exit_code=code)
        where = write(record.folder)
    ui.say(f"exit {int(code)}: see pinrace help exits · results in {where}")
    return code


def _one(
    record: Run, lab: RaceLab, abi: str, budget: prove.Budget
) -> tuple[CellResult, prove.Proof]:
    """Prove it on one ABI."""
    cell = Cell(ABIS[abi].arch, abi, lab.asked.flavors[0], f"race-{lab.race.name}")
    folder = record.cell_start(cell)
    began = time.monotonic()
    proof = prove.Prover(lab, abi, budget, folder, ui.say).run()
    result = prove.result(
        cell,
        proof,
        folder,
        with_fix=lab.fixed is not None,
        seconds=time.monotonic() - began,
    )
    record.cell_end(result)
    return result, proof


def _skipped(record: Run, race: Race, abi: str, lab: RaceLab) -> CellResult:
    """Say that the race does not exist on an ABI."""
    cell = Cell(ABIS[abi].arch, abi, lab.asked.flavors[0], f"race-{race.name}")
    reason = f"the race exists on {', '.join(race.abis)} only"
    result = CellResult(cell, Verdict.SKIP, reason, folder=record.cell_start(cell))
    record.cell_end(result)
    ui.say(f"skip     {abi:<7} {reason}")
    return result


def _say_all(results: list[CellResult], proofs: list[prove.Proof]) -> None:
    """Print the verdict of each ABI, and of all."""
    for result in results:
        ui.say(f"{result.verdict:<12} {result.cell.abi:<7} {result.reason}")
    good = sum(result.verdict is Verdict.PASS for result in results)
    ui.say(f"{'PROVEN' if good == len(proofs) and good else 'NOT PROVEN'}  {good} of {len(proofs)}")


def _code(verdicts: list[Verdict]) -> Exit:
    if Verdict.FAIL in verdicts:
        return Exit.KERNEL
    ran = [verdict for verdict in verdicts if verdict is not Verdict.SKIP]
    return Exit.OK if ran and all(v is Verdict.PASS for v in ran) else Exit.INFRA
