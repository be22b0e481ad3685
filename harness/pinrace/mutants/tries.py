# SPDX-License-Identifier: GPL-2.0-or-later
"""One test on one kernel: what it saw, kept by kernel, image, machine and test.

A try holds facts and no judgement: what they amount to is for pinrace.mutants.finding, which may
change without a guest being booted again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pinrace import store
from pinrace.engine.cell import Outcome
from pinrace.judge.ending import End, read
from pinrace.judge.splats import load_rules
from pinrace.paths import cache_dir
from pinrace.suites import ktap
from pinrace.values import CaseStatus, Splat

KIND = "mutant-tries"


@dataclass(frozen=True)
class Report:
    """What a kernel printed about itself."""

    fingerprint: str
    title: str


@dataclass(frozen=True)
class Breach:
    """A statement that a test other than the selftest saw broken, and where."""

    statement: str
    by: str  # e.g. "open, trial 120"
    second: float  # since the test began


@dataclass(frozen=True)
class Try:
    """What one test saw on one kernel."""

    test: str  # "selftest", "torture" or "price"
    ran: bool  # the guest booted, and what it says can be believed
    why: str = ""  # a sentence when it did not
    ending: str = ""  # "panic" or "hang" when the guest came to no good end
    passed: tuple[str, ...] = ()  # cases
    bad: tuple[str, ...] = ()
    reports: tuple[Report, ...] = ()
    breaches: tuple[Breach, ...] = ()
    trials: int = 0  # that could have shown something
    seconds: float = 0.0  # the guest's whole life, on the host


_TRY = TypeAdapter(Try)
ENDINGS = {End.DIED: "panic", End.HUNG: "hang"}  # what mutants/*.toml call an end


def kept(name: str) -> Try | None:
    """Return the try of that key; None when there is none, or none that can be read."""
    try:
        return _TRY.validate_json(_path(name).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def attempt(name: str, do: Callable[[], Try], *, resume: bool) -> Try:
    """Return the try of that key: the kept one if that is wanted, else a new one, which is kept.

    One that did not run is not kept.
    """
    found = kept(name) if resume else None
    if found is None:
        found = do()
        if found.ran:
            path = _path(name)
            path.parent.mkdir(exist_ok=True)
            store.write_json(path, _TRY.dump_python(found, mode="json"))
    return found


def _path(name: str) -> Path:
    return cache_dir() / KIND / f"{name}.json"


def reports(splats: tuple[Splat, ...]) -> tuple[Report, ...]:
    """Return what is kept of a kernel's reports; those of the guest's own setup are none, and
    those of code that no series has touched.
    """
    rules = load_rules()
    return tuple(Report(splat.fingerprint, splat.title) for splat in splats if rules.counts(splat))


def of_selftest(outcome: Outcome, said: str) -> Try:
    """Return what a run of the selftest amounts to as a try.

    said: what the program printed.  Without anything the guest had not booted; and what it said
    before its guest came to an end counts, as nobody knows which case a mutant ends it in.
    """
    evidence = outcome.evidence
    reading = read(
        evidence.ending, evidence.reason, damage=evidence.channel_error, booted=evidence.booted
    )
    ending = ENDINGS.get(reading.end, "")
    if evidence.timed_out:
        ending = "hang"
    cases = ktap.parse(said, ended=evidence.exited).flatten() if said.strip() else ()
    statuses = [(case.name, case.status) for case in cases]
    why = evidence.reason or evidence.abi_note or evidence.channel_error or "no results"
    return Try(
        "selftest",
        ran=reading.end is not End.INFRA and evidence.abi_ok and bool(statuses),
        why=why,
        ending=ending,
        passed=tuple(name for name, status in statuses if status is CaseStatus.PASS),
        bad=tuple(name for name, status in statuses if status.bad),
        reports=reports(outcome.splats),
        seconds=outcome.seconds,
    )
