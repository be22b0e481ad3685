# SPDX-License-Identifier: GPL-2.0-or-later
"""The KTAP parser: every way to report a result, and every way to lose one."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinrace.suites.ktap import MAX_MISSING, Ktap, parse
from pinrace.values import CaseStatus as S

GOLDEN = Path(__file__).parent.parent / "golden"
HEAD = "TAP version 13\n"


def statuses(text: str) -> dict[str, S]:
    return {case.name: case.status for case in parse(text).flatten()}


@pytest.mark.parametrize(
    ("line", "name", "status", "reason"),
    [
        ("ok 1 a", "a", S.PASS, ""),
        ("ok 1 - a b", "a b", S.PASS, ""),
        ("ok 1", "#1", S.PASS, ""),
        ("not ok 1 a", "a", S.FAIL, ""),
        ("not ok 1 a # exit=1", "a", S.FAIL, "exit=1"),
        ("ok 1 a # rcode=0", "a", S.PASS, "rcode=0"),
        ("ok 1 a # SKIP no such thing", "a", S.SKIP, "no such thing"),
        ("not ok 1 a # SKIP", "a", S.SKIP, ""),
        ("ok 1 # SKIP a", "a", S.SKIP, "a"),
        ("ok 1 a # skipped: why", "a", S.SKIP, "why"),
        ("ok 1 a #SKIP why", "a", S.SKIP, "why"),
        ("ok 1 a # XFAIL known", "a", S.XFAIL, "known"),
        ("not ok 1 a # XFAIL known", "a", S.XFAIL, "known"),
        ("not ok 1 a # TODO later", "a", S.XFAIL, "later"),
        ("ok 1 a # TODO later", "a", S.PASS, "later"),
        ("ok 1 a # XPASS oh", "a", S.PASS, "oh"),
        ("not ok 1 a # TIMEOUT 45 seconds", "a", S.TIMEOUT, "45 seconds"),
        ("ok 1 a # TIMEOUT 45 seconds", "a", S.TIMEOUT, "45 seconds"),
        ("not ok 1 a # ERROR it broke", "a", S.ERROR, "it broke"),
        ("not ok 1 # error a", "a", S.ERROR, "a"),
        ("ok 1 issue #3 is gone", "issue #3 is gone", S.PASS, ""),
        ("[    1.250000] ok 1 a", "a", S.PASS, ""),
        ("[    1.250000][  T123] not ok 1 a", "a", S.FAIL, ""),
        ("ok 1 a\r", "a", S.PASS, ""),
    ],
)
def test_result_line(line: str, name: str, status: S, reason: str) -> None:
    (case,) = parse(f"{HEAD}1..1\n{line}\n").flatten()
    assert (case.name, case.status, case.reason) == (name, status, reason)


def test_nested_by_spaces() -> None:
    """The example of Documentation/dev-tools/ktap.rst."""
    text = """KTAP version 1
1..1
  KTAP version 1
  1..3
    KTAP version 1
    1..1
    # test_1: initializing test_1
    ok 1 test_1
  ok 1 example_test_1
    KTAP version 1
    1..2
    ok 1 test_1 # SKIP test_1 skipped
    ok 2 test_2
  ok 2 example_test_2
    KTAP version 1
    1..3
    ok 1 test_1
    # test_2: FAIL
    not ok 2 test_2
    ok 3 test_3 # SKIP test_3 skipped
  not ok 3 example_test_3
not ok 1 main_test
"""
    assert statuses(text) == {
        "main_test/example_test_1/test_1": S.PASS,
        "main_test/example_test_2/test_1": S.SKIP,
        "main_test/example_test_2/test_2": S.PASS,
        "main_test/example_test_3/test_1": S.PASS,
        "main_test/example_test_3/test_2": S.FAIL,
        "main_test/example_test_3/test_3": S.SKIP,
    }
    by_name = {case.name: case for case in parse(text).flatten()}
    assert by_name["main_test/example_test_3/test_2"].lines == ("    # test_2: FAIL",)


def test_what_a_case_of_the_harness_prints_as_a_result_is_a_remark() -> None:
    """A case that calls a function of kselftest.h has two results; the harness's is its own."""
    text = """TAP version 13
1..3
#  RUN           f.first ...
ok 1 # SKIP nothing to look at
#            OK  f.first
ok 1 f.first
#  RUN           f.second ...
ok 2 # SKIP no such call
not ok 3 in the midst
#          FAIL  f.second
not ok 2 f.second
#  RUN           f.third ...
#            OK  f.third
ok 3 f.third
"""
    found = statuses(text)
    assert (found["f.first"], found["f.second"]) == (S.PASS, S.FAIL)
    assert found["in the midst"].bad  # a failure is believed wherever it is
    assert len(found) == 4
    one = next(case for case in parse(text).flatten() if case.name == "f.first")
    assert "ok 1 # SKIP nothing to look at" in one.lines


