# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe of the root file system, rootfs/image.toml: what lies where, and from which part."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from pinrace.errors import InfrastructureError
from pinrace.image.cpio import Entry
from pinrace.paths import ROOTFS

RECIPE = ROOTFS / "image.toml"

Mode = Annotated[int, BeforeValidator(lambda text: int(text, 8) if isinstance(text, str) else text)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Directory(_Strict):
    """A directory of its own mode."""

    path: str
    mode: Mode = 0o755


class Node(_Strict):
    """A character device."""

    path: str
    mode: Mode
    major: int
    minor: int


class Files(_Strict):
    """The files of a part (a folder of built things) that match a pattern, into one directory.

    name renames a single file.  A part that is `optional` may be left out of an image; a pattern
    that matches nothing is an error all the same.
    """

    part: str
    pattern: str
    into: str
    mode: Mode = 0o755
    name: str = ""
    optional: bool = False


class Text(_Strict):
    """A file written in the recipe itself."""

    path: str
    text: str
    mode: Mode = 0o644


class Applets(_Strict):
    """Links to busybox."""

    into: str
    target: str
    names: tuple[str, ...]


class Recipe(_Strict):
    """All of rootfs/image.toml."""

    directory: tuple[Directory, ...] = ()
    node: tuple[Node, ...] = ()
    files: tuple[Files, ...] = ()
    text: tuple[Text, ...] = ()
    applets: tuple[Applets, ...] = ()

    def entries(self, parts: Mapping[str, Path], more: Sequence[Files] = ()) -> list[Entry]:
        """Return what the image holds; parts maps a part's name to its folder; more: on top.

        Raises InfrastructureError for a part or a file that is missing.
        """
        found = [Entry(d.path, d.mode) for d in self.directory]
        found += [Entry(n.path, n.mode, device=(n.major, n.minor)) for n in self.node]
        found += [Entry(t.path, t.mode, data=t.text.encode()) for t in self.text]
        for links in self.applets:
            found += [Entry(f"{links.into}/{n}", 0o777, target=links.target) for n in links.names]
        for files in (*self.files, *more):
            if files.part in parts or not files.optional:
                found += _matching(files, parts)
        return found


def _matching(files: Files, parts: Mapping[str, Path]) -> list[Entry]:
    """Return the entries for one rule."""
    folder = parts.get(files.part)
    matches = sorted(p for p in folder.glob(files.pattern) if p.is_file()) if folder else []
    if not matches or (files.name and len(matches) > 1):
        raise InfrastructureError(
            f"the image wants '{files.pattern}' of its part '{files.part}', which has "
            + (f"{len(matches)} of it in {folder}" if folder else "not been built"),
            hint=f"look at {RECIPE}",
        )
    into = files.into.rstrip("/")
    return [Entry(f"{into}/{files.name or p.name}", files.mode, data=p) for p in matches]


def load(path: Path = RECIPE) -> Recipe:
    """Return the recipe; InfrastructureError when the file is not one."""
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text()))
    except (ValidationError, tomllib.TOMLDecodeError, OSError) as exc:
        raise InfrastructureError(f"{path} is no recipe of an image: {exc}") from exc
