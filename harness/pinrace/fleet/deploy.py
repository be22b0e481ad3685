# SPDX-License-Identifier: GPL-2.0-or-later
"""The environment that a worker runs in: this pinrace's wheel and its locked dependencies.

All of it is sent: a host needs python3 with venv, QEMU and util-linux, and no network.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pinrace import procs, store
from pinrace.errors import InfrastructureError, UserError
from pinrace.fleet.ssh import Facts, Login
from pinrace.kbuild.userspace import digest_folder
from pinrace.paths import CONFIGS, INSTALLED, KERNEL, PROJECT, ROOTFS

LOCK = CONFIGS / "fleet/requirements.txt"
_PIP = (*procs.PYTHON, "-m", "pip")


def environment(login: Login, facts: Facts) -> str:
    """Return the path of a Python on the host that has this pinrace, sent and installed if need be.

    Raises InfrastructureError when the host's Python is another one or installs nothing, and
    UserError where there is no wheel to send.
    """
    if login.host.python:
        return login.host.python
    mine = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if facts.python != mine:
        raise InfrastructureError(
            f"host {login.host.name} has Python {facts.python}, and this one has {mine}",
            hint=f"install Python {mine} there, or name one in hosts.toml: python = …",
        )
    wheel = _wheel()
    parts = (*wheel.parent.parts[-1:], store.digest_file(LOCK))
    place = f"{login.folder}/env-{store.digest(*parts)}"
    python = f"{place}/bin/python"
    there = f"test -e {place}/ready && echo there || echo missing"
    if "there" in login.run(["sh", "-c", there]):
        return python
    wheels = _dependencies(facts)
    login.run(["sh", "-c", f"rm -rf {place} && mkdir -p -m 700 {place}/wheels"])
    for path in (*wheels, wheel):
        login.put(path, f"{place}/wheels/{path.name}")
    login.run(["python3", "-m", "venv", place])
    pip = [python, "-P", "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    found = ["--find-links", f"{place}/wheels"]
    wanted = "".join(f"{line}\n" for line in _names(LOCK))
    login.put(wanted.encode(), f"{place}/requirements.txt")
    login.run([*pip, *found, "-r", f"{place}/requirements.txt"])
    login.run([*pip, f"{place}/wheels/{wheel.name}"])
    login.run(["sh", "-c", f"rm -rf {place}/wheels && touch {place}/ready"])
    return python


def _wheel() -> Path:
    """Return this pinrace as a wheel, made once for the same files."""
    if INSTALLED:
        raise UserError(
            "an installed pinrace has no wheel to send",
            hint="run from a checkout, or install pinrace on the hosts: python = … in hosts.toml",
        )
    sources = [PROJECT / "harness", CONFIGS, KERNEL, ROOTFS]
    key = store.digest(*(digest_folder(folder, "*.*") for folder in sources))

    def fill(draft: Path) -> None:
        argv = [*_PIP, "wheel", "-q", "--no-deps", "--no-build-isolation"]
        argv += ["-w", str(draft), str(PROJECT)]
        procs.run(argv, what="making the wheel", hint="pip install hatchling editables")

    return next(store.make("fleet-wheel", key, fill).glob("*.whl"))


def _names(lock: Path) -> list[str]:
    """Return the versions that a lock names, without digests: wheels made here have others."""
    lines = lock.read_text().splitlines()
    return [line.rstrip("\\ ") for line in lines if line[:1].isalnum()]


def _dependencies(facts: Facts) -> list[Path]:
    """Return the locked dependencies as wheels, made once: some of them come as sources alone.

    Their digests are checked here, where they are downloaded.  Raises UserError for another arch.
    """
    if facts.machine != os.uname().machine:
        raise UserError(
            f"wheels for {facts.machine} cannot be made on {os.uname().machine}",
            hint="install pinrace[fleet] on that host: python = … in hosts.toml",
        )
    key = store.digest(facts.machine, facts.python, store.digest_file(LOCK))

    def fill(draft: Path) -> None:
        argv = [*_PIP, "wheel", "-q", "--no-deps", "--require-hashes", "-r", str(LOCK)]
        procs.run([*argv, "-w", str(draft)], what="having the wheels of what a worker needs")

    return sorted(store.make("fleet-wheels", key, fill).glob("*.whl"))
