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
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pinrace import store
from pinrace.errors import UserError
from pinrace.paths import KERNEL, given
from pinrace.series import box, check, folder, letters, lists, manifest, pick
from pinrace.series.apply import apply
from pinrace.series.edit import edit, export
from pinrace.series.letters import Letter
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

Say = Callable[[str], None]


@dataclass(frozen=True)
class _Loaded:
    """A series, and what a person should know of how it was read."""

    series: Series
    notes: tuple[str, ...] = ()


def find_series(text: str) -> Path | None:
    """Return where a series lies: a path, or a name in kernel/; None for "none"."""
    if text in ("none", ""):
        return None
    path = given(text)
    if not path.exists() and (KERNEL / text).is_dir():
        return KERNEL / text
    return path


def load(text: str, *, say: Say) -> Series | None:
    """Return a series by path, name in kernel/, message id, or URL of a list's archive.

    SERIES+NAME is a series with one patch on top: a mutant of it or of a shipped one, or a file.
    None for "none", which takes a patch on top, too.  Raises UserError when it is not one whole
    series, and as pinrace.series.lists does.
    """
    path = find_series(text)
    if path is None:
        return None
    if not path.exists() and (parts := _on_top(text)):
        below, patch = parts
        return with_patch(load(below, say=say), patch)
    on_list = not path.exists() and lists.is_message(text)
    loaded = _listed(text, say) if on_list else _read(path)
    for note in loaded.notes:
        say(note)
    return loaded.series


def load_series(path: Path) -> Series:
    """Return the series that a folder of patches, a mailbox or a patch file holds.

    Raises UserError when it is none, or not one whole series.
    """
    return _read(path).series


def _on_top(text: str) -> tuple[str, Path] | None:
    """Return what SERIES+PATCH names; None when the text is no such thing.

    Raises UserError when the series is there and the patch is not.
    """
    marks = [at for at, letter in enumerate(text) if letter == "+"]
    for at in reversed(marks):
        below, name = text[:at], text[at + 1 :]
        own = find_series(below)
        first = own if own and own.is_dir() else None
        folders = manifest.mutant_folders(first)
        mutants = [folder / f"{name}.patch" for folder in folders]
        for patch in (*mutants, given(name)):
            if below and name and patch.is_file():
                return below, patch
    for at in marks:
        series = find_series(text[:at])
        if series is None or series.exists():
            raise UserError(
                f"there is no patch '{text[at + 1 :]}': neither a file nor a mutant of a series",
                hint="name the file of a patch behind the +",
            )
    return None


def with_patch(series: Series | None, path: Path) -> Series:
    """Return a series, or none, with one more patch as its last; UserError for no patch."""
    top = _one_patch(path)
    name = path.name.removesuffix(".patch").removesuffix(".diff")
    given = name if path.parent in manifest.mutant_folders() else str(path.absolute())
    if series is None:
        return replace(top, name=f"none+{_plain(name)}", spec=f"none+{given}")
    patches = (*series.patches, *top.patches)
    whole = hashlib.sha256(b"".join(each.read_bytes() for each in patches))
    return replace(
        series,
        name=f"{series.name}+{_plain(name)}",
        digest=whole.hexdigest(),
        patches=patches,
        spec=f"{series.spec}+{given}" if series.spec else "",
    )


def _one_patch(path: Path) -> Series:
    """Return a series of the one patch in a file, whatever its place in another series."""
    content = box.read(path)
    found = [one for one in letters.read(content) if one.diffs.size.files]
    if len(found) > 1:
        raise UserError(f"{path} holds {len(found)} patches", hint="name a file of one patch")
    if not found:
        return load_series(path)  # which says what it is
    if _is_plain(content, found, alone=True):
        return _in_place(_plain(path.stem), (path.absolute(),), found, "").series
    return _stored(_plain(path.stem), found, "").series


def subjects(series: Series) -> tuple[str, ...]:
    """Return the subject lines of a series, as decoded and on one line each; "" for none."""
    return tuple(
        letter.subject for patch in series.patches for letter in letters.read(box.read(patch))
    )


