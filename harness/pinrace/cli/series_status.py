# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace series status`: trees by series, what applies, and if asked what builds and passes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace

from pinrace import ui
from pinrace.cli import options
from pinrace.engine import batch, build
from pinrace.errors import BuildError, Exit, InfrastructureError, UserError
from pinrace.runs import commands, summary
from pinrace.series import status
from pinrace.series.load import load
from pinrace.series.status import Fit
from pinrace.trees import lock
from pinrace.trees.fetch import resolve
from pinrace.values import Cell, Request, Series, Tree

_GRAVEST = (Exit.KERNEL, Exit.BUILD, Exit.INFRA)  # which one counts when rows differ
_WORDS = {Exit.OK: "pass", Exit.KERNEL: "FAIL", Exit.INFRA: "inconclusive"}
_COLUMNS = ("tree", "series", "applies", "builds", "tests")


@dataclass(frozen=True)
class Row:
    """One tree with one series."""

    tree: str
    series: str
    applies: str
    builds: str = ""  # "" when that was not asked, or not possible
    tests: str = ""
    notes: tuple[str, ...] = ()
    code: Exit = Exit.OK


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this action."""
    parser.add_argument(
        "--trees", metavar="TREE,…", help="with commas between (default: those of the lock file)"
    )
    parser.add_argument(
        "--series",
        action="append",
        metavar="SERIES",
        help=f"may be repeated (default: {options.DEFAULT_SERIES.name})",
    )
    options.insecure_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, and the rest to stderr")
    parser.add_argument("--build", action="store_true", help="build the kernels of what applies")
    parser.add_argument("--test", action="store_true", help="build, and run the suites")
    options.kernel_options(parser)
    options.cell_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table and what is behind it; the gravest row decides the exit code."""
    asked, cells = options.request(args), options.cells(options.request(args), args)
    if args.kernel:
        raise UserError("each tree has a kernel of its own", hint="leave out --kernel")
    specs = list(lock.read()) if args.trees is None else args.trees.split(",")
    if not (specs := [spec.strip() for spec in specs if spec.strip()]):
        raise UserError("which trees?", hint="--trees debian:7.3,stable")
    names = args.series or [str(options.DEFAULT_SERIES)]
    say = ui.warn if args.json else ui.say
    series = [found for name in names if (found := load(name, say=say))]
    if not series:
        raise UserError("there is no series to look at", hint="--series FOLDER")
    with ui.on_stderr() if args.json else nullcontext():
        rows = list(_rows(specs, series, asked, cells, args))
    if args.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return exit_code(rows)
    ui.say("\n".join(table(rows)))
    for row in rows:
        if row.notes:
            head = f"\n{row.series} on {row.tree}: {row.applies}"
            ui.say("\n  ".join([head, *"\n".join(row.notes).splitlines()]))
    return exit_code(rows)


def table(rows: Sequence[Row]) -> list[str]:
    """Return the table as aligned lines; without the columns that nobody asked for."""
    names = [name for name in _COLUMNS if any(getattr(row, name) for row in rows)]
    lines = [names, *([getattr(row, name) for name in names] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(names))]
    return [
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def exit_code(rows: Sequence[Row]) -> Exit:
    """Return the code of the gravest row."""
    codes = {row.code for row in rows}
    return next((code for code in _GRAVEST if code in codes), Exit.OK)


def _rows(
    specs: Sequence[str],
    series: Sequence[Series],
    asked: Request,
    cells: tuple[Cell, ...],
    args: argparse.Namespace,
) -> Iterator[Row]:
    """Yield the rows; a tree that cannot be had has rows that say so."""
    for spec in specs:
        try:
            tree = resolve(spec, say=ui.say, insecure=args.insecure)
        except InfrastructureError as error:
            why = str(error)
            for one in series:
                yield Row(spec, one.name, "cannot be had", notes=(why,), code=Exit.INFRA)
            continue
        for one in series:
            todo = batch.Batch(
                asked,
                tree,
                one,
                cells,
                smp=args.smp,
                guests=args.guests,
                only=args.only,
                with_base=not args.no_baseline,
                days=args.baseline_days,
                chosen=bool(args.suite),
                accepted=args.accept_uncovered,
            )
            yield _row(tree, one, todo, args)


def _row(tree: Tree, series: Series, todo: batch.Batch, args: argparse.Namespace) -> Row:
    """See how a series stands on a tree, and go on from there as far as it was asked."""
    standing = status.stand(tree, series, say=ui.say)
    row = Row(tree.label, series.name, standing.fit, notes=standing.notes)
    if standing.fit is Fit.CONFLICT:
        return replace(row, code=Exit.BUILD)
    if not standing.patched or not (args.build or args.test):
        return row
    try:
        if not args.test:
            build.prepare(todo.asked, tree, series, with_base=False)
            return replace(row, builds="yes")
        record, results = batch.run(todo, ["pinrace", *args.words])
    except BuildError as error:
        return replace(row, builds="NO", notes=(*row.notes, str(error)), code=Exit.BUILD)
    except InfrastructureError as error:
        return replace(row, builds="cannot", notes=(*row.notes, str(error)), code=Exit.INFRA)
    summary.show(results, ui.out, commands.shown(record.manifest))
    code = summary.exit_code(results)
    said = f"{_WORDS[code]}: {summary.sentence(results)}"
    return replace(row, builds="yes", tests=said, code=code)
