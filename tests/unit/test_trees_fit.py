# SPDX-License-Identifier: GPL-2.0-or-later
"""A tree that lacks what a series builds on is not one on which the series fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from trees_common import kernel_folder, no_say, tarball

from pinrace.cli.options import DEFAULT_SERIES
from pinrace.errors import Exit, UserError
from pinrace.series import fit, manifest
from pinrace.series.apply import apply
from pinrace.trees.fetch import resolve
from pinrace.values import Series, Tree

pytestmark = pytest.mark.usefixtures("own_cache")

NEED = '[[requires]]\nwhat = "line 5 (7.3)"\nfile = "{file}"\ntext = "{text}"\n'


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    packed = tarball(kernel_folder(tmp_path / "linux"), tmp_path / "l.tar")
    return resolve(str(packed), say=no_say)


def series(folder: Path, text: str) -> Series:
    (folder / manifest.FILE).write_text(text)
    return Series("s", "0" * 64, (folder / "0001-x.patch",))


def test_what_is_there_is_enough(tree: Tree, tmp_path: Path) -> None:
    fit.check(tree, series(tmp_path, NEED.format(file="kernel/fork.c", text="line_5;")))
    fit.check(tree, series(tmp_path, ""))
    (tmp_path / manifest.FILE).unlink()
    fit.check(tree, Series("s", "0" * 64, (tmp_path / "0001-x.patch",)))


@pytest.mark.parametrize(
    ("file", "text"), [("kernel/fork.c", "line_.;"), ("kernel/none.c", "line_5;")]
)
def test_what_is_lacking_is_named(tree: Tree, tmp_path: Path, file: str, text: str) -> None:
    with pytest.raises(fit.NotApplicableError, match="line 5") as caught:
        apply(tree, series(tmp_path, NEED.format(file=file, text=text)), say=no_say)
    assert caught.value.lacks == ("line 5 (7.3)",)
    assert caught.value.exit_code == Exit.USAGE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("requires = 1", "does not describe a series:\n  requires: "),
        ("[[requires]]\nwhat = 'x'", "does not describe a series:\n  requires.0.file: "),
        ("= =", "is no TOML"),
    ],
)
def test_a_malformed_file_is_said(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        manifest.read(manifest.folder_of(series(tmp_path, text)))


def test_the_projects_own_file_is_read() -> None:
    assert manifest.read(DEFAULT_SERIES).requires
