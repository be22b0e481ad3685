# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace test`: from a series to a verdict per arch, ABI and suite."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pinrace import ui
from pinrace.cli import options
from pinrace.engine import batch
from pinrace.errors import UserError
from pinrace.guest.extras import Extras
from pinrace.guest.machine import Replay
from pinrace.report.render import write
from pinrace.runs import commands, summary
from pinrace.suites.shipped import SUITES
from pinrace.values import Cell, Request, Series, Tree


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    options.cell_options(parser)
    options.guest_options(parser)
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="run deterministically (QEMU -icount); a failing cell prints a replay token",
    )
    options.dump_option(parser)
    parser.add_argument("--seed", type=int, default=7, help="seed of --deterministic (default: 7)")


def run(args: argparse.Namespace) -> int:
    """Build what is missing, run the cells, print the table; the exit code is the verdict's."""
    if not args.deterministic:
        options.refuse(args, "without --deterministic", "--seed")
    options.with_dump(args)
    asked = options.request(args)
    cells = options.cells(asked, args)
    if args.deterministic:
        _check_replay(args, cells)
    tree, series = options.request_tree(args)
    todo = make_batch(args, asked, cells, tree, series)
    record, results = batch.run(todo, ["pinrace", *args.words])
    summary.show(results, ui.out, commands.shown(record.manifest))
    code = summary.exit_code(results)
    where = _report(record.folder)
    ui.say(f"exit {int(code)}: see pinrace help exits · results in {where}")
    return code


def _check_replay(args: argparse.Namespace, cells: Sequence[Cell]) -> None:
    """Raise UserError for what no token could name: then nothing is built for it."""
    others = [cell.suite for cell in cells if cell.suite not in SUITES]
    if others:
        raise UserError(
            f"--deterministic replays pinrace's own suites, not {others[0]}",
            hint=f"--suite {', --suite '.join(SUITES)}",
        )
    if options.extras(args) != Extras():
        raise UserError("--deterministic takes no --mem, --append, --sysctl and --share")


def make_batch(
    args: argparse.Namespace,
    asked: Request,
    cells: Sequence[Cell],
    tree: Tree,
    series: Series | None,
) -> batch.Batch:
    """Return what the options come to."""
    return batch.Batch(
        asked,
        tree,
        series,
        tuple(cells),
        smp=args.smp,
        guests=args.guests,
        only=args.only,
        with_base=not args.no_baseline,
        replay=Replay(args.seed) if args.deterministic else None,
        days=args.baseline_days,
        chosen=bool(args.suite),
        accepted=args.accept_uncovered,
        dump=args.dump,
        extras=options.extras(args),
    )


def _report(folder: Path) -> Path:
    """Write the page of the run; return it, or the folder after a word on why there is none.

    Whatever goes wrong here, the verdict stands.
    """
    try:
        return write(folder)
    except Exception as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        ui.say(f"no report was written: {why} (pinrace report {folder.name})")
        return folder
