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


def commands(changes: Sequence[Change]) -> list[str]:
    """Return the workflow commands: errors for what is new, warnings for what comes and goes."""
    lines = []
    for change in changes:
        if change.kind in (*ALARMS, Kind.FLAKY):
            level = "error" if change.kind in ALARMS else "warning"
            title = _property(f"{change.kind}: {change.spot}")
            lines.append(f"::{level} title={title}::{_data(change.note[:LONGEST])}")
    return lines


def _data(text: str) -> str:
    return visible.plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def tell(changes: Sequence[Change], summary: str) -> list[str]:
    """Write the step summary where Actions wants it, and return the annotations to print.

    Outside of Actions there is nothing to do, and nothing to print.
    """
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(path).open("a") as stream:
            stream.write(summary)
    return commands(changes) if os.environ.get("GITHUB_ACTIONS") == "true" else []
