# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache and the runs are the user's own, or a sentence says why not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pinrace import paths
from pinrace.errors import InfrastructureError, UserError


def test_made_for_the_user_alone(own_cache: Path) -> None:
    before = os.umask(0)
    try:
        assert paths.cache_dir() == own_cache
    finally:
        os.umask(before)
    assert own_cache.stat().st_mode & 0o022 == 0


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o707])
def test_writable_by_others_is_refused(own_cache: Path, mode: int) -> None:
    own_cache.mkdir()
    own_cache.chmod(mode)
    with pytest.raises(InfrastructureError, match="written by other users"):
        paths.cache_dir()


def test_a_group_counts_unless_it_is_the_users_own(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_cache.mkdir()
    own_cache.chmod(0o775)
    monkeypatch.setattr(paths, "_private_group", lambda gid: False)
    with pytest.raises(InfrastructureError, match="chmod go-w"):
        paths.cache_dir()
    monkeypatch.setattr(paths, "_private_group", lambda gid: True)
    assert paths.cache_dir() == own_cache


@pytest.mark.parametrize("get", [paths.cache_dir, paths.runs_dir])
def test_of_another_user_is_refused(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch, get: object
) -> None:
    assert callable(get)
    get()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(InfrastructureError, match="uid 12345") as caught:
        get()
    assert "PINRACE_" in caught.value.hint


def test_one_that_cannot_be_made_is_no_fault_of_pinrace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PINRACE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InfrastructureError, match="cannot be used"):
        paths.cache_dir()


@pytest.mark.parametrize("text", ["~nobody-here/x", "x" * 5000, "a\0b"])
def test_what_no_path_can_be_is_the_users_mistake(text: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be used as a path"):
        paths.given(text)
    if not text.startswith("~"):
        with pytest.raises(UserError, match="cannot be used as a path"):
            paths.inside(tmp_path, text)


def test_a_path_that_a_user_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.given("~/x") == tmp_path / "x"
    assert paths.given("y") == Path("y")
