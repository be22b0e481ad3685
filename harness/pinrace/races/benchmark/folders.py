# SPDX-License-Identifier: GPL-2.0-or-later
"""How soon each way loses a race that has a folder, against a loop of two threads.

An attempt runs one way, in guests of one ABI, until the race is lost or its CPU time is spent.
The time is that of QEMU and the harness, boots included.  An attempt that is not lost counts as
more than what it spent; one way may have nothing left to try before that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from pinrace.arches import ABIS
from pinrace.errors import InfrastructureError
from pinrace.host.meter import Meter
from pinrace.races.benchmark.stats import Estimate, estimate
from pinrace.races.race import ways
from pinrace.races.race.folder import Race
from pinrace.races.race.lab import RaceLab
from pinrace.races.race.ways import Bench, Tried
from pinrace.runs import jsonl

NAIVE, FREE, GATE, SEEDS, HOLDS = "naive", "free", "gate", "seeds", "holds"
ARMS = (NAIVE, FREE, GATE, SEEDS, HOLDS)
_MODES = {NAIVE: "naive", FREE: "spin", GATE: "gate"}
CPUS_BUSY = 2.0  # CPU seconds that a guest second takes at the most, where two sides run
HOST = 5.0  # host seconds that a sweep may take for a CPU second, on a host that is busy
LEAST = 1.0  # guest seconds of one boot
APART = 10_000  # between the first seeds of two attempts


@dataclass(frozen=True)
class Attempt:
    """One way, once."""

    race: str
    abi: str
    arm: str
    number: int  # of the attempt, from 1
    budget: float  # CPU seconds
    cpu: float  # that were spent
    lost: str = ""  # what was lost, "" when nothing was
    all_made: bool = False  # nothing was left to try
    missing: str = ""  # why it came to nothing

    @property
    def seconds(self) -> float | None:
        """CPU seconds to the loss; None when there was none within the budget."""
        return self.cpu if self.lost and self.cpu <= self.budget else None

    def __str__(self) -> str:
        came = self.lost or self.missing or ("kept, all made" if self.all_made else "kept")
        return (
            f"{self.race:<16} {self.abi:<7} {self.arm:<6} {self.number:>2} {self.cpu:7.1f}  {came}"
        )


def arms_of(race: Race, abi: str) -> tuple[str, ...]:
    """Return the ways that a race has."""
    if not race.by_rounds:
        return (FREE, SEEDS)
    have = {NAIVE, FREE, SEEDS}
    have |= {GATE} if race.gate else set()
    have |= {HOLDS} if race.windows(abi) else set()
    return tuple(arm for arm in ARMS if arm in have)


def attempt(bench: Bench, arm: str, number: int, budget: float) -> Attempt:
    """Run one way until the race is lost, or the budget is spent."""
    meter = Meter(math.inf)
    lost, missing, all_made = "", "", False
    try:
        run = {SEEDS: _seeds, HOLDS: _holds}.get(arm)
        if run:
            lost, missing, all_made = run(bench, number, budget, meter)
        else:
            lost, missing = _free(bench, arm, number, budget, meter)
    except InfrastructureError as exc:
        missing = str(exc).splitlines()[0]
    return Attempt(
        bench.race.name, bench.abi.name, arm, number, budget, round(meter.spent, 2), lost,
        all_made, missing,
    )  # fmt: skip


def _free(bench: Bench, arm: str, number: int, budget: float, meter: Meter) -> tuple[str, str]:
    """Boot guests in which the sides meet freely, with other seeds each."""
    seed = number * APART
    while meter.spent < budget:
        left = max(LEAST, (budget - meter.spent) / CPUS_BUSY)
        came = ways.free(bench, _MODES[arm], left, seed=seed, boots=1)
        if came.lost or came.missing:
            return came.lost, came.missing
        seed += 1
    return "", ""


def _seeds(bench: Bench, number: int, budget: float, meter: Meter) -> tuple[str, str, bool]:
    """Boot one seed after the other."""
    seed = number * APART
    job = ways.job_of_seed(bench.race)
    while meter.spent < budget:
        came = ways.run_seed(bench, job, seed, bench.place(f"seed-{seed}")).loss
        if came.lost or came.missing:
            return came.lost, came.missing, False
        seed += 1
    return "", "", False


def _holds(bench: Bench, number: int, budget: float, meter: Meter) -> tuple[str, str, bool]:
    """Sweep the windows once: another sweep would be the same holds."""
    came: Tried = ways.holds(bench, ways.lab_of(bench), budget * HOST)
    ended = any(not hunt.complete and not hunt.lost for hunt in came.hunts)  # by the time
    missing = "" if came.lost or ended else came.missing
    return came.lost, missing, not came.lost and not missing and not ended


_LINE = TypeAdapter(Attempt)


class Journal:
    """Attempts as lines of a file; what is there is not run again.

    Raises InfrastructureError for a file that is damaged before its last line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        hint = "remove that line, or the file to begin anew"
        self.attempts = jsonl.read(path, _LINE, what="the journal of attempts", hint=hint)

    def has(self, race: str, abi: str, arm: str, number: int, budget: float) -> bool:
        """Whether this attempt was made, with a budget as large."""
        return any(
            (one.race, one.abi, one.arm, one.number) == (race, abi, arm, number)
            and one.budget >= budget
            for one in self.attempts
        )

    def add(self, one: Attempt) -> None:
        """Keep an attempt."""
        self.attempts.append(one)
        jsonl.append(self._path, _LINE, one)


