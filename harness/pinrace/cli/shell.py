# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace shell`: a guest of any arch with the series, its console in this terminal."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from pinrace import ui
from pinrace.arches import get_arch
from pinrace.cli import options
from pinrace.engine import build
from pinrace.guest.machine import get_machine
from pinrace.guest.shell import interactive


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    parser.add_argument("--smp", type=int, default=2, help="CPUs of the guest (default: 2)")


def run(args: argparse.Namespace) -> int:
    """Boot into busybox's shell; the ABI's programs are in /pinrace."""
    asked = options.one_guest(args)
    lab = build.prepare(asked, *options.request_tree(args), with_base=False)
    arch = get_arch(asked.arches[0])
    machine = get_machine(arch, smp=args.smp)
    kernel = lab.patched.kernels[arch.name, asked.flavors[0]]
    image = lab.patched.images[asked.abis[0]]
    ui.say(f"{lab.patched.tree.label} on {arch.name}, programs of {image.abi} in /pinrace")
    with tempfile.TemporaryDirectory(prefix="pinrace-") as folder:
        return interactive(kernel.boot, image, machine, Path(folder))
