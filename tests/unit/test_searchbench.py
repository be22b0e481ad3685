# SPDX-License-Identifier: GPL-2.0-or-later
"""The search benchmark: its statistics, its windows, its order, its journal and its page."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pinrace.arches import ARCHES
from pinrace.cli import searchbench as command
from pinrace.cli.main import parser
from pinrace.cli.options import DEFAULT_SERIES
from pinrace.errors import InfrastructureError, UserError
from pinrace.guest.outcome import Ending, GuestRun, JobRun
from pinrace.races.benchmark import arms, journal, outcome, page, plots, run, stats, windows
from pinrace.races.benchmark.arms import Found
from pinrace.races.benchmark.page import Report
from pinrace.races.benchmark.trial import ARMS, Given, Repeat, Result, Trial
from pinrace.races.benchmark.windows import Window
from pinrace.races.replay import run as replays
from pinrace.runs import pictures
from pinrace.values import CaseStatus, Cell, Verdict

WINDOWS = windows.load()
BUDGET = 120.0
GOLDEN = Path(__file__).parent.parent / "golden"
ENTRY = """[[window]]
name = "a"
about = "b"
scenario = "torn"
function = { x86_64 = "f", arm64 = "g" }
"""


def result(
    window: str = "torn-path",
    arm: str = "free",
    arch: str = "x86_64",
    seed: int = 1,
    **more: object,
) -> Result:
    alarm = bool(more.pop("alarm", False))
    facts = {"hit": True, "cpu_seconds": 10.0, "boots": 1, "tries": 7} | more
    trial = Trial(window, arm, arch, seed, alarm)
    return Result(trial=trial, made="m", budget=BUDGET, **facts)  # type: ignore[arg-type]


# ---- statistics ----


@pytest.mark.parametrize(("count", "k"), [(1, 0), (5, 0), (6, 1), (8, 1), (9, 2), (10, 2), (20, 6)])
def test_ranks_are_those_of_the_tables(count: int, k: int) -> None:
    """As in Conover, "Practical Nonparametric Statistics", for 95 %."""
    assert stats.rank(count) == k


def test_intervals_hold_what_they_promise() -> None:
    rng = random.Random(1)  # noqa: S311 (no secret)
    held = 0
    for _ in range(2000):
        got = stats.estimate([rng.expovariate(1) for _ in range(10)])
        assert got.low is not None
        assert got.high is not None
        held += got.low <= math.log(2) <= got.high
    assert 0.95 < held / 2000 < 0.995  # 97.9 % for ten


def test_what_is_censored_is_larger_than_all() -> None:
    got = stats.estimate([None, 3.0, None, 1.0, 2.0])
    assert (got.median, got.low, got.high, got.hits, got.count) == (3.0, None, None, 3, 5)
    assert stats.estimate([1.0, None]).median == math.inf
    got = stats.estimate([1.0, 2.0, 3.0, 4.0, 5.0, None])
    assert (got.median, got.low, got.high) == (3.5, 1.0, math.inf)
    with pytest.raises(ValueError, match="no values"):
        stats.estimate([])


def test_shares_end_where_the_budget_does() -> None:
    assert stats.reached([4.0, None, 2.0, 200.0], BUDGET) == [
        (0.0, 0.0),
        (2.0, 0.25),
        (4.0, 0.5),
        (BUDGET, 0.5),
    ]


# ---- windows ----


def test_there_are_ten_windows_and_five_are_planted() -> None:
    assert len(WINDOWS) == 10
    assert sum(window.planted for window in WINDOWS) == 5
    assert all(set(window.without) <= {"gates"} for window in WINDOWS)


def test_every_window_has_its_scenario_and_its_gate() -> None:
    sources = [path.read_text() for path in (DEFAULT_SERIES / "guest" / "hold").glob("*.c")]
    for window in WINDOWS:
        text = next(text for text in sources if f'.name = "{window.scenario}"' in text)
        entry = text.split(f'.name = "{window.scenario}"')[1].split("},")[0]
        assert (".gate_" in entry) == ("gates" not in window.without), window.name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "window"),
        (ENTRY * 2, "one name"),
        (ENTRY + 'kernel = "nothing"\n', "unknown mutant"),
        (ENTRY + 'without = { x = "y" }\n', "no arm"),
        (ENTRY.replace(', arm64 = "g"', ""), "for each of"),
        (ENTRY.replace('"g"', '"1 g"'), "no name of a function"),
        (ENTRY + "more = 1\n", "more"),
    ],
)
def test_a_malformed_list_of_windows_is_said(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(text)
    with pytest.raises(UserError, match=says):
        windows.load(tmp_path / "w.toml")


def test_windows_and_arms_are_chosen_by_name() -> None:
    assert windows.select(WINDOWS, []) == WINDOWS
    assert [w.name for w in windows.select(WINDOWS, ["torn-path"])] == ["torn-path"]
    assert command._arms("holds,free") == ("free", "holds")
    with pytest.raises(UserError, match="no window 'x'"):
        windows.select(WINDOWS, ["x"])
    with pytest.raises(UserError, match="no arm 'x'"):
        command._arms("x")


# ---- the order, and what an arm came to ----


def test_a_seed_is_tried_everywhere_before_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arms, "free_machine", lambda arch, accel: None)
    trials = list(run.order(WINDOWS, list(ARMS), list(ARCHES), 3, 1))
    assert [trial.seed for trial in trials] == sorted(trial.seed for trial in trials)
    assert len(set(trials)) == len(trials)
    missing = sum(len(window.without) for window in WINDOWS)
    a_seed = len(ARCHES) * (len(WINDOWS) * (len(ARMS) - 1) - missing)
    assert sum(not trial.alarm for trial in trials) == 3 * a_seed
    assert {trial.seed for trial in trials if trial.alarm} == {1}
    planted = {window.name for window in WINDOWS if window.planted}
    assert {trial.window for trial in trials if trial.alarm} == planted
    assert not [trial for trial in trials if trial.arm == "native"]


def guest(*recs: str, ending: Ending = Ending.DONE, console: Path = Path("none")) -> GuestRun:
    job = JobRun("hold", status=0, recs=recs, output=b"Bail out! x")
    return GuestRun(ending, "why", (job,), (), (), {}, console, "", 1.0, 0.5, 1.0)


def test_a_guest_says_whether_the_race_was_lost(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    console.write_text("[    1.000000] Run /init as init process\n")
    found = Found()
    line = "race rounds=40 kept=40 lost=0 denied=0 broken=0 first_lost=-1"
    assert arms.take(found, guest(line, console=console)) == ""
    assert (found.hit, found.tries) == (False, 40)
    lost = "race rounds=3 kept=2 lost=1 denied=0 broken=0 first_lost=2"
    why = "hold round=2 scenario=use violated=1 what=e a=0 b=0 why=it was torn"
    assert arms.take(found, guest(why, lost)) == ""
    assert (found.hit, found.tries, found.how) == (True, 43, "it was torn")
    assert arms.take(Found(), guest(console=console)) == "Bail out! x"
    console.write_bytes((GOLDEN / "arm64-warn.log").read_bytes())
    loud = Found()
    assert arms.take(loud, guest(line, console=console)) == ""
    assert loud.hit
    assert loud.how.startswith("WARNING: ")


def test_jobs_of_seeds_are_jobs_of_tokens() -> None:
    (job,) = replays.get_jobs("meet-use-timer-400", 7)
    assert job.argv[1:] == ("use", "timer", "7", "400")
    with pytest.raises(UserError):
        replays.get_jobs("meet-use-nothow-400", 7)


def test_less_time_makes_a_late_hit_none_but_for_an_alarm() -> None:
    late, early = result(how="x"), result(cpu_seconds=2.0)
    cut = run.within(late, 5.0)
    assert (cut.hit, cut.how, cut.budget) == (False, "", 5.0)
    assert run.within(early, 5.0) == replace(early, budget=5.0)
    assert run.within(result(alarm=True), 5.0).hit
    assert run.within(late, BUDGET) == late


# ---- the journal ----


def test_the_journal_gives_back_what_it_got(tmp_path: Path) -> None:
    path = tmp_path / "into" / "trials.jsonl"
    assert journal.read(path) == []
    lines = [
        result(),
        result(alarm=True, hit=False, how="a\nb"),
        Repeat("seed", "arm", "race", "m", "ab", 1, 1, "pr1:x"),
        result(lost="no boot"),
    ]
    for line in lines:
        journal.append(path, line)
    assert journal.read(path) == lines


def test_a_torn_last_line_goes_and_other_damage_is_said(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    journal.append(path, result())
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert journal.read(path) == [result()]
    journal.append(path, result(seed=2))
    assert [one.trial.seed for one in journal.read(path) if isinstance(one, Result)] == [1, 2]
    path.write_bytes(whole[:40] + b"\n" + whole)
    with pytest.raises(InfrastructureError, match="line 1"):
        journal.read(path)


# ---- the page ----


def report(*results: Result, some: tuple[Window, ...] = WINDOWS, **more: object) -> Report:
    facts = {"repeats": (), "budget": BUDGET, "facts": {"date": "today"}} | more
    return Report(some, results, **facts)  # type: ignore[arg-type]


def row(text: str, heading: str, name: str) -> list[str]:
    """Return the cells of a row below a heading."""
    part = text.split(f"### {heading}\n")[1].split("\n#", maxsplit=1)[0]
    line = next(line for line in part.splitlines() if line.startswith(f"| {name} "))
    return [word.strip() for word in line.strip("|").split("|")][1:]


def test_a_cell_has_median_interval_tries_and_hits() -> None:
    ten = [result(seed=n, cpu_seconds=float(n), tries=n, hit=n < 9) for n in range(1, 11)]
    text = page.markdown(report(*ten, result(arm="holds")))
    said = row(text, "x86_64, blind", "torn-path")
    assert said[0] == "5.5 s (2.0 to > 120); 4 rounds (1 boot); 8/10"
    assert said[1] == "no such host"
    assert said[2] == "not measured"
    assert row(text, "x86_64, given the window's symbol", "torn-path") == [
        "10.0 s (too few); 7 holds (1 boot); 1/1"
    ]
    assert row(text, "x86_64, given the access", "begun-twice") == ["n/a"]
    assert "no user memory is read or written inside of the window" in text


def test_what_is_never_hit_is_more_than_the_budget() -> None:
    never = [result(seed=n, hit=False, cpu_seconds=121.0) for n in range(1, 8)]
    text = page.markdown(report(*never))
    assert row(text, "x86_64, blind", "torn-path")[0] == "> 120 s (> 120 to > 120); 0/7"
    assert "x86_64: 0 of 10 windows are hit" in text
    assert "torn-path (> 120 s)" in text


def test_kinds_of_arms_are_kept_apart_and_marked() -> None:
    text = page.markdown(report(result()))
    assert page.BARRIERS in text
    heads = [line for line in text.splitlines() if line.startswith("| window |")]
    assert len(heads) == len(Given)
    assert "| free-running |" in heads[0]
    assert "| icount only * |" in heads[0]
    assert "holds *" not in heads[0]


def test_false_alarms_and_their_bound() -> None:
    quiet = result("begun-twice", alarm=True, hit=False, tries=2999)
    text = page.markdown(report(quiet))
    assert "| x86_64 | free-running | 0 | 2,999 rounds | 1.0e-03 | 10 |" in text
    loud = page.markdown(report(replace(quiet, hit=True)))
    assert "| x86_64 | free-running | 1 | 2,999 rounds |  | 10 |" in loud
    assert row(text, "x86_64, blind", "begun-twice")[0] == "not measured"


def test_replays_add_up() -> None:
    one = Repeat("hold", "i386", "torn-path", "m", "violated.n.0.0", 20, 20)
    text = page.markdown(report(result(), repeats=(one, replace(one, same=19))))
    assert "| i386 | hold | torn-path | 39/40 |" in text


def test_plots_are_the_same_each_time(tmp_path: Path) -> None:
    few = report(result(), result(seed=2, hit=False), some=WINDOWS[:2])
    first = {path.name: path.read_bytes() for path in plots.draw(few, tmp_path)}
    assert set(first) == {"search-points-x86_64.svg", "search-reached-x86_64.svg"}
    assert {path.name: path.read_bytes() for path in plots.draw(few, tmp_path)} == first
    assert set(plots.COLOURS) == set(ARMS)


def test_every_arm_can_be_made() -> None:
    assert set(run.HOW) == set(ARMS)
    args = parser("searchbench").parse_args(["searchbench", "--seeds", "2", "--arms", "free"])
    assert (args.seeds, args.arms, args.budget) == (2, "free", 120.0)


def test_helpers_end_when_the_one_that_started_them_is_killed() -> None:
    script = (
        "import os, time; from pinrace.races.benchmark import run; pool = run.helpers(2);"
        "found = [pool.submit(os.getpid) for _ in range(8)];"
        "print(*{one.result() for one in found}, flush=True); time.sleep(600)"
    )
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        helpers = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
        process.kill()
    assert helpers
    assert not psutil.wait_procs(helpers, timeout=60)[1]


def test_a_benchmark_is_a_cell_with_a_case_a_window_and_method(tmp_path: Path) -> None:
    cell = Cell("x86_64", "x86_64", "plain", outcome.SUITE)
    found = [
        result(),
        result(seed=2, hit=False),
        result(arm="holds", hit=False),
        result(arch="arm64"),
    ]
    one = outcome.result(cell, WINDOWS, found, [], tmp_path)
    assert (one.verdict, one.reason) == (Verdict.PASS, "1 hits in 3 attempts")
    assert [(case.name, case.status) for case in one.cases] == [
        ("torn-path/free", CaseStatus.PASS),
        ("torn-path/holds", CaseStatus.SKIP),
    ]
    (grid,) = pictures.read(tmp_path).grids
    assert (len(grid.rows), len(grid.columns)) == (len(WINDOWS), len(ARMS))
    assert outcome.result(cell, WINDOWS, found, [], tmp_path, lost=1).verdict is Verdict.MISS
    alarm = [*found, result(alarm=True)]
    assert outcome.result(cell, WINDOWS, alarm, [], tmp_path).new == ("torn-path/free",)
    assert outcome.result(cell, WINDOWS, [], [], tmp_path).verdict is Verdict.MISS
