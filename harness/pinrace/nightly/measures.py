# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers of a night, read from its runs: cases, seconds, boots, sizes of kernels, bad cases."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from pinrace.errors import PinraceError
from pinrace.judge.match import keyed, normal
from pinrace.matrix.journal import LegResult
from pinrace.nightly.history import WHOLE, Spot
from pinrace.runs import journal
from pinrace.values import CaseStatus, CellResult

# What is measured, and its unit for people.
UNITS = {
    "good": "cases",
    "total": "cases",
    "seconds": "s",
    "boot": "s",  # of the guest's clock, until init
    "size": "MiB",  # of the file that QEMU boots
}
_INIT = re.compile(rb"^\[ *(\d+\.\d+)\](?:\[ *[CT]\d+\])? Run /init as init process", re.MULTILINE)
_BOOT_BYTES = 1 << 18  # of a console, in which the kernel has booted
_MOST = 200  # bad cases of a spot that are kept


def add(
    connection: sqlite3.Connection, night: int, results: Sequence[LegResult], root: Path
) -> None:
    """Keep the numbers of a night whose runs are below that root; a run that is gone has none."""
    numbers, bad = [], []
    for one in results:
        if not one.run:
            continue
        try:
            cells = journal.load(root / one.run)
            manifest = journal.manifest(root / one.run)
        except PinraceError:
            continue
        leg = one.leg
        head = (leg.tree, leg.series, leg.arch, " ".join((leg.flavor, *leg.config)))
        for kernel, size in (manifest.get("sizes") or {}).items():
            if kernel == f"{leg.arch} {leg.flavor}":
                numbers.append((night, *head, WHOLE, WHOLE, "size", float(size)))
        for cell in cells:
            place = (night, *head, cell.cell.abi, cell.cell.suite)
            numbers += [(*place, what, value) for what, value in _numbers(cell)]
            bad += [(*place, name) for name in _bad(cell)]
    connection.executemany("INSERT INTO measure VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", numbers)
    connection.executemany("INSERT INTO bad_case VALUES (?, ?, ?, ?, ?, ?, ?, ?)", bad)


def _numbers(result: CellResult) -> Iterator[tuple[str, float]]:
    """Yield what is measured of a cell."""
    ran = [case for case in result.cases if case.status is not CaseStatus.SKIP]
    yield "good", float(sum(not case.status.bad for case in ran))
    yield "total", float(len(ran))
    yield "seconds", result.seconds
    if result.folder and (boot := _boot(result.folder / "console.log")) is not None:
        yield "boot", boot


def _boot(console: Path) -> float | None:
    """Return when init began, on the guest's clock; None where the console does not say."""
    try:
        with console.open("rb") as stream:
            match = _INIT.search(stream.read(_BOOT_BYTES))
    except OSError:
        return None
    return float(match[1]) if match else None


def _bad(result: CellResult) -> list[str]:
    """Return the names of bad cases, without what differs from night to night."""
    names = [normal(key) for key, case in keyed(result.cases) if case.status.bad]
    return list(dict.fromkeys(names))[:_MOST]


def numbers(
    connection: sqlite3.Connection, matrix: str, limit: int
) -> dict[tuple[Spot, str], dict[int, float]]:
    """Return each measure of the latest nights: by spot and what, by night; repetitions add up."""
    words = (
        "SELECT night, tree, series, arch, flavor, abi, suite, what, sum(value) FROM measure"
        " WHERE night IN (SELECT id FROM night WHERE matrix = ? ORDER BY id DESC LIMIT ?)"
        " GROUP BY night, tree, series, arch, flavor, abi, suite, what"
    )
    found: dict[tuple[Spot, str], dict[int, float]] = {}
    for row in connection.execute(words, (matrix, limit)):
        found.setdefault((Spot(*row[1:7]), str(row[7])), {})[int(row[0])] = float(row[8])
    return found


def bad_cases(
    connection: sqlite3.Connection, matrix: str, limit: int
) -> dict[tuple[str, str], dict[int, int]]:
    """Return, by (suite, case), in how many spots of each night it was bad."""
    words = (
        "SELECT night, suite, name, count(*) FROM bad_case"
        " WHERE night IN (SELECT id FROM night WHERE matrix = ? ORDER BY id DESC LIMIT ?)"
        " GROUP BY night, suite, name"
    )
    found: dict[tuple[str, str], dict[int, int]] = {}
    for night, suite, name, count in connection.execute(words, (matrix, limit)):
        found.setdefault((str(suite), str(name)), {})[int(night)] = int(count)
    return found
