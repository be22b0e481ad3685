# SPDX-License-Identifier: GPL-2.0-or-later
"""A deterministic run comes back, to the byte, and another seed gives another run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.arches import ABIS
from harness.guest.machine import Replay
from harness.replay import run as replays
from harness.replay import token as tokens
from harness.replay.run import Made
from harness.stages import Lab

EVERY_ABI = [pytest.param(abi, marks=pytest.mark.xdist_group(ABIS[abi].arch)) for abi in ABIS]
GetLab = Callable[..., Lab]


def made(lab: Lab, abi: str, seed: int, job: str) -> Made:
    machine = replays.get_replay_machine(ABIS[abi].arch, Replay(seed), 2)
    kernel = lab.patched.kernels[ABIS[abi].arch, "plain"]
    return Made(kernel, lab.patched.images[abi], machine, replays.get_jobs(job, seed))


@pytest.mark.parametrize("abi", EVERY_ABI)
def test_the_race_repeats_itself(abi: str, get_lab: GetLab, tmp_path: Path) -> None:
    lab = get_lab(abi)
    first, second, other = (
        replays.run_once(made(lab, abi, seed, "race"), tmp_path / str(number))
        for number, seed in enumerate((7, 7, 8))
    )
    assert first.race["fingerprint"] == second.race["fingerprint"]
    assert first.fingerprint == second.fingerprint
    assert other.fingerprint != first.fingerprint
    assert first.mixed, first.race
    assert first.race["broken"] == "0"
    token = replays.make_token(
        made(lab, abi, 7, "race"),
        first.fingerprint,
        tree="debian:7.3",
        patched=lab.patched.tree.tree_id,
        abi=abi,
    )
    assert tokens.parse(str(token)) == token


@pytest.mark.parametrize("abi", EVERY_ABI)
def test_what_is_pinned_is_never_lost(abi: str, get_lab: GetLab, tmp_path: Path) -> None:
    once = replays.run_once(made(get_lab(abi), abi, 7, "race-pinned"), tmp_path)
    assert once.race["lost"] == "0", once.race
    assert int(once.race["kept"]) > 0, once.race
