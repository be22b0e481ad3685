# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace board`: the same suites and races as a job of LAVA, for a real board."""

from __future__ import annotations

import argparse
from pathlib import Path

from pinrace import ui
from pinrace.arches import get_abi, get_arch
from pinrace.cli import options
from pinrace.engine import build
from pinrace.errors import Exit, UserError
from pinrace.image.cpio import Entry
from pinrace.races.race import board
from pinrace.races.race.folder import opened
from pinrace.races.race.lab import programs_of
from pinrace.suites.brought import Brought
from pinrace.suites.registry import get_suite
from pinrace.values import Job, Tree


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
    asked = options.one_guest(args)
    abi = get_abi(asked.abis[0])
    arch = get_arch(abi.arch)
    to = board.Board(args.device_type, args.method, args.console, args.url)
    tree, series = options.request_tree(args)
    suites = [get_suite(name) for name in args.suite]
    if any(suite.many for suite in suites):
        raise UserError("a suite of the tree's tests needs files that a board does not get")
    lab = build.prepare(asked, tree, series, with_base=False, suites=suites)
    jobs = [job for suite in suites for job in suite.jobs(Brought(), "")]
    files: tuple[Entry, ...] = ()
    if args.race:
        more, files = _race(args, tree, abi.name)
        jobs.append(more)
    kernel = lab.patched.kernels[arch.name, asked.flavors[0]]
    payload = board.Payload(arch, kernel, lab.patched.images[abi.name], tuple(jobs), files)
    for path in board.write(args.output, to, payload):
        ui.say(str(path))
    ui.say(f"next    lavacli jobs submit {args.output / board.JOB}")
    ui.say(f"or      {board.tuxrun(args.output, arch, jobs)}")
    return Exit.OK


def _race(args: argparse.Namespace, tree: Tree, abi: str) -> tuple[Job, tuple[Entry, ...]]:
    """Compile a race's program; return its job and its files."""
    with opened(args.race) as race:
        built = programs_of(race, tree, (abi,), None)[abi]
        name = args.rounds if race.by_rounds else "run"
        return built.job(name, args.seed, 1.0), built.files
