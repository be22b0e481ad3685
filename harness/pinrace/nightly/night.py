# SPDX-License-Identifier: GPL-2.0-or-later
"""One night: which trees moved, what the matrix gave, and what of it is new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pinrace import store, ui
from pinrace.errors import InfrastructureError, PinraceError
from pinrace.matrix import run as runs
from pinrace.matrix import table
from pinrace.matrix.file import MatrixFile
from pinrace.matrix.journal import LegResult
from pinrace.nightly import changes, history, measures, site, trend, trends
from pinrace.nightly import leave as leaves
from pinrace.nightly.changes import Change, Kind
from pinrace.paths import CONFIGS, runs_dir
from pinrace.report.model import History
from pinrace.report.render import write
from pinrace.runs.journal import describe_project, manifest
from pinrace.values import Verdict, gravest
from pinrace.visible import markdown, one_line


@dataclass(frozen=True)
class Night:
    """What came of a night."""

    number: int
    began: str
    matrix: str
    moved: tuple[str, ...]  # a line for each tree, series or tool that is not what it was
    results: tuple[LegResult, ...]
    changes: tuple[Change, ...]

    @property
    def summary(self) -> str:
        """All of it as markdown."""
        head = [f"## Night {self.number} of {self.began[:10]}", ""]
        news = [change for change in self.changes if change.kind is not Kind.SAME]
        told = [f"- **{c.kind}**: {markdown(c.line.split(': ', 1)[1])}" for c in news]
        moved = [f"- moved: {markdown(line)}" for line in self.moved]
        return "\n".join([*head, *moved, *(told or ["Nothing is new."]), "", ""]) + (
            table.markdown(self.results, {})
        )


def run(
    matrix: MatrixFile, argv: Sequence[str], *, again: bool = False, insecure: bool = False
) -> Night:
    """Run the matrix and compare it with the nights before.

    What passed on the very same tree, series and programs is not run again, unless `again` asks
    for it; `insecure` accepts trees without a verified signature.  Raises UserError for a matrix
    that is none.
    """
    began = datetime.now().astimezone().isoformat(timespec="seconds")

    def keep(old: LegResult) -> bool:
        return not again and old.verdict in (Verdict.PASS, Verdict.SKIP)

    results = runs.run(matrix, argv, keep=keep, insecure=insecure)
    path = runs_dir() / history.FILE
    with history.opened(path) as connection:
        before = history.versions(connection, matrix.name)
        had = history.facts(connection, matrix.name)
        have = _facts(results)
        number = history.add(connection, matrix.name, began, results)
        history.add_facts(connection, number, have)
        measures.add(connection, number, results, runs_dir())
        past = history.past(connection, matrix.name, changes.WINDOW)
        nights = history.nights(connection, matrix.name, changes.WINDOW)
    found = changes.compare(past, number)
    for result in results:
        if result.run:
            _page(result, trend.of_leg(result.leg, nights, past, found))
    moved = (*_moved(before, results), *_changed(had, have))
    return Night(number, began, matrix.name, moved, tuple(results), tuple(found))


def _page(result: LegResult, past: History) -> None:
    """Write the page of a leg's run with its past; whatever goes wrong, the night stands."""
    try:
        ui.say(f"page    {write(runs_dir() / result.run, history=past)}")
    except (PinraceError, OSError, ValueError) as error:
        ui.say(f"no page of {result.run}: {str(error).splitlines()[0]}")


def _moved(before: dict[str, str], results: Sequence[LegResult]) -> tuple[str, ...]:
    """Say which trees are not what they were in their last night."""
    now = {result.leg.tree: result.tree for result in results if result.tree}
    return tuple(
        f"{tree}: {before.get(tree, 'not seen before')} → {version}"
        for tree, version in now.items()
        if before.get(tree) != version
    )


def _facts(results: Sequence[LegResult]) -> dict[str, str]:
    """Return what a night ran with, besides its trees."""
    found = {"pinrace": describe_project(), "configuration": _configuration()}
    for result in results:
        if not result.run:
            continue
        said = _manifest(runs_dir() / result.run)
        tree = said.get("tree") or {}
        if tree.get("series_digest"):
            found[f"series {result.leg.series}"] = str(tree["series_digest"])[:16]
        for arch, machine in (said.get("machines") or {}).items():
            found[f"QEMU {arch}"] = str(machine.get("qemu", "unknown"))
    return found


def _manifest(run: Path) -> dict[str, Any]:
    """Return a run's manifest; an empty one when it was pruned or is damaged."""
    try:
        return manifest(run)
    except InfrastructureError:
        return {}


def _configuration() -> str:
    """Return a digest of the fragments that kernels are configured with."""
    fragments = sorted(CONFIGS.rglob("*.config"))
    return store.digest(*(path.read_bytes() for path in fragments))[:16]


def _changed(had: Mapping[str, str], have: Mapping[str, str]) -> tuple[str, ...]:
    """Say what a night ran with that the nights before did not; a first night says nothing."""
    return tuple(
        f"{what}: {had[what]} → {value}"
        for what, value in have.items()
        if what in had and had[what] != value
    )


def leave(night: Night, code: int) -> Path | None:
    """Write the night's folder and say where it is; whatever goes wrong, the night stands."""
    try:
        left = leaves.Left(
            night.number,
            gravest(one.verdict for one in night.results),
            code,
            night.summary,
            night.moved,
            night.changes,
            night.results,
        )
        folder = leaves.write(runs_dir(), night.matrix, left)
    except (PinraceError, OSError, ValueError) as error:
        ui.say(f"no folder of this night: {str(error).splitlines()[0]}")
        return None
    ui.say(f"night   {folder}")
    _site(night.matrix, folder.parent / "site")
    return folder


def _site(matrix: str, folder: Path) -> None:
    """Write the trends anew; whatever goes wrong, the night stands."""
    try:
        with history.opened(runs_dir() / history.FILE) as connection:
            found = trends.read(connection, matrix)
        ui.say(f"trends  {site.write(folder, found)}")
    except (PinraceError, OSError, ValueError) as error:
        ui.say(f"no page of trends: {str(error).splitlines()[0]}")


def show(night: Night) -> None:
    """Say what moved and what is new."""
    ui.say(table.markdown(night.results, {}))
    for line in night.moved:
        ui.say(f"moved   {one_line(line)}")
    news = [change for change in night.changes if change.kind is not Kind.SAME]
    for change in news:
        ui.say(one_line(change.line))
    if not news:
        ui.say("nothing is new")
