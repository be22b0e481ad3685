# SPDX-License-Identifier: GPL-2.0-or-later
"""What no suite looks at is said, and is no pass."""

from __future__ import annotations

from pinrace.engine import coverage
from pinrace.errors import Exit
from pinrace.runs import commands, summary
from pinrace.suites.shipped import SUITES
from pinrace.values import Cell, CellResult, Verdict

SELFTEST = "tools/testing/selftests/teapot/teapot_test.c"


def ran(suite: str = "smoke", verdict: Verdict = Verdict.PASS) -> CellResult:
    return CellResult(Cell("arm64", "arm", "plain", suite), verdict, "so")


def judge(*changed: str, results: tuple[CellResult, ...] = (), **more: bool) -> CellResult | None:
    how = {"chosen": False, "accepted": False} | more
    return coverage.judge(results or (ran(),), set(changed), SUITES, **how)


def test_files_that_a_suite_is_about() -> None:
    assert judge("kernel/seccomp.c", "arch/x86/include/asm/seccomp.h") is None
    assert judge("Documentation/a.rst", "MAINTAINERS", "kernel/Makefile", "samples/x.c") is None


def test_files_that_none_is_about() -> None:
    found = judge("fs/teapot.c", "kernel/seccomp.c", SELFTEST)
    assert found is not None
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "fs/teapot.c" in found.reason
    assert SELFTEST in found.reason
    assert [case.name for case in found.cases] == ["fs/teapot.c", SELFTEST]
    assert summary.exit_code([ran(), found]) is Exit.INFRA


def test_a_test_that_was_left_out_on_purpose() -> None:
    assert judge("kernel/seccomp.c", SELFTEST, chosen=True) is None
    assert judge("fs/teapot.c", SELFTEST, chosen=True) is not None


def test_what_the_user_accepts() -> None:
    found = judge("fs/teapot.c", accepted=True)
    assert found is not None
    assert summary.exit_code([ran(), found]) is Exit.OK


def test_a_suite_that_skipped_looked_at_nothing() -> None:
    skipped = ran("smoke", Verdict.SKIP)
    own = ran("pin_args")
    assert judge("tools/testing/selftests/seccomp/pin_args_exec.c", results=(own,)) is None
    assert judge("tools/testing/selftests/seccomp/pin_args_exec.c", results=(ran(), skipped))


def test_the_line_that_repeats_it_names_no_suite() -> None:
    found = judge("fs/teapot.c")
    assert found is not None
    assert "--suite" not in commands.rerun(found.cell, commands.Again())
