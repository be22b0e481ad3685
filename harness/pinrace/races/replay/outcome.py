# SPDX-License-Identifier: GPL-2.0-or-later
"""What replays and repeated runs say as a judged cell: a case a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pinrace.runs import pictures
from pinrace.runs.pictures import Square, Strip
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict

SUITE = "repro"
DETERMINISM = "determinism"


@dataclass(frozen=True)
class Replay:
    """One run: what it came to, as a fingerprint or a verdict, and what that was in words."""

    name: str
    came: str
    said: str = ""


def result(
    cell: Cell,
    ran: Sequence[Replay],
    folder: Path,
    *,
    wanted: str,
    what: str = "verdict",
    seconds: float = 0.0,
) -> CellResult:
    """Hold replays against what their token promises: PASS when each of them came to that.

    Else it is a MISS: other outcomes do not speak of the kernel.  what: the noun for what they
    came to.
    """
    same = sum(one.came == wanted for one in ran)
    cases = [_case(one, one.came == wanted, f"not the token's {what}: {one.came}") for one in ran]
    good = bool(ran) and same == len(ran)
    others = Counter(one.came for one in ran if one.came != wanted)
    named = ", ".join(f"{came} ({count})" for came, count in others.most_common(3))
    said = f"same {what}, {wanted}" if good else f"NOT the token's {what}, {wanted}: {named}"
    return _result(cell, cases, folder, good=good, said=f"{said} ({same}/{len(ran)})", s=seconds)


def repeated(
    cell: Cell, ran: Sequence[Replay], folder: Path, *, weak: str = "", seconds: float = 0.0
) -> CellResult:
    """Hold runs of the same against each other: PASS when all came to the same, MISS otherwise.

    weak: why equal runs say nothing here, which makes that INCONCLUSIVE.
    """
    count = Counter(one.came for one in ran)
    most, same = count.most_common(1)[0] if count else ("", 0)
    cases = [_case(one, one.came == most, f"differs from {most}: {one.came}") for one in ran]
    equal = bool(ran) and same == len(ran)
    said = f"{same}/{len(ran)} fingerprints equal" + (f"; {weak}" if equal and weak else "")
    found = _result(cell, cases, folder, good=equal, said=said, s=seconds)
    if equal and weak:
        return CellResult(
            cell, Verdict.INCONCLUSIVE, said, found.cases, seconds=seconds, folder=folder
        )
    return found


def _case(one: Replay, same: bool, otherwise: str) -> CaseResult:
    if same:
        return CaseResult(one.name, CaseStatus.PASS, one.said)
    return CaseResult(one.name, CaseStatus.ERROR, otherwise, (one.said,) if one.said else ())


def _result(
    cell: Cell, cases: Sequence[CaseResult], folder: Path, *, good: bool, said: str, s: float
) -> CellResult:
    squares = tuple(Square(case.status, f"{case.name}: {case.reason}") for case in cases)
    pictures.keep(folder, strips=[Strip(said, squares)] if squares else [])
    verdict = Verdict.PASS if good else Verdict.MISS
    return CellResult(cell, verdict, said, tuple(cases), seconds=s, folder=folder)
