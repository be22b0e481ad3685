# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace debug RUN`: drgn, crash or gdb on the memory of a guest that died or hung."""

from __future__ import annotations

import argparse

from pinrace import ui
from pinrace.access import crash, gdb
from pinrace.cli.report import find_folder
from pinrace.runs import journal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "run",
        nargs="?",
        default=journal.LATEST,
        help="id or folder of the run (default: the latest)",
    )
    parser.add_argument("--cell", default="", help="part of the name of the cell that has the dump")
    parser.add_argument(
        "--with",
        dest="debugger",
        choices=crash.DEBUGGERS,
        default="",
        help="the debugger (default: the first of these that is there)",
    )
    parser.add_argument(
        "words", nargs="*", metavar="WORD", help="options for the debugger, after --"
    )


def run(args: argparse.Namespace) -> int:
    """Open the debugger on this terminal; the exit status is its own."""
    folder = crash.find(find_folder(args.run), args.cell)
    with ui.on_stderr():  # stdout is the debugger's
        ui.say(f"dump    {folder}")
    return gdb.run_gdb(crash.command_line(folder, args.debugger, args.words))
