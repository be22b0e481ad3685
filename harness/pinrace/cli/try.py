# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: N999 (nobody imports it by a statement)
"""`pinrace try`: one program on every ABI, on the tree with the series and without it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pinrace import ui
from pinrace.arches import get_abi, get_arch
from pinrace.cli import options
from pinrace.engine import build
from pinrace.engine.build import Built, Lab
from pinrace.errors import Exit, UserError
from pinrace.guest.machine import get_machine
from pinrace.guest.outcome import Ending, GuestRun
from pinrace.guest.setup import Setup
from pinrace.judge import ending, splats
from pinrace.judge.ending import End
from pinrace.runs.journal import Run, tree_facts
from pinrace.suites.brought import Brought
from pinrace.suites.own import OwnSuite, suite
from pinrace.values import Request

SHOWN = 8  # lines of output that a row is followed by
_Args = argparse.Namespace


@dataclass(frozen=True)
class Row:
    """What came of one run."""

    abi: str
    tree: str  # "with the series", "unpatched"
    ended: str  # "status 0", "signal 11", or why there is neither
    output: str
    end: End  # what the guest's end says of the kernel

    @property
    def same(self) -> tuple[str, End]:
        """What must be alike on both trees."""
        return self.ended, self.end


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    options.machine_options(parser)
    parser.add_argument("--no-baseline", action="store_true", help="run on the patched tree only")
    parser.add_argument(
        "--for", dest="limit", default="60s", help="time limit of the command (default: 60s)"
    )
    parser.add_argument(
        "--cflags", default="", metavar="WORDS", help="more options for the compiler, e.g. -lcap"
    )
    parser.add_argument(
        "program", type=Path, help="a C source, which is linked static, a binary or a script"
    )
    parser.add_argument(
        "--args", default="", metavar="LINE", help="arguments of the program, quoted as in a shell"
    )


def run(args: argparse.Namespace) -> int:
    """Print a row for each ABI and tree; 1 where they differ or a kernel fails, 4 for a miss."""
    seconds = options.duration(args.limit, "--for")
    if not args.program.is_file():
        raise UserError(f"there is no file {args.program}")
    asked = options.extras(args).ask(options.one_flavor(args))
    lab = build.prepare(asked, *options.request_tree(args), with_base=not args.no_baseline)
    spec = OwnSuite(
        name="try",
        program=args.program.name,
        arguments=tuple(shlex.split(args.args)),
        cflags=tuple(args.cflags.split()),
        timeout=seconds,
        format="exit",
    )
    rows: list[Row] = []
    with Run.create(["pinrace", *args.words], tree=tree_facts(lab.patched.tree)) as record:
        for abi, brought in _loads(asked, lab, spec, args).items():
            for tree in _trees(lab):
                kind = "base" if tree[0] is lab.base else "patched"
                row = _row(tree, brought, abi, record.folder / f"{abi}-{kind}", args)
                rows.append(row)
                ui.say("\n".join(_shown(row)))
        return record.end(_verdict(rows))


def _loads(
    asked: Request, lab: Lab, spec: OwnSuite, args: argparse.Namespace
) -> dict[str, Brought]:
    """Return what each ABI's guest gets; a binary leaves out the ABIs that it is not of."""
    one = suite(spec, args.program.parent, "try")
    loads, refused = {}, []
    for name in asked.abis:
        try:
            loads[name] = one.bring(lab.patched.tree, get_abi(name), build.source(lab.patched.tree))
        except UserError as error:
            if args.program.suffix == ".c" or len(asked.abis) == 1:
                raise
            refused.append(error)
            ui.say(f"try     not on {name}: {error.what}")
    if not loads:
        raise refused[0]
    return loads


def _trees(lab: Lab) -> list[tuple[Built, str]]:
    """Return the trees in the order of the rows."""
    patched = lab.patched.tree.series.name if lab.patched.tree.series else "unpatched"
    return [*([(lab.base, "unpatched")] if lab.base else []), (lab.patched, patched)]


def _row(tree: tuple[Built, str], brought: Brought, abi: str, folder: Path, args: _Args) -> Row:
    """Run it once."""
    built, named = tree
    arch = get_arch(get_abi(abi).arch)
    machine = options.machine(args, get_machine(arch, smp=args.smp))
    kernel = next(k for (name, _), k in built.kernels.items() if name == arch.name)
    went = Setup(kernel, built.images[abi], machine, brought.files).boot(brought.jobs, folder)
    reports = splats.find(splats.read(went.console)) if went.console.exists() else ()
    reading = ending.of(went, reports)
    output = went.jobs[0].output.decode(errors="replace")
    ended = _ended(went) if reading.end in (End.ENDED, End.REPORTED) else reading.sentence
    if reading.end is End.REPORTED:
        ended += f"; {reading.sentence}"
    return Row(abi, named, ended, output, reading.end)


def _ended(went: GuestRun) -> str:
    """Say how the program ended."""
    job = went.jobs[0]
    if went.ending is not Ending.DONE:
        return went.reason
    if job.timed_out:
        return "ended by its time limit"
    if job.signal is not None:
        return f"signal {job.signal}"
    return f"status {job.status}" if job.status is not None else job.error


def _shown(row: Row) -> list[str]:
    """Return the lines of a row."""
    lines = row.output.splitlines()
    shown = [f"          {line}" for line in lines[:SHOWN]]
    if len(lines) > SHOWN:
        shown.append(f"          … and {len(lines) - SHOWN} lines more")
    return [f"try     {row.abi:<7} {row.tree:<12} {row.ended}", *shown]


def _verdict(rows: Sequence[Row]) -> Exit:
    """Return 1 when a kernel failed, or when a program ends otherwise with the series."""
    missed = sorted({row.abi for row in rows if row.end is End.INFRA})
    ran = [row for row in rows if row.abi not in missed]
    different = sorted(
        abi for abi in {row.abi for row in ran} if len({r.same for r in ran if r.abi == abi}) > 1
    )
    if different:
        ui.say(f"it ends otherwise with the series on {', '.join(different)}")
    if missed:
        ui.say(f"it could not be run on {', '.join(missed)}")
    against = (End.DIED, End.HUNG, End.REPORTED)
    if different or any(row.end in against for row in rows):
        return Exit.KERNEL
    return Exit.INFRA if missed else Exit.OK
