# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds in what a side's CPU does for it: interrupts, exit, exec; and sides that sleep."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinrace.races.race import folder, lab, ways
from pinrace.races.race.lab import Wanted

SIDES = Path(__file__).parent / "races/sides"


@pytest.mark.slow
@pytest.mark.parametrize("abi", ["x86_64", "arm"])
def test_sides_are_held_wherever_they_are(abi: str, tmp_path: Path) -> None:
    race = folder.load(SIDES)
    bench = lab.prepare(race, Wanted(abis=(abi,))).bench(abi, tmp_path)
    tried = ways.holds(bench, ways.lab_of(bench), 300.0)
    assert not tried.lost
    assert not tried.missing
    assert len(tried.hunts) == len(race.hold)
    for hunt in tried.hunts:
        assert hunt.tried > 0, hunt.window.window
        assert not hunt.given_up, hunt.window.window
