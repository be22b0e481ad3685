# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's results as JUnit XML, for whatever reads that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from pinrace.judge.match import keyed
from pinrace.values import CaseResult, CaseStatus, CellResult, Verdict

TAIL = 40  # lines of the console, and of a case's diagnostics

# Everything that https://www.w3.org/TR/xml/#charsets leaves out of Char.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(
    path: Path, results: Sequence[CellResult], properties: Mapping[str, object] | None = None
) -> None:
    """Write one test suite per cell; `properties` are added to each of them."""
    xml = JUnitXml(name="pinrace")
    for result in results:
        xml.add_testsuite(suite(result, properties or {}))
    xml.update_statistics()  # type: ignore[no-untyped-call]
    path.parent.mkdir(parents=True, exist_ok=True)
    xml.write(str(path), pretty=True)


def suite(result: CellResult, properties: Mapping[str, object]) -> TestSuite:
    """Return the suite of a cell: its cases, and one named `verdict` for the whole."""
    cell = result.cell
    it = TestSuite(clean(cell.name))
    facts = {
        "arch": cell.arch,
        "abi": cell.abi,
        "flavor": cell.flavor,
        "suite": cell.suite,
        "repeat": cell.repeat,
        **({"on": cell.on} if cell.on else {}),
        "verdict": result.verdict.value,
        "reason": result.reason,
        **{f"note-{number}": note for number, note in enumerate(result.notes, 1)},
        **properties,
    }
    for name, value in facts.items():
        it.add_property(clean(name), clean(str(value)))
    known = set(result.known)
    # add_testcase() counts all the cases that are there each time
    for key, case in keyed(result.cases):
        it.append(_case(result, case, known=key in known))  # type: ignore[no-untyped-call]
    it.append(_whole(result))  # type: ignore[no-untyped-call]
    it.update_statistics()  # type: ignore[no-untyped-call]
    it.time = result.seconds
    return it


def _case(result: CellResult, case: CaseResult, *, known: bool) -> TestCase:
    """Return one case; a bad one that the unpatched tree has too is skipped, with that reason."""
    it = TestCase(clean(case.name), clean(result.cell.name))
    message = clean(case.reason or case.status.value)
    if case.status in (CaseStatus.SKIP, CaseStatus.XFAIL):
        it.result = [Skipped(message, case.status.value)]
    elif case.status.bad and known:
        it.result = [Skipped(f"known on the unpatched tree: {message}", case.status.value)]
    elif case.status is CaseStatus.ERROR:
        it.result = [Error(message, case.status.value)]
    elif case.status.bad:
        it.result = [Failure(message, case.status.value)]
    if case.lines:
        it.system_out = clean("\n".join(case.lines[-TAIL:]))
    return it


def _whole(result: CellResult) -> TestCase:
    """Return the case that stands for the cell: kernel reports, hangs and misses are in it."""
    it = TestCase("verdict", clean(result.cell.name), result.seconds)
    message = clean(result.reason)
    verdict = result.verdict
    if verdict is Verdict.FAIL:
        failure = Failure(message, verdict.value)
        failure.text = clean("\n\n".join(splat.text for splat in result.splats))
        it.result = [failure]
    elif verdict in (Verdict.MISS, Verdict.INCONCLUSIVE):
        it.result = [Error(message, verdict.value)]
    elif verdict is Verdict.SKIP:
        it.result = [Skipped(message, verdict.value)]
    it.system_out = clean(_tail(result))
    return it


def _tail(result: CellResult) -> str:
    """Return the end of the console, or why there is none."""
    if result.folder is None:
        return "(no folder was kept)"
    path = result.folder / "console.log"
    try:
        text = path.read_bytes().decode(errors="replace")
    except OSError as exc:
        return f"({path.name}: {exc.strerror})"
    return "\n".join(text.split("\n")[-TAIL:])


def clean(text: str) -> str:
    """Return the text with every character that XML cannot hold written as an escape."""
    return _ILLEGAL.sub(lambda m: f"\\x{ord(m[0]):02x}", text)
