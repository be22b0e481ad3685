# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace cache`: what the cache holds, and how to make room."""

from __future__ import annotations

import argparse
import json

from pinrace import store, ui
from pinrace.errors import Exit, UserError
from pinrace.paths import cache_dir

# What the store makes again by itself; trees and build folders are left alone unless named.
_PRUNABLE = (
    *("kernels", "images", "programs", "selftests", "headers", "baselines"),
    *("tarballs", "mirrors", "lists", "http"),
)


_DAYS = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "--prune", nargs="*", metavar="KIND", help="remove entries that were not used lately"
    )
    parser.add_argument("--days", type=float, help=f"with --prune: age in days (default: {_DAYS})")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Show the sizes, or prune."""
    if args.prune is not None:
        return _prune(args.prune, _DAYS if args.days is None else args.days, as_json=args.json)
    if args.days is not None:
        raise UserError("--days is about --prune", hint="--prune --days 7")
    if args.json:
        kinds = [
            {"kind": kind, "entries": entries, "bytes": size}
            for kind, entries, size in store.sizes()
        ]
        print(json.dumps({"folder": str(cache_dir()), "kinds": kinds}, indent=2))
        return Exit.OK
    ui.say(f"{cache_dir()}")
    for kind, entries, size in store.sizes():
        ui.say(f"  {kind:<12} {entries:>5} entries  {size / 1e6:>9.0f} MB")
    return Exit.OK


def _prune(named: list[str], days: float, *, as_json: bool) -> Exit:
    """Remove what was not used lately, of the kinds that are named or of all that may go."""
    if days < 0:
        raise UserError("--days takes a number of days", hint="--days 0 removes all of a kind")
    kinds = tuple(named) or tuple(k for k in _PRUNABLE if (cache_dir() / k).is_dir())
    gone = [f"{entry.parent.name}/{entry.name}" for entry in store.prune(kinds, days)]
    if as_json:
        print(json.dumps({"removed": gone}, indent=2))
        return Exit.OK
    for name in gone:
        ui.say(f"removed {name}")
    return Exit.OK
