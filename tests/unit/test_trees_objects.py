# SPDX-License-Identifier: GPL-2.0-or-later
"""Trees into the object store: the same id as git's, complete or absent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from trees_common import MAKEFILE, expected_tree, git, kernel_folder, no_say, tarball

from pinrace import store
from pinrace.errors import InfrastructureError, UserError
from pinrace.trees import objects
from pinrace.trees.fetch import resolve
from pinrace.trees.git import in_store, repository

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return kernel_folder(tmp_path / "linux")


def refs() -> str:
    return in_store("for-each-ref", "--format=%(refname)").output


def import_path(path: Path) -> objects.Imported:
    return objects.import_file(path, store.digest_file(path), say=no_say)


@pytest.mark.parametrize("name", ["l.tar", "l.tar.gz", "l.tar.xz"])
def test_a_tarball_has_the_tree_id_that_git_gives(folder: Path, tmp_path: Path, name: str) -> None:
    imported = import_path(tarball(folder, tmp_path / name))
    assert imported.tree_id == expected_tree(folder)
    assert in_store("fsck", "--full", "--strict").status == 0
    assert f"refs/pinrace/base/{imported.tree_id}\n" in refs()
    assert objects.make_version(imported.commit) == "7.3.4-rc1"


def test_a_hard_link_is_a_file(folder: Path, tmp_path: Path) -> None:
    os.link(folder / "Kconfig", folder / "scripts/zz-same")
    imported = import_path(tarball(folder, tmp_path / "l.tar"))
    assert imported.tree_id == expected_tree(folder)


def test_debians_package(folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(
        "Package: linux-source-7.3\nVersion: 7.3.4-1\nArchitecture: all\n"
        "Maintainer: A <a@example.org>\nDescription: x\n"
    )
    (root / "usr/src").mkdir(parents=True)
    tarball(folder, root / "usr/src/linux-source-7.3.tar.xz", "linux-source-7.3")
    deb = tmp_path / "l.deb"
    subprocess.run(["dpkg-deb", "-b", root, deb], check=True, capture_output=True)
    assert import_path(deb).tree_id == expected_tree(folder)
    cut = tmp_path / "cut.deb"
    cut.write_bytes(deb.read_bytes()[:-600])
    with pytest.raises(UserError, match=r"cut\.deb"):
        import_path(cut)


@pytest.mark.parametrize("name", ["l.tar", "l.tar.gz", "l.tar.xz"])
@pytest.mark.parametrize("keep", ["half", "no end"])
def test_a_tarball_cut_short_leaves_nothing(
    folder: Path, tmp_path: Path, name: str, keep: str
) -> None:
    repository()
    whole = tarball(folder, tmp_path / name)
    size = whole.stat().st_size
    data = whole.read_bytes()
    if keep == "half":
        data = data[: size // 2]
    elif name == "l.tar":
        data = data.rstrip(b"\0") + b"\0" * (-len(data.rstrip(b"\0")) % 512)
    else:
        data = data[:-4]
    whole.write_bytes(data)
    with pytest.raises(UserError, match="damaged or cut short"):
        import_path(whole)
    assert refs() == ""
    assert list((repository() / "objects/pack").glob("*")) == []
    assert list(repository().parent.glob(".import-*")) == []


def test_a_digest_that_differs(folder: Path, tmp_path: Path) -> None:
    path = tarball(folder, tmp_path / "l.tar")
    with pytest.raises(InfrastructureError, match="has the digest"):
        objects.import_file(path, "0" * 64, say=no_say)


def test_what_is_no_kernel(folder: Path, tmp_path: Path) -> None:
    (folder / "kernel/fork.c").unlink()
    with pytest.raises(UserError, match=r"no kernel tree: it has no kernel/fork\.c"):
        import_path(tarball(folder, tmp_path / "l.tar"))
    with pytest.raises(UserError, match=r"kernel/fork\.c"):
        resolve(str(folder), say=no_say)
    assert refs() == ""


@pytest.mark.parametrize("name", ["linux/../../x", "other/x", "linux/.git/config"])
def test_a_tarball_that_leaves_its_folder(folder: Path, tmp_path: Path, name: str) -> None:
    path = tarball(folder, tmp_path / "l.tar", "linux")
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(UserError, match="is no path of one kernel tree"):
        import_path(path)


def test_two_processes_import_at_once(folder: Path, tmp_path: Path) -> None:
    path = tarball(folder, tmp_path / "l.tar.xz")
    code = (
        "import sys; from pinrace.trees.fetch import resolve;"
        "print(resolve(sys.argv[1], say=lambda line: None).tree_id)"
    )
    argv = [sys.executable, "-c", code, str(path)]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    ids = {process.communicate()[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert ids == {expected_tree(folder)}
    assert len(list((repository() / "objects/pack").glob("*.pack"))) == 1


def test_a_stale_draft_is_swept(folder: Path, tmp_path: Path) -> None:
    stale = repository().parent / ".import-killed"
    stale.mkdir()
    import_path(tarball(folder, tmp_path / "l.tar"))
    assert not stale.exists()


def test_a_plain_folder_counts_whole(folder: Path) -> None:
    (folder / "built.o").write_text("ignored, but no checkout says so")
    tree = resolve(str(folder), say=no_say)
    assert tree.tree_id == expected_tree(folder)
    assert (tree.version, tree.dirty, tree.verified) == ("7.3.4-rc1", False, "")
    (folder / ".config").touch()
    with pytest.raises(UserError, match="built in place"):
        resolve(str(folder), say=no_say)


def test_a_checkout_clean_and_dirty(folder: Path) -> None:
    git(folder, "init", "-q")
    (folder / "forced.o").write_text("tracked although ignored")
    git(folder, "add", "-A")
    git(folder, "add", "-f", "forced.o")
    git(folder, "commit", "-qm", "x")
    (folder / "ignored.o").write_text("never")
    clean = resolve(str(folder), say=no_say)
    names = in_store("ls-tree", "-r", "--name-only", clean.commit).output.split("\n")
    assert not clean.dirty
    assert "forced.o" in names
    assert "ignored.o" not in names
    before = git(folder, "status", "--porcelain"), (folder / ".git/index").read_bytes()
    (folder / "kernel/fork.c").write_text("changed\n")
    (folder / "new.c").write_text("untracked\n")
    (folder / "Kconfig").write_text("staged\n")
    (folder / "scripts/empty").unlink()
    dirty = resolve(str(folder), say=no_say)
    assert dirty.dirty
    assert dirty.label == "linux 7.3.4-rc1 (dirty)"
    shown = in_store("diff-tree", "-r", "--name-status", clean.commit, dirty.commit).output
    assert shown.split() == [
        *("M", "Kconfig", "M", "kernel/fork.c", "A", "new.c", "D", "scripts/empty")
    ]
    assert (folder / ".git/index").read_bytes() == before[1]
    shutil.rmtree(folder / "scripts")
    (folder / "scripts").write_text("a file where a folder was\n")
    assert resolve(str(folder), say=no_say).tree_id != dirty.tree_id


def test_a_folder_inside_a_foreign_checkout_is_no_checkout(folder: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert resolve(str(folder), say=no_say).tree_id == expected_tree(folder)


def test_variables_of_a_hook_do_not_lead_astray(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    tree = resolve(str(tarball(folder, tmp_path / "l.tar")), say=no_say)
    assert tree.tree_id == expected_tree(folder)
    assert not (tmp_path / "elsewhere").exists()


def test_a_makefile_without_a_version(folder: Path) -> None:
    (folder / "Makefile").write_text(MAKEFILE.replace("VERSION = 7", "V = 7", 1))
    with pytest.raises(UserError, match="names no VERSION"):
        resolve(str(folder), say=no_say)


def test_a_spec_that_stands_for_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"debian:MAJOR\.MINOR"):
        resolve("debian:sid", say=no_say)
    (tmp_path / "x.zip").touch()
    with pytest.raises(UserError, match="no tarball"):
        resolve(str(tmp_path / "x.zip"), say=no_say)
