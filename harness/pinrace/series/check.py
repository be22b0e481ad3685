# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a mail is what its sender meant: one patch whose diff is all of what it announces."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pinrace.errors import UserError
from pinrace.series import box
from pinrace.series.letters import Letter

_AGAIN = "git format-patch makes what is wanted"
_PREREQUISITE = re.compile(rb"^prerequisite-(?:patch-id|message-id|change-id): *(\S+)", re.M)
_BASE = re.compile(rb"^base-commit: *([0-9a-f]{7,40}|\S{1,60})", re.M)


def check(letter: Letter, what: str) -> None:
    """Raise UserError for a mail that git would not apply as its sender meant it.

    what: how the error names it.
    """
    if len(letter.raw) > box.MAIL_LIMIT:
        raise UserError(
            f"{what} has {len(letter.raw) >> 20} MiB, more than the {box.MAIL_LIMIT >> 20} that a"
            " patch may have",
            hint="split the patch",
        )
    if not letter.is_mail:
        raise UserError(f"{what} is no mailed patch: it has no From: and Subject:", hint=_AGAIN)
    if letter.html:
        raise UserError(f"{what} holds its diff as HTML", hint="have it sent as plain text")
    if letter.attached_mail:
        raise UserError(
            f"{what} has a mail attached, into which git does not look",
            hint="save the attached mail as a file of its own",
        )
    found = letter.diffs
    if not found.size.files:
        raise UserError(f"{what} holds no diff", hint=_AGAIN)
    if b"\0" in letter.text:
        raise UserError(f"{what} holds NUL bytes, which git takes for no text", hint=_AGAIN)
    if found.in_message:
        raise UserError(
            f"{what} has a diff in its message, above the '---' line or the diffstat, and git would"
            " apply it",
            hint="indent the diff in the message by a blank",
        )
    if found.stat and found.stat.files != found.size.files:
        raise UserError(
            f"{what} says that it changes {found.stat}, and its diff has {found.size}",
            hint=f"is it whole?  {_AGAIN}",
        )


def notes(letters: Sequence[Letter]) -> list[str]:
    """Return what a person should know of patches that check() lets pass."""
    found = []
    for letter in letters:
        diffs = letter.diffs
        if diffs.stat and diffs.stat != diffs.size:
            found.append(
                f"'{letter.subject[:80]}' says {diffs.stat}, and its diff has {diffs.size}:"
                " it was edited by hand"
            )
    return found


def builds_on(letters: Sequence[Letter]) -> list[str]:
    """Return what a series says of what it builds on, as sentences."""
    said = []
    text = b"\n".join(letter.text for letter in letters)
    if base := _BASE.search(text):
        said.append(f"the series says that it was made on commit {base[1].decode()[:12]}")
    if needed := set(_PREREQUISITE.findall(text)):
        patches = "1 other patch" if len(needed) == 1 else f"{len(needed)} other patches"
        said.append(f"the series says that it builds on {patches}: apply them first")
    return said
