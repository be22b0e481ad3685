# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages that were fetched: where they are kept, and what they hold."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pinrace.paths import cache_dir
from pinrace.procs import run


@dataclass(frozen=True)
class Deb:
    """A package on disk that apt has verified."""

    package: str
    version: str
    suite: str
    deb_arch: str  # the index it came from
    path: Path
    sha256: str


def cached_deb(package: str, suite: str, deb_arch: str, version: str) -> Deb | None:
    """Return the package when it was fetched before; never the network."""
    return read(place_of(package, suite, deb_arch, version))


def unpack_deb(deb: Deb, into: Path) -> None:
    """Unpack a package's files below a folder, without installing anything."""
    into.mkdir(parents=True, exist_ok=True)
    run(["dpkg-deb", "-x", deb.path, into], what=f"unpacking {deb.path.name}")


def place_of(package: str, suite: str, deb_arch: str, version: str) -> Path:
    """Return the folder of one package; ':' of an epoch is no character for a file name."""
    name = f"{package}_{version}_{deb_arch}".replace(":", "%3a")
    return cache_dir() / "debs" / suite / name


def read(place: Path) -> Deb | None:
    """Return what a folder of a package holds; None when that is no package."""
    try:
        facts = json.loads((place / "deb.json").read_text())
        return Deb(**{**facts, "path": place / facts["path"]})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def last_fetched(package: str, suite: str, deb_arch: str) -> Deb | None:
    """Return the package of that name that was fetched last."""
    folder = cache_dir() / "debs" / suite
    found = [read(p) for p in folder.glob(f"{package}_*_{deb_arch}")]
    return max((d for d in found if d), key=lambda d: d.path.stat().st_mtime, default=None)
