# SPDX-License-Identifier: GPL-2.0-or-later
"""A user land for tests that are scripts: Debian packages of the guest's arch, unpacked.

configs/land.toml lists them.  What was taken once is kept in a record, so that a later run takes
the same versions and asks no network.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pinrace import store, ui
from pinrace.arches import Arch
from pinrace.errors import InfrastructureError
from pinrace.image.cpio import Entry
from pinrace.paths import CONFIGS, cache_dir
from pinrace.trees.apt import AptRoot, host_suite
from pinrace.trees.debs import Deb, cached_deb, unpack_deb

FILE = CONFIGS / "land.toml"
VARIABLE = "PINRACE_LAND"  # set by --land
_RECORD = "land-{arch}-{key}.json"


class Land(BaseModel):
    """The whole file, which says what each means."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    packages: tuple[str, ...]
    without: tuple[str, ...] = ()
    memory: int = 0


@cache
def land(path: Path = FILE) -> Land:
    """Return what the file lists; InfrastructureError when it is malformed."""
    try:
        return Land.model_validate(tomllib.loads(path.read_text()))
    except (ValidationError, tomllib.TOMLDecodeError, OSError) as exc:
        raise InfrastructureError(f"{path} is no list of packages: {exc}") from exc


def wanted() -> bool:
    """Whether the user asks for it."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


def root(arch: Arch) -> Path:
    """Return a folder with the user land of an arch.

    Raises InfrastructureError when a package cannot be had.
    """
    debs = _debs(arch)

    def fill(draft: Path) -> None:
        for deb in debs:
            unpack_deb(deb, draft)

    return store.make("lands", store.digest("1", *(deb.sha256 for deb in debs)), fill)


def entries(arch: Arch) -> tuple[Entry, ...]:
    """Return the user land as files of a guest."""
    return _entries(root(arch))


@cache
def _entries(folder: Path) -> tuple[Entry, ...]:
    found = []
    for path in sorted(folder.rglob("*")):
        place = f"/{path.relative_to(folder)}"
        if place.startswith(land().without):
            continue
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_symlink():
            found.append(Entry(place, 0o777, target=str(path.readlink())))
        elif path.is_file():
            found.append(Entry(place, mode & 0o755, data=path))
    return tuple(found)


def has(arch: Arch, program: str) -> bool:
    """Whether a program of that path is there; links may lead within the folder."""
    place = root(arch) / program.lstrip("/")
    return place.is_symlink() or place.is_file()


def _debs(arch: Arch) -> list[Deb]:
    """Return the packages, in the versions of the record if there is one."""
    suite = host_suite()
    key = store.digest(suite, *land().packages)
    record = cache_dir() / _RECORD.format(arch=arch.name, key=key)
    known: list[tuple[str, str]] = json.loads(record.read_text()) if record.is_file() else []
    debs = [cached_deb(name, suite, arch.deb_arch, version) for name, version in known]
    have = [deb for deb in debs if deb]
    if known and len(have) == len(known):
        return have
    apt = AptRoot(suite, arch.deb_arch, say=ui.say)
    chosen = apt.closure(land().packages)
    taken = [apt.deb(name, version) for name, version in chosen]
    store.write_json(record, chosen)
    return taken
