# SPDX-License-Identifier: GPL-2.0-or-later
"""Tortures that come back: their names and tokens, and where the search looks for one."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from pinrace.cli import repro, torture_plan
from pinrace.cli import torture as command
from pinrace.errors import UserError
from pinrace.races.replay import run as replays
from pinrace.races.torture import search, token
from pinrace.races.torture.token import TortureToken
from pinrace.races.trials import jobs
from pinrace.races.trials.jobs import MOST_SECONDS, job_name, parse_job
from pinrace.races.trials.records import parse
from pinrace.races.trials.values import BREAKAGES, TorturePlan, TortureResult, Violation
from pinrace.runs import commands
from pinrace.values import PatchedTree, Request, Tree, Verdict

PLAN = TorturePlan(9, MOST_SECONDS, ("open", "execve"), trials=500, mutators=("vm-process", "pvm"))
GOOD = TortureToken("arm", "torture-60s.calm+open", "debian:7.3", "0123456789", "plain", "s9.2")
SEEN = Violation("C5", "open", "thread", 4, 31.0, "slot 1 did M and not T")


def failed(*violations: Violation) -> TortureResult:
    return TortureResult(Verdict.FAIL, "", violations, 9, {}, {}, (), 60.0, Path("run"))


@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        TorturePlan(9, 60.0),
        replace(PLAN, lanes=3, chaos=False, stop_at_first=True),
        *(replace(PLAN, broken=broken) for broken in BREAKAGES),
    ],
)
def test_a_plan_is_in_its_job_s_name(plan: TorturePlan) -> None:
    name = job_name(plan)
    assert parse_job(name, plan.seed) == plan
    assert " " not in name
    assert jobs.is_job(name)


def test_a_job_s_name_is_the_job() -> None:
    (_, job) = replays.get_jobs(job_name(PLAN), PLAN.seed)
    assert job == jobs.job(PLAN, replays.SCALE)
    assert "--trials 500 " in " ".join(job.argv)


@pytest.mark.parametrize("name", ["torture", "torture-0", "torture-5.fast", "torture-5+", "race"])
def test_what_is_no_torture_is_refused(name: str) -> None:
    with pytest.raises(UserError):
        parse_job(name, 1)


def test_a_token_is_read_as_it_is_written() -> None:
    assert token.parse(f" {GOOD}\n") == GOOD
    assert token.is_token(str(GOOD))
    assert GOOD.plan == TorturePlan(9, 60.0, ("open",), chaos=False)
    assert GOOD.smp == 2
    plan = replace(PLAN, trials=0, seconds=30.0)
    made = token.make(plan, abi="arm", tree="v7.3", patched="a" * 40, flavor="debug", smp=4)
    assert token.parse(str(made)).plan == plan


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pt1:x", "parts"),
        ("pr1:x", "no kind"),
        (str(GOOD)[:-3], "no seed"),
        (str(GOOD).replace("60s", "0s"), "no torture"),
        (str(replace(GOOD, patched="x")), "patched"),
    ],
)
def test_what_is_no_token_is_refused(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        token.parse(text)


@pytest.mark.parametrize("how", [["--shell"], ["--gdb"], ["--at", "3"]])
@pytest.mark.parametrize("kind", ["pt1:x", "ph1:x"])
def test_who_looks_into_a_run_needs_one_that_comes_back(kind: str, how: list[str]) -> None:
    parser = argparse.ArgumentParser()
    repro.add_arguments(parser)
    with pytest.raises(UserError, match="begin with pr1:") as error:
        repro.run(parser.parse_args([kind, *how]))
    assert error.value.hint


def test_the_search_begins_with_what_failed() -> None:
    plan = TorturePlan(2**63 - 2, 60.0, chaos=False)
    tried = list(islice(search.attempts(plan, failed(SEEN)), 3 * search.EACH))
    first, second, third = (one.plan for one in tried[:: search.EACH])
    assert (first.families, first.mutators) == (("open",), ("thread",))
    assert (second.families, second.mutators) == (("open",), ())
    assert (third.families, third.mutators) == ((), ())
    assert len({one.plan.seed for one in tried}) == len(tried)
    for one in tried:
        assert one.plan.stop_at_first
        assert not one.plan.chaos
        assert one.plan.seed == one.replay.seed < 2**63
        assert parse_job(job_name(one.plan), one.plan.seed) == one.plan
    assert {one.replay.shift for one in tried} == set(search.SHIFTS)


def test_without_a_violation_the_search_does_everything() -> None:
    (only,) = islice(search.attempts(TorturePlan(1, 60.0), failed()), 1)
    assert (only.plan.families, only.plan.trials) == ((), search.TRIALS)


def test_a_run_again_is_long_enough_for_what_was_seen() -> None:
    plan = TorturePlan(1, 600.0)
    assert search.shorter(plan, failed(SEEN)).seconds == 62.0
    assert search.shorter(plan, failed()).seconds == 600.0
    early = replace(SEEN, second=0.1)
    assert search.shorter(plan, failed(early)).seconds == search.SHORTEST


def test_a_search_in_which_nothing_could_fail_proves_nothing() -> None:
    attempt = next(search.attempts(TorturePlan(1, 60.0), None))
    blind = search.Ran(attempt, replace(failed(), verdict=Verdict.INCONCLUSIVE))
    clean = search.Ran(attempt, replace(failed(), verdict=Verdict.PASS, exposed={"open": 3}))
    assert search.verdict([]) is Verdict.INCONCLUSIVE
    assert search.verdict([blind]) is Verdict.INCONCLUSIVE
    assert search.verdict([blind, clean]) is Verdict.PASS
    assert search.verdict([clean, search.Ran(attempt, failed(SEEN))]) is Verdict.FAIL


def test_the_guest_s_fingerprint_is_read() -> None:
    line = "torture second ns=1 trials=2 pinned=1 exposed=1 violations=0 fingerprint=00ff"
    assert parse([line]).fingerprint == "00ff"


def test_a_command_that_replays_says_what_a_token_does_not_hold() -> None:
    asked = Request((), (), extra=("A=y",), kernel=Path("/boot/x"), llvm="-16")
    tree = Tree("/src", "7.3", "t", "c", "a folder", "", insecure=True)
    line = commands.replay("pt1:x", PatchedTree(tree, None, "t", "c"), asked)
    assert line.startswith("pinrace repro pt1:x --series none ")
    parser = argparse.ArgumentParser()
    repro.add_arguments(parser)
    args = parser.parse_args(shlex.split(line)[2:])
    assert (args.config, args.llvm, args.kernel) == (["A=y"], "-16", Path("/boot/x"))
    assert args.insecure


def test_deterministic_options() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    plan = command.make_plan(parser.parse_args(["--deterministic"]))
    assert (plan.seed, plan.trials) == (torture_plan.SEED, torture_plan.DETERMINISTIC_TRIALS)
    for words in (["--mutants"], ["--write", "x.md"], ["--bench", "--write", "x.md"]):
        with pytest.raises(UserError, match="the comparison with the naive loop"):
            command.make_plan(parser.parse_args(words))
    for words, said in (
        (["--families", "opne"], "nothing is called 'opne'"),
        (["--mutators", "thred"], "nothing is called 'thred'"),
        (["--lanes", "9"], "8 at most"),
        (["--deterministic", "--for", "9s"], "not by a clock"),
        (["--trials", "9", "--for", "9s"], "not by a clock"),
    ):
        with pytest.raises(UserError, match=said):
            command.make_plan(parser.parse_args(words))
    plan = command.make_plan(parser.parse_args(["--trials", "9"]))
    assert jobs.parse_job(jobs.job_name(plan), plan.seed) == plan
