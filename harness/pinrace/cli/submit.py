# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace submit`: hand a run's results to a service of yours."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from pinrace import net, procs, ui
from pinrace.cli.report import find_folder
from pinrace.deadline import Deadline
from pinrace.errors import Exit, InfrastructureError, UserError
from pinrace.runs import journal, kcidb

TOKEN = "KCIDB_TOKEN"
LIMIT = 120.0  # seconds for a command or a service to take a report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "run",
        nargs="?",
        default=journal.LATEST,
        help="id or folder of the run (default: the latest)",
    )
    parser.add_argument(
        "--kcidb", action="store_true", required=True, help="as KernelCI's KCIDB 5.3 has it"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "-o",
        "--output",
        default="-",
        metavar="FILE",
        help="write it to this file (default: -, stdout)",
    )
    where.add_argument("--pipe", metavar="CMD", help="give it to this command's standard input")
    where.add_argument(
        "--to", metavar="URL", help=f"post it to this service, with the token in ${TOKEN}"
    )
    parser.add_argument(
        "--origin", default="pinrace", help="the name of your CI system (default: %(default)s)"
    )
    parser.add_argument(
        "--artefacts", default="", metavar="URL", help="where your runs folder is served"
    )


def run(args: argparse.Namespace) -> int:
    """Make the report and hand it over; the verdicts in it do not count here."""
    report = kcidb.report(find_folder(args.run), kcidb.Submitter(args.origin, args.artefacts))
    text = json.dumps(report, indent=1, sort_keys=True) + "\n"
    if args.pipe:
        _pipe(args.pipe, text)
    elif args.to:
        _post(args.to, text)
    elif args.output == "-":
        sys.stdout.write(text)
        return Exit.OK
    else:
        _write(Path(args.output), text)
    ui.say(_said(report))
    return Exit.OK


def _said(report: dict[str, Any]) -> str:
    parts = ("checkouts", "builds", "tests", "issues", "incidents")
    return "submitted: " + ", ".join(f"{len(report[part])} {part}" for part in parts)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as exc:
        raise UserError(f"cannot write {path}: {exc.strerror}", hint="--output FILE") from exc


def _pipe(command: str, text: str) -> None:
    procs.run(
        shlex.split(command),
        stdin=text.encode(),
        deadline=Deadline.after(LIMIT),
        what="submitting the results",
    )


def _post(url: str, text: str) -> None:
    """Post to a service that takes KCIDB's JSON; InfrastructureError when it does not."""
    import requests

    if not (url.startswith("https://") or net.is_local(url)):
        raise UserError(f"a token does not go over '{url}'", hint="--to https://…")
    headers = {"Content-Type": "application/json"}
    if token := os.environ.get(TOKEN):
        headers["Authorization"] = f"Bearer {token}"
    try:
        answer = requests.post(
            url, data=text.encode(), headers=headers, timeout=LIMIT, allow_redirects=False
        )
    except requests.RequestException as exc:
        raise InfrastructureError(f"{url} does not answer: {exc}", hint="try again later") from exc
    if answer.status_code // 100 != 2:
        raise InfrastructureError(
            f"{url} refuses the report: {answer.status_code} {answer.reason}",
            hint=f"is ${TOKEN} set, and right?",
        )
