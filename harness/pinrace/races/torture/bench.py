# SPDX-License-Identifier: GPL-2.0-or-later
"""How soon the torture finds a broken kernel, against the naive loop, both in one guest.

The naive loop is one tracee, one spinning mutator and one supervisor that pins and replies, as one
would write it first (guest/pintorture/naive.c).  Both end with what they find; where nothing is
found in the time given, the number is only a lower bound.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from pinrace.engine.cell import Bench
from pinrace.errors import InfrastructureError
from pinrace.guest.setup import Setup
from pinrace.judge import ending
from pinrace.judge.ending import End
from pinrace.races.trials.jobs import job
from pinrace.races.trials.records import Told, parse
from pinrace.races.trials.values import TorturePlan
from pinrace.values import Job


@dataclass(frozen=True)
class Catch:
    """One attempt to find a broken kernel out."""

    how: str  # "naive", "torture"
    seed: int
    caught: bool
    trials: int
    seconds: float


def compare(
    bench: Bench, plan: TorturePlan, times: int, folder: Path, *, stop: Event | None = None
) -> list[Catch]:
    """Let both try that many times, in turn, with a seed of its own each time.

    plan.seconds is the most that one attempt may take.  Raises InfrastructureError when a guest
    fails or an attempt tells nothing.
    """
    found = []
    for number in range(times):
        found += attempt(bench, plan, number, folder / str(number), stop=stop)
    return found


def attempt(
    bench: Bench, plan: TorturePlan, number: int, folder: Path, *, stop: Event | None = None
) -> list[Catch]:
    """Let both try once in a guest of their own, the naive loop first.

    A kernel that the torture brings down is caught: that is what it is broken in.  Raises as
    compare().
    """
    scale = bench.machine.accel.scale
    once = replace(plan, seed=plan.seed + number, stop_at_first=True)
    real = job(once, scale)
    jobs: list[Job] = [
        replace(real, name="naive", argv=(*real.argv, "--naive")),
        replace(real, name="torture"),
    ]
    ran = Setup(bench.kernel, bench.image, bench.machine).boot(jobs, folder, stop=stop)
    done = {one.name: one for one in ran.jobs}
    found = []
    for how in ("naive", "torture"):
        told = parse(done[how].recs) if how in done else Told()
        if how == "naive" and told.naive:
            naive = told.naive
            found.append(Catch(how, once.seed, naive.lost, naive.trials, naive.seconds))
        elif how == "torture" and told.violations:
            found.append(Catch(how, once.seed, True, told.trials, told.violations[0].second))
        elif how == "torture" and told.ended:
            found.append(Catch(how, once.seed, False, told.trials, told.seconds))
        elif how == "torture" and told.began and ending.of(ran).end in (End.DIED, End.HUNG):
            found.append(Catch(how, once.seed, True, told.trials, told.seconds))
        else:
            why = ran.reason
            if how in done:
                why = done[how].error or done[how].output.decode(errors="replace")[-200:] or why
            raise InfrastructureError(f"{how} told nothing: {why}", log=ran.console)
    return found


def summarize(catches: Sequence[Catch]) -> list[str]:
    """Return a line for each way: how often it caught, after how many trials and seconds."""
    lines = []
    for how in dict.fromkeys(catch.how for catch in catches):
        mine = [catch for catch in catches if catch.how == how]
        caught = [catch for catch in mine if catch.caught]
        line = f"{how:<8} caught {len(caught)}/{len(mine)}"
        if caught:
            trials = statistics.median(catch.trials for catch in caught)
            seconds = statistics.median(catch.seconds for catch in caught)
            line += f" · median {trials:,.0f} trials, {seconds:.2f} s"
        if len(caught) < len(mine):
            missed = sum(catch.trials for catch in mine if not catch.caught)
            line += f" · {missed:,} trials in vain"
        lines.append(line)
    return lines
