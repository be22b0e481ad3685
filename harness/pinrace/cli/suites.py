# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace suites`: what the runs of collections came to, as the table of docs/suites.md."""

from __future__ import annotations

import argparse
from pathlib import Path

from pinrace import ui
from pinrace.errors import Exit, UserError
from pinrace.runs import collections, journal
from pinrace.suites import registry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("run", nargs="*", help="runs, as `pinrace runs` lists them (default: all)")
    parser.add_argument(
        "--suite",
        action="append",
        default=[],
        help="have rows for this one too, run or not; may be repeated",
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="put the table between the marks of this file"
    )


def run(args: argparse.Namespace) -> int:
    """Print the table, or write it; a run without collections is a usage error."""
    folders = [journal.find_run(name) for name in args.run] or journal.list_runs()
    found = collections.rows(folders, registry.names(args.suite))
    ran = sum(row.result is not None for row in found)
    if not ran:
        raise UserError(
            "no run of a collection is there",
            hint="pinrace test --series none --suite kselftest:futex",
        )
    if args.write:
        collections.insert(args.write, collections.page(found))
        ui.say(f"{args.write}: {ran} of {len(found)} rows were run")
    else:
        ui.say("\n".join(collections.table(found)))
    return Exit.OK
