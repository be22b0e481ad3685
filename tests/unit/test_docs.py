# SPDX-License-Identifier: GPL-2.0-or-later
"""What the pages show is there: commands that parse, options, and where links lead."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinrace.cli.commands import COMMANDS
from pinrace.cli.main import parser

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "kernel").glob("*/*.md")),
    *sorted((ROOT / "tests").glob("*/*.md")),
]
# Of other programs: git, systemctl and tuxrun.
OTHERS = {"--signoff", "--user", "--now", "--overlay"}
_CODE = re.compile(r"`(pinrace [^`]+)`|^ {4,}(?:git bisect run )?(pinrace .+)$", re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """Return the commands with their arguments that a page shows, without remarks."""
    shown = (first or second for first, second in _CODE.findall(page.read_text()))
    found = [shlex.split(line, comments=True)[1:] for line in shown]
    # COMMAND stands for any, and options are looked at by themselves.
    return [words for words in found if re.match("[a-z]", words[0])]


def options(of: argparse.ArgumentParser) -> Iterator[str]:
    """Return the options of a parser and of its commands."""
    for action in of._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from options(below)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_shows_what_is_there(page: Path) -> None:
    """A command that is only named has no arguments to check."""
    whole = parser(listed=True)
    for words in commands(page):
        if words[1:]:
            whole.parse_args(words)
        else:
            assert words[0] in COMMANDS
    text = page.read_text()
    known = {*options(whole), *OTHERS}
    assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text)) <= known
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_pages_show_commands() -> None:
    """Else the test above asserts nothing."""
    assert sum(len(commands(page)) for page in PAGES) > 60
