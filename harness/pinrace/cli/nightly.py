# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace nightly MATRIX`: run a matrix, and say what changed since the nights before."""

from __future__ import annotations

import argparse
from pathlib import Path

from pinrace import ui
from pinrace.cli.options import insecure_option
from pinrace.matrix import file
from pinrace.nightly import changes, github, night
from pinrace.paths import CONFIGS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "matrix",
        nargs="?",
        type=Path,
        default=CONFIGS / "nightly.toml",
        help="a matrix (default: configs/nightly.toml)",
    )
    insecure_option(parser)
    parser.add_argument(
        "--again", action="store_true", help="also run cells that already passed on the same input"
    )


def run(args: argparse.Namespace) -> int:
    """Run, compare and tell; the exit code is about what is new."""
    matrix = file.load(args.matrix)
    words = ["pinrace", *args.words]
    tonight = night.run(matrix, words, again=args.again, insecure=args.insecure)
    night.show(tonight)
    ui.annotate(github.tell(tonight.changes, tonight.summary))
    code = changes.exit_code(tonight.changes)
    ui.say(f"night {tonight.number}: exit {int(code)}")
    return code
