# SPDX-License-Identifier: GPL-2.0-or-later
"""What sweeps say as a judged cell: one for each ABI, with a case for each window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pinrace.races.preempt.hunt import Hunt
from pinrace.races.preempt.spec import Hold
from pinrace.runs import pictures
from pinrace.runs.pictures import Lanes, Moment, Square, Strip
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict, gravest

SUITE = "hunt"
SHOWN = 4  # violations with lanes of their own
_VIOLATED = "violated"


def verdict(hunt: Hunt) -> Verdict:
    """Return what a sweep is worth.  A control has to find a violation, and is sound then."""
    if hunt.window.control:
        if hunt.lost or hunt.reports:
            return Verdict.MISS
        return Verdict.PASS if hunt.found else Verdict.INCONCLUSIVE
    if hunt.violations:
        return Verdict.FAIL
    if hunt.lost:
        return Verdict.MISS
    played = hunt.tried > sum(hunt.given_up.values())
    return Verdict.PASS if played else Verdict.INCONCLUSIVE


def sentence(hunt: Hunt) -> str:
    """Say in a line what a sweep came to."""
    length = f" of {hunt.length} instructions" if hunt.length is not None else ""
    end = "" if hunt.complete else ", not to its end"
    given_up = sum(hunt.given_up.values())
    return f"{hunt.tried} holds{length}{end}, {given_up} given up, {hunt.violations} violations"


def case(hunt: Hunt) -> CaseResult:
    """Return the case of a window."""
    window = hunt.window
    lines = (
        [] if window.control else [f"{one.hold}: {one.verdict}: {one.why}" for one in hunt.found]
    )
    lines += [f"report: {text}" for text in hunt.reports]
    lines += [f"lost: {text}" for text in hunt.lost]
    lines += [f"given up {count} times: {why}" for why, count in hunt.given_up.most_common()]
    kind = "a control; " if window.control else ""
    return CaseResult(window.name, verdict(hunt).case_status, kind + sentence(hunt), tuple(lines))


def result(
    cell: Cell, hunts: Sequence[Hunt], folder: Path, *, planned: int, notes: Sequence[str] = ()
) -> CellResult:
    """Return the cell of an ABI's sweeps, all of those planned or what there is of them."""
    cases = tuple(case(hunt) for hunt in hunts)
    new = tuple(one.name for one in cases if one.status is CaseStatus.FAIL)
    worst = gravest(map(verdict, hunts))
    if len(hunts) < planned and worst is not Verdict.FAIL:
        worst = Verdict.MISS
    holds = sum(hunt.tried for hunt in hunts)
    said = f"{holds} holds in {len(hunts)} of {planned} windows"
    if new:
        said = f"violations in {', '.join(new)}; {said}"
    keep(hunts, folder)
    seconds = sum(hunt.seconds for hunt in hunts)
    return CellResult(
        cell, worst, said, cases, new=new, seconds=seconds, folder=folder, notes=tuple(notes)
    )


def keep(hunts: Sequence[Hunt], folder: Path) -> None:
    """Keep what the page shows: a strip a window, and the lanes of some violations."""
    strips = [strip(hunt) for hunt in hunts if hunt.by_count]
    found = [one for hunt in hunts if not hunt.window.control for one in hunt.found]
    pictures.keep(folder, strips=strips, lanes=[lanes(one.hold, one.why) for one in found[:SHOWN]])


def strip(hunt: Hunt) -> Strip:
    """Return a window as a strip: an instruction a square, as far as it was swept."""
    window = hunt.window
    words = {count: word for (side, count), word in hunt.by_count.items() if side == window.side}
    last = max([*words, (hunt.length or 0) - 1])
    squares = tuple(
        _square(f"{window.window}+{count}", words.get(count))
        for count in range(window.first, last + 1)
    )
    title = f"{window.name}: {window.side} held in {window.window}"
    return Strip(title, squares)


def _square(place: str, word: str | None) -> Square:
    if word is None:
        return Square(None, f"{place}: not held")
    if word.startswith("given up"):
        return Square(CaseStatus.SKIP, f"{place}: {word}")
    bad = word.startswith(_VIOLATED)
    return Square(CaseStatus.FAIL if bad else CaseStatus.PASS, f"{place}: {word}")


def lanes(hold: Hold, why: str) -> Lanes:
    """Return the moves of a hold as lanes, with what came of them at the end."""
    sides = tuple(dict.fromkeys(move.side for move in hold.moves))
    moments = [
        Moment(
            move.side,
            "to its end" if move.function == "done" else f"runs to {move.function}+{move.count}",
        )
        for move in hold.moves
    ]
    moments.append(Moment(hold.moves[-1].side, why, CaseStatus.FAIL))
    return Lanes(str(hold), sides, tuple(moments))
