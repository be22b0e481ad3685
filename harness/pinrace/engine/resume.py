# SPDX-License-Identifier: GPL-2.0-or-later
"""The cells that a run of the same leg had judged before it was killed, or its time was over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pinrace.errors import PinraceError
from pinrace.runs import journal
from pinrace.values import CellResult, Verdict

NOT_BEGUN = "not begun: the time given was over"  # the reason of a cell that a budget left out


def earlier(leg: str, root: Path) -> dict[str, CellResult]:
    """Return what the latest run of that leg had judged, by cell, when it did not come to its end.

    leg: what the manifest calls it; the same for the same kernels, programs and cells.  A run that
    had all its time is done: its cells are not kept for another.
    """
    for folder in reversed(journal.list_runs(root=root)) if leg else ():
        try:
            manifest = journal.manifest(folder)
            if manifest.get("leg") != leg:
                continue
            results = journal.load(folder)
        except PinraceError:
            continue
        cut = any(NOT_BEGUN in result.reason for result in results)
        if (folder / journal.RESULTS).exists() and not cut:
            return {}
        return {
            result.cell.name: _kept(result, folder.name)
            for result in results
            if result.verdict is not Verdict.MISS
        }
    return {}


def _kept(result: CellResult, run: str) -> CellResult:
    """Return a result with a note on where it is from; one that was kept before has its note."""
    note = f"kept from run {run}"
    if any(one.startswith("kept from run ") for one in result.notes):
        return result
    return replace(result, notes=(*result.notes, note))
