# SPDX-License-Identifier: GPL-2.0-or-later
"""Have again what a token was made of, fetched and built where it is missing."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from pinrace import ui
from pinrace.arches import get_abi
from pinrace.engine import build
from pinrace.errors import UserError
from pinrace.races.replay.words import DIGITS, Words
from pinrace.series.load import apply, load
from pinrace.trees import fetch
from pinrace.trees.fetch import resolve
from pinrace.values import Request


def add_options(parser: argparse.ArgumentParser, series: str) -> None:
    """Add what a token does not hold; series: the one that goes without saying."""
    parser.add_argument("--tree", help="where the tree is now, if it was a folder or a tarball")
    parser.add_argument(
        "--insecure", action="store_true", help="accept downloads without a verified signature"
    )
    parser.add_argument("--series", default=series, help="the series that the run was on")
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="X=y",
        help="a kernel option of the run; may be repeated",
    )
    parser.add_argument(
        "--kernel", type=Path, help="the built kernel that the run used, if one was given"
    )
    parser.add_argument(
        "--llvm",
        nargs="?",
        const="1",
        default="",
        metavar="SUFFIX",
        help="build with clang, if the run did",
    )


def rebuild(token: Words, args: argparse.Namespace) -> build.Lab:
    """Return the kernel and the image of a token.

    Raises UserError when the token names a tree by URL or path and args does not name it, and when
    the tree with the series is not the token's, before anything is built.
    """
    abi = get_abi(token.abi)
    if not args.tree and not fetch.is_published(token.tree):
        raise UserError(
            f"the token's tree is {token.tree}: building it runs its code on this host",
            hint=f"if you know whose it is, add --tree {shlex.quote(token.tree)}",
        )
    tree = resolve(args.tree or token.tree, say=ui.say, insecure=args.insecure)
    series = load(args.series, say=ui.say)
    patched = apply(tree, series, say=ui.say)
    if not patched.tree_id.startswith(token.patched):
        raise UserError(
            f"{patched.label} is tree {patched.tree_id[:DIGITS]}, and the token's is"
            f" {token.patched}",
            hint="check out the series that it ran on, or name it: --series, --tree",
        )
    asked = Request(
        (abi.arch,),
        (abi.name,),
        (token.flavor,),
        kernel=args.kernel,
        extra=tuple(args.config),
        llvm=args.llvm,
    )
    return build.prepare(asked, tree, series, with_base=False)
