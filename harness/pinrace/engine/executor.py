# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the parts of a command run: in threads here, unless a fleet was asked for.

A part is a call of a function with values: a cell, a torture, a replay.  Its kernels, images and
folders are named in the values, so that another host can have them by digest (pinrace.fleet).
Here a call is a call, and nothing of a fleet is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Hands(Protocol):
    """What runs calls."""

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it, wait for it, and return or raise what it does."""

    def width(self, local: int) -> int:
        """Return how many calls may be waited for at once; local: how many fit this host."""

    def expected(self, function: Callable[..., object], *args: object) -> float:
        """Return how many seconds such a call took before; 0 when that is not known."""


class Here:
    """Runs calls in the thread that makes them."""

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it."""
        return function(*args, **kwargs)

    def width(self, local: int) -> int:
        """As many as fit this host."""
        return local

    def expected(self, function: Callable[..., object], *args: object) -> float:
        """Nothing is recorded: the order is that of the table."""
        return 0.0


_hands: Hands = Here()


def current() -> Hands:
    """Return what runs calls now."""
    return _hands


@contextmanager
def use(hands: Hands) -> Iterator[None]:
    """Run calls elsewhere while the context lasts."""
    global _hands  # noqa: PLW0603 (one command, one choice)
    before, _hands = _hands, hands
    try:
        yield
    finally:
        _hands = before


def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a call where the command's calls run; it may raise what the function does.

    On a fleet it also raises InfrastructureError: for what no host can serve, and for a host or a
    scheduler that is lost for good.
    """
    return _hands.call(function, *args, **kwargs)


def threads(local: int) -> ThreadPoolExecutor:
    """Return threads that wait for calls; local: how many calls fit this host at once.

    Each outlives its guest, which dies with it.
    """
    return ThreadPoolExecutor(_hands.width(local), thread_name_prefix="guest")
