# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace series`: apply a series, open it as commits, write it back, check it."""

from __future__ import annotations

import argparse
from pathlib import Path

from pinrace import ui
from pinrace.cli import options, series_check, series_status
from pinrace.cli.options import DEFAULT_SERIES
from pinrace.errors import Exit, UserError
from pinrace.series import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions and their options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, about in (
        ("apply", "apply --series to --tree, and say where it does not"),
        ("edit", "open a work tree with the series as commits"),
    ):
        options.tree_options(actions.add_parser(name, help=about, description=about))
    about = "write the commits of a work tree back as patches"
    export = actions.add_parser("export", help=about, description=about)
    export.add_argument("folder", type=Path, help="the work tree, as edit printed it")
    export.add_argument(
        "--into",
        type=Path,
        default=DEFAULT_SERIES,
        help="folder for the patches (default: that of the default series)",
    )
    about = "how each series stands on each tree: applies, moved, merged, conflicts"
    status = actions.add_parser("status", help=about, description=about)
    series_status.add_arguments(status)
    about = "checkpatch, kernel-doc and sparse of the tree, on what the series adds"
    series_check.add_arguments(actions.add_parser("check", help=about, description=about))
    for action in actions.choices.values():  # before the action and after it
        action.add_argument(
            "-v", "--verbose", action="count", default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )


def run(args: argparse.Namespace) -> int:
    """Do one of them."""
    if args.action == "status":
        return series_status.run(args)
    if args.action == "check":
        return series_check.run(args)
    if args.action == "export":
        for patch in load.export(args.folder, args.into):
            ui.say(str(patch))
        return Exit.OK
    tree, wanted = options.request_tree(args)
    if wanted is None:
        raise UserError("there is no series to work on", hint="--series FOLDER")
    if args.action == "edit":
        place = load.edit(tree, wanted, say=ui.say)
        ui.say(f"{place}\n  change its commits, then: pinrace series export {place}")
        return Exit.OK
    patched = load.apply(tree, wanted, say=ui.say)
    ui.say(f"{patched.label}  {wanted.count}  tree {patched.tree_id[:12]}")
    return Exit.OK
