# SPDX-License-Identifier: GPL-2.0-or-later
"""Four hosts on one: network namespaces behind a bridge, each with an sshd and a folder of its own.

Needs root, iproute2 and openssh-server.  Everything is removed when the context ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

DISK = 400 << 20  # bytes of a host's own disk
NET = "10.213.7"  # of a bridge that nothing else is on
OPERATOR = f"{NET}.1"
_SSHD = """
ListenAddress {address}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
PasswordAuthentication no
UsePAM no
StrictModes no
PermitRootLogin yes
Subsystem sftp internal-sftp
"""


@dataclass
class Site:
    """The hosts while they are there."""

    folder: Path
    bridge: str
    names: list[str]
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def address(self, name: str) -> str:
        return f"{NET}.{10 + self.names.index(name)}"

    def space(self, name: str) -> str:
        return f"{self.bridge}-{name}"

    def link(self, name: str, state: str) -> None:
        """Cut a host off ("down"), or bring it back ("up")."""
        run("ip", "link", "set", self.wire(name), state)

    def wire(self, name: str) -> str:
        return f"{self.bridge}{self.names.index(name)}"

    def fill(self, name: str, *, full: bool) -> None:
        """Fill the disk of a host that has one of its own, or make room again."""
        ballast = self.folder / name / "pinrace-home/ballast"
        if full:
            ballast.write_bytes(bytes(DISK - (100 << 20)))
        else:
            ballast.unlink()

    def processes(self, name: str) -> list[psutil.Process]:
        """Return what runs on a host, without its sshd."""
        told = run("ip", "netns", "pids", self.space(name)).split()
        found = []
        for pid in map(int, told):
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                if process.name() != "sshd":
                    found.append(process)
        return found

    def workers(self, name: str) -> list[psutil.Process]:
        found = []
        for process in self.processes(name):
            with contextlib.suppress(psutil.Error):
                if "pinrace.fleet.serve" in process.cmdline():
                    found.append(process)
        return found


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr or done.stdout}")
    return done.stdout


@contextmanager
def site(folder: Path, names: list[str]) -> Iterator[Site]:
    """Have hosts of these names."""
    made = Site(folder, f"pf{os.getpid() % 10000}", names)
    folder.mkdir(parents=True, exist_ok=True)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "user_key"))
    Path("/run/sshd").mkdir(exist_ok=True)
    run("ip", "link", "add", made.bridge, "type", "bridge")
    try:
        run("ip", "addr", "add", f"{OPERATOR}/24", "dev", made.bridge)
        run("ip", "link", "set", made.bridge, "up")
        for name in names:
            _add(made, name)
        yield made
    finally:
        _remove(made)


def _add(made: Site, name: str) -> None:
    space, wire = made.space(name), made.wire(name)
    run("ip", "netns", "add", space)
    run("ip", "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", space)
    run("ip", "link", "set", wire, "master", made.bridge, "up")
    run("ip", "-n", space, "addr", "add", f"{made.address(name)}/24", "dev", "eth0")
    run("ip", "-n", space, "link", "set", "eth0", "up")
    run("ip", "-n", space, "link", "set", "lo", "up")
    home = made.folder / name
    (home / "pinrace-home").mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", f"size={DISK}", "fleet", str(home / "pinrace-home"))
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / "host_key"))
    (home / "authorized_keys").write_text((made.folder / "user_key.pub").read_text())
    config = home / "sshd_config"
    config.write_text(_SSHD.format(address=made.address(name), folder=home))
    argv = ["ip", "netns", "exec", space, "/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
    with (home / "sshd.log").open("wb") as log:
        made.daemons[name] = subprocess.Popen(argv, stdout=log, stderr=log)


def _remove(made: Site) -> None:
    for name in made.names:
        with contextlib.suppress(RuntimeError):
            for pid in run("ip", "netns", "pids", made.space(name)).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        if name in made.daemons:
            made.daemons[name].wait()
        with contextlib.suppress(RuntimeError):
            run("ip", "netns", "del", made.space(name))
        with contextlib.suppress(RuntimeError):
            run("umount", str(made.folder / name / "pinrace-home"))
    with contextlib.suppress(RuntimeError):
        run("ip", "link", "del", made.bridge)


def hosts_toml(made: Site, python: dict[str, str], slots: int, tags: dict[str, list[str]]) -> str:
    """Return the file of these hosts; python: where nothing is to be sent."""
    lines = [f'address = "{OPERATOR}"']
    for name in made.names:
        key = (made.folder / name / "host_key.pub").read_text().rsplit(" ", 1)[0].strip()
        lines += [
            "[[host]]",
            f'name = "{name}"',
            f'address = "{made.address(name)}"',
            f'key = "{made.folder / "user_key"}"',
            f'host_key = "{key}"',
            f'folder = "{made.folder / name / "pinrace-home"}"',
            f'python = "{python.get(name, "")}"',
            f"slots = {slots}",
            f"tags = {tags.get(name, [])!r}".replace("'", '"'),
        ]
    return "\n".join(lines) + "\n"
