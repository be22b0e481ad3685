# SPDX-License-Identifier: GPL-2.0-or-later
"""The CPU time of what runs for a while: QEMU's, and the harness's own."""

from __future__ import annotations

import contextlib
import resource
import threading
from collections.abc import Iterator

import psutil

POLL = 0.25  # seconds between looks at what was spent


def _ended() -> float:
    """Seconds of this process and of those of its children that have been waited for."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def _running() -> float:
    """Seconds of the children that still run."""
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = child.cpu_times()
            total += times.user + times.system
    return total


class Meter:
    """What was spent since it was made.  Only one may be in use, and nothing else may run."""

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.stop = threading.Event()  # set once the budget is spent, by watch()
        self._began = _ended() + _running()

    @property
    def spent(self) -> float:
        """CPU seconds."""
        return _ended() + _running() - self._began

    @property
    def over(self) -> bool:
        """Whether the budget is spent."""
        return self.stop.is_set() or self.spent >= self.budget

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Set `stop` when the budget is spent while the context lasts."""
        done = threading.Event()

        def look() -> None:
            while not done.wait(POLL):
                if self.spent >= self.budget:
                    self.stop.set()

        thread = threading.Thread(target=look, name="meter", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
