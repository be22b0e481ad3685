# SPDX-License-Identifier: GPL-2.0-or-later
"""From a run's folder to what its page shows.  Nothing outside of that folder is read."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pinrace.access import crash
from pinrace.errors import InfrastructureError
from pinrace.races.torture import report as tortures
from pinrace.races.torture.run import RECORDS, stopped
from pinrace.races.trials.records import parse
from pinrace.report import cases, console, facts, overview, pictures, splats, text
from pinrace.report.limits import COMMAND, NAME, NOTES, SECTIONS, SENTENCE, Share, share
from pinrace.report.model import Counts, Page, Section
from pinrace.runs import commands, journal, summary
from pinrace.values import GRAVEST, CaseStatus, Cell, CellResult, Verdict, gravest

_CELLS = TypeAdapter(list[Cell])
_FILES = 16  # of a cell's folder that are listed
_FILE = re.compile(r"[\w./@+-]{1,100}", re.ASCII)
_FIXED = 20  # cases that are named
_BAD = frozenset({Verdict.FAIL, Verdict.MISS, Verdict.INCONCLUSIVE})


def gather(folder: Path) -> Page:
    """Return the page of a run, finished or not.

    A cell that was begun and has no end is a MISS, and so is one that was planned and never begun.
    Raises UserError when there is no such run, and InfrastructureError when its journal or its
    manifest is damaged.
    """
    folder = folder.resolve()
    events = journal.events(folder)
    manifest = journal.manifest(folder)
    ended = {result.cell.name: result for result in journal.load(folder)}
    planned = _planned(manifest, events)
    order = list(dict.fromkeys([*(c.name for c in planned), *ended]))
    unfinished = {c.name: _unfinished(c, folder, events) for c in planned if c.name not in ended}
    results = [ended.get(name) or unfinished[name] for name in order]
    shown = sorted(results, key=lambda result: GRAVEST.index(result.verdict))[:SECTIONS]
    kept = {result.cell.name for result in shown}
    bad = sum(1 for result in shown if result.verdict in _BAD)
    how = commands.shown(manifest)
    sections: dict[str, Section] = {}
    for result in shown:
        mine = share(bad=result.verdict in _BAD, cells_bad=bad, cells_good=len(shown) - bad)
        taken = {section.id for section in sections.values()}
        name = _id(result.cell.name, taken)
        sections[result.cell.name] = _section(
            name, result, folder, mine, how, ended=result.cell.name in ended
        )
    asked = tuple(sections[name] for name in order if name in kept)
    end = next((e for e in reversed(events) if e["kind"] == "run-end"), None)
    return Page(
        id=text.fit(folder.name, NAME),
        verdict=_verdict(results, end),
        sentence=_sentence(results, end, unfinished=len(unfinished)),
        finished=end is not None,
        began=facts.when(manifest.get("began")),
        ended=facts.when(events[-1].get("time") if events else None),
        seconds=_seconds(manifest.get("began"), events),
        exit_code=end.get("exit_code") if end else None,
        facts=facts.facts(manifest),
        command=text.fit(shlex.join(map(str, manifest.get("argv") or ())), COMMAND),
        compared=bool(manifest.get("compared", _compares(manifest.get("argv") or ()))),
        project=text.fit(str(manifest.get("project", "unknown")), NAME),
        findings=overview.findings(tuple(sections.values())),
        matrix=overview.matrix(asked),
        sections=tuple(sections.values()),
        left_out=len(results) - len(shown),
    )


def _compares(argv: Sequence[object]) -> bool:
    """Whether a command line of an older manifest is one that runs the unpatched tree, too."""
    return "test" in argv[:2] and "--no-baseline" not in argv


def _planned(manifest: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> list[Cell]:
    """Return the cells that were meant to run, as far as they are known."""
    begun = [event["cell"] for event in events if event["kind"] == "cell-start"]
    cells: dict[str, Cell] = {}
    for said in (manifest.get("cells") or [], begun):
        try:
            cells |= {cell.name: cell for cell in _CELLS.validate_python(said)}
        except (ValidationError, KeyError) as exc:
            raise InfrastructureError(f"a cell that cannot be read: {exc}") from exc
    return list(cells.values())


def _unfinished(cell: Cell, folder: Path, events: Iterable[Mapping[str, Any]]) -> CellResult:
    """Return what stands for a cell without an end: a torture says so far what it saw."""
    place = folder / journal.CELLS / cell.name
    if cell.suite == tortures.SUITE and (place / RECORDS).exists():
        whole, _, _torn = (place / RECORDS).read_text(errors="replace").rpartition("\n")
        so_far = tortures.cell_result(cell, stopped(parse(whole.split("\n")), place))
        return replace(so_far, reason=f"not finished: {so_far.reason}")
    begun = any(e["kind"] == "cell-start" and e.get("name") == cell.name for e in events)
    why = "not finished: the run has no end for it" if begun else "not finished: it never began"
    return CellResult(cell, Verdict.MISS, why, folder=place)


def _section(
    name: str,
    result: CellResult,
    run: Path,
    mine: Share,
    how: commands.Again | None,
    *,
    ended: bool,
) -> Section:
    """Return all of one cell."""
    folder = _inside(result.folder, run)
    views, left_out = splats.read(result, folder, mine)
    marks = {splat.line for splat in result.splats}
    log = console.read(folder / "console.log", run, mine.console, marks) if folder else None
    return Section(
        id=name,
        result=result,
        ended=ended,
        reason=text.fit(result.reason, SENTENCE),
        counts=_counts(result),
        notes=tuple(text.fit(note, SENTENCE) for note in _notes(result)),
        fixed=tuple(text.fit(case, NAME) for case in result.fixed[:_FIXED]),
        cases=cases.read(result, folder, mine),
        splats=tuple(views),
        splats_left_out=left_out,
        console=log,
        commands=_commands(result, how),
        qemu=_text(folder / "qemu.txt") if folder else "",
        folder=str(folder.relative_to(run)) if folder else "",
        files=_files(folder) if folder else (),
        pictures=pictures.read(folder, mine.pictures),
        dump=_text(folder / crash.TEXT, mine.dump) if folder else "",
    )


def _inside(path: Path | None, run: Path) -> Path | None:
    """Return the path, links followed, when that is in the run's folder; else None."""
    real = path.resolve() if path else None
    return real if real and real.is_relative_to(run) and real.exists() else None


