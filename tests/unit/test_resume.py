# SPDX-License-Identifier: GPL-2.0-or-later
"""A leg that was killed, or whose time was over, keeps the cells that it had."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from pinrace.deadline import Deadline
from pinrace.engine import batch, pool, resume
from pinrace.engine.cell import Bench
from pinrace.runs.journal import Run
from pinrace.values import Cell, CellResult, PatchedTree, Verdict

A, B, C = (Cell("x86_64", "x86_64", "plain", name) for name in ("a", "b", "c"))
CUT = CellResult(C, Verdict.MISS, f"could not be run: {resume.NOT_BEGUN}")


def _run(root: Path, leg: str, *results: CellResult, ended: bool) -> Run:
    run = Run.create(["pinrace", "run"], root=root, leg=leg)
    for result in results:
        run.cell_end(result)
    if ended:
        run.finish(list(results), exit_code=0)
    return run


def test_a_killed_leg_keeps_what_it_had(tmp_path: Path) -> None:
    killed = _run(
        tmp_path,
        "k",
        CellResult(A, Verdict.PASS, "good"),
        CellResult(B, Verdict.FAIL, "bad"),
        CellResult(C, Verdict.MISS, "no QEMU"),
        ended=False,
    )
    found = resume.earlier("k", tmp_path)
    assert {name: one.verdict for name, one in found.items()} == {
        A.name: Verdict.PASS,
        B.name: Verdict.FAIL,
    }
    assert found[A.name].notes == (f"kept from run {killed.id}",)
    assert resume.earlier("other", tmp_path) == {}
    assert resume.earlier("", tmp_path) == {}
    again = _run(tmp_path, "k", *found.values(), ended=False)
    assert again.id != killed.id
    assert resume.earlier("k", tmp_path)[A.name].notes == (f"kept from run {killed.id}",)


def test_a_leg_whose_time_was_over_goes_on(tmp_path: Path) -> None:
    _run(tmp_path, "k", CellResult(A, Verdict.PASS, "good"), CUT, ended=True)
    assert list(resume.earlier("k", tmp_path)) == [A.name]


def test_a_leg_that_had_all_its_time_is_run_anew(tmp_path: Path) -> None:
    _run(tmp_path, "k", CellResult(A, Verdict.PASS, "good"), ended=False)
    _run(tmp_path, "k", CellResult(A, Verdict.FAIL, "bad"), ended=True)
    assert resume.earlier("k", tmp_path) == {}


def test_nothing_begins_when_the_time_is_over(tmp_path: Path) -> None:
    """No bench is looked at, so that none is needed."""
    nothing = cast(Bench, None)
    task = pool.Task(A, nothing, nothing, cast(PatchedTree, None))
    with (
        Run.create(["pinrace", "run"], root=tmp_path) as run,
        ThreadPoolExecutor(1) as executor,
    ):
        (result,) = pool.run(
            [task], run, executor, on_result=lambda _: None, until=Deadline.after(-1)
        )
        run.end(4)
    assert result.verdict is Verdict.MISS
    assert resume.NOT_BEGUN in result.reason


def test_kept_and_new_cells_stand_in_their_order() -> None:
    one, two, three = (CellResult(cell, Verdict.PASS, "good") for cell in (A, B, C))
    assert batch._in_order((A, B, C), [two], [three, one]) == [one, two, three]
