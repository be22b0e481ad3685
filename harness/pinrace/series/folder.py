# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files of a folder are a series, and in which order: git format-patch's, or quilt's."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pinrace.errors import UserError
from pinrace.paths import given
from pinrace.series import box, letters
from pinrace.series.letters import Letter

PATCHES = (".patch", ".diff")
MAILS = (".eml", ".mbox", ".mbx", ".msg", ".mail")
QUILT = "series"
_LEFT = ("~", ".orig", ".rej", ".bak", ".swp", ".tmp")

_MAKE = "git format-patch makes what is wanted"
_NAME = re.compile(r"(?:v(\d{1,4})-)?(\d{4})-")


@dataclass(frozen=True)
class Listed:
    """Patch files in order, and what a person should know of what was left out."""

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    by_list: bool = False  # a quilt series file says which


def is_mails(folder: Path) -> bool:
    """Whether a folder holds single mails: a Maildir, or files that mail programs save."""
    if (folder / "cur").is_dir() and (folder / "new").is_dir():
        return True
    names = [path.name.lower() for path in folder.iterdir()]
    return any(name.endswith(MAILS) for name in names) and not any(
        name.endswith(PATCHES) for name in names
    )


def mails(folder: Path) -> bytes:
    """Return the mails of a folder as one mailbox, in the order of their names."""
    if (folder / "cur").is_dir() and (folder / "new").is_dir():
        paths = [*(folder / "cur").iterdir(), *(folder / "new").iterdir()]
        paths.sort(key=lambda path: path.name)
    else:
        paths = sorted(path for path in folder.iterdir() if path.name.lower().endswith(MAILS))
    whole = b""
    for path in paths:
        if path.name.startswith("."):
            continue
        whole += b"".join(box.as_file(each) for each in box.cut(box.read(path)))
        if len(whole) > box.BOX_LIMIT:
            raise UserError(
                f"{folder} holds more than {box.BOX_LIMIT >> 20} MiB of mails",
                hint="copy those of the series into a folder of their own",
            )
    return whole


def listed(folder: Path) -> Listed:
    """Return the patch files of a folder; a quilt `series` file decides when there is one.

    Raises UserError when there are none, when files beside them would be left out that may be
    patches, when the series file cannot be followed, and when numbers in names are of two versions,
    are there twice or are missing.
    """
    if (folder / QUILT).is_file():
        return _quilt(folder)
    files = sorted(p for p in folder.iterdir() if _is_patch(p) and p.name[0] != ".")
    if not files:
        for below in ("patches", "debian/patches"):
            if (folder / below / QUILT).is_file():
                return _quilt(folder / below)
        others = sorted(p.name for p in folder.iterdir() if p.is_dir() and _has_patches(p))
        hint = f"name one of its folders: {', '.join(others[:5])}" if others else _MAKE
        raise UserError(f"the folder {folder} has no *.patch", hint=hint)
    beside = sorted(p.name for p in folder.iterdir() if p not in files and _may_be_patch(p))
    if beside:
        raise UserError(
            f"the folder {folder} also holds {beside[0]}, which is no *.patch, so it would be left"
            " out",
            hint="name it *.patch, or move it away",
        )
    _check_names(folder, files)
    return Listed(tuple(files))


def _is_patch(path: Path) -> bool:
    """Whether a file is named as patches are."""
    return path.suffix.lower() in PATCHES


def _may_be_patch(path: Path) -> bool:
    """Whether a file that is not named as patches are may be one; what editors leave is none."""
    name = path.name.lower()
    if name[0] == "." or name.endswith(_LEFT) or path.is_dir():
        return False
    packed = any(f"{suffix}." in name for suffix in PATCHES)
    return name.endswith(MAILS) or packed or bool(_NAME.match(name))


def _has_patches(folder: Path) -> bool:
    """Whether a folder holds patch files."""
    return any(_is_patch(path) for path in folder.iterdir())


def _check_names(folder: Path, files: Sequence[Path]) -> None:
    """Raise UserError when the numbers in names do not make one series."""
    seen: dict[int, Path] = {}
    versions: dict[str, Path] = {}
    for path in files:
        match = _NAME.match(path.name)
        if not match:
            continue
        versions.setdefault(match[1] or "1", path)
        number = int(match[2])
        if number in seen and len(versions) == 1:
            raise UserError(
                f"in {folder}, {seen[number].name} and {path.name} have the same number",
                hint="rename one, or write the order into a file named series",
            )
        seen[number] = path
    if len(versions) > 1:
        names = " and ".join(path.name for path in versions.values())
        raise UserError(
            f"{folder} holds several versions of a series: {names}",
            hint="keep one version in the folder",
        )
    counted = [path for path in files if re.match(r"\d+", path.name)]
    for one, two in itertools.pairwise(counted):
        if int(_digits(one)) > int(_digits(two)):
            raise UserError(
                f"in {folder}, {one.name} comes before {two.name} by its name",
                hint="give the numbers the same width: 0001-…, or write a file named series",
            )
    if not any(path.name[0] == "0" or path.name[0] == "v" for path in seen.values()):
        return  # a year, or a number of a bug
    numbers = sorted(number for number in seen if number)
    missing = sorted(set(range(1, numbers[-1] + 1)) - set(numbers)) if numbers else []
    if missing:
        raise UserError(
            f"in {folder} no file is number {missing[0]:04}, between those of 0001 to"
            f" {numbers[-1]:04}"
            if missing[0] > numbers[0]
            else f"in {folder} the numbers begin with {numbers[0]:04}: {missing[0]:04} is missing",
            hint="add it, or write what the series is into a file named series, a name a line",
        )


