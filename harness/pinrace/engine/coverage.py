# SPDX-License-Identifier: GPL-2.0-or-later
"""What no suite looks at is not passed: the files of a series that nothing that ran is about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePath

from pinrace.runs.commands import COVERAGE
from pinrace.suites.suite import SELFTEST_SOURCES, Suite
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict

# What a kernel or a test program is made of; the rest of a series is read by people.
_CODE = frozenset({".c", ".h", ".S", ".s", ".rs", ".lds", ".dts", ".dtsi", ".tbl"})
_TEST = frozenset({".c", ".sh", ".py"})
_NO_KERNEL = ("Documentation/", "samples/", "scripts/", "tools/", "usr/")
_NAMED = 3  # files that a sentence names before it only counts


def uncovered(changed: Iterable[str], ran: Collection[Suite]) -> tuple[list[str], list[str]]:
    """Return the kernel's files, and the tests, of a series that none of these suites is about."""
    code, tests = [], []
    for path in sorted(changed):
        if any(suite.covers(path) for suite in ran):
            continue
        kind = PurePath(path).suffix
        if path.startswith(SELFTEST_SOURCES):
            if kind in _TEST:
                tests.append(path)
        elif kind in _CODE and not path.startswith(_NO_KERNEL):
            code.append(path)
    return code, tests


def judge(
    results: Sequence[CellResult],
    changed: Collection[str],
    suites: dict[str, Suite],
    *,
    chosen: bool,
    accepted: bool,
) -> CellResult | None:
    """Return a cell that says what no suite looked at; None where there is no such thing.

    chosen: the suites were named, so that tests of the series that are not among them are left out
    on purpose.  accepted: the user knows; then it is a SKIP and no INCONCLUSIVE.
    """
    told = [one for one in results if one.verdict not in (Verdict.SKIP, Verdict.MISS)]
    if not changed or not told:
        return None
    ran = {one.cell.suite: suites[one.cell.suite] for one in told if one.cell.suite in suites}
    code, tests = uncovered(changed, ran.values())
    if chosen:
        tests = []
    said = []
    if code:
        said.append(f"no suite that ran looks at {_few(code)}")
    if tests:
        said.append(f"tests of the series that did not run: {_few(tests)}")
    if not said:
        return None
    first = results[0].cell
    cell = Cell(first.arch, first.abi, first.flavor, COVERAGE)
    cases = tuple(CaseResult(path, CaseStatus.SKIP, "nothing looked at it") for path in code)
    cases += tuple(CaseResult(path, CaseStatus.SKIP, "it did not run") for path in tests)
    verdict = Verdict.SKIP if accepted else Verdict.INCONCLUSIVE
    return CellResult(cell, verdict, "; ".join(said), cases)


def _few(paths: Sequence[str]) -> str:
    more = f", and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more
