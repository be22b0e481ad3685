# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person sees while a command works: rich on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pinrace.errors import PinraceError

_PLAIN_SECONDS = 30.0  # between two lines of progress where there is no terminal

# A token may hold what rich takes for the name of an emoji.
out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def set_up(verbosity: int) -> None:
    """Show the exact commands from -v on, and everything from -vv."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    logging.getLogger("pinrace").setLevel(level)


def say(text: str) -> None:
    """Print a line of what goes on."""
    out.print(text, markup=False)
    out.file.flush()


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
    err.print(f"pinrace: {error}", markup=False, style="red" if err.is_terminal else None)


class Meter:
    """The progress of one piece of work, in steps."""

    def __init__(self, label: str, bar: Progress | None) -> None:
        self.label = label
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
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=out, transient=True) as bar:
        yield Meter(label, bar)
