# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of what runs of collections came to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinrace.cli.main import main
from pinrace.errors import Exit, UserError
from pinrace.runs import collections
from pinrace.runs.journal import Run
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict

SUITE = "kselftest:made-up"


def _run(root: Path, verdict: Verdict = Verdict.FAIL, *, argv: str = "test", smp: int = 4) -> Path:
    """Write a run of one cell, with what a manifest says of its machine."""
    machine = {"accelerator": "kvm", "smp": smp}
    run = Run.create(
        ["pinrace", *argv.split()],
        root=root,
        tree={"label": "linux 7.3.4"},
        machines={"x86_64": machine},
    )
    cell = Cell("x86_64", "i386", "plain", SUITE)
    cases = (
        CaseResult("good", CaseStatus.PASS),
        CaseResult("loop/a", CaseStatus.FAIL, "exit=1"),
        CaseResult("loop/b | <c>", CaseStatus.SKIP),
    )
    result = CellResult(cell, verdict, "why", cases, seconds=7.4, folder=run.cell_start(cell))
    run.cell_end(result)
    run.finish([result], exit_code=1)
    return run.folder


def test_a_row_has_the_numbers_of_its_run(tmp_path: Path) -> None:
    found = collections.rows([_run(tmp_path)], [SUITE])
    lines = collections.table(found)
    assert lines[2] == f"| {SUITE} | i386 | 3 | 1 | 1 | 1 | 7 | loop: exit=1 |"
    assert lines[3] == f"| {SUITE} | x86_64, arm64, arm | not run | | | | | |"


def test_the_page_says_what_ran_it(tmp_path: Path) -> None:
    runs = [_run(tmp_path / "a"), _run(tmp_path / "b", smp=8)]
    assert "Accelerator: kvm.  CPUs of a guest: 4." in collections.page(collections.rows(runs[:1]))
    assert "CPUs of a guest: 8." in collections.page(collections.rows(runs))


@pytest.mark.parametrize(
    ("verdict", "argv"), [(Verdict.MISS, "test"), (Verdict.FAIL, "test -k good")]
)
def test_a_part_of_a_run_is_no_row(verdict: Verdict, argv: str, tmp_path: Path) -> None:
    assert collections.rows([_run(tmp_path, verdict, argv=argv)]) == []


def test_a_page_goes_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{collections.BEGIN}\nold\n{collections.END}\nafter\n")
    collections.insert(page, f"{collections.BEGIN}new{collections.END}")
    assert page.read_text() == f"before\n{collections.BEGIN}new{collections.END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(UserError, match="no place"):
        collections.insert(page, "new")
    assert page.read_text() == "no marks"
    page.write_bytes(b"\xff")
    with pytest.raises(UserError, match="cannot read"):
        collections.insert(page, "new")


def test_the_command_prints_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PINRACE_RUNS", str(tmp_path))
    assert main(["suites"]) == Exit.USAGE
    _run(tmp_path)
    assert main(["suites"]) == Exit.OK
    assert "loop: exit=1" in capsys.readouterr().out.replace("\n", " ")
