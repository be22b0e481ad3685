# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace nightly MATRIX`: run a matrix, and say what changed since the nights before."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from pinrace import procs, ui
from pinrace.cli.options import fleet_options, insecure_option
from pinrace.deadline import Deadline
from pinrace.errors import Exit, InfrastructureError
from pinrace.matrix import file
from pinrace.nightly import changes, github, night, watch
from pinrace.paths import CONFIGS

NOTIFY_SECONDS = 60.0  # for the command to take the summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    fleet_options(parser)
    parser.add_argument(
        "matrix",
        nargs="?",
        type=Path,
        default=CONFIGS / "nightly.toml",
        help="a matrix (default: configs/nightly.toml)",
    )
    insecure_option(parser)
    parser.add_argument(
        "--again", action="store_true", help="also run legs that passed on the same input"
    )
    parser.add_argument(
        "--only-new",
        action="store_true",
        help="exit 1, 3 or 4 for what is new alone (default: as `pinrace help exits` has it)",
    )
    parser.add_argument(
        "--notify", metavar="CMD", help="give the summary to this command when something new fails"
    )


def run(args: argparse.Namespace) -> int:
    """Run, compare and tell."""
    matrix = file.load(args.matrix)
    words = ["pinrace", *args.words]
    tonight = night.run(matrix, words, again=args.again, insecure=args.insecure)
    night.show(tonight)
    ui.annotate(github.tell(tonight.changes, tonight.summary))
    news = changes.exit_code_of_news(tonight.changes)
    code = news if args.only_new else changes.exit_code_of_all(tonight.results)
    night.leave(tonight, code)
    if args.notify and news is not Exit.OK:
        code = _notify(args.notify, tonight.summary) or code
    for name in matrix.watch:
        watched = watch.load(args.matrix.parent / name)
        steps = watch.run(watched, words, insecure=args.insecure)
        ui.say(f"watch {watched.name}: {len(steps)} series, exit {int(watch.exit_code(steps))}")
    ui.say(f"night {tonight.number}: exit {int(code)}")
    return code


def _notify(command: str, summary: str) -> Exit | None:
    """Give the summary to a command's standard input; return 4 when it fails."""
    try:
        limit = Deadline.after(NOTIFY_SECONDS)
        procs.run(shlex.split(command), stdin=summary.encode(), deadline=limit, what="--notify")
    except InfrastructureError as error:
        ui.complain(error)
        return Exit.INFRA
    return None
