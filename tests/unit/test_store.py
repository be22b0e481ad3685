# SPDX-License-Identifier: GPL-2.0-or-later
"""The store's folders are there whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pinrace import store
from pinrace.errors import InfrastructureError, UserError


def test_digest_keeps_boundaries_and_order() -> None:
    assert len({store.digest("ab", "c"), store.digest("a", "bc"), store.digest("c", "ab")}) == 3


def test_made_once_and_found_again(own_cache: Path) -> None:
    made = []

    def fill(into: Path) -> None:
        made.append(into)
        (into / "x").write_text("1")

    first = store.make("things", "k", fill)
    assert store.make("things", "k", fill) == first == store.find("things", "k")
    assert (first / "x").read_text() == "1"
    assert len(made) == 1


def test_failure_leaves_nothing(own_cache: Path) -> None:
    def fill(into: Path) -> None:
        (into / "half").write_text("")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        store.make("things", "k", fill)
    assert store.find("things", "k") is None
    assert list((own_cache / "things").iterdir()) == []


def test_full_disk_is_the_hosts_trouble(own_cache: Path) -> None:
    def fill(into: Path) -> None:
        if not Path("/dev/full").exists():
            raise OSError(28, os.strerror(28))
        with Path("/dev/full").open("w") as full:
            full.write("x")

    with pytest.raises(InfrastructureError, match="No space left") as caught:
        store.make("things", "k", fill)
    assert "make room" in caught.value.hint


def test_threads_share_the_work(own_cache: Path) -> None:
    made: list[Path] = []
    meet = threading.Barrier(4)

    def work() -> None:
        meet.wait()
        store.make("things", "k", made.append)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_prune_removes_what_is_old(own_cache: Path) -> None:
    old = store.make("things", "old", lambda into: None)
    store.make("things", "new", lambda into: None)
    file = old.with_name("old.part")
    file.touch()
    for path in (old, file):
        os.utime(path, (0, 0))
    assert sorted(store.prune(("things",), days=30)) == [old, file]
    assert [path.name for path in old.parent.iterdir()] == ["new"]
    with pytest.raises(UserError, match="no 'nothing'"):
        store.prune(("nothing",), days=1)


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    store.write(tmp_path / "file", "one")
    store.write(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"two"
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        store.write(tmp_path / "folder", "no file goes here")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}
