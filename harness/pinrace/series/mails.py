# SPDX-License-Identifier: GPL-2.0-or-later
"""What mailed patches hold, decoded by git as `git am` does it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pinrace.trees.git import git
from pinrace.values import Series


@dataclass(frozen=True)
class Mail:
    """One patch of a series, as a diff that `git apply` takes."""

    number: int  # from 1
    subject: str
    patch: Path


def split(series: Series, into: Path) -> list[Mail]:
    """Write the diffs of a series into an empty folder; return them in order.

    What git cannot read has no diff here: `git am` will say so.
    """
    git("mailsplit", "-b", "-d4", f"-o{into}", "--", *series.patches, check=False)
    found = []
    for number, mail in enumerate(sorted(into.glob("[0-9]*")), 1):
        patch = into / f"{mail.name}.patch"
        told = git("mailinfo", into / "message", patch, stdin=mail.read_bytes(), check=False)
        subject = re.search(r"^Subject: (.*)$", told.output, re.M)
        found.append(Mail(number, subject[1] if subject else "", patch))
    return found


def touched(mails: list[Mail]) -> set[str]:
    """Return the paths that the diffs read or write, of both sides of a rename."""
    paths: set[str] = set()
    for mail in mails:
        done = git("apply", "--numstat", "-z", mail.patch, check=False)  # am says what is wrong
        if done.status:
            continue
        fields = iter(done.output.split("\0"))
        for field in fields:  # "added TAB deleted TAB path", or no path and then old and new
            path = field.split("\t", 2)[-1]
            paths.update([path] if path else [next(fields), next(fields)] if field else [])
    return paths
