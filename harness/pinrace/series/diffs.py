# SPDX-License-Identifier: GPL-2.0-or-later
"""What of a mail's text is a diff, as `git apply` would find it, and what its diffstat says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_STAT = re.compile(
    rb"^ (\d{1,9}) files? changed(?:, (\d{1,9}) insertions?\(\+\))?"
    rb"(?:, (\d{1,9}) deletions?\(-\))?\s*$"
)
_HUNK = re.compile(rb"^@@ -\d{1,9}(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@")
_EXTENDED = re.compile(
    rb"^(index |old mode |new mode |deleted file |new file |similarity |dissimilarity |rename "
    rb"|copy |--- |GIT binary patch|Binary files )"
)
_SEPARATOR = re.compile(rb"^---\s*$")


@dataclass(frozen=True)
class Size:
    """What a diff changes: files, and lines added and removed."""

    files: int = 0
    added: int = 0
    removed: int = 0

    def __str__(self) -> str:
        files = f"{self.files} file" if self.files == 1 else f"{self.files} files"
        return f"{files}, +{self.added} -{self.removed}"


@dataclass(frozen=True)
class Diffs:
    """The diffs in a mail's text."""

    size: Size = Size()
    stat: Size | None = None  # what the diffstat between the "---" line and the diff says
    in_message: bool = False  # one stands above the "---" line or the diffstat, another below


class _Scan:
    """One pass over the lines of a mail."""

    def __init__(self) -> None:
        self.files = self.added = self.removed = 0
        self.old = self.new = 0  # lines of the hunk that are still to come
        self.separated = False  # a "---" line came before any diff
        self.open = False  # one came since the last diff
        self.late = False  # what belongs above all diffs came behind one
        self.in_message = False
        self.stats: list[Size] = []  # a diffstat for each "---" line, the last one there
        self.pending = False  # "diff --git" has counted the file whose "---" and "+++" come

    def hunk_line(self, line: bytes) -> bool:
        """Take a line of a hunk; False when it is none."""
        mark = line[:1]
        if mark == b"+" and self.new:
            self.added, self.new = self.added + 1, self.new - 1
        elif mark == b"-" and self.old:
            self.removed, self.old = self.removed + 1, self.old - 1
        elif mark in (b" ", b"", b"\r") and self.old and self.new:
            self.old, self.new = self.old - 1, self.new - 1
        elif mark != b"\\":
            self.old = self.new = 0
            return False
        return True

    def file(self, *, named_by_git: bool) -> None:
        """Count one more file of a diff."""
        self.files += 1
        self.open = False
        self.pending = named_by_git
        self.in_message = self.in_message or self.late

    def other_line(self, line: bytes, following: bytes) -> None:
        """Take a line outside of hunks."""
        if line.startswith(b"diff --git ") and _EXTENDED.match(following):
            self.file(named_by_git=True)
        elif line.startswith(b"--- ") and following.startswith(b"+++ "):
            if not self.pending:
                self.file(named_by_git=False)
            self.pending = False
        elif hunk := _HUNK.match(line):
            self.old, self.new = (int(count) if count is not None else 1 for count in hunk.groups())
        elif _SEPARATOR.match(line):
            self.late = self.late or (bool(self.files) and not self.separated)
            self.separated = self.separated or not self.files
            if not self.open:
                self.stats.append(Size())
            self.open = True
        elif self.separated and (said := _STAT.match(line)):
            if self.open:
                self.stats[-1] = Size(*(int(count or 0) for count in said.groups()))
            else:  # a diff stands between the "---" line and the diffstat
                self.late = True

    @property
    def stat(self) -> Size | None:
        """What the diffstats say together; None without one."""
        if not any(each.files for each in self.stats):
            return None
        return Size(
            sum(each.files for each in self.stats),
            sum(each.added for each in self.stats),
            sum(each.removed for each in self.stats),
        )


def scan(text: bytes) -> Diffs:
    """Return what diffs a mail's decoded text holds."""
    lines: Sequence[bytes] = text.split(b"\n")
    state = _Scan()
    for number, line in enumerate(lines):
        if (state.old or state.new) and state.hunk_line(line):
            continue
        state.other_line(line, lines[number + 1] if number + 1 < len(lines) else b"")
    return Diffs(Size(state.files, state.added, state.removed), state.stat, state.in_message)
