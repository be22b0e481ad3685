# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace build`: the kernels of the request, and the images of its ABIs."""

from __future__ import annotations

import argparse

from pinrace import ui
from pinrace.cli import options
from pinrace.engine import build
from pinrace.errors import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    parser.add_argument(
        "--no-baseline", action="store_true", help="do not build the unpatched tree"
    )


def run(args: argparse.Namespace) -> int:
    """Build what is missing and say where it is; the unpatched tree too, to compare with."""
    asked = options.request(args)
    lab = build.prepare(asked, *options.request_tree(args), with_base=not args.no_baseline)
    for (arch, flavor), kernel in lab.patched.kernels.items():
        ui.say(f"  {arch} {flavor}: linux {kernel.release} in {kernel.folder}")
    for abi, image in lab.patched.images.items():
        ui.say(f"  {abi}: image {image.path}")
    return Exit.OK
