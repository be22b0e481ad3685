# SPDX-License-Identifier: GPL-2.0-or-later
"""The ways to look for the loss of a race, and the control that shows that one could be seen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace.arches import Abi, get_arch
from pinrace.guest.machine import Machine, Replay, get_machine
from pinrace.guest.outcome import GuestRun
from pinrace.guest.setup import Setup
from pinrace.host.meter import Meter
from pinrace.judge import splats
from pinrace.races.preempt import hunt as hunts
from pinrace.races.preempt.calls import WAITERS
from pinrace.races.preempt.hunt import Found, Hunt
from pinrace.races.preempt.played import BLOCKERS, IDLE
from pinrace.races.preempt.session import Lab, get_lab
from pinrace.races.preempt.windows import Window
from pinrace.races.race import loss
from pinrace.races.race.folder import Race
from pinrace.races.race.loss import Loss
from pinrace.races.race.program import MANY, Built
from pinrace.races.replay import run as replays
from pinrace.races.replay.run import Made
from pinrace.values import Image, Kernel

_KEPT_OUT = frozenset(f"blocked in {name}" for name in (*BLOCKERS, *WAITERS) if name != IDLE)
MEMORY = 512  # MiB of a guest


@dataclass(frozen=True)
class Bench:
    """What a race is looked for in: its program and a kernel, for one ABI."""

    race: Race
    kernel: Kernel
    image: Image
    built: Built
    folder: Path  # where guests' consoles go
    tree: str  # as --tree takes it
    patched: str  # the id of the tree that the kernel was built of

    @property
    def abi(self) -> Abi:
        """Its ABI."""
        return self.built.abi

    def place(self, name: str) -> Path:
        """Return a folder for guests."""
        return self.folder / name


@dataclass(frozen=True)
class Seed:
    """A run that replays: a job's name, a seed, and what it came to."""

    job: str
    seed: int
    made: Made
    fingerprint: str
    loss: Loss


@dataclass(frozen=True)
class Tried:
    """What one way came to on one ABI."""

    way: str
    lost: str = ""  # what was lost, "" when nothing was
    tries: int = 0
    unit: str = "rounds"  # what is counted
    cpu: float = 0.0  # seconds, of QEMU and the harness, boots included
    first: int = -1  # the round that was lost, from 0
    missing: str = ""  # why it came to nothing
    seed: Seed | None = None
    hunts: tuple[Hunt, ...] = ()
    found: Found | None = None
    window: Window | None = None


def machine_of(bench: Bench) -> Machine:
    """Return a machine whose CPUs run freely."""
    return get_machine(get_arch(bench.abi.arch), smp=bench.race.smp, mem_mb=MEMORY)


def run_job(bench: Bench, name: str, seed: int, folder: Path) -> GuestRun:
    """Boot a guest that runs freely with one job; its time limit is the job's."""
    machine = machine_of(bench)
    job = bench.built.job(name, seed, machine.accel.scale)
    return Setup(bench.kernel, bench.image, machine, bench.built.files).boot([job], folder)


def free(bench: Bench, mode: str, seconds: float, *, seed: int = 1, boots: int = 3) -> Tried:
    """Let the sides meet freely for so many seconds of the guest's, in one boot or a few.

    mode: naive, spin or gate.  A program without rounds runs once a boot.
    """
    meter = Meter(math.inf)
    if not bench.race.by_rounds:
        return _programs(bench, seed, boots, meter)
    name = f"{mode}-{MANY}-{max(1, round(seconds))}s"
    run = run_job(bench, name, seed, bench.place(mode))
    came = loss.judge(bench.race, run)
    return Tried(
        mode, came.lost, came.rounds, cpu=meter.spent, first=came.first, missing=came.missing
    )


def _programs(bench: Bench, seed: int, boots: int, meter: Meter) -> Tried:
    """Run a program that has no rounds, a boot each time, until it is lost."""
    came = Loss()
    for number in range(1, boots + 1):
        came = loss.judge(bench.race, run_job(bench, "run", seed, bench.place(f"free-{number}")))
        if came or came.missing:
            break
    return Tried("free", came.lost, number, "boots", meter.spent, -1, came.missing)


def control(bench: Bench) -> Tried:
    """Run the race's own control, which its check has to see."""
    meter = Meter(math.inf)
    run = run_job(bench, "control-1", 1, bench.place("control"))
    came = loss.judge(bench.race, run)
    return Tried("control", came.lost, came.rounds, cpu=meter.spent, missing=came.missing)


