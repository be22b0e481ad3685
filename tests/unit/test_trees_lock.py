# SPDX-License-Identifier: GPL-2.0-or-later
"""The lock file, and what a run does with a pin."""

from __future__ import annotations

from pathlib import Path

import pytest
from trees_common import kernel_folder, no_say, tarball

from pinrace import paths, store
from pinrace.errors import InfrastructureError, PinraceError, UserError
from pinrace.trees import apt, fetch, lock, objects

PIN = lock.Pin("trixie", "6.12.1-1", "a" * 64)
SPEC = "debian:6.12"


@pytest.fixture(autouse=True)
def lock_file(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "LOCK_FILE", tmp_path / "trees.lock.toml")
    return tmp_path / "trees.lock.toml"


@pytest.fixture
def dead_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mirror that is not there."""
    monkeypatch.setenv(apt.MIRROR_VARIABLE, f"file:{tmp_path}/nothing")
    monkeypatch.setattr(fetch, "SUITES", ("trixie", "sid"))


def test_no_file_pins_nothing() -> None:
    assert lock.read() == {}


def test_what_is_written_is_read_and_is_deterministic(lock_file: Path) -> None:
    odd = lock.Pin("sid", 'a "quoted" \\ 1:2~3+é', "b" * 64, "c" * 40)
    lock.write("debian:7.2", PIN)
    lock.write(SPEC, odd)
    lock.write("debian:6.1", PIN)
    assert lock.read() == {"debian:6.1": PIN, SPEC: odd, "debian:7.2": PIN}
    assert list(lock.read()) == ["debian:6.1", SPEC, "debian:7.2"]
    first = lock_file.read_bytes()
    lock_file.unlink()
    for spec, pin in (("debian:6.1", PIN), (SPEC, odd), ("debian:7.2", PIN)):
        lock.write(spec, pin)
    assert lock_file.read_bytes() == first
    assert [p.name for p in lock_file.parent.glob(".trees*")] == []


def test_a_pin_that_is_the_same_is_not_written(lock_file: Path) -> None:
    lock.write(SPEC, PIN)
    lock_file.write_text(lock_file.read_text() + "# kept\n")
    lock.write(SPEC, PIN)
    assert lock_file.read_text().endswith("# kept\n")


@pytest.mark.parametrize(
    "text",
    ["[", 'x = 1\n["a"]', '["a"]\nsuite = "s"', '["a"]\nsuite="s"\nversion="1"\nsha256="zz"'],
)
def test_a_broken_file_is_said(lock_file: Path, text: str) -> None:
    lock_file.write_text(text + "\n")
    with pytest.raises(UserError, match=str(lock_file)):
        lock.read()


def test_the_projects_own_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "LOCK_FILE", paths.CONFIGS / "trees.lock.toml")
    assert fetch.DEFAULT_TREE in lock.read()
    assert all(pin.tree_id for pin in lock.read().values())


def imported(tmp_path: Path) -> tuple[objects.Imported, str]:
    """Bring a tree into the store; return it and the digest of its file."""
    path = tarball(kernel_folder(tmp_path / "linux"), tmp_path / "l.tar")
    sha256 = store.digest_file(path)
    return objects.import_file(path, sha256, say=no_say), sha256


@pytest.mark.usefixtures("dead_archive")
def test_a_pinned_tree_in_the_store_needs_no_network(tmp_path: Path) -> None:
    tree, sha256 = imported(tmp_path)
    lock.write(SPEC, lock.Pin("trixie", "6.12.1-1", sha256, tree.tree_id))
    for spec in (SPEC, "6.12"):
        found = fetch.resolve(spec, say=no_say)
        assert (found.version, found.tree_id) == ("6.12.1-1", tree.tree_id)
        assert (found.origin, found.verified) == ("debian trixie", "signature ok")


@pytest.mark.usefixtures("dead_archive")
def test_a_tree_that_is_not_the_pinned_one(tmp_path: Path) -> None:
    _, sha256 = imported(tmp_path)
    lock.write(SPEC, lock.Pin("trixie", "6.12.1-1", sha256, "0" * 40))
    with pytest.raises(InfrastructureError, match="became tree"):
        fetch.resolve(SPEC, say=no_say)


@pytest.mark.usefixtures("dead_archive")
@pytest.mark.parametrize("pinned", [True, False])
def test_a_dead_archive_is_no_user_error(pinned: bool, lock_file: Path) -> None:
    if pinned:
        lock.write(SPEC, PIN)
    before = lock_file.read_text() if pinned else ""
    with pytest.raises(PinraceError) as caught:
        fetch.resolve(SPEC, say=no_say)
    assert isinstance(caught.value, InfrastructureError)
    assert (lock_file.read_text() if pinned else "") == before


@pytest.mark.network
def test_a_version_that_the_archive_no_longer_has(monkeypatch: pytest.MonkeyPatch) -> None:
    lock.write(SPEC, PIN)
    said: list[str] = []
    old = lock.read()[SPEC]
    assert fetch._pinned_deb("6.12", old, said.append) is None
    assert any("6.12.1-1, which is pinned, is no longer in trixie" in line for line in said)
    monkeypatch.setattr(apt.AptRoot, "deb", lambda root, package, version: (root.suite, version))
    suite, version = fetch._newest_deb("6.12", old, said.append)
    assert suite == "trixie"
    assert version != old.version
