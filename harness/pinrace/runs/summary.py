# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person reads when a run is over, and the exit code that goes with it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pinrace.errors import Exit
from pinrace.judge.match import keyed
from pinrace.judge.rules import load_rules
from pinrace.runs import commands, issues
from pinrace.suites import ktap
from pinrace.values import CaseResult, CaseStatus, CellResult, Splat, Verdict
from pinrace.visible import one_line, plain

MOST = 5  # bad cases that are shown of one cell
_STYLES = {
    Verdict.PASS: "green",
    Verdict.FAIL: "bold red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.MISS: "magenta",
    Verdict.SKIP: "dim",
}
_RIGHT = frozenset({"new", "pass", "fail", "skip", "time"})


def exit_code(results: Sequence[CellResult]) -> Exit:
    """Return 1 when a kernel failed, 4 when a cell is inconclusive or none ran, else 0."""
    verdicts = {result.verdict for result in results}
    if Verdict.FAIL in verdicts:
        return Exit.KERNEL
    if not verdicts or verdicts & {Verdict.MISS, Verdict.INCONCLUSIVE}:
        return Exit.INFRA
    return Exit.OK


def show(
    results: Sequence[CellResult], console: Console, how: commands.Again | None = None
) -> None:
    """Print the table, then what failed, then the sentence: rich on a terminal, else plain.

    how: what repeats a cell, from the run's manifest; None when no command line does.
    """
    if results and console.is_terminal:
        console.print(_rich(results))
    elif results:
        console.print(
            plain("\n".join(table(results))), markup=False, highlight=False, soft_wrap=True
        )
    after = plain("\n".join([*details(results, how), sentence(results)]))
    console.print(after, markup=False, highlight=False, soft_wrap=True)


def table(results: Sequence[CellResult]) -> list[str]:
    """Return the table as aligned lines."""
    names = columns(results)
    rows = [list(names), *([row[name] for name in names] for row in map(_row, results))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(names))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if name in _RIGHT else cell.ljust(width)
            for cell, width, name in zip(row, widths, names, strict=True)
        ]
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines


def columns(results: Sequence[CellResult]) -> tuple[str, ...]:
    """Return the columns; flavor, hosts and repeat only where they tell cells apart."""
    flavor = ("flavor",) if {r.cell.flavor for r in results} - {commands.PLAIN} else ()
    repeat = ("run",) if any(r.cell.repeat > 1 for r in results) else ()
    hosts = ("on",) if any(r.cell.on for r in results) else ()
    fixed = ("verdict", "new", "pass", "fail", "skip", "time", "notes")
    return ("arch", "abi", *flavor, *hosts, "suite", *repeat, *fixed)


def details(results: Sequence[CellResult], how: commands.Again | None = None) -> list[str]:
    """Return, for each cell that is not fine, what, where, and the command that repeats it."""
    lines: list[str] = []
    for result in results:
        if result.verdict in (Verdict.PASS, Verdict.SKIP):
            continue
        bad = new_cases(result)
        lines += ["", f"{result.cell.name}: {result.verdict.value}, {one_line(result.reason)}"]
        lines += [f"  {about(case)}" for case in bad[:MOST]]
        if len(bad) > MOST:
            lines.append(f"  … and {len(bad) - MOST} more")
        lines += [f"  {one_line(splat.title)}" for splat in new_splats(result)[:MOST]]
        if where := _where(result):
            lines.append(f"  console  {where}")
        if how:
            lines.append(f"  again    {commands.rerun(result.cell, how, only=bad)}")
        lines += [f"  {one_line(note)}" for note in result.notes if note.startswith(issues.KNOWN)]
        replays = (note for note in result.notes if note.startswith(commands.REPLAY))
        lines += [f"  replay   {one_line(note.removeprefix(commands.REPLAY))}" for note in replays]
    return [*lines, ""] if lines else []


def sentence(results: Sequence[CellResult]) -> str:
    """Return the last line."""
    if not results:
        return "no cell ran: nothing was tested"
    count = Counter(result.verdict for result in results)
    whole = f"of {len(results)} {'cell' if len(results) == 1 else 'cells'}"
    if failed := count[Verdict.FAIL]:
        more = count[Verdict.MISS] + count[Verdict.INCONCLUSIVE]
        open_ones = f"; {more} inconclusive or not run" if more else ""
        return f"{failed} {whole} failed{open_ones}"
    if missed := count[Verdict.MISS] + count[Verdict.INCONCLUSIVE]:
        return f"{missed} {whole} inconclusive or not run, {count[Verdict.PASS]} passed"
    skipped = f", {count[Verdict.SKIP]} skipped" if count[Verdict.SKIP] else ""
    return f"{count[Verdict.PASS]} {whole} passed{skipped}"


def new_splats(result: CellResult) -> list[Splat]:
    """Return the reports that speak against the kernel, and that the unpatched tree lacks."""
    rules = load_rules()
    return [s for s in result.splats if rules.counts(s) and s.fingerprint not in result.known]


def new_cases(result: CellResult) -> list[CaseResult]:
    """Return the bad cases that the unpatched tree does not have; names may repeat."""
    new = set(result.new)
    return [case for key, case in keyed(result.cases) if case.status.bad and key in new]


def _row(result: CellResult) -> dict[str, str]:
    """Return the texts of one row."""
    count = Counter(case.status for case in result.cases)
    apart = (commands.REPLAY, issues.KNOWN)  # these have lines of their own
    notes = [note for note in result.notes if not note.startswith(apart)]
    if result.verdict is not Verdict.PASS:
        notes.insert(0, result.reason)
    return {
        "arch": result.cell.arch,
        "abi": result.cell.abi,
        "on": result.cell.on,
        "flavor": result.cell.flavor,
        "suite": result.cell.suite,
        "run": str(result.cell.repeat),
        "verdict": result.verdict.value,
        "new": str(len(result.new) + len(new_splats(result))),
        "pass": str(count[CaseStatus.PASS] + count[CaseStatus.XFAIL]),
        "fail": str(sum(number for status, number in count.items() if status.bad)),
        "skip": str(count[CaseStatus.SKIP]),
        "time": f"{result.seconds:.0f} s",
        "notes": one_line("; ".join(notes)),
    }


def _rich(results: Sequence[CellResult]) -> Table:
    """Return the table for a terminal."""
    names = columns(results)
    it = Table(box=None, pad_edge=True, header_style="bold")
    for name in names:
        it.add_column(name, justify="right" if name in _RIGHT else "left", no_wrap=name != "notes")
    for result in results:
        row = _row(result)
        style = _STYLES[result.verdict]
        it.add_row(*(Text(row[n], style=style if n == "verdict" else "") for n in names))
    return it


def about(case: CaseResult) -> str:
    """Return one line on a bad case."""
    return one_line(f"{case.name}: {case.status.value} {said(case)}".rstrip())


def said(case: CaseResult) -> str:
    """Return why a case is bad: its reason, the first thing it expected, the last thing it said."""
    lines = [line.lstrip("# ") for line in case.lines if not ktap.says_nothing(line)]
    expected = next((line for line in lines if ":Expected " in line), "")
    return case.reason or expected or (lines[-1] if lines else "")


def _where(result: CellResult) -> str:
    """Return the console log, with the line of the first new report."""
    if result.folder is None:
        return ""
    path = result.folder / "console.log"
    if not path.exists():
        return ""
    here = Path.cwd()
    shown = os.path.relpath(path, here) if path.is_relative_to(here) else str(path)
    splats = new_splats(result)
    return f"{shown}:{splats[0].line}" if splats else shown
