# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace price`: instructions a system call, with the series and without."""

from __future__ import annotations

import argparse
from dataclasses import replace

from pinrace import ui
from pinrace.arches import get_abi
from pinrace.cli import options
from pinrace.contract import cost
from pinrace.engine import build
from pinrace.errors import Exit, UserError
from pinrace.runs import tables
from pinrace.runs.journal import Run, tree_facts
from pinrace.values import Cell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    tables.option(parser)


def run(args: argparse.Namespace) -> int:
    """Count on both kernels and print the table; exit 1 when a call costs too much."""
    asked = options.request(args)
    if asked.flavors != ("plain",) or asked.kernel:
        raise UserError(
            "prices are those of the plain kernels", hint="leave out --flavor, --kernel"
        )
    tree, series = options.request_tree(args)
    if series is None:
        raise UserError("a price is that of a series", hint="--series FOLDER")
    lab = build.prepare(asked, tree, series, with_base=True)
    if lab.base is None:
        raise UserError(f"{series.name} changes nothing in {tree.label}")
    prices = []
    with Run.create(["pinrace", *args.words], tree=tree_facts(lab.patched.tree)) as record:
        for abi in asked.abis:
            cell = Cell(get_abi(abi).arch, abi, "plain", "price")
            folder = record.cell_start(cell)
            base = cost.measure(lab.base, abi, folder / "base")
            patched = cost.measure(lab.patched, abi, folder / "patched")
            found = cost.compare(abi, base, patched)
            record.cell_end(replace(cost.result(cell, found), folder=folder))
            prices += found
            ui.say(f"price   {abi}  {len(patched)} calls, {cost.TIMES} runs of each kernel agree")
        code = record.end(Exit.KERNEL if any(one.too_much for one in prices) else Exit.OK)
    facts = tables.facts(tree, series) | {
        "counted": f"instructions a call, QEMU {cost.machine(asked.abis[0]).qemu.version},"
        " one CPU; the cheapest of 20 to 200 batches",
    }
    text = cost.markdown(prices, facts)
    ui.say(text)
    tables.write(args, text)
    return code
