# SPDX-License-Identifier: GPL-2.0-or-later
"""The series that is judged is the series that was sent: kinds of folders, and a patch on top."""

from __future__ import annotations

from pathlib import Path

import pytest
from mails_common import changed, cover, folder_of, mail, three
from trees_common import kernel_folder, no_say, tarball

from pinrace.errors import ApplyError, UserError
from pinrace.series import load, manifest
from pinrace.suites import own
from pinrace.trees.fetch import resolve
from pinrace.values import Tree

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    made = tarball(kernel_folder(tmp_path / "linux"), tmp_path / "l.tar")
    return resolve(str(made), say=no_say)


def test_a_maildir_and_saved_mails(tree: Tree, tmp_path: Path) -> None:
    for name in ("cur", "new", "tmp"):
        (tmp_path / "dir" / name).mkdir(parents=True)
    for number, text in enumerate(three()):
        where = ("cur", "new")[number % 2]
        (tmp_path / "dir" / where / f"{9 - number}.host:2,S").write_text(text.split("\n", 1)[1])
    found = load.load(str(tmp_path / "dir"), say=no_say)
    assert found
    assert changed(tree, found) == [10, 20, 30]
    saved = folder_of(tmp_path / "saved", {f"{n}.eml": t for n, t in enumerate(three())})
    assert changed(tree, load.load_series(saved)) == [10, 20, 30]


def test_folders(tree: Tree, tmp_path: Path) -> None:
    mails = three()
    names = {f"v2-000{n}-x.patch": text for n, text in enumerate(mails, 1)}
    names["v2-0000-cover-letter.patch"] = cover("[PATCH v2 0/3]")
    found = load.load_series(folder_of(tmp_path / "v2", names))
    assert (len(found.patches), changed(tree, found)) == (3, [10, 20, 30])
    assert found.patches[0].parent == tmp_path / "v2"  # git takes them as they are
    whole = {"all.patch": "".join(mails)}
    assert load.load_series(folder_of(tmp_path / "whole", whole)).count == "3 patches"
    mixed = {"0001-a.patch": mails[0], "0002-b.diff": mails[1], "0003-c.PATCH": mails[2]}
    mixed |= {"0001-a.patch~": "left by an editor", "0002-b.patch.orig": "", "README": ""}
    assert changed(tree, load.load_series(folder_of(tmp_path / "mixed", mixed))) == [10, 20, 30]


def test_what_lies_beside_patches_that_git_does_not_take_as_they_are(
    tree: Tree, tmp_path: Path
) -> None:
    """The patches are written anew elsewhere, and the folder stays that of the series."""
    texts = {f"000{n}-x.patch": text.replace("\n", "\r\n") for n, text in enumerate(three(), 1)}
    suite = '[[suite]]\nname = "x"\nprogram = "x.sh"\n'
    place = folder_of(tmp_path / "f", texts | {manifest.FILE: suite, "x.sh": "#!/bin/sh\n"})
    found = load.load_series(place)
    assert found.patches[0].parent != place
    assert own.of_series(found) == [f"{place / manifest.FILE}:x"]
    (place / manifest.FILE).write_text('[[requires]]\nwhat="z"\nfile="Makefile"\ntext="zzz"\n')
    with pytest.raises(UserError, match="not applicable"):
        load.apply(tree, found, say=no_say)
    (place / manifest.FILE).unlink()
    (place / "0001-x.patch").write_text(texts["0001-x.patch"].replace("line_10", "gone"))
    with pytest.raises(ApplyError, match=f"--into {place}"):
        load.apply(tree, load.load_series(place), say=no_say)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"0001-a.patch": 1, "0003-c.patch": 3}, "no file is number 0002"),
        ({"0002-b.patch": 2, "0003-c.patch": 3}, "begin with 0002: 0001 is missing"),
        ({"0001-a.patch": 1, "0001-b.patch": 2, "0002-c.patch": 3}, "have the same number"),
        ({"a.patch": 1, "c.patch": 3}, "2/3 is missing"),
        ({"a.patch": 2, "b.patch": 1, "c.patch": 3}, "comes behind"),
        ({"a.patch": 1, "b.patch": 2, "c.patch": 3, "d.mbox": 3}, "also holds d.mbox"),
        ({"0001-a.patch": 1, "v2-0001-a.patch": 1}, "several versions"),
        ({"a.patch": 1, "b.patch": 0}, "b.patch is empty"),
        ({"9-a.patch": 1, "10-b.patch": 2, "11-c.patch": 3}, "11-c.patch comes before 9-a.patch"),
        ({"0001-a.patch": 1, "0002-b.txt": 2}, "also holds 0002-b.txt"),
        ({"0001-a.patch": 1, "0002-b.patch.gz": 2}, "also holds 0002-b.patch.gz"),
    ],
)
def test_folders_that_are_no_series(tmp_path: Path, files: dict[str, int], why: str) -> None:
    mails = ["", *three()]
    place = folder_of(tmp_path / "f", {name: mails[number] for name, number in files.items()})
    with pytest.raises(UserError, match=why):
        load.load_series(place)


