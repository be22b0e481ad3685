# SPDX-License-Identifier: GPL-2.0-or-later
"""Which case is which in another run."""

from __future__ import annotations

import pytest

from pinrace.judge.match import keyed, normal, pair
from pinrace.values import CaseResult, CaseStatus


def cases(*names: str, bad: bool = False) -> list[CaseResult]:
    return [CaseResult(name, CaseStatus.FAIL if bad else CaseStatus.PASS) for name in names]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[1297] child came back", "[1312] child came back"),
        ("map at 0x7f12ab00", "map at 0x7e99cd00"),
        ("page ffff888012345678 is there", "page ffff8880aa345678 is there"),
        ("child 4711 left", "child 815 left"),
        ("pid=17 left", "pid=1234 left"),
        ("woke after 12 ms", "woke after 170 ms"),
        ("took 0.003512 seconds", "took 1.2 seconds"),
        ("at 12:04:59", "at 23:59:01"),
        ("open /proc/17/mem", "open /proc/4242/mem"),
        ("inode 1712 is gone", "inode 98 is gone"),
        ("port 40001 answers", "port 51312 answers"),
        ("reads fd 3", "reads fd 4"),
        ("descriptor 7 is closed", "descriptor 12 is closed"),
        ("lives through 100234 iterations", "lives through 99871 iterations"),
        ("gives up after 3 retries", "gives up after 11 retries"),
        (
            "set 1b4e28ba-2fa1-11d2-883f-0016d3cca427",
            "set 0c5f39cb-3fb2-22e3-994f-1127e4ddb538",
        ),
        ("open /tmp/cup.aXk12z", "open /tmp/cup.Zq9981"),
    ],
)
def test_what_varies_is_the_same(one: str, other: str) -> None:
    assert normal(one) == normal(other)
    assert pair(cases(one, bad=True), cases(other, bad=True)) == {0: 0}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("read 4096 bytes", "read 8192 bytes"),
        ("port 80", "port 81"),
        ("cpu 1", "cpu 2"),
        ("c04_open", "c05_open"),
    ],
)
def test_what_tells_cases_apart_stays(one: str, other: str) -> None:
    assert normal(one) != normal(other)


def test_names_may_repeat() -> None:
    assert [key for key, _ in keyed(cases("a", "b", "a"))] == ["a", "b", "a [2]"]
    assert pair(cases("a", "b", "a"), cases("a", "a")) == {0: 0, 2: 1}


def test_where_there_is_a_choice_nothing_is_paired() -> None:
    before = [*cases("[1] x", bad=True), *cases("[2] x")]
    assert pair(cases("[3] x", "[4] x"), before) == {}
    assert pair(cases("[3] x"), cases("[1] x", "[2] x")) == {}
    assert pair(cases("[3] x", "[4] x"), cases("[1] x", "[2] x")) == {0: 0, 1: 1}
