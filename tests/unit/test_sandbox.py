# SPDX-License-Identifier: GPL-2.0-or-later
"""What a tree or a series runs gets nothing of the user's, and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinrace.host import sandbox

SECRETS = {
    "GITHUB_TOKEN": "secret",
    "ACTIONS_RUNTIME_TOKEN": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "SSH_AUTH_SOCK": "/tmp/agent",
    "DBUS_SESSION_BUS_ADDRESS": "unix:abstract=/x",
}
STEERING = {
    "MAKEFLAGS": "-n",
    "CFLAGS": "-O0",
    "LDFLAGS": "-static-pie",
    "LLVM": "1",
    "ARCH": "um",
    "CROSS_COMPILE": "none-",
    "KBUILD_OUTPUT": "/tmp/elsewhere",
    "V": "1",
    "LD_PRELOAD": "/nonexistent.so",
}


def test_nothing_of_the_users_environment_counts(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**SECRETS, **STEERING}.items():
        monkeypatch.setenv(name, value)
    done = sandbox.run(["env"], env={"KBUILD_BUILD_USER": "pinrace"})
    got = dict(line.split("=", 1) for line in done.output.splitlines())
    assert not got.keys() & {*SECRETS, *STEERING}
    assert got["KBUILD_BUILD_USER"] == "pinrace"
    assert got["LANG"] == "C.UTF-8"


def test_home_is_empty(own_cache: Path) -> None:
    done = sandbox.run(["sh", "-c", 'ls -A "$HOME" | wc -l'])
    assert done.output.split() == ["0"]
