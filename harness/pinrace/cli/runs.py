# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace runs`: earlier runs, and what one of them said."""

from __future__ import annotations

import argparse
import json

from pinrace import ui
from pinrace.errors import Exit
from pinrace.paths import runs_dir
from pinrace.runs import commands, journal, summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("run", nargs="?", help="id of the run to show; 'latest' is the last one")


def run(args: argparse.Namespace) -> int:
    """List the runs, or show one; showing exits as that run did."""
    if args.run:
        folder = journal.find_run(args.run)
        results = journal.load(folder)
        manifest = json.loads((folder / journal.MANIFEST).read_text())
        ui.say(f"{folder.name}  {' '.join(manifest['argv'])}")
        summary.show(results, ui.out, commands.read(manifest))
        return summary.exit_code(results)
    folders = journal.list_runs()
    if not folders:
        ui.say(f"no runs in {runs_dir()} yet: pinrace test")
    for folder in folders:
        manifest = json.loads((folder / journal.MANIFEST).read_text())
        ended = next((e for e in journal.events(folder) if e["kind"] == "run-end"), None)
        how = f"exit {ended['exit_code']}" if ended else "not finished"
        ui.say(f"{folder.name}  {how:<12}  {' '.join(manifest['argv'])}")
    return Exit.OK
