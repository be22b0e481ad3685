# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person reads at the end, and the exit code."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from pinrace.errors import Exit
from pinrace.runs import commands, summary
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Splat, Verdict

V = Verdict


def cell(verdict: Verdict, suite: str = "pin_args", **more: object) -> CellResult:
    where = {"flavor": "plain", "repeat": 1} | {
        k: more.pop(k) for k in ("flavor", "repeat") if k in more
    }
    return CellResult(Cell("arm64", "arm", suite=suite, **where), verdict, "why so", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([], Exit.INFRA),
        ([V.PASS], Exit.OK),
        ([V.PASS, V.SKIP], Exit.OK),
        ([V.SKIP], Exit.OK),
        ([V.PASS, V.MISS], Exit.INFRA),
        ([V.PASS, V.INCONCLUSIVE], Exit.INFRA),
        ([V.MISS, V.FAIL], Exit.KERNEL),
        ([V.INCONCLUSIVE, V.FAIL, V.PASS], Exit.KERNEL),
    ],
)
def test_exit_code(verdicts: list[Verdict], code: Exit) -> None:
    assert summary.exit_code([cell(v) for v in verdicts]) is code


FAILED = (
    CaseResult("grp/ok", CaseStatus.PASS),
    CaseResult("grp/C11", CaseStatus.FAIL, "", ("# saw argc 3, approved 2",)),
    CaseResult("grp/old", CaseStatus.FAIL, "known"),
)


def failing(folder: Path | None = None) -> CellResult:
    return cell(
        V.FAIL, cases=FAILED, new=("grp/C11",), known=("grp/old",), seconds=5.4, folder=folder
    )


def test_table_is_aligned() -> None:
    lines = summary.table([failing(), cell(V.PASS, "seccomp_bpf", notes=("1 known",))])
    heads = "arch abi suite verdict new pass fail skip time notes"
    assert " ".join(lines[0].split()) == heads
    assert lines[1].split()[:8] == ["arm64", "arm", "pin_args", "FAIL", "1", "1", "2", "0"]
    assert len({line.index("arm64") for line in lines[1:]}) == 1
    assert lines[0].index("verdict") == lines[1].index("FAIL") == lines[2].index("PASS")
    assert lines[2].endswith("1 known")


def test_columns_that_tell_cells_apart() -> None:
    assert "flavor" in summary.columns([cell(V.PASS), cell(V.PASS, flavor="debug")])
    assert "run" in summary.columns([cell(V.PASS), cell(V.PASS, repeat=2)])
    assert "flavor" not in summary.columns([cell(V.PASS)])


def test_details_of_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "console.log").write_text("x\n")
    text = "\n".join(summary.details([failing(tmp_path)], commands.Again()))
    assert "grp/C11: FAIL saw argc 3, approved 2" in text
    assert "grp/old" not in text
    assert "console  console.log\n" in text
    assert "again    pinrace test --arch arm64 --abi arm --suite pin_args -k C11" in text


def test_details_point_at_the_first_new_report(tmp_path: Path) -> None:
    (tmp_path / "console.log").write_text("x\n")
    splats = (Splat("warn", "OLD", 3, "", "warn: a"), Splat("kasan", "NEW", 418, "", "kasan: b"))
    result = cell(V.FAIL, splats=splats, known=("warn: a",), folder=tmp_path, flavor="debug")
    text = "\n".join(summary.details([result], commands.Again()))
    assert f"{tmp_path}/console.log:418" in text
    assert "OLD" not in text
    assert "--flavor debug" in text


def test_nothing_to_detail() -> None:
    assert summary.details([cell(V.PASS), cell(V.SKIP)]) == []
    assert summary.details([cell(V.MISS)])


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        ([], "no cell ran: nothing was tested"),
        ([V.FAIL, V.PASS], "1 of 2 cells failed"),
        ([V.FAIL, V.MISS], "1 of 2 cells failed; 1 inconclusive or not run"),
        ([V.MISS, V.PASS], "1 of 2 cells inconclusive or not run, 1 passed"),
        ([V.PASS, V.SKIP], "1 of 2 cells passed, 1 skipped"),
        ([V.PASS], "1 of 1 cell passed"),
    ],
)
def test_sentence(verdicts: list[Verdict], text: str) -> None:
    assert summary.sentence([cell(v) for v in verdicts]) == text


@pytest.mark.parametrize("terminal", [True, False])
def test_show(terminal: bool) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=120)
    summary.show([failing(), cell(V.PASS, notes=("[red]not markup[/red] \x1b[31m",))], console)
    shown = stream.getvalue()
    assert "C11" in shown
    assert "[red]not markup[/red]" in shown
    assert shown.rstrip().endswith("1 of 2 cells failed")
    assert ("\x1b[" in shown) == terminal
    summary.show([], console)
    assert "nothing was tested" in stream.getvalue()
