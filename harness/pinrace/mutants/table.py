# SPDX-License-Identifier: GPL-2.0-or-later
"""The kill matrix, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pinrace.contract.statements import Statement
from pinrace.mutants.finding import Finding, Kind, alarms
from pinrace.mutants.run import Column, MutantRow, SeriesRow

_UNSEEN = (Kind.SURVIVED, Kind.INSTEAD, Kind.LOST)


def markdown(
    series: Sequence[SeriesRow],
    mutants: Sequence[MutantRow],
    columns: Sequence[Column],
    facts: Mapping[str, str],
) -> str:
    """Return the facts, the sums, the matrix, and what nothing saw."""
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", *summary(mutants, columns), ""]
    for number, flavor in enumerate(dict.fromkeys(column.flavor for column in columns)):
        mine = [column for column in columns if column.flavor == flavor]
        # Those that are run nowhere are said in the first matrix.
        here = [
            one
            for one in mutants
            if any(c in one.findings for c in mine) or (not number and not one.findings)
        ]
        lines += [*_matrix(series, here, mine), ""]
    lines += ["## What each breaks", ""]
    lines += [f"- {one.mutant.name}: {one.mutant.about}" for one in mutants]
    unseen = _unseen(mutants, columns)
    if unseen:
        lines += ["", "## Not seen", "", *unseen]
    return "\n".join(lines) + "\n"


def _matrix(
    series: Sequence[SeriesRow], mutants: Sequence[MutantRow], columns: Sequence[Column]
) -> list[str]:
    """Return the matrix of one flavor."""
    heads = [f"{c.name} {test}" for c in columns for test in ("selftest", "torture")]
    lines = [f"| kernel | breaks | {' | '.join(heads)} |", f"|---|---|{'---|' * len(heads)}"]
    for row in series:
        if not any(column in row.tries for column in columns):
            continue
        said = [_plain(_clean(row, c, test)) for c in columns for test in ("selftest", "torture")]
        lines.append(f"| {row.name} | | {' | '.join(said)} |")
    for one in mutants:
        said = [_plain(text) for c in columns for text in _cells(one, c)]
        notes = ["race"] if one.mutant.kind == "race" else []
        if one.mutant.flavor not in ("plain", columns[0].flavor):
            notes.append(f"--flavor {one.mutant.flavor}")
        note = f" ({', '.join(notes)})" if notes else ""
        breaks = ", ".join(one.mutant.statements)
        lines.append(f"| {one.mutant.name}{note} | {breaks} | {' | '.join(said)} |")
    return lines


def summary(mutants: Sequence[MutantRow], columns: Sequence[Column]) -> list[str]:
    """Return a line for each column: how many are killed, and by what."""
    lines = []
    for column in columns:
        here = [one for one in mutants if one.findings.get(column)]
        killed = [one for one in here if one.kind(column) is Kind.KILLED]
        by = {
            test: sum(1 for one in killed if _kills(one, column, test))
            for test in ("selftest", "torture", "price")
        }
        races = [one for one in here if one.mutant.kind == "race"]
        seen = sum(1 for one in races if one in killed)
        ways = ", ".join(f"{count} by {test}" for test, count in by.items() if count)
        lines.append(
            f"- {column.name}: {len(killed)} of {len(here)} killed ({ways or 'by nothing'});"
            f" of the races, {seen} of {len(races)}"
        )
    return lines


def uncovered(statements: Sequence[Statement], mutants: Sequence[MutantRow]) -> list[str]:
    """Return the statements of which no mutant was killed anywhere."""
    killed = {
        s
        for one in mutants
        for s in one.mutant.statements
        if any(one.kind(column) is Kind.KILLED for column in one.findings)
    }
    return [one.id for one in statements if one.id not in killed]


def _kills(one: MutantRow, column: Column, test: str) -> bool:
    found = one.findings[column].get(test)
    return found is not None and found.kind is Kind.KILLED


def _cells(one: MutantRow, column: Column) -> tuple[str, str]:
    """Return what a mutant's row says of the two tests on one ABI."""
    found = one.findings.get(column)
    if found is None:
        return "n/a", "n/a"
    if "build" in found:
        return found["build"].by, "not run"
    first = [_text(found[test], test) for test in ("selftest", "price") if test in found]
    raced = _text(found.get("torture"), "torture")
    done = (
        "torture" not in found and one.mutant.kind == "promise" and _kills(one, column, "selftest")
    )
    return "; ".join(first) or "not run", "" if done else raced


def _text(found: Finding | None, test: str) -> str:
    if found is None:
        return "not run"
    spent = f"{found.seconds:.0f} s"
    if found.kind is Kind.KILLED:
        run = f"run {found.tries}, " if found.tries > 1 else ""
        named = f"{test} " if test == "price" else ""
        return f"**killed** by {named}{found.by} ({run}{spent})"
    if found.kind is Kind.INSTEAD:
        return f"killed by {found.by} instead ({spent})"
    if found.kind is Kind.LOST:
        return f"could not be run: {found.by}"
    times = f"{found.tries} runs, " if found.tries > 1 else ""
    return f"survived ({times}{spent})"


def _clean(row: SeriesRow, column: Column, test: str) -> str:
    """Return what a series' row says of a test on one ABI."""
    done = [one for one in row.tries.get(column, ()) if one.test == test]
    if not done:
        return "not run"
    lost = [one.why for one in done if not one.ran]
    if lost:
        return f"could not be run: {lost[0]}"
    signs = alarms(done)
    if signs:
        broken = sorted({s.statement for s in signs}, key=lambda s: (len(s), s))
        return f"**breaks {', '.join(broken)}**"
    trials = sum(one.trials for one in done)
    if test == "torture" and not trials:
        return "inconclusive"
    count = f"{trials:,} trials" if trials else f"{len(done[0].passed)} cases, {len(done)} runs"
    return f"clean ({count})"


def _unseen(mutants: Sequence[MutantRow], columns: Sequence[Column]) -> list[str]:
    lines = []
    for one in mutants:
        where = [c.name for c in columns if c in one.findings and one.kind(c) in _UNSEEN]
        if where:
            lines.append(f"- {one.mutant.name} on {', '.join(where)}: {one.mutant.about}")
    return lines


def _plain(text: str) -> str:
    return text.replace("|", "¦").replace("\n", " ")