KSELFTEST = """TAP version 13
1..3
# timeout set to 45
# selftests: seccomp: seccomp_bpf
# TAP version 13
# 1..2
# # Starting 2 tests from 1 test cases.
# #  RUN           global.a ...
# #            OK  global.a
# ok 1 global.a
# # b: Test terminated by timeout
# #          FAIL  global.b
# not ok 2 global.b
# # FAILED: 1 / 2 tests passed.
# # Totals: pass:1 fail:1 xfail:0 xpass:0 skip:0 error:0
not ok 1 selftests: seccomp: seccomp_bpf # exit=1
# selftests: seccomp: benchmark
# hello
not ok 2 selftests: seccomp: benchmark # TIMEOUT 45 seconds
# selftests: x: y
ok 3 selftests: x: y # SKIP
"""


def test_nested_by_hashes() -> None:
    """What kselftest/runner.sh makes of its tests' own output."""
    assert statuses(KSELFTEST) == {
        "selftests: seccomp: seccomp_bpf/global.a": S.PASS,
        "selftests: seccomp: seccomp_bpf/global.b": S.TIMEOUT,
        "selftests: seccomp: benchmark": S.TIMEOUT,
        "selftests: x: y": S.SKIP,
    }


def test_parent_that_timed_out_stays_beside_its_children() -> None:
    text = "TAP version 13\n1..1\n# TAP version 13\n# 1..2\n# ok 1 a\nnot ok 1 p # TIMEOUT 45 s\n"
    assert statuses(text) == {"p/a": S.PASS, "p/#2": S.ERROR, "p": S.TIMEOUT}


def test_parent_fails_by_itself() -> None:
    text = "TAP version 13\n1..1\n# TAP version 13\n# 1..1\n# ok 1 a\nnot ok 1 p # exit=1\n"
    assert statuses(text) == {"p/a": S.PASS, "p": S.FAIL}


def test_lines_belong_to_the_result_they_precede() -> None:
    text = (
        f"{HEAD}1..2\n# one\nunknown\n[    2.000000] random: crng\nok 1 a\n# two\nok 2 b\n# end\n"
    )
    ktap = parse(text)
    first, second = ktap.flatten()
    assert first.lines == ("# one", "unknown", "[    2.000000] random: crng")
    assert second.lines == ("# two",)
    assert ktap.lines == ("# end",)


def test_remark_that_looks_like_a_result() -> None:
    assert statuses(f"{HEAD}1..1\n# ok 2 is what I want\n  ok 3 deep\nok 1 a\n") == {"a": S.PASS}


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("", {"(results)": S.ERROR}),
        ("hello\n", {"(results)": S.ERROR}),
        (HEAD, {"(results)": S.ERROR}),
        (f"{HEAD}1..0\n", {"(results)": S.ERROR}),
        (f"{HEAD}1..3\nok 1 a\nok 3 c\n", {"#2": S.ERROR}),
        (f"{HEAD}1..3\nok 1 a\n", {"#2": S.ERROR, "#3": S.ERROR}),
        (f"{HEAD}ok 1 a\n", {"(plan)": S.ERROR}),
        ("1..1\nok 1 a\n", {}),
        (f"{HEAD}1..2\nok 2 b\nok 1 a\n", {}),
        (f"{HEAD}1..1\nok 1 a\nok 1 b\n", {"b": S.ERROR}),
        (f"{HEAD}1..1\nok 1 a\nok 2 b\n", {"b": S.ERROR}),
        (f"{HEAD}1..1\nok 0 z\nok 1 a\n", {"z": S.ERROR}),
        (f"{HEAD}1..1\n1..2\nok 1 a\nok 2 b\n", {"(plan)": S.ERROR}),
        (f"{HEAD}1..2\nok 1 a\nBail out! no memory\n", {"(bail out)": S.ERROR, "#2": S.ERROR}),
        (f"{HEAD}1..2\nok 1 a\nok 2 b", {"b": S.ERROR}),
        (f"{HEAD}1..2\nok 1 a\nok", {"#2": S.ERROR}),
        (f"{HEAD}1..1\n  KTAP version 1\n  1..1\n  ok 1 a\n", {"(group)": S.ERROR, "#1": S.ERROR}),
        (f"{HEAD}1..1\nok 1 a\n{HEAD}1..1\n", {"#1": S.ERROR}),
        (f"{HEAD}1..999999999\nok 1 a\n", {"(missing)": S.ERROR}),
        (f"{HEAD}1..1\nok 99999999999999999999 a\n", {"#1": S.ERROR}),
    ],
)
def test_what_is_lost_or_wrong_is_an_error(text: str, bad: dict[str, S]) -> None:
    cases = parse(text, ended=False).flatten()
    assert {case.name: case.status for case in cases if case.status.bad} == bad


