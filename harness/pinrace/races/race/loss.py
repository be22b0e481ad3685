# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a run of a race was lost, and by what: its own check, the kernel's words, or its end."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from pinrace.errors import InfrastructureError
from pinrace.guest.outcome import GuestRun
from pinrace.judge import ending, splats
from pinrace.judge.ending import End
from pinrace.judge.rules import Rule, Rules
from pinrace.races.race.folder import Race
from pinrace.races.replay import run as replays
from pinrace.values import Splat

CRASHED = "the kernel crashed"
REPORTED = "the kernel reported something"  # rootfs/lib/race/race.c's words
_ROUND = re.compile(r"^hold round=(\d+) .*?why=(.*)$")
_SO_FAR = re.compile(r"^meet rounds=(\d+)$")


@dataclass(frozen=True)
class Loss:
    """What came of a run."""

    lost: str = ""  # what was lost, as a sentence; "" when nothing was
    first: int = -1  # the round that was, from 0; -1 where the program has none
    rounds: int = 0  # that were run, or runs of a program
    missing: str = ""  # why nothing came of it

    def __bool__(self) -> bool:
        return bool(self.lost)


def rules_of(race: Race) -> Rules:
    """Return the rules for consoles, those that the race brings first."""
    return _with(race.lost.console)


@functools.cache
def _with(patterns: tuple[str, ...]) -> Rules:
    rules = splats.load_rules()
    own = tuple(
        Rule(
            id="race",
            start=re.compile(f"(?P<title>.*?(?:{pattern}).*)"),
            severity="bug",
            role="line",
        )
        for pattern in patterns
    )
    fields = {name: getattr(rules, name) for name in Rules.model_fields}
    return Rules(**{**fields, "rule": (*own, *rules.rule)})


def reports(race: Race, console: str) -> list[Splat]:
    """Return the kernel's reports that mean that the race was lost."""
    rules = rules_of(race)
    found = [one for one in splats.find(console, rules) if rules.counts(one)]
    if race.lost.titles:
        wanted = [re.compile(title) for title in race.lost.titles]
        found = [
            one
            for one in found
            if one.rule == "race" or any(w.search(f"{one.title}\n{one.text}") for w in wanted)
        ]
    return found if race.lost.reports else [one for one in found if one.rule == "race"]


def judge(race: Race, run: GuestRun) -> Loss:
    """Return what came of a run; the kernel's own words go before the program's."""
    if run.boot_seconds is None:
        return Loss(missing=f"the guest did not boot: {run.reason}")
    try:
        found = reports(race, splats.read(run.console))
    except InfrastructureError as exc:
        return Loss(missing=str(exc))
    counted = replays.race(run)
    job = run.jobs[-1] if run.jobs else None
    rounds = int(counted.get("rounds", 0)) or _so_far(run)
    if not race.by_rounds:
        rounds = 1
    first = int(counted.get("first_lost", -1))
    why = _words(run) if counted.get("lost", "0") != "0" else ""
    if found:
        return Loss(found[0].title, first, rounds)
    if why and why != REPORTED and race.lost.check:
        return Loss(why, first, rounds)
    if why == REPORTED:
        return Loss(missing="the kernel reported something that this race is not about")
    reading = ending.of(run)  # its reports were held against the race's own above
    if reading.end is End.DIED and race.lost.reports:
        return Loss(f"{CRASHED}: {run.reason}", rounds, rounds)
    if reading.end is End.HUNG or (job and job.timed_out and race.by_rounds):
        said = run.reason if reading.end is End.HUNG else "the program ran into its time limit"
        return Loss(said, rounds, rounds) if race.lost.hang else Loss(missing=said)
    if reading.end is not End.ENDED:
        return Loss(missing=reading.sentence)
    if job and job.status in race.lost.exit and job.status is not None:
        return Loss(f"the program ended with {job.status}", -1, rounds)
    if race.by_rounds and not counted:
        return Loss(missing=_last_words(run))
    if job and job.error and not job.timed_out:
        return Loss(missing=job.error)
    return Loss(rounds=rounds)


def _words(run: GuestRun) -> str:
    """Return what the program said of the round that was lost."""
    found = [match[2] for line in run.jobs[-1].recs if (match := _ROUND.match(line))]
    return found[-1] if found else "the program says so"


def _so_far(run: GuestRun) -> int:
    """Return the rounds that a program had told of when it was ended; it tells of some only."""
    lines = run.jobs[-1].recs if run.jobs else ()
    return max((int(m[1]) for line in lines if (m := _SO_FAR.match(line))), default=0)


def _last_words(run: GuestRun) -> str:
    said = run.jobs[-1].output.decode(errors="replace").split("\n") if run.jobs else []
    return next((line.strip() for line in reversed(said) if line.strip()), "it left no record")
