# SPDX-License-Identifier: GPL-2.0-or-later
"""How many guests of how many CPUs torture best on this host: measured, and kept for it.

A race needs the CPUs of its guest to run at the same time, and a host has only so many.  What
counts is how many trials are exposed (a mutation provably landed between the snapshot and its use)
for each second of CPU time; whichever shape has most of them is what `pinrace torture` then takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Lock

from pydantic import BaseModel, ConfigDict, ValidationError

from pinrace import store
from pinrace.engine.cell import Bench
from pinrace.guest.machine import Machine
from pinrace.host.meter import Meter
from pinrace.paths import cache_dir
from pinrace.races.torture.run import torture
from pinrace.races.trials.records import Told
from pinrace.races.trials.values import TorturePlan
from pinrace.values import Cell, Verdict


class Shape(BaseModel):
    """So many guests at once, each with that many CPUs."""

    model_config = ConfigDict(frozen=True)

    guests: int
    smp: int

    def __str__(self) -> str:
        guests = "guest" if self.guests == 1 else "guests"
        return f"{self.guests} {guests} of {self.smp} CPUs"


@dataclass(frozen=True)
class Measured:
    """What a shape came to from when all of its guests raced until the last one ended."""

    shape: Shape
    verdicts: tuple[Verdict, ...]
    trials: int
    exposed: int
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Exposed trials a second of CPU time."""
        return self.exposed / self.cpu_seconds if self.cpu_seconds else 0.0


def candidates(cpus: int) -> tuple[Shape, ...]:
    """Return the shapes for a host of that many CPUs: those that fit, and some that are too many.

    While one CPU of a guest waits, another guest's may run; but then two that were to race may
    not do so at once.
    """
    found = []
    smp = 2
    while smp <= max(4, cpus):
        fit = max(1, cpus // smp)
        found += [Shape(guests=fit, smp=smp), Shape(guests=2 * fit, smp=smp)]
        smp *= 2
    return tuple(found)


class _Counter:
    """Sums what the guests of a shape tell; counting begins when all of them race."""

    def __init__(self, guests: int) -> None:
        self._guests, self._lock = guests, Lock()
        self._told: dict[int, tuple[int, int]] = {}
        self._meter: Meter | None = None
        self._before = (0, 0)

    def take(self, number: int, told: Told) -> None:
        """Note how far a guest is."""
        with self._lock:
            self._told[number] = (told.trials, told.exposed)
            if self._meter is None and len(self._told) == self._guests:
                self._meter, self._before = Meter(float("inf")), self._sums()

    def _sums(self) -> tuple[int, int]:
        trials, exposed = zip(*self._told.values(), strict=True)
        return sum(trials), sum(exposed)

    def result(self, shape: Shape, verdicts: Iterable[Verdict]) -> Measured:
        """Return all of it; the guests have ended."""
        if self._meter is None:
            return Measured(shape, tuple(verdicts), 0, 0, 0.0)
        trials, exposed = (now - was for now, was in zip(self._sums(), self._before, strict=True))
        return Measured(shape, tuple(verdicts), trials, exposed, self._meter.spent)


def measure(
    cell: Cell, bench: Bench, plan: TorturePlan, shape: Shape, folder: Path, *, stop: Event
) -> Measured:
    """Torture with a shape for the plan's seconds, each guest with a seed of its own.

    Nothing else may run meanwhile.  Raises InfrastructureError when a guest cannot be started.
    """
    on = replace(bench, machine=replace(bench.machine, smp=shape.smp))
    counter = _Counter(shape.guests)

    def one(number: int) -> Verdict:
        result = torture(
            cell,
            on,
            replace(plan, seed=plan.seed + number),
            folder / str(number),
            stop=stop,
            on_second=lambda told: counter.take(number, told),
        )
        return result.verdict

    with ThreadPoolExecutor(shape.guests) as pool:
        try:
            verdicts = list(pool.map(one, range(shape.guests)))
        except BaseException:
            stop.set()
            raise
    return counter.result(shape, verdicts)


def best(found: Sequence[Measured]) -> Shape | None:
    """Return the shape with most exposed trials a CPU second; None where none has any.

    One of whose guests could not be run is none.
    """
    ran = [one for one in found if Verdict.MISS not in one.verdicts]
    top = max(ran, key=lambda one: one.rate, default=None)
    return top.shape if top and top.rate else None


def table(found: Sequence[Measured]) -> list[str]:
    """Return a line for each shape, the best one marked."""
    chosen = best(found)
    return [
        f"{'*' if one.shape == chosen else ' '} {one.shape!s:<20}"
        f" {one.rate:7.1f} exposed trials a CPU second  ({one.exposed:,} of {one.trials:,} trials,"
        f" {one.cpu_seconds:.0f} CPU s; {', '.join(one.verdicts)})"
        for one in found
    ]


def _path(machine: Machine, cpus: int) -> Path:
    """Where the shape of such a host and machine is kept."""
    name = store.digest("shape-1", machine.arch, machine.qemu.build, machine.accel.name, str(cpus))
    return cache_dir() / "host" / f"shape-{name}.json"


def keep(machine: Machine, cpus: int, shape: Shape) -> None:
    """Keep what was found for machines of that kind on a host of that many CPUs."""
    path = _path(machine, cpus)
    path.parent.mkdir(exist_ok=True)
    store.write_json(path, shape.model_dump())


def kept(machine: Machine, cpus: int) -> Shape | None:
    """Return what was kept; None when nothing was measured."""
    try:
        return Shape.model_validate_json(_path(machine, cpus).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