@dataclass(frozen=True)
class Plan:
    """Which attempts to make in each race, on each ABI."""

    arms: tuple[str, ...]
    count: int  # of each arm
    budget: float  # CPU seconds of each


def measure(
    lab: RaceLab, abi: str, plan: Plan, journal: Journal, folder: Path
) -> Iterator[Attempt]:
    """Make the attempts that the journal lacks, of one race on one ABI; yield each."""
    name = lab.race.name
    for arm in plan.arms:
        if arm not in arms_of(lab.race, abi):
            continue
        for number in range(1, plan.count + 1):
            if journal.has(name, abi, arm, number, plan.budget):
                continue
            one = attempt(lab.bench(abi, folder / f"{arm}-{number}"), arm, number, plan.budget)
            journal.add(one)
            yield one


def table(attempts: Sequence[Attempt]) -> str:
    """Return the medians as Markdown; ">" where fewer than half of the attempts were lost."""
    races = sorted({one.race for one in attempts})
    lines = [
        f"| race | ABI | {' | '.join(ARMS)} | naive over the best |",
        f"|---|---|{'---|' * len(ARMS)}---|",
    ]
    for race in races:
        for abi in ABIS:
            mine = [one for one in attempts if (one.race, one.abi) == (race, abi)]
            if not mine:
                continue
            cells = [_cell([one for one in mine if one.arm == arm]) for arm in ARMS]
            lines.append(f"| `{race}` | {abi} | {' | '.join(cells)} | {_factor(mine)} |")
    return "\n".join(lines) + "\n"


def _estimate(mine: Sequence[Attempt]) -> Estimate | None:
    """Return the median of what came to something, None when nothing did."""
    good = [one for one in mine if not one.missing]
    return estimate([one.seconds for one in good]) if good else None


def _cell(mine: Sequence[Attempt]) -> str:
    if not mine:
        return ""
    found = _estimate(mine)
    if found is None:
        return f"failed: {mine[0].missing}"
    failed = len(mine) - found.count
    share = f" ({found.hits}/{found.count}{f', {failed} failed' if failed else ''})"
    if math.isfinite(found.median):
        return f"{found.median:.1f}{share}"
    if all(one.all_made for one in mine if not one.missing):
        return f"kept, all made{share}"
    return f">{_least_spent(mine):.0f}{share}"


def _least_spent(mine: Sequence[Attempt]) -> float:
    """Return what every attempt that was not lost had spent at the least."""
    return min(min(one.cpu, one.budget) for one in mine if one.seconds is None and not one.missing)


def _factor(mine: Sequence[Attempt]) -> str:
    """Say how much longer the naive loop takes than the best of the other ways."""
    medians = {}
    for arm in ARMS:
        found = _estimate([one for one in mine if one.arm == arm])
        if found is not None:
            medians[arm] = found.median
    others = [value for arm, value in medians.items() if arm != NAIVE and math.isfinite(value)]
    if NAIVE not in medians or not others:
        return ""
    if math.isfinite(medians[NAIVE]):
        return f"{medians[NAIVE] / min(others):.1f}"
    least = _least_spent([one for one in mine if one.arm == NAIVE])
    return f">{least / min(others):.1f}"
