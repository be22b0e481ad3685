# SPDX-License-Identifier: GPL-2.0-or-later
"""What tries amount to.  A kill counts when what a mutant breaks is what failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pinrace.contract.statements import REPORTS, spoken_of
from pinrace.mutants.file import Mutant
from pinrace.mutants.tries import Try
from pinrace.values import CaseResult, CaseStatus

PRICED = "price"  # the test that has a clean kernel beside it
PRICE = "C22"  # the statement that no case and no race can speak of


class Kind(StrEnum):
    """What became of a mutant under a test, or of all its tests on an ABI."""

    KILLED = "killed"
    INSTEAD = "killed by another statement"
    SURVIVED = "survived"
    LOST = "could not be run"
    NOT_RUN = "not run"
    NOT_HERE = "n/a"


@dataclass(frozen=True)
class Reference:
    """What the unmutated series gave in the same tests: only what passed there can fail here."""

    ran: frozenset[str] = frozenset({PRICED})  # kinds of tests; that of prices has its own
    passed: frozenset[str] = frozenset()
    reports: frozenset[str] = frozenset()
    endings: frozenset[str] = frozenset()
    breaches: frozenset[str] = frozenset()  # statements
    seconds: float = 0.0  # of the slowest selftest, on the host

    @classmethod
    def of(cls, tries: Iterable[Try]) -> Reference:
        """Return what all of these tries agree on."""
        done = [one for one in tries if one.ran]
        cases = [one for one in done if one.test == "selftest"]
        passed = frozenset.intersection(*(frozenset(one.passed) for one in cases)) if cases else ()
        return cls(
            frozenset({PRICED, *(one.test for one in done)}),
            frozenset(passed),
            frozenset(r.fingerprint for one in done for r in one.reports),
            frozenset(one.ending for one in done if one.ending),
            frozenset(b.statement for one in done for b in one.breaches),
            max((one.seconds for one in cases), default=0.0),
        )

    def without(self, again: Try) -> Reference:
        """Return what is left of it when a test of the series was run once more."""
        return replace(
            self,
            passed=self.passed - set(again.bad),
            reports=self.reports | {r.fingerprint for r in again.reports},
            endings=self.endings | ({again.ending} if again.ending else set()),
        )


@dataclass(frozen=True)
class Sign:
    """Something that spoke against a kernel."""

    statement: str  # C1..C22, or "panic" or "hang"
    by: str


@dataclass(frozen=True)
class Finding:
    """What one kind of test says of a mutant on one ABI."""

    kind: Kind
    by: str = ""  # what saw it, or why it could not be run
    tries: int = 0  # up to the one that saw it, or all
    seconds: float = 0.0  # of all of them


def signs(one: Try, reference: Reference) -> list[Sign]:
    """Return what speaks against a kernel and did not against the unmutated series.

    Nothing does where the same test did not run there.
    """
    if one.test not in reference.ran:
        return []
    found = [
        Sign(statement, name)
        for name in one.bad
        if name in reference.passed
        for statement in spoken_of(CaseResult(name, CaseStatus.FAIL))
    ]
    found += [
        Sign(breach.statement, f"{breach.by}, {breach.second:.1f} s")
        for breach in one.breaches
        if breach.statement not in reference.breaches
    ]
    found += [
        Sign(REPORTS, report.title)
        for report in one.reports
        if report.fingerprint not in reference.reports
    ]
    if one.ending and one.ending not in reference.endings:
        found.append(Sign(one.ending, one.ending))
    return found


def alarms(tries: Sequence[Try]) -> list[Sign]:
    """Return all that speaks against a kernel that nothing may speak against."""
    found = []
    for one in tries:
        found += signs(one, Reference(frozenset({one.test}), frozenset(one.bad)))
        found += [Sign("?", name) for name in one.bad if not spoken_of_name(name)]
    return found


def spoken_of_name(name: str) -> tuple[str, ...]:
    """Return the statements that a case of that name speaks of."""
    return spoken_of(CaseResult(name, CaseStatus.FAIL))


def hits(mutant: Mutant, sign: Sign) -> bool:
    """Whether a sign is one of what the mutant breaks."""
    return sign.statement in (*mutant.statements, *mutant.ending)


def killers(mutant: Mutant, one: Try, reference: Reference) -> tuple[str, ...]:
    """Return the cases that show what the mutant breaks."""
    return tuple(
        name
        for name in one.bad
        if name in reference.passed and set(spoken_of_name(name)) & set(mutant.statements)
    )


def find(mutant: Mutant, tries: Sequence[Try], reference: Reference) -> Finding:
    """Judge the tries of one test, in their order."""
    seconds, other = 0.0, ""
    for number, one in enumerate(tries, 1):
        seconds += one.seconds
        seen = signs(one, reference) if one.ran else []
        right = [sign for sign in seen if hits(mutant, sign)]
        if right:
            return Finding(Kind.KILLED, _named(right), number, seconds)
        other = other or _named(seen)
    ran = [one for one in tries if one.ran]
    if other:
        return Finding(Kind.INSTEAD, other, len(tries), seconds)
    if not tries:
        return Finding(Kind.NOT_RUN)
    if tries[0].test not in reference.ran:
        return Finding(Kind.LOST, "this test did not run on the unmutated series")
    if len(ran) < len(tries):
        why = next(one.why for one in tries if not one.ran)
        return Finding(Kind.LOST, why, len(tries), seconds)
    return Finding(Kind.SURVIVED, "", len(tries), seconds)


def _named(seen: Sequence[Sign]) -> str:
    """Return the first sign, with its statement, and how many more there are."""
    if not seen:
        return ""
    first = seen[0]
    text = first.by if first.by == first.statement else f"{first.statement} {first.by}"
    return f"{text} (+{len(seen) - 1})" if len(seen) > 1 else text


def overall(findings: Iterable[Finding]) -> Kind:
    """Return what the findings of all tests on all ABIs come to for one mutant."""
    kinds = {finding.kind for finding in findings}
    order = (Kind.KILLED, Kind.LOST, Kind.INSTEAD, Kind.SURVIVED, Kind.NOT_RUN)
    return next((kind for kind in order if kind in kinds), Kind.NOT_HERE)
