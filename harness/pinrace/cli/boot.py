# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace boot`: does each kernel boot, and how fast."""

from __future__ import annotations

import argparse

from pinrace import ui
from pinrace.arches import get_arch
from pinrace.cli import options
from pinrace.deadline import Deadline
from pinrace.engine import build
from pinrace.engine.cell import BOOT_SECONDS
from pinrace.errors import Exit
from pinrace.guest.boot import run_guest
from pinrace.guest.machine import get_machine
from pinrace.guest.outcome import Ending
from pinrace.runs.journal import Run, tree_facts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    parser.add_argument("--smp", type=int, default=2, help="CPUs of the guest (default: 2)")


def run(args: argparse.Namespace) -> int:
    """Boot each kernel with its native image and no job; a console's tail when one does not."""
    asked = options.request(args)
    lab = build.prepare(asked, *options.request_tree(args), with_base=False)
    record = Run.create(["pinrace", "boot"], tree=tree_facts(lab.patched.tree))
    worst = Exit.OK
    for (arch_name, flavor), kernel in lab.patched.kernels.items():
        arch = get_arch(arch_name)
        image = next(i for i in lab.patched.images.values() if i.arch == arch_name)
        machine = get_machine(arch, smp=args.smp)
        folder = record.folder / f"{arch_name}-{flavor}"
        folder.mkdir()
        limit = Deadline.after(BOOT_SECONDS * machine.accel.scale + 30)
        went = run_guest(kernel.boot, image, [], machine, folder, deadline=limit)
        record.event("boot", arch=arch_name, flavor=flavor, ending=went.ending, reason=went.reason)
        if went.ending is Ending.DONE and went.boot_seconds is not None:
            ui.say(
                f"boot    {arch_name} {flavor}  {went.boot_seconds:.1f} s to init, "
                f"{went.hello.get('cpus')} CPUs, {machine.cpu} under {machine.accel.name}"
            )
            continue
        ui.say(f"boot    {arch_name} {flavor}  FAILED: {went.reason}\n{went.tail}")
        ui.say(f"  console  {went.console}\n  command  {folder / 'qemu.txt'}")
        worst = Exit.INFRA if went.ending is Ending.KILLED else Exit.KERNEL
    record.finish([], exit_code=worst)
    return worst