def made_of(bench: Bench, name: str, seed: int, shift: int = 1) -> Made:
    """Return what the run of a seed is made of."""
    machine = replays.get_replay_machine(bench.abi.arch, Replay(seed, shift), bench.race.smp)
    jobs = (bench.built.job(name, seed, machine.accel.scale),)
    return Made(bench.kernel, bench.image, machine, jobs, bench.built.files)


def run_seed(bench: Bench, name: str, seed: int, folder: Path) -> Seed:
    """Have one run on a machine that repeats itself."""
    made = made_of(bench, name, seed)
    once = replays.run_once(made, folder)
    return Seed(name, seed, made, once.fingerprint, loss.judge(bench.race, once.run))


def job_of_seed(race: Race) -> str:
    """Return the job that each seed runs."""
    return f"timer-{race.rounds}" if race.by_rounds else "run"


def seeds(
    bench: Bench, most: int, *, first: int = 1, say: Callable[[str], None] | None = None
) -> Tried:
    """Boot one seed after the other on a machine that repeats itself, until one is lost."""
    meter = Meter(math.inf)
    missing: list[str] = []
    rounds = 0
    for seed in range(first, first + most):
        one = run_seed(bench, job_of_seed(bench.race), seed, bench.place(f"seed-{seed}"))
        rounds += one.loss.rounds
        if one.loss:
            return Tried(
                "seeds", one.loss.lost, seed - first + 1, "seeds", meter.spent, one.loss.first,
                seed=one,
            )  # fmt: skip
        missing += [one.loss.missing] if one.loss.missing else []
        if say:
            say(f"seed {seed}: {one.loss.missing or f'{one.loss.rounds} rounds'}")
        if len(missing) == most or len(missing) >= 3:
            break
    why = missing[0] if missing else ""
    return Tried("seeds", tries=most, unit="seeds", cpu=meter.spent, missing=why)


def lab_of(bench: Bench) -> Lab:
    """Return what holds of the race are played in."""
    return get_lab(bench.kernel, bench.image, program=bench.built.held(), smp=bench.race.smp)


def holds(
    bench: Bench,
    lab: Lab,
    seconds: float,
    *,
    keep_going: bool = False,
    with_pairs: bool = False,
) -> Tried:
    """Hold a side at each instruction of each window, until one hold is lost or all were made.

    Raises UserError when the kernel lacks a function.
    """
    meter = Meter(math.inf)
    windows = bench.race.windows(bench.abi.name)
    for window in windows:
        lab.symbols.find(window.window)
    done: list[Hunt] = []
    for window in windows:
        hunt = hunts.hunt_window(
            lab,
            window,
            bench.place(f"hold-{window.name}"),
            seconds=seconds,
            with_pairs=with_pairs,
            keep_going=keep_going,
        )
        done.append(hunt)
        if hunt.found and not keep_going:
            one = in_its_words(bench.race, hunt.found[0])
            tried = sum(each.tried for each in done)
            return Tried(
                "holds", one.why, tried, "holds", meter.spent, hunts=tuple(done), found=one,
                window=window,
            )  # fmt: skip
    lost = next((h.found[0].why for h in done if h.found), "")
    lost = lost or next((h.reports[0] for h in done if h.reports), "")
    return Tried(
        "holds", lost, sum(h.tried for h in done), "holds", meter.spent,
        missing=missing_of(done), hunts=tuple(done),
    )  # fmt: skip


def in_its_words(race: Race, found: Found) -> Found:
    """Return a violation with the kernel's words for a reason, where it is a report of its."""
    if found.why != loss.REPORTED or not found.console.exists():
        return found
    titles = [one.title for one in loss.reports(race, splats.read(found.console))]
    return replace(found, why=titles[0]) if titles else found


def missing_of(done: list[Hunt]) -> str:
    """Return why sweeps of windows are not worth what they look like; "" when they are."""
    if not done:
        return "the race names no window"
    for hunt in done:
        name = hunt.window.window
        if hunt.lost:
            return f"{name}: guests were lost: {hunt.lost[0]}"
        if not hunt.tried:
            strange = hunt.strange.total()
            more = f", but {strange} times on a stack that is no side's" if strange else ""
            return f"{name} was never entered by side {hunt.window.side}{more}"
        if not hunt.complete:
            more = f"{hunt.tried} holds in {hunt.seconds:.0f} s"
            return f"{name} was not swept to its end: {more}; --for gives it more time"
        # Who waits for a lock that the held side has is kept out, and that is what a lock is for.
        given_up = Counter({w: n for w, n in hunt.given_up.items() if w not in _KEPT_OUT})
        if given_up.total() == hunt.tried:
            reason = given_up.most_common()[0][0]
            return f"{name}: all {hunt.tried} holds were given up: {reason}"
    return ""
