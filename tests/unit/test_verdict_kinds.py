# SPDX-License-Identifier: GPL-2.0-or-later
"""What programs print and how they exit, kind by kind, up to the verdict."""

from __future__ import annotations

from collections import Counter

import pytest

from pinrace.judge.verdict import Ending, Evidence, judge
from pinrace.suites.ktap import parse
from pinrace.values import Cell, CellResult

CELL = Cell("x86_64", "x86_64", "plain", "kitchen")
TAP = "TAP version 13\n"
KTAP = "KTAP version 1\n"
NONE = "the boiler says nothing of use\n"


def judged(
    text: str, status: int | None = 0, base: str | None = None, **more: object
) -> CellResult:
    evidence = Evidence(Ending.DONE, job_status=status, **more)  # type: ignore[arg-type]
    before = parse(base).flatten() if base is not None else None
    return judge(CELL, evidence, parse(text).flatten(), (), before)


# name: (output, exit status, output of the unpatched tree or None, verdicts that are right)
KINDS: dict[str, tuple[str, int, str | None, str]] = {
    "good before, TODO now": (
        f"{TAP}1..2\nok 1 a\nnot ok 2 b # TODO boil it\n",
        0,
        f"{TAP}1..2\nok 1 a\nok 2 b\n",
        "INCONCLUSIVE",
    ),
    "TODO before and now": (
        f"{TAP}1..2\nok 1 a\nnot ok 2 b # TODO boil it\n",
        0,
        f"{TAP}1..2\nok 1 a\nnot ok 2 b # TODO boil it\n",
        "PASS",
    ),
    "good before, XFAIL now": (
        f"{TAP}1..2\nok 1 a\nok 2 b # XFAIL cold\n",
        0,
        f"{TAP}1..2\nok 1 a\nok 2 b\n",
        "INCONCLUSIVE",
    ),
    "good": (f"{TAP}1..2\nok 1 a\nok 2 b\n", 0, None, "PASS"),
    "windows line ends": (f"{TAP}1..2\nok 1 a\nok 2 b\n".replace("\n", "\r\n"), 0, None, "PASS"),
    "byte order mark": (f"\ufeff{TAP}1..1\nok 1 a\n", 0, None, "PASS"),
    "NULs": (f"{TAP}1..2\n\0\0ok 1 a\nok 2 b\0\n", 0, None, "PASS"),
    "colours": (f"{TAP}1..1\n\x1b[1;32mok 1 a\x1b[0m\n", 0, None, "PASS"),
    "progress": (f"{TAP}1..1\n 3%\r 99%\rok 1 a\n", 0, None, "PASS"),
    "no last newline": (f"{TAP}1..1\nok 1 a", 0, None, "PASS"),
    "cut within a letter": (f"{TAP}1..2\nok 1 a\nok 2 caf\ufffd", 0, None, "FAIL"),
    # YAML, subtests, several documents
    "YAML": (f"{TAP}1..2\nok 1 a\n  ---\n  not ok 2 b\n  1..9\n  ...\nok 2 b\n", 0, None, "PASS"),
    "YAML without end": (f"{TAP}1..2\nok 1 a\n  ---\n  x: 1\nok 2 b\n", 0, None, "PASS"),
    "subtest": (
        f"{TAP}1..1\n# Subtest: s\n    1..2\n    ok 1 a\n    ok 2 b\nok 1 s\n",
        0,
        None,
        "PASS",
    ),
    "subtest, plan last": (
        f"{TAP}1..1\n# Subtest: s\n    ok 1 a\n    not ok 2 b\n    1..2\nok 1 s\n",
        0,
        None,
        "FAIL",
    ),
    "subtest by tabs": (f"{TAP}1..1\n\t# Subtest: s\n\t1..2\n\tok 1 a\nok 1 s\n", 0, None, "FAIL"),
    "subtest in braces": (f"{TAP}1..1\nok 1 s {{\n    1..1\n    not ok 1 a\n}}\n", 0, None, "FAIL"),
    "subtest in braces, good": (
        f"{TAP}1..1\nok 1 s # t=1\n{{\n    1..1\n    ok x\n}}\n",
        0,
        None,
        "PASS",
    ),
    "brace before a note": (
        f"{TAP}1..1\nok 1 s {{ # t=1\n    not ok x\n    1..1\n}}\n",
        0,
        None,
        "FAIL",
    ),
    "the inner group first": (
        f"{TAP}        ok 1 a\n        1..1\n    ok 1 g\n    1..1\nok 1 h\n1..1\n",
        0,
        None,
        "PASS",
    ),
    "version behind the plan": (f"1..1\n{TAP}ok 1 a\n", 0, None, "PASS"),
    "group without heads": (f"{KTAP}1..1\n  ok 1 a\n  not ok 2 b\nok 1 g\n", 0, None, "FAIL"),
    "remark that is indented": (f"{KTAP}1..1\n  not ok 2 would be\nok 1 g\n", 0, None, "PASS"),
    "remark that is a plan": (f"{KTAP}1..1\n# 1..3\nok 1 g\n", 0, None, "PASS"),
    "remark that is a version": (
        f"{KTAP}1..1\n  {KTAP}  1..1\n# {KTAP}  ok 1 a\nok 1 g\n",
        0,
        None,
        "PASS",
    ),
    "runner.sh, no version": (
        f"{TAP}1..1\n# selftests: x: y\n# 1..2\n# ok 1 a\n# not ok 2 b\nok 1 selftests: x: y\n",
        0,
        None,
        "FAIL",
    ),
    "two documents": (f"{TAP}1..1\nok 1 a\n{TAP}1..2\nok 1 b\nok 2 c\n", 0, None, "PASS"),
    "two, no version": ("1..1\nok 1 a\n1..1\nok 1 b\n", 0, None, "PASS"),
    "two, the second cut": (f"{TAP}1..1\nok 1 a\n{TAP}1..2\nok 1 b\n", 0, None, "FAIL"),
    "two, the first empty": (f"{TAP}1..2\n{TAP}1..2\nok 1 a\nok 2 b\n", 0, None, "INCONCLUSIVE"),
    # Directives
    "odd blanks": (f"{TAP}1..2\nok\t1  -  a   #   SKIP   no dev  \nok  2 b\n", 0, None, "PASS"),
    "not ok and skip": (f"{TAP}1..2\nok 1 a\nnot ok 2 # skip\n", 0, None, "PASS"),
    "escaped": (f"{TAP}1..2\nok 1 a\nnot ok 2 b \\# SKIP\n", 0, None, "FAIL"),
    "a count of skips": (f"{TAP}1..2\nok 1 a\nnot ok 2 b # skip=3 fail=1\n", 0, None, "FAIL"),
    "a word that begins so": (f"{TAP}1..2\nok 1 a\nnot ok 2 b # SKIPPED 3\n", 0, None, "FAIL"),
    "no errors": (f"{TAP}1..1\nok 1 a # errors: 0\n", 0, None, "PASS"),
    "an error that is ok": (f"{TAP}1..2\nok 1 a\nok 2 b # ERROR no answer\n", 0, None, "FAIL"),
    # Numbers and plans
    "no numbers": ("1..3\nok\nok - b\nok c\n", 0, None, "PASS"),
    "no numbers, one lost": ("1..3\nok - a\nok - b\n", 0, None, "FAIL"),
    "words that begin with ok": (f"{TAP}1..2\nok 1 a\nok then\n", 0, None, "FAIL"),
    "plan last": (f"{TAP}ok 1 a\nok 2 b\n1..2 # that is all\n", 0, None, "PASS"),
    "numbers restart": (f"{TAP}1..2\nok 1 a\nok 1 b\n", 0, None, "FAIL"),
    "behind the totals": (
        f"{TAP}1..2\nok 1 a\n# Totals: pass:1 fail:0\nnot ok 2 b\n",
        0,
        None,
        "FAIL",
    ),
    "totals for a plan": (f"{TAP}ok 1 a\n# Totals: pass:1 fail:0 skip:0\n", 0, None, "PASS"),
    "other totals": (f"{TAP}ok 1 a\n# Totals: pass:2 fail:0 skip:0\n", 0, None, "INCONCLUSIVE"),
    "bail out": (f"{TAP}1..1\nok 1 a\nBAIL OUT!\n", 0, None, "FAIL"),
    "empty plan": (f"{TAP}1..0\n", 0, None, "INCONCLUSIVE"),
    "empty plan, skips": (f"{TAP}1..0\n", 4, None, "SKIP"),
    "group that skips": (
        f"{KTAP}1..2\n  {KTAP}  1..0 # SKIP x\nok 1 a # SKIP\nok 2 b\n",
        0,
        None,
        "PASS",
    ),
    # Exit statuses
    "status alone, good": (NONE, 0, None, "PASS"),
    "status alone, bad": (NONE, 1, None, "FAIL"),
    "status alone, skip": (NONE, 4, None, "SKIP"),
    "status alone, xfail": (NONE, 2, None, "SKIP"),
    "status alone, 77": (NONE, 77, None, "FAIL"),
    "status alone, timeout(1)": (NONE, 124, None, "FAIL"),
    "status alone, killed": (NONE, 137, None, "FAIL"),
    "status alone, worse": (NONE, 134, NONE, "FAIL"),
    "good and 137": (f"{TAP}1..1\nok 1 a\n", 137, None, "FAIL"),
    "good and 4": (f"{TAP}1..1\nok 1 a\n", 4, None, "FAIL"),
    "a skip behind a plan": (f"{TAP}1..4\nok 1 # SKIP no pot\n", 4, None, "SKIP"),
    "... behind a failure": (f"{TAP}1..4\nnot ok 1 a\nok 2 # SKIP no pot\n", 4, None, "FAIL"),
    "... and no such status": (f"{TAP}1..4\nok 1 # SKIP no pot\n", 0, None, "FAIL"),
    "all expected": (f"{TAP}1..2\nok 1 a # XFAIL\nok 2 b # SKIP\n", 0, None, "SKIP"),
    # The unpatched tree
    "known": (f"{TAP}1..2\nok 1 a\nnot ok 2 b\n", 1, f"{TAP}1..2\nok 1 a\nnot ok 2 b\n", "PASS"),
    "known and 139": (
        f"{TAP}1..2\nok 1 a\nnot ok 2 b\n",
        139,
        f"{TAP}1..2\nok 1 a\nnot ok 2 b\n",
        "FAIL",
    ),
    "known and missing": (
        f"{TAP}1..3\nnot ok 1 a\nok 2 b\n",
        1,
        f"{TAP}1..3\nnot ok 1 a\nok 2 b\nok 3 c\n",
        "FAIL",
    ),
    "missing on both": (f"{TAP}1..2\nok 1 a\n", 0, f"{TAP}1..2\nok 1 a\n", "INCONCLUSIVE"),
    "given up on both": (
        f"{TAP}1..1\nok 1 a\nBail out!\n",
        1,
        f"{TAP}1..1\nok 1 a\nBail out!\n",
        "INCONCLUSIVE",
    ),
    "skips now": (
        f"{TAP}1..2\nok 1 a\nok 2 b # SKIP\n",
        0,
        f"{TAP}1..2\nok 1 a\nok 2 b\n",
        "INCONCLUSIVE",
    ),
    "gone now": (f"{TAP}1..1\nok 1 a\n", 0, f"{TAP}1..2\nok 1 a\nok 2 b\n", "INCONCLUSIVE"),
    "gone, no plan": (f"{TAP}ok 1 a\n", 0, f"{TAP}ok 1 a\nok 2 b\n", "FAIL|INCONCLUSIVE"),
    "the second of a name": (
        f"{TAP}1..2\nnot ok 1 a\nnot ok 2 a\n",
        1,
        f"{TAP}1..2\nnot ok 1 a\nok 2 a\n",
        "FAIL",
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_kind(name: str) -> None:
    text, status, base, right = KINDS[name]
    result = judged(text, status, base)
    assert result.verdict.value in right.split("|"), (result.reason, result.cases)
    assert result.reason


def test_known_failures_alone_are_no_worse() -> None:
    both = f"{TAP}1..1\nnot ok 1 a\n"
    result = judged(both, 1, both)
    assert (result.verdict.value, result.known) == ("PASS", ("a",))
    assert "no case is good" in result.reason
    silent = judged(NONE, 1, NONE)
    assert silent.verdict.value == "FAIL"  # what the base prints ended with status 0


def test_good_cases_are_counted_without_skips() -> None:
    result = judged(f"{TAP}1..3\nok 1 a\nok 2 b # SKIP x\nok 3 c # XFAIL y\n")
    assert result.reason == "1 case is good, 1 skipped"


def test_the_second_of_a_name_has_a_key_of_its_own() -> None:
    text = f"{TAP}1..3\nnot ok 1 a\nok 2 b\nnot ok 3 a\n"
    result = judged(text, 1, f"{TAP}1..3\nnot ok 1 a\nok 2 b\nok 3 a\n")
    assert (result.new, result.known) == (("a [2]",), ("a",))


def test_what_is_made_up_is_bounded() -> None:
    groups = "".join(f"  {KTAP}  1..4000\nok {n} g{n}\n" for n in range(1, 2001))
    cases = parse(f"{KTAP}1..2000\n{groups}").flatten()
    count = Counter(case.status.value for case in cases)
    assert count["ERROR"] < 4096 + 2000 + 1


@pytest.mark.parametrize("ends", [{"job_signal": 11}, {"timed_out": True}])
def test_a_program_that_did_not_exit_by_itself_passes_nothing(ends: dict[str, object]) -> None:
    for text in (NONE, f"{TAP}1..1\nok 1 a\n"):
        assert judged(text, None, text, **ends).verdict.value == "FAIL"