def _files(folder: Path) -> tuple[str, ...]:
    """Return the files of a cell, relative to its folder; those with a plain name."""
    found = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    names = [str(p.relative_to(folder)) for p in found]
    return tuple(name for name in names if _FILE.fullmatch(name))[:_FILES]


def _text(path: Path, limit: int = 2 * COMMAND) -> str:
    """Return a file's text, made visible, at most so many characters; "" without it."""
    try:
        with path.open("rb") as stream:
            return text.fit(text.decode(stream.read(2 * limit)).strip(), limit)
    except OSError:
        return ""


def _counts(result: CellResult) -> Counts:
    """Count cases by what they mean for the verdict."""
    count = Counter(case.status for case in result.cases)
    bad = [case.name for case in result.cases if case.status.bad]
    return Counts(
        new=len(result.new) + len(summary.new_splats(result)),
        known=sum(1 for name in bad if name not in result.new),
        good=count[CaseStatus.PASS] + count[CaseStatus.XFAIL],
        skip=count[CaseStatus.SKIP],
    )


def _notes(result: CellResult) -> list[str]:
    """Return the notes, the first ones."""
    notes = list(result.notes)
    more = [f"and {len(notes) - NOTES} more notes"] if len(notes) > NOTES else []
    return notes[:NOTES] + more


def _commands(result: CellResult, how: commands.Again | None) -> tuple[tuple[str, str], ...]:
    """Return what to type for this cell alone."""
    if how is None:
        return ()
    if how.whole:
        return (("Run all of it again", text.fit(how.whole, COMMAND)),)
    lines = [
        ("Build what it runs on", commands.rebuild(result.cell, how)),
        ("Run this cell again", commands.rerun(result.cell, how)),
    ]
    new = summary.new_cases(result)
    one = commands.rerun(result.cell, how, only=new)
    if one != lines[-1][1]:
        lines.append(("Run only the case that is new", one))
    return tuple((what, text.fit(line, COMMAND)) for what, line in lines)


def _id(name: str, taken: set[str]) -> str:
    """Return an id for an element that nobody has."""
    stem = "cell-" + re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:NAME]
    found, number = stem, 1
    while found in taken:
        number += 1
        found = f"{stem}.{number}"
    return found


def _verdict(results: Sequence[CellResult], end: Mapping[str, Any] | None) -> Verdict:
    """Return the verdict of the whole: that of its gravest cell."""
    if not results:
        return Verdict.SKIP if end and end.get("exit_code") == 0 else Verdict.MISS
    worst = gravest(result.verdict for result in results)
    return worst if end or worst is Verdict.FAIL else Verdict.MISS


def _sentence(
    results: Sequence[CellResult], end: Mapping[str, Any] | None, *, unfinished: int
) -> str:
    """Return the verdict in words."""
    if not results and end:
        return "This run judged no cells"
    said = summary.sentence(results)
    if end:
        return said
    done = len(results) - unfinished
    return f"Not finished, {done} of {len(results)} cells ended: {said}"


def _seconds(began: object, events: Sequence[Mapping[str, Any]]) -> float | None:
    """Return how long the run took, or lasted when it was last heard of."""
    try:
        last = datetime.fromisoformat(str(events[-1]["time"]))
        return max(0.0, (last - datetime.fromisoformat(str(began))).total_seconds())
    except (IndexError, KeyError, ValueError, TypeError):
        return None
