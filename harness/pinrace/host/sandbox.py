# SPDX-License-Identifier: GPL-2.0-or-later
"""The one way in which the code of a tree or a series runs on this host.

make, the tree's scripts, checkers and compilers that it steers: all of them start here, with an
environment of their own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pinrace import procs
from pinrace.deadline import Deadline

# What counts of the user's environment.  Not LANG: messages are read, and ccache tells languages
# apart.  Not MAKEFLAGS, CFLAGS, LLVM, ARCH, KBUILD_OUTPUT and their like: they change what is
# built, and no key of the store knows them.
KEPT = ("PATH", "TMPDIR")
FIXED = {"LANG": "C.UTF-8"}


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the whole environment of such a program, but its HOME."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, **FIXED, **(more or {})}


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | Path | None = None,
    log_to: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    deadline: Deadline = Deadline(),  # noqa: B008 (frozen)
    check: bool = True,
    what: str = "",
    hint: str = "",
) -> procs.Completed:
    """Run a program that a tree or a series steers; as procs.run(), which see.

    env is added to the few variables that such a program gets; HOME is an empty folder.
    """
    with tempfile.TemporaryDirectory(prefix="pinrace-home-") as home:
        return procs.run(
            argv,
            cwd=cwd,
            env={**environment(env), "HOME": home},
            inherit=False,
            stdin=stdin,
            log_to=log_to,
            on_line=on_line,
            deadline=deadline,
            check=check,
            what=what,
            hint=hint,
        )
