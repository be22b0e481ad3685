# SPDX-License-Identifier: GPL-2.0-or-later
"""A sweep keeps what it saw, whatever becomes of its guests: losses that no real guest makes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from pinrace.cli import hunt as command
from pinrace.errors import Exit, InfrastructureError
from pinrace.races.preempt import hunt as hunts
from pinrace.races.preempt.hunt import CONFIRM, CRASHED, Hunt
from pinrace.races.preempt.spec import Hold
from pinrace.races.preempt.stage import LostError, Played, Stage, Verdict
from pinrace.races.preempt.stub import StubGoneError
from pinrace.races.preempt.windows import Window

GOLDEN = Path(__file__).parents[1] / "golden"
QUIET = "[    1.000000] Run /init as init process\n"
WINDOW = Window(name="w", scenario="pin", window="f")
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
    ("rounds", "code"),
    [
        ([KEPT_ONE, OVER, OVER], Exit.OK),
        ([GIVEN_UP, GIVEN_UP, OVER, OVER], Exit.INFRA),
        ([KEPT_ONE, LOST], Exit.INFRA),
        ([BAD, BAD, LOST], Exit.KERNEL),
    ],
)
def test_what_a_sweep_is_worth(
    rounds: list[tuple[Verdict, str, bool] | Exception],
    code: Exit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "_report_found", lambda *_: None)
    hunt = sweep(Told(*rounds), tmp_path)
    nobody = cast(Any, None)
    assert command._report("x86_64", hunt, nobody, nobody, nobody) is code
    control = replace(hunt, window=WINDOW.model_copy(update={"control": True}))
    seen = bool(hunt.found) and not hunt.lost
    said = command._report("x86_64", control, nobody, nobody, nobody)
    assert said is (Exit.OK if seen else Exit.INFRA)
