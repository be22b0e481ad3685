# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace race`: make the folder of a race, check it, pack it."""

from __future__ import annotations

import argparse
from pathlib import Path

from pinrace import ui
from pinrace.arches import ABIS, get_abi
from pinrace.cli import prove
from pinrace.errors import Exit, UserError
from pinrace.races.race import lab as labs
from pinrace.races.race import scaffold
from pinrace.races.race.folder import Race, opened, pack
from pinrace.races.race.lab import RaceLab
from pinrace.series.load import apply


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="new|check|pack")
    new = actions.add_parser("new", help="make a folder with a race.toml and a race.c")
    new.add_argument("folder", type=Path)
    new.add_argument("--kind", choices=scaffold.KINDS, default="sides", help="(default: sides)")
    new.add_argument("--source", type=Path, help="a C file to take as it is")
    new.add_argument("--plant", type=Path, help="a patch that brings the fault back")
    check = actions.add_parser("check", help="compile it for every ABI, and apply its plant")
    check.add_argument("race", help="a folder, a name in kernel/races or a .tar")
    check.add_argument(
        "--kernels",
        action="store_true",
        help="also build the kernels, and find the windows in them",
    )
    prove.build_options(check)
    packed = actions.add_parser("pack", help="write a .tar that replays elsewhere")
    packed.add_argument("race", help="a folder, or a name in kernel/races")
    packed.add_argument("--out", type=Path, help="the file (default: NAME.tar)")
    packed.add_argument(
        "--token", action="append", default=[], help="a token to put in it; may be repeated"
    )


def run(args: argparse.Namespace) -> int:
    """Do one of the three."""
    if args.action == "new":
        scaffold.new(args.folder, args.kind, source=args.source, plant=args.plant)
        ui.say(f"{args.folder} is made: edit it, then: pinrace race check {args.folder}")
        return Exit.OK
    with opened(args.race) as race:
        if args.action == "pack":
            return _pack(race, args)
        return _check(race, args)


def _pack(race: Race, args: argparse.Namespace) -> int:
    """Write the .tar."""
    out = args.out or Path(f"{race.name}.tar")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UserError(f"no file can be made at '{out}'")
    pack(race, out, args.token)
    ui.say(f"{out}  race {race.digest}, {len(args.token)} tokens")
    for token in args.token:
        ui.say(f"  pinrace repro --race {out.name} {token}")
    return Exit.OK


def _check(race: Race, args: argparse.Namespace) -> int:
    """Compile it, and say what it has."""
    wanted = prove.wanted(args)
    asked = labs.request(race, wanted)
    if args.kernels:
        lab = labs.prepare(race, wanted)
        for abi in asked.abis:
            _find(lab, abi)
    else:
        tree = labs.tree_of(race, wanted)
        labs.programs_of(race, tree, asked.abis, wanted.ltp)
        apply(tree, labs.plant_of(race), say=ui.say, leave_conflict=False)
    need = ", ".join(race.need) or "as every guest"
    ui.say(f"ok      {race.name} {race.digest} · {', '.join(asked.abis)} · config {need}")
    for abi in ABIS:
        if abi not in race.abis:
            ui.say(f"        not on {abi}")
    return Exit.OK


def _find(lab: RaceLab, abi: str) -> None:
    """Find the windows in a kernel; UserError for one that is not there."""
    from pinrace.arches import get_arch
    from pinrace.races.preempt.disasm import noticeable
    from pinrace.races.preempt.symbols import Symbols

    arch = get_arch(get_abi(abi).arch)
    kernel = lab.broken.kernels[arch.name, lab.asked.flavors[0]]
    symbols = Symbols(kernel.vmlinux)
    for window in lab.race.windows(abi):
        function = symbols.find(window.window)
        count = len(noticeable(kernel.vmlinux, arch, function))
        how = f"inlined in {len(function.entries)} places" if function.inlined else "of its own"
        ui.say(f"        {abi:<7} {window.side}.{window.window}  {count} instructions, {how}")
