# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources of the guest's programs: rootfs/, and the guest/ of each series that is shipped.

A compiler sees them as one folder, so that a series' programs use rootfs/lib as rootfs' own do, and
come out the same wherever they lie.
"""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from pinrace import store
from pinrace.errors import InfrastructureError
from pinrace.paths import ROOTFS
from pinrace.series import manifest
from pinrace.series.manifest import Program

PROGRAMS = ROOTFS / "programs.toml"
PATTERN = "*.[ch]"


class _Programs(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    program: tuple[Program, ...]


def programs(path: Path = PROGRAMS) -> tuple[Program, ...]:
    """Return the programs of every image, rootfs' own first.

    Raises InfrastructureError when that file is malformed.
    """
    try:
        own = _Programs.model_validate(tomllib.loads(path.read_text())).program
    except (ValidationError, tomllib.TOMLDecodeError, OSError) as exc:
        raise InfrastructureError(f"{path} is no list of programs: {exc}") from exc
    return (*own, *(one for series in manifest.shipped().values() for one in series.program))


def roots() -> tuple[Path, ...]:
    """Return the folders that hold sources."""
    guests = (folder / manifest.GUEST for folder in manifest.shipped())
    return (ROOTFS, *(folder for folder in guests if folder.is_dir()))


def files(pattern: str = PATTERN) -> dict[str, Path]:
    """Return the sources by their name in the one folder; InfrastructureError for a name twice."""
    found: dict[str, Path] = {}
    for root in roots():
        for path in sorted(root.rglob(pattern)):
            if not path.is_file():
                continue
            name = str(path.relative_to(root))
            if name in found:
                raise InfrastructureError(
                    f"two sources are called {name}: {found[name]} and {path}",
                    hint="rename one of them",
                )
            found[name] = path
    return found


def digest() -> str:
    """Return a digest of the sources, names included."""
    return store.digest(
        *(
            f"{name} {store.digest_file(path)}"
            for name, path in sorted(files().items(), key=_by_parts)
        )
    )


def _by_parts(file: tuple[str, Path]) -> tuple[str, ...]:
    return Path(file[0]).parts


def folder() -> Path:
    """Return a folder with all sources, whose content never changes."""

    def fill(draft: Path) -> None:
        for name, path in files().items():
            place = draft / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)

    return store.make("guest-sources", digest(), fill)
