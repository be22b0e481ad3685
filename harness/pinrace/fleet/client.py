# SPDX-License-Identifier: GPL-2.0-or-later
"""An operator's side of a fleet: send calls, wait for them, take what came of them.

A call counts once, however often it ran: its result is published under a key, the first one wins,
and what is lost with a worker or a scheduler is asked for there before it is sent again.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import is_dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ParamSpec, TypeVar

from distributed import Client, Future, KilledWorker
from distributed.security import Security

from pinrace import ui
from pinrace.errors import InfrastructureError, said
from pinrace.fleet import needs, wire, work
from pinrace.fleet.durations import FILE, Durations
from pinrace.fleet.far import Far
from pinrace.fleet.scheduler import Store
from pinrace.paths import cache_dir
from pinrace.values import EMULATED, NATIVE, Cell

P = ParamSpec("P")
T = TypeVar("T")

TRIES = 5  # times that a call is sent before it is a MISS
MOST = 1024  # calls that are waited for at once
PATIENCE = 60.0  # seconds for a scheduler to come back, and for a host that serves a call
STOPPING = 10.0  # seconds that a call has to end when it is stopped
_LOOK = 0.5
_CUT = (OSError, RuntimeError)  # what dask raises on a connection that ended
_ASK = 5.0  # seconds between two looks at which hosts there are


class _LostError(Exception):
    """A call was lost with what ran it; host: the one that gave it back, if one did."""

    def __init__(self, why: str, host: str = "") -> None:
        super().__init__(why)
        self.host = host


class Fleet:
    """Runs calls on the workers of a cluster (pinrace.engine.executor.Hands).

    A context manager; its calls come from many threads.
    """

    def __init__(
        self, address: str, security: Security | None = None, *, patience: float = PATIENCE
    ) -> None:
        self._patience = patience
        try:
            self._client = Client(
                address, security=security, timeout=patience, set_as_default=False
            )
            self._register()
        except (OSError, TimeoutError) as error:
            raise InfrastructureError(
                f"the scheduler at {address} does not answer: {error}",
                hint="is it running, and are --tls and its certificates those of its cluster?",
            ) from error
        self.address = address
        self._far = Far(self._ask)
        self._durations = Durations(cache_dir() / "fleet" / FILE)
        self._uploads: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._seen: tuple[float, dict[str, dict[str, float]]] = (0.0, {})
        self.again = 0  # times that a call had to be sent once more
        self.cluster: object = None  # what was brought up for it, if anything was

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster, which goes on; calls of ours that run there are ended."""
        self._durations.save()
        self._client.close(timeout=STOPPING)

    def width(self, local: int) -> int:
        """As many as all hosts run at once, and as many again that are on their way."""
        return int(max(2, min(2 * self.slots, MOST)))

    @property
    def slots(self) -> float:
        """How many CPUs all hosts give to guests."""
        return sum(has.get(needs.SLOTS, 0) for has in self.hosts().values())

    def expected(self, function: Callable[..., object], *args: object) -> float:
        """Return the seconds that such a call took before."""
        return self._durations.expected(wire.name_of(function), *args)

    def hosts(self) -> dict[str, dict[str, float]]:
        """Return what each worker has, by name; as it was a few seconds ago at most."""
        when, found = self._seen
        if time.monotonic() - when > _ASK or not found:
            found = self._far.hosts()
            self._seen = (time.monotonic(), found)
        return found

    def wait_for_hosts(self, count: int = 1) -> None:
        """Wait until so many workers are there; InfrastructureError when they do not come."""
        try:
            self._client.wait_for_workers(count, timeout=self._patience)
        except TimeoutError as error:
            there = len(self._far.hosts())
            raise InfrastructureError(
                f"the scheduler at {self.address} has {there} of {count} workers",
                hint="pinrace hosts check, or start workers for it",
            ) from error
        self._seen = (0.0, {})

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call on a host that can serve it, and wait for it.

        Raises what it raises, InfrastructureError at once when no host can ever serve it, and
        KeyboardInterrupt when its stop was set and it had nothing to say any more.
        """
        call = wire.pack(function, args, dict(kwargs))
        if why := needs.lacking(call.needs, self.hosts()):
            raise InfrastructureError(why, hint="pinrace hosts list says what each host has")
        key = f"{function.__name__}-{secrets.token_hex(8)}"
        why = ""
        priority, avoid = self.expected(function, *args), {""}
        for attempt in range(TRIES):
            self.again += attempt > 0
            try:
                digest, asked = self._send(call, key, attempt, priority, avoid)
                value, host, seconds = self._collect(call, key, digest, asked)
            except _LostError as lost:
                why = str(lost)
                avoid.add(lost.host)
                ui.warn(f"  {key} was lost and is sent again: {why}")
                self._reconnected()
                continue
            self._durations.note(seconds, call.function, *args)
            return self._marked(value, host, args)  # type: ignore[return-value]
        raise InfrastructureError(f"the call was lost {TRIES} times, the last time: {why}")

    def _others(self, call: wire.Call, avoid: set[str]) -> list[str] | None:
        """Return where a call has not been given back; None for all, and where none is left."""
        if avoid == {""}:
            return None
        rest = {name: has for name, has in self.hosts().items() if name not in avoid}
        if needs.lacking(call.needs, rest):
            return None
        return [at for name, at in self._far.addresses().items() if name in rest] or None

    def _send(
        self, call: wire.Call, key: str, attempt: int, priority: float, avoid: set[str]
    ) -> tuple[str, str]:
        """Send it once; return the digests of its result and of what was asked."""
        task = f"{key}-{attempt}"
        try:
            if attempt and (done := self._far.published(key)):
                return done, ""
            asked = self._provide(call)
            future = self._client.submit(
                work.run,
                key,
                asked,
                task,
                key=task,
                resources=call.needs.resources,
                priority=priority,
                workers=self._others(call, avoid),
                retries=0,
                pure=False,
            )
        except _CUT as error:
            raise _LostError(said(error)) from error
        try:
            return self._wait(call, key, future), asked
        finally:
            with contextlib.suppress(Exception):
                future.release()

    def _wait(self, call: wire.Call, key: str, future: Future[str]) -> str:
        """Wait for a call and return the digest of its result."""
        ended = threading.Event()
        future.add_done_callback(lambda _: ended.set())
        stopping = unserved = 0.0
        asked = time.monotonic()
        while not ended.wait(_LOOK):
            now = time.monotonic()
            if self._client.status not in ("running", "connecting"):
                raise _LostError("the scheduler is gone")
            if call.stop and call.stop.is_set():
                stopping = stopping or now
                if now - stopping > STOPPING or key not in self._told_to_stop(key, now - stopping):
                    future.cancel()
                    raise KeyboardInterrupt
            if now - asked > _ASK:
                asked = now
                unserved = self._unserved(call, unserved or now)
        return self._digest(future)

    def _told_to_stop(self, key: str, since: float) -> list[str]:
        """Tell a call to end, once; whether it runs, as a list with its key."""
        if since > _LOOK / 2:
            return [key]
        with contextlib.suppress(*_CUT):
            return self._far.stop([key])
        return []

    def _unserved(self, call: wire.Call, since: float) -> float:
        """Return since when no host can serve a call that waits, 0 while one can."""
        with contextlib.suppress(*_CUT):
            why = needs.lacking(call.needs, self.hosts())
            if not why:
                return 0.0
            if time.monotonic() - since > self._patience:
                raise InfrastructureError(f"{why} any more", hint="pinrace hosts check")
        return since

    def _digest(self, future: Future[str]) -> str:
        """Return what a task returned; what another host could do is lost, and not wrong."""
        try:
            return str(future.result(timeout=self._patience))
        except work.HostError as error:
            raise _LostError(str(error), error.host) from error
        except (KilledWorker, CancelledError, TimeoutError, *_CUT) as error:
            raise _LostError(said(error).splitlines()[0]) from error

    def _collect(
        self, call: wire.Call, key: str, digest: str, asked: str
    ) -> tuple[object, str, float]:
        """Have the result here, its files in the call's folder; return or raise what it is."""
        with TemporaryDirectory(prefix="pinrace-result-") as name:
            place = Path(name)
            try:
                self._far.take(digest, place / "archive")
            except _CUT as error:
                raise _LostError(said(error)) from error
            wire.unpack_folder(place / "archive", place / "all")
            if call.folder:
                shutil.copytree(place / "all" / wire.OUT, call.folder, dirs_exist_ok=True)
            data = (place / "all" / work.RESULT).read_bytes()
        with contextlib.suppress(InfrastructureError, *_CUT):
            self._far.drop(key, [asked] if asked else [])
        return wire.unpack_result(data, call.folder)

    def _provide(self, call: wire.Call) -> str:
        """Have all that a call names in the store; return the digest of the call itself."""
        for digest in self._far.missing(call.files):
            with self._lock:
                lock = self._uploads.setdefault(digest, threading.Lock())
            with lock:
                self._far.put(call.files[digest])
        return self._far.put(call.data)

    def _marked(self, value: object, host: str, args: tuple[object, ...]) -> object:
        """Note in a value that has notes where it comes from."""
        cells = [one for one in args if isinstance(one, Cell)]
        if not cells or not is_dataclass(value) or not hasattr(value, "notes"):
            return value
        has = self._seen[1].get(host, {})
        how = NATIVE if f"{NATIVE}-{cells[0].arch}" in has else EMULATED
        note = f"ran on {host} ({how} {cells[0].arch})"
        return replace(value, notes=(*value.notes, note))  # type: ignore[type-var]

    def _ask(self, name: str, **words: Any) -> Any:
        return self._client.sync(getattr(self._client.scheduler, name), **words)

    def _register(self) -> None:
        self._client.register_plugin(Store())
        self._client.register_plugin(work.Stops())

    def _reconnected(self) -> None:
        """Wait until the scheduler answers again; InfrastructureError when it does not."""
        until = time.monotonic() + self._patience
        with self._lock:
            while time.monotonic() < until and self._client.status != "closed":
                try:
                    if self._client.status == "running":
                        self._far.missing([])
                        return
                except (AttributeError, ValueError):
                    self._register()
                except _CUT:
                    pass
                time.sleep(_LOOK)
        raise InfrastructureError(
            f"the scheduler at {self.address} did not come back in {self._patience:.0f} s",
            hint="run the same command again; what ended is in the run's folder",
        )
