# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell's evidence amounts to.  docs/verdicts.md says what each verdict claims.

PASS needs a good case, every planned case, an exit status that its cases explain, and detectors
that were on until the end.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace.judge import compare, ending
from pinrace.judge.compare import NAMED, Found
from pinrace.judge.ending import End, Reading
from pinrace.judge.splats import Rules, load_rules
from pinrace.suites.formats import KSFT_FAIL, KSFT_SKIP, KSFT_TIMEOUT, KSFT_XFAIL
from pinrace.values import (
    CaseResult,
    CaseStatus,
    Cell,
    CellResult,
    Ending,
    Mark,
    Splat,
    Verdict,
)

__all__ = ["Ending", "Evidence", "judge"]


@dataclass(frozen=True)
class Evidence:
    """What is known of a guest's run besides its cases and its console."""

    ending: Ending
    reason: str = ""  # a sentence, above all when the ending is not DONE
    job_status: int | None = None  # exit status; None when it never exited by itself
    job_signal: int | None = None
    timed_out: bool = False  # init ended the job at its time limit
    abi_ok: bool = True  # the job's ELF header is that of the cell's ABI
    abi_note: str = ""
    channel_error: str = ""  # what was wrong with the records; "" for nothing
    booted: bool = False  # init reported; of matter for what may happen only before that

    @property
    def ended_well(self) -> bool:
        """Whether the guest came to its planned end."""
        return self.ending is Ending.DONE

    @property
    def exited(self) -> bool:
        """Whether the job ended by itself."""
        return self.job_status is not None and not self.timed_out and self.job_signal is None


@dataclass(frozen=True)
class _Exit:
    """How a job ended, and whether its cases say why."""

    said: str  # "" for status 0
    explained: bool
    as_before: bool  # the unpatched tree's ended in the same way


def judge(
    cell: Cell,
    evidence: Evidence,
    cases: Sequence[CaseResult],
    splats: Sequence[Splat],
    baseline: Sequence[CaseResult] | None = None,
    *,
    baseline_splats: Sequence[Splat] = (),
    baseline_evidence: Evidence | None = None,
    baseline_rates: Mapping[str, tuple[int, int]] | None = None,
    lost: str = "",
    late: Collection[str] = (),
    missed: str = "",
    rules: Rules | None = None,
    seconds: float = 0.0,
    folder: Path | None = None,
    notes: Sequence[str] = (),
) -> CellResult:
    """Return the verdict with its reason; cases and splats are kept whatever it is.

    baseline is what the same cell gave on the unpatched tree, where it came to its planned end;
    None when that was not run, and then everything bad counts as new.  baseline_evidence: how its
    job ended; status 0 when it is not given.  baseline_rates: of
    cases that fail there now and then, in how many of how many runs.  lost: why nothing is known of
    the unpatched tree, although it was to be; then what is bad leaves the cell open.  late:
    cases, by key, that do not speak of the kernel, as the host was too busy; missed says so, and
    without any of them that of the whole guest.

    `new` and `known` of the result name cases, and from the second of a name on "name [2]"; known
    has the fingerprints of known splats too, and of those of other code than the series'.
    """
    rules = rules or load_rules()
    cases = _by_status(cell, evidence, cases)
    if baseline is not None:
        was = baseline_evidence or Evidence(Ending.DONE, job_status=0)
        baseline = _by_status(cell, was, baseline)
    splats = compare.told_apart(splats, baseline_splats)
    found = compare.compare(
        cases, splats, baseline, baseline_splats, rates=baseline_rates or {}, rules=rules
    )
    known = {splat.fingerprint for splat in baseline_splats}
    reading = _read(evidence, splats, known, boots=baseline is not None, rules=rules)
    found = _without_late(found, late)
    decided = _decide(evidence, reading, cases, found, baseline_evidence)
    verdict, reason, more = _qualified(*decided, found, missed=missed, lost=lost)
    return CellResult(
        cell=cell,
        verdict=verdict,
        reason=reason,
        cases=tuple(cases),
        splats=tuple(splats),
        new=tuple(found.new),
        known=(*found.known, *(s.fingerprint for s in (*found.known_splats, *found.elsewhere))),
        fixed=found.fixed,
        seconds=seconds,
        folder=folder,
        notes=(*notes, *more, *compare.notes(found)),
    )


def _read(
    evidence: Evidence,
    splats: Sequence[Splat],
    known: Collection[str],
    *,
    boots: bool,
    rules: Rules,
) -> Reading:
    """Return what the end of the cell's guest says."""
    return ending.read(
        evidence.ending,
        evidence.reason,
        splats=splats,
        known=known,
        damage=evidence.channel_error,
        booted=evidence.booted,
        boots=boots,
        rules=rules,
    )


