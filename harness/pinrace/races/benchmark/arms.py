# SPDX-License-Identifier: GPL-2.0-or-later
"""The arms that need no debugger: the sides of a window meet in a guest by themselves.

All of them run guest/hold with the same scenario, which says whether its race was lost; what is
not the same is the machine and how the sides are brought together (guest/hold/meet.c).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace.arches import get_abi, get_arch
from pinrace.errors import InfrastructureError
from pinrace.guest.channel import Decoder
from pinrace.guest.machine import Machine, Replay, get_machine
from pinrace.guest.outcome import Ending, GuestRun
from pinrace.guest.setup import Setup
from pinrace.host.meter import Meter
from pinrace.judge import ending, splats
from pinrace.judge.ending import End
from pinrace.races.benchmark.windows import Window
from pinrace.races.preempt.session import TCG_SCALE
from pinrace.races.replay import run as replays
from pinrace.races.replay.run import Made
from pinrace.suites.suite import PROGRAMS
from pinrace.values import Image, Job, Kernel

MANY = 10_000_000  # rounds: more than any budget lasts for
A_BOOT = 1000  # rounds of a boot of the seeds arm; a token is to be replayed in seconds
WALL = 3600.0  # host seconds after which a guest that spends no CPU time is given up
MOST_LOST = 3  # guests of one attempt
CRASHED = "the kernel crashed"
CHANNEL = "channel.bin"  # of a guest

_ROUNDS = re.compile(r"^meet rounds=(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Bench:
    """What a window is looked for in."""

    window: Window
    kernel: Kernel
    image: Image
    seed: int
    folder: Path  # of the attempt

    @property
    def arch(self) -> str:
        """The arch of its ABI."""
        return get_abi(self.image.abi).arch


@dataclass
class Found:
    """What an attempt came to so far."""

    hit: bool = False
    how: str = ""
    boots: int = 0
    tries: int = 0
    lost: str = ""  # why it had to be given up
    made: Made | None = None  # with a fingerprint: a run that replays
    fingerprint: str = ""
    hold: str = ""  # and a hold, with its verdict
    verdict: str = ""


def free_machine(arch: str, accel: str) -> Machine | None:
    """Return the machine whose vCPUs run freely; None when this host has none with that."""
    machine = get_machine(get_arch(arch), smp=2)
    if machine.accel.name == accel:
        return machine
    if accel != "tcg":
        return None
    update = {"name": "tcg", "reason": "asked for", "scale": TCG_SCALE}
    return replace(machine, accel=machine.accel.model_copy(update=update))


def free(bench: Bench, meter: Meter) -> Found:
    """Let the sides meet at random, each vCPU on a host thread of its own."""
    return _freely(bench, meter, "spin", "tcg")


def native(bench: Bench, meter: Meter) -> Found:
    """Let them meet at random on the host's own CPUs."""
    return _freely(bench, meter, "spin", "kvm")


def gates(bench: Bench, meter: Meter) -> Found:
    """Have the kernel wait for a page in the midst of one side's call."""
    return _freely(bench, meter, "gate", "tcg")


def _freely(bench: Bench, meter: Meter, mode: str, accel: str) -> Found:
    """Boot until something is found or the budget is spent."""
    machine = free_machine(bench.arch, accel)
    if machine is None:
        return Found(lost=f"this host has no {accel} for {bench.arch}")

    def boot(found: Found, folder: Path) -> GuestRun:
        seed = bench.seed * 1000 + found.boots
        words = (f"{PROGRAMS}/hold", bench.window.scenario, mode, str(seed), str(MANY))
        job = Job("hold", words, timeout=WALL / machine.accel.scale)
        setup = Setup(bench.kernel, bench.image, machine)
        return setup.boot([job], folder, within=2 * WALL, stop=meter.stop)

    return _boots(bench, meter, boot)


def icount(bench: Bench, meter: Meter) -> Found:
    """As free(), on a machine that repeats itself."""
    return _replays(bench, meter, "spin", MANY)


def seeds(bench: Bench, meter: Meter) -> Found:
    """One seed a boot, on such a machine, with timers of the seed's."""
    return _replays(bench, meter, "timer", A_BOOT)


def _replays(bench: Bench, meter: Meter, mode: str, rounds: int) -> Found:
    """Boot one seed after the other."""

    def boot(found: Found, folder: Path) -> GuestRun:
        seed = bench.seed * 1000 + found.boots
        machine = replays.get_replay_machine(bench.arch, Replay(seed), 2)
        jobs = replays.get_jobs(f"meet-{bench.window.scenario}-{mode}-{rounds}", seed)
        made = Made(bench.kernel, bench.image, machine, jobs)
        once = replays.run_once(made, folder, stop=meter.stop)
        found.made, found.fingerprint = made, once.fingerprint
        return once.run

    return _boots(bench, meter, boot)


def _boots(bench: Bench, meter: Meter, boot: Callable[[Found, Path], GuestRun]) -> Found:
    """Take one boot after the other until the race is lost or the budget spent."""
    found = Found()
    bad = 0
    while not meter.over and not found.hit:
        folder = bench.folder / str(found.boots + 1)
        try:
            with meter.watch():
                run = boot(found, folder)
        except KeyboardInterrupt:
            if not meter.stop.is_set():
                raise
            found.boots += 1  # the budget ended it
            found.tries += so_far(folder / CHANNEL)
            break
        found.boots += 1
        why = take(found, run)
        bad += bool(why)
        if bad >= MOST_LOST:
            raise InfrastructureError(f"guests are lost: {why}", log=run.console)
    return found


def take(found: Found, run: GuestRun) -> str:
    """Add what a guest came to; return why it came to nothing, "" when it did."""
    race = replays.race(run)
    found.tries += int(race.get("rounds", 0))
    if race.get("lost", "0") != "0":
        found.hit, found.how = True, _why(run)
        return ""
    reading = ending.of(run, splats.against(run.console) if run.boot_seconds is not None else ())
    if reading.reports:
        died = run.ending is not Ending.DONE
        found.hit, found.how = True, CRASHED if died else reading.reports[0].title
        return ""
    if reading.end is End.ENDED and race:
        return ""
    job = run.jobs[-1] if run.jobs else None
    said = job.output.decode(errors="replace").strip()[-200:] if job else ""
    return said or (job.error if job else "") or run.reason


def so_far(channel: Path) -> int:
    """Return the rounds that a guest had told of when it was ended; it tells of some only."""
    data = channel.read_bytes() if channel.exists() else b""
    told = b"".join(record.payload for record in Decoder().feed(data) if record.type == "rec")
    rounds = _ROUNDS.findall(told.decode(errors="replace"))
    return int(rounds[-1]) if rounds else 0


def _why(run: GuestRun) -> str:
    """Return the guest program's words."""
    lines = run.jobs[-1].recs if run.jobs else ()
    found = [line.partition("why=")[2] for line in lines if line.startswith("hold round=")]
    return found[-1] if found else ""
