# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace board`: the same suites and races as a job of LAVA, for a real board."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from pinrace import ui
from pinrace.arches import get_abi, get_arch
from pinrace.cli import options
from pinrace.engine import build
from pinrace.engine.build import Built
from pinrace.errors import Exit, UserError
from pinrace.image.cpio import Entry
from pinrace.races.race import board
from pinrace.races.race.folder import Race, opened
from pinrace.races.race.lab import programs_of
from pinrace.suites.brought import Brought
from pinrace.suites.registry import get_suite
from pinrace.values import Cell, Kernel, Request


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    parser.add_argument("--suite", action="append", default=[], help="a suite; may be repeated")
    parser.add_argument("--race", default="", help="a race: a folder, or a name in kernel/races")
    parser.add_argument(
        "--rounds", default="spin-100000", help="how the race runs (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the race (default: 1)")
    parser.add_argument("--device-type", required=True, help="what the lab calls the board")
    parser.add_argument(
        "--method", choices=board.METHODS, default="u-boot", help="how it boots (default: u-boot)"
    )
    parser.add_argument("--console", default="", help="its console, e.g. ttyS0")
    parser.add_argument("--url", default="", help="where the folder is served (default: file://)")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("board"), help="the folder (default: board)"
    )


def run(args: argparse.Namespace) -> int:
    """Build, and write the folder."""
    if not args.suite and not args.race:
        raise UserError("nothing to run", hint="--suite NAME or --race NAME")
    abi = get_abi(options.one_guest(args).abis[0])
    arch = get_arch(abi.arch)
    to = board.Board(args.device_type, args.method, args.console, args.url)
    suites = [get_suite(name) for name in args.suite]
    if any(suite.many for suite in suites):
        raise UserError("a suite of the tree's tests needs files that a board does not get")
    jobs = [job for suite in suites for job in suite.jobs(Brought(), "")]
    files: tuple[Entry, ...] = ()
    with opened(args.race) if args.race else nullcontext() as race:
        asked = request(args, race)
        tree, series = options.request_tree(args)
        lab = build.prepare(asked, tree, series, with_base=False, suites=suites)
        if race is not None:
            built = programs_of(race, tree, (abi.name,), None)[abi.name]
            jobs.append(built.job(args.rounds if race.by_rounds else "run", args.seed, 1.0))
            files = built.files
        cells = [Cell(arch.name, abi.name, asked.flavors[0], name) for name in args.suite or [""]]
        kernel = the_kernel(lab.patched, cells)
        payload = board.Payload(arch, kernel, lab.patched.images[abi.name], tuple(jobs), files)
        written = board.write(args.output, to, payload)
    for path in written:
        ui.say(str(path))
    ui.say(f"next    lavacli jobs submit {args.output / board.JOB}")
    ui.say(f"or      {board.tuxrun(args.output, arch, jobs)}")
    return Exit.OK


def request(args: argparse.Namespace, race: Race | None) -> Request:
    """Return what to build, with the options that a race needs.

    Raises UserError for a race that does not exist on the ABI.
    """
    asked = options.one_guest(args)
    if race is None:
        return asked
    if asked.abis[0] not in race.abis:
        raise UserError(
            f"{race.name} exists on {', '.join(race.abis)}, not on {asked.abis[0]}",
            hint=f"--abi {race.abis[0]}",
        )
    return replace(asked, extra=tuple(dict.fromkeys((*race.need, *asked.extra))))


def the_kernel(built: Built, cells: Sequence[Cell]) -> Kernel:
    """Return the kernel that all these cells boot; UserError when they need several."""
    kernels = {kernel.digest: kernel for kernel in map(built.kernel, cells)}
    if len(kernels) > 1:
        names = ", ".join(cell.suite for cell in cells)
        raise UserError(
            f"these suites need kernels of their own: {names}",
            hint="one suite at a time, each with a folder of its own: -o FOLDER",
        )
    return next(iter(kernels.values()))
