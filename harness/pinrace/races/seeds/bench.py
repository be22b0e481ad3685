# SPDX-License-Identifier: GPL-2.0-or-later
"""What trials of one ABI run on, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pinrace.arches import get_abi
from pinrace.engine import build
from pinrace.engine import executor as where
from pinrace.errors import InfrastructureError
from pinrace.guest.machine import Replay
from pinrace.guest.outcome import Ending, GuestRun
from pinrace.judge import ending, splats
from pinrace.judge.ending import End
from pinrace.races.replay import run as replays
from pinrace.races.replay.run import Made, Once
from pinrace.races.seeds.search import Found, Trial


@dataclass(frozen=True)
class Bench:
    """A kernel and an image on machines that repeat themselves.  mode: plain or pinned."""

    lab: build.Lab
    abi: str
    flavor: str
    mode: str
    smp: int
    folder: Path

    def made(self, trial: Trial) -> Made:
        """Return what the run of a trial is made of."""
        arch = get_abi(self.abi).arch
        machine = replays.get_replay_machine(arch, Replay(trial.seed, trial.shift), self.smp)
        jobs = replays.get_jobs(trial.job(self.mode), trial.seed)
        built = self.lab.patched
        return Made(built.kernels[arch, self.flavor], built.images[self.abi], machine, jobs)

    def place(self, trial: Trial) -> Path:
        """Return the folder of a trial's run."""
        return self.folder / f"{trial.job(self.mode)}-s{trial.seed}.{trial.shift}"

    def run(self, trial: Trial) -> Found:
        """Run a trial; one that could not be run says why."""
        try:
            once = where.call(replays.run_once, self.made(trial), self.place(trial))
            return found(trial, once)
        except InfrastructureError as error:
            return Found(trial, missing=str(error))


def found(trial: Trial, once: Once) -> Found:
    """Return what came of a trial.  InfrastructureError when its console cannot be judged."""
    run, race = once.run, once.race
    if run.boot_seconds is None:
        return Found(trial, missing=run.reason)
    reading = ending.of(run, splats.against(run.console))
    if reading.end is End.INFRA:
        return Found(trial, missing=reading.sentence)
    if run.ending is not Ending.DONE:
        return Found(trial, run.ending.value)
    reports = reading.reports
    if not race and not reports:
        return Found(trial, missing=_last_words(run))
    bad = next((name for name in ("lost", "broken") if race.get(name, "0") != "0"), "")
    return Found(
        trial,
        reports[0].rule if reports else bad,
        pairs=int(race.get("pairs", "0"), 16),
        first=int(race.get("first_lost", "-1")),
        kept=int(race.get("kept", "0")),
    )


def _last_words(run: GuestRun) -> str:
    """Return what the program said before it gave up: a refusal that it did not expect, mostly."""
    said = run.jobs[-1].output.decode(errors="replace").split("\n") if run.jobs else []
    return next((line.strip() for line in reversed(said) if line.strip()), "no record")
