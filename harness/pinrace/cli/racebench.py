# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace racebench`: CPU time to the loss of races in folders, each way and a naive loop."""

from __future__ import annotations

import argparse
from pathlib import Path

from pinrace import ui
from pinrace.cli import prove
from pinrace.errors import Exit, UserError
from pinrace.paths import runs_dir
from pinrace.races.benchmark import folders
from pinrace.races.benchmark.folders import ARMS, Journal, Plan
from pinrace.races.race import lab as labs
from pinrace.races.race.folder import RACES, opened
from pinrace.runs import tables

FOLDER = "racebench"  # in the folder of runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("race", nargs="*", help="as of `pinrace prove` (default: kernel/races)")
    prove.build_options(parser)
    parser.add_argument(
        "--way", action="append", choices=ARMS, help="only this one; may be repeated"
    )
    parser.add_argument(
        "--seeds", type=int, default=10, help="attempts for each window and method (default: 10)"
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=60.0,
        metavar="S",
        help="CPU seconds of an attempt, boots included (default: %(default)s)",
    )
    parser.add_argument("--into", type=Path, help=f"folder for results (default: runs/{FOLDER})")
    tables.option(parser)


def run(args: argparse.Namespace) -> int:
    """Make the attempts that are missing, and print the table."""
    if args.seeds < 1 or args.budget <= 0:
        raise UserError("--seeds and --budget take numbers above 0", hint="--seeds 10")
    into = (args.into or runs_dir() / FOLDER).absolute()
    journal = Journal(into / "attempts.jsonl")
    names = args.race or sorted(path.name for path in RACES.iterdir() if path.is_dir())
    asked = prove.wanted(args)
    plan = Plan(tuple(args.way or ARMS), args.seeds, args.budget)
    for name in names:
        with opened(name) as race:
            if not any(abi in race.abis for abi in labs.abis_of(asked)):
                ui.say(f"{race.name}: not on {', '.join(labs.abis_of(asked))}")
                continue
            lab = labs.prepare(race, asked)
            for abi in lab.asked.abis:
                for one in folders.measure(lab, abi, plan, journal, into / race.name / abi):
                    ui.say(str(one))
                    tables.write(args, folders.table(journal.attempts))
    print(folders.table(journal.attempts))
    return Exit.OK
