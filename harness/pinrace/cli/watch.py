# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace watch FILE`: test each new series of a list or of a Patchwork project, once."""

from __future__ import annotations

import argparse
from pathlib import Path

from pinrace import ui
from pinrace.cli.options import insecure_option
from pinrace.nightly import watch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("watch", type=Path, help="a watch, as docs/ci.md describes")
    insecure_option(parser)


def run(args: argparse.Namespace) -> int:
    """Go through what is new since the last time."""
    steps = watch.run(watch.load(args.watch), ["pinrace", *args.words], insecure=args.insecure)
    code = watch.exit_code(steps)
    ui.say(f"{len(steps)} series: exit {int(code)}" if steps else "nothing is new")
    return code
