# SPDX-License-Identifier: GPL-2.0-or-later
"""Who is to blame, and the exit code that says so.

A failure of the kernel under test is not an exception: it is a verdict.  What
is raised here ends a command, and always says what failed, where to look and
what to do next.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """Exit codes of every command (`pinrace help exits`)."""

    OK = 0
    KERNEL = 1  # the kernel under test failed
    USAGE = 2  # the user asked for something impossible
    BUILD = 3  # the tree, the series or the configuration does not build
    INFRA = 4  # the harness, the host or QEMU could not do its part
    INTERRUPTED = 130  # Ctrl-C, as shells report it


class PinraceError(Exception):
    """What ends a command.

    what: one sentence, what failed.
    log: the file that holds the details, if there is one.
    hint: what to type or change next.
    """

    exit_code = Exit.INFRA

    def __init__(self, what: str, *, log: Path | None = None, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.log = log
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.log:
            lines.append(f"  log   {self.log}")
        if self.hint:
            lines.append(f"  next  {self.hint}")
        return "\n".join(lines)


class UserError(PinraceError):
    """The request cannot be met as it was made."""

    exit_code = Exit.USAGE


class BuildError(PinraceError):
    """The tree, the series or the configuration under test does not build."""

    exit_code = Exit.BUILD


class ApplyError(BuildError):
    """A patch of the series does not apply to the tree."""


class InfrastructureError(PinraceError):
    """The harness, the host or QEMU could not do its part."""

    exit_code = Exit.INFRA


class NotVerifiedError(InfrastructureError):
    """It has no signature that counts: none, a bad one, or one of somebody else."""


def said(error: BaseException) -> str:
    """Return what a result says of an error: a fault of pinrace itself with its type's name."""
    if isinstance(error, PinraceError):
        return str(error)
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
