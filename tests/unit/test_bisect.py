# SPDX-License-Identifier: GPL-2.0-or-later
"""Which commit brought a fault in, where some cannot be tested, and after an interruption."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pinrace.bisect import candidates, search, tests
from pinrace.bisect.candidates import BAD, GOOD, SKIP, Commits, Listed
from pinrace.bisect.search import Kept, Outcome
from pinrace.errors import BuildError, InfrastructureError, UserError

NAMES = tuple(f"v{n}" for n in range(30))


def quiet(_: str) -> None:
    pass


def outcomes(bad_from: int, skipped: tuple[int, ...] = ()) -> search.Test:
    def test(name: str) -> Outcome:
        number = int(name.removeprefix("v"))
        if number in skipped:
            return Outcome(SKIP, "it does not build")
        return Outcome(BAD if number >= bad_from else GOOD, "as told")

    return test


@pytest.mark.parametrize("bad_from", [1, 2, 15, 28, 29])
def test_the_first_bad_one_is_found(bad_from: int, tmp_path: Path) -> None:
    answer = search.bisect(Listed(NAMES), outcomes(bad_from), Kept(tmp_path / "k"), quiet)
    assert answer.names == (f"v{bad_from}",)
    assert answer.exact
    assert answer.tested <= 2 + 5


def test_what_cannot_be_tested_is_in_the_answer(tmp_path: Path) -> None:
    answer = search.bisect(Listed(NAMES), outcomes(12, (9, 10, 11)), Kept(tmp_path / "k"), quiet)
    assert answer.names == ("v9", "v10", "v11", "v12")
    assert not answer.exact
    other = search.bisect(Listed(NAMES), outcomes(12, (3, 14, 20)), Kept(tmp_path / "l"), quiet)
    assert other.names == ("v12",)


def test_what_was_seen_is_not_tested_again(tmp_path: Path) -> None:
    seen: list[str] = []

    def interrupted(name: str) -> Outcome:
        if len(seen) == 4:
            raise KeyboardInterrupt
        seen.append(name)
        return outcomes(15)(name)

    with pytest.raises(KeyboardInterrupt):
        search.bisect(Listed(NAMES), interrupted, Kept(tmp_path / "k"), quiet)
    again: list[str] = []

    def go_on(name: str) -> Outcome:
        again.append(name)
        return outcomes(15)(name)

    answer = search.bisect(Listed(NAMES), go_on, Kept(tmp_path / "k"), quiet)
    assert answer.names == ("v15",)
    assert not set(seen) & set(again)


@pytest.mark.parametrize("bad_from", [0, 30])
def test_ends_that_are_not_what_they_are_said_to_be(bad_from: int, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        search.bisect(Listed(NAMES), outcomes(bad_from), Kept(tmp_path / "k"), quiet)


def test_a_damaged_file_is_no_clean_start(tmp_path: Path) -> None:
    (tmp_path / "k").write_text('{"v1": {')
    with pytest.raises(InfrastructureError):
        Kept(tmp_path / "k")


@pytest.mark.parametrize(("word", "status"), [(GOOD, 0), (BAD, 1), (SKIP, 125)])
def test_git_bisect_run_understands(word: str, status: int) -> None:
    assert search.status_of(word) == status


def test_what_does_not_build_is_skipped() -> None:
    def fails() -> Outcome:
        raise BuildError("it does not build:\n  no")

    assert tests.guarded(fails) == Outcome(SKIP, "it does not build:")


def git(where: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words],
        cwd=where,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Thirty commits, some of them on a branch that is merged; the 17th brings the fault."""
    where = tmp_path / "tree"
    where.mkdir()
    git(where, "init", "-q", "-b", "main")
    for n in range(30):
        if n == 10:
            git(where, "checkout", "-q", "-b", "side")
        (where / f"file{n}").write_text("bad" if n == 16 else "")
        git(where, "add", "-A")
        git(where, "commit", "-q", "-m", f"commit {n}")
        if n == 20:
            git(where, "checkout", "-q", "main")
            (where / "other").write_text("")
            git(where, "add", "-A")
            git(where, "commit", "-q", "-m", "on main")
            git(where, "merge", "-q", "--no-edit", "side")
    return where


@pytest.mark.usefixtures("own_cache")
def test_a_commit_on_a_merged_branch_is_found(repository: Path, tmp_path: Path) -> None:
    first = git(repository, "rev-list", "--max-parents=0", "HEAD")
    found = candidates.open_commits(repository, first, "main")
    assert isinstance(found, Commits)

    def test(name: str) -> Outcome:
        tree = candidates.checkout(found, name)
        file = tree / "file16"
        if (tree / "file13").exists() and not (tree / "file14").exists():
            return Outcome(SKIP, "it does not build")
        return Outcome(BAD if file.exists() else GOOD, "looked")

    answer = search.bisect(found, test, Kept(tmp_path / "k"), quiet)
    assert len(answer.names) == 1
    assert "commit 16" in found.about(answer.names[0])
    assert not git(repository, "status", "--porcelain")


@pytest.mark.usefixtures("own_cache")
def test_ends_that_are_no_commits(repository: Path) -> None:
    for ends in (("main", "nothing"), ("main", "main"), ("main", "main~3")):
        with pytest.raises(UserError):
            candidates.open_commits(repository, *ends)
