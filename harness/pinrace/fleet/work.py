# SPDX-License-Identifier: GPL-2.0-or-later
"""What a worker does with a call: have its files, run it, publish what came of it.

A call ends when its operator says so, when nobody waits for it any more, and when its worker loses
the scheduler.  Whatever it started ends with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker
from distributed.core import Status
from distributed.utils import sync

from pinrace.errors import InfrastructureError, said
from pinrace.fleet import wire
from pinrace.fleet.blobs import room
from pinrace.fleet.far import Far
from pinrace.paths import cache_dir

LARGEST = 512 << 20  # bytes of what a call leaves in its folder
RESULT = "result"  # in the archive of what came of a call
LEAST_ROOM = 256 << 20  # bytes of disk without which a host takes no call
_LOOK = 0.5  # seconds between two looks at whether anybody waits
_SLOW = 5.0  # seconds that a host without room keeps a call, so that it does not eat all of them

_stops: dict[tuple[int, str], threading.Event] = {}


class HostError(Exception):
    """A host cannot run calls now, and another one may."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(host, why)
        self.host = host

    def __str__(self) -> str:
        return f"host {self.host}: {self.args[1]}"


class Stops(WorkerPlugin):
    """Ends calls of a worker when the scheduler says so."""

    name = "pinrace-stops"
    idempotent = True

    def setup(self, worker: Worker) -> None:
        """Add the handler; dask calls it."""

        async def stop(keys: Sequence[str]) -> list[str]:
            mine = [key for key in keys if (id(worker), key) in _stops]
            for key in mine:
                _stops[id(worker), key].set()
            return mine

        worker.handlers["pinrace_stop"] = stop


def stop_all() -> None:
    """End every call of this process."""
    for stop in list(_stops.values()):
        stop.set()


def running() -> int:
    """Return how many calls run in this process."""
    return len(_stops)


def run(key: str, asked: str, task: str) -> str:
    """Run a call on the worker that this is called in.

    key: what its result is published under; asked: the digest of the call itself; task: dask's
    name.  Returns the digest of the result that counts.  Raises HostError.
    """
    worker = get_worker()
    far = Far(lambda name, **words: _ask(worker, name, words))
    if done := far.published(key):
        return done
    _look_at_room(str(worker.name))
    with _stoppable(worker, key, task) as stop, TemporaryDirectory(prefix="pinrace-call-") as place:
        digest = _run(far, asked, Path(place), stop, str(worker.name))
        return far.publish(key, digest)


def _ask(worker: Worker, name: str, words: dict[str, Any]) -> Any:
    return sync(worker.loop, getattr(worker.scheduler, name), **words)


def _run(far: Far, asked: str, place: Path, stop: threading.Event, host: str) -> str:
    """Run it and put what came of it, with its files, into the store."""
    folder = place / wire.OUT
    folder.mkdir()
    value: object = None
    error: BaseException | None = None
    began = time.monotonic()
    try:
        function, args, kwargs = wire.unpack(far.content(asked), far, folder, stop)
        began = time.monotonic()
        value = function(*args, **kwargs)
    except KeyboardInterrupt:
        error = InfrastructureError("it was stopped")
    except Exception as raised:
        error = raised
        if isinstance(raised, OSError) or room(cache_dir()) < LEAST_ROOM:
            raise HostError(host, said(raised)) from raised
    seconds = time.monotonic() - began
    (place / RESULT).write_bytes(wire.pack_result(value, error, folder, host, seconds))
    archive = place.with_suffix(".tar")
    try:
        wire.pack_folder(place, archive, LARGEST)
        return far.put(archive)
    finally:
        archive.unlink(missing_ok=True)


def _look_at_room(host: str) -> None:
    free = room(cache_dir())
    if free < LEAST_ROOM:
        threading.Event().wait(_SLOW)
        raise HostError(host, f"{free >> 20} MiB are free on its disk")


@contextmanager
def _stoppable(worker: Worker, key: str, task: str) -> Iterator[threading.Event]:
    """Give the stop of a call, which is set once nobody waits for it."""
    stop, ended = threading.Event(), threading.Event()
    _stops[id(worker), key] = stop

    def look() -> None:
        while not ended.wait(_LOOK):
            if worker.status != Status.running or _let_go(worker, task):
                stop.set()

    looker = threading.Thread(target=look, name="fleet-look", daemon=True)
    looker.start()
    try:
        yield stop
    finally:
        ended.set()
        looker.join()
        _stops.pop((id(worker), key), None)


def _let_go(worker: Worker, task: str) -> bool:
    """Whether the scheduler has let a task go that still runs here."""
    found = worker.state.tasks.get(task)
    return found is None or found.state in ("cancelled", "released", "forgotten")
