# SPDX-License-Identifier: GPL-2.0-or-later
"""A series on a small tree: applied, in conflict, edited, exported."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from trees_common import SECCOMP, git, kernel_folder, no_say, person, tarball

from pinrace.errors import BuildError, UserError
from pinrace.series import load
from pinrace.trees.fetch import resolve
from pinrace.trees.git import show_file
from pinrace.trees.worktree import build_folder, worktree
from pinrace.values import Tree

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return kernel_folder(tmp_path / "linux")


@pytest.fixture
def tree(folder: Path, tmp_path: Path) -> Tree:
    return resolve(str(tarball(folder, tmp_path / "l.tar")), say=no_say)


@pytest.fixture
def patches(folder: Path, tmp_path: Path) -> Path:
    """Two patches, made by git from a checkout with the history of another project."""
    work = kernel_folder(tmp_path / "work")
    git(work, "init", "-q")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "base")
    source = work / "kernel/fork.c"
    source.write_text(SECCOMP.replace("line_5;", "five;").replace("line_35;", "thirtyfive;"))
    git(work, "commit", "-qam", "seccomp: rename two")
    (work / "kernel/new.c").write_text("int new;\n")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "seccomp: add a file\n\nCafé: not only ASCII.")
    into = tmp_path / "my series"
    git(work, "format-patch", "-q", "-2", "-o", str(into), "--zero-commit", "--cover-letter")
    return into


def test_load(patches: Path, tmp_path: Path) -> None:
    loaded = load.load_series(patches)
    assert loaded.name == "my-series"
    assert [p.name[:4] for p in loaded.patches] == ["0001", "0002"]  # no cover letter
    assert re.fullmatch("[0-9a-f]{64}", loaded.digest)
    loaded.patches[1].write_text(loaded.patches[1].read_text() + "\n")
    assert load.load_series(patches).digest != loaded.digest


def test_load_what_is_no_series(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no series"):
        load.load_series(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"has no \*\.patch"):
        load.load_series(tmp_path / "empty")
    for text, why in (("", "no mailed patch"), ("Subject: x\n\nhello\n", "holds no diff")):
        (tmp_path / "empty/1.patch").write_text(text)
        with pytest.raises(UserError, match=why):
            load.load_series(tmp_path / "empty")
    (tmp_path / "raw.patch").write_text("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
    with pytest.raises(UserError, match="no mailed patch"):
        load.load_series(tmp_path / "raw.patch")


def test_no_series_is_the_base(tree: Tree) -> None:
    patched = load.apply(tree, None, say=no_say)
    assert (patched.commit, patched.tree_id) == (tree.commit, tree.tree_id)


def test_apply_is_reproducible_and_done_once(
    tree: Tree, patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    first = load.apply(tree, load.load_series(patches), say=said.append)
    assert len(said) == 1
    assert show_file(first.commit, "kernel/new.c") == "int new;\n"
    assert "five;" in show_file(first.commit, "kernel/fork.c")
    with worktree(tree):  # the lock is held, so this would hang if it wanted the work tree
        assert load.apply(tree, load.load_series(patches), say=said.append) == first
    assert len(said) == 1
    monkeypatch.setenv("PINRACE_CACHE", str(tmp_path / "other"))
    person(monkeypatch)
    again = resolve(tree.spec, say=no_say)
    assert load.apply(again, load.load_series(patches), say=no_say).commit == first.commit


def test_an_mbox(tree: Tree, patches: Path, tmp_path: Path) -> None:
    loaded = load.load_series(patches)
    mbox = tmp_path / "all.mbox"
    mbox.write_bytes(b"\n".join(p.read_bytes() for p in loaded.patches))
    whole = load.load_series(mbox)
    assert (whole.name, len(whole.patches)) == ("all", 2)
    wanted = load.apply(tree, loaded, say=no_say).commit
    assert load.apply(tree, whole, say=no_say).commit == wanted


def break_patch(patches: Path) -> Path:
    """Let the second hunk of the first patch expect a line that the tree does not have."""
    first = load.load_series(patches).patches[0]
    text = first.read_text().replace("int line_34;", "int elsewhere;")
    first.write_text(re.sub(r"^index .*$", "index 1111111..2222222 100644", text, flags=re.M))
    return first


def test_a_conflict_names_patch_file_hunk_and_a_work_tree(
    tree: Tree, patches: Path, own_cache: Path
) -> None:
    first = break_patch(patches)
    with pytest.raises(BuildError) as caught:
        load.apply(tree, load.load_series(patches), say=no_say)
    what = caught.value.what
    assert f"patch 1 of 2, {first.name} (seccomp: rename two), does not apply to linux 7" in what
    assert "kernel/fork.c: hunk 2, at line 32" in what
    assert "hunk 1" not in what
    place = next((own_cache / "conflicts").iterdir())
    assert str(place) in caught.value.hint
    status = git(place, "status")
    assert "in the middle of an am session" in status
    # The person's work there survives another try.
    (place / "kernel/fork.c").write_text("half resolved\n")
    with pytest.raises(BuildError):
        load.apply(tree, load.load_series(patches), say=no_say)
    assert (place / "kernel/fork.c").read_text() == "half resolved\n"
    # The work tree of the builds is not left in the middle of anything.
    with worktree(tree) as held:
        held.checkout(tree.commit)
        assert git(held.path, "status", "--porcelain") == ""
        assert "am session" not in git(held.path, "status")


def test_a_resolved_conflict_is_a_series(tree: Tree, patches: Path, own_cache: Path) -> None:
    break_patch(patches)
    with pytest.raises(BuildError):
        load.apply(tree, load.load_series(patches), say=no_say)
    place = next((own_cache / "conflicts").iterdir())
    with pytest.raises(UserError, match="uncommitted work"):
        load.export(place, patches)
    (place / "kernel/fork.c").write_text(SECCOMP.replace("line_5;", "five;"))
    git(place, "add", "-A")
    git(place, "am", "--continue")
    written = load.export(place, patches)
    assert len(written) == 2
    patched = load.apply(tree, load.load_series(patches), say=no_say)
    assert "five;" in show_file(patched.commit, "kernel/fork.c")


def test_a_three_way_conflict_names_the_file(tree: Tree, patches: Path, tmp_path: Path) -> None:
    theirs = kernel_folder(tmp_path / "theirs")
    (theirs / "kernel/fork.c").write_text(SECCOMP.replace("line_5;", "cinq;"))
    other = resolve(str(tarball(theirs, tmp_path / "t.tar")), say=no_say)
    with pytest.raises(BuildError, match=r"CONFLICT .*kernel/fork\.c"):
        load.apply(other, load.load_series(patches), say=no_say)


def test_a_malformed_patch(tree: Tree, patches: Path) -> None:
    second = load.load_series(patches).patches[1]
    second.write_text(second.read_text().replace("@@ -0,0 +1 @@", "@@ -0,0 +1,9 @@"))
    with pytest.raises(BuildError, match=second.name):
        load.apply(tree, load.load_series(patches), say=no_say)


def test_the_worktree_is_repaired(tree: Tree) -> None:
    with worktree(tree) as held:
        held.checkout(tree.commit)
        path = held.path
        source, other = path / "kernel/fork.c", path / "Kconfig"
        kept = other.stat().st_mtime_ns
    admin = Path(git(path, "rev-parse", "--absolute-git-dir"))
    (admin / "index.lock").touch()
    (admin / "rebase-apply").mkdir()
    source.write_text("stray\n")
    (path / "stray.o").touch()
    with worktree(tree) as held:
        held.checkout(tree.commit)
        assert git(path, "status", "--porcelain", "--ignored") == ""
        assert source.read_text() == SECCOMP
        assert other.stat().st_mtime_ns == kept  # what did not differ is not built again
    (admin / "index").unlink()  # killed while the first checkout ran
    source.unlink()
    with worktree(tree) as held:
        held.checkout(tree.commit)
        assert source.read_text() == SECCOMP
    (path / ".git").unlink()
    with worktree(tree) as held:
        held.checkout(tree.commit)
        assert git(path, "status", "--porcelain") == ""


def test_builds_beside_the_source_are_left_alone(tree: Tree) -> None:
    with worktree(tree) as held:
        held.checkout(tree.commit)
        built = held.path.parent / "x86_64-plain" / "vmlinux"
        built.parent.mkdir()
        built.touch()
        held.checkout(tree.commit)
        assert built.exists()


def test_a_local_folder_keeps_its_work_tree(folder: Path) -> None:
    before = resolve(str(folder), say=no_say)
    (folder / "Kconfig").write_text("edited\n")
    after = resolve(str(folder), say=no_say)
    assert before.tree_id != after.tree_id
    assert build_folder(before) == build_folder(after)
    assert build_folder(replace(before, origin="tarball x")) != build_folder(before)


def test_the_lock_of_a_worktree_is_held(tree: Tree) -> None:
    code = (
        "import sys, filelock; from pinrace.paths import cache_dir;"
        "filelock.FileLock(cache_dir() / 'locks' / sys.argv[1]).acquire(timeout=0)"
    )
    argv = [sys.executable, "-c", code, f"build-{build_folder(tree).name}.lock"]
    with worktree(tree):
        held = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "could not be acquired" in held.stderr
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0


def names(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_export_of_an_unmodified_edit_is_the_same_bytes(
    tree: Tree, patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person(monkeypatch)
    first, second = tmp_path / "one", tmp_path / "two"
    place = load.edit(tree, load.load_series(patches), say=no_say)
    written = load.export(place, first)
    assert [p.name for p in written] == sorted(names(first))
    place = load.edit(tree, load.load_series(first), say=no_say)
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody Else")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "else@example.org")
    load.export(place, second)
    assert names(second) == names(first)
    stamps = [p.stat().st_mtime_ns for p in written]
    load.export(place, first)
    assert [p.stat().st_mtime_ns for p in written] == stamps
    text = written[0].read_text()
    assert text.startswith("From 0000000000000000000000000000000000000000 ")
    assert text.count("Signed-off-by: Ann Author <ann@example.org>") == 1
    assert not re.search(r"^-- $|base-commit", text, re.M)


def test_only_the_users_commits_are_signed_off(
    tree: Tree, patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person(monkeypatch)
    for key, value in (("NAME", "Bob Builder"), ("EMAIL", "bob@example.org")):
        monkeypatch.setenv(f"GIT_AUTHOR_{key}", value)
    place = load.edit(tree, load.load_series(patches), say=no_say)
    (place / "Kconfig").write_text("by bob\n")
    git(place, "commit", "-qam", "kconfig: x", "--author", "Bob Builder <bob@example.org>")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/0009-stale.patch").touch()
    (tmp_path / "out/README").touch()
    written = load.export(place, tmp_path / "out")
    signed = [re.findall(r"Signed-off-by: (\w+)", p.read_text()) for p in written]
    assert signed == [[], [], ["Bob"]]
    assert sorted(names(tmp_path / "out")) == sorted([*(p.name for p in written), "README"])


def test_export_to_a_folder_named_from_here(
    tree: Tree, patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = load.edit(tree, load.load_series(patches), say=no_say)
    monkeypatch.chdir(tmp_path)
    written = load.export(place, Path("here"))
    assert [p.name for p in written] == sorted(names(tmp_path / "here"))
    assert not (place / "here").exists()


def test_edit_does_not_clobber(tree: Tree, patches: Path, tmp_path: Path) -> None:
    loaded = load.load_series(patches)
    place = load.edit(tree, loaded, say=no_say)
    assert load.edit(tree, loaded, say=no_say) == place
    (place / "Kconfig").write_text("mine\n")
    with pytest.raises(UserError, match="holds uncommitted work"):
        load.edit(tree, loaded, say=no_say)
    git(place, "commit", "-qam", "mine")
    with pytest.raises(UserError, match="not exported"):
        load.edit(tree, loaded, say=no_say)
    assert (place / "Kconfig").read_text() == "mine\n"
    load.export(place, tmp_path / "out")
    load.edit(tree, loaded, say=no_say)
    assert (place / "Kconfig").read_text() != "mine\n"


def test_export_of_what_is_no_edit(tree: Tree, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no work tree"):
        load.export(tmp_path, tmp_path / "out")
    place = load.edit(tree, None, say=no_say)
    with pytest.raises(UserError, match="no commits on top"):
        load.export(place, tmp_path / "out")
    git(place, "checkout", "-q", "-b", "side")
    git(place, "commit", "-q", "--allow-empty", "-m", "side")
    git(place, "checkout", "-q", "-")
    git(place, "commit", "-q", "--allow-empty", "-m", "main")
    git(place, "merge", "-q", "side", "-m", "merge")
    with pytest.raises(UserError, match="holds a merge"):
        load.export(place, tmp_path / "out")


def test_edit_says_when_new_files_are_hidden(folder: Path, tree: Tree, tmp_path: Path) -> None:
    said: list[str] = []
    load.edit(tree, None, say=said.append)
    assert not any("git add -f" in line for line in said)
    (folder / ".gitignore").write_text("/*\n")
    hiding = resolve(str(tarball(folder, tmp_path / "hiding.tar")), say=no_say)
    load.edit(hiding, None, say=said.append)
    assert any("git add -f" in line for line in said)
