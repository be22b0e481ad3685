# SPDX-License-Identifier: GPL-2.0-or-later
"""The environment that a worker runs in: this pinrace's wheel and its locked dependencies.

All of it is sent: a host needs python3 with venv, QEMU and util-linux, and no network.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pinrace import procs, store
from pinrace.errors import InfrastructureError, UserError
from pinrace.fleet.ssh import Facts, Login
from pinrace.kbuild.userspace import digest_folder
from pinrace.paths import CONFIGS, INSTALLED, KERNEL, PROJECT, ROOTFS

LOCK = CONFIGS / "fleet/requirements.txt"
_PLATFORMS = ("manylinux_2_36", "manylinux_2_34", "manylinux_2_28", "manylinux2014")
_PIP = (sys.executable, "-m", "pip")


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
    login.put(LOCK, f"{place}/requirements.txt")
    login.run(["python3", "-m", "venv", place])
    pip = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    found = ["--find-links", f"{place}/wheels"]
    login.run([*pip, "--require-hashes", *found, "-r", f"{place}/requirements.txt"])
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


def _dependencies(facts: Facts) -> list[Path]:
    """Return the locked dependencies as wheels for a host, downloaded once."""
    key = store.digest(facts.machine, facts.python, store.digest_file(LOCK))
    platforms = [word for name in _PLATFORMS for word in ("--platform", f"{name}_{facts.machine}")]

    def fill(draft: Path) -> None:
        argv = [*_PIP, "download", "-q", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        argv += [*platforms, "--python-version", facts.python, "-r", str(LOCK), "-d", str(draft)]
        procs.run(argv, what="downloading what a worker needs")

    return sorted(store.make("fleet-wheels", key, fill).glob("*.whl"))
