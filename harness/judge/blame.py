# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose a data race is: of the files that a series changes, or of the rest of the tree.

KCSAN watches by chance, so that a race of the tree's own need not have shown on the unpatched
tree.  It names the functions of both accesses, and these are in files.
"""

from __future__ import annotations

import re
from collections.abc import Set
from pathlib import Path

from harness import procs
from harness.deadline import Deadline
from harness.errors import InfrastructureError
from harness.values import Series, Splat

# kernel/kcsan/report.c; a race with an access that it has not seen has one name only.
_RACE = re.compile(r"BUG: KCSAN: data-race in ([\w.]+) / ([\w.]+)$")
_FILE = re.compile(rb"^\+\+\+ b/(\S+)", re.MULTILINE)
LIMIT = 60.0  # seconds for one of the binutils


def touched(series: Series | None) -> frozenset[str]:
    """Return the files that a series changes or adds; OSError when a patch cannot be read."""
    patches = series.patches if series else ()
    return frozenset(
        name.decode(errors="replace") for p in patches for name in _FILE.findall(p.read_bytes())
    )


def is_elsewhere(splat: Splat, changed: Set[str], vmlinux: Path, cross: str) -> bool:
    """Whether a report is of a race between two places that are in none of the changed files.

    cross: the prefix of the binutils for its arch.  Where there is any doubt it is not.
    """
    race = _RACE.match(splat.title)
    if not changed or not race:
        return False
    try:
        files = [_file_of(name, vmlinux, cross) for name in set(race.groups())]
    except InfrastructureError:
        return False
    return all(file and not any(file.endswith(f"/{name}") for name in changed) for file in files)


def _file_of(function: str, vmlinux: Path, cross: str) -> str:
    """Return the source file of a function, "" when there is none or are several of that name."""
    lines = _ask([f"{cross}nm", vmlinux]).splitlines()
    found = [words[0] for line in lines if (words := line.split())[2:] == [function]]
    if len(found) != 1:
        return ""
    path = _ask([f"{cross}addr2line", "-e", vmlinux, found[0]]).rpartition(":")[0]
    return path if path.startswith("/") else ""


def _ask(argv: list[str | Path]) -> str:
    return procs.run(argv, deadline=Deadline.after(LIMIT), what="looking for a function").output
