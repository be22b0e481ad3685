# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster of the hosts of a file, for as long as a command lasts.

The scheduler is a process beside the command; workers are processes behind SSH connections.  Each
is started again when it ends before it should.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import paramiko

from pinrace import procs, ui
from pinrace.errors import InfrastructureError, PinraceError
from pinrace.fleet import deploy
from pinrace.fleet.certs import Authority, security
from pinrace.fleet.client import Fleet
from pinrace.fleet.hosts import Host, Hosts
from pinrace.fleet.scheduler import FOLDER
from pinrace.fleet.serve import READY
from pinrace.fleet.ssh import Login
from pinrace.paths import cache_dir

_LOOK = 1.0  # seconds between two looks at what should be running
_BOOT = 240.0  # seconds for a worker to be there: it runs a tiny guest of each arch first
_LEAVE = 10.0


class Cluster:
    """The processes of a cluster, while it is up."""

    def __init__(self, hosts: Hosts, place: Path) -> None:
        self.hosts, self.place = hosts, place
        self.name = secrets.token_hex(4)
        self.authority = Authority(self.name)
        port = hosts.port or _free_port(hosts.address)
        self.address = f"tls://{hosts.address}:{port}"
        self.tls = self.authority.member("operator").write(place / "tls")
        self.failed: dict[str, str] = {}
        self._leaving = threading.Event()
        self._threads = [threading.Thread(target=self._keep_scheduler, daemon=True)]
        self._up = threading.Event()
        self.scheduler: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the scheduler, then a worker on each host; raise when none comes."""
        self._threads[0].start()
        if not self._up.wait(60):
            log = self.place / "scheduler.log"
            raise InfrastructureError("the scheduler does not start", log=log, hint="see the log")
        ready = {host.name: threading.Event() for host in self.hosts.host}
        for host in self.hosts.host:
            work = threading.Thread(
                target=self._keep_worker, args=(host, ready[host.name]), daemon=True
            )
            work.start()
            self._threads.append(work)
        for host in self.hosts.host:
            ready[host.name].wait(_BOOT)
            if host.name in self.failed:
                ui.warn(f"fleet   without {host.name}: {self.failed[host.name]}")
        if len(self.failed) == len(ready):
            raise InfrastructureError(
                "no host of the fleet can be used", hint="pinrace hosts check FILE"
            )

    def stop(self) -> None:
        """End all of it, and wait until it has ended."""
        self._leaving.set()
        for thread in self._threads[1:]:
            thread.join(_LEAVE + 5)
        self._threads[0].join(_LEAVE)

    def _keep_scheduler(self) -> None:
        env = {**os.environ, FOLDER: str(self.place / "store")}
        argv = [*procs.PDEATHSIG, *procs.PYTHON, "-m", "pinrace.fleet.serve", "scheduler"]
        argv += [self.address, "--tls", str(self.tls)]
        while not self._leaving.is_set():
            with (self.place / "scheduler.log").open("ab") as log:
                self.scheduler = subprocess.Popen(
                    argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env
                )
                with self.scheduler as process:
                    assert process.stdout is not None  # noqa: S101
                    assert process.stdin is not None  # noqa: S101
                    if process.stdout.readline().startswith(READY.encode()):
                        self._up.set()
                    while process.poll() is None and not self._leaving.wait(_LOOK):
                        pass
                    process.stdin.close()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(_LEAVE)
                    process.kill()
            self._leaving.wait(_LOOK)

    def _keep_worker(self, host: Host, ready: threading.Event) -> None:
        """Have a worker on a host, again when its connection was lost."""
        while not self._leaving.is_set():
            try:
                with Login(host) as login:
                    self._work(login, ready)
            except PinraceError as error:
                self.failed[host.name] = error.what
                ready.set()
            self._leaving.wait(5 * _LOOK)

    def _work(self, login: Login, ready: threading.Event) -> None:
        host = login.host
        facts = login.probe()
        login.check_clock(facts)
        folder = login.folder
        if not folder.startswith("/"):
            folder = f"{login.run(['pwd']).strip()}/{folder}"
        home = f"{folder}/run-{self.name}"
        login.run(["sh", "-c", f"mkdir -p -m 700 {home}/tls {home}/scratch {folder}/cache"])
        try:
            for name, data in self.authority.member(host.name).files.items():
                login.put(data, f"{home}/tls/{name}")
            python = deploy.environment(login, facts)
            words = ["env", f"PINRACE_CACHE={folder}/cache", f"TMPDIR={home}/scratch", python]
            words += ["-P", "-m", "pinrace.fleet.serve", "worker", self.address]
            words += ["--tls", f"{home}/tls"]
            words += ["--name", host.name, "--host", host.address, "--slots", str(host.slots)]
            words += ["--own", home]
            channel = login.start([*words, *(w for tag in host.tags for w in ("--tag", tag))])
            self._follow(channel, host, ready)
            channel.shutdown_write()
            for _ in range(int(_LEAVE / 0.1)):
                if channel.exit_status_ready():
                    break
                threading.Event().wait(0.1)
        finally:
            with contextlib.suppress(InfrastructureError):
                login.run(["rm", "-rf", home], seconds=30)

    def _follow(self, channel: paramiko.Channel, host: Host, ready: threading.Event) -> None:
        """Keep what a worker prints until it ends or is to end."""
        channel.settimeout(_LOOK)
        said = b""
        with (self.place / f"worker-{host.name}.log").open("ab") as log:
            while not self._leaving.is_set():
                try:
                    data = channel.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    last = said.decode(errors="replace").strip().splitlines()[-1:]
                    raise InfrastructureError(f"its worker ended: {''.join(last) or 'no word'}")
                log.write(data)
                log.flush()
                said = (said + data)[-4096:]
                if READY.encode() in said:
                    self.failed.pop(host.name, None)
                    ready.set()


@contextmanager
def up(hosts: Hosts) -> Iterator[Fleet]:
    """Bring a cluster of these hosts up, and down again; give what runs calls on it.

    Hosts that cannot be used are said and left out.  Raises InfrastructureError when none is left.
    """
    folder = cache_dir() / "fleet"
    folder.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="up-", dir=folder) as place:
        cluster = Cluster(hosts, Path(place))
        try:
            cluster.start()
            with Fleet(cluster.address, security(cluster.tls)) as fleet:
                fleet.cluster = cluster
                fleet.wait_for_hosts(len(hosts.host) - len(cluster.failed))
                there = ui.counted(len(fleet.hosts()), "host")
                ui.say(f"fleet   {cluster.address}: {there}, {fleet.slots:.0f} CPUs for guests")
                yield fleet
        finally:
            cluster.stop()


def clean(hosts: tuple[Host, ...]) -> list[tuple[str, bool]]:
    """Remove all that was ever left on hosts; return a line for each, and whether it was done."""

    def one(host: Host) -> tuple[str, bool]:
        try:
            with Login(host) as login:
                size = login.run(["sh", "-c", f"du -sm {host.folder} 2>/dev/null | cut -f1; true"])
                login.run(["rm", "-rf", host.folder])
            return f"{host.name:<12} {size.strip() or '0'} MiB removed", True
        except InfrastructureError as error:
            return f"{host.name:<12} {error.what}", False

    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(one, hosts))


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise InfrastructureError(
                f"{address} is no address of this machine: {error.strerror}",
                hint="address = … in hosts.toml is how the hosts reach this one",
            ) from error
        return int(probe.getsockname()[1])
