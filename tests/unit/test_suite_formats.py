# SPDX-License-Identifier: GPL-2.0-or-later
"""How the tests of suites say their results, and what a cell's document makes of them."""

from __future__ import annotations

import pytest

from pinrace.guest.outcome import JobRun
from pinrace.suites import ktap
from pinrace.suites.brought import Brought, compose
from pinrace.suites.formats import Format, Patterns
from pinrace.values import CaseStatus, Job


def cases(brought: Brought, jobs: tuple[Job, ...], **runs: JobRun) -> dict[str, CaseStatus]:
    """Return the cases of a composed document."""
    found = ktap.parse(compose(brought, jobs, runs)).flatten()
    return {case.name: case.status for case in found}


def job(name: str) -> Job:
    """A job whose program does not matter."""
    return Job(name, ("./x",), 45)


@pytest.mark.parametrize(
    ("run", "status"),
    [
        (JobRun("t", status=0), CaseStatus.PASS),
        (JobRun("t", status=1), CaseStatus.FAIL),
        (JobRun("t", status=2), CaseStatus.XFAIL),
        (JobRun("t", status=4), CaseStatus.SKIP),
        (JobRun("t", status=17), CaseStatus.FAIL),
        (JobRun("t", signal=11), CaseStatus.FAIL),
        (JobRun("t", signal=9, timed_out=True), CaseStatus.TIMEOUT),
        (JobRun("t", error="not run: the guest panicked"), CaseStatus.ERROR),
    ],
)
def test_an_exit_status_is_read_as_runner_sh_does(run: JobRun, status: CaseStatus) -> None:
    """A program without KTAP has its end as its result."""
    assert cases(Brought(), (job("t"),), t=run) == {"t": status}


def test_a_status_counts_beside_ktap_that_passes() -> None:
    """A program that says that all is well and ends badly is a failure, with its cases."""
    out = b"TAP version 13\n1..1\nok 1 a\n"
    got = cases(Brought(), (job("t"),), t=JobRun("t", status=1, output=out))
    assert got == {"t/a": CaseStatus.PASS, "t": CaseStatus.FAIL}


def test_a_bad_case_counts_beside_a_status_of_0() -> None:
    """A program that prints a failure and ends with 0 has failed that case."""
    out = b"TAP version 13\n1..2\nok 1 a\nnot ok 2 b\n"
    got = cases(Brought(), (job("t"),), t=JobRun("t", status=0, output=out))
    assert got["t/b"] is CaseStatus.FAIL


def test_a_forgotten_version_line_is_supplied() -> None:
    """Results without a version line are a program's cases all the same."""
    out = b"hello\n1..2\nok 1 a\nok 2 b\n"
    got = cases(Brought(), (job("t"),), t=JobRun("t", status=0, output=out))
    assert got == {"t/a": CaseStatus.PASS, "t/b": CaseStatus.PASS}


def test_what_does_not_build_is_told_from_what_never_did() -> None:
    """A test that the unpatched tree builds and this one does not is an error."""
    brought = Brought(absent={"a": "does not build: x.h"}, broken={"b": "does not build: y"})
    assert cases(brought, ()) == {"a": CaseStatus.SKIP, "b": CaseStatus.ERROR}


def test_no_test_at_all_is_a_skip() -> None:
    """An arch that a collection has nothing for."""
    assert list(cases(Brought(), ()).values()) == [CaseStatus.SKIP]


def test_ltp_lines_and_bits() -> None:
    """TBROK is an error, TCONF a skip, and a status is the sum of bits."""
    out = (
        b"tst_test.c:1890: TINFO: Timeout per run is 0h 00m 30s\n"
        b"futex_wait01.c:66: TPASS: futex_wait() passed: ETIMEDOUT (110)\n"
        b"\x1b[1;31mfutex_wait01.c:70: TFAIL: futex_wait() succeeded\x1b[0m\n"
        b"old01       1  TCONF  :  old01.c:12: needs a device\n"
    )
    brought = Brought(format=Format("ltp"))
    got = cases(brought, (job("f"),), f=JobRun("f", status=33, output=out))
    assert sorted(status.value for status in got.values()) == ["FAIL", "PASS", "SKIP"]
    ends = {0: "PASS", 1: "FAIL", 2: "ERROR", 4: "PASS", 32: "SKIP", 34: "ERROR", 16: "FAIL"}
    for status, word in ends.items():
        assert cases(brought, (job("f"),), f=JobRun("f", status=status))["f"].value == word


def test_junit_and_its_traps() -> None:
    """Cases of a report; one with entities is not read."""
    xml = (
        b"noise <testsuite><testcase classname='m' name='a'/>"
        b"<testcase name='b'><failure message='no'/></testcase>"
        b"<testcase name='c'><skipped/></testcase></testsuite> noise"
    )
    brought = Brought(format=Format("junit"))
    got = cases(brought, (job("p"),), p=JobRun("p", status=1, output=xml))
    assert got["p/m.a"] is CaseStatus.PASS
    assert got["p/b"] is CaseStatus.FAIL
    assert got["p/c"] is CaseStatus.SKIP
    bomb = b"<testsuite><!DOCTYPE x [<!ENTITY a 'b'>]><testcase name='a'/></testsuite>"
    for text in (bomb, b"", b"<testsuite>"):
        got = cases(brought, (job("p"),), p=JobRun("p", status=0, output=text))
        assert got == {"p/(results)": CaseStatus.ERROR}


def test_regex_takes_names_from_a_group() -> None:
    """The first pattern that matches a line decides, the bad one before the good one."""
    patterns = Patterns(ok=r"^(?P<name>\S+) done", bad=r"^(?P<name>\S+) .*broke")
    brought = Brought(format=Format("regex", patterns))
    out = b"one done\ntwo done but broke\nthree\none done\n"
    got = cases(brought, (job("r"),), r=JobRun("r", status=0, output=out))
    assert got == {
        "r/one": CaseStatus.PASS,
        "r/two": CaseStatus.FAIL,
        "r/one (2)": CaseStatus.PASS,
    }