def _read(path: Path) -> _Loaded:
    """Return the series on disk at a path."""
    path = path.expanduser().absolute()
    if not path.exists():
        raise UserError(
            f"there is no series '{path}'", hint="name a folder of patches, an mbox or a message id"
        )
    spec = path.name if path.parent == KERNEL else str(path)
    if not path.is_dir():
        content = box.read(path)
        found = letters.read(content)
        if _is_plain(content, found) and not found[0].signed:
            return _in_place(_plain(path.stem), (path,), found, spec)
        return _of_mailbox(content, path, spec)
    if folder.is_mails(path):
        return _of_mailbox(folder.mails(path), path, spec)
    listed = folder.listed(path)
    mails = folder.read(listed)
    if not mails:
        raise UserError(
            f"{path} holds a cover letter and no patch",
            hint="git format-patch makes what is wanted",
        )
    for file, letter in mails:
        check.check(letter, str(file))
    if not listed.by_list:
        folder.check_places(mails, path)
    name = _plain(path.resolve().name)
    files = tuple(file for file, _ in mails)
    read = [letter for _, letter in mails]
    if len(set(files)) == len(files) and all(
        _is_plain(file.read_bytes(), [letter], alone=True) for file, letter in mails
    ):
        loaded = _in_place(name, files, read, spec)
    else:
        loaded = _stored(name, read, spec)
        loaded = replace(loaded, series=replace(loaded.series, folder=path))
    notes = tuple(f"{path.name}: {note}" for note in (*listed.notes, *loaded.notes))
    return replace(loaded, notes=notes)


def _is_plain(content: bytes, found: Sequence[Letter], *, alone: bool = False) -> bool:
    """Whether git takes a file as it is for the one patch that it holds.

    alone: also when the patch says that it has a place in a series.
    """
    return (
        len(found) == 1
        and found[0].is_mail
        and found[0].diffs.size.files > 0
        and (alone or (pick.is_patch(found[0]) and (found[0].place.total or 1) == 1))
        and box.is_one_for_git(content)
        and not content.startswith((b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"\xef\xbb\xbf"))
        and not found[0].needs_rewriting
        and not found[0].place.reply
    )


def _in_place(name: str, files: tuple[Path, ...], read: Sequence[Letter], spec: str) -> _Loaded:
    """Return a series whose files git takes as they are."""
    for file, letter in zip(files, read, strict=True):
        check.check(letter, str(file))
    whole = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    series = Series(name, whole.hexdigest(), files, spec=spec)
    return _Loaded(series, tuple(check.notes(read)))


def _of_mailbox(content: bytes, path: Path, spec: str) -> _Loaded:
    """Return the series in a mailbox; its patches become files in the cache."""
    mails = letters.read(content)
    if not any(one.is_mail for one in mails):
        raise UserError(
            f"{path} is no mailed patch: it has no From: and Subject:",
            hint="git format-patch makes what is wanted",
        )
    picked = pick.pick(mails, path.name)
    alone = len(mails) == len(picked.letters)
    name = _plain(path.stem) if alone else lists.name_of(picked)
    loaded = _stored(name, picked.letters, spec)
    signed, warned = lists.attest(picked)
    series = replace(loaded.series, origin=str(path), attestation=signed)
    return _Loaded(series, _told(series, path.name, (*warned, *picked.notes, *loaded.notes)))


def _listed(text: str, say: Say) -> _Loaded:
    """Return the series of a message on a list."""
    taken = lists.by_message(text, say=say)
    picked = pick.pick(letters.read(taken.thread), taken.message, taken.message)
    loaded = _stored(lists.name_of(picked), picked.letters, taken.url)
    signed, warned = lists.attest(picked, host=taken.host)
    series = replace(loaded.series, origin=taken.url, attestation=signed)
    return _Loaded(series, _told(series, taken.url, (*warned, *picked.notes, *loaded.notes)))


def _told(series: Series, where: str, notes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the lines that say what was taken from where."""
    lines = (series.attestation, *notes)
    return (f"series  {series.name}, {series.count} of {where}", *(f"  {line}" for line in lines))


def _stored(name: str, read: Sequence[Letter], spec: str) -> _Loaded:
    """Return a series as files in the cache, one mail each, as git takes them."""
    for number, letter in enumerate(read, 1):
        check.check(letter, f"patch {number} of {len(read)}, {pick.name_of(letter)},")
    texts = [letter.as_file() for letter in read]

    def fill(into: Path) -> None:
        (into / name).mkdir()
        for number, (letter, text) in enumerate(zip(read, texts, strict=True), 1):
            title = _plain(letter.title)[:52].strip("-").lower()
            (into / name / f"{number:04}-{title}.patch").write_bytes(text)

    where = store.make("lists", store.digest("3", name, *texts), fill) / name
    files = tuple(sorted(where.glob("*.patch")))
    whole = hashlib.sha256(b"".join(texts))
    series = Series(name, whole.hexdigest(), files, spec=spec)
    return _Loaded(series, tuple(check.notes(read)))


def _plain(name: str) -> str:
    """Return a name that is one for files and refs too."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "series"
