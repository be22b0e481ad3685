# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m pinrace.fleet.serve`: a scheduler or a worker that ends with its standard input.

So it ends with the command or the SSH connection that started it, whatever ended that, and every
guest ends with it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import threading
from pathlib import Path

import dask
from distributed import Scheduler, Worker

from pinrace.fleet import needs, work
from pinrace.fleet.certs import security
from pinrace.fleet.scheduler import Store

READY = "pinrace-fleet ready"  # printed, and the address behind it
SETTINGS = {
    "distributed.scheduler.worker-ttl": "30s",  # without a word, until its calls go elsewhere
    "distributed.scheduler.allowed-failures": 4,
    "distributed.comm.timeouts.tcp": "20s",
    "distributed.comm.timeouts.connect": "10s",
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.disk": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
_NOBODY = "127.0.0.1:0"  # of dask's web server, which cannot be left out and shows nothing
_AGAIN = 1.0  # seconds before a worker looks for its scheduler again
_LEAVE = 5.0  # seconds to leave in, before the process just ends


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    found = argparse.ArgumentParser(prog="pinrace.fleet.serve")
    found.add_argument("what", choices=("scheduler", "worker"))
    found.add_argument("address", help="tls://HOST:PORT of the scheduler")
    found.add_argument("--tls", type=Path)
    found.add_argument("--name", default="")
    found.add_argument("--host", default=None, help="address at which others reach this worker")
    found.add_argument("--slots", type=int, default=0)
    found.add_argument("--tag", action="append", default=[])
    found.add_argument("--own", type=Path, help="a folder that is removed at the end")
    return found


def main() -> None:
    """Serve until the end of standard input."""
    args = parser().parse_args()
    try:
        with dask.config.set(SETTINGS):
            asyncio.run(_serve(args))
    finally:
        _sweep(args)


def _sweep(args: argparse.Namespace) -> None:
    """Remove what is this process's alone: who started it may be gone."""
    if args.own:
        shutil.rmtree(args.own, ignore_errors=True)


async def _serve(args: argparse.Namespace) -> None:
    leaving, loop = asyncio.Event(), asyncio.get_running_loop()

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(0, 4096):
                pass
        work.stop_all()
        loop.call_soon_threadsafe(leaving.set)
        threading.Event().wait(_LEAVE)
        _sweep(args)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    await (_scheduler if args.what == "scheduler" else _worker)(args, leaving)
    work.stop_all()


async def _scheduler(args: argparse.Namespace, leaving: asyncio.Event) -> None:
    scheme, _, rest = args.address.partition("://")
    host, _, port = rest.rpartition(":")
    async with Scheduler(
        host=host,
        port=int(port),
        protocol=scheme,
        security=security(args.tls) if args.tls else None,
        dashboard=False,
        dashboard_address=_NOBODY,
        plugins=(store := Store(),),
    ) as scheduler:
        await store.start(scheduler)
        _say(scheduler.address)
        await leaving.wait()


async def _worker(args: argparse.Namespace, leaving: asyncio.Event) -> None:
    """Work, and come back to a scheduler that was away."""
    has = await asyncio.to_thread(needs.of_host, args.slots, args.tag)
    has |= {f"{needs.NAME_TAG}{args.name}": needs.PLENTY}
    while not leaving.is_set():
        with contextlib.suppress(OSError, TimeoutError, RuntimeError):
            async with Worker(
                args.address,
                name=args.name or None,
                host=args.host,
                nthreads=max(1, int(has[needs.SLOTS])),
                resources=has,
                security=security(args.tls) if args.tls else None,
                memory_limit=0,
                dashboard=False,
                dashboard_address=_NOBODY,
                death_timeout=10,
            ) as worker:
                _say(worker.address)
                ended = asyncio.ensure_future(worker.finished())
                left = asyncio.ensure_future(leaving.wait())
                await asyncio.wait({ended, left}, return_when=asyncio.FIRST_COMPLETED)
                work.stop_all()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(leaving.wait(), _AGAIN)


def _say(address: str) -> None:
    print(f"{READY} {address}", flush=True)


if __name__ == "__main__":
    main()
