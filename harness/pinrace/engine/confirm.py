# SPDX-License-Identifier: GPL-2.0-or-later
"""Tell a bad kernel from a busy host, and a failure from a case that fails now and then.

What a host without time for its guests can cause, and nothing else, is repeated, with the unpatched
kernel at the same moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from pinrace.engine.cell import Bench, Outcome, run_cell
from pinrace.host.load import Load
from pinrace.judge.match import keyed, pair
from pinrace.judge.splats import load_rules
from pinrace.suites.registry import get_suite
from pinrace.values import CaseResult, CaseStatus, Cell, Ending, Mark, Splat

TRIES = 3  # more runs of what fails, and does not on the unpatched tree
# Reports of a kernel that got no time, by the rules of judge/splats.toml.
STALLS = frozenset({"soft-lockup", "hard-lockup", "hung-task", "rcu-stall", "workqueue-lockup"})


@dataclass
class _Tries:
    """What the first run and further ones came to."""

    loads: list[Load]
    runs: int = 1
    good: Counter[str] = field(default_factory=Counter)  # cases, by key
    cases: dict[str, CaseResult] = field(default_factory=dict)  # where they passed
    quiet: set[str] = field(default_factory=set)  # cases that failed on a host that was not busy
    ended: int = 0  # runs that were as they should be
    hung: bool = False  # one that was not, on a host that was not busy
    beside: int = 0  # runs of the unpatched kernel
    beside_bad: int = 0  # those in which the same happened

    @property
    def busiest(self) -> Load:
        """What was measured at the worst."""
        return max(self.loads, key=lambda load: load.runnable)


def worth(cell: Cell, first: Outcome, before: Outcome | None) -> bool:
    """Whether confirm() would run anything again."""
    new, late, slow = _look(first, before)
    own = bool(new) and _whole(first) and (get_suite(cell.suite).own_limits or bool(late))
    return slow or own


def _look(first: Outcome, before: Outcome | None) -> tuple[dict[str, CaseResult], set[str], bool]:
    """Return what is new, what of it was late on a busy host, and whether that explains all."""
    new = _new(first, before)
    busy = first.host.busy
    late = {k for k, case in new.items() if busy and case.status is CaseStatus.TIMEOUT}
    return new, late, busy and _only_slow(first, before, new)


def confirm(
    cell: Cell,
    bench: Bench,
    first: Outcome,
    before: Outcome | None,
    folder: Path,
    *,
    base: Bench | None = None,
    stop: Event | None = None,
) -> Outcome:
    """Run again what fails and does not on the unpatched tree, where a host can be the cause.

    That is: cases of suites with time limits of their own; and on a busy host whatever a lack of
    time explains, be it time limits, stalls that the kernel reports, or a guest that hangs.  A case
    that passes on another try is flaky, with its rate.  What fails each time on a host that stays
    busy is `late`, not the kernel's, and not known.  A kernel that reported anything else gets
    no second chance.
    """
    new, late, slow = _look(first, before)
    if not worth(cell, first, before):
        return first
    suite = get_suite(cell.suite)
    only = suite.only([case.name for case in new.values()]) if _whole(first) else ""
    tries = _Tries([first.host])
    seconds = first.seconds
    for number in range(1, TRIES + 1):
        again = run_cell(cell, bench, folder / f"again-{number}", only=only, stop=stop)
        seconds += again.seconds
        if not _stalls(again.splats):
            return replace(first, splats=again.splats, seconds=seconds)
        _note(tries, again, new)
        if (slow or late) and base:
            beside = run_cell(cell, base, folder / f"beside-{number}", only=only, stop=stop)
            seconds += beside.seconds
            tries.beside += 1
            tries.beside_bad += not _fine(beside, late or new)
        if tries.good.keys() >= new.keys() and tries.ended:
            break
    first = replace(first, seconds=seconds)
    if slow and not _whole(first):
        return _guest_told(first, tries)
    return _cases_told(first, new, late, tries)


def _new(first: Outcome, before: Outcome | None) -> dict[str, CaseResult]:
    """Return the bad cases, by key, that the unpatched tree does not have."""
    base = before.cases if before else ()
    pairs = pair(first.cases, base)
    return {
        key: case
        for index, (key, case) in enumerate(keyed(first.cases))
        if case.status.bad and not (index in pairs and base[pairs[index]].status.bad)
    }


def _whole(outcome: Outcome) -> bool:
    """Whether a guest came to its end and its kernel reported nothing that counts."""
    rules = load_rules()
    reported = any(rules.counts(splat) for splat in outcome.splats)
    return outcome.evidence.ending is Ending.DONE and not reported


def _stalls(splats: Collection[Splat]) -> bool:
    """Whether all reports that count are of a kernel that got no time."""
    rules = load_rules()
    return all(splat.rule in STALLS for splat in splats if rules.counts(splat))


def _only_slow(first: Outcome, before: Outcome | None, new: dict[str, CaseResult]) -> bool:
    """Whether something is wrong, and a lack of time explains all of it."""
    seen = {splat.fingerprint for splat in before.splats} if before else set()
    reports = [splat for splat in first.splats if splat.fingerprint not in seen]
    evidence = first.evidence
    late = evidence.timed_out or evidence.ending in (Ending.HANG, Ending.NO_BOOT)
    if not _stalls(reports):
        return False
    for case in new.values():
        cut = case.mark in (Mark.MISSING, Mark.UNCLEAR, Mark.SILENT) or not case.lines
        if case.status is not CaseStatus.TIMEOUT and not (late and cut):
            return False
    return bool(new or late or [s for s in reports if s.rule in STALLS])


def _fine(outcome: Outcome, new: Collection[str]) -> bool:
    """Whether a run shows nothing of what is to be confirmed."""
    bad = {key for key, case in keyed(outcome.cases) if case.status.bad}
    return _whole(outcome) and not outcome.evidence.timed_out and not bad & set(new)


def _note(tries: _Tries, again: Outcome, new: Collection[str]) -> None:
    """Count one more run."""
    tries.runs += 1
    tries.loads.append(again.host)
    for key, case in keyed(again.cases):
        if key in new and case.status is CaseStatus.PASS:
            tries.good[key] += 1
            tries.cases[key] = case
        elif key in new and not again.host.busy:
            tries.quiet.add(key)
    fine = _fine(again, new)
    tries.ended += fine
    tries.hung = tries.hung or not (fine or again.host.busy)


def _guest_told(first: Outcome, tries: _Tries) -> Outcome:
    """Return the outcome of a guest that hung or stalled on a busy host."""
    if tries.hung and not tries.ended:
        return first
    bad = tries.runs - tries.ended
    return replace(first, missed=_why(tries, f"so it was in {bad} of {tries.runs} runs"))


def _cases_told(
    first: Outcome, new: dict[str, CaseResult], late: Collection[str], tries: _Tries
) -> Outcome:
    """Return the outcome with what the further runs say of its cases."""
    flaky = [f"{key} ({tries.good[key]} of {tries.runs})" for key in new if key in tries.good]
    notes = (f"flaky, passed on another try: {', '.join(flaky)}",) if flaky else ()
    cases = tuple(tries.cases.get(key, case) for key, case in keyed(first.cases))
    evidence = first.evidence
    if flaky and not evidence.timed_out and not any(case.status.bad for case in cases):
        evidence = replace(evidence, job_status=0)  # what it said was about these cases
    left = tuple(key for key in new if key in late and key not in tries.good.keys() | tries.quiet)
    missed = ""
    if left:
        missed = _why(tries, f"{', '.join(left)} ran into a time limit in all {tries.runs} runs")
    return replace(
        first,
        cases=cases,
        evidence=evidence,
        notes=(*first.notes, *notes),
        late=left,
        missed=missed,
    )


def _why(tries: _Tries, what: str) -> str:
    """Return the sentence of a host that was too busy."""
    beside = ""
    if tries.beside:
        beside = f", and the same in {tries.beside_bad} of {tries.beside} of the unpatched kernel"
    return f"the host was too busy ({tries.busiest}): {what}{beside}"
