# SPDX-License-Identifier: GPL-2.0-or-later
"""A sweep keeps what it saw, whatever becomes of its guests: losses that no real guest makes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from pinrace import values
from pinrace.errors import InfrastructureError
from pinrace.guest.outcome import GuestRun
from pinrace.races.preempt import hunt as hunts
from pinrace.races.preempt import outcome
from pinrace.races.preempt.hunt import CONFIRM, CRASHED, Hunt
from pinrace.races.preempt.played import LostError, Played, Verdict
from pinrace.races.preempt.spec import Hold
from pinrace.races.preempt.stage import Stage
from pinrace.races.preempt.stub import StubGoneError
from pinrace.races.preempt.windows import Window
from pinrace.runs import pictures

GOLDEN = Path(__file__).parents[1] / "golden"
QUIET = "[    1.000000] Run /init as init process\n"
WINDOW = Window(name="w", scenario="pin", window="f")
CELL = values.Cell("x86_64", "x86_64", "plain", outcome.SUITE)
KEPT, VIOLATED = Verdict(False, "g", 0, 0), Verdict(True, "e", 0, 0)
LOST, DEAD = LostError("no marker"), StubGoneError("gone")


class Told:
    """A stage whose rounds come out as told; an exception is a guest that is lost."""

    def __init__(self, *rounds: tuple[Verdict, str, bool] | Exception) -> None:
        self.told, self.rounds = list(rounds), 0
        self.strange: dict[str, int] = {}

    def play(self, hold: Hold, *, slide: object = None) -> Played:
        self.rounds += 1
        came = self.told.pop(0)
        if isinstance(came, Exception):
            raise came
        verdict, stopped, over = came
        return Played(hold, verdict, stopped, over)

    def next_round(self) -> None:
        self.rounds += 1

    def leave(self) -> None:
        pass


KEPT_ONE = (KEPT, "", False)
BAD = (VIOLATED, "", False)
OVER = (KEPT, "its operation ended before that", True)
GIVEN_UP = (KEPT, "blocked in x", False)


def sweep(stage: Told, folder: Path, console: str = QUIET, *, keep_going: bool = True) -> Hunt:
    """Play in one guest, as hunt_window() does."""
    log = folder / "console.log"
    log.write_text(console)
    hunt = Hunt(WINDOW)
    steps = hunts.sweep_of(hunt, WINDOW, with_pairs=False)
    carry = hunts._Carry(next(steps))
    play = hunts._Play(hunt, steps, carry, log, time.monotonic() + 600, keep_going)
    try:
        play(cast(Stage, stage))
        play.settle(None)
    except (StubGoneError, LostError) as exc:
        hunts._lost(cast(Any, None), hunt, play, folder, exc)
    hunt.complete = carry.hold is None
    return hunt


def test_a_violation_stays_when_its_guest_is_lost_behind_it(tmp_path: Path) -> None:
    hunt = sweep(Told(KEPT_ONE, BAD, BAD, LOST), tmp_path)
    assert [(one.verdict, one.again) for one in hunt.found] == [(str(VIOLATED), 1)]
    assert len(hunt.lost) == 1
    assert not hunt.complete


def test_a_violation_that_comes_each_time_is_certain(tmp_path: Path) -> None:
    hunt = sweep(Told(KEPT_ONE, *[BAD] * (1 + CONFIRM)), tmp_path, keep_going=False)
    assert [one.certain for one in hunt.found] == [True]
    assert (hunt.tried, hunt.complete) == (2, False)


@pytest.mark.parametrize("again", [["crashed"] * CONFIRM, InfrastructureError("guests are lost")])
def test_a_crash_stays_though_it_cannot_be_had_again(
    again: Sequence[str] | Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replay(*_: object, **__: object) -> Sequence[str]:
        if isinstance(again, Exception):
            raise again
        return again

    monkeypatch.setattr(hunts, "replay", replay)
    hunt = sweep(Told(KEPT_ONE, DEAD), tmp_path, (GOLDEN / "arm64-kasan.log").read_text())
    times = 0 if isinstance(again, Exception) else CONFIRM
    assert [(one.verdict, one.again) for one in hunt.found] == [(CRASHED, times)]
    assert not hunt.lost


def test_a_report_ends_the_sweep_and_names_its_hold(tmp_path: Path) -> None:
    warned = (GOLDEN / "arm64-warn.log").read_text()
    early = sweep(Told(KEPT_ONE), tmp_path, warned, keep_going=False)
    assert (early.tried, early.violations) == (0, len(early.reports))
    assert not any(" under " in report for report in early.reports)

    class Warns(Told):
        def play(self, hold: Hold, *, slide: object = None) -> Played:
            (tmp_path / "console.log").write_text(warned)
            return super().play(hold, slide=slide)

    hunt = sweep(Warns(KEPT_ONE, KEPT_ONE), tmp_path, keep_going=False)
    assert (hunt.tried, hunt.complete, hunt.violations) == (1, False, len(hunt.reports))
    assert all(" under a.f,b.done,a.done (" in report for report in hunt.reports)


def test_one_round_that_went_elsewhere_does_not_end_a_window(tmp_path: Path) -> None:
    hunt = sweep(Told(KEPT_ONE, OVER, KEPT_ONE, OVER, OVER), tmp_path)
    assert (hunt.tried, hunt.length, hunt.complete) == (2, 2, True)


@pytest.mark.parametrize(
    ("rounds", "verdict"),
    [
        ([KEPT_ONE, OVER, OVER], values.Verdict.PASS),
        ([GIVEN_UP, GIVEN_UP, OVER, OVER], values.Verdict.INCONCLUSIVE),
        ([KEPT_ONE, LOST], values.Verdict.MISS),
        ([BAD, BAD, LOST], values.Verdict.FAIL),
    ],
)
def test_what_a_sweep_is_worth(
    rounds: list[tuple[Verdict, str, bool] | Exception], verdict: values.Verdict, tmp_path: Path
) -> None:
    hunt = sweep(Told(*rounds), tmp_path)
    assert outcome.verdict(hunt) is verdict
    result = outcome.result(CELL, [hunt], tmp_path, planned=1)
    assert (result.verdict, len(result.cases)) == (verdict, 1)
    assert (result.new == ("w",)) is (verdict is values.Verdict.FAIL)
    control = replace(hunt, window=WINDOW.model_copy(update={"control": True}))
    if hunt.lost:
        assert outcome.verdict(control) is values.Verdict.MISS
    else:
        assert outcome.verdict(control) is (
            values.Verdict.PASS if hunt.found else values.Verdict.INCONCLUSIVE
        )


def test_an_interrupted_sweep_says_what_it_had(tmp_path: Path) -> None:
    clean = sweep(Told(KEPT_ONE, OVER, OVER), tmp_path)
    assert outcome.result(CELL, [clean], tmp_path, planned=2).verdict is values.Verdict.MISS
    bad = sweep(Told(BAD, BAD, LOST), tmp_path)
    result = outcome.result(CELL, [clean, bad], tmp_path, planned=3)
    assert (result.verdict, [case.status for case in result.cases]) == (
        values.Verdict.FAIL,
        [values.CaseStatus.PASS, values.CaseStatus.FAIL],
    )


def test_a_sweep_is_shown_as_a_strip_and_its_violation_as_lanes(tmp_path: Path) -> None:
    hunt = sweep(Told(KEPT_ONE, GIVEN_UP, BAD, BAD, LOST), tmp_path)
    outcome.result(CELL, [hunt], tmp_path, planned=1)
    shown = pictures.read(tmp_path)
    assert [square.status for square in shown.strips[0].squares] == [
        values.CaseStatus.PASS,
        values.CaseStatus.SKIP,
    ]
    assert shown.lanes[0].lanes == ("a", "b")
    assert shown.lanes[0].moments[-1].status is values.CaseStatus.FAIL


@pytest.mark.parametrize(
    ("ending", "damage", "against"),
    [
        (values.Ending.DONE, (), (0, 0)),
        (values.Ending.EARLY_EXIT, (), (1, 0)),
        (values.Ending.PANIC, (), (1, 0)),
        (values.Ending.KILLED, (), (0, 1)),
        (values.Ending.HANG, (), (0, 1)),  # a CPU that is held may be why
        (values.Ending.DONE, ("a record is lost",), (0, 1)),
    ],
)
def test_the_end_of_a_guest_is_read_as_everywhere(
    ending: values.Ending, damage: tuple[str, ...], against: tuple[int, int], tmp_path: Path
) -> None:
    log = tmp_path / "console.log"
    log.write_text(QUIET)
    hunt = Hunt(WINDOW)
    steps = hunts.sweep_of(hunt, WINDOW, with_pairs=False)
    play = hunts._Play(hunt, steps, hunts._Carry(None), log, time.monotonic() + 600, True)
    play.settle(GuestRun(ending, "so", (), (), damage, {}, log, "", 1.0, 1.0, 1.0))
    assert (len(hunt.reports), len(hunt.lost)) == against


STALLED = """\
Linux version 7.3.4
[   30.000000] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   30.000001] rcu: 	1-...0: (1 ticks this GP) idle=0 softirq=1/1 fqs=1
"""


@pytest.mark.parametrize("lost", [True, False])
def test_a_stall_of_a_guest_that_is_lost_under_a_hold_is_no_report(
    lost: bool, tmp_path: Path
) -> None:
    console = tmp_path / "console.log"
    console.write_text(STALLED)
    hunt = Hunt(WINDOW)
    play = hunts._Play(hunt, iter(()), hunts._Carry(None), console, 0.0, False)  # type: ignore[arg-type]
    run = GuestRun(
        values.Ending.HANG, "no progress", (), (), (), {}, console, "", 1.0, boot_seconds=1.0,
        cpu_seconds=1.0,
    )  # fmt: skip
    play.settle(None if lost else run)
    assert bool(hunt.reports) is not lost


def test_a_hunt_without_windows_is_no_pass(tmp_path: Path) -> None:
    assert outcome.result(CELL, [], tmp_path, planned=0).verdict is values.Verdict.MISS