def _without_late(found: compare.Found, late: Collection[str]) -> compare.Found:
    """Return the comparison with the cases that the host was too busy for set aside."""
    return replace(
        found,
        new={key: case for key, case in found.new.items() if key not in late},
        late={key: case for key, case in found.new.items() if key in late},
    )


def _qualified(
    verdict: Verdict, reason: str, found: compare.Found, *, missed: str, lost: str
) -> tuple[Verdict, str, tuple[str, ...]]:
    """Return a verdict with its reason and notes, given what the host and the baseline lacked.

    missed, lost: as in judge().
    """
    notes = []
    if found.late and verdict is not Verdict.FAIL:
        verdict, reason = Verdict.MISS, missed
    elif missed and found.late:
        notes.append(f"not counted: {missed}")
    elif missed and verdict is Verdict.FAIL:
        verdict, reason = Verdict.MISS, f"{reason}; {missed}"
    unknown = f"nothing is known of the unpatched tree: {lost}"
    if lost and verdict is Verdict.FAIL:
        verdict, reason = Verdict.INCONCLUSIVE, f"{reason}; {unknown}"
    elif lost:
        notes.append(unknown)
    return verdict, reason, tuple(notes)


def _by_status(cell: Cell, evidence: Evidence, cases: Sequence[CaseResult]) -> Sequence[CaseResult]:
    """Give a program without KTAP its exit status as its result, as kselftest's runner.sh does."""
    if len(cases) != 1 or cases[0].mark is not Mark.SILENT or not evidence.ended_well:
        return cases
    results = {
        0: CaseStatus.PASS,
        KSFT_XFAIL: CaseStatus.XFAIL,
        KSFT_SKIP: CaseStatus.SKIP,
        KSFT_TIMEOUT: CaseStatus.TIMEOUT,
    }
    status = CaseStatus.FAIL
    if evidence.exited:
        status = results.get(evidence.job_status or 0, CaseStatus.FAIL)
    elif evidence.timed_out:
        status = CaseStatus.TIMEOUT
    said = _job_end(evidence) or "ended with status 0"
    one = CaseResult(cell.suite, status, f"{said}, and printed no KTAP", cases[0].lines)
    return (replace(one, mark=Mark.SILENT),)


def _decide(
    evidence: Evidence,
    reading: Reading,
    cases: Sequence[CaseResult],
    found: Found,
    before: Evidence | None,
) -> tuple[Verdict, str]:
    """Apply the rules, the gravest first."""
    if reading.reports:
        return Verdict.FAIL, reading.sentence
    if reading.end is End.INFRA:
        return Verdict.MISS, reading.sentence
    if not evidence.abi_ok:
        return Verdict.MISS, f"the program was not of this ABI: {evidence.abi_note or 'no note'}"
    panics = [s for s in found.known_splats if s.panicked]
    if reading.end is End.DIED and panics:
        return Verdict.INCONCLUSIVE, f"the unpatched tree panics here too: {panics[0].title}"
    if reading.end in (End.DIED, End.HUNG):
        return Verdict.FAIL, reading.sentence
    return _by_cases(evidence, cases, found, before)


def _by_cases(
    evidence: Evidence, cases: Sequence[CaseResult], found: Found, before: Evidence | None
) -> tuple[Verdict, str]:
    """Judge a guest that came to its end."""
    skips = [case for case in cases if case.status is CaseStatus.SKIP]
    none = all(case.mark in (Mark.MISSING, Mark.UNCLEAR) for case in cases)
    gave_up = evidence.exited and evidence.job_status == KSFT_SKIP and bool(skips or none)
    came = _exit(evidence, cases, found, before, gave_up=gave_up)
    bad = {key: case for key, case in found.new.items() if case.mark is not Mark.UNCLEAR}
    if gave_up:
        # ksft_exit_skip() behind a plan: what was due is skipped with the rest
        bad = {key: case for key, case in bad.items() if case.mark is not Mark.MISSING}
    if bad and bad.keys() <= found.flaky.keys():
        rates = ", ".join(f"{k} ({n} of {of})" for k, (n, of) in found.flaky.items() if k in bad)
        why = f"{_named(list(bad), 'case', 'fails', 'fail')}, on the unpatched tree now and then"
        return Verdict.INCONCLUSIVE, f"{why}: {rates}"
    if bad:
        by = "" if evidence.exited else f", and the program {came.said}"
        return Verdict.FAIL, f"{_named(list(bad), 'case', 'fails', 'fail')}{by}"
    if not cases:
        return Verdict.MISS, f"no results; the program {came.said or 'ended with status 0'}"
    if not came.explained:
        if came.as_before:
            return Verdict.INCONCLUSIVE, f"the program {came.said}, on the unpatched tree too"
        return Verdict.FAIL, f"the program {came.said}, and no new bad case says why"
    return _open(found, gave_up=gave_up) or _good(cases, skips, found, gave_up=gave_up)


