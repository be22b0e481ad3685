# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest with a gdb stub that runs rootfs/hold, and a script that plays holds in it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from harness.arches import get_abi, get_arch
from harness.cells import BOOT_SECONDS
from harness.deadline import Deadline
from harness.errors import InfrastructureError
from harness.guest.boot import run_guest
from harness.guest.machine import REPLAY_CMDLINE, Machine, Replay, get_machine
from harness.guest.outcome import GuestRun
from harness.holds.gdb import Stub
from harness.holds.stage import Stage
from harness.holds.symbols import Symbols
from harness.suites.suite import PROGRAMS
from harness.values import Image, Job, Kernel

SEED = 7  # of the machine that counts instructions
SLACK = 120.0  # host seconds on top of the script's, for a round that is under way

Script = Callable[[Stage], None]


@dataclass(frozen=True)
class Lab:
    """What holds are played in."""

    kernel: Kernel
    image: Image
    machine: Machine
    symbols: Symbols


def get_lab(kernel: Kernel, image: Image, *, icount: bool = False) -> Lab:
    """Return the lab of a kernel; icount: on a machine with one host thread for all vCPUs.

    Addresses are those of vmlinux, so nothing may be moved.
    """
    arch = get_arch(get_abi(image.abi).arch)
    replay = Replay(SEED) if icount else None
    cmdline = () if icount else (REPLAY_CMDLINE,)
    machine = get_machine(arch, smp=2, cmdline=cmdline, replay=replay)
    if machine.accel.name != "tcg":  # single steps take no interrupts in TCG alone
        accel = machine.accel.model_copy(update={"name": "tcg", "reason": "holds need TCG"})
        machine = replace(machine, accel=accel)
    return Lab(kernel, image, machine, Symbols(kernel.vmlinux))


def run_script(
    lab: Lab, scenario: str, script: Script, folder: Path, *, seconds: float
) -> GuestRun:
    """Boot the guest, let a script play holds of one scenario, and return how the guest ended.

    seconds: how long the script may take, on the host's clock.  What the script raises is raised,
    after the guest has ended; when QEMU ends under it, that is StubGoneError.
    """
    with tempfile.TemporaryDirectory(prefix="pinrace-") as place:
        path = Path(place) / "gdb"
        stub = f"unix:path={path},server=on,wait=off"
        machine = replace(lab.machine, qemu_args=(*lab.machine.qemu_args, "-gdb", stub))
        scale = machine.accel.scale
        whole = BOOT_SECONDS * scale + seconds + 2 * SLACK
        job = Job("hold", (f"{PROGRAMS}/hold", scenario), timeout=(seconds + SLACK) / scale)
        with _Player(path, lab, script) as player:
            try:
                run = run_guest(
                    lab.kernel.boot,
                    lab.image,
                    [job],
                    machine,
                    folder,
                    deadline=Deadline.after(whole),
                    stop=player.failed,
                )
            except KeyboardInterrupt:
                if not player.failed.is_set():
                    raise
                run = None
    player.join()
    if player.error:
        raise player.error
    if run is None:
        raise InfrastructureError("the guest was ended and nothing says why")
    return run


class _Player(threading.Thread):
    """The thread that plays; the one that started it watches the guest."""

    def __init__(self, path: Path, lab: Lab, script: Script) -> None:
        super().__init__(name="holds", daemon=True)
        self._path, self._lab, self._script = path, lab, script
        self.failed = threading.Event()
        self.error: Exception | None = None

    def __enter__(self) -> _Player:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join(ANSWERS)

    def run(self) -> None:
        """Connect, play, and leave."""
        try:
            with Stub(self._path, Deadline.after(SLACK)) as stub:
                arch = get_arch(self._lab.machine.arch)
                stage = Stage(stub, arch, self._lab.symbols)
                self._script(stage)
        except Exception as error:
            self.error = error
            self.failed.set()


ANSWERS = 60.0  # host seconds for the player to see that QEMU is gone
