# SPDX-License-Identifier: GPL-2.0-or-later
"""A patch series: read it, apply it, open it as commits, write it back.

load(words) -> Series, from disk or from a mailing list, with a mutant on top if named
load_series(path) -> Series
apply(tree, series) -> PatchedTree
edit(tree, series) -> a work tree for a person
export(work tree, folder) -> patch files
"""

from __future__ import annotations

import hashlib
import mailbox
import re
from collections.abc import Callable
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

from pinrace.errors import UserError
from pinrace.paths import KERNEL, MUTANTS
from pinrace.series import lists
from pinrace.series.apply import apply
from pinrace.series.edit import edit, export
from pinrace.values import Series

__all__ = [
    "apply",
    "edit",
    "export",
    "find_series",
    "load",
    "load_series",
    "subjects",
    "with_patch",
]

COVER_LETTER = "0000-cover-letter.patch"  # as git format-patch names it; it changes nothing
_MAKE = "git format-patch makes what is wanted"


def find_series(text: str) -> Path | None:
    """Return where a series lies: a path, or a name in kernel/; None for "none"."""
    if text in ("none", ""):
        return None
    path = Path(text).expanduser()
    if not path.exists() and (KERNEL / text).is_dir():
        return KERNEL / text
    return path


def load(text: str, *, say: Callable[[str], None]) -> Series | None:
    """Return a series by path, name in kernel/, message id, or URL of a list's archive.

    SERIES+NAME is a series with a patch of kernel/mutants on top.  None for "none".  A mailbox that
    is more than one series in order (a thread with its replies, several versions) goes through b4.
    Raises as load_series and pinrace.series.lists do.
    """
    path = find_series(text)
    if path is None:
        return None
    below, _, mutant = text.rpartition("+")
    if below and not path.exists() and (MUTANTS / f"{mutant}.patch").exists():
        series = load(below, say=say)
        return with_patch(series, MUTANTS / f"{mutant}.patch") if series else None
    taken = None
    if path.is_file():
        taken = lists.by_mbox(path, say=say)
    elif not path.exists() and lists.is_message(text):
        taken = lists.by_message(text, say=say)
    if taken is None:
        return load_series(path)
    found = load_series(taken.folder)
    say(f"series  {found.name}, {len(found.patches)} patches of {taken.origin}")
    say(f"  {taken.attestation}")
    return replace(found, origin=taken.origin, attestation=taken.attestation)


def load_series(path: Path) -> Series:
    """Return a series: a folder's *.patch in the order of their names, an mbox, or one patch.

    Raises UserError when there is none, or when a file is no mailed patch.
    """
    path = path.expanduser().absolute()
    if path.is_dir():
        patches = [p for p in sorted(path.glob("*.patch")) if p.name != COVER_LETTER]
        if not patches:
            raise UserError(f"the folder {path} has no *.patch", hint=_MAKE)
        name = path.resolve().name
    elif path.exists():
        patches, name = [path], path.stem
    else:
        raise UserError(
            f"there is no series '{path}'", hint="name a folder of patches, an mbox or a message id"
        )
    whole = hashlib.sha256()
    for patch in patches:
        whole.update(_checked(patch))
    return Series(_plain(name), whole.hexdigest(), tuple(patches))


def with_patch(series: Series, path: Path) -> Series:
    """Return the series with one more patch as its last; UserError when that is no patch."""
    patches = (*series.patches, *load_series(path).patches)
    whole = hashlib.sha256(b"".join(each.read_bytes() for each in patches))
    name = f"{series.name}+{path.stem}"
    return replace(series, name=name, digest=whole.hexdigest(), patches=patches)


def subjects(series: Series) -> tuple[str, ...]:
    """Return the subject lines of a series, as decoded and on one line each; "" for none."""
    found = []
    for patch in series.patches:
        mails = [bytes(mail) for mail in mailbox.mbox(patch, create=False)]
        for mail in mails or [patch.read_bytes()]:
            head = re.split(rb"\r?\n\r?\n", mail.lstrip(), maxsplit=1)[0]
            subject = message_from_bytes(head + b"\n\n", policy=policy.default).get("Subject", "")
            found.append(" ".join(str(subject).split()))
    return tuple(found)


def _checked(patch: Path) -> bytes:
    """Return a patch file's content, once it looks like a mailed patch."""
    try:
        content = patch.read_bytes()
    except OSError as exc:
        raise UserError(f"cannot read {patch}: {exc.strerror}", hint=_MAKE) from exc
    head = re.split(rb"\r?\n\r?\n", content.lstrip(), maxsplit=1)[0]
    if not re.search(rb"^(From:|Subject:)", head, re.M | re.I):
        raise UserError(f"{patch} is no mailed patch: it has no From: and Subject:", hint=_MAKE)
    if not re.search(rb"^(diff --git |--- )", content, re.M):
        raise UserError(f"{patch} holds no diff", hint=_MAKE)
    return content


def _plain(name: str) -> str:
    """Return a name that is one for files and refs too."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "series"
