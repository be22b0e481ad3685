# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that runs beside what its owner does with it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from pinrace.deadline import Deadline
from pinrace.errors import Exit, InfrastructureError
from pinrace.guest.boot import Limits, run_guest
from pinrace.guest.channel import Record
from pinrace.guest.machine import Machine
from pinrace.guest.outcome import GuestRun
from pinrace.image.cpio import Entry
from pinrace.judge import ending, splats
from pinrace.values import Image, Job, Splat

# Seconds on a machine of native speed that a job lasts which only its owner ends.
FOR_EVER = 30 * 86400.0


class LiveGuest:
    """run_guest() in a thread of its own, which QEMU dies with.

    A context manager: when it is left, however, the guest has ended.  The methods are for the
    thread that entered it.
    """

    def __init__(
        self,
        boot: Path,
        image: Image,
        jobs: Sequence[Job],
        machine: Machine,
        folder: Path,
        *,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        files: Sequence[Entry] = (),
    ) -> None:
        self.machine, self.folder, self.limits = machine, folder, limits
        self.console = folder / "console.log"
        self._stop = threading.Event()
        self._news = threading.Condition()
        self._records: list[Record] = []
        self._work = partial(
            run_guest,
            boot,
            image,
            jobs,
            machine,
            folder,
            limits=limits,
            on_record=self._take,
            stop=self._stop,
            files=files,
        )
        self._future: Future[GuestRun] = Future()
        self._thread = threading.Thread(target=self._live, name="guest")

    def __enter__(self) -> LiveGuest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _live(self) -> None:
        try:
            self._future.set_result(self._work())
        except BaseException as error:  # the owner's to see
            self._future.set_exception(error)
        with self._news:
            self._news.notify_all()

    def _take(self, record: Record) -> None:
        with self._news:
            self._records.append(record)
            self._news.notify_all()

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self._future.done()

    def wait_until(
        self, ready: Callable[[Sequence[Record]], bool], what: str, deadline: Deadline
    ) -> None:
        """Wait until what has come from the guest is enough.

        Raises InfrastructureError when it ends before, or when time is over; `what` says in the
        error what did not happen.
        """
        with self._news:
            while not ready(self._records):
                if self.ended:
                    break
                if deadline.expired:
                    raise InfrastructureError(
                        f"{what} within its time", log=self.console, hint="is the host very busy?"
                    )
                self._news.wait(min(deadline.remaining, threading.TIMEOUT_MAX))
            else:
                return
        run = self._future.result()
        said = b"".join(job.output for job in run.jobs).decode(errors="replace").strip()
        raise InfrastructureError(
            f"{what}: {run.reason}" + "".join(f"\n  {line}" for line in said.splitlines()[:8]),
            log=self.console,
        )

    def wait(self, seconds: float) -> GuestRun | None:
        """Return how it ended, None when it has not within that many seconds.

        Raises what run_guest() raises.
        """
        try:
            return self._future.result(seconds)
        except TimeoutError:
            return None


def blame(run: GuestRun) -> Exit:
    """Return the exit code for a guest that did not end as it was meant to."""
    said: tuple[Splat, ...] = ()
    with contextlib.suppress(InfrastructureError, OSError):  # it printed nothing
        said = splats.find(splats.read(run.console))
    return Exit.KERNEL if ending.of(run, said).against else Exit.INFRA
