# SPDX-License-Identifier: GPL-2.0-or-later
"""Which port of the host a QEMU took to forward from."""

from __future__ import annotations

import re
from pathlib import Path

from pinrace.errors import InfrastructureError
from pinrace.guest import qmp
from pinrace.guest.qmp import answers, options

__all__ = ["answers", "forwarded_port", "options", "parse_port"]

_FORWARD = re.compile(r"^\s*TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s", re.MULTILINE)


def forwarded_port(socket: Path) -> int:
    """Return the port of the host that QEMU took to forward from.

    Raises InfrastructureError when it does not say.
    """
    try:
        # QMP has no command of its own for this.
        said = qmp.ask(socket, "human-monitor-command", {"command-line": "info usernet"})
    except qmp.FAILURES as error:
        raise InfrastructureError(f"QEMU does not say which port it took: {error}") from error
    return parse_port(str(said))


def parse_port(said: str) -> int:
    """Return the port of the host from `info usernet`; InfrastructureError when it has none."""
    match = _FORWARD.search(said)
    if not match or match[1] == "0":
        raise InfrastructureError(f"QEMU forwards no port: {said.strip() or 'it has no network'}")
    return int(match[1])
