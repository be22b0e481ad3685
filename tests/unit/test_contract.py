# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of statements is made of what cases said, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinrace.cli.options import DEFAULT_SERIES
from pinrace.contract import statements
from pinrace.contract.statements import Column, Statement
from pinrace.errors import UserError
from pinrace.series.load import load_series
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Series, Splat, Verdict

STATEMENTS = DEFAULT_SERIES / "contract.toml"
SELFTEST = "seccomp_pin_args.c"

CELL = Cell("x86_64", "i386", "plain", "pin_args")
C4 = Statement(id="C4", title="Ends")


def column(*cases: CaseResult, splats: tuple[Splat, ...] = ()) -> Column:
    return Column("s", CellResult(CELL, Verdict.PASS, "", cases=cases, splats=splats))


def case(name: str, status: CaseStatus = CaseStatus.PASS) -> CaseResult:
    return CaseResult(name, status)


def test_a_case_speaks_of_what_it_is_named_after() -> None:
    assert statements.spoken_of(case("pin.c05_c19_attacked")) == ("C5", "C19")
    assert statements.spoken_of(case("ends.deny.c04_reply")) == ("C4",)
    assert statements.spoken_of(case("global.abc12_other")) == ()


@pytest.mark.parametrize(
    ("cases", "says"),
    [
        ([case("c04_a"), case("c04_b")], "keeps 2"),
        ([case("c04_a"), case("c04_b", CaseStatus.FAIL)], "BREAKS 1 of 2"),
        ([case("c04_a", CaseStatus.TIMEOUT)], "BREAKS 1 of 1"),
        ([case("c04_a", CaseStatus.SKIP)], "skipped"),
        ([case("c04_a", CaseStatus.SKIP), case("c04_b")], "keeps 1"),
        ([case("c05_a")], "no case"),
    ],
)
def test_mark(cases: list[CaseResult], says: str) -> None:
    assert statements.mark(C4, column(*cases)) == says


def test_a_cell_that_gave_nothing_says_so() -> None:
    lost = Column("s", CellResult(CELL, Verdict.MISS, "no boot"))
    assert statements.mark(C4, lost) == "MISS"
    assert statements.mark(Statement(id="C20", title="Clean"), lost) == "MISS"


def test_reports_of_the_kernel_break_c20() -> None:
    clean = Statement(id="C20", title="Clean", elsewhere="the console")
    splat = Splat("kasan", "BUG: KASAN", 1, "", "kasan:x")
    assert statements.mark(clean, column(case("c04_a"))) == "keeps"
    assert statements.mark(clean, column(case("c04_a"), splats=(splat,))) == "BREAKS (kasan)"


def test_the_table_names_what_broke() -> None:
    failed = CaseResult("c04_b", CaseStatus.FAIL, lines=("# x.c:1: Expected 0 (0) == ret (-1)",))
    text = statements.markdown([C4], [column(failed)], {"tree": "linux 7"})
    assert "| C4 | Ends | **BREAKS 1 of 1** |" in text
    assert "- c04_b: x.c:1: Expected 0 (0) == ret (-1)" in text


def test_every_statement_of_the_project_is_listed_once() -> None:
    known = [one.id for one in statements.statements(STATEMENTS)]
    assert known == [f"C{number}" for number in range(1, 25)]


def test_a_malformed_list_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        statements.statements(tmp_path / "none.toml")
    (tmp_path / "some.toml").write_text("[[statement]]\nid = 'C1'\n")
    with pytest.raises(UserError, match=r"no list of statements:\n  statement\.0\.title: "):
        statements.statements(tmp_path / "some.toml")


def test_the_selftest_is_laid_over_a_series_without_one(tmp_path: Path) -> None:
    own = load_series(DEFAULT_SERIES)
    bare = tmp_path / "0001-x.patch"
    bare.write_text("From: a\nSubject: x\n\ndiff --git a/kernel/seccomp.c b/kernel/seccomp.c\n")
    other = Series("rfc", "0", (bare,))
    laid = statements.with_selftest(other, own, SELFTEST)
    assert laid.patches[0] == bare
    assert len(laid.patches) > 1
    assert all("seccomp_pin_args.c" in p.read_text() for p in laid.patches[1:])
    assert statements.with_selftest(own, own, SELFTEST) == own
    with pytest.raises(UserError, match="only adds tests"):
        statements.with_selftest(other, other, SELFTEST)
