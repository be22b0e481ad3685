# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace price`: instructions a system call, with the series and without."""

from __future__ import annotations

import argparse

from harness import price, stages, ui
from harness.cli import kept, options
from harness.errors import Exit, UserError
from harness.runs.journal import Run, tree_facts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    kept.option(parser)


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
    lab = stages.prepare(asked, tree, series, with_base=True)
    if lab.base is None:
        raise UserError(f"{series.name} changes nothing in {tree.label}")
    record = Run.create(["pinrace", *args.words], tree=tree_facts(lab.patched.tree))
    prices = []
    for abi in asked.abis:
        folder = record.folder / "price" / abi
        base = price.measure(lab.base, abi, folder / "base")
        patched = price.measure(lab.patched, abi, folder / "patched")
        prices += price.compare(abi, base, patched)
        ui.say(f"price   {abi}  {len(patched)} calls, {price.TIMES} runs of each kernel agree")
    code = Exit.KERNEL if any(one.too_much for one in prices) else Exit.OK
    record.finish([], exit_code=code)
    facts = kept.facts(tree, series) | {
        "counted": f"instructions a call, QEMU {price.machine(asked.abis[0]).qemu.version},"
        " one CPU; the cheapest of 20 to 200 batches",
    }
    text = price.markdown(prices, facts)
    ui.say(text)
    kept.write(args, text)
    return code
