# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of the tree's selftests are about what a series touches: `kselftest:auto`.

Those in whose folders the series changes files, and those that MAINTAINERS lists in a section with
a file that the series changes.  Where it lists none, those that bear the file's name.  And those
that bear the name of a system call that such a file defines.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from pinrace.errors import UserError
from pinrace.kbuild.userspace import SELFTESTS
from pinrace.series.files import touched
from pinrace.suites import own
from pinrace.suites.kselftest import PREFIX, targets
from pinrace.trees.git import in_store, lookup, show_file
from pinrace.values import Cell, PatchedTree

NAME = f"{PREFIX}auto"
_TESTS = f"{SELFTESTS}/"


@dataclass(frozen=True)
class Section:
    """A section of MAINTAINERS: its patterns of files, and those that it leaves to others."""

    title: str
    files: tuple[str, ...]
    but: tuple[str, ...]

    def has(self, path: str) -> bool:
        """Whether a file is this section's."""
        return _any(self.files, path) and not _any(self.but, path)


def expand(cells: Sequence[Cell], tree: PatchedTree) -> tuple[Cell, ...]:
    """Return the cells with `kselftest:auto` and `series` replaced by what they stand for.

    Raises UserError when one of them stands for nothing on this tree.
    """
    found = [f"{PREFIX}{name}" for name in about(tree)] if _asked(NAME, cells) else []
    if _asked(NAME, cells) and not found:
        what = "there is no series" if tree.series is None else "none is about what it touches"
        raise UserError(
            f"{NAME} stands for no selftests of {tree.label}: {what}",
            hint="name them: --suite kselftest:COLLECTION",
        )
    mine = own.of_series(tree.series) if _asked(own.SERIES, cells) else []
    made = (
        replace(cell, suite=suite)
        for cell in cells
        for suite in {NAME: found, own.SERIES: mine}.get(cell.suite, [cell.suite])
    )
    return tuple(dict.fromkeys(made))


def _asked(name: str, cells: Sequence[Cell]) -> bool:
    return any(cell.suite == name for cell in cells)


def about(tree: PatchedTree) -> list[str]:
    """Return the collections that are about what a tree's series touches, in the tree's order."""
    files = touched(tree.series)
    known = targets(tree.commit)
    wanted = {name for file in files for name in _nearest(file, known)}
    for names in _by_file(tree).values():
        wanted |= names
    return [name for name in known if name in wanted]


def looked_at(tree: PatchedTree, collections: Collection[str]) -> list[str]:
    """Return the kernel's files that a series changes and one of these collections is about."""
    return sorted(file for file, names in _by_file(tree).items() if names & set(collections))


def _by_file(tree: PatchedTree) -> dict[str, set[str]]:
    """Return the collections that are about each of the kernel's files that a series changes."""
    known = targets(tree.commit)
    sections = parse(show_file(tree.commit, "MAINTAINERS"))
    found = {}
    for file in (file for file in touched(tree.series) if not file.startswith(_TESTS)):
        mine = (section for section in sections if section.has(file))
        listed = {n for one in mine for pattern in one.files for n in _tests(pattern, known)}
        found[file] = listed or set(_namesakes(file, tree.commit, known))
        found[file] |= set(_of_calls(file, tree, known))
    return found


def _of_calls(file: str, tree: PatchedTree, known: Sequence[str]) -> list[str]:
    """Return the collections named like a system call that a source defines."""
    commits = (tree.commit, tree.base.commit)  # a series may remove it
    there = [commit for commit in commits if file.endswith(".c") and lookup(f"{commit}:{file}")]
    calls = {call for commit in there for call in syscalls(show_file(commit, file))}
    return [name for name in known if _word(name.rsplit("/", 1)[-1]) in calls]


def syscalls(text: str) -> set[str]:
    """Return the names of the system calls that a source defines."""
    return set(re.findall(r"^(?:COMPAT_)?SYSCALL(?:32|64)?_DEFINE\d\((\w+)", text, re.MULTILINE))


def _namesakes(file: str, commit: str, known: Sequence[str]) -> list[str]:
    """Return the collections named like a source or its folder, or with a test that is."""
    stem = _word(Path(file).stem)
    names = {stem, stem.split("_")[-1], *(_word(parent.name) for parent in Path(file).parents)}
    found = [name for name in known if _word(name.rsplit("/", 1)[-1]) in names]
    for test in _sources(commit):
        if _word(Path(test).stem) in (stem, f"{stem}_test", f"test_{stem}"):
            found += _nearest(test, known)
    return found


def _word(name: str) -> str:
    return name.replace("-", "_")


@cache
def _sources(commit: str) -> tuple[str, ...]:
    """Return the C sources of a tree's selftests."""
    argv = ("ls-tree", "-r", "--name-only", commit, _TESTS)
    return tuple(line for line in in_store(*argv).output.splitlines() if line.endswith(".c"))


def parse(text: str) -> list[Section]:
    """Return the sections of MAINTAINERS, but the one that has every file."""
    sections = []
    for block in re.split(r"\n\s*\n", text):
        fields = re.findall(r"^([FX]):\s*(\S+)", block, re.MULTILINE)
        files = tuple(pattern for kind, pattern in fields if kind == "F")
        if files and "*/" not in files:
            but = tuple(pattern for kind, pattern in fields if kind == "X")
            sections.append(Section(block.strip().split("\n")[0], files, but))
    return sections


def _any(patterns: Iterable[str], path: str) -> bool:
    return any(_compiled(pattern).match(path) for pattern in patterns)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern as scripts/get_maintainer.pl takes it: * stays within a folder, a / takes all."""
    inner = re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return re.compile(inner if pattern.endswith("/") else f"{inner}$")


def _nearest(file: str, known: Sequence[str]) -> list[str]:
    """Return the collection in whose folder a file lies, the innermost one."""
    inside = [name for name in known if file.startswith(f"{_TESTS}{name}/")]
    return [max(inside, key=len)] if inside else []


def _tests(pattern: str, known: Sequence[str]) -> list[str]:
    """Return the collections that a pattern of MAINTAINERS names, or that hold what it names."""
    if not pattern.startswith(_TESTS):
        return []
    folder = pattern.removeprefix(_TESTS).rstrip("/")
    if folder in known:
        return [folder]
    whole = [name for name in known if _any([pattern], f"{_TESTS}{name}/")]
    plain = [name for name in known if _any([pattern], f"{_TESTS}{name}")]
    return whole or plain or _nearest(pattern, known)
