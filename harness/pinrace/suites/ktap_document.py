# SPDX-License-Identifier: GPL-2.0-or-later
"""A level of KTAP with its document: which results it has, and which it lacks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pinrace.suites import ktap_lines
from pinrace.values import CaseResult, CaseStatus, Mark

MAX_MISSING = 4096  # missing results that are listed one by one, of a whole output


@dataclass(frozen=True)
class Result:
    """One result line with the results nested in it, or a fault of the output (number None)."""

    number: int | None
    name: str
    status: CaseStatus
    reason: str = ""
    lines: tuple[str, ...] = ()
    children: tuple[Result, ...] = ()
    mark: Mark = Mark.NONE

    def flatten(self, above: str = "", excuse: Result | None = None) -> tuple[CaseResult, ...]:
        """Return its leaves; itself too when no leaf says why it is bad.

        excuse: the group around it that is skipped, or expected to fail; what is bad in such a
        group does not count.
        """
        return tuple(case for _, case in self.judged(above, excuse))

    def judged(
        self, above: str = "", excuse: Result | None = None
    ) -> tuple[tuple[Result, CaseResult], ...]:
        """Return the same, each case with the result that it is of."""
        path = f"{above}/{self.name}" if above else self.name
        if excuse is None and self.status in (CaseStatus.SKIP, CaseStatus.XFAIL):
            excuse = self
        leaves = tuple(leaf for child in self.children for leaf in child.judged(path, excuse))
        explained = self.status is CaseStatus.FAIL and any(case.status.bad for _, case in leaves)
        if leaves and (explained or not self.status.bad):
            return leaves
        if excuse is not None and self.status.bad:
            reason = excuse.reason or self.reason
            own = CaseResult(path, excuse.status, reason, self.lines, excuse.mark)
        else:
            own = CaseResult(path, self.status, self.reason, self.lines, self.mark)
        return (*leaves, (self, own))


def fault(
    name: str, reason: str, lines: tuple[str, ...] = (), *, mark: Mark = Mark.MISSING
) -> Result:
    """Return the ERROR that stands for something wrong with the output itself."""
    return Result(None, f"({name})", CaseStatus.ERROR, reason, lines, mark=mark)


@dataclass
class Budget:
    """How many missing results may still be listed one by one."""

    left: int = MAX_MISSING

    def missing(self, plan: int, seen: set[int]) -> list[Result]:
        """Return an ERROR for each number up to plan that was not seen."""
        due = plan - sum(1 for number in seen if 0 < number <= plan)
        if due > self.left:
            return [fault("missing", f"{due} of {plan} planned results were not seen")]
        self.left -= due
        why = "planned, and not seen"
        numbers = (n for n in range(1, plan + 1) if n not in seen) if due else iter(())
        return [Result(n, f"#{n}", CaseStatus.ERROR, why, mark=Mark.MISSING) for n in numbers]


@dataclass
class Level:
    """A level of nesting that is still open, and the document in it."""

    indent: str
    version: bool = False  # the document has a version or Subtest line
    plan: int | None = None
    note: str = ""  # the comment of its plan
    name: str = ""  # from "# Subtest:"
    inner: str | None = None  # the same of the subtest to come, from a line at this column
    results: list[Result] = field(default_factory=list)  # of the document
    behind: list[str] = field(default_factory=list)  # what belongs to the latest result
    places: list[int | None] = field(default_factory=list)  # their numbers; None for a fault
    last: int = 0  # the greatest number
    earlier: list[Result] = field(default_factory=list)  # those of documents before
    counted: bool = True  # no result lacked its number
    totals: int | None = None
    twice: bool = False  # its version line came again behind its plan
    bailed: bool = False
    head: list[str] = field(default_factory=list)  # lines before it: its parent's
    runs: bool = False  # runner.sh has said which program it runs, whose lines begin with "# "
    brace: int | None = None  # which result's subtest is open, behind its "{"

    def add(self, result: Result, number: int | None) -> None:
        """Take a result; one without a number has the next one."""
        self._settle()
        self.counted = self.counted and number is not None
        place = self.last + 1 if number is None else number
        self.last = max(self.last, place)
        self.results.append(result)
        self.places.append(place)

    def blame(self, wrong: Result) -> None:
        """Take a fault of the output."""
        self._settle()
        self.results.append(wrong)
        self.places.append(None)

    def _settle(self) -> None:
        """Give the latest result what belongs to it."""
        if self.behind:
            last = self.results[-1]
            self.results[-1] = replace(last, lines=(*last.lines, *self.behind))
            self.behind = []

    @property
    def seen(self) -> set[int]:
        """The numbers that have come."""
        return {place for place in self.places if place is not None}

    @property
    def complete(self) -> bool:
        """Whether all that its plan names has come."""
        return self.plan is not None and 0 < self.plan <= len(self.results)

    def end(self, budget: Budget, *, top: bool) -> None:
        """End the document: say what is wrong with it, and be ready for another one."""
        self._settle()
        due = self.last if self.plan is None else self.plan
        found = self._placed() + budget.missing(due, self.seen)
        if self.plan == 0 and not found and self.note:
            said = ktap_lines.said(f"# {self.note}", good=True)
            why = said.reason if said.status is CaseStatus.SKIP else self.note
            found.append(Result(None, "(all)", CaseStatus.SKIP, why))
        elif top and not found and not self.bailed:
            none = "a plan of no results, and no reason for it"
            none = "a version line and no results" if self.plan is None else none
            found.append(fault("results", none, mark=Mark.UNCLEAR))
        elif top and self.plan is None and not self.bailed and self.totals != len(self.seen):
            why = "no plan line: nobody knows how many results are due"
            found.append(fault("plan", why, mark=Mark.UNCLEAR))
        if self.twice:
            why = "version and plan twice: of one program that forked, or of one without results"
            found.append(fault("plan", why, mark=Mark.UNCLEAR))
        self.earlier += found
        self.results, self.places, self.last = [], [], 0
        self.plan, self.note, self.totals, self.brace = None, "", None, None
        self.version, self.counted, self.twice, self.bailed = False, True, False, False

    def _placed(self) -> list[Result]:
        """Return the results, those whose numbers have no place in the document as ERRORs."""
        seen: set[int] = set()
        found = []
        for result, number in zip(self.results, self.places, strict=True):
            why = ""
            if number in seen:
                why = f"a second result number {number}"
            elif number == 0:
                why = "result number 0"
            elif number is not None and self.plan is not None and number > self.plan:
                why = f"result number {number} of a plan of {self.plan}"
            if number is not None:
                seen.add(number)
            if why and not result.status.bad:
                why = f"{why} ({result.status.value})"
                found.append(replace(result, status=CaseStatus.ERROR, reason=why))
            else:
                found.append(result)
        return found
