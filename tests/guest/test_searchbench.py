# SPDX-License-Identifier: GPL-2.0-or-later
"""A few of the search benchmark's attempts: what each way finds, and what it must not find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pinrace.arches import ABIS
from pinrace.engine.build import Lab
from pinrace.guest.machine import Replay
from pinrace.host.meter import Meter
from pinrace.races.benchmark import arms, holding, windows
from pinrace.races.benchmark import run as runs
from pinrace.races.benchmark.arms import Bench
from pinrace.races.benchmark.trial import Trial
from pinrace.races.benchmark.windows import SERIES
from pinrace.races.replay import run as replays
from pinrace.races.replay.run import Made, Once

GetLab = Callable[..., Lab]
WINDOWS = {window.name: window for window in windows.load()}
SLOW_WINDOWS = ("checked-path", "torn-data", "torn-vector")
LIMIT = 600.0  # CPU seconds: a bound, not a measure


def bench(lab: Lab, abi: str, window: str, folder: Path) -> Bench:
    kernel = lab.patched.kernels[ABIS[abi].arch, "plain"]
    return Bench(WINDOWS[window], kernel, lab.patched.images[abi], 1, folder)


@pytest.mark.parametrize("abi", ABIS)
@pytest.mark.parametrize(
    "window",
    [
        "torn-path",
        *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_WINDOWS),
    ],
)
def test_a_gate_is_sure(abi: str, window: str, get_lab: GetLab, tmp_path: Path) -> None:
    found = arms.gates(bench(get_lab(abi), abi, window, tmp_path), Meter(LIMIT))
    assert found.hit
    assert (found.boots, found.tries) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("abi", ["x86_64", "arm64"])
def test_a_blind_hold_finds_its_way(abi: str, get_lab: GetLab, tmp_path: Path) -> None:
    found = holding.blind(bench(get_lab(abi), abi, "checked-path", tmp_path), Meter(LIMIT))
    assert found.hit
    assert found.verdict.startswith("violated.")


def meet(lab: Lab, abi: str, job: str, folder: Path) -> Once:
    arch = ABIS[abi].arch
    machine = replays.get_replay_machine(arch, Replay(7), 2)
    kernel, image = lab.patched.kernels[arch, "plain"], lab.patched.images[abi]
    return replays.run_once(Made(kernel, image, machine, replays.get_jobs(job, 7)), folder)


@pytest.mark.slow
@pytest.mark.parametrize("abi", ABIS)
def test_a_seed_loses_the_race_each_time_and_a_pin_never(
    abi: str, get_lab: GetLab, tmp_path: Path
) -> None:
    lab = get_lab(abi)
    lost = [meet(lab, abi, "meet-use-timer-1000", tmp_path / str(n)) for n in (1, 2)]
    assert [once.race["lost"] for once in lost] == ["1", "1"]
    assert lost[0].fingerprint == lost[1].fingerprint
    kept = meet(lab, abi, "meet-torn-timer-100", tmp_path / "pinned")
    assert (kept.race["rounds"], kept.race["lost"]) == ("100", "0")


@pytest.mark.slow
def test_attempts_beside_each_other_are_kept_and_not_made_again(
    get_lab: GetLab, tmp_path: Path
) -> None:
    built = get_lab("arm64").patched
    kernels = {(SERIES, "arm64"): built.kernels["arm64", "plain"]}
    lab = runs.Lab(built.tree.base, kernels, built.images, tmp_path)
    window = WINDOWS["checked-path"]
    trials = [Trial(window.name, arm, "arm64", 1) for arm in ("seeds", "free", "holds")]
    assert runs.measure(lab, [window], trials, LIMIT, at_once=2) == 0
    found = {one.trial.arm: one for one in runs.results(lab, [window], LIMIT)}
    assert {arm: one.at_once for arm, one in found.items()} == {"seeds": 2, "free": 1, "holds": 2}
    assert all(one.hit and 0 < one.cpu_seconds < LIMIT for one in found.values())
    before = (tmp_path / runs.JOURNAL).read_bytes()
    assert runs.measure(lab, [window], trials, LIMIT, at_once=2) == 0
    assert (tmp_path / runs.JOURNAL).read_bytes() == before
