# SPDX-License-Identifier: GPL-2.0-or-later
"""What lives beside dask's scheduler: the store that all hosts reach, and the word that ends calls.

It answers on the scheduler's own connections, so that whatever cluster dask can form has it, with
that cluster's authentication, and no further port.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distributed import Scheduler, SchedulerPlugin

from pinrace.fleet.blobs import LARGEST, Blobs
from pinrace.paths import cache_dir

NAME = "pinrace-store"
FOLDER = "PINRACE_FLEET_STORE"  # the variable that says where it keeps its files


class Store(SchedulerPlugin):
    """Handlers of the scheduler; each has its name after `pinrace_`."""

    name = NAME
    idempotent = True

    def __init__(self, largest: int = LARGEST) -> None:
        self._largest = largest

    async def start(self, scheduler: Scheduler) -> None:
        """Add the handlers; dask calls it."""
        named = os.environ.get(FOLDER)
        folder = Path(named) if named else cache_dir() / "fleet-store"
        self._blobs = Blobs(folder, largest=self._largest)
        self._blobs.sweep()
        self._scheduler = scheduler
        for name in ("missing", "read", "write", "commit", "publish", "published", "drop"):
            scheduler.handlers[f"pinrace_{name}"] = getattr(self, name)
        for name in ("stop", "hosts", "addresses"):
            scheduler.handlers[f"pinrace_{name}"] = getattr(self, name)

    async def missing(self, digests: Sequence[str]) -> list[str]:
        """Return those that are not here."""
        return [digest for digest in digests if not self._blobs.has(digest)]

    async def read(self, digest: str, offset: int) -> dict[str, Any]:
        """Return a piece of the compressed content; empty at the end, an error as its text."""
        return await _told(self._blobs.read, digest, offset)

    async def write(self, upload: str, offset: int, piece: bytes) -> dict[str, Any]:
        """Take a piece of compressed content."""
        return await _told(self._blobs.append, upload, offset, bytes(piece))

    async def commit(self, upload: str, digest: str) -> dict[str, Any]:
        """End an upload, which is verified."""
        return await _told(self._blobs.commit, upload, digest)

    async def publish(self, key: str, digest: str) -> dict[str, Any]:
        """Note the result of a call; the first one counts."""
        return await _told(self._blobs.publish, key, digest)

    async def published(self, key: str) -> dict[str, Any]:
        """Return the digest of a call's result, "" without one."""
        return await _told(self._blobs.published, key)

    async def drop(self, key: str, digests: Sequence[str] = ()) -> dict[str, Any]:
        """Forget what was taken: a call's result, and what it was asked with."""
        for digest in digests:
            await _told(self._blobs.remove, digest)
        return await _told(self._blobs.drop, key)

    async def stop(self, keys: Sequence[str]) -> list[str]:
        """End these calls where they run; return those that did."""
        told = await self._scheduler.broadcast(
            msg={"op": "pinrace_stop", "keys": list(keys)}, on_error="ignore"
        )
        return [key for running in told.values() for key in running or ()]

    async def hosts(self) -> dict[str, dict[str, float]]:
        """Return what each worker has, by its name."""
        workers = self._scheduler.workers.values()
        return {str(worker.name): dict(worker.resources) for worker in workers}

    async def addresses(self) -> dict[str, str]:
        """Return where each worker is, by its name."""
        return {str(one.name): one.address for one in self._scheduler.workers.values()}


async def _told(function: Callable[..., Any], *args: Any) -> dict[str, Any]:
    """Call something that waits for a disk; return its value, or the text of its error."""
    try:
        return {"value": await asyncio.to_thread(function, *args)}
    except Exception as error:
        return {"error": f"the fleet's store: {error}"}
