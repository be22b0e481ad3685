# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees that mean harm: archives without bounds, odd members, configuration that names programs."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import subprocess
import tarfile
from argparse import Namespace
from pathlib import Path
from typing import cast

import pytest
from trees_common import MAKEFILE, SECCOMP, git, kernel_folder, no_say

from pinrace import store
from pinrace.errors import UserError
from pinrace.races import rebuild
from pinrace.races.replay.words import Words
from pinrace.trees import fastimport, objects
from pinrace.trees.fetch import is_published, resolve
from pinrace.trees.git import in_store, repository, show_file

pytestmark = pytest.mark.usefixtures("own_cache")


def member(name: str, size: int = 0, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"linux/{name}")
    info.size = size
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def archive(path: Path, *odd: tuple[tarfile.TarInfo, bytes]) -> Path:
    """A small tree, and then what is odd."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, text in (("Makefile", MAKEFILE), ("Kconfig", ""), ("kernel/fork.c", SECCOMP)):
            tar.addfile(member(name, len(text)), io.BytesIO(text.encode()))
        for info, content in odd:
            tar.addfile(info, io.BytesIO(content))
    return path


def import_path(path: Path) -> objects.Imported:
    return objects.import_file(path, store.digest_file(path), say=no_say)


@pytest.mark.parametrize(
    ("info", "why"),
    [
        (member("pipe", type=tarfile.FIFOTYPE), "'linux/pipe' is no file, folder or link"),
        (member("disk", type=tarfile.BLKTYPE), "'linux/disk' is no file, folder or link"),
        (member("tty", type=tarfile.CHRTYPE), "'linux/tty' is no file, folder or link"),
        (member(".GIT/hooks/x"), "is no path of one kernel tree"),
        (member("a/git~1/x"), "is no path of one kernel tree"),
        (member("a/.git. /x"), "is no path of one kernel tree"),
        (member("a/.git::$INDEX_ALLOCATION/x"), "is no path of one kernel tree"),
        (member("a//b"), "is no path of one kernel tree"),
        (member("a/./b"), "is no path of one kernel tree"),
        (member("a/../b"), "is no path of one kernel tree"),
        (member("x", type=tarfile.LNKTYPE, linkname="linux/none"), "is a hard link to"),
        (member("x", type=tarfile.LNKTYPE, linkname="/etc/passwd"), "is a hard link to"),
        (member("x", type=tarfile.LNKTYPE, linkname="linux/x"), "is a hard link to"),
        (member("x", type=tarfile.GNUTYPE_SPARSE), "is a sparse file"),
    ],
)
def test_members_that_no_kernel_has(tmp_path: Path, info: tarfile.TarInfo, why: str) -> None:
    repository()
    with pytest.raises(UserError, match=why) as caught:
        import_path(archive(tmp_path / "l.tar", (info, b"")))
    assert caught.value.what.startswith("l.tar cannot be taken: ")
    assert in_store("for-each-ref").output == ""


def test_a_member_without_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header says so; nothing of it is read."""
    whole = archive(tmp_path / "l.tar").read_bytes().rstrip(b"\0")
    whole += b"\0" * (-len(whole) % 512)
    huge = member("huge.bin", 64 << 30).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "l.tar").write_bytes(whole + huge)
    with pytest.raises(UserError, match=r"'linux/huge.bin' has 68719476736 bytes"):
        import_path(tmp_path / "l.tar")
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
        name = member("name", 8 << 30, type=kind).tobuf(tarfile.GNU_FORMAT)
        (tmp_path / "l.tar").write_bytes(whole + name)
        with pytest.raises(UserError, match="a name or header in it has 8589934592 bytes"):
            import_path(tmp_path / "l.tar")
    monkeypatch.setattr(fastimport, "FILES_LIMIT", 2)
    with pytest.raises(UserError, match="more than 2 files"):
        import_path(archive(tmp_path / "l.tar"))


@pytest.mark.parametrize("name", ["l.tar.gz", "l.tar.xz"])
def test_a_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(fastimport, "TOTAL_LIMIT", 4 << 20)
    pack = gzip.compress if name.endswith("gz") else lzma.compress
    plain = archive(tmp_path / "l.tar").read_bytes()
    (tmp_path / name).write_bytes(pack(plain + b"\0" * (16 << 20)))
    with pytest.raises(UserError, match="holds more than 0 GiB"):
        import_path(tmp_path / name)
    zeros = (member("zeros", 8 << 20), b"\0" * (8 << 20))
    (tmp_path / name).write_bytes(pack(archive(tmp_path / "l.tar", zeros).read_bytes()))
    with pytest.raises(UserError, match="holds more than 0 GiB"):
        import_path(tmp_path / name)


def test_odd_things_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kernel_folder(tmp_path / "linux")
    os.mkfifo(folder / "scripts/pipe")
    with pytest.raises(UserError, match=r"holds scripts/pipe, which is no file, folder or link"):
        resolve(str(folder), say=no_say)
    (folder / "scripts/pipe").unlink()
    monkeypatch.setattr(objects, "MEMBER_LIMIT", 1 << 20)
    with (folder / "hole").open("wb") as hole:
        hole.truncate(2 << 20)
    with pytest.raises(UserError, match="holds hole of 2 MiB, which is no source"):
        resolve(str(folder), say=no_say)


