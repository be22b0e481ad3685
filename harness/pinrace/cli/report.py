# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace report`: runs as pages of HTML, or as a mail for a list."""

from __future__ import annotations

import argparse
from pathlib import Path

from pinrace import ui
from pinrace.errors import Exit, UserError
from pinrace.report.render import write
from pinrace.runs import journal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "run",
        nargs="*",
        default=[journal.LATEST],
        help="id or folder of a run, finished or not (default: the latest)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write the page to this file (default: report.html in the run's folder)",
    )
    parser.add_argument(
        "--format",
        choices=("html", "mail"),
        default="html",
        help="a page, or what to answer on a list (default: html)",
    )
    parser.add_argument(
        "--send",
        action="store_true",
        help="send the mail to the people in mail.toml (see docs/ci.md), and to nobody else",
    )
    parser.add_argument("--url", default="", help="where the page of the run is served, for a mail")


def run(args: argparse.Namespace) -> int:
    """Write a page for each run and print where it is; the verdicts in it do not count here."""
    if args.output and len(args.run) > 1:
        raise UserError("--output takes the page of one run", hint="name one run")
    if args.output and args.output.is_dir():
        raise UserError(f"{args.output} is a folder", hint=f"--output {args.output}/report.html")
    if args.format == "mail":
        return _mail(args)
    if args.send or args.url:
        raise UserError("--send and --url belong to --format mail")
    for folder in [find_folder(name) for name in args.run]:
        ui.say(str(write(folder, args.output)))
    return Exit.OK


def _mail(args: argparse.Namespace) -> int:
    """Print a mail, keep it in a file, or send it."""
    from pinrace.report import mail, post

    if len(args.run) > 1:
        raise UserError("a mail is about one run", hint="name one run")
    letter = mail.letter(find_folder(args.run[0]), url=args.url)
    if args.send:
        by = post.load()
        post.send(letter.message(by.sender, by.to, by.cc), by)
        ui.say(f"sent to {', '.join((*by.to, *by.cc))}")
        return Exit.OK
    sender = post.load().sender if post.file().exists() else ""
    text = f"Subject: {letter.subject}\n\n{letter.text(sender)}"
    if args.output:
        args.output.write_text(text)
    else:
        print(text, end="")
    return Exit.OK


def find_folder(name: str) -> Path:
    """Return the folder of a run, named by path or by id."""
    here = Path(name)
    if (here / journal.MANIFEST).is_file():
        return here.resolve()
    return journal.find_run(name)
