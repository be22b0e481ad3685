# SPDX-License-Identifier: GPL-2.0-or-later
"""One night: which trees moved, what the matrix gave, and what of it is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pinrace import ui
from pinrace.errors import PinraceError
from pinrace.matrix import run as runs
from pinrace.matrix import table
from pinrace.matrix.file import MatrixFile
from pinrace.matrix.journal import LegResult
from pinrace.nightly import changes, history, trend
from pinrace.nightly.changes import Change, Kind
from pinrace.paths import runs_dir
from pinrace.report.model import History
from pinrace.report.render import write
from pinrace.values import Verdict
from pinrace.visible import markdown, one_line


@dataclass(frozen=True)
class Night:
    """What came of a night."""

    number: int
    began: str
    moved: tuple[str, ...]  # a line for each tree that is not what it was
    results: tuple[LegResult, ...]
    changes: tuple[Change, ...]

    @property
    def summary(self) -> str:
        """All of it as markdown."""
        head = [f"## Night {self.number} of {self.began[:10]}", ""]
        news = [change for change in self.changes if change.kind is not Kind.SAME]
        told = [f"- **{c.kind}**: {markdown(c.line.split(': ', 1)[1])}" for c in news]
        moved = [f"- moved: {markdown(line)}" for line in self.moved]
        return "\n".join([*head, *(told or ["Nothing is new."]), *moved, "", ""]) + (
            table.markdown(self.results, {})
        )


def run(
    matrix: MatrixFile, argv: Sequence[str], *, again: bool = False, insecure: bool = False
) -> Night:
    """Run the matrix and compare it with the nights before.

    What passed on the very same tree, series and programs is not run again, unless `again` asks
    for it; `insecure` takes trees that nothing vouches for.  Raises UserError for a matrix that is
    none.
    """
    began = datetime.now().astimezone().isoformat(timespec="seconds")

    def keep(old: LegResult) -> bool:
        return not again and old.verdict in (Verdict.PASS, Verdict.SKIP)

    results = runs.run(matrix, argv, keep=keep, insecure=insecure)
    path = runs_dir() / history.FILE
    with history.opened(path) as connection:
        before = history.versions(connection, matrix.name)
        number = history.add(connection, matrix.name, began, results)
        past = history.past(connection, matrix.name, changes.WINDOW)
        nights = history.nights(connection, matrix.name, changes.WINDOW)
    found = changes.compare(past, number)
    for result in results:
        if result.run:
            _page(result, trend.of_leg(result.leg, nights, past, found))
    return Night(number, began, _moved(before, results), tuple(results), tuple(found))


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


def show(night: Night) -> None:
    """Say what is new, and no more than that."""
    ui.say(table.markdown(night.results, {}))
    for line in night.moved:
        ui.say(f"moved   {one_line(line)}")
    news = [change for change in night.changes if change.kind is not Kind.SAME]
    for change in news:
        ui.say(one_line(change.line))
    if not news:
        ui.say("nothing is new")
