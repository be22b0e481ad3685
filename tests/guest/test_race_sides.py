# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds in what a side's CPU does for it: interrupts, exit, exec; and sides that sleep."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinrace.races.race import folder, lab, ways
from pinrace.races.race.lab import Wanted

RACES = Path(__file__).parent / "races"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "abi"), [("sides", "x86_64"), ("sides", "arm"), ("calls", "i386"), ("calls", "arm64")]
)
def test_sides_are_held_wherever_they_are(name: str, abi: str, tmp_path: Path) -> None:
    race = folder.load(RACES / name)
    bench = lab.prepare(race, Wanted(abis=(abi,))).bench(abi, tmp_path)
    tried = ways.holds(bench, ways.lab_of(bench), 300.0)
    assert not tried.lost
    assert not tried.missing
    assert len(tried.hunts) == len(race.hold)
    for hunt in tried.hunts:
        assert hunt.tried > 0, hunt.window.window
        assert hunt.given_up.total() < hunt.tried, hunt.given_up
