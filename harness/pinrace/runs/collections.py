# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of docs/suites.md: what runs of collections came to on each ABI."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinrace import store
from pinrace.arches import ABIS
from pinrace.errors import UserError
from pinrace.kbuild.quirks import quirk
from pinrace.runs import journal, summary
from pinrace.suites import kselftest, kunit, ltp
from pinrace.values import CaseResult, CaseStatus, CellResult, Mark, Verdict

BEGIN, END = "<!-- begin: pinrace suites -->", "<!-- end: pinrace suites -->"
PREFIXES = (kselftest.PREFIX, kunit.PREFIX, ltp.PREFIX)
_REASON = 90  # characters of a reason that is quoted


@dataclass(frozen=True)
class Row:
    """The newest run of a suite on an ABI; without a result it was not run."""

    suite: str
    abi: str
    result: CellResult | None = None
    accelerator: str = ""
    tree: str = ""
    smp: str = ""  # CPUs of the guest

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Cases in all, and those that passed, failed and were skipped."""
        got = Counter(case.status for case in self.result.cases) if self.result else Counter()
        good = got[CaseStatus.PASS] + got[CaseStatus.XFAIL]
        bad = sum(number for status, number in got.items() if status.bad)
        return sum(got.values()), good, bad, got[CaseStatus.SKIP]


def rows(folders: Iterable[Path], wanted: Sequence[str] = ()) -> list[Row]:
    """Return a row for each suite of these runs, and of those wanted, on each ABI.

    Of two runs of one cell, the later folder counts.  A cell that could not be run is none, and
    neither is one of a tree with a series or of some cases alone.
    """
    found: dict[tuple[str, str], Row] = {}
    for folder in folders:
        manifest = journal.manifest(folder)
        tree = manifest.get("tree") or {}
        if tree.get("series") or "-k" in (manifest.get("argv") or ()):
            continue
        for result in journal.load(folder):
            cell = result.cell
            if cell.suite.startswith(PREFIXES) and result.verdict is not Verdict.MISS:
                machine = (manifest.get("machines") or {}).get(cell.arch) or {}
                found[cell.suite, cell.abi] = Row(
                    cell.suite,
                    cell.abi,
                    result,
                    str(machine.get("accelerator", "unknown")),
                    str(tree.get("label", "unknown")),
                    str(machine.get("smp", "unknown")),
                )
    names = dict.fromkeys([*wanted, *sorted({suite for suite, _ in found})])
    return [found.get((name, abi), Row(name, abi)) for name in names for abi in _abis(name, found)]


def _abis(suite: str, found: Iterable[tuple[str, str]]) -> list[str]:
    """Return the ABIs that a suite has rows for: one of each arch for one of the kernel alone."""
    if suite.startswith(kunit.PREFIX):
        ran = [abi for name, abi in found if name == suite]
        return [abi for abi in ABIS if abi in ran or ABIS[abi].arch == abi]
    return list(ABIS)


def table(found: Sequence[Row]) -> list[str]:
    """Return the table in Markdown."""
    lines = [
        "| suite | ABI | cases | pass | skip | fail | seconds | what fails, and why |",
        "|-|-|-:|-:|-:|-:|-:|-|",
    ]
    for suite, group in itertools.groupby(found, key=lambda row: row.suite):
        rest = []
        for row in group:
            if row.result is None:
                rest.append(row.abi)
                continue
            cases, good, bad, skipped = row.counts
            numbers = f"{cases} | {good} | {skipped} | {bad} | {row.result.seconds:.0f}"
            lines.append(f"| {suite} | {row.abi} | {numbers} | {'; '.join(reasons(row))} |")
        if rest:
            lines.append(f"| {suite} | {', '.join(rest)} | not run | | | | | |")
    return lines


def reasons(row: Row) -> list[str]:
    """Return what fails, a text for each test: the reason that is known of it, or what it said."""
    known = quirk(row.suite.removeprefix(kselftest.PREFIX)).known
    bad = [case for case in (row.result.cases if row.result else ()) if case.status.bad]
    tests: dict[str, list[CaseResult]] = {}
    for case in bad:
        tests.setdefault(case.name.split("/")[0], []).append(case)
    said = []
    for test, cases in tests.items():
        inner = [case for case in cases if "/" in case.name and case.mark is Mark.NONE] or cases
        first = summary.said(inner[0]) or inner[0].status.value
        many = f" ({len(inner)} cases)" if len(inner) > 1 else ""
        said.append(f"{test}{many}: {_quoted(known.get(test) or first)}")
    return said


def _quoted(text: str) -> str:
    """Return a text that does not end a cell of a table."""
    flat = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return flat if len(flat) <= _REASON else f"{flat[: _REASON - 1]}…"


def page(found: Sequence[Row]) -> str:
    """Return the table with a sentence on what ran it."""
    ran = [row for row in found if row.result]
    trees = ", ".join(dict.fromkeys(row.tree for row in ran))
    hows = ", ".join(dict.fromkeys(row.accelerator for row in ran))
    smps = ", ".join(dict.fromkeys(row.smp for row in ran))
    head = f"Tree: {trees}.  Accelerator: {hows}.  CPUs of a guest: {smps}.  No series."
    return "\n".join([BEGIN, "", head, "", *table(found), "", END])


def insert(path: Path, text: str) -> None:
    """Put a page between the marks of a file; UserError when it has none."""
    try:
        whole = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UserError(f"cannot read {path}: {exc}") from exc
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{path} has no place for the table", hint=f"write {BEGIN} and {END} there")
    store.write(path, f"{before}{text}{after}")
