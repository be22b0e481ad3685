# SPDX-License-Identifier: GPL-2.0-or-later
"""How soon the torture finds a broken kernel, against the naive loop, in one and the same guest.

The naive loop is one tracee, one spinning mutator and one supervisor that pins and replies, as one
would write it first (rootfs/pintorture/naive.c).  Both end with what they find; where nothing is
found in the time given, the number is only a lower bound.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from harness.cells import BOOT_SECONDS, Bench
from harness.deadline import Deadline
from harness.errors import InfrastructureError
from harness.guest.boot import run_guest
from harness.torture.jobs import job
from harness.torture.records import parse
from harness.torture.values import TorturePlan
from harness.values import Job

SLACK = 60.0  # host seconds on top of everything, for a host that is busy


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
    """Let both try that many times in one guest, in turn, with a seed of its own each time.

    plan.seconds is the most that one attempt may take.  Raises InfrastructureError when the guest
    fails or an attempt tells nothing.
    """
    scale = bench.machine.accel.scale
    jobs: list[Job] = []
    for number in range(times):
        once = replace(plan, seed=plan.seed + number, stop_at_first=True)
        real = job(once, scale)
        jobs.append(replace(real, name=f"naive-{number}", argv=(*real.argv, "--naive")))
        jobs.append(replace(real, name=f"torture-{number}"))
    limit = (BOOT_SECONDS + sum(each.timeout for each in jobs)) * scale + SLACK
    ran = run_guest(
        bench.kernel.boot,
        bench.image,
        jobs,
        bench.machine,
        folder,
        deadline=Deadline.after(limit),
        stop=stop,
    )
    found = []
    for one in ran.jobs:
        how, _, which = one.name.partition("-")
        told = parse(one.recs)
        seed = plan.seed + int(which)
        if how == "naive" and told.naive:
            naive = told.naive
            found.append(Catch(how, seed, naive.lost, naive.trials, naive.seconds))
        elif how == "torture" and told.ended:
            caught = bool(told.violations)
            at = told.violations[0].second if caught else told.seconds
            found.append(Catch(how, seed, caught, told.trials, at))
        else:
            why = one.error or one.output.decode(errors="replace")[-200:] or ran.reason
            raise InfrastructureError(f"{one.name} told nothing: {why}", log=ran.console)
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
