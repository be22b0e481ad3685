# SPDX-License-Identifier: GPL-2.0-or-later
"""The job of a plan: its command line in the guest, and the name by which tokens have it.

The name is torture-HOW.WORD…+FAMILY…@MUTATOR…, where HOW is a number of trials or, as 60s, of guest
seconds; a WORD is l4 for four lanes, first, calm for no chaos, or one of BREAKAGES.  Everything of
a plan is in it but the seed, which tokens have a place for.

On a machine that repeats itself all of it does, chaos included, so that nothing is left out there:
pids, addresses and the kernel's random numbers come from the machine as time does, and everything
else is drawn from the seed.  Seen on every ABI; with a CPU that goes and comes, and with memory
that is short, on x86_64 and arm64.
"""

from __future__ import annotations

import re

from pinrace.errors import UserError
from pinrace.races.trials.values import BREAKAGES, TorturePlan
from pinrace.suites.suite import PROGRAMS
from pinrace.values import Job

NAME = "torture"
AFTER = 60.0  # guest seconds for the lanes to end, and for the kernel to say what all tasks do
MOST_SECONDS = 600.0  # of a guest whose plan is a number of trials

_JOB = re.compile(
    rf"{NAME}-(?P<count>\d{{1,9}})(?P<seconds>s?)(?P<words>(?:\.[a-z]+\d*)*)"
    r"(?P<families>(?:\+[a-z0-9_-]+)*)(?P<mutators>(?:@[a-z0-9_-]+)*)"
)


def job(plan: TorturePlan, scale: float) -> Job:
    """Return the job of a plan; its time is that of the guest, whatever the accelerator."""
    words = ["--seed", str(plan.seed), "--seconds", f"{plan.seconds:.0f}"]
    words += ["--trials", str(plan.trials)] if plan.trials else []
    words += ["--stall", f"{plan.stall:.0f}"]
    words += ["--lanes", str(plan.lanes)] if plan.lanes else []
    words += ["--families", ",".join(plan.families)] if plan.families else []
    words += ["--mutators", ",".join(plan.mutators)] if plan.mutators else []
    words += ["--stop-at-first"] if plan.stop_at_first else []
    words += [] if plan.chaos else ["--no-chaos"]
    words += ["--break", plan.broken] if plan.broken else []
    timeout = (plan.seconds + plan.stall + AFTER) / scale
    return Job(job_name(plan), (f"{PROGRAMS}/pintorture", *words), timeout)


def job_name(plan: TorturePlan) -> str:
    """Return what tokens call the job of a plan."""
    how = str(plan.trials) if plan.trials else f"{plan.seconds:.0f}s"
    words = [f"l{plan.lanes}"] if plan.lanes else []
    words += ["first"] if plan.stop_at_first else []
    words += [] if plan.chaos else ["calm"]
    words += [plan.broken] if plan.broken else []
    return "".join(
        (
            f"{NAME}-{how}",
            *(f".{word}" for word in words),
            *(f"+{family}" for family in plan.families),
            *(f"@{mutator}" for mutator in plan.mutators),
        )
    )


def is_job(name: str) -> bool:
    """Whether a name is that of a torture's job."""
    return bool(_JOB.fullmatch(name))


def parse_job(name: str, seed: int) -> TorturePlan:
    """Return the plan of that name; UserError when it is none."""
    match = _JOB.fullmatch(name)
    count = int(match["count"]) if match else 0
    if not match or not count:
        raise UserError(f"'{name}' is no torture", hint="torture-500.first+open, torture-60s.l4")
    words = match["words"].split(".")[1:]
    lanes = [word for word in words if re.fullmatch(r"l\d+", word)]
    broken = [word for word in words if word in BREAKAGES]
    unknown = set(words) - {*lanes, *broken, "first", "calm"}
    if unknown:
        raise UserError(f"'{name}' says '{unknown.pop()}', which no torture knows")
    timed = bool(match["seconds"])
    return TorturePlan(
        seed=seed,
        seconds=float(count) if timed else MOST_SECONDS,
        trials=0 if timed else count,
        families=tuple(match["families"].split("+")[1:]),
        mutators=tuple(match["mutators"].split("@")[1:]),
        stop_at_first="first" in words,
        chaos="calm" not in words,
        lanes=int(lanes[0][1:]) if lanes else 0,
        broken=broken[0] if broken else "",
    )
