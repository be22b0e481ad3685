# SPDX-License-Identifier: GPL-2.0-or-later
"""What a night leaves for people on duty: one folder, with `latest` beside it.

runs/nightly-NAME/N/summary.json   what is new, what moved, every leg
runs/nightly-NAME/N/summary.md     the same for people
runs/nightly-NAME/N/junit.xml      the cells of all legs
runs/nightly-NAME/N/index.html     a table with a link to the page of each leg
runs/nightly-NAME/N/badge.svg      a word and a colour
runs/nightly-NAME/latest           a link to the newest
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from junitparser import Error as JUnitError
from junitparser import JUnitXml, TestCase, TestSuite

from pinrace.errors import PinraceError
from pinrace.matrix.journal import LegResult
from pinrace.nightly.changes import Change, Kind
from pinrace.report.render import FILE_NAME
from pinrace.runs import journal, junit
from pinrace.store import write_json
from pinrace.values import Verdict
from pinrace.visible import visible

# Verdict of a night -> the badge's word and colour; dark enough for white text (WCAG AA).
_BADGES = {
    Verdict.PASS: ("passing", "#2a7d2e"),
    Verdict.FAIL: ("failing", "#b3261e"),
    Verdict.INCONCLUSIVE: ("inconclusive", "#8a5a00"),
    Verdict.MISS: ("not run", "#7b3f9e"),
    Verdict.SKIP: ("skipped", "#5f6368"),
}


@dataclass(frozen=True)
class Left:
    """A night as its folder tells it."""

    number: int
    verdict: Verdict
    exit_code: int
    summary: str  # markdown
    moved: Sequence[str]
    changes: Sequence[Change]
    results: Sequence[LegResult]

    @property
    def news(self) -> list[Change]:
        """What is not as it was."""
        return [change for change in self.changes if change.kind is not Kind.SAME]


def write(root: Path, name: str, left: Left) -> Path:
    """Write a night's folder below root/nightly-NAME and return it; OSError when it cannot be."""
    folder = root / f"nightly-{name}" / str(left.number)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "summary.md").write_text(left.summary)
    write_json(folder / "summary.json", _facts(left))
    _junit(folder / "junit.xml", root, left.results)
    (folder / "index.html").write_text(_page(left, root))
    (folder / "badge.svg").write_text(badge(left.verdict))
    journal.link(folder.parent / journal.LATEST, str(left.number))
    return folder


def _facts(left: Left) -> dict[str, object]:
    """Return a night as JSON has it."""
    return {
        "night": left.number,
        "verdict": left.verdict.value,
        "exit_code": int(left.exit_code),
        "moved": list(left.moved),
        "changes": [
            {"kind": c.kind.value, **dataclasses.asdict(c.spot), "note": c.note, "run": c.now.run}
            for c in left.news
        ],
        "legs": [
            {
                "name": one.leg.name,
                "verdict": one.verdict.value,
                "reason": one.reason,
                "tree": one.tree,
                "run": one.run,
                "ended": one.ended,
            }
            for one in left.results
        ],
    }


def _junit(path: Path, root: Path, results: Sequence[LegResult]) -> None:
    """Write the cells of all legs as one file; a leg without cells is a case of its own."""
    xml = JUnitXml(name="pinrace nightly")
    for one in results:
        try:
            cells = journal.load(root / one.run) if one.run else []
        except PinraceError:
            cells = []  # its run was pruned; what the leg said is kept below
        for cell in cells:
            suite = junit.suite(cell, {"leg": one.leg.name, "tree": one.tree})
            suite.name = junit.clean(f"{one.leg.name} {cell.cell.name}")
            xml.add_testsuite(suite)
        if not cells:
            xml.add_testsuite(_leg_suite(one))
    xml.update_statistics()  # type: ignore[no-untyped-call]
    xml.write(str(path), pretty=True)


def _leg_suite(one: LegResult) -> TestSuite:
    """Return a leg that ran no cell as a suite with one case."""
    suite = TestSuite(junit.clean(one.leg.name))
    case = TestCase("leg", junit.clean(one.leg.name))
    if one.verdict not in (Verdict.PASS, Verdict.SKIP):
        case.result = [JUnitError(junit.clean(one.reason), one.verdict.value)]
    suite.add_testcase(case)
    return suite


def _page(left: Left, root: Path) -> str:
    """Return a small page that needs nothing else."""

    def cell(text: str) -> str:
        return f"<td>{html.escape(visible(text))}</td>"

    def where(run: str) -> str:
        if not run or not (root / run / FILE_NAME).exists():
            return "<td></td>"
        return f'<td><a href="../../{html.escape(run)}/{FILE_NAME}">{html.escape(run)}</a></td>'

    def items(lines: Sequence[str]) -> str:
        return "".join(f"<li>{html.escape(visible(line))}</li>" for line in lines)

    news = items([change.line for change in left.news] or ["nothing is new"])
    moved = items(left.moved or ["nothing moved"])
    rows = "".join(
        f"<tr>{cell(one.leg.name)}{cell(one.verdict.value)}{cell(one.tree)}"
        f"{cell(one.reason.splitlines()[0] if one.reason else '')}{where(one.run)}</tr>"
        for one in left.results
    )
    head = f"Night {left.number}: {left.verdict.value}"
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{head}</title>\n"
        "<style>body{font:1rem/1.5 system-ui;max-width:70rem;margin:2rem auto;padding:0 1rem}"
        "table{border-collapse:collapse}td,th{padding:.2rem .6rem;text-align:left;"
        "border-bottom:1px solid #8888}</style>\n"
        f"<h1>{head}</h1>\n"
        f"<h2>What moved</h2>\n<ul>{moved}</ul>\n<h2>What is new</h2>\n<ul>{news}</ul>\n"
        "<h2>Legs</h2>\n<table><tr><th>leg<th>verdict<th>tree<th>reason<th>page</tr>"
        f"{rows}</table>\n</html>\n"
    )


def badge(verdict: Verdict) -> str:
    """Return a badge as SVG."""
    word, colour = _BADGES[verdict]
    left, right = 58, 14 + 7 * len(word)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="pinrace: {word}"><title>pinrace: {word}</title>'
        f'<rect width="{left}" height="20" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14">pinrace</text>'
        f'<text x="{left + right / 2:g}" y="14">{word}</text></g></svg>\n'
    )
