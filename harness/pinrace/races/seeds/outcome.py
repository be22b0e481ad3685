# SPDX-License-Identifier: GPL-2.0-or-later
"""What a search over seeds says as a judged cell: a case a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pinrace.races.seeds.search import Found
from pinrace.runs import pictures
from pinrace.runs.pictures import Square, Strip
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict

SUITE = "search"
LOST = "lost"  # how a trial fails that lost the race


def result(
    cell: Cell,
    ran: Sequence[Found],
    folder: Path,
    *,
    mode: str,
    blind: str = "",
    notes: Sequence[str] = (),
    seconds: float = 0.0,
) -> CellResult:
    """Judge the runs of a search, finished or not.

    A run that failed is the kernel's FAIL; where the race is run without protection (mode plain) it
    has to be lost, which passes.  blind: why nothing that failed proves nothing.
    """
    wanted = LOST if mode == "plain" else ""
    cases = tuple(_case(one, wanted) for one in ran)
    squares = tuple(Square(case.status, f"{case.name}: {case.reason}") for case in cases)
    pictures.keep(
        folder, strips=[Strip(f"{mode} runs, in their order", squares)] if squares else []
    )
    verdict, said = _judge(ran, wanted, blind)
    new = tuple(case.name for case in cases if case.status is CaseStatus.FAIL)
    return CellResult(
        cell, verdict, said, cases, new=new, seconds=seconds, folder=folder, notes=tuple(notes)
    )


def _judge(ran: Sequence[Found], wanted: str, blind: str) -> tuple[Verdict, str]:
    """Return the verdict with its sentence."""
    bad = next((one for one in ran if one.fails and one.fails != wanted), None)
    if bad:
        return Verdict.FAIL, f"{bad.fails} in run {ran.index(bad) + 1} of {len(ran)}: {bad.trial}"
    lost = next((number for number, one in enumerate(ran, 1) if one.fails), 0)
    if lost:
        said = f"{wanted} in run {lost} of {len(ran)}, as it must be without protection"
        return Verdict.PASS, said
    if blind:
        return Verdict.INCONCLUSIVE, blind
    missing = [one.missing for one in ran if one.missing]
    rounds = sum(one.kept for one in ran)
    said = f"nothing failed in {len(ran) - len(missing)} runs, {rounds:,} rounds that went on"
    if missing:
        return Verdict.MISS, f"{len(missing)} runs could not be run ({missing[0]}); {said}"
    if wanted or not rounds:
        return Verdict.INCONCLUSIVE, said
    return Verdict.PASS, said


def _case(one: Found, wanted: str) -> CaseResult:
    trial = one.trial
    name = (
        f"seed {trial.seed}, shift {trial.shift}: {trial.rounds} rounds,"
        f" {trial.mutators} mutators, {trial.points} points"
    )
    if one.missing:
        return CaseResult(name, CaseStatus.ERROR, one.missing)
    if one.fails and one.fails != wanted:
        return CaseResult(name, CaseStatus.FAIL, one.fails)
    return CaseResult(name, CaseStatus.PASS, one.fails or f"kept in {one.kept:,} rounds")
