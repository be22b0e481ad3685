# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace trends`: how often things passed over the nights, and what changed when."""

from __future__ import annotations

import argparse
from pathlib import Path

from pinrace import ui
from pinrace.errors import Exit, UserError
from pinrace.nightly import history, site, trends
from pinrace.nightly.trends import Line, Trends
from pinrace.paths import runs_dir
from pinrace.values import Verdict
from pinrace.visible import one_line

STRIP = 30  # nights of a line
_SIGNS = {
    Verdict.PASS: "·",
    Verdict.FAIL: "F",
    Verdict.MISS: "m",
    Verdict.INCONCLUSIVE: "?",
    Verdict.SKIP: "-",
    None: " ",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("matrix", nargs="?", default="", help="its name (default: the only one)")
    parser.add_argument(
        "--by",
        choices=(*trends.BY, "case"),
        default="suite",
        help="what a line is of (default: suite)",
    )
    parser.add_argument(
        "--nights",
        type=int,
        metavar="N",
        help=f"the latest N (default: {trends.LATEST}, and {trends.NIGHTS} for a site)",
    )
    parser.add_argument(
        "--site", type=Path, metavar="FOLDER", help="write a static site there, for a web server"
    )


def run(args: argparse.Namespace) -> int:
    """Print a line each, or write the site; no verdict counts here."""
    path = runs_dir() / history.FILE
    names = trends.matrices(path) if path.exists() else []
    most = trends.NIGHTS if args.site else trends.LATEST
    most = most if args.nights is None else args.nights
    if most < 1:
        raise UserError("--nights takes 1 or more")
    if not names or (args.matrix and args.matrix not in names):
        what = f"no nights of '{args.matrix}'" if args.matrix else "no nights"
        raise UserError(f"{what} in {path}", hint=f"one of {', '.join(names)}" if names else
                        "pinrace nightly")  # fmt: skip
    if len(names) > 1 and not args.matrix:
        raise UserError(f"there are several: {', '.join(names)}", hint="pinrace trends NAME")
    with history.opened(path) as connection:
        found = trends.read(connection, args.matrix or names[0], most, curves=bool(args.site))
    if args.site:
        ui.say(str(site.write(args.site, found)))
        return Exit.OK
    _show(found, found.cases if args.by == "case" else found.lines[args.by])
    return Exit.OK


def _show(found: Trends, lines: tuple[Line, ...]) -> None:
    """Print the lines, each with its latest nights below it."""
    ui.say(f"{found.matrix}: {ui.counted(len(found.nights), 'night')}, the latest at the right")
    for line in lines:
        last = "".join(_SIGNS[verdict] for verdict in line.verdicts[-STRIP:])
        since = f", so since {line.changed}" if line.changed else ""
        ui.say(f"{one_line(line.name)}\n  {last:<{STRIP}}  {line.rate}{since}")
    ui.say("· pass, F fail, ? inconclusive, m not run, - skipped; rates of those with pass or fail")
    for step in found.steps[:3]:
        for text in step.lines:
            ui.say(f"night {step.night}  {one_line(text)}")
