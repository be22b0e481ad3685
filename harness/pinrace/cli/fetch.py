# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace fetch`: take a tree into the cache, verified."""

from __future__ import annotations

import argparse

from pinrace import ui
from pinrace.cli.options import DEFAULT_TREE, insecure_option
from pinrace.errors import Exit
from pinrace.trees.fetch import resolve


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("tree", nargs="*", default=[DEFAULT_TREE], help="see `pinrace help trees`")
    insecure_option(parser)


def run(args: argparse.Namespace) -> int:
    """Fetch each and say what it is."""
    for spec in args.tree:
        tree = resolve(spec, say=ui.say, insecure=args.insecure)
        ui.say(f"{tree.label}  {tree.origin}  {tree.trust}  {tree.tree_id[:12]}")
    return Exit.OK
