# SPDX-License-Identifier: GPL-2.0-or-later
"""What a running QEMU is asked, over QMP on a socket of its own."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

from qemu.qmp import ConnectError, QMPClient, QMPError

from pinrace.errors import InfrastructureError

# It logs each failure that it raises as well; one that is there to be tried again is none.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)

_SECONDS = 30.0  # for an answer; the host may be busy
_FORWARD = re.compile(r"^\s*TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s", re.MULTILINE)


def options(socket: Path) -> tuple[str, ...]:
    """Return what QEMU has to be started with."""
    return ("-qmp", f"unix:{str(socket).replace(',', ',,')},server=on,wait=off")


def answers(socket: Path) -> bool:
    """Whether QEMU has started so far that it answers: all that it listens on is there then."""
    try:
        _ask(socket, "query-status")
    except ConnectError:
        return False
    except (QMPError, OSError, TimeoutError) as error:
        raise InfrastructureError(f"QEMU does not answer on QMP: {error}") from error
    return True


def forwarded_port(socket: Path) -> int:
    """Return the port of the host that QEMU took to forward from.

    Raises InfrastructureError when it does not say.
    """
    try:
        # QMP has no command of its own for this.
        said = _ask(socket, "human-monitor-command", {"command-line": "info usernet"})
    except (QMPError, OSError, TimeoutError) as error:
        raise InfrastructureError(f"QEMU does not say which port it took: {error}") from error
    return parse_port(str(said))


def parse_port(said: str) -> int:
    """Return the port of the host from `info usernet`; InfrastructureError when it has none."""
    match = _FORWARD.search(said)
    if not match or match[1] == "0":
        raise InfrastructureError(f"QEMU forwards no port: {said.strip() or 'it has no network'}")
    return int(match[1])


def _ask(socket: Path, command: str, words: dict[str, object] | None = None) -> object:
    """Connect, ask one thing, and leave."""

    async def talk() -> object:
        client = QMPClient("pinrace")
        await client.connect(str(socket))
        try:
            return await client.execute(command, words)
        finally:
            await client.disconnect()

    return asyncio.run(asyncio.wait_for(talk(), _SECONDS))
