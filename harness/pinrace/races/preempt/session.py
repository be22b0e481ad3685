# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest with a gdb stub that runs a program of rounds, and a script that plays holds in it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace.arches import get_abi, get_arch
from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError, UserError
from pinrace.guest.channel import Record
from pinrace.guest.machine import REPLAY_CMDLINE, Machine, Replay, get_machine
from pinrace.guest.outcome import GuestRun
from pinrace.guest.setup import Setup
from pinrace.host import sockets
from pinrace.host.accel import CHOSEN
from pinrace.image.cpio import Entry
from pinrace.races.preempt.stage import Stage
from pinrace.races.preempt.stub import Stub, StubGoneError
from pinrace.races.preempt.symbols import Symbols
from pinrace.suites.suite import PROGRAMS
from pinrace.values import Image, Job, Kernel

SEED = 7  # of the machine that counts instructions
TCG_SCALE = 20.0  # how much slower than native, where it was not measured; as for replays
USAGE = 2  # the exit status of a program that was called wrongly
BOOTS = 3  # of a guest that does not get as far as its program
POLL = 0.1  # seconds between looks for the end of a guest that never begins
SLACK = 120.0  # host seconds on top of the script's, for a round that is under way

log = logging.getLogger("pinrace.holds")

Script = Callable[[Stage], None]


@dataclass(frozen=True)
class Program:
    """A guest program on rootfs/lib/race, other than guest/hold."""

    argv: tuple[str, ...]
    files: tuple[Entry, ...]  # that lie over the image
    sides: tuple[str, ...] = ("a", "b")
    waits: float = 0.0  # host seconds for which a side may sleep before it counts as blocked
    env: tuple[tuple[str, str], ...] = ()
    spoils: bool = False  # a round that is lost leaves a kernel in which nothing else is to be seen


@dataclass(frozen=True)
class Lab:
    """What holds are played in."""

    kernel: Kernel
    image: Image
    machine: Machine
    symbols: Symbols
    program: Program | None = None  # None: guest/hold


def get_lab(
    kernel: Kernel,
    image: Image,
    *,
    icount: bool = False,
    program: Program | None = None,
    smp: int = 2,
) -> Lab:
    """Return the lab of a kernel; icount: on a machine with one host thread for all vCPUs.

    Addresses are those of vmlinux, so nothing may be moved.
    """
    arch = get_arch(get_abi(image.abi).arch)
    replay = Replay(SEED) if icount else None
    cmdline = () if icount else (REPLAY_CMDLINE,)
    machine = get_machine(arch, smp=smp, cmdline=cmdline, replay=replay)
    if machine.accel.name != "tcg":  # single steps take no interrupts in TCG alone
        update = {"name": "tcg", "reason": CHOSEN[0], "scale": TCG_SCALE}
        accel = machine.accel.model_copy(update=update)
        machine = replace(machine, accel=accel)
    return Lab(kernel, image, machine, Symbols(kernel.vmlinux), program)


def run_script(
    lab: Lab, scenario: str, script: Script, folder: Path, *, seconds: float
) -> GuestRun:
    """Boot the guest, let a script play holds of one scenario, and return how the guest ended.

    seconds: how long the script may take, on the host's clock.  What the script raises is raised,
    after the guest has ended; when QEMU ends under it, that is StubGoneError.  A guest that does
    not get as far as the script is booted again, a few times; then InfrastructureError.  UserError
    for a scenario that there is not.
    """
    for boot in range(1, BOOTS + 1):
        with sockets.folder() as place:
            player = _Player(place / "gdb", lab, script)
            run = _boot(lab, scenario, player, folder, seconds)
        if player.playing:
            if isinstance(player.error, StubGoneError) and (said := _gave_up(run)):
                raise InfrastructureError(
                    f"the guest program gave up: {said}", log=folder / "console.log"
                ) from player.error
            if player.error:
                raise player.error
            return run
        if run.jobs and run.jobs[-1].status == USAGE:
            raise UserError(
                f"the guest program knows no scenario '{scenario}'", hint="guest/hold has them"
            )
        log.info("boot %d: the guest did not get to the holds: %s", boot, player.error)
    raise InfrastructureError(
        f"no guest got as far as the holds, in {BOOTS} boots: {player.error or 'it ended'}",
        log=folder / "console.log",
        hint="pinrace boot",
    )


def _gave_up(run: GuestRun) -> str:
    """Return the last words of a program that ended by itself, "" when the kernel ended it."""
    job = run.jobs[-1] if run.jobs else None
    if job is None or not job.status:
        return ""
    lines = job.output.decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), f"exit {job.status}")


def _boot(lab: Lab, scenario: str, player: _Player, folder: Path, seconds: float) -> GuestRun:
    """Run one guest with its player."""
    stub = f"unix:path={player.path},server=on,wait=off"
    machine = replace(lab.machine, qemu_args=(*lab.machine.qemu_args, "-gdb", stub))
    scale = machine.accel.scale
    program = lab.program or Program((f"{PROGRAMS}/hold", scenario), ())
    job = Job("hold", program.argv, timeout=(seconds + SLACK) / scale, env=program.env)
    player.start()
    try:
        setup = Setup(lab.kernel, lab.image, machine, program.files)
        return setup.boot([job], folder, on_record=player.see)
    finally:
        player.over.set()
        player.join(SLACK)


class _Player(threading.Thread):
    """The thread that plays; the one that started it watches the guest."""

    def __init__(self, path: Path, lab: Lab, script: Script) -> None:
        super().__init__(name="holds", daemon=True)
        self.path, self._lab, self._script = path, lab, script
        self._begun = threading.Event()
        self.over = threading.Event()  # the guest has ended
        self.playing = False
        self.error: Exception | None = None

    def see(self, record: Record) -> None:
        """Learn that the program has begun: only then is there something to stop."""
        if record.type == "start":
            self._begun.set()

    def run(self) -> None:
        """Wait for the program, connect, play, and leave."""
        while not self._begun.wait(POLL):
            if self.over.is_set():
                return
        try:
            with Stub(self.path, Deadline.after(SLACK)) as stub:  # ends QEMU if this fails
                program = self._lab.program or Program((), ())
                stage = Stage(
                    stub,
                    get_arch(self._lab.machine.arch),
                    self._lab.symbols,
                    sides=program.sides,
                    waits=program.waits,
                )
                self.playing = True
                self._script(stage)
        except Exception as error:
            self.error = error
