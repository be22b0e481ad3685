# SPDX-License-Identifier: GPL-2.0-or-later
"""What is new in a night: told from the nights before, cell by cell."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pinrace.errors import Exit
from pinrace.matrix.journal import LegResult
from pinrace.nightly.history import Said, Spot
from pinrace.values import Verdict

WINDOW = 30  # nights that are looked back on


class Kind(StrEnum):
    """How a spot compares with its past."""

    NEW_FAILURE = "new failure"
    NO_LONGER_APPLIES = "no longer applies"
    NO_LONGER_BUILDS = "no longer builds"
    NOT_RUN = "could not be run"
    FLAKY = "flaky"
    STILL_FAILING = "still failing"
    FIXED = "fixed"
    NEW_SPOT = "new in the matrix"
    SAME = "as before"


# What a maintainer has to hear of, the gravest first; the others are for reading.
ALARMS = (Kind.NEW_FAILURE, Kind.NO_LONGER_APPLIES, Kind.NO_LONGER_BUILDS, Kind.NOT_RUN)
_NO_KERNEL = {"apply": Kind.NO_LONGER_APPLIES, "build": Kind.NO_LONGER_BUILDS}


@dataclass(frozen=True)
class Change:
    """What is to be said of a spot."""

    spot: Spot
    kind: Kind
    now: Said
    note: str  # since when, or how often

    @property
    def line(self) -> str:
        """One line for people."""
        more = f" ({self.note})" if self.note else ""
        return f"{self.kind}: {self.spot} on {self.now.version or 'no tree'}{more}"


def compare(past: Mapping[Spot, Sequence[Said]], night: int) -> list[Change]:
    """Return a change for each spot of that night, by kind; past is newest first.

    A failure counts as flaky when the very same kernel and programs have passed, or when the spot
    went from failing to passing twice before; its rate is over the nights in which it ran.  MISS
    and SKIP are no word on the kernel, so what a spot said before them is what it is held against.
    """
    found = []
    for spot, history in past.items():
        if not history or history[0].night != night:
            continue
        change = _change(spot, history[0], [s for s in history[1:] if _tells(s)])
        known = len(history) > 1 and change.kind is Kind.NEW_SPOT
        found.append(Change(spot, Kind.SAME, change.now, "") if known else change)
    order = list(Kind)
    return sorted(found, key=lambda change: (order.index(change.kind), change.spot))


def _tells(said: Said) -> bool:
    return said.verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE)


def _change(spot: Spot, now: Said, before: Sequence[Said]) -> Change:
    """Compare one spot with the nights that told something, newest first."""
    last = before[0] if before else None
    failed = [said for said in before if said.verdict is Verdict.FAIL]
    if now.verdict is Verdict.MISS:
        return Change(spot, Kind.NOT_RUN, now, now.reason)
    if now.verdict is Verdict.FAIL:
        return _failure(spot, now, before, failed)
    if last and last.verdict is Verdict.FAIL and now.verdict is Verdict.PASS:
        return Change(spot, Kind.FIXED, now, f"failed since {_since(before)}")
    if now.verdict is Verdict.SKIP and now.stage == "apply" and last and last.stage == "run":
        return Change(spot, Kind.NO_LONGER_APPLIES, now, now.reason)
    if last is None:
        return Change(spot, Kind.NEW_SPOT, now, str(now.verdict))
    return Change(spot, Kind.SAME, now, "")


def _failure(spot: Spot, now: Said, before: Sequence[Said], failed: Sequence[Said]) -> Change:
    """Say what kind of failure it is."""
    last = before[0] if before else None
    if last and last.verdict is Verdict.FAIL and last.stage == now.stage:
        return Change(spot, Kind.STILL_FAILING, now, f"since {_since(before)}: {now.reason}")
    if now.stage in _NO_KERNEL:
        return Change(spot, _NO_KERNEL[now.stage], now, now.reason)
    if _is_flaky(now, before):
        rate = f"failed in {len(failed) + 1} of {len(before) + 1} nights: {now.reason}"
        return Change(spot, Kind.FLAKY, now, rate)
    return Change(spot, Kind.NEW_FAILURE, now, now.reason)


def _is_flaky(now: Said, before: Sequence[Said]) -> bool:
    """Whether a failure is one of those that come and go."""
    if any(said.key == now.key and said.verdict is Verdict.PASS for said in before):
        return True
    verdicts = [said.verdict for said in before]
    return sum(pair == (Verdict.PASS, Verdict.FAIL) for pair in itertools.pairwise(verdicts)) >= 2


def _since(before: Sequence[Said]) -> str:
    """Return the day on which the present row of failures began."""
    first = before[0]
    for said in before:
        if said.verdict is not Verdict.FAIL:
            break
        first = said
    return first.began[:10]


def exit_code_of_all(results: Sequence[LegResult]) -> Exit:
    """Return what `pinrace help exits` has for a night as a whole, old failures included."""
    failed = {one.stage for one in results if one.verdict is Verdict.FAIL}
    if "run" in failed:
        return Exit.KERNEL
    if failed:
        return Exit.BUILD
    proven = {one.verdict for one in results} <= {Verdict.PASS, Verdict.SKIP}
    return Exit.OK if results and proven else Exit.INFRA


def exit_code_of_news(changes: Sequence[Change]) -> Exit:
    """Return 1 for a new failure, 3 for what no longer applies or builds, 4 for what did not run.

    What failed before, and what is flaky, is no reason to be woken.
    """
    kinds = {change.kind for change in changes}
    if Kind.NEW_FAILURE in kinds:
        return Exit.KERNEL
    if kinds & set(_NO_KERNEL.values()):
        return Exit.BUILD
    return Exit.INFRA if Kind.NOT_RUN in kinds else Exit.OK
