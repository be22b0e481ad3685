# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace runs`: earlier runs, what one of them said, and the removal of old ones."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from pinrace import ui
from pinrace.errors import Exit, UserError
from pinrace.paths import runs_dir
from pinrace.runs import commands, journal, prune, summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("run", nargs="?", help="id of the run to show; 'latest' is the last one")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--prune", action="store_true", help="remove old runs; needs --keep or --days"
    )
    parser.add_argument("--keep", type=int, metavar="N", help="keep the newest N that passed")
    parser.add_argument(
        "--keep-failed",
        type=int,
        metavar="N",
        help="with --keep: and N that did not pass (default: three times N)",
    )
    parser.add_argument(
        "--days", type=float, metavar="D", help="remove runs that are older than D days"
    )


def run(args: argparse.Namespace) -> int:
    """List the runs, show one, or remove old ones; showing exits as that run did."""
    if args.prune:
        return _prune(args)
    if (args.keep, args.keep_failed, args.days) != (None, None, None):
        raise UserError(
            "--keep and --days belong to --prune", hint="pinrace runs --prune --keep 30"
        )
    if args.run:
        return _show(journal.find_run(args.run), as_json=args.json)
    listed = [_facts(folder) for folder in journal.list_runs()]
    if args.json:
        print(json.dumps(listed, indent=2))
        return Exit.OK
    if not listed:
        ui.say(f"no runs in {runs_dir()} yet: pinrace test")
    for facts in listed:
        code = facts["exit_code"]
        how = "not finished" if code is None else f"exit {code}"
        ui.say(f"{facts['id']}  {how:<12}  {' '.join(facts['argv'])}")
    return Exit.OK


def _facts(folder: Path) -> dict[str, Any]:
    """Return what a list says of a run."""
    manifest = journal.manifest(folder)
    ended = next((e for e in journal.events(folder) if e["kind"] == "run-end"), None)
    return {
        "id": folder.name,
        "argv": manifest["argv"],
        "began": manifest.get("began"),
        "exit_code": int(ended["exit_code"]) if ended else None,
        "folder": str(folder),
    }


def _show(folder: Path, *, as_json: bool) -> int:
    """Print what one run said."""
    results = journal.load(folder)
    manifest = journal.manifest(folder)
    if as_json:
        cells = [
            {
                "cell": result.cell.name,
                "verdict": result.verdict.value,
                "reason": result.reason,
                "new": list(result.new),
                "known": list(result.known),
            }
            for result in results
        ]
        print(json.dumps({**_facts(folder), "cells": cells}, indent=2))
        return summary.exit_code(results)
    ui.say(f"{folder.name}  {' '.join(manifest['argv'])}")
    summary.show(results, ui.out, commands.shown(manifest))
    return summary.exit_code(results)


def _prune(args: argparse.Namespace) -> int:
    """Remove what the options do not keep."""
    if args.run or (args.keep is None and args.days is None):
        raise UserError("--prune needs --keep N or --days D", hint="pinrace runs --prune --keep 30")
    if min(n for n in (args.keep, args.keep_failed, args.days, 1) if n is not None) < 0:
        raise UserError("--keep, --keep-failed and --days take numbers of 0 or more")
    keep = args.keep if args.keep is not None else 10**9
    failed = args.keep_failed if args.keep_failed is not None else 3 * keep
    gone = prune.prune(runs_dir(), prune.Rule(keep, failed, args.days))
    ui.say(f"removed {ui.counted(len(gone), 'run')}, {len(journal.list_runs())} are left")
    return Exit.OK
