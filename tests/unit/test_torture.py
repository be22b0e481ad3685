# SPDX-License-Identifier: GPL-2.0-or-later
"""The judge of tortures: bounds, what proves nothing, what is lost, and what fails."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from dataclasses import replace
from pathlib import Path

import pytest

from pinrace.cli import options
from pinrace.cli import torture as command
from pinrace.cli.options import DEFAULT_SERIES
from pinrace.errors import UserError
from pinrace.guest.channel import Record
from pinrace.judge.verdict import Ending, Evidence
from pinrace.races.torture import report, run
from pinrace.races.torture.bench import Catch, summarize
from pinrace.races.trials import jobs
from pinrace.races.trials.judge import bound, inconclusive, judge
from pinrace.races.trials.records import Told, parse
from pinrace.races.trials.values import FAMILIES, MOST_LANES, MUTATORS, TorturePlan, TortureResult
from pinrace.runs import commands
from pinrace.values import CaseStatus, Cell, Feature, Splat, Verdict

DONE = Evidence(Ending.DONE, job_status=0)
GOLDEN = Path(__file__).parents[1] / "golden"
CELL = Cell("x86_64", "i386", "plain", "torture")
BEGIN = "torture begin seed=7 lanes=2 cpus=2 seconds=9 families=open,write"
END = "torture end violations=0 leaks=0 ns=9000000000"
VIOLATION = (
    "torture violation statement=C5 family=open mutator=alias free=1 trial=41 lane=1 ns=2500000000"
    " call=openat2 before=0 between=2 reply=0 meanwhile=1 gate=0 private=0 v=1"
    " generation=2 age=9 seed=7 text=slot 1 did M and not T"
)


def second(trials: int = 100, violations: int = 0) -> str:
    return (
        f"torture second ns=9000000000 trials={trials} pinned=80 exposed=60 violations={violations}"
    )


def count(family: str, *, exposed: int = 30, lost: int = 3, free: int = 0) -> str:
    return (
        f"torture count family={family} mutator=alias free={free} pinned=40 exposed={exposed}"
        f" control=5 lost={lost}"
    )


GOOD = (BEGIN, second(), count("open"), count("write", free=1), END)


def splat(rule: str) -> Splat:
    return Splat(rule, f"a {rule}", 1, "", rule)


def verdict(lines: tuple[str, ...], evidence: Evidence = DONE, *splats: Splat) -> Verdict:
    return judge(parse(lines), evidence, splats)[0]


@pytest.mark.parametrize("trials", [1, 2, 59, 300, 41_233, 10**7])
def test_the_bound_is_that_of_the_binomial_distribution(trials: int) -> None:
    below = bound(trials)
    assert (1 - below) ** trials == pytest.approx(0.05, rel=1e-6)
    if trials > 50:
        assert below == pytest.approx(3 / trials, rel=0.03)


def test_without_a_trial_nothing_is_bounded() -> None:
    assert bound(0) == 1.0
    with pytest.raises(ValueError, match="negative"):
        bound(-1)


def test_a_pass_states_its_bound() -> None:
    found, reason = judge(parse(GOOD), DONE, ())
    assert found is Verdict.PASS
    assert "0 violations in 60 exposed trials (below 4.9e-02 a trial, 95 %)" in reason
    assert "controls lost in 2 of 2 families" in reason


@pytest.mark.parametrize(
    "bad", [count("write", lost=0), count("write", exposed=0)], ids=["never lost", "never exposed"]
)
def test_a_family_that_proves_nothing_is_no_pass(bad: str) -> None:
    lines = (BEGIN, second(), count("open"), bad, END)
    found, reason = judge(parse(lines), DONE, ())
    assert found is Verdict.INCONCLUSIVE
    assert "write" in reason
    assert list(inconclusive(parse(lines))) == ["write"]


def test_only_what_the_control_loses_to_is_exposure() -> None:
    never = count("open", exposed=41_232, lost=0).replace("alias", "thread")
    found, reason = judge(parse((*GOOD[:-1], never, END)), DONE, ())
    assert found is Verdict.PASS
    assert "0 violations in 60 exposed trials" in reason
    assert "in 2 of 3 with a mutator" in reason
    alone = (BEGIN, second(), count("open", exposed=0), never, count("write"), END)
    assert list(inconclusive(parse(alone))) == ["open"]


def test_a_tracee_that_crashes_is_no_pass() -> None:
    rest = "torture rest generations=9 deaths=4 crashes={}"
    assert verdict((*GOOD[:-1], rest.format(0), END)) is Verdict.PASS
    found, reason = judge(parse((*GOOD[:-1], rest.format(2), END)), DONE, ())
    assert found is Verdict.FAIL
    assert "2 tracees crashed" in reason


def test_leaks_that_nobody_could_look_for_are_no_pass() -> None:
    left = "torture left group={} kernel=4096 slab_kib=0 files=0 after_ms=1"
    assert verdict((*GOOD[:-1], left.format(0), END)) is Verdict.PASS
    assert verdict((*GOOD[:-1], left.format(-1), END)) is Verdict.INCONCLUSIVE


def test_a_stopped_run_says_all_that_it_saw(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    quiet = run.stopped(parse(GOOD), tmp_path)
    assert quiet.verdict is Verdict.MISS
    hang = "torture hang lane=1 seconds=45 trial=9 call=open"
    assert run.stopped(parse((*GOOD, hang)), tmp_path).verdict is Verdict.FAIL
    console.write_bytes((GOLDEN / "arm64-kasan.log").read_bytes())
    loud = run.stopped(parse(GOOD), tmp_path)
    assert loud.verdict is Verdict.FAIL
    assert loud.splats


def test_the_names_are_those_of_the_guest_program() -> None:
    sources = {
        path.name: path.read_text()
        for path in (DEFAULT_SERIES / "guest" / "pintorture").glob("*.[ch]")
    }
    ops = "".join(text for name, text in sources.items() if name.startswith("ops_"))
    families = re.findall(r'^\t\{ "([a-z]+)", "[a-z0-9_-]+",', ops, re.MULTILINE)
    assert set(families) == set(FAMILIES)
    listed = sources["mutate.c"].split("mutator_names[NR_MUTATORS] = {")[1].split("}")[0]
    assert tuple(re.findall(r'"([^"]+)"', listed)) == MUTATORS
    assert f"MAX_LANES\t{MOST_LANES}\n" in sources["torture.h"]


def test_a_family_without_any_count_is_no_pass() -> None:
    assert verdict((BEGIN, second(), count("open"), END)) is Verdict.INCONCLUSIVE


def test_a_violation_fails_even_when_the_rest_is_lost() -> None:
    lines = (BEGIN, second(violations=1), VIOLATION)
    told = parse(lines)
    for evidence in (DONE, Evidence(Ending.HANG), Evidence(Ending.KILLED), Evidence(Ending.PANIC)):
        found, reason = judge(told, evidence, ())
        assert found is Verdict.FAIL
        assert "C5 in open by alias at 2.5 s, trial 41: slot 1 did M and not T" in reason
    assert told.violations[0].text.endswith(
        "(lane=1 generation=2 age=9 call=openat2 free=1 private=0 before=0 between=2 reply=0"
        " meanwhile=1 gate=0 v=1)"
    )


def test_violations_that_were_only_counted_fail() -> None:
    assert verdict((*GOOD[:-1], END.replace("violations=0", "violations=3"))) is Verdict.FAIL


@pytest.mark.parametrize(
    ("lines", "evidence", "expected"),
    [
        ((*GOOD, "torture leak text=9 files more are open"), DONE, Verdict.FAIL),
        ((BEGIN, second(), "torture hang lane=1 seconds=45 trial=9 call=open"), DONE, Verdict.FAIL),
        (GOOD[:-1], DONE, Verdict.FAIL),
        (GOOD[:-1], replace(DONE, job_status=None, job_signal=11), Verdict.FAIL),
        (GOOD, replace(DONE, job_status=1), Verdict.FAIL),
        (GOOD, replace(DONE, timed_out=True), Verdict.FAIL),
        (GOOD, replace(DONE, channel_error="a record is missing"), Verdict.MISS),
        (GOOD, Evidence(Ending.PANIC), Verdict.FAIL),
        (GOOD, Evidence(Ending.HANG), Verdict.FAIL),
        ((*GOOD, "torture count family=open mutator"), DONE, Verdict.MISS),
        ((*GOOD, "torture something=else"), DONE, Verdict.MISS),
        (GOOD, Evidence(Ending.KILLED), Verdict.MISS),
        ((), Evidence(Ending.NO_BOOT), Verdict.MISS),
        ((), DONE, Verdict.MISS),
        ((*GOOD, "torture bail what=fork: No such file"), DONE, Verdict.MISS),
        (GOOD, replace(DONE, abi_ok=False), Verdict.MISS),
    ],
)
def test_nothing_that_went_wrong_is_a_pass(
    lines: tuple[str, ...], evidence: Evidence, expected: Verdict
) -> None:
    assert verdict(lines, evidence) is expected


def test_a_kernel_without_the_feature_is_skipped_unless_the_series_brings_it() -> None:
    told = parse((BEGIN, "torture absent"))
    assert judge(told, replace(DONE, job_status=3), ())[0] is Verdict.SKIP
    assert (
        judge(told, replace(DONE, job_status=3), (), promised=Feature("X", "X_DEFINED", "x"))[0]
        is Verdict.FAIL
    )


def test_a_kernel_that_panics_before_init_was_not_tortured() -> None:
    panicked = Evidence(Ending.PANIC, "kernel panic while booting")
    assert judge(Told(), panicked, (splat("panic"),), booted=False)[0] is Verdict.MISS
    assert judge(Told(), panicked, (splat("panic"),))[0] is Verdict.FAIL
    assert judge(parse(GOOD), panicked, (splat("panic"),), booted=True)[0] is Verdict.FAIL


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("kasan", Verdict.FAIL), ("panic", Verdict.FAIL), ("warn", Verdict.FAIL)],
)
def test_a_report_of_the_kernel_fails(rule: str, expected: Verdict) -> None:
    assert verdict(GOOD, DONE, splat(rule)) is expected


def test_a_record_cut_in_the_middle_is_damage_and_keeps_what_came_before() -> None:
    told = parse((*GOOD[:3], "torture second ns=95"))
    assert told.trials == 100
    assert told.damage == ["torture second ns=95"]
    assert not told.ended


def test_records_of_others_are_none_of_ours() -> None:
    told = parse(("abi elf_machine=62", "feature pin_args=1"))
    assert told == Told()


def a_result(lines: tuple[str, ...], folder: Path) -> TortureResult:
    told = parse(lines)
    found, reason = judge(told, DONE, ())
    return run.result(told, found, reason, (), folder, notes=("a note",))


def test_the_lines_name_exposure_and_notes(tmp_path: Path) -> None:
    text = "\n".join(report.lines(a_result(GOOD, tmp_path)))
    assert text.startswith("PASS  0 violations in 60")
    assert "open 0+30 · write 30+0" in text
    assert "INCONCLUSIVE none" in text
    assert text.endswith("      a note")


def test_a_cell_has_a_case_for_each_family(tmp_path: Path) -> None:
    lines = (BEGIN, second(violations=1), VIOLATION, count("write", lost=0), END)
    value = report.cell_result(CELL, a_result(lines, tmp_path))
    cases = {case.name: case for case in value.cases}
    assert cases["open"].status is CaseStatus.FAIL
    assert cases["write"].status is CaseStatus.SKIP
    assert "INCONCLUSIVE" in cases["write"].reason
    assert value.new == ("open",)
    assert value.verdict is Verdict.FAIL


def test_the_whole_result_is_kept_for_programs(tmp_path: Path) -> None:
    path = tmp_path / "torture.json"
    report.save(a_result(GOOD, tmp_path), TorturePlan(7, 9), path)
    value = json.loads(path.read_text())
    assert value["plan"]["seed"] == 7
    assert {count["family"]: count["free"] for count in value["counts"]} == {
        "open": False,
        "write": True,
    }


def test_a_plan_survives_its_command_line() -> None:
    parser = ArgumentParser()
    command.add_arguments(parser)
    plan = TorturePlan(
        9, 90, ("open", "write"), stop_at_first=True, chaos=False, lanes=3, broken="hang"
    )
    assert command.make_plan(parser.parse_args(report.plan_options(plan))) == plan
    plan = replace(plan, seconds=jobs.MOST_SECONDS, trials=70, mutators=("alias",))
    words = report.plan_options(plan, deterministic=True)
    assert command.make_plan(parser.parse_args(words)) == plan


def test_a_torture_is_run_again_by_its_own_command() -> None:
    line = commands.rerun(CELL, commands.Again((), ("--seed", "9")))
    assert line == "pinrace torture --arch x86_64 --abi i386 --seed 9"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("30s", 30), ("10m", 600), ("1.5h", 5400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert options.duration(text, "--for") == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "10x", "m"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(UserError):
        options.duration(text, "--for")


def test_a_stopped_run_keeps_what_it_has(tmp_path: Path) -> None:
    seen: list[int] = []
    live = run.Live(tmp_path / "records.txt", lambda told: seen.append(told.trials))
    said = "".join(f"{line}\n" for line in GOOD[:-1]).encode() + b"torture cou"
    for at in range(0, len(said), 50):
        live.take(Record("rec", at, said[at : at + 50]))
    assert live.path.read_bytes() == said
    assert seen == [100]
    result = run.stopped(live.told(), tmp_path)
    assert result.verdict is Verdict.MISS
    assert result.reason.startswith("stopped after 9 s; so far 0 violations in 60 exposed trials")
    assert result.exposed == {"open": 30, "write": 30}


def test_a_stopped_run_with_a_violation_fails(tmp_path: Path) -> None:
    told = parse((BEGIN, second(violations=1), VIOLATION))
    assert run.stopped(told, tmp_path).verdict is Verdict.FAIL


def test_how_often_it_came_back(tmp_path: Path) -> None:
    good = a_result(GOOD, tmp_path)
    bad = replace(good, verdict=Verdict.FAIL)
    assert report.repeated([good, bad, bad]) == "failed 2/3"


def test_the_job_has_its_seconds_on_any_machine() -> None:
    plan = TorturePlan(7, 60, ("open",))
    for scale in (1.0, 20.0):
        job = jobs.job(plan, scale)
        assert job.timeout * scale == pytest.approx(60 + plan.stall + jobs.AFTER)
        assert job.argv[1:5] == ("--seed", "7", "--seconds", "60")


def test_the_bench_counts_what_was_in_vain() -> None:
    catches = [
        Catch("naive", 1, caught=False, trials=900, seconds=9),
        Catch("torture", 1, caught=True, trials=10, seconds=0.5),
        Catch("naive", 2, caught=True, trials=300, seconds=3),
        Catch("torture", 2, caught=True, trials=20, seconds=1.5),
    ]
    assert summarize(catches) == [
        "naive    caught 1/2 · median 300 trials, 3.00 s · 900 trials in vain",
        "torture  caught 2/2 · median 15 trials, 1.00 s",
    ]
