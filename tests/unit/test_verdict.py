# SPDX-License-Identifier: GPL-2.0-or-later
"""Each rule of the verdict, shown to bite when the evidence differs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pinrace.judge.verdict import Ending, Evidence, judge
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Splat, Verdict

CELL = Cell("x86_64", "i386", "plain", "seccomp_bpf")
GOOD = Evidence(Ending.DONE, job_status=0)


def case(name: str, status: str = "PASS", reason: str = "") -> CaseResult:
    return CaseResult(name, CaseStatus(status), reason)


def splat(rule: str = "warn", where: str = "foo < bar") -> Splat:
    return Splat(rule, f"title of {rule}", 3, "text", f"{rule}: {where}")


CASES = (case("a"), case("b"))


def verdict(
    evidence: Evidence = GOOD, cases: Any = CASES, splats: Any = (), **more: Any
) -> Verdict:
    return judge(CELL, evidence, cases, splats, **more).verdict


def evidence(**changes: Any) -> Evidence:
    return dataclasses.replace(GOOD, **changes)


def test_all_well() -> None:
    result = judge(CELL, GOOD, CASES, ())
    assert (result.verdict, result.new, result.known) == (Verdict.PASS, (), ())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ending": Ending.KILLED}, Verdict.MISS),
        ({"ending": Ending.NO_BOOT}, Verdict.MISS),
        ({"ending": Ending.PANIC}, Verdict.FAIL),
        ({"ending": Ending.HANG}, Verdict.FAIL),
        ({"abi_ok": False}, Verdict.MISS),
        ({"channel_error": "record 7 is torn"}, Verdict.MISS),
        ({"job_status": 1}, Verdict.FAIL),
        ({"job_status": 4}, Verdict.FAIL),
        ({"job_status": None}, Verdict.FAIL),
        ({"job_status": None, "job_signal": 11}, Verdict.FAIL),
        ({"job_status": None, "timed_out": True}, Verdict.FAIL),
    ],
)
def test_evidence_against_good_cases(changes: dict[str, Any], expected: Verdict) -> None:
    result = judge(CELL, evidence(**changes), CASES, ())
    assert result.verdict is expected
    assert result.cases == CASES  # what was seen is kept
    assert result.reason


@pytest.mark.parametrize("status", ["FAIL", "TIMEOUT", "ERROR"])
def test_bad_case_is_new_without_a_baseline(status: str) -> None:
    result = judge(CELL, evidence(job_status=1), (case("a"), case("b", status)), ())
    assert (result.verdict, result.new) == (Verdict.FAIL, ("b",))


@pytest.mark.parametrize("status", ["PASS", "SKIP", "XFAIL"])
def test_case_that_is_not_bad(status: str) -> None:
    assert verdict(cases=(case("a"), case("b", status))) is Verdict.PASS


def test_known_bad_case() -> None:
    cases, before = (case("a"), case("b", "FAIL")), (case("a"), case("b", "TIMEOUT"))
    result = judge(CELL, evidence(job_status=1), cases, (), before)
    assert (result.verdict, result.new, result.known) == (Verdict.PASS, (), ("b",))
    assert "1 known on the unpatched tree: b" in result.notes
    worse = judge(CELL, evidence(job_status=1), (case("a", "FAIL"), cases[1]), (), before)
    assert (worse.verdict, worse.new, worse.known) == (Verdict.FAIL, ("a",), ("b",))


def test_signal_is_not_explained_by_known_cases() -> None:
    bad = (case("a"), case("b", "FAIL"))
    assert verdict(evidence(job_status=None, job_signal=9), bad, baseline=bad) is Verdict.FAIL


def test_fixed_case() -> None:
    result = judge(CELL, GOOD, CASES, (), (case("a"), case("b", "FAIL")))
    assert (result.verdict, result.fixed) == (Verdict.PASS, ("b",))
    skipped = judge(CELL, GOOD, (case("a"), case("b", "SKIP")), (), (case("b", "FAIL"),))
    assert skipped.fixed == ()


def test_a_case_that_repeats_counts_by_its_worst() -> None:
    result = judge(CELL, GOOD, (case("a"), case("a", "FAIL")), (), (case("a"),))
    assert (result.verdict, result.new, result.fixed) == (Verdict.FAIL, ("a [2]",), ())


def test_splat_fails_good_cases() -> None:
    result = judge(CELL, GOOD, CASES, (splat(),), CASES)
    assert result.verdict is Verdict.FAIL
    assert "title of warn" in result.reason


def test_known_splat() -> None:
    before = {"baseline": CASES, "baseline_splats": (splat(),)}
    result = judge(CELL, GOOD, CASES, (splat(),), **before)  # type: ignore[arg-type]
    assert (result.verdict, result.known) == (Verdict.PASS, (splat().fingerprint,))
    other = (splat(), splat(where="else"))
    assert verdict(splats=other, **before) is Verdict.FAIL


def test_known_panic_leaves_the_cell_open() -> None:
    panic = Splat("warn", "WARNING", 3, "text", "warn: foo", panicked=True)
    end = evidence(ending=Ending.PANIC, job_status=None)
    assert verdict(end, (), (panic,), baseline=(), baseline_splats=(panic,)) is Verdict.INCONCLUSIVE
    assert verdict(end, (), (panic,), baseline=()) is Verdict.FAIL
    # a known warning does not excuse a panic or a hang
    known = {"baseline": (), "baseline_splats": (splat(),)}
    assert verdict(end, (), (splat(),), **known) is Verdict.FAIL
    hang = evidence(ending=Ending.HANG, job_status=None)
    assert verdict(hang, (), (panic,), baseline=(), baseline_splats=(panic,)) is Verdict.FAIL


def test_splat_outweighs_the_harness_trouble() -> None:
    for changes in ({"ending": Ending.KILLED}, {"abi_ok": False}, {"channel_error": "torn"}):
        assert verdict(evidence(**changes), splats=(splat(),)) is Verdict.FAIL


def test_no_boot_is_the_kernel_s_when_the_unpatched_one_boots() -> None:
    end = evidence(ending=Ending.NO_BOOT, job_status=None)
    assert verdict(end, ()) is Verdict.MISS
    assert verdict(end, (), baseline=CASES) is Verdict.FAIL


def test_guest_put_together_wrongly() -> None:
    assert verdict(evidence(ending=Ending.PANIC), splats=(splat("no-init"),)) is Verdict.MISS


def test_blind_detector_cannot_pass() -> None:
    assert verdict(splats=(splat("lockdep-off"),)) is Verdict.INCONCLUSIVE
    bad = (case("a", "FAIL"),)
    assert verdict(cases=bad, splats=(splat("lockdep-off"),)) is Verdict.FAIL


def test_nothing_is_no_pass() -> None:
    assert verdict(cases=()) is Verdict.MISS
    assert verdict(evidence(job_status=1), cases=()) is Verdict.MISS


def test_all_skipped() -> None:
    skipped = (case("a", "SKIP", "no such syscall"), case("b", "SKIP"))
    for status in (0, 4):
        result = judge(CELL, evidence(job_status=status), skipped, ())
        assert (result.verdict, result.reason) == (Verdict.SKIP, "no such syscall")
    assert verdict(evidence(job_status=1), skipped) is Verdict.FAIL
    # ksft_exit_skip() after a result: runner.sh calls the program skipped
    assert verdict(evidence(job_status=4), (case("c"), *skipped)) is Verdict.SKIP


def test_cases_that_vanish_or_skip_are_noted() -> None:
    before = (case("a"), case("b"), case("c"))
    result = judge(CELL, GOOD, (case("a"), case("b", "SKIP")), (), before)
    assert any("skip here: b" in note for note in result.notes)
    assert any("absent: c" in note for note in result.notes)


def test_result_carries_what_it_was_given() -> None:
    result = judge(CELL, GOOD, CASES, (), seconds=3.5, notes=("by hand",))
    assert isinstance(result, CellResult)
    assert (result.cell, result.seconds, result.notes) == (CELL, 3.5, ("by hand",))
