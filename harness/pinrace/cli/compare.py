# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace compare`: two runs held against each other, case by case."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pinrace import ui
from pinrace.errors import Exit, UserError
from pinrace.judge.splats import load_rules
from pinrace.runs import journal
from pinrace.values import CaseStatus, CellResult

SHOWN = 10  # cases of one kind that are listed


@dataclass(frozen=True)
class Change:
    """What became of one cell from the first run to the second."""

    cell: str
    verdicts: tuple[str, str]  # "" where that run has no such cell
    worse: tuple[str, ...]  # cases that are bad now and were not
    better: tuple[str, ...]  # cases that were bad and pass now
    gone: tuple[str, ...]  # cases that passed, and are skipped or absent now
    reports: tuple[str, ...]  # what the kernel reports against itself now, and did not

    @property
    def same(self) -> bool:
        """Whether there is nothing to say."""
        alike = self.verdicts[0] == self.verdicts[1]
        return alike and not (self.worse or self.better or self.gone or self.reports)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("before", help="a run's name, as `pinrace runs` lists it")
    parser.add_argument("after", nargs="?", default=journal.LATEST, help="(default: latest)")


def run(args: argparse.Namespace) -> int:
    """Say what differs; 1 where a case or a kernel got worse, 4 where nothing can be compared."""
    folders = [journal.find_run(name) for name in (args.before, args.after)]
    for folder in folders:
        manifest = journal.manifest(folder)
        ui.say(f"{folder.name}  {_about(manifest)}")
    before, after = (journal.load(folder) for folder in folders)
    changes = compare(before, after)
    if not any(all(change.verdicts) for change in changes):
        raise UserError(
            "the two runs have no cell in common",
            hint="the same --abi, --flavor and --suite for both",
        )
    for change in changes:
        if not change.same:
            ui.say("\n".join(lines(change)))
    same = sum(change.same for change in changes)
    ui.say(f"{same} of {len(changes)} cells are the same")
    return verdict(changes)


def compare(before: Sequence[CellResult], after: Sequence[CellResult]) -> list[Change]:
    """Return what became of each cell of either run, in the order of the first."""
    olds = {result.cell.name: result for result in before}
    news = {result.cell.name: result for result in after}
    return [_change(name, olds.get(name), news.get(name)) for name in {**olds, **news}]


def _change(name: str, old: CellResult | None, new: CellResult | None) -> Change:
    said = tuple(result.verdict.value if result else "" for result in (old, new))
    if old is None or new is None:
        return Change(name, (said[0], said[1]), (), (), (), ())
    was, now = _status(old), _status(new)
    seen = {splat.fingerprint for splat in old.splats}
    rules = load_rules()
    return Change(
        name,
        (said[0], said[1]),
        worse=tuple(c for c, s in now.items() if s.bad and not (c in was and was[c].bad)),
        better=tuple(
            c for c, s in was.items() if s.bad and now.get(c) in (CaseStatus.PASS, CaseStatus.XFAIL)
        ),
        gone=tuple(
            c
            for c, s in was.items()
            if s is CaseStatus.PASS and now.get(c, CaseStatus.SKIP) is CaseStatus.SKIP
        ),
        reports=tuple(s.title for s in new.splats if rules.counts(s) and s.fingerprint not in seen),
    )


def _status(result: CellResult) -> dict[str, CaseStatus]:
    """Return the cases' results; of several of one name, the worst."""
    found: dict[str, CaseStatus] = {}
    for case in result.cases:
        if case.name not in found or case.status.bad:
            found[case.name] = case.status
    return found


def lines(change: Change) -> list[str]:
    """Return what a person reads of a cell that changed."""
    old, new = (verdict or "not run" for verdict in change.verdicts)
    text = [f"{change.cell}: {old}" if old == new else f"{change.cell}: {old} -> {new}"]
    for what, names in (
        ("worse", change.worse),
        ("kernel", change.reports),
        ("gone", change.gone),
        ("better", change.better),
    ):
        text += [f"  {what:<7} {name}" for name in names[:SHOWN]]
        if len(names) > SHOWN:
            text.append(f"  {what:<7} … and {len(names) - SHOWN} more")
    return text


def verdict(changes: Sequence[Change]) -> Exit:
    """Return 1 where something got worse, 4 where a cell of the first run is missing, else 0.

    A guest that hangs or dies has failed, also where no case and no report says so.
    """
    pairs = [change.verdicts for change in changes]
    failed = any(new == "FAIL" and old not in ("", new) for old, new in pairs)
    if failed or any(change.worse or change.reports for change in changes):
        return Exit.KERNEL
    lost = any(change.verdicts[0] == "PASS" != change.verdicts[1] for change in changes)
    return Exit.INFRA if lost or any(change.gone for change in changes) else Exit.OK


def _about(manifest: Mapping[str, Any]) -> str:
    """Say what a run was of."""
    tree = manifest.get("tree") or {}
    return str(tree.get("label") or " ".join(manifest.get("argv", [])))
