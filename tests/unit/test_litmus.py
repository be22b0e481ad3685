# SPDX-License-Identifier: GPL-2.0-or-later
"""Litmus tests of memory order: what they are, and what their outcomes amount to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pinrace.arches import ABIS
from pinrace.paths import ROOTFS
from pinrace.races.race import folder, litmus
from pinrace.races.race.program import SIDES_CFLAGS
from pinrace.races.race.ways import Tried
from pinrace.values import Cell, Verdict

NAMES = sorted(path.name for path in litmus.TESTS.iterdir())
LOST = Tried("spin", "two loads went before two stores", 7, first=6)
KEPT = Tried("spin", tries=3000)
DEAF = Tried("control", tries=1)


@pytest.mark.parametrize("abi", ABIS)
@pytest.mark.parametrize("name", NAMES)
def test_they_compile_without_a_warning(abi: str, name: str) -> None:
    race = folder.load(litmus.TESTS / name)
    include = ["-I", ROOTFS / "lib", "-I", ROOTFS / "lib/race", "-O2"]
    line = [f"{ABIS[abi].cross}gcc", *SIDES_CFLAGS, "-Werror", *include, "-fsyntax-only"]
    subprocess.run([*line, race.folder / race.source], check=True)
    assert race.control


@pytest.mark.parametrize(
    ("name", "tried", "control", "verdict"),
    [
        ("store-buffering", LOST, LOST, Verdict.PASS),
        ("store-buffering", KEPT, LOST, Verdict.PASS),
        ("store-buffering-fenced", KEPT, LOST, Verdict.PASS),
        ("store-buffering-fenced", LOST, LOST, Verdict.FAIL),
        ("store-buffering", LOST, DEAF, Verdict.INCONCLUSIVE),
        ("store-buffering", Tried("spin"), LOST, Verdict.INCONCLUSIVE),
        ("store-buffering", Tried("spin", missing="no boot"), LOST, Verdict.MISS),
    ],
)
def test_what_is_seen_is_no_fault_unless_nothing_may_show_it(
    name: str, tried: Tried, control: Tried, verdict: Verdict
) -> None:
    cell = Cell("arm64", "arm", "plain", f"litmus-{name}")
    result = litmus.judge(cell, tried, control, Path(), 1.0)
    assert result.verdict is verdict
    assert result.new == (("outcome",) if verdict is Verdict.FAIL else ())
    assert result.cases[0].status is verdict.case_status
