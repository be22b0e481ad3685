# SPDX-License-Identifier: GPL-2.0-or-later
"""`pinrace exec`: one command in a guest with the series, its exit status kept."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from pinrace import ui
from pinrace.access import crash
from pinrace.access.live import blame
from pinrace.arches import get_abi, get_arch
from pinrace.cli import options
from pinrace.engine import build
from pinrace.errors import UserError
from pinrace.guest.channel import Record
from pinrace.guest.machine import get_machine
from pinrace.guest.outcome import Ending, GuestRun
from pinrace.guest.setup import Setup
from pinrace.image.cpio import Entry
from pinrace.kbuild.elf import is_elf
from pinrace.runs.journal import Run, tree_facts
from pinrace.suites.own import needed
from pinrace.values import Job

NAME = "exec"
KILLED = 128  # a shell's status of what signal N ended is this and N
TIMED_OUT = 124  # as timeout(1) has it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    options.build_options(parser)
    options.machine_options(parser)
    options.dump_option(parser)
    parser.add_argument(
        "--put",
        action="append",
        default=[],
        metavar="LOCAL[:REMOTE]",
        help="copy a file into the guest, to /root unless a place is named; may be repeated",
    )
    parser.add_argument(
        "--for", dest="limit", default="60s", help="time limit of the command (default: 60s)"
    )
    parser.add_argument("cmd", nargs="+", metavar="CMD", help="the command, after --")


def run(args: argparse.Namespace) -> int:
    """Boot, run the command, and exit as it did; what it prints is on stdout as it comes."""
    seconds = options.duration(args.limit, "--for")
    options.with_dump(args)
    asked = options.extras(args).ask(options.one_guest(args))
    abi = get_abi(asked.abis[0])
    with ui.on_stderr():  # stdout is the command's
        lab = build.prepare(asked, *options.request_tree(args), with_base=False)
    files = [entry for word in args.put for entry in put(word, args.abi[0])]
    machine = options.machine(args, get_machine(get_arch(abi.arch), smp=args.smp))
    machine = replace(machine, dump=args.dump)
    # --for is what the user's clock says, and a plan's limits are a native machine's.
    job = Job(
        NAME,
        ("/bin/sh", "-c", 'exec "$@"', "sh", *args.cmd),
        seconds / machine.accel.scale,
        direct=False,
        records=False,
    )
    with Run.create(["pinrace", *args.words], tree=tree_facts(lab.patched.tree)) as record:
        kernel = lab.patched.kernels[abi.arch, asked.flavors[0]]
        setup = Setup(kernel, lab.patched.images[abi.name], machine, tuple(files))
        went = setup.boot([job], record.folder / "guest", on_record=_print)
        if went.dump:
            for note in crash.look_into(went.dump, record.folder / "guest", kernel):
                ui.warn(note)
        record.event("exec", arch=abi.arch, ending=went.ending, reason=went.reason)
        return record.end(_status(went))


def put(word: str, abi_name: str) -> list[Entry]:
    """Return the files of a guest that LOCAL or LOCAL:REMOTE means, libraries too.

    Raises UserError for what is no file, and for a program that no guest can run.
    """
    local, _, remote = word.partition(":") if not Path(word).exists() else (word, "", "")
    path = Path(local)
    if not path.is_file():
        raise UserError(f"--put {word}: there is no file {local}")
    remote = remote or "/root/"
    place = f"{remote}{path.name}" if remote.endswith("/") else remote
    if not place.startswith("/") or place.startswith("/tmp/"):  # noqa: S108
        raise UserError(
            f"--put {word}: {place} is no place for it, /tmp is empty when the guest has booted",
            hint="--put FILE:/root/",
        )
    libraries = needed(path, get_abi(abi_name)) if is_elf(path) else {}
    mode = path.stat().st_mode & 0o777
    return [
        Entry(place, mode, data=path),
        *(Entry(name, 0o755, data=file) for name, file in sorted(libraries.items())),
    ]


def _print(record: Record) -> None:
    """Pass on what the command prints."""
    if record.type == "out":
        sys.stdout.buffer.write(record.payload)
        sys.stdout.buffer.flush()


def _status(went: GuestRun) -> int:
    """Return the exit code: the command's own, or whose fault it is that there is none."""
    job = went.jobs[0]
    if went.ending is not Ending.DONE:
        ui.err.print(f"the guest did not end well: {went.reason}\n{went.tail}", markup=False)
        return blame(went)
    if job.timed_out:
        ui.err.print("its time was over; --for 10m gives it more", markup=False)
        return TIMED_OUT
    if job.signal is not None:
        return KILLED + job.signal
    if job.status is None:
        ui.err.print(f"it did not run: {job.error}", markup=False)
        return 127
    return job.status
