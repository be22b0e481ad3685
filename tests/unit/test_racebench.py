# SPDX-License-Identifier: GPL-2.0-or-later
"""The measurement of races in folders: what is kept, and what its table says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pinrace.races.benchmark import folders
from pinrace.races.benchmark.folders import Attempt, Journal
from pinrace.races.race.folder import Race

ONE = Attempt("mine", "i386", "holds", 1, 60.0, 4.0, "a lock is left")


def row(*attempts: Attempt) -> list[str]:
    """The cells of the only race."""
    return [cell.strip() for cell in folders.table(attempts).splitlines()[2].split("|")[1:-1]]


def kept(number: int, cpu: float, arm: str = "naive") -> Attempt:
    return replace(ONE, arm=arm, number=number, cpu=cpu, lost="")


def test_what_was_made_is_not_made_again_unless_it_had_less_time(tmp_path: Path) -> None:
    path = tmp_path / "into" / "attempts.jsonl"
    Journal(path).add(ONE)
    again = Journal(path)
    assert again.attempts == [ONE]
    assert again.has("mine", "i386", "holds", 1, 60.0)
    assert not again.has("mine", "i386", "holds", 1, 120.0)
    assert not again.has("mine", "i386", "holds", 2, 60.0)
    assert not again.has("mine", "arm", "holds", 1, 60.0)


def test_an_attempt_that_a_crash_tore_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "attempts.jsonl"
    Journal(path).add(ONE)
    with path.open("a") as stream:
        stream.write('{"race": "mine", "ab')
    again = Journal(path)
    assert again.attempts == [ONE]
    again.add(replace(ONE, number=2))
    assert [one.number for one in Journal(path).attempts] == [1, 2]


def test_a_loss_after_the_budget_is_none_within_it() -> None:
    assert ONE.seconds == 4.0
    assert replace(ONE, cpu=61.0).seconds is None


def test_a_median_of_attempts_that_were_kept_is_more_than_what_they_spent() -> None:
    cells = row(kept(1, 61.0), kept(2, 70.0), replace(ONE, arm="naive", number=3), ONE)
    assert cells[2] == ">60 (1/3)"
    assert cells[6] == "4.0 (1/1)"
    assert cells[7] == ">15.0"


def test_a_naive_loop_that_is_as_good_gets_its_factor() -> None:
    assert row(replace(ONE, arm="naive", cpu=2.0), ONE)[7] == "0.5"


def test_what_has_nothing_left_to_try_does_not_look_like_time_that_ran_out() -> None:
    cells = row(replace(kept(1, 5.0, "holds"), all_made=True))
    assert cells[6] == "kept, all made (0/1)"


def test_what_could_not_be_run_is_no_attempt() -> None:
    bad = replace(kept(1, 1.0), missing="the guest did not boot")
    assert row(bad)[2] == "failed: the guest did not boot"
    assert row(bad, replace(ONE, arm="naive", number=2))[2] == "4.0 (1/1, 1 failed)"


def test_a_race_has_the_ways_that_its_folder_allows() -> None:
    assert folders.arms_of(Race(about="x"), "i386") == ("naive", "free", "seeds")
    assert folders.arms_of(Race(about="x", gate=True), "i386") == (
        "naive", "free", "gate", "seeds",
    )  # fmt: skip
    assert folders.arms_of(Race(about="x", kind="syz"), "i386") == ("free", "seeds")
