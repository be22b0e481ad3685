# SPDX-License-Identifier: GPL-2.0-or-later
"""When and where each fault was seen, over all runs: a SQLite file beside them.

A fault is a kernel's report, told by its fingerprint, or a bad case of a suite, told by its name.
Runs are read once each, when somebody asks; what they said stays when they are pruned.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinrace.errors import InfrastructureError, PinraceError
from pinrace.judge.match import keyed, normal
from pinrace.judge.rules import load_rules
from pinrace.runs import database, journal
from pinrace.values import CellResult, Splat

FILE = "issues.sqlite"
VERSION = 1  # of the tables, kept as user_version
HINT = "move it away: it is made again from the runs that are left"
SHORT = 10  # digits of an id that are shown

_TABLES = (
    "CREATE TABLE run (id TEXT PRIMARY KEY)",
    "CREATE TABLE cell (id INTEGER PRIMARY KEY, run TEXT NOT NULL, began TEXT NOT NULL,"
    " tree TEXT NOT NULL, series TEXT NOT NULL, arch TEXT NOT NULL, abi TEXT NOT NULL,"
    " flavor TEXT NOT NULL, suite TEXT NOT NULL)",
    "CREATE TABLE seen (cell INTEGER NOT NULL REFERENCES cell (id), fault TEXT NOT NULL)",
    "CREATE TABLE fault (id TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, title TEXT NOT NULL)",
    "CREATE INDEX seen_fault ON seen (fault)",
    "CREATE INDEX cell_place ON cell (suite, abi, flavor)",
)


@dataclass(frozen=True)
class Fault:
    """What can be seen again: a report of a kernel, or a case that fails."""

    fingerprint: str
    title: str

    @property
    def id(self) -> str:
        """The same for the same fingerprint, 16 hex digits; KCIDB's issues have it too."""
        return digest(self.fingerprint)


@dataclass(frozen=True)
class Sighting:
    """Where and how often a fault was seen."""

    fault: Fault
    first: str  # when the run began, ISO 8601
    last: str
    places: tuple[tuple[str, str], ...]  # tree as results name it, series ("none" without one)
    abis: tuple[str, ...]
    seen: int  # cells that had it
    of: int  # cells of the same suites, ABIs and flavors that ran
    runs: tuple[str, ...]  # ids, the newest first


def digest(fingerprint: str) -> str:
    """Return the id of a fingerprint."""
    return hashlib.sha256(fingerprint.encode(errors="replace")).hexdigest()[:16]


def of_splat(splat: Splat) -> Fault:
    """Return a kernel's report as a fault."""
    return Fault(splat.fingerprint, splat.title)


def faults(result: CellResult) -> list[Fault]:
    """Return what a cell shows, each once: reports that count, and bad cases."""
    rules = load_rules()
    found = [of_splat(splat) for splat in result.splats if rules.counts(splat)]
    for key, case in keyed(result.cases):
        if case.status.bad and not case.name.startswith("("):
            name = f"{result.cell.suite} {normal(key)}"
            found.append(Fault(f"case {name}", f"{name}: {case.status.value}"))
    return list({fault.id: fault for fault in found}.values())


def opened(root: Path) -> AbstractContextManager[sqlite3.Connection]:
    """Open the file below the runs' root, up to date with the runs that ended.

    Raises InfrastructureError when it cannot be used.
    """
    path = root / FILE

    def prepare(connection: sqlite3.Connection) -> None:
        _prepare(connection, path)
        _catch_up(connection, root)

    return database.opened(path, prepare, "what was seen before cannot be read", HINT)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or see that they are ours."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in _TABLES:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
    elif version != VERSION:
        raise InfrastructureError(
            f"{FILE} is of version {version}, and this pinrace knows {VERSION}",
            log=path,
            hint=HINT,
        )


def _catch_up(connection: sqlite3.Connection, root: Path) -> None:
    """Read the runs that ended and were not read yet; one that is damaged is left out."""
    known = {row[0] for row in connection.execute("SELECT id FROM run")}
    for folder in journal.list_runs(root=root):
        if folder.name in known or not (folder / journal.RESULTS).is_file():
            continue
        try:
            manifest = journal.manifest(folder)
            results = journal.load(folder)
        except PinraceError:
            continue
        connection.execute("INSERT OR IGNORE INTO run VALUES (?)", (folder.name,))
        if isinstance(manifest.get("tree"), dict):  # what is broken on purpose names no tree
            _add(connection, folder.name, manifest, results)


def _add(
    connection: sqlite3.Connection,
    run: str,
    manifest: dict[str, Any],
    results: Sequence[CellResult],
) -> None:
    """Add the cells of one run."""
    tree = manifest["tree"]
    version = str(tree.get("version", "unknown"))
    head = (run, str(manifest.get("began", "")), version, str(tree.get("series") or "none"))
    for result in results:
        cell = result.cell
        place = (cell.arch, cell.abi, cell.flavor, cell.suite)
        row = connection.execute(
            "INSERT INTO cell (run, began, tree, series, arch, abi, flavor, suite)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*head, *place),
        )
        for fault in faults(result):
            words = (fault.id, _clean(fault.fingerprint), _clean(fault.title))
            connection.execute("INSERT OR IGNORE INTO fault VALUES (?, ?, ?)", words)
            connection.execute("INSERT INTO seen VALUES (?, ?)", (row.lastrowid, fault.id))


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def find(connection: sqlite3.Connection, *, without: str = "") -> list[Sighting]:
    """Return all faults, the one that was seen last first; `without` is a run that is left out."""
    rows = connection.execute(
        "SELECT f.id, f.fingerprint, f.title, min(c.began), max(c.began), count(*)"
        " FROM fault f JOIN seen s ON s.fault = f.id JOIN cell c ON c.id = s.cell"
        " WHERE c.run != ? GROUP BY f.id ORDER BY max(c.began) DESC, f.title",
        (without,),
    )
    return [_sighting(connection, row, without) for row in rows.fetchall()]


def _sighting(
    connection: sqlite3.Connection, row: tuple[str, str, str, str, str, int], without: str
) -> Sighting:
    """Return one fault with all its places."""
    number, fingerprint, title, first, last, seen = row
    cells = connection.execute(
        "SELECT DISTINCT c.tree, c.series, c.abi, c.run FROM seen s JOIN cell c ON c.id = s.cell"
        " WHERE s.fault = ? AND c.run != ? ORDER BY c.began DESC",
        (number, without),
    ).fetchall()
    of = connection.execute(
        "SELECT count(*) FROM cell WHERE run != ? AND (suite, abi, flavor) IN"
        " (SELECT c.suite, c.abi, c.flavor FROM seen s JOIN cell c ON c.id = s.cell"
        " WHERE s.fault = ?)",
        (without, number),
    ).fetchone()[0]
    return Sighting(
        Fault(fingerprint, title),
        first,
        last,
        tuple(sorted({(tree, series) for tree, series, _, _ in cells})),
        tuple(sorted({abi for _, _, abi, _ in cells})),
        int(seen),
        int(of),
        tuple(dict.fromkeys(run for *_, run in cells)),
    )
