# SPDX-License-Identifier: GPL-2.0-or-later
"""Which statements of the contract a series keeps, by the selftest's cases named after them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pinrace import userfile
from pinrace.errors import UserError
from pinrace.values import CaseResult, CaseStatus, CellResult, Series, Verdict

REPORTS = "C20"  # the statement that the console speaks of
_NAMED = re.compile(r"(?<![A-Za-z0-9])c(\d\d)(?=_)")
_TOUCHED = re.compile(rb"^diff --git a/(\S+) b/", re.MULTILINE)
_OF_A_TEST = re.compile(rb"tools/testing/|MAINTAINERS$")


class Statement(BaseModel):
    """One promise; `elsewhere` says what speaks of it when no case does."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: str
    title: str
    elsewhere: str = ""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    statement: tuple[Statement, ...]


@dataclass(frozen=True)
class Column:
    """What one series gave on one ABI."""

    series: str
    result: CellResult


def statements(path: Path) -> tuple[Statement, ...]:
    """Return the statements; UserError when the file holds none."""
    return userfile.read(_File, path, "is no list of statements", hint=f"mend {path}").statement


def with_selftest(series: Series, own: Series, selftest: str) -> Series:
    """Return a series that has a selftest: as it is, or with our own selftest laid over it.

    selftest: the name of its source; "" for a selftest that is no patch.  Raises UserError
    when neither has one.
    """
    if not selftest or any(selftest.encode() in patch.read_bytes() for patch in series.patches):
        return series
    tests = tuple(
        patch
        for patch in own.patches
        if _only_tests(patch) and selftest.encode() in patch.read_bytes()
    )
    if not tests:
        raise UserError(f"{own.name} has no patch that only adds tests, to lay over {series.name}")
    patches = (*series.patches, *tests)
    whole = hashlib.sha256(b"".join(patch.read_bytes() for patch in patches))
    return Series(f"{series.name}+selftest", whole.hexdigest(), patches)


def _only_tests(patch: Path) -> bool:
    """Whether a patch touches nothing but tests, and the list of maintainers."""
    touched = _TOUCHED.findall(patch.read_bytes())
    return bool(touched) and all(_OF_A_TEST.match(path) for path in touched)


def spoken_of(case: CaseResult) -> tuple[str, ...]:
    """Return the statements that a case is named after: c05_c19_x speaks of C5 and C19."""
    return tuple(f"C{int(number)}" for number in _NAMED.findall(case.name))


def mark(statement: Statement, column: Column) -> str:
    """Return what a column says of a statement, in a word or two."""
    result = column.result
    cases = [case for case in result.cases if statement.id in spoken_of(case)]
    if statement.id == REPORTS and result.cases:
        return f"BREAKS ({result.splats[0].rule})" if result.splats else "keeps"
    ran = [case for case in cases if case.status is not CaseStatus.SKIP]
    bad = [case for case in ran if case.status.bad]
    if bad:
        return f"BREAKS {len(bad)} of {len(ran)}"
    if ran:
        return f"keeps {len(ran)}"
    if cases:
        return "skipped"
    if not result.cases:
        return result.verdict.value
    return "elsewhere" if statement.elsewhere else "no case"


def markdown(
    wanted: Sequence[Statement], columns: Sequence[Column], facts: Mapping[str, str]
) -> str:
    """Return the table with its facts, and then each case that broke a statement."""
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    head = [f"{column.series} {column.result.cell.abi}" for column in columns]
    lines += ["", f"| | statement | {' | '.join(head)} |", f"|---|---|{'---|' * len(head)}"]
    for one in wanted:
        said = " | ".join(_bold(mark(one, column)) for column in columns)
        lines.append(f"| {one.id} | {one.title} | {said} |")
    lines += [f"\n{s.id} is seen elsewhere: {s.elsewhere}." for s in wanted if s.elsewhere]
    for column in columns:
        bad = [case for case in column.result.cases if case.status.bad]
        abnormal = column.result.verdict is Verdict.FAIL and not bad
        if bad or abnormal:
            lines += ["", f"## {column.series} on {column.result.cell.abi}", ""]
            lines += [column.result.reason] if abnormal else []
            lines += [f"- {case.name}{_why(case)}" for case in bad]
    return "\n".join(lines) + "\n"


def _bold(text: str) -> str:
    return f"**{text}**" if text.startswith("BREAKS") else text


def _why(case: CaseResult) -> str:
    """Return the first thing that a case says of its failure."""
    said = case.reason or next((line.strip("# ") for line in case.lines if "xpected" in line), "")
    return f": {said.replace('|', '¦')}" if said else ""
