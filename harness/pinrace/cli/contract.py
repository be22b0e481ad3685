# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace contract`: which statements of the contract each series keeps, on every ABI."""

from __future__ import annotations

import argparse

from pinrace import ui
from pinrace.arches import get_abi
from pinrace.cli import options
from pinrace.contract import statements
from pinrace.engine import batch
from pinrace.errors import Exit, UserError
from pinrace.runs import tables
from pinrace.series import manifest
from pinrace.series.load import load
from pinrace.suites import registry
from pinrace.values import Cell, Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="PATH",
        help="another series to hold against the same statements; may be repeated",
    )
    tables.option(parser)


def run(args: argparse.Namespace) -> int:
    """Run the selftest on each series; exit 1 when the series itself breaks a statement."""
    asked = options.request(args)
    tree, own = options.request_tree(args)
    if own is None or args.kernel:
        raise UserError("the contract is about a series on a tree", hint="leave out --kernel")
    folder, about = manifest.beside(own)
    if about.contract is None:
        raise UserError(
            f"{own.name} has no contract", hint=f"add [contract] to {folder / manifest.FILE}"
        )
    suite = registry.of_manifest(folder, about.contract.suite)
    others = [load(text, say=ui.say) for text in args.against]
    wanted = statements.statements(folder / about.contract.statements)
    columns: list[statements.Column] = []
    cells = tuple(
        Cell(get_abi(abi).arch, abi, flavor, suite.name)
        for flavor in asked.flavors
        for abi in asked.abis
    )
    facts = tables.facts(tree)
    for series in (own, *(series for series in others if series)):
        tested = statements.with_selftest(series, own, about.contract.selftest)
        facts[series.name] = tables.patches(series)
        todo = batch.Batch(asked, tree, tested, cells, with_base=False)
        _, results = batch.run(todo, ["pinrace", *args.words])
        columns += [statements.Column(series.name, result) for result in results]
    text = statements.markdown(wanted, columns, facts)
    ui.say(text)
    tables.write(args, text)
    mine = [column.result.verdict for column in columns if column.series == own.name]
    if Verdict.FAIL in mine:
        return Exit.KERNEL
    return Exit.OK if set(mine) == {Verdict.PASS} else Exit.INFRA