def test_skip_of_everything() -> None:
    (case,) = parse(f"{HEAD}1..0 # SKIP no seccomp\n").flatten()
    assert (case.status, case.reason) == (S.SKIP, "no seccomp")


def test_plan_at_the_end() -> None:
    assert statuses(f"{HEAD}ok 1 a\nok 2 b\n1..2\n") == {"a": S.PASS, "b": S.PASS}


def test_subtest_header_and_a_group_without_plan() -> None:
    """What KUnit prints for a parametrised case: four spaces a level, and no plan."""
    text = """KTAP version 1
1..1
    KTAP version 1
    # Subtest: suite
    # module: m
    1..1
        KTAP version 1
        # Subtest: case
        ok 1 p1
        ok 2 p2
    ok 1 case
ok 1 suite
"""
    assert statuses(text) == {"suite/case/p1": S.PASS, "suite/case/p2": S.PASS}


def test_group_that_tested_nothing() -> None:
    inner = "# TAP version 13\n# 1..0\n"
    assert statuses(f"{HEAD}1..1\n{inner}ok 1 a\n") == {"a/(results)": S.ERROR}
    assert statuses(f"{HEAD}1..1\n{inner}ok 1 a # SKIP\n") == {"a": S.SKIP}
    skip = inner.replace("1..0", "1..0 # SKIP no root")
    assert statuses(f"{HEAD}1..1\n{skip}ok 1 a\n") == {"a/(all)": S.SKIP}


def test_indented_by_tabs() -> None:
    """As KUnit did before 5.15, with TAP 14's remark for a header."""
    text = "TAP version 14\n1..1\n\t# Subtest: s\n\t1..1\n\tok 1 - a\nok 1 - s\n"
    assert statuses(text) == {"s/a": S.PASS}


def test_timeout_belongs_to_the_named_test_only() -> None:
    text = f"{HEAD}1..1\n# other: Test terminated by timeout\nnot ok 1 global.a\n"
    assert statuses(text) == {"global.a": S.FAIL}


WORDS = st.sampled_from(
    [
        "TAP version 13",
        "KTAP version 1",
        "1..3",
        "1..0 # SKIP x",
        "1..2",
        "ok 1 a",
        "ok 2 b # SKIP",
        "not ok 3 c",
        "ok 2",
        "Bail out!",
        "# Subtest: s",
        "# remark",
        "[    1.000000] printk",
        "",
        "ok",
        "ok 1 x {",
        "{",
        "}",
        "---",
        "...",
        "# selftests: a: b",
        "# Totals: pass:1 fail:0",
    ]
)
INDENTS = st.sampled_from(["", "  ", "\t", "# ", "# # ", "    ", "  # ", " "])
LINES = st.lists(st.builds(lambda i, w: i + w, INDENTS, WORDS), max_size=30)


@settings(deadline=None)  # a loaded machine is no fault
@given(st.one_of(st.text(), LINES.map("\n".join), LINES.map(lambda x: "\n".join(x) + "\n")))
def test_never_raises_and_never_is_empty(text: str) -> None:
    ktap = parse(text)
    assert isinstance(ktap, Ktap)
    assert ktap.flatten()