def test_a_version_is_one_word(tmp_path: Path) -> None:
    folder = kernel_folder(tmp_path / "linux")
    (folder / "Makefile").write_text(MAKEFILE.replace("-rc1", "\x1b]0;x\x07/../$(id)"))
    assert resolve(str(folder), say=no_say).version == "7.3.4__0_x__..___id_"


@pytest.fixture
def trap(tmp_path: Path) -> tuple[Path, Path]:
    """A checkout whose configuration names a program wherever git may start one."""
    folder, told = kernel_folder(tmp_path / "linux"), tmp_path / "RAN"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 >> {told}\ncat\n")
    program.chmod(0o755)
    git(folder, "init", "-q")
    (folder / ".gitattributes").write_text("*.c filter=trap diff=trap merge=trap\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")
    (tmp_path / "more").write_text(f'[filter "trap"]\n\tprocess = {program}\n\trequired\n')
    names = {
        "core.fsmonitor": program,
        "core.hooksPath": tmp_path,
        "core.sshCommand": program,
        "core.pager": program,
        "core.editor": program,
        "core.attributesFile": tmp_path / "attributes",
        "core.untrackedCache": "true",
        "core.alternateRefsCommand": program,
        "gpg.program": program,
        "diff.external": program,
        "diff.trap.textconv": program,
        "filter.trap.clean": program,
        "filter.trap.smudge": program,
        "filter.other.clean": program,
        "include.path": tmp_path / "more",
        "remote.origin.url": f"ext::{program}",
        "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
        "uploadpack.packObjectsHook": program,
        "alias.status": f"!{program}",
        "alias.ls-files": f"!{program}",
        "credential.helper": f"!{program}",
    }
    (tmp_path / "attributes").write_text("* filter=other\n")
    for hook in ("post-index-change", "reference-transaction", "post-checkout"):
        (tmp_path / hook).symlink_to(program)
        (folder / ".git/hooks").mkdir(exist_ok=True)
        (folder / f".git/hooks/{hook}").symlink_to(program)
    for name, value in names.items():
        git(folder, "config", name, str(value))
    told.unlink(missing_ok=True)
    return folder, told


def test_a_checkout_runs_nothing(trap: tuple[Path, Path]) -> None:
    folder, told = trap
    os.utime(folder / "kernel/fork.c", (1, 1))  # git has to compare what it holds
    tree = resolve(str(folder), say=no_say)
    assert not told.exists()
    assert not tree.dirty
    (folder / "kernel/fork.c").write_text("changed\n")
    changed = resolve(str(folder), say=no_say)
    assert not told.exists()
    assert changed.dirty
    assert show_file(changed.commit, "kernel/fork.c") == "changed\n"
    # The trap itself works: git, asked there, runs the program.
    subprocess.run(["git", "-C", folder, "status"], capture_output=True, check=False)
    assert "program" in told.read_text()


def test_a_checkout_of_another_kind(tmp_path: Path) -> None:
    """A split index, a linked work tree and SHA-256 are seen as git sees them."""
    folder = kernel_folder(tmp_path / "linux")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")
    git(folder, "update-index", "--split-index")
    git(folder, "worktree", "add", "-q", str(tmp_path / "linked"))
    other = kernel_folder(tmp_path / "other")
    git(other, "init", "-q", "--object-format=sha256")
    git(other, "add", "-A")
    git(other, "commit", "-qm", "x")
    for place in (folder, tmp_path / "linked", other):
        assert not resolve(str(place), say=no_say).dirty
        (place / "Kconfig").write_text("changed\n")
        assert resolve(str(place), say=no_say).dirty


def test_settings_that_only_compare_count(tmp_path: Path) -> None:
    folder = kernel_folder(tmp_path / "linux")
    git(folder, "init", "-q")
    git(folder, "config", "core.autocrlf", "true")
    (folder / "Kconfig").write_bytes(b"mainmenu\r\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")
    assert not resolve(str(folder), say=no_say).dirty
    (folder / ".git/info/exclude").write_text("*.orig\n")
    (folder / "x.orig").touch()
    assert not resolve(str(folder), say=no_say).dirty


def test_a_token_does_not_choose_whose_code_runs() -> None:
    for spec in ("debian:7.3", "7.3", "debian:7.3@newest", "stable", "v7.3", "7.3.1"):
        assert is_published(spec), spec
    for spec in ("https://x.example/l.git#v7.3", "file:///x#v1", "/home/x/linux", "l.tar.gz", ""):
        assert not is_published(spec), spec
        token = cast(Words, Namespace(abi="x86_64", tree=spec, patched="1", flavor="plain"))
        args = Namespace(tree=None, series="none", insecure=False)
        with pytest.raises(UserError, match="runs its code on this host") as caught:
            rebuild.rebuild(token, args)
        assert spec in caught.value.what
        assert f"--tree {spec}" in caught.value.hint or not spec or "#" in spec


def test_the_short_form_of_ssh() -> None:
    with pytest.raises(UserError, match="is an address in the short form of ssh") as caught:
        resolve("git@host.example:path/linux.git#v7.3", say=no_say)
    assert caught.value.hint == "write ssh://git@host.example/path/linux.git#v7.3"


def test_one_tree_has_one_version(tmp_path: Path) -> None:
    folder = kernel_folder(tmp_path / "linux")
    (folder / "Makefile").write_text(MAKEFILE.replace("SUBLEVEL = 4", "SUBLEVEL = 0"))
    assert resolve(str(folder), say=no_say).version == "7.3-rc1"
