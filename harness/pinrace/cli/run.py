# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace run MATRIX`: many trees, flavors and configurations; killed, it goes on later."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from pinrace import ui
from pinrace.cli.options import fleet_options, insecure_option
from pinrace.errors import Exit, UserError
from pinrace.matrix import file, table
from pinrace.matrix import run as runs
from pinrace.runs import tables
from pinrace.series.load import load
from pinrace.values import Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    fleet_options(parser)
    parser.add_argument("matrix", nargs="?", type=Path, help="for example configs/matrix/full.toml")
    insecure_option(parser)
    parser.add_argument("--fresh", action="store_true", help="start again, without earlier results")
    parser.add_argument("--list", action="store_true", help="list the legs and run nothing")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema, for editors")
    tables.option(parser)


def schema() -> str:
    """Return the JSON Schema of a matrix file."""
    return json.dumps(file.MatrixFile.model_json_schema(), indent=2) + "\n"


def run(args: argparse.Namespace) -> int:
    """Run the legs that have no result, then show all; the exit code is the gravest verdict's."""
    if args.schema:
        ui.out.file.write(schema())
        return Exit.OK
    if args.matrix is None:
        raise UserError("which matrix?", hint="pinrace run configs/matrix/full.toml")
    matrix = file.load(args.matrix)
    if args.list:
        for leg in file.legs(matrix):
            what = f"left out: {leg.excluded}" if leg.excluded else " ".join(leg.suites) or "build"
            ui.say(f"{leg.name}  {what}")
        return Exit.OK
    results = runs.run(matrix, ["pinrace", *args.words], fresh=args.fresh, insecure=args.insecure)
    text = table.markdown(results, _facts(matrix))
    ui.say(text)
    tables.write(args, text)
    count = Counter(str(result.verdict) for result in results)
    said = ", ".join(f"{number} {name}" for name, number in sorted(count.items()))
    ui.say(f"{len(results)} legs: {said} · {runs.folder_of(matrix)}")
    return exit_code({result.verdict for result in results})


def _facts(matrix: file.MatrixFile) -> dict[str, str]:
    """Say when the table was made, and of which series; trees are in its rows."""
    names = dict.fromkeys(leg.series for leg in file.legs(matrix))
    loaded = [series for name in names if (series := load(name, say=ui.say))]
    return {"date": tables.today()} | {series.name: tables.patches(series) for series in loaded}


def exit_code(verdicts: set[Verdict]) -> Exit:
    """Return 1 when a leg failed, 4 when one proves nothing, else 0."""
    if Verdict.FAIL in verdicts:
        return Exit.KERNEL
    return Exit.INFRA if verdicts & {Verdict.MISS, Verdict.INCONCLUSIVE} else Exit.OK
