# SPDX-License-Identifier: GPL-2.0-or-later
"""What a tree or a series runs gets nothing of the user's, and leaves nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from pinrace import procs
from pinrace.errors import BuildError, InfrastructureError
from pinrace.host import containment, sandbox, sockets
from pinrace.host.containment import Kind

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


@pytest.mark.parametrize("kind", [Kind.BUBBLEWRAP, Kind.NAMESPACES])
def test_each_way_contains(own_cache: Path, tmp_path: Path, kind: Kind) -> None:
    how = containment.Containment(kind=kind, version=kind)
    if reason := containment._works(how):
        pytest.skip(f"here {kind} does not work: {reason}")
    given, kept = tmp_path / "given", tmp_path / "kept"
    given.mkdir()
    kept.mkdir()
    script = (
        f"echo x > {given}/x; echo x > {kept}/x; ls {kept.parent}; ls -A $HOME; id -u > {given}/id"
    )
    line = containment.command(how, ["sh", "-c", script], containment.writes(given), given)
    done = procs.run(line, env={"HOME": containment.HOME}, check=False)
    assert (given / "x").is_file()
    assert not list(kept.iterdir())
    assert "given" in done.output.split()
    assert "kept" not in done.output.split()


def test_it_can_be_switched_off(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_off", False)
    sandbox.switch_off()
    assert not sandbox.contained()
    assert sandbox.said() == "no sandbox (--no-sandbox)"
    assert sandbox.run(["sh", "-c", "echo $HOME"]).output.strip() != str(Path.home())


def test_one_that_cannot_be_set_up_is_no_failed_build(own_cache: Path, tmp_path: Path) -> None:
    if not sandbox.contained():
        pytest.skip("nothing contains here")
    with pytest.raises(InfrastructureError, match="sandbox"):
        sandbox.run(["true"], binds=sandbox.reads(tmp_path / "missing"))


def test_what_is_left_must_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    (tmp_path / "link").symlink_to("plain")
    (tmp_path / "folder").mkdir()
    assert sandbox.output(tmp_path, "plain") == tmp_path / "plain"
    for name in ("link", "folder", "../" + tmp_path.name + "/plain"):
        with pytest.raises(BuildError):
            sandbox.output(tmp_path, name)


def test_sockets_have_short_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with sockets.folder() as place:
        assert len(str(place / "qmp")) < 108
        assert place.stat().st_mode & 0o077 == 0
