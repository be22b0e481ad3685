# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace mutants`: kernels that each break one promise, and which test sees it."""

from __future__ import annotations

import argparse
from dataclasses import replace

from pinrace import ui
from pinrace.arches import get_abi, get_arch
from pinrace.cli import options
from pinrace.contract import statements
from pinrace.engine import build
from pinrace.errors import Exit, UserError
from pinrace.guest.machine import Machine, get_machine
from pinrace.mutants import file, outcome, table
from pinrace.mutants.finding import Kind
from pinrace.mutants.run import Column, MutantRow, Runner, SeriesRow, Work, runner
from pinrace.runs import tables
from pinrace.runs.journal import Run, tree_facts
from pinrace.series import manifest
from pinrace.series.load import load
from pinrace.suites import registry
from pinrace.values import Series

UNMUTATED = "unmutated"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.fleet_options(parser)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="only these mutants: names, statements such as C4, or 'race' (default: all)",
    )
    options.build_options(parser)
    tests = parser.add_mutually_exclusive_group()
    tests.add_argument("--only-selftest", action="store_true", help="run no torture")
    tests.add_argument("--only-torture", action="store_true", help="run no selftest")
    parser.add_argument(
        "--selftests",
        type=int,
        default=1,
        help="runs of the selftest (default: 1)",
    )
    parser.add_argument(
        "--torture",
        default="20s",
        metavar="TIME",
        help="time to race each kernel, e.g. 90s or 2m (default: %(default)s)",
    )
    parser.add_argument("--guests", type=int, default=1, help="guests at once (default: 1)")
    parser.add_argument("--smp", type=int, default=2, help="CPUs of a guest (default: 2)")
    parser.add_argument(
        "--resume", action="store_true", help="reuse results of an earlier run on the same kernels"
    )
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="PATH",
        help="another series to run the same tests on; may be repeated",
    )
    tables.option(parser)


def run(args: argparse.Namespace) -> int:
    """Run the tests on the series and on its mutants; exit 1 when they do not tell them apart."""
    if args.only_selftest:
        options.refuse(args, "with --only-selftest", "--torture")
    if args.only_torture:
        options.refuse(args, "with --only-torture", "--selftests")
    asked = options.request(args)
    seconds = 0.0 if args.only_selftest else options.duration(args.torture, "--torture")
    if args.selftests < 1 or args.smp < 1 or args.guests < 1:
        raise UserError("--selftests, --smp and --guests take numbers of 1 or more")
    tree, series = options.request_tree(args)
    if series is None or args.kernel:
        raise UserError("mutants are those of a series on a tree", hint="leave out --kernel")
    home, about = manifest.beside(series)
    if about.mutants is None or about.contract is None:
        raise UserError(
            f"{series.name} has no mutants",
            hint=f"[mutants] and [contract] in {home / manifest.FILE}",
        )
    mutants = file.select(file.load(home / about.mutants.folder), args.names)
    if not about.mutants.torture:
        seconds = 0.0
    suite = registry.of_manifest(home, about.contract.suite)
    others = [other for text in args.against if (other := load(text, say=ui.say))]
    columns = tuple(
        Column(get_abi(abi).arch, abi, flavor) for flavor in asked.flavors for abi in asked.abis
    )
    runs = 0 if args.only_torture else args.selftests
    work = Work(asked, tree, series, suite.name, columns, runs, seconds, args.resume, args.guests)
    machines = {name: get_machine(get_arch(name), smp=args.smp) for name in asked.arches}
    with Run.create(["pinrace", *args.words]) as record:
        its = runner(work, machines, record.folder / "mutants")
        record.add_facts(tree=tree_facts(its.built.tree))
        found: list[MutantRow] = []
        folders = {column: record.cell_start(outcome.cell(column)) for column in columns}
        try:
            clean = its.series(UNMUTATED, its.built)
            rows = [clean, *(_other(its, other) for other in others)]
            for number, mutant in enumerate(mutants, 1):
                said = f"{mutant.name} ({', '.join(mutant.statements)})"
                ui.say(f"mutant  {number}/{len(mutants)} {said}")
                found.append(its.mutant(mutant, clean))
        finally:
            its.stop.set()
            for result in outcome.results(found, columns, folders):
                record.cell_end(result)
        text = table.markdown(rows, found, columns, _facts(work, machines))
        ui.say(text)
        tables.write(args, text)
        missing = table.uncovered(statements.statements(home / about.contract.statements), found)
        if missing and not args.names:
            ui.say(f"no mutant of {', '.join(missing)} was killed")
        return record.end(_code(clean, found, columns))


def _other(its: Runner, other: Series) -> SeriesRow:
    """Run the tests on another series, with our selftest laid over it when it has none.

    In one flavor: the others are there for mutants that only they see.
    """
    _, about = manifest.beside(its.work.series)
    selftest = about.contract.selftest if about.contract else ""
    tested = statements.with_selftest(other, its.work.series, selftest)
    asked = replace(its.work.asked, flavors=its.work.asked.flavors[:1])
    lab = build.prepare(asked, its.work.tree, tested, with_base=False)
    return its.series(other.name, lab.patched)


def _facts(work: Work, machines: dict[str, Machine]) -> dict[str, str]:
    """What a reader needs to know of how the table came about."""
    qemu = next(iter(machines.values()))
    tested = (
        f"the cases of what a mutant breaks, then up to {work.runs} whole selftests"
        if work.runs
        else "no selftest"
    )
    raced = f", torture for {work.torture:.0f} s" if work.torture else ", no torture"
    return tables.facts(work.tree, work.series) | {
        "guests": f"QEMU {qemu.qemu.version}, {qemu.accel.name}, {qemu.smp} CPUs",
        "tests": f"{tested}{raced}; seconds are the host's, boots included",
    }


def _code(clean: SeriesRow, found: list[MutantRow], columns: tuple[Column, ...]) -> Exit:
    """Tell a broken test from one that could not run."""
    kinds = {row.kind(column) for row in found for column in columns if column in row.findings}
    if clean.alarms:
        return Exit.KERNEL
    if any(row.failed for row in found):
        return Exit.BUILD
    lost = any(not one.ran for done in clean.tries.values() for one in done)
    if lost or Kind.LOST in kinds:
        return Exit.INFRA
    return Exit.KERNEL if kinds - {Kind.KILLED} else Exit.OK
