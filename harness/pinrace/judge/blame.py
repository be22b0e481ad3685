# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose a data race is: of the files that a series changes, or of the rest of the tree.

KCSAN watches by chance, so that a race of the tree's own need not have shown on the unpatched
tree.  Its report has the stacks of both accesses, and each frame is in files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set

from pinrace.values import Splat

# kernel/kcsan/report.c; a race with an access that it has not seen has one name and one stack.
_RACE = re.compile(r"BUG: KCSAN: data-race in \S+ / \S+$")
# A frame as scripts/decode_stacktrace.sh writes it, with the files of what is inlined there.
_FILES = re.compile(r"([^\s()]+):\d+")
_UNRESOLVED = re.compile(r"\+0x[0-9a-f]+/0x")


def is_elsewhere(splat: Splat, symbolized: str, changed: Set[str]) -> bool:
    """Whether a report is of a race both of whose stacks keep clear of the changed files.

    symbolized: its text with source lines.  Where there is any doubt, it is not.
    """
    files = _FILES.findall(symbolized)
    if not changed or not files or not _RACE.match(splat.title) or _UNRESOLVED.search(symbolized):
        return False
    return not any(f"/{file}".endswith(f"/{name}") for file in files for name in changed)


def notes(splats: Iterable[Splat]) -> list[str]:
    """Say which reports were not counted."""
    return [f"of code that the series does not touch: {s.title}" for s in splats if s.elsewhere]
