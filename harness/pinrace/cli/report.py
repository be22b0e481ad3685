# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace report`: runs as pages of HTML."""

from __future__ import annotations

import argparse
from pathlib import Path

from pinrace import ui
from pinrace.errors import Exit, UserError
from pinrace.report.render import write
from pinrace.runs import journal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "run",
        nargs="*",
        default=[journal.LATEST],
        help="id or folder of a run, finished or not (default: the latest)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write the page to this file (default: report.html in the run's folder)",
    )


def run(args: argparse.Namespace) -> int:
    """Write a page for each run and print where it is; the verdicts in it do not count here."""
    if args.output and len(args.run) > 1:
        raise UserError("--output takes the page of one run", hint="name one run")
    if args.output and args.output.is_dir():
        raise UserError(f"{args.output} is a folder", hint=f"--output {args.output}/report.html")
    for folder in [find_folder(name) for name in args.run]:
        ui.say(str(write(folder, args.output)))
    return Exit.OK


def find_folder(name: str) -> Path:
    """Return the folder of a run, named by path or by id."""
    here = Path(name)
    if (here / journal.MANIFEST).is_file():
        return here.resolve()
    return journal.find_run(name)
