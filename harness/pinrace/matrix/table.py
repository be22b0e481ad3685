# SPDX-License-Identifier: GPL-2.0-or-later
"""A matrix's results as a table: a row for each leg and ABI, a column for each suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pinrace.matrix.journal import CellLine, LegResult
from pinrace.values import Verdict
from pinrace.visible import markdown as text


def suites(results: Sequence[LegResult]) -> list[str]:
    """Return the suites of all legs, in their order."""
    return list(dict.fromkeys(suite for result in results for suite in result.leg.suites))


def rows(results: Sequence[LegResult]) -> list[list[str]]:
    """Return the table's rows, the head first."""
    names = suites(results)
    found = [["tree", "series", "arch", "flavor", "abi", "verdict", *names, "on", "notes"]]
    for result in results:
        leg = result.leg
        flavor = " ".join((leg.flavor, *leg.config))
        day = result.ended[:10]
        if not result.cells:
            head = [result.tree or leg.tree, leg.series, leg.arch, flavor, "all"]
            note = result.reason.splitlines()[0]
            found.append([*head, str(result.verdict), *("" for _ in names), day, note])
            continue
        for abi in leg.abis:
            mine = [cell for cell in result.cells if cell.abi == abi]
            said = [_summary([cell for cell in mine if cell.suite == name]) for name in names]
            bad = [c for c in mine if c.verdict not in (Verdict.PASS, Verdict.SKIP)]
            verdict = bad[0].verdict if bad else mine[0].verdict if mine else result.verdict
            note = f"{bad[0].suite}: {bad[0].reason}" if bad else ""
            head = [result.tree, leg.series, leg.arch, flavor, abi, str(verdict)]
            found.append([*head, *said, day, note])
    return found


def _summary(cells: Sequence[CellLine]) -> str:
    """Return one square: good and all cases over the repetitions, with the worst verdict."""
    if not cells:
        return ""
    good, total = sum(cell.good for cell in cells), sum(cell.total for cell in cells)
    verdicts = {cell.verdict for cell in cells}
    if verdicts == {Verdict.SKIP}:
        return "SKIP"
    worst = next((cell.verdict for cell in cells if cell.verdict is not Verdict.PASS), Verdict.PASS)
    return f"{worst} {good}/{total}"


def markdown(results: Sequence[LegResult], facts: Mapping[str, str]) -> str:
    """Return the facts and the table as markdown."""
    head, *rest = rows(results)
    lines = [f"- {name}: {text(value)}" for name, value in facts.items()]
    lines += [""] if facts else []
    lines += [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(text(cell.replace('|', '¦')) for cell in row)} |" for row in rest]
    return "\n".join(lines) + "\n"
