# SPDX-License-Identifier: GPL-2.0-or-later
"""Remove old runs; those that failed are kept longer."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from pinrace.runs import journal, sightings

HOUR = 3600.0  # seconds; a run without an end may be going on


@dataclass(frozen=True)
class Rule:
    """How many runs stay, the newest first, and how old one may be."""

    keep: int = 100  # runs that ended with 0
    keep_failed: int = 300  # the others
    days: float | None = None  # at most so old, whatever their number


def prune(root: Path, rule: Rule, *, now: float | None = None) -> list[Path]:
    """Remove what the rule does not keep and return it; `latest` keeps what it points to.

    A run that has no end and was written to within the last hour is left alone.
    """
    now = time.time() if now is None else now
    with sightings.opened(root):
        pass  # what the runs saw is read before they go
    latest = (root / journal.LATEST).resolve()
    seen = {True: 0, False: 0}
    gone = []
    for folder in reversed(journal.list_runs(root=root)):
        code = _exit_code(folder)
        age = now - (folder / journal.EVENTS).stat().st_mtime
        if folder.resolve() == latest or (code is None and age < HOUR):
            continue
        good = code == 0
        seen[good] += 1
        many = seen[good] > (rule.keep if good else rule.keep_failed)
        if many or (rule.days is not None and age > rule.days * 24 * HOUR):
            shutil.rmtree(folder)
            gone.append(folder)
    return gone


def _exit_code(folder: Path) -> int | None:
    """Return how a run ended; None when it has no end, or it cannot be read."""
    try:
        return int(json.loads((folder / journal.RESULTS).read_text())["exit_code"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
