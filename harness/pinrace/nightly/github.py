# SPDX-License-Identifier: GPL-2.0-or-later
"""What GitHub Actions shows of a night: a step summary, and an annotation for what is new.

Formats: "Workflow commands for GitHub Actions" in GitHub's documentation.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from pinrace import visible
from pinrace.nightly.changes import ALARMS, Change, Kind

LONGEST = 1000  # characters of an annotation; GitHub cuts at 4 KiB
ANNOTATIONS = 10  # of a level that GitHub shows of one step; it drops the others without a word
SUMMARY = 1 << 20  # bytes of the summaries of one step; one that is longer is not shown at all
_CUT = "\n\nMore than a step summary can hold: the whole of it is in the artefacts.\n"


def commands(changes: Sequence[Change]) -> list[str]:
    """Return the workflow commands: errors for what is new, warnings for what comes and goes.

    Of more than GitHub shows, the last one says how many are left out.
    """
    lines = []
    for level, kinds in (("error", ALARMS), ("warning", (Kind.FLAKY,))):
        mine = [change for change in changes if change.kind in kinds]
        most = ANNOTATIONS if len(mine) <= ANNOTATIONS else ANNOTATIONS - 1
        for change in mine[:most]:
            title = _property(f"{change.kind}: {change.spot}")
            lines.append(f"::{level} title={title}::{_data(change.note[:LONGEST])}")
        if len(mine) > most:
            lines.append(f"::{level} title=more::{len(mine) - most} more are in the step summary")
    return lines


def fit(summary: str, size: int = SUMMARY) -> str:
    """Return a summary that a step can show: whole, or cut at the end of a line."""
    raw = summary.encode()
    if len(raw) <= size:
        return summary
    kept = raw[: size - len(_CUT)]
    return kept[: kept.rfind(b"\n") + 1].decode() + _CUT


def _data(text: str) -> str:
    return visible.plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def tell(changes: Sequence[Change], summary: str) -> list[str]:
    """Write the step summary where Actions wants it, and return the annotations to print.

    Outside of Actions there is nothing to do, and nothing to print.
    """
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        place = Path(path)
        taken = place.stat().st_size if place.exists() else 0
        with place.open("a") as stream:
            stream.write(fit(summary, max(len(_CUT), SUMMARY - taken)))
    return commands(changes) if os.environ.get("GITHUB_ACTIONS") == "true" else []
