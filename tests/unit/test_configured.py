# SPDX-License-Identifier: GPL-2.0-or-later
"""When a .config that is there need not be made again, on a small tree of a real git."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinrace.kbuild import configured
from pinrace.kbuild.objects import Objects
from pinrace.trees.git import AUTHOR, COMMITTER, git

ASKED = "asked"


def commit(src: Path, name: str, text: str) -> None:
    file = src / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    git("add", "-A", cwd=src)
    git("commit", "--quiet", "-m", name, cwd=src, env={**AUTHOR, **COMMITTER})


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Objects]:
    """Return a tree, and a folder that is configured for it."""
    src, path = tmp_path / "src", tmp_path / "obj"
    src.mkdir()
    obj = Objects(path, path, src, keeps=True)
    obj.prepare()
    git("init", "--quiet", cwd=src)
    commit(src, "kernel/fork.c", "one\n")
    (obj.path / ".config").write_text("CONFIG_SECCOMP=y\n")
    configured.note(obj, ASKED)
    return src, obj


def test_a_change_of_code_needs_no_new_configuration(place: tuple[Path, Objects]) -> None:
    src, obj = place
    assert configured.holds(obj, ASKED)
    commit(src, "kernel/fork.c", "two\n")
    assert configured.holds(obj, ASKED)
    assert not configured.holds(obj, "asked for something else")


@pytest.mark.parametrize(
    "name",
    [
        "Kconfig",
        "arch/arm64/Kconfig.platforms",
        "kernel/Kconfig.preempt",
        "Makefile",
        "scripts/cc-version.sh",
        "scripts/kconfig/conf.c",
        "arch/powerpc/tools/check.sh",
        "kernel/configs/tiny.config",
    ],
)
def test_what_kconfig_reads_does(place: tuple[Path, Objects], name: str) -> None:
    src, obj = place
    commit(src, name, "other\n")
    assert not configured.holds(obj, ASKED)


def test_a_config_that_someone_changed_or_lost_is_made_again(place: tuple[Path, Objects]) -> None:
    _, obj = place
    (obj.path / ".config").write_text("CONFIG_SECCOMP=n\n")
    assert not configured.holds(obj, ASKED)
    (obj.path / ".config").unlink()
    assert not configured.holds(obj, ASKED)


def test_a_commit_that_is_gone_or_a_note_that_is_damaged_proves_nothing(
    place: tuple[Path, Objects],
) -> None:
    _, obj = place
    note = obj.state / configured.NAME
    text = note.read_text()
    note.write_text(text.replace('"commit": "', '"commit": "f'))
    assert not configured.holds(obj, ASKED)
    note.write_text("{")
    assert not configured.holds(obj, ASKED)
    note.unlink()
    assert not configured.holds(obj, ASKED)


def test_a_script_that_is_moved_away_is_missed(place: tuple[Path, Objects]) -> None:
    src, obj = place
    commit(src, "scripts/check.py", "one\n" * 20)
    configured.note(obj, ASKED)
    git("mv", "scripts/check.py", "kernel/check.py", cwd=src)
    commit(src, "kernel/fork.c", "two\n")
    assert not configured.holds(obj, ASKED)
