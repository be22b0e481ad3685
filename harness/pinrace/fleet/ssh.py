# SPDX-License-Identifier: GPL-2.0-or-later
"""A host over SSH: commands, files, and a process that lives as long as its connection."""

from __future__ import annotations

import json
import shlex
import time
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import SSHException

from pinrace.arches import ARCHES
from pinrace.errors import InfrastructureError
from pinrace.fleet.certs import DAYS
from pinrace.fleet.hosts import Host

PATIENCE = 20.0  # seconds for each step of a login
ALIVE = 15  # seconds between two packets that keep a silent connection
FAILURES = (OSError, EOFError, SSHException)

# What is asked of a host before anything is sent to it; the Python there may be any 3.
_PROBE = f"""
import json, os, shutil, sys, time
home = os.path.expanduser("~")
pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
print(json.dumps({{
    "machine": os.uname().machine, "cpus": len(os.sched_getaffinity(0)), "memory": pages >> 20,
    "free": shutil.disk_usage(home).free >> 20, "kvm": os.access("/dev/kvm", os.R_OK | os.W_OK),
    "python": "%d.%d" % sys.version_info[:2], "clock": time.time(),
    "qemu": [name for name, qemu in {[(arch.name, arch.qemu) for arch in ARCHES.values()]}
             if shutil.which(qemu)],
}}))
"""


@dataclass(frozen=True)
class Facts:
    """What a host says of itself; sizes in MiB, clock in seconds ahead of this host's."""

    machine: str
    cpus: int
    memory: int
    free: int
    kvm: bool
    python: str
    clock: float
    qemu: tuple[str, ...]  # arches of which it has the program


class Login:
    """A connection to a host.  A context manager; what `start` started ends with it."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def __enter__(self) -> Login:
        self.client = connect(self.host)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    @property
    def folder(self) -> str:
        """The folder on the host that everything of the fleet is in."""
        return self.host.folder

    def run(self, words: list[str], *, data: bytes = b"", seconds: float = 600.0) -> str:
        """Run a command to its end and return what it printed; InfrastructureError if it fails."""
        line = shlex.join(words)
        try:
            channel = self._session()
            channel.settimeout(seconds)
            channel.set_combine_stderr(True)
            channel.exec_command(line)
            channel.sendall(data)
            channel.shutdown_write()
            out = channel.makefile("rb").read().decode(errors="replace")
            status = channel.recv_exit_status()
        except FAILURES as error:
            raise self._failed(f"'{line[:80]}' did not end: {error or 'cut off'}") from error
        if status:
            tail = "\n".join(out.splitlines()[-8:])
            raise self._failed(f"'{line[:80]}' failed with status {status}\n{tail}")
        return out

    def put(self, data: Path | bytes, remote: str, *, mode: int = 0o600) -> None:
        """Write a file on the host."""
        try:
            with self.client.open_sftp() as sftp, sftp.open(remote, "wb") as sink:
                sink.chmod(mode)
                sink.set_pipelined(True)
                if isinstance(data, bytes):
                    sink.write(data)
                else:
                    with data.open("rb") as source:
                        while piece := source.read(1 << 20):
                            sink.write(piece)
        except FAILURES as error:
            raise self._failed(f"cannot write {remote}: {error}") from error

    def start(self, words: list[str]) -> paramiko.Channel:
        """Start a process whose standard input stays open while this connection is there."""
        try:
            channel = self._session()
            channel.set_combine_stderr(True)
            channel.exec_command(shlex.join(words))
        except FAILURES as error:
            raise self._failed(f"cannot start {words[0]}: {error}") from error
        return channel

    def probe(self) -> Facts:
        """Ask the host what it is; InfrastructureError for an answer that is none."""
        before = time.time()
        answer = self.run(["python3", "-c", _PROBE])
        try:
            told: dict[str, Any] = json.loads(answer.splitlines()[-1])
            skew = told.pop("clock") - (before + time.time()) / 2
            return Facts(**{**told, "clock": round(skew, 1), "qemu": tuple(told["qemu"])})
        except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._failed(
                f"asked what it is, it says '{answer.strip()[-80:]}'; does its shell print more?"
            ) from error

    def check_clock(self, facts: Facts) -> None:
        """Raise InfrastructureError for a clock with which no certificate is valid."""
        if abs(facts.clock) > (DAYS - 1) * 86400:
            raise self._failed(
                f"its clock is {facts.clock / 86400:+.0f} days off, so that no certificate is valid"
            )

    def _session(self) -> paramiko.Channel:
        transport = self.client.get_transport()
        if transport is None:
            raise EOFError("the connection has ended")
        return transport.open_session(timeout=PATIENCE)

    def _failed(self, what: str) -> InfrastructureError:
        hint = f"pinrace hosts check FILE {self.host.name}"
        return InfrastructureError(f"host {self.host.name}: {what}", hint=hint)


def connect(host: Host) -> paramiko.SSHClient:
    """Log in; InfrastructureError when the host has another key than the pinned one, or fails."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    kind, text = host.host_key.split()[:2]
    place = host.address if host.port == 22 else f"[{host.address}]:{host.port}"
    try:
        pinned = paramiko.PKey.from_type_string(kind, b64decode(text))
        client.get_host_keys().add(place, kind, pinned)
        client.connect(
            host.address,
            host.port,
            host.user,
            key_filename=str(host.key.expanduser()) if host.key else None,
            timeout=PATIENCE,
            banner_timeout=PATIENCE,
            auth_timeout=PATIENCE,
            look_for_keys=False,
            allow_agent=host.key is None,
        )
        transport = client.get_transport()
        if transport:
            transport.set_keepalive(ALIVE)
    except (*FAILURES, ValueError, UnknownKeyType) as error:
        client.close()
        what = "its key is not the pinned one"
        if not isinstance(error, paramiko.BadHostKeyException):
            what = str(error) or type(error).__name__
        raise InfrastructureError(
            f"host {host.name}: no login as {host.user}@{place}: {what}",
            hint="compare host_key with /etc/ssh/ssh_host_*_key.pub on the host",
        ) from error
    return client
