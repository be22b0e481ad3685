# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace gdb`: a guest with the series, its kernel in a debugger."""

from __future__ import annotations

import argparse

from pinrace import ui
from pinrace.access import gdb
from pinrace.arches import get_arch
from pinrace.cli import options
from pinrace.engine import build
from pinrace.guest.machine import get_machine
from pinrace.kbuild import kernel as kbuild
from pinrace.runs.journal import Run, tree_facts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    parser.add_argument("--smp", type=int, default=2, help="CPUs of the guest (default: 2)")
    parser.add_argument(
        "-S",
        "--stopped",
        action="store_true",
        help="stop before the guest's first instruction (default: once it has booted)",
    )
    parser.add_argument(
        "--run",
        default="",
        metavar="LINE",
        help="run this line in the guest's shell, e.g. pinsmoke; implies --stopped",
    )
    parser.add_argument(
        "gdb_words", nargs="*", metavar="GDB", help="options for gdb, after --, e.g. -batch -ex bt"
    )


def run(args: argparse.Namespace) -> int:
    """Boot and attach; the exit status is gdb's."""
    asked = options.one_guest(args)
    arch = get_arch(asked.arches[0])
    gdb.find_gdb(arch)  # before anything is built
    with ui.on_stderr():  # stdout is gdb's
        lab = build.prepare(asked, *options.request_tree(args), with_base=False)
        kernel = lab.patched.kernels[arch.name, asked.flavors[0]]
        loader = None
        if why := gdb.no_scripts(kernel, lab.patched.tree):
            ui.say(f"without the tree's gdb scripts: {why}")
        else:
            chosen = kbuild.BuildOptions(asked.flavors[0], asked.extra, asked.llvm, asked.jobs)
            loader = gdb.scripts(kernel, kbuild.plan(lab.patched.tree, arch.name, chosen))
        machine = get_machine(arch, smp=args.smp)
        record = Run.create(["pinrace", *args.words], tree=tree_facts(lab.patched.tree))
        ui.say(f"  console  {record.folder / 'guest' / 'console.log'}")
    with record:
        code = gdb.debug(
            kernel,
            lab.patched.images[asked.abis[0]],
            machine,
            record.folder / "guest",
            loader=loader,
            script=args.run,
            stopped=args.stopped or bool(args.run),
            words=args.gdb_words,
        )
        return record.end(code)
