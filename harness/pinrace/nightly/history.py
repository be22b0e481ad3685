# SPDX-License-Identifier: GPL-2.0-or-later
"""The nights of a matrix in SQLite: what each cell said, and on which tree and series."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pinrace.errors import InfrastructureError
from pinrace.matrix.journal import LegResult
from pinrace.runs import database
from pinrace.values import GRAVEST, Verdict

FILE = "history.sqlite"
VERSION = 3  # of the tables below, kept as user_version
HINT = "move it away to begin a new one"
WHOLE = "(leg)"  # the ABI and suite of a leg of which no cell ran

_TABLES = """
CREATE TABLE night (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    matrix TEXT NOT NULL,
    began TEXT NOT NULL
);
CREATE TABLE result (
    night INTEGER NOT NULL REFERENCES night (id) ON DELETE CASCADE,
    tree TEXT NOT NULL,
    series TEXT NOT NULL,
    arch TEXT NOT NULL,
    flavor TEXT NOT NULL,
    abi TEXT NOT NULL,
    suite TEXT NOT NULL,
    verdict TEXT NOT NULL,
    stage TEXT NOT NULL,
    reason TEXT NOT NULL,
    version TEXT NOT NULL,
    leg_key TEXT NOT NULL,
    run TEXT NOT NULL
);
CREATE INDEX result_night ON result (night);
"""
# Since version 2: what a night ran with, so that the next one can say what moved.
_FACTS = """
CREATE TABLE fact (
    night INTEGER NOT NULL REFERENCES night (id) ON DELETE CASCADE,
    what TEXT NOT NULL,
    value TEXT NOT NULL
)
"""


# Since version 3: numbers of a spot in a night, and the cases that were bad in it.
_NUMBERS = (
    "CREATE TABLE IF NOT EXISTS measure ("
    "night INTEGER NOT NULL REFERENCES night (id) ON DELETE CASCADE,"
    " tree TEXT NOT NULL, series TEXT NOT NULL, arch TEXT NOT NULL, flavor TEXT NOT NULL,"
    " abi TEXT NOT NULL, suite TEXT NOT NULL, what TEXT NOT NULL, value REAL NOT NULL)",
    "CREATE TABLE IF NOT EXISTS bad_case ("
    "night INTEGER NOT NULL REFERENCES night (id) ON DELETE CASCADE,"
    " tree TEXT NOT NULL, series TEXT NOT NULL, arch TEXT NOT NULL, flavor TEXT NOT NULL,"
    " abi TEXT NOT NULL, suite TEXT NOT NULL, name TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS measure_night ON measure (night)",
    "CREATE INDEX IF NOT EXISTS bad_case_night ON bad_case (night)",
)


@dataclass(frozen=True, order=True)
class Spot:
    """What is followed from night to night: a cell of a tree as it is asked for."""

    tree: str
    series: str
    arch: str
    flavor: str
    abi: str
    suite: str

    def __str__(self) -> str:
        return f"{self.tree} {self.series} {self.abi} {self.flavor} {self.suite}"


@dataclass(frozen=True)
class Said:
    """What a spot said in one night."""

    night: int
    verdict: Verdict
    stage: str  # how far it came: apply, build or run
    reason: str
    version: str  # the tree's exact version
    key: str  # the same for the same kernel, programs and cells
    run: str
    began: str = ""  # the night's date and time


def opened(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    """Open the history, made if need be; what is done in the block is kept whole or not at all.

    Raises InfrastructureError when it cannot be used.
    """
    return database.opened(
        path, lambda found: _prepare(found, path), "the history cannot be used", HINT
    )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or see that they are ours."""
    connection.execute("PRAGMA foreign_keys = ON")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise InfrastructureError(
            f"the history is of version {version}, and this pinrace knows {VERSION}",
            log=path,
            hint=HINT,
        )
    if version == 0:
        for statement in _TABLES.split(";"):
            connection.execute(statement)
    if version < 2:
        connection.execute(_FACTS)
    if version < 3:
        for statement in _NUMBERS:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def add(
    connection: sqlite3.Connection, matrix: str, began: str, results: Sequence[LegResult]
) -> int:
    """Add a night and return its number; legs that were left out are not part of it."""
    cursor = connection.execute("INSERT INTO night (matrix, began) VALUES (?, ?)", (matrix, began))
    night = int(cursor.lastrowid or 0)
    rows = [
        (night, *_fields(spot, said))
        for result in results
        if not result.leg.excluded
        for spot, said in _spots(night, result)
    ]
    marks = ", ".join("?" * 13)
    connection.executemany(f"INSERT INTO result VALUES ({marks})", rows)  # noqa: S608 (marks)
    return night


