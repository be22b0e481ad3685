# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables that a command keeps in a file, to be committed."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from pinrace.values import Series, Tree


def option(parser: argparse.ArgumentParser) -> None:
    """--write."""
    parser.add_argument("--write", type=file, metavar="FILE", help="write the table to this file")


def file(text: str) -> Path:
    """Return where to write a table, hours later; argparse says what is wrong with it."""
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"no file can be made at '{text}'")
    return path


def facts(tree: Tree, series: Series | None = None) -> dict[str, str]:
    """Return what every table says first: when it was made, and of what."""
    found = {"date": today(), "tree": f"{tree.label}, {tree.origin}"}
    return found | ({"series": f"{series.name}, {patches(series)}"} if series else {})


def today() -> str:
    """Return the date here."""
    return datetime.now().astimezone().date().isoformat()


def patches(series: Series) -> str:
    """Say which patches these are."""
    return f"{series.count}, {series.digest[:16]}"


def write(args: argparse.Namespace, text: str) -> None:
    """Write the table with the command that made it, if a file was named.

    Absolute paths in the command are cut to their last part: they mean nothing elsewhere.
    """
    if args.write:
        words = [Path(word).name if word.startswith("/") else word for word in args.words]
        args.write.write_text(f"<!-- made by: pinrace {' '.join(words)} -->\n\n{text}")
