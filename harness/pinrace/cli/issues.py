# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace issues`: faults that were seen before, and what a maintainer says of them."""

from __future__ import annotations

import argparse
import json
from typing import Any

from pinrace import ui
from pinrace.errors import Exit, UserError
from pinrace.runs import issues
from pinrace.runs.issues import Known
from pinrace.runs.sightings import SHORT
from pinrace.visible import one_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=("list", "show", "note"),
        default="list",
        help="list them, show one, or note something about one (default: list)",
    )
    parser.add_argument("issue", nargs="?", default="", help="its name, or how its id begins")
    parser.add_argument("--note", default="", metavar="TEXT", help="what to keep of it")
    parser.add_argument("--link", default="", metavar="URL", help="where it is discussed")
    parser.add_argument("--name", default="", metavar="ID", help="what to call it")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Look into the book; no verdict depends on it."""
    said = (args.note, args.link, args.name)
    if args.action != "note" and any(said):
        raise UserError("--note, --link and --name belong to `note`", hint="pinrace issues note ID")
    if args.action != "list" and not args.issue:
        raise UserError(f"`{args.action}` takes one issue", hint=f"pinrace issues {args.action} ID")
    book = issues.load()
    if args.action == "list":
        return _list(book.all(), as_json=args.json)
    known = book.find(args.issue)
    if args.action == "note":
        if not any(said):
            raise UserError("nothing to note", hint="--note TEXT, --link URL or --name ID")
        path = issues.file()
        kept = issues.note(path, known, text=args.note, link=args.link, name=args.name)
        ui.say(f"{kept.id} is in {path}")
        return Exit.OK
    if args.json:
        print(json.dumps(_facts(known), indent=2))
        return Exit.OK
    for what, value in _facts(known).items():
        ui.say(f"{what:<12} {_text(value)}")
    return Exit.OK


def _list(found: list[Known], *, as_json: bool) -> int:
    """Print a line each."""
    if as_json:
        print(json.dumps([_facts(known) for known in found], indent=2))
        return Exit.OK
    if not found:
        ui.say("no run saw a fault, and the file of known issues is empty")
    for known in found:
        seen = known.sighting
        when = f"{seen.first[:10]} {seen.last[:10]}" if seen else f"{'not seen':<21}"
        rate = f"{seen.seen}/{seen.of}" if seen else ""
        noted = " *" if known.issue else "  "
        ui.say(f"{known.name:<{SHORT}}{noted} {when} {rate:>7}  {one_line(known.fault.title)}")
    if any(known.issue for known in found):
        ui.say(f"* is described in {issues.file()}")
    return Exit.OK


def _facts(known: Known) -> dict[str, Any]:
    """Return all that is known of one."""
    facts: dict[str, Any] = {
        "id": known.fault.id,
        "title": known.fault.title,
        "fingerprint": known.fault.fingerprint,
    }
    if seen := known.sighting:
        facts |= {
            "first seen": seen.first,
            "last seen": seen.last,
            "rate": f"{seen.seen} of {seen.of} cells",
            "on": [f"linux {tree}, series {series}" for tree, series in seen.places],
            "abis": list(seen.abis),
            "runs": list(seen.runs),
        }
    if issue := known.issue:
        facts |= {"name": issue.id, "note": issue.note, "link": issue.link}
    return facts


def _text(value: object) -> str:
    return one_line("; ".join(value) if isinstance(value, list) else str(value))