def test_a_quilt_series_file(tree: Tree, tmp_path: Path) -> None:
    one, two, three_ = (mail("[PATCH]", n * 10) for n in (1, 2, 3))
    files = {"c.patch": one, "sub/b.patch": two, "a-off.patch": three_}
    files["series"] = "# order\nsub/b.patch -p1\n\nc.patch -pab # first\n#a-off.patch\n"
    place = folder_of(tmp_path / "q", files)
    said: list[str] = []
    found = load.load(str(place), say=said.append)
    assert found
    assert [p.name for p in found.patches] == ["b.patch", "c.patch"]
    assert changed(tree, found) == [10, 20]
    assert said == ["q: not in its file series, so left out: a-off.patch"]
    top = tmp_path / "top"
    top.mkdir()
    place.rename(top / "patches")
    assert load.load_series(top).count == "2 patches"
    for line, why in (
        ("c.patch -p0", "is to be applied with -p0, and git am takes -p1"),
        ("c.patch -R", "is to be applied with -R"),
        ("+guard c.patch", "is a guard"),
        ("gone.patch", "there is no"),
        ("c.patch\nc.patch", "is there twice"),
        ("# nothing", "lists no patch"),
        ("''", "there is no"),
        ("x" * 5000, "cannot be used as a path"),
    ):
        (top / "patches/series").write_text(f"{line}\n")
        with pytest.raises(UserError, match=why):
            load.load_series(top)


def test_a_patch_on_top(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plant.patch").write_text(mail("[PATCH 3/7]", 20))
    (tmp_path / "s.mbox").write_text("".join(mail(f"[PATCH {n}/2]", n * 5) for n in (1, 2)))
    found = load.load(f"none+{tmp_path / 'plant.patch'}", say=no_say)
    assert found
    assert (found.name, changed(tree, found)) == ("none+plant", [20])
    assert load.apply(tree, found, say=no_say).label == "linux 7.3.4-rc1 + none+plant"
    assert load.load(found.spec, say=no_say) == found
    monkeypatch.chdir(tmp_path)
    both = load.load("s.mbox+plant.patch", say=no_say)
    assert both
    assert (both.name, changed(tree, both)) == ("s+plant", [5, 10, 20])
    assert load.load(both.spec, say=no_say) == both
    mutant = load.load("none+fail-open", say=no_say)
    assert mutant
    assert (mutant.name, mutant.spec) == ("none+fail-open", "none+fail-open")
    with pytest.raises(UserError, match="there is no patch 'nosuch'"):
        load.load("none+nosuch", say=no_say)
    with pytest.raises(UserError, match="there is no patch 'nosuch'"):
        load.load("pin-args+nosuch", say=no_say)
    with pytest.raises(UserError, match="holds 2 patches"):
        load.load("none+s.mbox", say=no_say)