def _fields(spot: Spot, said: Said) -> tuple[str, ...]:
    """Return the columns of a result, behind its night's number."""
    where = (spot.tree, spot.series, spot.arch, spot.flavor, spot.abi, spot.suite)
    what = (said.verdict.value, said.stage, said.reason, said.version, said.key, said.run)
    return (*where, *what)


def _spots(night: int, result: LegResult) -> Iterator[tuple[Spot, Said]]:
    """Return what a leg says of each of its spots; repetitions count as their worst."""
    leg = result.leg
    flavor = " ".join((leg.flavor, *leg.config))
    head = (leg.tree, leg.series, leg.arch, flavor)

    def said(verdict: Verdict, reason: str) -> Said:
        return Said(night, verdict, result.stage, reason, result.tree, result.key, result.run)

    if not result.cells:
        for abi, suite in _planned(result):
            yield Spot(*head, abi, suite), said(result.verdict, result.reason.splitlines()[0])
        return
    for abi, suite in dict.fromkeys((cell.abi, cell.suite) for cell in result.cells):
        mine = [cell for cell in result.cells if (cell.abi, cell.suite) == (abi, suite)]
        worst = min(mine, key=lambda cell: GRAVEST.index(cell.verdict))
        yield Spot(*head, abi, suite), said(worst.verdict, worst.reason)


def _planned(result: LegResult) -> list[tuple[str, str]]:
    """Return the spots of a leg that ran no cell; a leg that only builds has one."""
    leg = result.leg
    return [(abi, suite) for abi in leg.abis for suite in leg.suites] or [(WHOLE, WHOLE)]


def nights(connection: sqlite3.Connection, matrix: str, limit: int) -> list[tuple[int, str]]:
    """Return the latest nights as (number, when it began), the newest first."""
    words = "SELECT id, began FROM night WHERE matrix = ? ORDER BY id DESC LIMIT ?"
    return [(int(row[0]), str(row[1])) for row in connection.execute(words, (matrix, limit))]


def past(connection: sqlite3.Connection, matrix: str, limit: int) -> dict[Spot, list[Said]]:
    """Return what each spot said in the latest nights, the newest first."""
    found: dict[Spot, list[Said]] = {}
    for night, began in nights(connection, matrix, limit):
        rows = connection.execute("SELECT * FROM result WHERE night = ?", (night,))
        for row in rows:
            stage, reason, version, key, run = row[8:13]
            said = Said(night, Verdict(row[7]), stage, reason, version, key, run, began)
            found.setdefault(Spot(*row[1:7]), []).append(said)
    return found


def add_facts(connection: sqlite3.Connection, night: int, facts: Mapping[str, str]) -> None:
    """Keep what a night ran with, such as the digest of a series or the version of QEMU."""
    rows = [(night, what, value) for what, value in facts.items()]
    connection.executemany("INSERT INTO fact VALUES (?, ?, ?)", rows)


def facts(connection: sqlite3.Connection, matrix: str) -> dict[str, str]:
    """Return what the nights before ran with; the latest word on each counts."""
    words = (
        "SELECT what, value FROM fact JOIN night ON night.id = fact.night"
        " WHERE matrix = ? ORDER BY night.id"
    )
    return {str(row[0]): str(row[1]) for row in connection.execute(words, (matrix,))}


def versions(connection: sqlite3.Connection, matrix: str) -> dict[str, str]:
    """Return the version that each tree had when it last had one."""
    words = (
        "SELECT tree, version FROM result JOIN night ON night.id = result.night"
        " WHERE matrix = ? AND version != '' ORDER BY night.id"
    )
    return {str(row[0]): str(row[1]) for row in connection.execute(words, (matrix,))}
