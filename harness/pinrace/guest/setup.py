# SPDX-License-Identifier: GPL-2.0-or-later
"""The one way to run jobs in a guest, and the one rule for how long it may take."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError
from pinrace.guest.boot import REPLAY_SLOWER, Limits, run_guest
from pinrace.guest.channel import Record
from pinrace.guest.machine import Machine
from pinrace.guest.outcome import GuestRun
from pinrace.guest.process import Guest
from pinrace.image.cpio import Entry
from pinrace.values import Ending, Image, Job, Kernel

BOOT_SECONDS = 5.0  # of a guest at native speed, generously; the accelerator scales it
SLACK = 60.0  # host seconds on top of everything, for a host that is busy


def budget(machine: Machine, jobs: Sequence[Job], *, slow_boot: float = 0.0) -> float:
    """Return how many host seconds a guest may take: its boot and its jobs, each to its limit.

    slow_boot: seconds at native speed that its kernel may take on top of a usual boot.
    """
    native = BOOT_SECONDS + slow_boot + sum(job.timeout for job in jobs)
    slower = REPLAY_SLOWER if machine.replay else 1.0
    return native * machine.accel.scale * slower + SLACK


@dataclass(frozen=True)
class Setup:
    """What a guest is made of; files lie over the image."""

    kernel: Kernel
    image: Image
    machine: Machine
    files: tuple[Entry, ...] = ()

    def boot(
        self,
        jobs: Sequence[Job],
        folder: Path,
        *,
        slow_boot: float = 0.0,
        within: float = math.inf,
        limits: Limits | None = None,
        stop: threading.Event | None = None,
        on_record: Callable[[Record], None] | None = None,
        remain: Callable[[Guest], None] | None = None,
    ) -> GuestRun:
        """Run the jobs in a guest within its budget, or in fewer host seconds.

        slow_boot: as of budget().  limits: other than the usual ones.  The rest, and what is
        raised, is run_guest()'s; what the machine has to do first is an InfrastructureError when it
        fails, and no job of the result.
        """
        jobs = [*self.machine.first, *jobs]
        usual = limits or Limits(boot=max(Limits.boot, slow_boot))
        slow = max(slow_boot, usual.boot if usual.boot > Limits.boot else 0.0)
        seconds = min(budget(self.machine, jobs, slow_boot=slow), within)
        went = run_guest(
            self.kernel.boot,
            self.image,
            jobs,
            self.machine,
            folder,
            deadline=Deadline.after(seconds),
            limits=usual,
            stop=stop,
            on_record=on_record,
            files=self.files,
            remain=remain,
        )
        return _without(self.machine.first, went)


def _without(first: Sequence[Job], went: GuestRun) -> GuestRun:
    """Leave out what came first; InfrastructureError when a guest ended well and it did not."""
    names = {job.name for job in first}
    for job in went.jobs:
        if job.name in names and went.ending is Ending.DONE and job.status != 0:
            said = job.output.decode(errors="replace").strip().splitlines()
            why = said[-1] if said else job.error or f"status {job.status}"
            raise InfrastructureError(f"{job.name} failed in the guest: {why}", log=went.console)
    return replace(went, jobs=tuple(job for job in went.jobs if job.name not in names))