def _exit(
    evidence: Evidence,
    cases: Sequence[CaseResult],
    found: Found,
    before: Evidence | None,
    *,
    gave_up: bool,
) -> _Exit:
    """Say how the job ended, and whether its cases explain that.

    A known failure explains status 1, and the status that the unpatched tree's program had with
    it; no other one, as 134 is what a shell makes of a child that aborts.
    """
    said = _job_end(evidence)
    same = before is not None and (
        (evidence.job_status, evidence.job_signal, evidence.timed_out)
        == (before.job_status, before.job_signal, before.timed_out)
    )
    if not evidence.exited:
        return _Exit(said, explained=False, as_before=same)
    status = evidence.job_status or 0
    xfails = any(case.status is CaseStatus.XFAIL for case in cases)
    explained = (
        status == 0
        or gave_up
        or (bool(found.late) and status == KSFT_FAIL)
        or bool(found.known and (status == KSFT_FAIL or (same and status < 128)))
        or (status == KSFT_XFAIL and xfails)
    )
    return _Exit(said, explained, same)


def _open(found: Found, *, gave_up: bool) -> tuple[Verdict, str] | None:
    """Return INCONCLUSIVE where the cases do not tell enough; None where they do."""
    unclear = [case for case in found.new.values() if case.mark is Mark.UNCLEAR]
    lost = (*found.gone, *found.skipped, *found.excused)
    if unclear and found.gone:
        named = _named(found.gone, "case", "is", "are")
        why = f"{named} gone that passes on the unpatched tree; {unclear[0].reason}"
        return Verdict.FAIL, why
    if unclear and not gave_up:
        return Verdict.INCONCLUSIVE, unclear[0].reason
    if lost:
        words = (
            ("gone", found.gone),
            ("skipped", found.skipped),
            ("expected to fail", found.excused),
        )
        did = " or ".join(word for word, names in words if names)
        named = _named(lost, "case", "is", "are")
        return Verdict.INCONCLUSIVE, f"{named} {did}, and good on the unpatched tree"
    missing = [key for key, case in found.known.items() if case.mark is Mark.MISSING]
    if missing and not gave_up:
        named = _named(missing, "case", "is", "are")
        return Verdict.INCONCLUSIVE, f"{named} missing here and on the unpatched tree"
    return None


def _good(
    cases: Sequence[CaseResult], skips: Sequence[CaseResult], found: Found, *, gave_up: bool
) -> tuple[Verdict, str]:
    """Judge cases that speak neither against the kernel nor of being incomplete."""
    good = sum(1 for case in cases if case.status is CaseStatus.PASS or case.mark is Mark.TODO)
    if gave_up and good:
        why = skips[-1].reason or skips[-1].name
        return Verdict.SKIP, f"the program skipped what was left after {good} good: {why}"
    if not good and found.known and not gave_up:
        return _all_known(found)
    if not good:
        xfails = sum(1 for case in cases if case.status is CaseStatus.XFAIL)
        expected = f"no case is good: {xfails} are expected to fail" if xfails else ""
        first = skips[0].reason if skips and not xfails else expected
        return Verdict.SKIP, first or "every case was skipped"
    if deafened := compare.unheard(found):
        return Verdict.INCONCLUSIVE, deafened
    skipped = f", {len(skips)} skipped" if skips else ""
    return Verdict.PASS, f"{good} {'case is' if good == 1 else 'cases are'} good{skipped}"


def _all_known(found: Found) -> tuple[Verdict, str]:
    """Judge cases that all fail, and fail on the unpatched tree too.

    Failures that were printed were tested, and are no worse; a status or a fault of the output
    alone, the same on both trees, may be a program that cannot even start.
    """
    printed = [case for case in found.known.values() if case.mark is Mark.NONE]
    if deafened := compare.unheard(found):
        return Verdict.INCONCLUSIVE, deafened
    if not printed:
        return Verdict.INCONCLUSIVE, "no case is good, and what fails is known"
    return Verdict.PASS, f"no case is good, and none is worse: {len(printed)} known"


def _job_end(evidence: Evidence) -> str:
    """Return how the job ended, "" for status 0."""
    if evidence.timed_out:
        return "was ended by its time limit"
    if evidence.job_signal is not None:
        return f"was killed by signal {evidence.job_signal}"
    if evidence.job_status is None:
        return "never told how it ended"
    return f"ended with status {evidence.job_status}" if evidence.job_status else ""


def _named(names: Sequence[str], noun: str, one: str, many: str) -> str:
    """Return "case a fails", "cases a, b fail" or "7 cases fail: a, b, c, …"."""
    if len(names) == 1:
        return f"{noun} {names[0]} {one}"
    if len(names) <= NAMED:
        return f"{noun}s {', '.join(names)} {many}"
    return f"{len(names)} {noun}s {many}: {', '.join(names[:NAMED])}, …"
