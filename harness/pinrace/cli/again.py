# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line that repeats a command, from what its options came to.

A run keeps it, and prints it where no line repeats one cell.  It says what else would have to be
remembered: what came from the environment, and from which folder paths were meant.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Options whose defaults come from the environment, so that the line has to say them.
_OF_THE_ENVIRONMENT = frozenset({"land", "llvm", "ltp"})
# Options and arguments that name files, most of them among other things.
_PLACES = frozenset({"case", "matrix", "program", "put", "race", "series", "suite", "tree"})
_BY_PATH_FIRST = frozenset({"program", "race", "series"})  # a path comes before a name of ours
_TALK = frozenset({"help", "verbose"})
_PART = re.compile(r"([+:])")  # none+FILE, FILE.toml:NAME, LOCAL:REMOTE


def words(parser: argparse.ArgumentParser, args: argparse.Namespace) -> list[str]:
    """Return the words that parse to the same namespace, from any folder.

    parser: that of the whole `pinrace`, which made the namespace.
    """
    options, rest = _of(parser, args)
    if not any(word.startswith("-") for word in rest):
        return [*options, *rest]
    return [*options, "--", *rest]


def settle(args: argparse.Namespace, option: str, value: object) -> None:
    """Note a choice that the user left to chance, for example a seed."""
    setattr(args, option.lstrip("-").replace("-", "_"), value)
    if option not in args.words:
        at = args.words.index("--") if "--" in args.words else len(args.words)
        args.words[at:at] = [option, str(value)]


def _of(parser: argparse.ArgumentParser, args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Return the options of a parser and of the subcommand in it, and the arguments."""
    options: list[str] = []
    rest: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            name = getattr(args, action.dest)
            more, rest = _of(action.choices[name], args)
            options += [name, *more]
        elif action.dest not in _TALK and hasattr(args, action.dest):
            into = options if action.option_strings else rest
            into += _words(action, getattr(args, action.dest))
    return options, rest


def _words(action: argparse.Action, value: Any) -> Iterator[str]:
    """Return the words of one option or argument."""
    here = isinstance(value, Path) and not value.is_absolute()
    said = action.dest in _OF_THE_ENVIRONMENT or here
    if value is None or (value == action.default and not said):
        return
    name = max(action.option_strings, key=len, default="")
    if isinstance(action, argparse._CountAction):
        yield from [name] * value
    elif isinstance(action, argparse._AppendAction):
        for each in value:
            yield from _pair(action, name, each)
    elif action.nargs == 0:
        yield from [name] * bool(value)
    elif isinstance(value, list):
        yield from ([name] if name else [])
        yield from (_text(action, each) for each in value)
    elif value != "":
        yield from _pair(action, name, value)
    elif action.default:
        yield f"{name}="


def _pair(action: argparse.Action, name: str, value: object) -> Iterator[str]:
    """Return an option with its value, as one word where two would be misread."""
    text = _text(action, value)
    if name and (action.nargs == "?" or text.startswith("-")):
        yield f"{name}={text}"
    else:
        yield from ([name] if name else [])
        yield text


def _text(action: argparse.Action, value: object) -> str:
    """Return a value's text; what is a file here is named from the root."""
    if isinstance(value, Path):
        return str(value.expanduser().absolute())
    text = str(value)
    if action.dest not in _PLACES or "://" in text:
        return text
    named = action.dest in _BY_PATH_FIRST
    if _is_file(text, named=named):
        return str(Path(text).absolute())
    parts = _PART.split(text)
    return "".join(str(Path(p).absolute()) if _is_file(p, named=False) else p for p in parts)


def _is_file(text: str, *, named: bool) -> bool:
    """Whether a word names a file or folder from here; named: even if it looks like a name."""
    if not text or text.startswith("/") or (not named and "/" not in text and "." not in text):
        return False
    try:
        return Path(text).exists() and text != "none"
    except OSError:
        return False
