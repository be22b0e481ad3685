# SPDX-License-Identifier: GPL-2.0-or-later
"""What may have brought a fault in: commits of a git tree, releases, patches of a series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pinrace import store
from pinrace.errors import UserError
from pinrace.paths import cache_dir
from pinrace.trees.git import git

GOOD, BAD, SKIP = "good", "bad", "skip"


class Candidates(Protocol):
    """Where to look; names are what outcomes are kept by."""

    def ends(self) -> tuple[str, str]:
        """Return the one that is said to be good, and the one that is said to be bad."""

    def next(self, known: Mapping[str, str]) -> str | None:
        """Return the one to test next; None when nothing is left that could tell more."""

    def first_bad(self, known: Mapping[str, str]) -> tuple[str, ...]:
        """Return the first bad one, and those around it that could not be tested."""

    def about(self, name: str) -> str:
        """Return a line for people."""


@dataclass(frozen=True)
class Listed:
    """In order, the first of them good and the last bad."""

    names: tuple[str, ...]

    def ends(self) -> tuple[str, str]:
        """Return the first and the last."""
        return self.names[0], self.names[-1]

    def _between(self, known: Mapping[str, str]) -> tuple[int, int]:
        good = max(n for n, name in enumerate(self.names) if known.get(name) == GOOD)
        bad = min(n for n, name in enumerate(self.names) if known.get(name) == BAD and n > good)
        return good, bad

    def next(self, known: Mapping[str, str]) -> str | None:
        """Return the one nearest to the middle that was not tested."""
        good, bad = self._between(known)
        middle = (good + bad) / 2
        left = [n for n in range(good + 1, bad) if self.names[n] not in known]
        return self.names[min(left, key=lambda n: abs(n - middle))] if left else None

    def first_bad(self, known: Mapping[str, str]) -> tuple[str, ...]:
        """Return the first bad one, last, behind those that were skipped right before it."""
        good, bad = self._between(known)
        return self.names[good + 1 : bad + 1]

    def about(self, name: str) -> str:
        """Return the name."""
        return name


@dataclass(frozen=True)
class Commits:
    """Commits of a repository between a good one and a bad one, whatever merges there are."""

    repository: Path
    good: str
    bad: str

    def ends(self) -> tuple[str, str]:
        """Return both."""
        return self.good, self.bad

    def next(self, known: Mapping[str, str]) -> str | None:
        """Return the commit that halves what is left; of those not skipped, the best."""
        bad = self._bad(known)
        ranked = self._rev_list("--bisect-all", known)
        return next((name for name in ranked if name not in known and name != bad), None)

    def first_bad(self, known: Mapping[str, str]) -> tuple[str, ...]:
        """Return the first bad one, last, behind those that were skipped and may be it."""
        return tuple(self._rev_list("--topo-order", known)[::-1])

    def _bad(self, known: Mapping[str, str]) -> str:
        """Return the bad commit with the fewest commits in doubt behind it."""
        bads = [name for name, word in known.items() if word == BAD] or [self.bad]
        return bads[-1]

    def _rev_list(self, how: str, known: Mapping[str, str]) -> list[str]:
        goods = [f"^{name}" for name, word in known.items() if word == GOOD] or [f"^{self.good}"]
        said = git(
            "rev-list", how, self._bad(known), *goods, cwd=self.repository, what="git rev-list"
        ).output
        return [line.split()[0] for line in said.splitlines() if line.strip()]

    def about(self, name: str) -> str:
        """Return the commit's id and subject."""
        return git("log", "-1", '--format=%h ("%s")', name, cwd=self.repository).output.strip()


def open_commits(tree: Path, good: str, bad: str) -> Commits:
    """Return the commits of a user's repository, in a work tree of ours that nobody edits.

    Raises UserError when either is no commit, or the good one is no ancestor of the bad one.
    """
    found = {}
    for word in (good, bad):
        done = git("rev-parse", "--verify", "--quiet", f"{word}^{{commit}}", cwd=tree, check=False)
        if done.status:
            raise UserError(f"{tree} has no commit '{word}'", hint="as git rev-parse takes it")
        found[word] = done.output.strip()
    old, new = found[good], found[bad]
    if git("merge-base", "--is-ancestor", old, new, cwd=tree, check=False).status or old == new:
        raise UserError(f"{good} is no ancestor of {bad}", hint="--good is the older one")
    copy = cache_dir() / "bisect" / store.digest(str(tree.resolve()))
    if not (copy / ".git").exists():
        copy.parent.mkdir(exist_ok=True)
        git("clone", "--quiet", "--shared", "--no-checkout", tree.resolve(), copy)
    git("fetch", "--quiet", "origin", old, new, cwd=copy, check=False)
    return Commits(copy, old, new)


def checkout(commits: Commits, name: str) -> Path:
    """Make the work tree that of a commit; return it."""
    git("checkout", "--quiet", "--detach", "--force", name, cwd=commits.repository)
    return commits.repository


def prefixes(count: int, names: Sequence[str]) -> Listed:
    """Return the patches of a series as candidates: with none of them, with the first, …."""
    return Listed(("no patch", *(f"{n} {name}" for n, name in enumerate(names[:count], 1))))
