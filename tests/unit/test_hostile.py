# SPDX-License-Identifier: GPL-2.0-or-later
"""Strangers' descriptions, folders and servers: nothing of theirs runs here, or is taken along."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from pinrace import procs
from pinrace.access import crash, gdb
from pinrace.errors import UserError
from pinrace.fleet.hosts import Host
from pinrace.host import sandbox
from pinrace.nightly import sources
from pinrace.paths import inside
from pinrace.races.race import folder, lab
from pinrace.report.mail import Letter
from pinrace.suites import kselftest, own
from pinrace.trees import checkout
from pinrace.values import Verdict

HARNESS = Path(procs.__file__).parent
RACE = 'about = "made up"\nkind = "program"\n'


def test_no_module_comes_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("b4", "drgn", "pinrace"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("print('taken from here')\n")
    monkeypatch.chdir(tmp_path)
    done = procs.run([*procs.PYTHON, "-c", "import pinrace, b4"], check=False, what="python")
    assert "taken from here" not in done.output
    with pytest.raises(AssertionError):
        assert "taken" not in procs.run([procs.PYTHON[0], "-c", "import b4"], what="python").output


def test_every_python_is_started_that_way() -> None:
    bad = []
    for path in HARNESS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.List | ast.Tuple):
                words = [ast.unparse(one) for one in node.elts]
                if "sys.executable" in words and "'-P'" not in words:
                    bad.append(f"{path.name}:{node.lineno}")
    assert not bad


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "link", "deep/link"])
def test_a_description_names_its_own_folder_alone(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("key")
    home = tmp_path / "series"
    (home / "deep").mkdir(parents=True)
    (home / "link").symlink_to("../secret")
    (home / "deep/link").symlink_to("../../secret")
    with pytest.raises(UserError, match="leads out"):
        inside(home, name)
    file = home / "mine.toml"
    file.write_text(f'name = "a"\nprogram = "{name}"\n')
    with pytest.raises(UserError, match="leads out"):
        own.find(str(file))
    file.write_text(f'name = "a"\ncommand = "true"\nfiles = ["{name}"]\n')
    with pytest.raises(UserError, match="leads out"):
        list(own.find(str(file))[0]._files())
    (home / folder.FILE).write_text(f'{RACE}source = "{name}"\n')
    with pytest.raises(UserError, match="leads out"):
        folder.load(home)


def test_a_link_inside_of_the_folder_is_fine(tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text("true\n")
    (tmp_path / "b.sh").symlink_to("a.sh")
    assert inside(tmp_path, "b.sh").read_text() == "true\n"


@pytest.mark.parametrize(
    "line",
    [
        'cmdline = ["a=b quiet"]',
        'cmdline = ["a loglevel=0"]',
        "cmdline = ['\"quiet\"']",
        'sysctl = {"kernel/printk" = "1"}',
        'sysctl = {".kernel.printk" = "1"}',
    ],
)
def test_no_other_spelling_makes_the_console_silent(line: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'name = "a"\ncommand = "true"\n{line}\n')
    with pytest.raises(UserError, match="off its console"):
        own.load_file(file)


def test_a_race_chooses_no_tree_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "race.c").touch()
    (tmp_path / folder.FILE).write_text(f'{RACE}tree = "https://a.example/linux#v7.3"\n')
    with pytest.raises(UserError, match="runs its code") as told:
        lab.tree_of(folder.load(tmp_path), lab.Wanted(abis=(), arches=()))
    assert "--tree" in told.value.hint


def test_a_packed_race_is_small(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for number in range(folder.MEMBERS + 1):
            archive.addfile(tarfile.TarInfo(f"a/{number}"))
    with pytest.raises(UserError, match="more than"), folder.opened(str(path)):
        pass
    with tarfile.open(path, "w:xz") as archive:
        info = tarfile.TarInfo("a/zeros")
        info.size = 1 << 20
        archive.addfile(info, BytesIO(bytes(info.size)))
    with pytest.raises(UserError, match="no packed race"), folder.opened(str(path)):
        pass


def test_a_checkout_is_told_without_its_programs(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@a.example", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "a").write_text("x")
    subprocess.run([*git, "add", "a"], check=True)
    subprocess.run([*git, "commit", "-qm", "a"], check=True)
    clean = checkout.version(tmp_path)
    program = tmp_path / ".git/run"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    subprocess.run([*git, "config", "core.fsmonitor", str(program)], check=True)
    (tmp_path / "a").write_text("y")
    assert checkout.version(tmp_path) == f"{clean}-dirty"
    assert not (tmp_path / "ran").exists()
    assert checkout.version(tmp_path / ".git") is None


def test_what_is_no_file_stays_out_of_a_guest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "test").write_text("x")
    assert [Path(one.path).name for one in kselftest._entries(tmp_path)] == ["test"]


@pytest.mark.parametrize("message", ["a\nBcc: b@c.example", "a\x00@b", "a@b\r\nTo: x@y", "ä@b", ""])
def test_a_message_id_is_no_header(message: str) -> None:
    mail = Letter("said", "body\n", Verdict.PASS, message).message(
        "A <a@a.example>", ["b@b.example"]
    )
    assert mail["In-Reply-To"] is None
    assert mail["Bcc"] is None
    assert mail.as_bytes()


def _feed(target: str) -> str:
    return (
        '<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>[PATCH] a</title>'
        f'<link href="{target}"/></entry></feed>'
    )


def test_one_bad_link_ends_no_round(tmp_path: Path) -> None:
    one, *_ = sources._of_feed(_feed("file:///etc/x@y/").encode(), "https://a.example")
    with pytest.raises(UserError, match="not encrypted"):
        one.materialize(tmp_path)


def test_a_feed_hides_no_entities_in_another_encoding() -> None:
    text = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]>{_feed("https://a.example/x@y/")}'
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        with pytest.raises(sources.InfrastructureError, match="no Atom feed"):
            sources._of_feed(text.encode(encoding), "https://a.example")


@pytest.mark.parametrize("more", [{"user": "-oProxyCommand=x"}, {"address": "-x"}, {"user": "a b"}])
def test_a_host_is_no_option_of_ssh(more: dict[str, str]) -> None:
    good = {"name": "a", "address": "192.0.2.1", "host_key": "ssh-ed25519 AAAA"}
    assert Host.model_validate(good | {"address": "fe80::1%eth0"})
    with pytest.raises(ValueError, match="pattern"):
        Host.model_validate(good | more)


def test_gdb_runs_nothing_that_lies_beside_a_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor in the current folder, even where the user's own gdbinit trusts every path."""
    program = shutil.which("gdb") or shutil.which("gdb-multiarch")
    if not program:
        pytest.skip("no gdb is installed")
    vmlinux = tmp_path / "vmlinux"
    shutil.copy("/bin/true", vmlinux)
    (tmp_path / "vmlinux-gdb.py").write_text("print('ran beside')\n")
    (tmp_path / ".gdbinit").write_text("echo ran here\n")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gdbinit").write_text("set auto-load safe-path /\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    words = ["-batch", str(vmlinux)]
    assert "ran beside" in procs.run([program, "-q", *words], cwd=tmp_path, what="gdb").output
    said = procs.run([program, *gdb.QUIET, *words], cwd=tmp_path, what="gdb").output
    assert "ran" not in said


def test_what_reads_a_dump_is_contained(tmp_path: Path) -> None:
    if not sandbox.contained():
        pytest.skip("this host has no sandbox")
    (tmp_path / "key").write_text("secret")
    asks = f"import pinrace.access.inspect, os; print(os.path.exists({str(tmp_path / 'key')!r}))"
    seen = sandbox.reads(*crash.PYTHON_SEES)
    assert sandbox.run([*procs.PYTHON, "-c", asks], binds=seen).output.strip() == "False"
