# SPDX-License-Identifier: GPL-2.0-or-later
"""Two WARNs of one function are two bugs; one that another build has elsewhere is one."""

from __future__ import annotations

import pytest
from splat_logs import log, oops, warn

from pinrace.judge.compare import told_apart
from pinrace.judge.splats import find
from pinrace.judge.verdict import Ending, Evidence, judge
from pinrace.values import CaseResult, CaseStatus, Cell, Splat, Verdict

CELL = Cell("x86_64", "x86_64", "plain", "kitchen")
GOOD = (CaseResult("tea", CaseStatus.PASS),)
NEW = "WARNING: fs/qed/tree.c:{} at qed_pour+{}/{}, CPU#1: qed/217"
OLD = "WARNING: CPU: 1 PID: 217 at fs/qed/tree.c:{} qed_pour+{}/{}"
FIRST, SECOND = (58, "0x5e", "0x90"), (77, "0x7e", "0x90")
MOVED, ELSEWHERE = (60, "0x5e", "0x90"), (61, "0x6a", "0xa0")  # above it, and within, code came


def reports(*places: tuple[int, str, str], head: str = NEW) -> tuple[Splat, ...]:
    return find(log([warn("qed_pour", "qed_brew", head=head.format(*place)) for place in places]))


def verdict(now: tuple[Splat, ...], before: tuple[Splat, ...]) -> Verdict:
    evidence = Evidence(Ending.DONE, job_status=0)
    return judge(CELL, evidence, GOOD, now, GOOD, baseline_splats=before).verdict


@pytest.mark.parametrize("head", [NEW, OLD], ids=["7.3", "6.12"])
def test_two_of_one_function_are_two_reports(head: str) -> None:
    both = reports(FIRST, SECOND, FIRST, head=head)
    assert [splat.place for splat in both] == [
        "fs/qed/tree.c:58 qed_pour+0x5e/0x90",
        "fs/qed/tree.c:77 qed_pour+0x7e/0x90",
    ]


def test_two_bugs_of_one_function_are_two_reports() -> None:
    said = [f"kernel BUG at fs/qed/tree.c:{line}!" for line in (58, 77)]
    found = find(log(*(oops("qed_pour", "qed_brew", head=head) for head in said)))
    assert [splat.place.split()[0] for splat in found] == ["fs/qed/tree.c:58", "fs/qed/tree.c:77"]


@pytest.mark.parametrize("now", [FIRST, MOVED, ELSEWHERE])
def test_one_of_another_build_is_known(now: tuple[int, str, str]) -> None:
    assert verdict(reports(now), reports(FIRST)) is Verdict.PASS


def test_another_one_of_that_function_is_new() -> None:
    assert verdict(reports(SECOND), reports(FIRST)) is Verdict.FAIL
    assert verdict(reports(FIRST, SECOND), reports(FIRST)) is Verdict.FAIL
    assert verdict(reports(FIRST, SECOND), reports(FIRST, SECOND)) is Verdict.PASS
    assert verdict(reports(FIRST), reports(FIRST, SECOND)) is Verdict.PASS


def test_of_code_that_changed_as_many_are_known_as_were() -> None:
    changed = ((61, "0x6a", "0xa0"), (80, "0x8a", "0xa0"))
    assert verdict(reports(changed[0]), reports(FIRST)) is Verdict.PASS
    assert verdict(reports(*changed), reports(FIRST)) is Verdict.FAIL
    assert verdict(reports(*changed), reports(FIRST, SECOND)) is Verdict.PASS


def test_what_several_guests_report_is_known_in_each() -> None:
    several = (*reports(FIRST), *reports(FIRST))
    assert told_apart(several, reports(FIRST)) == several
    assert told_apart(several, ()) == several
