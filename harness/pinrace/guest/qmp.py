# SPDX-License-Identifier: GPL-2.0-or-later
"""What a running QEMU is asked, over QMP on a socket of its own."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Self

from qemu.qmp import ConnectError, QMPClient, QMPError

from pinrace.errors import InfrastructureError

# It logs each failure that it raises as well; one that is there to be tried again is none.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)

SECONDS = 30.0  # for an answer; the host may be busy
_FORWARD = re.compile(r"^\s*TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s", re.MULTILINE)
FAILURES = (QMPError, OSError, TimeoutError, EOFError)  # TimeoutError is asyncio's too


def options(socket: Path) -> tuple[str, ...]:
    """Return what QEMU has to be started with."""
    return ("-qmp", f"unix:{str(socket).replace(',', ',,')},server=on,wait=off")


def answers(socket: Path) -> bool:
    """Whether QEMU has started so far that it answers: all that it listens on is there then."""
    try:
        ask(socket, "query-status")
    except ConnectError:
        return False
    except FAILURES as error:
        raise InfrastructureError(f"QEMU does not answer on QMP: {error}") from error
    return True


def ask(socket: Path, command: str, words: dict[str, object] | None = None) -> object:
    """Connect, ask one thing, and leave; raises one of FAILURES."""

    async def talk() -> object:
        client = QMPClient("pinrace")
        await client.connect(str(socket))
        try:
            return await client.execute(command, words)
        finally:
            await client.disconnect()

    return asyncio.run(asyncio.wait_for(talk(), SECONDS))


def forwarded_port(socket: Path) -> int:
    """Return the port of the host that QEMU took to forward from.

    Raises InfrastructureError when it took none, or does not say it.
    """
    try:
        # QMP has no command of its own for this.
        said = ask(socket, "human-monitor-command", {"command-line": "info usernet"})
    except FAILURES as error:
        raise InfrastructureError(f"QEMU does not say which port it took: {error}") from error
    return parse_port(str(said))


def parse_port(said: str) -> int:
    """Return the port in what "info usernet" prints; InfrastructureError when there is none."""
    match = _FORWARD.search(said)
    if not match or match[1] == "0":
        raise InfrastructureError(f"QEMU forwards no port: {said.strip() or 'it has no network'}")
    return int(match[1])


class Monitor:
    """A connection that lasts as long as its guest, and hears when the guest stops.

    A context manager; the asking is done by a thread of its own.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._loop = asyncio.new_event_loop()
        self._client = QMPClient("pinrace")
        self._thread = threading.Thread(target=self._loop.run_forever, name="qmp", daemon=True)
        self._stopped = threading.Event()
        self._connected = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._connected:
            with suppress(*FAILURES):  # the guest's end has ended it
                self._run(self._leave(), SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def stopped(self) -> bool:
        """Whether the guest has reset itself or powered off; its memory is still there then."""
        if not self._connected:
            self._connect()
        return self._stopped.is_set()

    def ask(
        self, command: str, words: dict[str, object] | None = None, *, seconds: float = SECONDS
    ) -> object:
        """Ask one thing; raises one of FAILURES."""
        if not self._connected:
            self._connect()
        return self._run(self._client.execute(command, words), seconds)

    def _connect(self) -> None:
        """Connect, unless QEMU has not come so far yet."""
        try:
            self._run(self._client.connect(str(self._socket)), SECONDS)
        except ConnectError:
            return
        self._connected = True
        self._listener = asyncio.run_coroutine_threadsafe(self._listen(), self._loop)
        # What happened before there was anybody to hear of it
        said = self._run(self._client.execute("query-status"), SECONDS)
        if isinstance(said, dict) and said.get("status") == "shutdown":
            self._stopped.set()

    async def _leave(self) -> None:
        """Stop listening, and disconnect."""
        self._listener.cancel()
        await asyncio.sleep(0)
        await self._client.disconnect()

    async def _listen(self) -> None:
        async for event in self._client.events:
            if event["event"] in ("SHUTDOWN", "STOP"):
                self._stopped.set()

    def _run(self, work: object, seconds: float) -> object:
        future: Future[object] = asyncio.run_coroutine_threadsafe(
            asyncio.wait_for(work, seconds),  # type: ignore[arg-type]
            self._loop,
        )
        return future.result()
