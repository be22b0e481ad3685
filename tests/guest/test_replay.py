# SPDX-License-Identifier: GPL-2.0-or-later
"""A deterministic run comes back, to the byte, and another seed gives another run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from pinrace.arches import ABIS
from pinrace.engine.build import Lab
from pinrace.engine.cell import Bench
from pinrace.guest.machine import Replay
from pinrace.races.replay import run as replays
from pinrace.races.replay import stop as stops
from pinrace.races.replay import token as tokens
from pinrace.races.replay.run import Made, Once
from pinrace.races.torture.run import torture
from pinrace.races.trials.jobs import MOST_SECONDS, job_name
from pinrace.races.trials.values import TorturePlan
from pinrace.series.manifest import feature_of
from pinrace.values import Cell, Verdict

# An ABI's first run is made in one worker.
EVERY_ABI = [pytest.param(abi, marks=pytest.mark.xdist_group(f"replay-{abi}")) for abi in ABIS]
GetLab = Callable[..., Lab]
FirstRun = Callable[[str], tuple[Once, Path]]


def made(lab: Lab, abi: str, seed: int, job: str) -> Made:
    machine = replays.get_replay_machine(ABIS[abi].arch, Replay(seed), 2)
    kernel = lab.patched.kernels[ABIS[abi].arch, "plain"]
    return Made(kernel, lab.patched.images[abi], machine, replays.get_jobs(job, seed))


@pytest.fixture(scope="session")
def first_run(get_lab: GetLab, tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    """The race of seed 7 on an ABI, run once for all tests, and where it left its files."""

    @cache
    def run(abi: str) -> tuple[Once, Path]:
        folder = tmp_path_factory.mktemp(abi)
        return replays.run_once(made(get_lab(abi), abi, 7, "race"), folder), folder

    return run


@pytest.mark.parametrize("abi", EVERY_ABI)
def test_the_race_repeats_itself(
    abi: str, get_lab: GetLab, first_run: FirstRun, tmp_path: Path
) -> None:
    lab, (first, _) = get_lab(abi), first_run(abi)
    second, other = (
        replays.run_once(made(lab, abi, seed, "race"), tmp_path / str(seed)) for seed in (7, 8)
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


@pytest.mark.slow
def test_a_torture_that_fails_comes_back_by_its_token(get_lab: GetLab, tmp_path: Path) -> None:
    lab, cell = get_lab("arm"), Cell("arm64", "arm", "plain", "torture")
    plan = TorturePlan(7, MOST_SECONDS, trials=300, stop_at_first=True, broken="plain")
    this = made(lab, "arm", plan.seed, job_name(plan))
    on = Bench(this.kernel, this.image, this.machine, promised=feature_of(lab.patched.tree.series))
    result = torture(cell, on, plan, tmp_path / "first")
    assert result.verdict is Verdict.FAIL
    assert result.notes[0].startswith(f"deterministic: {result.trials} trials of seed 7")
    said = replays.fingerprint(tmp_path / "first")
    tree_id = lab.patched.tree.tree_id
    token = replays.make_token(this, said, tree="debian:7.3", patched=tree_id, abi="arm")
    read = tokens.parse(str(token))
    once = replays.run_once(made(lab, "arm", read.replay.seed, read.job), tmp_path / "again")
    assert once.fingerprint == read.fingerprint
    assert once.failure == result.reason


def stopped(
    this: Made, where: stops.Place, folder: Path, capfd: pytest.CaptureFixture[str], *look: str
) -> str:
    """Return what gdb said where it stopped."""
    more = (*look, "p/x $pc", "kill", "quit")
    stops.in_gdb(this, folder / "stopped", folder / "gdb", where, more=more, say=print)
    return capfd.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("gdb-multiarch"), reason="no gdb-multiarch")
@pytest.mark.parametrize(
    ("abi", "job"),
    [
        ("arm64", "seek-plain-60.2.2"),
        ("arm64", "torture-300.first.plain"),
        ("x86_64", "meet-use-timer-400"),
    ],
)
def test_gdb_stops_before_the_round_that_failed(
    abi: str, job: str, get_lab: GetLab, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    this = made(get_lab(abi), abi, 7, job)
    where = stops.place(replays.run_once(this, tmp_path / "whole"), None)
    assert where.what.startswith("before round ")
    assert f"= {where.spec.removeprefix('*')}" in stopped(this, where, tmp_path, capfd)


@pytest.mark.skipif(not shutil.which("gdb-multiarch"), reason="no gdb-multiarch")
@pytest.mark.parametrize("abi", [EVERY_ABI[0], EVERY_ABI[-1]])
def test_a_replay_is_the_same_until_someone_stops_it(
    abi: str,
    get_lab: GetLab,
    first_run: FirstRun,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    this = made(get_lab(abi), abi, 7, "race")
    whole, kept = first_run(abi)
    at = int(whole.race["rounds"]) // 2
    where = stops.place(whole, at)
    said = stopped(this, where, tmp_path, capfd, f"x/gx {stops.PROGRESS:#x}")
    assert f"0x{whole.race['half']}" in said, said
    if abi != "arm":  # QEMU's stub gives the last pc that an AArch32 task's kernel had
        assert f"= {stops.MARKS + at * stops.MARK_SIZE:#x}" in said, said

    talked: list[bool] = []
    stops.with_shell(
        this,
        tmp_path / "shell",
        lambda _: talked.append(stops.same_until_done(kept, tmp_path / "shell")),
    )
    assert talked == [True]


@pytest.mark.slow
@pytest.mark.parametrize("abi", EVERY_ABI)
def test_what_is_pinned_is_never_lost(abi: str, get_lab: GetLab, tmp_path: Path) -> None:
    once = replays.run_once(made(get_lab(abi), abi, 7, "race-pinned"), tmp_path)
    assert once.race["lost"] == "0", once.race
    assert int(once.race["kept"]) > 0, once.race
