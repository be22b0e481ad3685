# SPDX-License-Identifier: GPL-2.0-or-later
"""What the page of a run says of a torture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import report_runs as runs
from report_page import CELL

from pinrace.report.gather import gather
from pinrace.values import Verdict


def test_a_killed_torture_shows_what_it_saw(tmp_path: Path) -> None:
    cell = dataclasses.replace(CELL, suite="torture")
    run = runs.start(tmp_path, [cell])
    folder = run.cell_start(cell)
    lines = (
        "torture begin seed=7 lanes=2 cpus=2 seconds=9 families=open",
        "torture second ns=4000000000 trials=100 pinned=80 exposed=60 violations=0",
        "torture count family=open mutator=alias free=0 pinned=40 exposed=30 control=5 lost=3",
    )
    (folder / "records.txt").write_text("\n".join((*lines, "torture second ns=5")))
    (section,) = gather(run.folder).sections
    assert (section.verdict, section.ended) == (Verdict.MISS, False)
    assert "not finished: stopped after 4 s; so far 0 violations in 30 exposed" in section.reason
