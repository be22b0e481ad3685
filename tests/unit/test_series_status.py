# SPDX-License-Identifier: GPL-2.0-or-later
"""How series stand on made-up trees: each kind, the table, the exit code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from trees_common import SECCOMP, git, kernel_folder, no_say, tarball

from pinrace.cli.main import main
from pinrace.engine import build
from pinrace.errors import BuildError, Exit, InfrastructureError
from pinrace.series import load, status
from pinrace.series.status import Fit
from pinrace.trees.fetch import resolve
from pinrace.trees.git import in_store
from pinrace.trees.worktree import ensure
from pinrace.values import Tree

pytestmark = pytest.mark.usefixtures("own_cache")

TREES = {
    "same": SECCOMP,
    "moved": "int above;\n" * 4 + SECCOMP,
    "merged": SECCOMP.replace("line_2;", "deux;"),  # a line of the first hunk's context
    "conflict": SECCOMP.replace("line_35;", "autre;"),
    "partly": SECCOMP,
    "there": SECCOMP.replace("line_5;", "five;")
    .replace("line_35;", "thirtyfive;")
    .replace("line_37;", "thirtyseven;"),
}


@pytest.fixture
def tars(tmp_path: Path) -> dict[str, Path]:
    """The trees as files; the first must be known, as the base of merges."""
    found = {}
    for name, text in TREES.items():
        folder = kernel_folder(tmp_path / "trees" / name)
        (folder / "kernel/fork.c").write_text(text)
        found[name] = tarball(folder, tmp_path / f"{name}.tar")
        if name in ("there", "partly"):
            (folder / "kernel/new.c").write_text("int new;\n")
            found[name] = tarball(folder, tmp_path / f"{name}.tar")
    resolve(str(found["same"]), say=no_say)
    return found


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    work = kernel_folder(tmp_path / "work")
    git(work, "init", "-q")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "base")
    (work / "kernel/new.c").write_text("int new;\n")
    git(work, "add", "-A")
    git(work, "commit", "-qm", "seccomp: add a file")
    (work / "kernel/fork.c").write_text(TREES["there"].replace("thirtyseven", "line_37"))
    git(work, "commit", "-qam", "seccomp: rename two, café")
    (work / "kernel/fork.c").write_text(TREES["there"])
    git(work, "commit", "-qam", "seccomp: rename one more")
    git(work, "format-patch", "-q", "-3", "-o", str(tmp_path / "mine"), "--full-index")
    return tmp_path / "mine"


def stand(tars: dict[str, Path], patches: Path, name: str) -> status.Standing:
    tree = resolve(str(tars[name]), say=no_say)
    return status.stand(tree, load.load_series(patches), say=no_say)


@pytest.mark.parametrize(
    ("name", "fit", "notes"),
    [
        ("same", Fit.CLEAN, r""),
        ("moved", Fit.MOVED, r"patch 2 \(seccomp: rename two, café\) .*\n.*2 hunks, offset 4\n"),
        ("merged", Fit.MERGED, r"^patch 2 \(seccomp: rename two, café\) applies by merge$"),
        ("there", Fit.THERE, r"^patch 1 .* is there already\npatch 2 "),
        ("partly", Fit.CLEAN, r"^patch 1 \(seccomp: add a file\) is there already$"),
        ("conflict", Fit.CONFLICT, r"^patch 2 of 3, 0002-.*\nCONFLICT .*kernel/fork\.c$"),
    ],
)
def test_each_kind(
    tars: dict[str, Path], patches: Path, own_cache: Path, name: str, fit: Fit, notes: str
) -> None:
    standing = stand(tars, patches, name)
    assert standing.fit is fit
    assert re.search(notes, "\n".join(standing.notes)), standing.notes
    assert bool(notes) == bool(standing.notes)
    assert (standing.patched is None) == (fit is Fit.CONFLICT)
    # Nothing is checked out, and nothing is left.
    assert not (own_cache / "conflicts").exists()
    assert not (own_cache / "build").exists()
    assert list((own_cache / "scratch").iterdir()) == []
    assert in_store("worktree", "list").output.count("\n") == 1


def test_without_the_blobs_a_hunk_is_named(tars: dict[str, Path], patches: Path) -> None:
    for patch in patches.iterdir():
        text = re.sub(
            r"^index .*$", f"index {'1' * 40}..{'2' * 40} 100644", patch.read_text(), flags=re.M
        )
        patch.write_text(text)
    notes = "\n".join(stand(tars, patches, "conflict").notes)
    assert "kernel/fork.c: hunk 2, at line 32" in notes


def test_what_it_became_is_what_apply_makes(
    tars: dict[str, Path], patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all files checked out, git am comes to the same commits."""
    loaded = load.load_series(patches)
    for name in ("same", "moved", "merged"):
        tree = resolve(str(tars[name]), say=no_say)
        patched = load.apply(tree, loaded, say=no_say)
        whole = tmp_path / f"whole-{name}"
        in_store("worktree", "add", "--quiet", "--detach", whole, tree.commit)
        for key in ("GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
            monkeypatch.setenv(key, "x")
        git(whole, "am", "-q", "--3way", *map(str, loaded.patches))
        assert git(whole, "rev-parse", "HEAD^{tree}") == patched.tree_id


def test_a_killed_scratch_is_swept(tars: dict[str, Path], patches: Path, own_cache: Path) -> None:
    tree, loaded = resolve(str(tars["same"]), say=no_say), load.load_series(patches)
    stale = own_cache / "scratch" / f"{tree.tree_id[:12]}-{loaded.digest[:12]}"
    ensure(stale, tree.commit)
    git(stale, "read-tree", "HEAD")
    (stale / "kernel").mkdir()
    (stale / "kernel/fork.c").write_text("half\n")
    assert load.apply(tree, loaded, say=no_say).commit
    assert not stale.exists()


def ran(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["series", "status", *words])
    caught = capsys.readouterr()
    return code, caught.out + caught.err


def test_the_table(
    tars: dict[str, Path], patches: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ("--series", str(patches))
    code, said = ran(capsys, "--trees", f"{tars['same']}, {tars['moved']}", *line)
    assert code == Exit.OK, said
    assert re.search(r"^tree +series +applies$", said, re.M)
    assert re.search(r"^linux 7\.3\.4-rc1 +mine +applies$", said, re.M)
    assert re.search(r"^linux 7\.3\.4-rc1 +mine +applies with offsets$", said, re.M)
    code, said = ran(capsys, "--trees", f"{tars['conflict']},{tars['same']}", *line)
    assert code == Exit.BUILD
    assert re.search(r"^linux 7\.3\.4-rc1 +mine +conflicts$", said, re.M)
    assert "CONFLICT" in said
    code, said = ran(capsys, "--trees", f"file://{tmp_path}/none#v1,{tars['same']}", *line)
    assert code == Exit.INFRA
    assert "cannot be had" in said
    assert re.search(r"^linux 7\.3\.4-rc1 +mine +applies$", said, re.M)
    for wrong in (" , ", "nothing"):
        assert ran(capsys, *line, "--trees", wrong)[0] == Exit.USAGE
    assert ran(capsys, "--trees", str(tars["same"]), "--series", "none")[0] == Exit.USAGE


def test_a_tree_too_old(
    tars: dict[str, Path], patches: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (patches / "series.toml").write_text(
        '[[requires]]\nwhat = "a thing"\nfile = "Kconfig"\ntext = "nothing of that"\n'
    )
    code, said = ran(capsys, "--trees", str(tars["same"]), "--series", str(patches))
    assert code == Exit.OK
    assert "not for this tree" in said
    assert "it lacks a thing" in said


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (None, Exit.OK, "yes"),
        (BuildError("make failed"), Exit.BUILD, "NO"),
        (InfrastructureError("no disk"), Exit.INFRA, "cannot"),
    ],
)
def test_what_builds(
    tars: dict[str, Path],
    patches: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception | None,
    code: Exit,
    word: str,
) -> None:
    """Only what applies is built; a made-up tree cannot be, so the build is stood in for."""
    built: list[Tree] = []

    def prepare(_asked: object, tree: Tree, *_: object, **__: object) -> None:
        built.append(tree)
        if error:
            raise error

    monkeypatch.setattr(build, "prepare", prepare)
    trees = f"{tars['same']},{tars['conflict']}"
    _, said = ran(capsys, "--trees", trees, "--series", str(patches), "--build")
    assert len(built) == 1
    assert re.search(r"^tree +series +applies +builds$", said, re.M)
    assert re.search(rf"^linux 7\.3\.4-rc1 +mine +applies +{word}$", said, re.M)
    assert not error or str(error) in said
    got, _ = ran(capsys, "--trees", str(tars["same"]), "--series", str(patches), "--build")
    assert got == code
