# SPDX-License-Identifier: GPL-2.0-or-later
"""One deterministic run of a job, and its fingerprint."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace.arches import get_arch
from pinrace.errors import InfrastructureError, UserError
from pinrace.guest.boot import Limits
from pinrace.guest.machine import Machine, Replay, get_machine
from pinrace.guest.outcome import Ending, GuestRun
from pinrace.guest.plan import PLAN_PATH, jobs_plan
from pinrace.guest.process import Guest
from pinrace.guest.setup import Setup
from pinrace.image.cpio import Entry
from pinrace.image.initramfs import overlay
from pinrace.judge import ending, splats
from pinrace.judge.ending import End
from pinrace.judge.verdict import Evidence
from pinrace.races.replay import token as tokens
from pinrace.races.replay import words
from pinrace.races.replay.token import Token
from pinrace.races.trials import jobs as tortures
from pinrace.races.trials.judge import judge
from pinrace.races.trials.records import parse
from pinrace.suites import ktap
from pinrace.suites.shipped import SUITES
from pinrace.suites.suite import ABIPROBE, PROGRAMS
from pinrace.values import Image, Job, Kernel, Verdict

ROUNDS = 1000  # of the race, enough for both of its outcomes
SCALE = 20.0  # how much slower than a native machine, on every host
_RACE = re.compile(r"race(?:-(pinned))?")
_SEEK = re.compile(r"seek-(plain|pinned)-(\d+)\.(\d)\.(\d)")  # rounds, mutators, points
# scenario, mode, rounds: guest/hold
_MEET = re.compile(r"meet-([a-z][a-z0-9-]*)-(naive|spin|timer|gate)-(\d+)")
_RECORD = re.compile(r"^race (.*)$")


@dataclass(frozen=True)
class Made:
    """What one run is made of."""

    kernel: Kernel
    image: Image
    machine: Machine
    jobs: tuple[Job, ...]  # the last one is what it is about
    files: tuple[Entry, ...] = ()  # that lie over the image

    @property
    def job(self) -> Job:
        """What it is about."""
        return self.jobs[-1]


@dataclass(frozen=True)
class Once:
    """What came of it."""

    run: GuestRun
    fingerprint: str
    race: dict[str, str]  # what the race program counted, {} for other jobs
    failure: str = ""  # what failed, as a sentence; "" when nothing did

    @property
    def mixed(self) -> bool:
        """Whether the race went both ways, so that the fingerprint says something."""
        return all(int(self.race.get(name, 0)) > 0 for name in ("kept", "lost"))


def get_jobs(name: str, seed: int) -> tuple[Job, ...]:
    """Return the jobs that a name stands for: a suite's as a cell runs it, `race`, `race-pinned`,
    `seek-plain-200.2.3`, `seek-pinned-200.2.3`, `meet-use-timer-400`, and those of
    races/torture/jobs.py.

    Raises UserError for others.
    """
    if match := _RACE.fullmatch(name):
        argv = (f"{PROGRAMS}/race", str(seed), str(ROUNDS), match[1] or "plain")
        return (Job(name, argv, timeout=60),)
    if match := _SEEK.fullmatch(name):
        mode, rounds, mutators, points = match.groups()
        words = (f"{PROGRAMS}/seek", str(seed), rounds, mode, mutators, points)
        return (Job(name, words, timeout=60),)
    if tortures.is_job(name):
        return (ABIPROBE, tortures.job(tortures.parse_job(name, seed), SCALE))
    if match := _MEET.fullmatch(name):
        scenario, mode, rounds = match.groups()
        return (Job(name, (f"{PROGRAMS}/hold", scenario, mode, str(seed), rounds), timeout=60),)
    if name in SUITES:
        return (ABIPROBE, SUITES[name].job())
    hint = f"the jobs are: race, race-pinned, seek-pinned-200.2.3, torture-300, {', '.join(SUITES)}"
    raise UserError(f"unknown job '{name}'", hint=hint)


def get_replay_machine(arch: str, replay: Replay, smp: int) -> Machine:
    """Return the machine of an arch on which runs repeat themselves.

    Its time limits are in the plan, which is in the root file system, which is in the token: so
    they are the same on every host.
    """
    machine = get_machine(get_arch(arch), smp=smp, replay=replay)
    return replace(machine, accel=machine.accel.model_copy(update={"scale": SCALE}))


def run_once(
    made: Made,
    folder: Path,
    *,
    stop: threading.Event | None = None,
    limits: Limits | None = None,
    remain: Callable[[Guest], None] | None = None,
) -> Once:
    """Run it and return what came of it.

    remain: as of Setup.boot().  Raises InfrastructureError when the guest cannot be started.
    """
    setup = Setup(made.kernel, made.image, made.machine, made.files)
    run = setup.boot(made.jobs, folder, limits=limits, stop=stop, remain=remain)
    if run.ending is Ending.KILLED:
        raise InfrastructureError(f"the run was lost: {run.reason}", log=run.console)
    counted = race(run)
    return Once(run, fingerprint(folder), counted, _failure(made.job, run, counted))


def fingerprint(folder: Path) -> str:
    """Return the digest of all that a run's guest said."""
    console, channel = (folder / name for name in ("console.log", "channel.bin"))
    return words.short(console.read_bytes() + b"\0" + channel.read_bytes())


