# SPDX-License-Identifier: GPL-2.0-or-later
"""`-k`: the cases that it means, by the names that results have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pinrace.suites.shipped import SUITES
from pinrace.suites.suite import NO_MATCH, Suite, matches, pattern
from pinrace.values import CaseResult, CaseStatus

# What kselftest_harness.h prints for -l: %-20s %-25s %s, a block for each fixture.
ROWS = [
    ("# FIXTURE", "VARIANT", "TEST"),
    ("global", "", "boil"),
    ("", "", "pour"),
    None,
    ("TEA", "green", "steep"),
    ("", "a_variant_with_a_name_of_its_own", "pour"),
    ("", "black", ""),
    None,
    ("a_fixture_with_a_long_name", "", "cool"),
]


def listing() -> str:
    rule = "-" * 80
    rows = ("{:<20} {:<25} {}".format(*row) if row else rule for row in ROWS)
    return "".join(f"{row}\n" for row in rows)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    program = tmp_path / "program"
    program.write_text(
        f'#!/bin/sh\n[ "$1" != -l ] || {{ cat >&2 <<\'X\'\n{listing()}X\nexit 4; }}\necho "$@"\n'
    )
    program.chmod(0o755)
    return Suite("kitchen", str(program), 10, "", picks=True)


def run(suite: Suite, only: str) -> tuple[int, list[str]]:
    job = suite.job(only)
    done = subprocess.run(job.argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.replace("-r ", "").split()


@pytest.mark.parametrize(
    ("only", "names"),
    [
        ("boil", ["global.boil"]),
        ("GLOBAL.pour", ["global.pour"]),
        ("pour$", ["global.pour", "TEA.green.pour", *(f"TEA.{v}.pour" for v in ("a", "black"))]),
        ("TEA.green.steep", ["TEA.green.steep"]),
        ("black", ["TEA.black.steep", "TEA.black.pour"]),
        ("boil\\|cool", ["global.boil", "a_fixture_with_a_long_name.cool"]),
    ],
)
def test_a_program_that_lists_its_cases(suite: Suite, only: str, names: list[str]) -> None:
    long = "a_variant_with_a_name_of_its_own"
    status, found = run(suite, only)
    assert status == 0
    assert sorted(found) == sorted(name.replace(".a.", f".{long}.") for name in names)


def test_nothing_matches(suite: Suite) -> None:
    assert run(suite, "coffee") == (NO_MATCH, [])


def test_a_program_that_does_not_list_them_runs_whole() -> None:
    assert SUITES["smoke"].job("x").argv == SUITES["smoke"].job().argv


@pytest.mark.parametrize("name", ["global.boil", "group/case one", "a [2]", "[x] *y*", "tea (hot)"])
def test_a_name_as_tables_print_it_picks_its_case(name: str) -> None:
    plain = name.removesuffix(" [2]")
    cases = [CaseResult(plain, CaseStatus.PASS), CaseResult("other", CaseStatus.PASS)]
    suite = SUITES["smoke"]
    assert [case.name for case in suite.kept(cases, pattern(name))] == [plain]
    assert [case.name for case in suite.kept(cases, suite.only([name]))] == [plain]


def test_matching() -> None:
    assert matches("global.kcmp", "KCMP")
    assert matches("a/b", "a/b")
    assert matches("c04_open", "c05_\\|c04_")
    assert not matches("global.kcmp", "kcmpx")
    assert matches("what(", "what(")
