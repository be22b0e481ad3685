# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell's evidence amounts to.  PASS is what is left when nothing speaks against it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pinrace.judge import blame
from pinrace.judge.splats import Rules, load_rules
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Splat, Verdict

KSFT_SKIP = 4  # exit status of a test that skips, tools/testing/selftests/kselftest.h
NAMED = 3  # cases that a sentence names before it only counts


class Ending(StrEnum):
    """How a guest came to its end."""

    DONE = "done"  # init said so, after its last job
    PANIC = "panic"  # the kernel panicked, or reset the machine unasked
    HANG = "hang"  # it had booted, and then made no progress until the deadline
    NO_BOOT = "no-boot"  # init never said hello
    HOST = "host"  # QEMU or the harness could not do its part


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

    @property
    def ended_well(self) -> bool:
        """Whether the guest came to its planned end."""
        return self.ending is Ending.DONE


@dataclass(frozen=True)
class _Sorted:
    """Cases and splats, held against the unpatched tree."""

    new: tuple[str, ...]
    known: tuple[str, ...]
    fixed: tuple[str, ...]
    new_splats: tuple[Splat, ...]
    known_splats: tuple[Splat, ...]
    elsewhere: tuple[Splat, ...]
    blind: tuple[Splat, ...]
    setup: tuple[Splat, ...]
    host: tuple[Splat, ...]
    unexplained: tuple[Splat, ...]


def judge(
    cell: Cell,
    evidence: Evidence,
    cases: Sequence[CaseResult],
    splats: Sequence[Splat],
    baseline: Sequence[CaseResult] | None = None,
    *,
    baseline_splats: Sequence[Splat] = (),
    rules: Rules | None = None,
    seconds: float = 0.0,
    folder: Path | None = None,
    notes: Sequence[str] = (),
) -> CellResult:
    """Return the verdict with its reason; cases and splats are kept whatever it is.

    baseline is what the same cell gave on the unpatched tree; None when that was not run, and then
    everything bad counts as new.  `known` of the result names the bad cases that the baseline has
    too, and the fingerprints of such splats and of those that are of other code than the series'.
    """
    sorted_ = _sort(cases, splats, baseline, baseline_splats, rules or load_rules())
    verdict, reason = _decide(evidence, cases, sorted_, booted_before=baseline is not None)
    return CellResult(
        cell=cell,
        verdict=verdict,
        reason=reason,
        cases=tuple(cases),
        splats=tuple(splats),
        new=sorted_.new,
        known=(
            *sorted_.known,
            *(s.fingerprint for s in (*sorted_.known_splats, *sorted_.elsewhere)),
        ),
        fixed=sorted_.fixed,
        seconds=seconds,
        folder=folder,
        notes=(*notes, *_notes(cases, baseline, sorted_)),
    )


def _sort(
    cases: Sequence[CaseResult],
    splats: Sequence[Splat],
    baseline: Sequence[CaseResult] | None,
    baseline_splats: Sequence[Splat],
    rules: Rules,
) -> _Sorted:
    """Tell new from known."""
    bad, bad_before = _bad(cases), _bad(baseline or ())
    good = {case.name for case in cases if case.status in (CaseStatus.PASS, CaseStatus.XFAIL)}
    seen_before = {splat.fingerprint for splat in baseline_splats}
    kernels = [s for s in splats if rules.counts(s)]
    return _Sorted(
        new=tuple(name for name in bad if name not in bad_before),
        known=tuple(name for name in bad if name in bad_before),
        fixed=tuple(name for name in bad_before if name in good and name not in bad),
        new_splats=tuple(s for s in kernels if s.fingerprint not in seen_before),
        known_splats=tuple(s for s in kernels if s.fingerprint in seen_before),
        elsewhere=tuple(s for s in splats if s.elsewhere),
        blind=tuple(s for s in splats if rules.severity(s.rule) == "blind"),
        setup=tuple(s for s in splats if rules.severity(s.rule) == "setup"),
        host=tuple(s for s in splats if rules.severity(s.rule) == "host"),
        unexplained=tuple(s for s in splats if rules.severity(s.rule) == "note"),
    )


def _bad(cases: Iterable[CaseResult]) -> dict[str, None]:
    """Return the names of the bad cases, in order, each once."""
    return {case.name: None for case in cases if case.status.bad}


