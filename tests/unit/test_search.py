# SPDX-License-Identifier: GPL-2.0-or-later
"""The search goes on from what covered something new, and makes a failure as small as it can."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from pinrace.guest.outcome import Ending, GuestRun, JobRun
from pinrace.races.replay import run as replays
from pinrace.races.replay.run import Once, get_jobs
from pinrace.races.seeds import bench
from pinrace.races.seeds.search import Found, Search, Trial, hunt, minimise


def search_from(seed: int) -> Search:
    return Search(random.Random(seed))  # noqa: S311 (no secret)


def test_it_keeps_what_covers_something_new() -> None:
    search = search_from(1)
    assert search.take(Found(Trial(1), pairs=0b11))
    assert not search.take(Found(Trial(2), pairs=0b10))
    assert search.take(Found(Trial(3), pairs=0b100))
    assert [trial.seed for trial in search.kept] == [1, 3]
    trials = search.next(10)
    assert any(trial.seed in (1, 3) for trial in trials)
    assert any(trial.seed not in (1, 3) for trial in trials)
    trials += search.next(200)
    assert len(set(trials)) == 210  # those that are one step from a kept one are soon all there
    assert all(1 <= t.mutators <= 4 and 0 <= t.points <= 8 for t in trials)


def test_it_is_the_same_search_for_the_same_seed() -> None:
    def several(trials: Sequence[Trial]) -> list[Found]:
        return [Found(trial, "lost" if trial.seed % 7 == 0 else "", 1) for trial in trials]

    found = [hunt(search_from(3), several, 100, 4) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0]
    assert found[0].trial.seed % 7 == 0


def test_it_ends_when_nothing_fails() -> None:
    search = search_from(3)
    assert hunt(search, lambda trials: [Found(trial, kept=7) for trial in trials], 10, 4) is None
    assert (search.ran, search.rounds, search.missing) == (10, 70, [])


def once(*recs: str, boot: float | None = 1.0, console: Path, ending: Ending = Ending.DONE) -> Once:
    job = JobRun("seek", status=0, recs=recs, output=b"Bail out! PIN_ARGS: EIO\n")
    run = GuestRun(ending, "why", (job,), (), (), {}, console, "", 1.0, boot, 1.0)
    return Once(run, "f", replays.race(run))


def test_what_could_not_run_is_no_failure_of_the_kernel(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    console.write_text("[    1.000000] Run /init as init process\n")
    line = "race rounds=9 kept={} lost={} denied=0 broken={} first_lost=3 pairs=00ff"
    trial = Trial(1)

    def found(*recs: str, boot: float | None = 1.0, ending: Ending = Ending.DONE) -> Found:
        return bench.found(trial, once(*recs, boot=boot, ending=ending, console=console))

    assert found(line.format(9, 0, 0)) == Found(trial, pairs=255, first=3, kept=9)
    assert found(line.format(8, 1, 0)).fails == "lost"
    assert found(line.format(8, 0, 1)).fails == "broken"
    assert found(ending=Ending.PANIC).fails == Ending.PANIC.value
    assert found() == Found(trial, missing="Bail out! PIN_ARGS: EIO")
    assert found(boot=None, ending=Ending.HANG) == Found(trial, missing="why")
    console.write_bytes((Path(__file__).parents[1] / "golden" / "arm64-warn.log").read_bytes())
    assert found(line.format(9, 0, 0)).fails == "warn"


def test_a_failure_is_made_smaller() -> None:
    def fails(trial: Trial) -> Found:
        bad = trial.rounds >= 7 and trial.points >= 2
        return Found(trial, "lost" if bad else "panic" if trial.rounds < 3 else "", first=40)

    least, used = minimise(fails(Trial(5, rounds=200, mutators=3, points=4)), fails, 40)
    assert (least.trial.mutators, least.trial.points) == (1, 2)
    assert 7 <= least.trial.rounds < 14
    assert used < 40


def test_no_more_runs_than_are_given() -> None:
    ran: list[Trial] = []

    def fails(trial: Trial) -> Found:
        ran.append(trial)
        return Found(trial, "lost")

    assert minimise(Found(Trial(5), "lost"), fails, 3)[1] == 3
    assert len(ran) == 3


def test_a_trial_names_its_job() -> None:
    (job,) = get_jobs(Trial(5, rounds=30, mutators=1, points=3).job("pinned"), 5)
    assert job.argv[1:] == ("5", "30", "pinned", "1", "3")
