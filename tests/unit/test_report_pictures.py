# SPDX-License-Identifier: GPL-2.0-or-later
"""What the page draws of a cell: complete, bounded, and nothing but text from a guest."""

from __future__ import annotations

from pathlib import Path

from pinrace.report import pictures as views
from pinrace.report.gather import gather
from pinrace.report.render import render
from pinrace.runs import pictures
from pinrace.runs.journal import Run
from pinrace.runs.pictures import Curve, Grid, Lanes, Moment, Square, Strip
from pinrace.values import CaseStatus, Cell, CellResult, Verdict

CELL = Cell("x86_64", "i386", "plain", "hunt")
GOOD, BAD = Square(CaseStatus.PASS, "f+0: kept"), Square(CaseStatus.FAIL, "f+2: <b>violated</b>")
STRIP = Strip("w: a held in f", (GOOD, GOOD, BAD, Square(None, "f+3: not held")))
GRID = Grid("kill matrix", ("selftest",), (("m-one", (GOOD,)), ("m-two", (Square(None, ""),))))
CURVE = Curve("exposed", "trials", ((0.0, 0.0), (2.0, 10.0)), ((1.0, "C3 open"),))
LANES = Lanes("a.f+2,b.done", ("a", "b"), (Moment("a", "runs to f+2"), Moment("b", "to its end")))


def page(tmp_path: Path, **shown: object) -> str:
    """Return the page of a run with one cell that shows this."""
    with Run.create(["pinrace", "hunt", "-k", "w"], root=tmp_path) as run:
        folder = run.cell_start(CELL)
        pictures.keep(folder, **shown)  # type: ignore[arg-type]
        run.cell_end(CellResult(CELL, Verdict.FAIL, "so", folder=folder))
        run.end(1)
    return render(gather(run.folder))


def test_everything_is_drawn(tmp_path: Path) -> None:
    html = page(tmp_path, strips=[STRIP], grids=[GRID], curves=[CURVE], lanes=[LANES])
    assert "2 PASS, 1 FAIL, 1 not tried" in html
    assert "f+0: kept … f+0: kept" in html
    assert "&lt;b&gt;violated" in html
    assert "<b>" not in html
    assert "m-two" in html
    assert "10 trials in 2 s, 1 violations" in html
    assert "runs to f+2" in html
    assert "pinrace hunt -k w" in html, "how to have it again"


def test_a_cell_without_pictures_has_none(tmp_path: Path) -> None:
    assert "<figure" not in page(tmp_path)


def test_squares_that_follow_each_other_are_one_bar(tmp_path: Path) -> None:
    pictures.keep(tmp_path, strips=[STRIP])
    (strip,) = views.read(tmp_path, 1 << 20).strips
    assert [(bar.width, bar.status) for bar in strip.bars] == [
        (24, CaseStatus.PASS),
        (12, CaseStatus.FAIL),
        (12, None),
    ]


def test_what_has_no_room_is_counted(tmp_path: Path) -> None:
    long = Strip("long", tuple(GOOD if n % 2 else BAD for n in range(4000)))
    pictures.keep(tmp_path, strips=[long, STRIP], lanes=[LANES])
    found = views.read(tmp_path, 4096)
    assert (len(found.strips), len(found.lanes), found.left_out) == (1, 1, 1)
    assert found.strips[0].title == STRIP.title


def test_a_wide_strip_keeps_to_the_page(tmp_path: Path) -> None:
    pictures.keep(tmp_path, strips=[Strip("long", (GOOD,) * 5000)])
    (strip,) = views.read(tmp_path, 1 << 20).strips
    assert strip.width <= views.WIDTH


def test_what_an_older_run_left_is_still_shown(tmp_path: Path) -> None:
    pictures.keep(tmp_path, strips=[STRIP])
    path = tmp_path / pictures.FILE
    path.write_text(path.read_text().replace('"title"', '"unit": "run", "title"'))
    assert pictures.read(tmp_path).strips == (STRIP,)
