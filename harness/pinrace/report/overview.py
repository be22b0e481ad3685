# SPDX-License-Identifier: GPL-2.0-or-later
"""What all cells together say: what is new, and where each verdict stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pinrace.judge.match import normal
from pinrace.report import splats, text
from pinrace.report.limits import FINDINGS, NAME, SENTENCE
from pinrace.report.model import Finding, Matrix, Section, Square
from pinrace.runs import commands, issues, summary
from pinrace.values import GRAVEST, CellResult, Verdict

_Key = tuple[int, str, str]  # order, kind, what tells it from others


def findings(sections: Sequence[Section]) -> tuple[Finding, ...]:
    """Return what is bad and new, the kernel's own reports first, then what proves nothing.

    The same failure in several cells is one finding.
    """
    groups: dict[_Key, tuple[str, Verdict, str, list[Section]]] = {}
    for section in sections:
        for key, title, verdict, detail in _of(section):
            group = groups.setdefault(key, (title, verdict, detail, []))
            if section not in group[3][-1:]:
                group[3].append(section)
    made = [
        Finding(key[1], text.fit(title, NAME), verdict, text.fit(detail, SENTENCE), tuple(where))
        for key, (title, verdict, detail, where) in groups.items()
    ]
    order = sorted(zip(groups, made, strict=True), key=lambda one: one[0][0])
    return tuple(finding for _, finding in order)[:FINDINGS]


def _of(section: Section) -> Iterator[tuple[_Key, str, Verdict, str]]:
    """Return what one cell adds."""
    result = section.result
    if result.verdict in (Verdict.PASS, Verdict.SKIP):
        return
    found = False
    for splat in result.splats:
        if splats.tag(splat, result) == "new":
            found = True
            known = _known(result, splat.title)
            yield (0, "splat", splat.fingerprint), splat.title, result.verdict, known
    for case in summary.new_cases(result):
        if case.name.startswith("("):
            continue  # a fault of the output, of which the cell's reason says more
        found = True
        name = f"{result.cell.suite} {normal(case.name)}: {case.status.value}"
        said = [word for word in (summary.said(case), _known(result, name)) if word]
        yield (1, "case", case.name), case.name, result.verdict, "; ".join(said)
    if result.verdict is not Verdict.FAIL:
        yield (
            (3 + GRAVEST.index(result.verdict), "cell", result.reason),
            result.reason,
            result.verdict,
            "",
        )
    elif not found:
        yield (2, "cell", result.reason), result.reason, result.verdict, ""


def _known(result: CellResult, title: str) -> str:
    """Return the note that says what is known of a fault with that title; "" for none."""
    notes = (note for note in result.notes if note.startswith(issues.KNOWN))
    return next((note for note in notes if f"({title})" in note), "")


def matrix(sections: Sequence[Section]) -> Matrix:
    """Return the cells by row and column, in the order in which they were asked for."""
    columns = tuple(dict.fromkeys(section.cell.suite for section in sections))
    places = [(s.cell.arch, f"{s.cell.abi} {s.cell.on}".strip(), s.cell.flavor) for s in sections]
    flavors = any(place[2] != commands.PLAIN for place in places)
    squares: dict[tuple[tuple[str, ...], str], list[Section]] = {}
    for place, section in zip(places, sections, strict=True):
        squares.setdefault((place, section.cell.suite), []).append(section)
    rows = []
    for place in dict.fromkeys(places):
        found = [squares.get((place, column)) for column in columns]
        row = tuple(_square(sections) if sections else None for sections in found)
        rows.append((place if flavors else place[:2], row))
    return Matrix(columns, tuple(rows), flavors)


def _square(sections: list[Section]) -> Square:
    return Square(tuple(sorted(sections, key=lambda section: section.cell.repeat)))
