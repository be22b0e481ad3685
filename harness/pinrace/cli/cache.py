# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace cache`: what the cache holds, and how to make room."""

from __future__ import annotations

import argparse

from pinrace import store, ui
from pinrace.errors import Exit, UserError
from pinrace.paths import cache_dir

# What the store makes again by itself; trees and build folders are left alone unless named.
_PRUNABLE = (
    *("kernels", "images", "programs", "selftests", "headers", "baselines"),
    *("tarballs", "mirrors", "lists", "http"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "--prune", nargs="*", metavar="KIND", help="remove entries that were not used lately"
    )
    parser.add_argument(
        "--days", type=float, default=30, help="age in days for --prune (default: 30)"
    )


def run(args: argparse.Namespace) -> int:
    """Show the sizes, or prune."""
    if args.prune is not None:
        if args.days < 0:
            raise UserError("--days takes a number of days", hint="--days 0 removes all of a kind")
        kinds = tuple(args.prune) or tuple(k for k in _PRUNABLE if (cache_dir() / k).is_dir())
        for entry in store.prune(kinds, args.days):
            ui.say(f"removed {entry.parent.name}/{entry.name}")
        return Exit.OK
    ui.say(f"{cache_dir()}")
    for kind, entries, size in store.sizes():
        ui.say(f"  {kind:<12} {entries:>5} entries  {size / 1e6:>9.0f} MB")
    return Exit.OK
