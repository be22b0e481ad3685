# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace boot`: does each kernel boot, how fast, and what does it report of itself."""

from __future__ import annotations

import argparse

from pinrace import ui
from pinrace.arches import get_arch
from pinrace.cli import options
from pinrace.engine import build
from pinrace.engine.cell import Bench, find_splats
from pinrace.guest.machine import get_machine
from pinrace.guest.outcome import GuestRun
from pinrace.guest.setup import Setup
from pinrace.judge.verdict import Evidence, judge
from pinrace.runs import commands, summary
from pinrace.runs.journal import Run, tree_facts
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    parser.add_argument("--smp", type=int, default=2, help="CPUs of the guest (default: 2)")


def run(args: argparse.Namespace) -> int:
    """Boot each kernel with its native image and no job; a console's tail when one does not."""
    asked = options.request(args)
    lab = build.prepare(asked, *options.request_tree(args), with_base=False)
    with Run.create(["pinrace", *args.words], tree=tree_facts(lab.patched.tree)) as record:
        results = [
            _boot(arch, flavor, lab, args.smp, record) for arch, flavor in lab.patched.kernels
        ]
        return record.end(summary.exit_code(results))


def _boot(arch_name: str, flavor: str, lab: build.Lab, smp: int, record: Run) -> CellResult:
    """Boot one kernel, say how it went, and keep that as a cell with one case."""
    arch = get_arch(arch_name)
    abi = arch.abis[0]
    image = lab.patched.images.get(abi.name) or next(
        image for image in lab.patched.images.values() if image.arch == arch_name
    )
    machine = get_machine(arch, smp=smp)
    bench = Bench(lab.patched.kernels[arch_name, flavor], image, machine)
    cell = Cell(arch_name, image.abi, flavor, commands.BOOT)
    folder = record.cell_start(cell)
    went = Setup(bench.kernel, image, machine).boot([], folder)
    evidence = Evidence(
        went.ending,
        reason=went.reason,
        job_status=0,
        channel_error="; ".join(went.damage),
        booted=went.boot_seconds is not None,
    )
    found = find_splats(went, bench, folder, abi)
    result = judge(
        cell, evidence, _cases(went), found, None, seconds=went.seconds, folder=folder, notes=()
    )
    record.cell_end(result)
    _say(result, went)
    return result


def _cases(went: GuestRun) -> tuple[CaseResult, ...]:
    """Return the one case: whether init reported, and after how long."""
    if went.boot_seconds is None:
        return ()
    return (CaseResult("boot", CaseStatus.PASS, f"{went.boot_seconds:.1f} s to init"),)


def _say(result: CellResult, went: GuestRun) -> None:
    """Print a line, and where to look when it is no pass."""
    cell = result.cell
    if result.verdict is Verdict.PASS:
        ui.say(
            f"boot    {cell.arch} {cell.flavor}  {went.boot_seconds:.1f} s to init, "
            f"{went.hello.get('cpus')} CPUs"
        )
        return
    ui.say(f"boot    {cell.arch} {cell.flavor}  {result.verdict}: {result.reason}\n{went.tail}")
    ui.say(f"  console  {went.console}\n  command  {result.folder}/qemu.txt")
