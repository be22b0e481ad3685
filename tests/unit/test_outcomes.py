# SPDX-License-Identifier: GPL-2.0-or-later
"""What the race commands leave of their runs: judged cells with a case for each thing tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinrace.guest.machine import Replay as Machine
from pinrace.races.replay import outcome as replays
from pinrace.races.replay.outcome import Replay
from pinrace.races.seeds import outcome as seeds
from pinrace.races.seeds.search import Found, Trial
from pinrace.races.torture import outcome as tortures
from pinrace.races.torture import versus
from pinrace.races.torture.bench import Catch
from pinrace.races.torture.search import Attempt, Ran
from pinrace.races.torture.shapes import Measured, Shape
from pinrace.races.trials.values import TorturePlan, TortureResult
from pinrace.runs import pictures
from pinrace.values import CaseStatus, Cell, Verdict

CELL = Cell("x86_64", "i386", "plain", "search")
KEPT = Found(Trial(1), kept=50)
LOST = Found(Trial(2), "lost", kept=3)
GONE = Found(Trial(3), missing="no QEMU")


@pytest.mark.parametrize(
    ("ran", "mode", "verdict"),
    [
        ([KEPT], "pinned", Verdict.PASS),
        ([KEPT, LOST], "pinned", Verdict.FAIL),
        ([KEPT, GONE], "pinned", Verdict.MISS),
        ([Found(Trial(1))], "pinned", Verdict.INCONCLUSIVE),
        ([], "pinned", Verdict.INCONCLUSIVE),
        ([KEPT, LOST], "plain", Verdict.PASS),
        ([KEPT], "plain", Verdict.INCONCLUSIVE),
        ([Found(Trial(1), "panic")], "plain", Verdict.FAIL),
    ],
)
def test_a_search_is_a_cell_with_a_case_a_run(
    ran: list[Found], mode: str, verdict: Verdict, tmp_path: Path
) -> None:
    result = seeds.result(CELL, ran, tmp_path, mode=mode)
    assert (result.verdict, len(result.cases)) == (verdict, len(ran))
    assert bool(result.new) is (verdict is Verdict.FAIL)
    assert len(pictures.read(tmp_path).strips) == bool(ran)


def test_a_search_says_which_run_lost(tmp_path: Path) -> None:
    """Guests at once end in any order, so that the last run need not be the one."""
    result = seeds.result(CELL, [KEPT, LOST, KEPT], tmp_path, mode="plain")
    assert result.reason.startswith("lost in run 2 of 3,")


def test_a_blind_search_is_inconclusive(tmp_path: Path) -> None:
    result = seeds.result(CELL, [], tmp_path, mode="pinned", blind="the control lost nothing")
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, "the control lost nothing")


def test_replays_pass_when_all_come_to_what_the_token_says(tmp_path: Path) -> None:
    same = [Replay("1", "violated.e.0.0"), Replay("2", "violated.e.0.0")]
    good = replays.result(CELL, same, tmp_path, wanted="violated.e.0.0")
    assert (good.verdict, good.reason) == (
        Verdict.PASS,
        "same verdict, violated.e.0.0 (2/2)",
    )
    other = replays.result(
        CELL, [same[0], Replay("2", "kept.g.0.0")], tmp_path, wanted=same[0].came
    )
    assert other.verdict is Verdict.MISS
    assert [case.status for case in other.cases] == [CaseStatus.PASS, CaseStatus.ERROR]
    assert replays.result(CELL, [], tmp_path, wanted="x").verdict is Verdict.MISS


@pytest.mark.parametrize(
    ("came", "weak", "verdict"),
    [
        ("aa", "", Verdict.PASS),
        ("aab", "", Verdict.MISS),
        ("aa", "only one outcome", Verdict.INCONCLUSIVE),
        ("ab", "only one outcome", Verdict.MISS),
        ("", "", Verdict.MISS),
    ],
)
def test_repeated_runs_are_held_against_each_other(
    came: str, weak: str, verdict: Verdict, tmp_path: Path
) -> None:
    ran = [Replay(str(number), one) for number, one in enumerate(came)]
    assert replays.repeated(CELL, ran, tmp_path, weak=weak).verdict is verdict


def tortured(verdict: Verdict, exposed: int = 0) -> TortureResult:
    """Return what came of a torture."""
    return TortureResult(verdict, "so", (), 10, {"open": exposed}, {}, (), 1.0, Path("x"))


def test_a_search_with_the_torture_program_has_a_case_a_run(tmp_path: Path) -> None:
    plan = TorturePlan(1, 10.0)
    ran = [
        Ran(Attempt(plan, Machine(number)), tortured(verdict, 5))
        for number, verdict in enumerate((Verdict.PASS, Verdict.FAIL))
    ]
    result = tortures.searched(CELL, ran, Verdict.FAIL, tmp_path)
    assert len(result.new) == 1
    assert result.reason == "1 of 2 runs failed, 10 exposed trials"
    again = tortures.replayed(CELL, [one.result for one in ran], tmp_path)
    assert (again.verdict, again.reason) == (Verdict.PASS, "failed 1/2")
    assert tortures.replayed(CELL, [ran[0].result], tmp_path).verdict is Verdict.MISS


def test_comparisons_with_the_naive_loop(tmp_path: Path) -> None:
    caught, missed = Catch("torture", 1, True, 5, 0.1), Catch("naive", 1, False, 900, 9.0)
    assert tortures.compared(CELL, [missed, caught], tmp_path).verdict is Verdict.PASS
    assert tortures.compared(CELL, [missed], tmp_path).verdict is Verdict.MISS
    one = versus.result(CELL, ["m"], {"m": [missed, caught]}, {}, tmp_path)
    assert one.verdict is Verdict.PASS
    late = Catch("torture", 1, False, 5, 0.1)
    assert versus.result(CELL, ["m"], {"m": [late]}, {}, tmp_path).new == ("m",)
    lost = versus.result(CELL, ["m", "n"], {}, {"m": "no guest"}, tmp_path)
    assert (lost.verdict, len(lost.cases)) == (Verdict.MISS, 2)


def test_shapes_that_were_measured(tmp_path: Path) -> None:
    good = Measured(Shape(guests=1, smp=2), (Verdict.PASS,), 9, 5, 1.0)
    result = tortures.measured(CELL, [good], tmp_path)
    assert (result.verdict, result.reason) == (Verdict.PASS, "best: 1 guest of 2 CPUs")
    bad = Measured(Shape(guests=2, smp=2), (Verdict.PASS, Verdict.FAIL), 9, 5, 1.0)
    assert tortures.measured(CELL, [good, bad], tmp_path).verdict is Verdict.FAIL
    assert tortures.measured(CELL, [], tmp_path).verdict is Verdict.MISS


def test_a_torture_is_shown_over_its_time(tmp_path: Path) -> None:
    lines = [
        f"torture second ns={n}000000000 trials={n} pinned={n} exposed={n} violations=0"
        for n in range(1, 2000)
    ]
    tortures.curve(lines, tmp_path)
    (curve,) = pictures.read(tmp_path).curves
    assert curve.points[0] == (0.0, 0.0)
    assert curve.points[-1] == (1999.0, 1999.0)
    assert len(curve.points) <= tortures.POINTS + 1


def test_a_damaged_picture_is_none(tmp_path: Path) -> None:
    (tmp_path / pictures.FILE).write_text('{"strips": 3}')
    assert not pictures.read(tmp_path)
    assert not pictures.read(tmp_path / "nowhere")