def image_digest(made: Made) -> str:
    """Return the digest of the root file system with the plan in it."""
    machine = made.machine
    plan = jobs_plan(get_arch(machine.arch), made.jobs, machine.accel.scale)
    with tempfile.TemporaryDirectory(prefix="pinrace-") as place:
        initrd = overlay(made.image, {PLAN_PATH: plan}, Path(place) / "initrd", made.files)
        return words.short_file(initrd)


def race(run: GuestRun) -> dict[str, str]:
    """Return what a race program counted, {} when it said nothing."""
    for line in run.jobs[-1].recs if run.jobs else ():
        if match := _RECORD.match(line):
            return dict(word.split("=", 1) for word in match[1].split())
    return {}


def _failure(job: Job, run: GuestRun, race: dict[str, str]) -> str:
    """Return what failed in a run, as a sentence; "" when nothing did.

    Only what a person is told: whether two runs are the same, their fingerprints say.
    """
    found = splats.find(splats.read(run.console))
    reading = ending.of(run, found)
    if run.ending is not Ending.DONE:
        return run.reason
    if reading.end is End.INFRA:
        raise InfrastructureError(reading.sentence, log=run.console)
    main = run.jobs[-1]
    if tortures.is_job(job.name):
        said = Evidence(Ending.DONE, job_status=main.status, timed_out=main.timed_out)
        verdict, reason = judge(parse(main.recs), said, found)
        return reason if verdict is Verdict.FAIL else ""
    if reading.against:
        return reading.sentence
    if main.timed_out:
        return f"{job.name} ran into its time limit"
    if "pinned" in job.name or _MEET.fullmatch(job.name):
        if not race:
            return f"{job.name} ended without a record"
        kinds = [name for name in ("lost", "broken") if race.get(name, "0") != "0"]
        counts = " and ".join(f"{race[name]} {name}" for name in kinds)
        return f"of {race['rounds']} rounds, {counts}" if kinds else ""
    if job.name not in SUITES:
        return ""
    cases = ktap.parse(
        main.output.decode(errors="replace"), ended=main.status is not None
    ).flatten()
    bad = [case.name for case in cases if case.status.bad]
    return f"{len(bad)} cases failed: {', '.join(bad[:5])}" if bad else ""


def make_token(made: Made, fingerprint: str, *, tree: str, patched: str, abi: str) -> Token:
    """Return the token of a run that left this fingerprint."""
    machine = made.machine
    assert machine.replay  # noqa: S101 (only such machines repeat themselves)
    return Token(
        abi=abi,
        job=made.job.name,
        tree=tree,
        patched=patched[: words.DIGITS],
        flavor=made.kernel.flavor,
        seed=tokens.seed_word(machine.replay, machine.smp),
        kernel=words.short_kernel(made.kernel.boot),
        image=image_digest(made),
        **tokens.machine_of(machine),
        fingerprint=fingerprint,
    )
