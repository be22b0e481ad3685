# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person sees while a command works: rich on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pinrace import visible
from pinrace.errors import PinraceError

_PLAIN_SECONDS = 30.0  # between two lines of progress where there is no terminal

# A token may hold what rich takes for the name of an emoji.
out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def set_up(verbosity: int) -> None:
    """Show the exact commands from -v on, and everything from -vv."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("pinrace").setLevel(level)


class _Plain(logging.Formatter):
    """Formats records as text that is fit to be seen."""

    def format(self, record: logging.LogRecord) -> str:
        return visible.plain(super().format(record))


def say(text: str) -> None:
    """Print what goes on, whatever is in it made visible.

    Line ends stay: what others wrote and is to be one line goes through visible.one_line() first.
    """
    out.print(visible.plain(text), markup=False)
    out.file.flush()


def warn(text: str) -> None:
    """Print to stderr, as say() does."""
    err.print(visible.plain(text), markup=False)


_GITHUB = "GITHUB_ACTIONS"
_stopped = ""  # what lifts the stop again, while commands are stopped


@contextmanager
def without_commands() -> Iterator[None]:
    """Have GitHub Actions take nothing that is printed for a command while the context lasts.

    So what a guest or a patch says is text, as "Workflow commands for GitHub Actions" has it for
    output that is not trusted; what annotate() prints counts.  Elsewhere nothing is printed.
    """
    if os.environ.get(_GITHUB) != "true":
        yield
        return
    _stop()
    try:
        yield
    finally:
        _lift()


def annotate(commands: Sequence[str]) -> None:
    """Print commands of our own to GitHub Actions, escaped already."""
    again = bool(_stopped)
    _lift()
    for line in commands:
        _raw(line)
    if again:
        _stop()


def _stop() -> None:
    global _stopped  # noqa: PLW0603 (there is one stdout)
    _stopped = secrets.token_hex(16)
    _raw(f"::stop-commands::{_stopped}")


def _lift() -> None:
    global _stopped  # noqa: PLW0603
    if _stopped:
        out.file.flush()
        _raw(f"::{_stopped}::")
    _stopped = ""


def _raw(line: str) -> None:
    """Print a line just as it is; to stderr, as stdout may be data."""
    err.file.write(f"{line}\n")
    err.file.flush()


def counted(number: int, thing: str) -> str:
    """Return a number of things in words: 1 cell, 2 cells."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


@contextmanager
def on_stderr() -> Iterator[None]:
    """Print what goes on to stderr while the context lasts: stdout is something else's."""
    out.stderr = True
    try:
        yield
    finally:
        out.stderr = False


def complain(error: PinraceError) -> None:
    """Print what ended a command: what failed, where to look, what to type next."""
    text = visible.plain(f"pinrace: {error}")
    err.print(text, markup=False, style="red" if err.is_terminal else None)


class Meter:
    """The progress of one piece of work, in steps."""

    def __init__(self, label: str, bar: Progress | None) -> None:
        self.label = label = visible.one_line(label)
        self._bar = bar
        self._task = bar.add_task(label, total=None) if bar else None
        self._began = self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Say how far it is; total 0 when that is not known."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done, total=total or None)
            return
        now = time.monotonic()
        if now - self._said >= _PLAIN_SECONDS:
            self._said = now
            left = ""
            if total > done > 0:
                left = f" · {(now - self._began) / done * (total - done):.0f} s left"
            say(f"  {self.label}  {done}/{total or '?'}{left}")


@contextmanager
def meter(label: str) -> Iterator[Meter]:
    """Show the progress of a piece of work while it lasts."""
    if not out.is_terminal:
        yield Meter(label, None)
        return
    columns = (TextColumn("  {task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=out, transient=True) as bar:
        yield Meter(label, bar)