def _decide(
    evidence: Evidence, cases: Sequence[CaseResult], found: _Sorted, *, booted_before: bool
) -> tuple[Verdict, str]:
    """Apply the rules, the gravest first."""
    why = f": {evidence.reason}" if evidence.reason else ""
    if found.setup:
        return Verdict.MISS, f"the guest was put together wrongly: {found.setup[0].title}"
    if found.host:
        return Verdict.MISS, f"the host was too busy for this guest: {found.host[0].title}"
    if found.new_splats:
        more = f", and {len(found.new_splats) - 1} more" if len(found.new_splats) > 1 else ""
        return Verdict.FAIL, f"the kernel reported {found.new_splats[0].title}{more}"
    if not evidence.abi_ok:
        return Verdict.MISS, f"the program was not of this ABI: {evidence.abi_note or 'no note'}"
    if evidence.ending is Ending.HOST:
        return Verdict.MISS, f"the guest could not be run{why}"
    if not evidence.ended_well:
        return _broken_off(evidence, found, why, booted_before)
    if evidence.channel_error:
        return Verdict.MISS, f"the results arrived damaged: {evidence.channel_error}"
    return _by_cases(evidence, cases, found)


def _broken_off(
    evidence: Evidence, found: _Sorted, why: str, booted_before: bool
) -> tuple[Verdict, str]:
    """Judge a guest that did not come to its end, with no new report on its console."""
    panics = [s for s in found.known_splats if s.panicked]
    if evidence.ending is Ending.PANIC and panics:
        return Verdict.INCONCLUSIVE, f"the unpatched tree panics here too: {panics[0].title}"
    if evidence.ending is Ending.NO_BOOT:
        if booted_before:
            return Verdict.FAIL, f"the kernel did not boot, the unpatched one does{why}"
        return Verdict.MISS, f"the guest did not boot{why}"
    did = "panicked or reset itself" if evidence.ending is Ending.PANIC else "hung"
    return Verdict.FAIL, f"the kernel {did}{why}"


def _by_cases(
    evidence: Evidence, cases: Sequence[CaseResult], found: _Sorted
) -> tuple[Verdict, str]:
    """Judge a guest that came to its end."""
    ended = _job_end(evidence)
    if found.new:
        by = f", and the program {ended}" if evidence.timed_out or evidence.job_signal else ""
        return Verdict.FAIL, f"{_named(found.new, 'case', 'fails', 'fail')}{by}"
    if not cases:
        return Verdict.MISS, f"no results; the program {ended or 'ended with status 0'}"
    skipped = all(case.status is CaseStatus.SKIP for case in cases)
    if skipped and evidence.job_status in (0, KSFT_SKIP):
        return Verdict.SKIP, cases[0].reason or "every case was skipped"
    if evidence.timed_out or evidence.job_signal or (ended and not found.known):
        return Verdict.FAIL, f"the program {ended}, and no new bad case says why"
    if found.blind:
        return Verdict.INCONCLUSIVE, f"the log cannot be trusted: {found.blind[0].title}"
    return Verdict.PASS, f"{sum(1 for case in cases if not case.status.bad)} cases are good"


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


def _notes(
    cases: Sequence[CaseResult], baseline: Sequence[CaseResult] | None, found: _Sorted
) -> list[str]:
    """Return what a reader should know beside the verdict."""
    notes = []
    if found.known:
        notes.append(f"{len(found.known)} known on the unpatched tree: {_few(found.known)}")
    notes += [f"known on the unpatched tree: {splat.title}" for splat in found.known_splats]
    notes += blame.notes(found.elsewhere)
    if found.fixed:
        notes.append(f"{len(found.fixed)} fixed: {_few(found.fixed)}")
    if baseline is not None:
        now = {case.name: case.status for case in cases}
        passed = [case.name for case in baseline if case.status is CaseStatus.PASS]
        gone = [name for name in passed if name not in now]
        skip = [name for name in passed if now.get(name) is CaseStatus.SKIP]
        if gone:
            notes.append(f"{len(gone)} pass on the unpatched tree and are absent: {_few(gone)}")
        if skip:
            notes.append(f"{len(skip)} pass on the unpatched tree and skip here: {_few(skip)}")
    notes += [f"blind: {splat.title}" for splat in found.blind]
    notes += [f"nothing explains: {splat.title}" for splat in found.unexplained[:NAMED]]
    return notes


def _few(names: Sequence[str]) -> str:
    """Return the first names."""
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
