# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace ssh`: a guest with the series, logged into over the network."""

from __future__ import annotations

import argparse
from pathlib import Path

from pinrace import ui
from pinrace.access import terminal
from pinrace.access.door import Door, open_door
from pinrace.access.live import blame
from pinrace.access.login import LostError, command_line
from pinrace.arches import get_arch
from pinrace.cli import options
from pinrace.engine import build
from pinrace.errors import Exit, UserError
from pinrace.guest.machine import get_machine
from pinrace.guest.outcome import Ending, GuestRun
from pinrace.runs.journal import Run, tree_facts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    parser.add_argument("--smp", type=int, default=2, help="CPUs of the guest (default: 2)")
    parser.add_argument(
        "--put",
        action="append",
        default=[],
        metavar="LOCAL:REMOTE",
        help="copy a file into the guest first; may be repeated",
    )
    parser.add_argument(
        "--get",
        action="append",
        default=[],
        metavar="REMOTE:LOCAL",
        help="copy a file out of the guest when the command has ended; may be repeated",
    )
    parser.add_argument(
        "cmd",
        nargs="*",
        metavar="CMD",
        help="run this in the guest, after --, and exit with its status (default: a shell)",
    )


def run(args: argparse.Namespace) -> int:
    """Boot, log in, copy and run what is asked for, and have the guest power off."""
    puts, gets = copies(args.put, args.get)
    asked = options.one_guest(args)
    with ui.on_stderr():  # stdout is the command's
        lab = build.prepare(asked, *options.request_tree(args), with_base=False)
    arch = get_arch(asked.arches[0])
    machine = get_machine(arch, smp=args.smp)
    kernel = lab.patched.kernels[arch.name, asked.flavors[0]]
    image = lab.patched.images[asked.abis[0]]
    record = Run.create(["pinrace", *args.words], tree=tree_facts(lab.patched.tree))
    with record, open_door(kernel.boot, image, machine, record.folder / "guest") as door:
        ui.warn(
            f"{lab.patched.tree.label} on {arch.name}, programs of {image.abi} in /pinrace\n"
            f"  console  {door.live.console}\n"
            f"  more     ssh -F {door.ssh_config} guest    (scp and sftp too, while it lives)"
        )
        try:
            code = _use(door, args.cmd, puts, gets)
            ended = door.power_off()
        except LostError as lost:
            code, ended = _gone(door, lost)
        record.event("ssh", arch=arch.name, ending=ended.ending, reason=ended.reason)
        if ended.ending is not Ending.DONE:
            ui.warn(f"the guest did not end well: {ended.reason}\n{ended.tail}")
            code = code or blame(ended)
        return record.end(code)


def _use(
    door: Door, words: list[str], puts: list[tuple[Path, str]], gets: list[tuple[str, Path]]
) -> int:
    """Do what is asked for; return the exit status of the command, or of the shell."""
    code = int(Exit.OK)
    for local, remote in puts:
        door.account.put(local, remote)
    if words:
        code = terminal.command(door.account, command_line(words))
    elif not puts and not gets:
        code = terminal.interactive(door.account)
    for name, place in gets:
        door.account.get(name, place)
    return code


def _gone(door: Door, lost: LostError) -> tuple[int, GuestRun]:
    """Return the exit code and the end of a guest that went away; LostError when it is there."""
    limits, scale = door.live.limits, door.live.machine.accel.scale
    ended = door.live.wait((limits.panic + limits.step) * scale)
    if ended is None:
        raise lost
    return blame(ended), ended


def copies(
    puts: list[str], gets: list[str]
) -> tuple[list[tuple[Path, str]], list[tuple[str, Path]]]:
    """Return what --put and --get ask for.

    A colon belongs to the local name where there are several.  UserError for what is no pair of
    names, and for a local file that is not there.
    """
    into = []
    for word in puts:
        local, _, remote = word.rpartition(":")
        if not (local and remote):
            raise UserError(f"--put takes LOCAL:REMOTE, not '{word}'")
        if not Path(local).is_file():
            raise UserError(f"--put: {local} is no file")
        into.append((Path(local), remote))
    out = []
    for word in gets:
        remote, _, local = word.partition(":")
        if not (local and remote):
            raise UserError(f"--get takes REMOTE:LOCAL, not '{word}'")
        if not Path(local).is_dir() and not Path(local).resolve().parent.is_dir():
            raise UserError(f"--get: there is no folder for {local}")
        out.append((remote, Path(local)))
    return into, out
