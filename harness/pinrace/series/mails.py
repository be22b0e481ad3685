# SPDX-License-Identifier: GPL-2.0-or-later
"""What mailed patches hold, decoded by git as `git am` does it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pinrace.errors import UserError
from pinrace.series import letters
from pinrace.series.diffs import Size
from pinrace.trees.git import git
from pinrace.values import Series

# Which CRs are of a file and which of a transport, pinrace.series.letters has settled.
FLAGS = ("--quoted-cr=nowarn", "--no-scissors")


@dataclass(frozen=True)
class Mail:
    """One patch of a series, as a diff that `git apply` takes."""

    number: int  # from 1
    subject: str
    patch: Path
    error: str = ""  # what git says when it cannot read the mail


def split(series: Series, into: Path) -> list[Mail]:
    """Write the diffs of a series into an empty folder; return them in order.

    What git cannot read has no diff here: `git am` will say so.
    """
    git("mailsplit", "-b", "-d4", "--keep-cr", f"-o{into}", "--", *series.patches, check=False)
    found = []
    for number, mail in enumerate(sorted(into.glob("[0-9]*")), 1):
        patch = into / f"{mail.name}.patch"
        told = git(
            "mailinfo", *FLAGS, into / "message", patch, stdin=mail.read_bytes(), check=False
        )
        subject = re.search(r"^Subject: (.*)$", told.output, re.M)
        error = re.search(r"^(?:error|fatal): (.*)$", told.output, re.M) if told.status else None
        title, why = (match[1] if match else "" for match in (subject, error))
        found.append(Mail(number, title, patch, why))
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


def confirm(series: Series, mails: list[Mail]) -> None:
    """Raise UserError unless git reads of each file the one diff that was read and checked."""
    if len(mails) != len(series.patches):
        raise UserError(
            f"git reads {len(mails)} mails in the {series.count} of {series.name}",
            hint="keep one mail a file: git format-patch -o FOLDER",
        )
    for file, mail in zip(series.patches, mails, strict=True):
        found = letters.read(file.read_bytes())
        if mail.error or not mail.patch.exists() or not mail.patch.stat().st_size:
            raise UserError(
                f"git finds no patch in {file.name}: {mail.error or 'look at its Content-Type'}",
                hint="save the mail as it was sent, or write the patch anew: git format-patch",
            )
        mine = found[0].diffs.size if len(found) == 1 else Size()
        done = git("apply", "--numstat", "-z", mail.patch, check=False)
        if done.status:
            continue  # git am says what is wrong with it
        git_s = _size(done.output)
        if git_s != mine:
            raise UserError(
                f"in {file.name} git reads a diff of {git_s}, and pinrace one of {mine}",
                hint="write the patch anew: git format-patch",
            )


def _size(numstat: str) -> Size:
    """Return what `git apply --numstat -z` adds up to."""
    files = added = removed = 0
    fields = iter(numstat.split("\0"))
    for field in fields:
        plus, _, rest = field.partition("\t")
        minus, tab, path = rest.partition("\t")
        if not tab:
            continue
        files += 1
        added += int(plus) if plus.isdigit() else 0
        removed += int(minus) if minus.isdigit() else 0
        if not path:  # a rename: its two names come by themselves
            next(fields, None), next(fields, None)
    return Size(files, added, removed)
