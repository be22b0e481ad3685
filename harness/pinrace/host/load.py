# SPDX-License-Identifier: GPL-2.0-or-later
"""How busy the host was while a guest ran, so that its lack of time is not called the kernel's."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

# Shares of what the host's CPUs could do, and runnable tasks a CPU, from which on a guest may miss
# time limits of its own.  On two cores a selftest's case of 9 s took 24 to 29 s at a load of six.
MOST_STEAL = 0.05
MOST_RUNNABLE = 1.5
MOST_STALLED = 0.5
LEAST_RUNNING = 2.0  # seconds that QEMU may be stopped, e.g. by SIGSTOP, before that counts

_STAT, _PRESSURE = Path("/proc/stat"), Path("/proc/pressure/cpu")
_LOOK = 0.5  # seconds between two looks at whether QEMU is stopped


@dataclass(frozen=True)
class Load:
    """What was measured while a guest ran."""

    seconds: float = 0.0  # on the host's clock
    qemu: float = 0.0  # seconds of CPU time that QEMU had
    steal: float = 0.0  # share of CPU time that the hypervisor gave to others
    runnable: float = 0.0  # tasks a CPU, the average of a minute, at its highest
    stalled: float = 0.0  # share of time in which a task waited for a CPU; 0 where nobody tells
    stopped: float = 0.0  # seconds that QEMU was stopped

    @property
    def busy(self) -> bool:
        """Whether a guest may have missed its time limits for want of a CPU."""
        return (
            self.steal >= MOST_STEAL
            or self.runnable >= MOST_RUNNABLE
            or self.stalled >= MOST_STALLED
            or self.stopped >= LEAST_RUNNING
        )

    def __str__(self) -> str:
        said = [f"{self.runnable:.1f} tasks a CPU", f"{self.steal:.0%} stolen"]
        if self.stopped:
            said.append(f"QEMU stopped for {self.stopped:.0f} s")
        if self.seconds:
            said.append(f"QEMU had {self.qemu:.0f} s of CPU in {self.seconds:.0f} s")
        return ", ".join(said)


IDLE = Load()


class Watch:
    """Measures while it is open; `load` is what there is to say afterwards."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._stat, self._stall = _ticks(), _stalled()
        self._runnable = _runnable()
        self.stopped = 0.0

    def load(self, qemu: float) -> Load:
        """Return what was measured so far; qemu: seconds of CPU time that the guest had."""
        seconds = time.monotonic() - self._began
        now = _ticks()
        whole = sum(now) - sum(self._stat)
        steal = (now[7] - self._stat[7]) / whole if len(now) > 7 and whole > 0 else 0.0
        stalled = (_stalled() - self._stall) / 1e6 / seconds if seconds else 0.0
        runnable = max(self._runnable, _runnable())
        return Load(seconds, qemu, steal, runnable, min(stalled, 1.0), self.stopped)


@contextmanager
def watch() -> Iterator[Watch]:
    """Measure the host while the block runs, QEMUs that this process started among it."""
    seen, ended = Watch(), threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK):
            with contextlib.suppress(psutil.Error):
                if any(_is_stopped(child) for child in psutil.Process().children(recursive=True)):
                    seen.stopped += _LOOK

    looker = threading.Thread(target=look, name="host-load", daemon=True)
    looker.start()
    try:
        yield seen
    finally:
        ended.set()
        looker.join()


def _is_stopped(child: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return child.status() == psutil.STATUS_STOPPED and child.name().startswith("qemu")
    return False


def _ticks() -> list[int]:
    """Return the CPU times of /proc/stat; the eighth is what was stolen."""
    try:
        first = _STAT.read_text().split("\n", 1)[0].split()
        return [int(word) for word in first[1:9]]
    except (OSError, ValueError):
        return [0] * 8


def _stalled() -> int:
    """Return the microseconds in which some task waited for a CPU; 0 where nobody tells."""
    try:
        return int(_PRESSURE.read_text().split("\n", 1)[0].rpartition("total=")[2])
    except (OSError, ValueError):
        return 0


def _runnable() -> float:
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return 0.0
