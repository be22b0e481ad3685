# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace series`: apply a series, open it as commits, write it back as patches."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness import ui
from harness.cli.options import DEFAULT_SERIES, request_tree
from harness.errors import Exit, UserError
from harness.trees import series


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    from harness.cli.options import tree_options

    tree_options(parser)
    parser.add_argument("action", choices=("apply", "edit", "export"))
    parser.add_argument("folder", nargs="?", type=Path, help="export: the worktree to take")
    parser.add_argument("--into", type=Path, default=DEFAULT_SERIES, help="export: where to")


def run(args: argparse.Namespace) -> int:
    """Do one of the three."""
    if args.action == "export":
        if args.folder is None:
            raise UserError(
                "which worktree?", hint="pinrace series export FOLDER, as edit printed it"
            )
        for patch in series.export(args.folder, args.into):
            ui.say(str(patch))
        return Exit.OK
    tree, wanted = request_tree(args)
    if wanted is None:
        raise UserError("there is no series to work on", hint="--series FOLDER")
    if args.action == "edit":
        place = series.edit(tree, wanted, say=ui.say)
        ui.say(f"{place}\n  change its commits, then: pinrace series export {place}")
        return Exit.OK
    patched = series.apply(tree, wanted, say=ui.say)
    ui.say(f"{patched.label}  {len(wanted.patches)} patches  tree {patched.tree_id[:12]}")
    return Exit.OK