@settings(deadline=None)  # a loaded machine is no fault
@given(LINES)
def test_no_line_is_lost(lines: list[str]) -> None:
    """What is no KTAP is kept, each line once and in the tree."""
    kept: list[str] = []

    def walk(results: object) -> None:
        for result in results:  # type: ignore[attr-defined]
            kept.extend(result.lines)
            walk(result.children)

    ktap = parse("\n".join([*lines, ""]))
    walk(ktap.results)
    kept += ktap.lines
    for line in set(lines):
        if line.strip(" #") in ("remark", "[    1.000000] printk"):
            assert kept.count(line) >= lines.count(line)


@settings(deadline=None)  # a loaded machine is no fault
@given(
    st.integers(min_value=1, max_value=60),
    st.sets(st.integers(min_value=1, max_value=60)),
    st.data(),
)
def test_every_planned_test_is_accounted_for(
    plan: int, lost: set[int], data: st.DataObject
) -> None:
    lines = [f"ok {n} t{n}" for n in range(1, plan + 1) if n not in lost]
    for at in sorted(data.draw(st.sets(st.integers(0, len(lines)), max_size=5)), reverse=True):
        lines.insert(at, "[    3.000000] noise")
    cases = parse("\n".join([HEAD.strip(), f"1..{plan}", *lines, ""])).flatten()
    assert len(cases) == plan
    gone = {int(re.sub(r"\D", "", c.name)) for c in cases if c.status is S.ERROR}
    assert gone == {n for n in lost if n <= plan}


@settings(deadline=None)  # a loaded machine is no fault
@given(st.integers(min_value=0, max_value=200))
def test_a_cut_never_makes_a_pass(at: int) -> None:
    """Whatever is cut off, not everything is good then."""
    text = f"{HEAD}1..3\n# a remark\nok 1 first\nok 2 second\nok 3 third # SKIP reason\n"
    part = text[:at]
    assert any(c.status.bad for c in parse(part, ended=False).flatten()) == (part != text)


def test_many_missing_are_summed_up() -> None:
    cases = parse(f"{HEAD}1..{MAX_MISSING + 1}\n").flatten()
    assert [case.name for case in cases] == ["(missing)"]


def test_endless_nesting_is_not_believed() -> None:
    text = "".join(f"{'  ' * n}KTAP version 1\n" for n in range(3000))
    assert parse(text).flatten()


@pytest.mark.parametrize(
    ("name", "good", "bad", "skipped"),
    [
        ("arm-seccomp_bpf", 97, 0, 15),
        ("i386-seccomp_bpf", 100, 0, 12),
        ("x86_64-seccomp_bpf", 104, 8, 0),
        ("arm64-pin_args", 54, 1, 0),
    ],
)
def test_what_guests_printed(name: str, good: int, bad: int, skipped: int) -> None:
    cases = parse((GOLDEN / f"{name}.ktap").read_text()).flatten()
    count = Counter("bad" if c.status.bad else c.status.value for c in cases)
    assert (count["PASS"] + count["XFAIL"], count["bad"], count["SKIP"]) == (good, bad, skipped)


def test_results_that_are_glued_together_are_read_one_by_one() -> None:
    glued = "".join(f"ok {i} a{i}[   1.{i:06d}] " for i in range(1, 9)) + "not ok 9 b"
    assert [case.status.value for case in parse(f"TAP version 13\n1..9\n{glued}\n").flatten()] == [
        *["PASS"] * 8,
        "FAIL",
    ]


def test_a_line_of_any_number_of_glued_results_is_read() -> None:
    glued = "".join(f"ok {i} a[   1.000000] " for i in range(1, 20_000))
    cases = parse(f"TAP version 13\n1..19999\n{glued}\n").flatten()
    assert any(case.status.bad for case in cases), "what is not read is missing"


def test_blocks_of_a_result_are_all_kept() -> None:
    text = "TAP version 13\n1..2\nok 1 a\n" + "  ---\n  x: 1\n  ...\n" * 3 + "ok 2 b\n"
    first, second = parse(text).flatten()
    assert (len(first.lines), second.lines) == (9, ())