def _digits(path: Path) -> str:
    """Return the number that a name begins with."""
    match = re.match(r"\d+", path.name)
    return match[0] if match else "0"


def _quilt(folder: Path) -> Listed:
    """Return what a quilt series file lists."""
    where = folder / QUILT
    text = box.read(where).decode(errors="replace")
    files: list[Path] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = _words(line, f"{where}, line {number}")
        if not words:
            continue
        name, *options = words
        if name.startswith(("+", "-")):
            raise UserError(
                f"{where}, line {number}: '{name}' is a guard, and which guards hold is not known",
                hint="write the list as it is to be: guards --list, or quilt series",
            )
        strip = " ".join(options)
        if strip and not re.fullmatch(r"-p ?(1|ab)", strip):
            raise UserError(
                f"{where}, line {number}: {name} is to be applied with {strip}, and git am takes"
                " -p1",
                hint="quilt refresh -p1 writes it anew",
            )
        path = given(folder / name)
        if not path.is_file():
            raise UserError(f"{where}, line {number}: there is no {path}", hint="mend the list")
        if path in files:
            raise UserError(f"{where}, line {number}: {name} is there twice", hint="mend the list")
        files.append(path)
    if not files:
        raise UserError(f"{where} lists no patch", hint="write the patches into it, a name a line")
    off = sorted(p.name for p in folder.iterdir() if _is_patch(p) and p not in files)
    notes = (f"not in its file series, so left out: {', '.join(off[:10])}",) if off else ()
    return Listed(tuple(files), notes, by_list=True)


def _words(line: str, where: str) -> list[str]:
    """Return the words of a line of a series file, without its comment."""
    bare = re.sub(r"(^|\s)#.*$", "", line).strip()
    try:
        return shlex.split(bare) if "'" in bare or '"' in bare else bare.split()
    except ValueError as exc:
        raise UserError(f"{where}: {exc}", hint="mend the list") from exc


def read(found: Listed) -> list[tuple[Path, Letter]]:
    """Return the mails of the files, without cover letters; a file may hold several.

    Raises UserError when a file cannot be read or is empty.
    """
    series = []
    for path in found.files:
        content = box.read(path)
        if not content.strip():
            raise UserError(f"{path} is empty, and no mailed patch", hint=_MAKE)
        for letter in letters.read(content):
            is_cover = letter.place.number == 0 or re.search(r"\b0000-cover-letter", path.name)
            if not (is_cover and not letter.diffs.size.files):
                series.append((path, letter))
    return series


def check_places(series: Sequence[tuple[Path, Letter]], folder: Path) -> None:
    """Raise UserError unless the subjects that name a place are 1 to n of n, in this order."""
    placed = [(path, one.place) for path, one in series if one.place.number]
    versions = {place.version: path.name for path, place in placed}
    if len(versions) > 1:
        raise UserError(
            f"{folder} holds several versions of a series: {' and '.join(versions.values())}",
            hint="keep one version in the folder",
        )
    totals = {place.total: path.name for path, place in placed}
    if len(totals) > 1:
        raise UserError(
            f"{folder} holds patches of series of {' and '.join(map(str, totals))} patches:"
            f" {' and '.join(totals.values())}",
            hint="keep one series in the folder",
        )
    numbers = [place.number for _, place in placed]
    total = next(iter(totals), 0) or 0
    missing = [number for number in range(1, total + 1) if number not in numbers]
    if more := [path.name for path, place in placed if (place.number or 0) > total]:
        raise UserError(
            f"{folder} holds more patches than the series has: {more[0]}", hint="move it away"
        )
    if missing:
        raise UserError(
            f"{missing[0]}/{total} is missing in {folder}",
            hint="add it, or write what the series is into a file named series, a name a line",
        )
    for (before, one), (path, two) in itertools.pairwise(placed):
        if (one.number or 0) >= (two.number or 0):
            what = f"{two.number}/{total}, {path.name},"
            raise UserError(
                f"in {folder}, {what} comes behind {one.number}/{total}, {before.name}",
                hint="rename the files, or write their order into a file named series",
            )
