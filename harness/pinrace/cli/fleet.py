# SPDX-License-Identifier: GPL-2.0-or-later
"""The fleet that a command's options name; only what asks for one imports this."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pinrace import ui
from pinrace.engine import executor
from pinrace.errors import UserError

INSTALL = "pip install 'pinrace[fleet]'"


def needed() -> None:
    """Raise UserError where what a fleet needs is not installed."""
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise UserError("a fleet needs dask, which is not installed", hint=INSTALL) from error


@contextmanager
def chosen(hosts: Path | None, scheduler: str | None, tls: Path | None) -> Iterator[None]:
    """Run the calls of a command on hosts while the context lasts.

    hosts: a file of hosts, which are brought up and down; scheduler: a cluster that runs already,
    with the certificates in `tls`.  Raises UserError for both at once.
    """
    if hosts and scheduler:
        raise UserError("--hosts brings a cluster up, --scheduler joins one: take one")
    needed()
    from pinrace.fleet.certs import security
    from pinrace.fleet.client import Fleet

    if hosts:
        from pinrace.fleet.cluster import up
        from pinrace.fleet.hosts import load

        with up(load(hosts)) as fleet, executor.use(fleet):
            yield
        return
    address = scheduler or ""
    if address.startswith("tls://") != bool(tls):
        raise UserError(
            f"{address}: a cluster with TLS takes --tls, and --tls a tls:// address",
            hint="--scheduler tls://10.0.0.1:8786 --tls FOLDER",
        )
    with Fleet(address, security(tls) if tls else None) as fleet:
        fleet.wait_for_hosts()
        slots = fleet.slots
        ui.say(f"fleet   {address}: {ui.counted(len(fleet.hosts()), 'host')}, {slots:.0f} CPUs")
        with executor.use(fleet):
            yield
