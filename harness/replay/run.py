# SPDX-License-Identifier: GPL-2.0-or-later
"""One deterministic run of a job, and its fingerprint."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.arches import ABIS, get_arch
from harness.cells import BOOT_SECONDS
from harness.deadline import Deadline
from harness.errors import InfrastructureError, UserError
from harness.guest.boot import Limits, run_guest
from harness.guest.machine import Machine, Replay, get_machine
from harness.guest.outcome import Ending, GuestRun
from harness.guest.process import Guest
from harness.replay import token as tokens
from harness.replay.token import Token
from harness.suites import ktap
from harness.suites.suite import PROGRAMS, SUITES
from harness.values import Image, Job, Kernel

ROUNDS = 1000  # of the race, enough for both of its outcomes
SLACK = 60.0  # host seconds on top of everything, for a host that is busy
_RACE = re.compile(r"race(?:-(pinned))?")
_RECORD = re.compile(r"^race (.*)$")


@dataclass(frozen=True)
class Made:
    """What one run is made of."""

    kernel: Kernel
    image: Image
    machine: Machine
    job: Job


@dataclass(frozen=True)
class Once:
    """What came of it."""

    run: GuestRun
    fingerprint: str
    race: dict[str, str]  # what the race program counted, {} for other jobs
    bad: tuple[str, ...] = ()  # of a suite, the cases that failed

    @property
    def mixed(self) -> bool:
        """Whether the race went both ways, so that the fingerprint says something."""
        return all(int(self.race.get(name, 0)) > 0 for name in ("kept", "lost"))


def get_job(name: str, seed: int) -> Job:
    """Return the job of that name: a suite, `race` or `race-pinned`; UserError for others."""
    if match := _RACE.fullmatch(name):
        argv = (f"{PROGRAMS}/race", str(seed), str(ROUNDS), match[1] or "plain")
        return Job(name, argv, timeout=60)
    if name in SUITES:
        return SUITES[name].job()
    hint = f"the jobs are: race, race-pinned, {', '.join(SUITES)}"
    raise UserError(f"unknown job '{name}'", hint=hint)


def get_replay_machine(abi: str, replay: Replay, smp: int) -> Machine:
    """Return the machine on which runs repeat themselves.

    Its time limits are in the plan, which is in the root file system, which is in the token: so
    they are the same on every host.
    """
    machine = get_machine(get_arch(ABIS[abi].arch), smp=smp, replay=replay)
    return replace(machine, accel=machine.accel.model_copy(update={"scale": 20.0}))


def run_once(
    made: Made,
    folder: Path,
    *,
    stop: threading.Event | None = None,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    remain: Callable[[Guest], None] | None = None,
) -> tuple[Once, str]:
    """Run it and return what came of it, and the digest of the root file system it ran on.

    remain: as of run_guest().  Raises InfrastructureError when the guest cannot be started.
    """
    machine = made.machine
    native = max(BOOT_SECONDS, limits.boot) + made.job.timeout
    limit = native * machine.accel.scale * 4 + SLACK
    run = run_guest(
        made.kernel.boot,
        made.image,
        [made.job],
        machine,
        folder,
        deadline=Deadline.after(limit),
        limits=limits,
        stop=stop,
        keep_initrd=True,
        remain=remain,
    )
    initrd = folder / "initrd"
    image = tokens.short_file(initrd)
    initrd.unlink()
    if run.ending is Ending.KILLED:
        raise InfrastructureError(f"the run was lost: {run.reason}", log=run.console)
    said = run.console.read_bytes() + b"\0" + (folder / "channel.bin").read_bytes()
    return Once(run, tokens.short(said), _race(run), _bad(made.job, run)), image


def _race(run: GuestRun) -> dict[str, str]:
    """Return what the race program counted."""
    for line in run.jobs[0].recs if run.jobs else ():
        if match := _RECORD.match(line):
            return dict(word.split("=", 1) for word in match[1].split())
    return {}


def _bad(job: Job, run: GuestRun) -> tuple[str, ...]:
    """Return the cases of a suite that failed."""
    if job.name not in SUITES or not run.jobs:
        return ()
    cases = ktap.parse(run.jobs[0].output.decode(errors="replace")).flatten()
    return tuple(case.name for case in cases if case.status.bad)


def make_token(made: Made, once: Once, image: str, *, tree: str, patched: str, abi: str) -> Token:
    """Return the token of a run."""
    machine = made.machine
    assert machine.replay  # noqa: S101 (only such machines repeat themselves)
    return Token(
        abi=abi,
        job=made.job.name,
        tree=tree,
        patched=patched[: tokens.DIGITS],
        flavor=made.kernel.flavor,
        seed=tokens.seed_word(machine.replay, machine.smp),
        qemu=tokens.qemu_word(machine.qemu),
        kernel=tokens.short_file(made.kernel.boot),
        image=image,
        machine=tokens.machine_digest(machine),
        fingerprint=once.fingerprint,
    )


def agreeing(fingerprints: Sequence[str]) -> int:
    """Return how many are the same as the most frequent one."""
    return max((fingerprints.count(one) for one in set(fingerprints)), default=0)
