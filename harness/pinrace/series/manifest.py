# SPDX-License-Identifier: GPL-2.0-or-later
"""What a series says of itself: the `series.toml` beside its patches.

It holds what a tree needs for the series, the feature that it brings, its suites, guest programs,
contract, windows and mutants.  docs/series.md explains each table.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from pinrace import userfile
from pinrace.errors import InfrastructureError, UserError
from pinrace.paths import CONFIGS, KERNEL
from pinrace.values import Feature, Series

FILE = "series.toml"
GUEST = "guest"  # the folder of a series' guest programs
DEFAULTS = CONFIGS / "defaults.toml"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Requirement(_Strict):
    """A text that a file of the tree must hold."""

    what: str = Field(description="for people")
    file: str = Field(min_length=1)
    text: str = Field(min_length=1)


class FeatureTable(_Strict):
    """The feature that the series brings, and how it is told whether a kernel has it."""

    name: str = Field(description="for people")
    defines: str = Field(min_length=1, description="a macro that a patch of the series defines")
    record: str = Field(
        min_length=1, description="guest programs say `feature RECORD=0` where it is missing"
    )


class Selftests(_Strict):
    """A collection of the tree's selftests that is built into the image of each ABI."""

    collection: str = Field(description="a folder below tools/testing/selftests")
    mixed: str = Field(default="", description="a program that is wanted of the other ABI, too")


class Program(_Strict):
    """One program of the guest; sources are relative to rootfs/, or to the series' guest/."""

    name: str
    sources: tuple[str, ...]
    libs: tuple[str, ...] = ()
    native: bool = Field(default=False, description="only for an arch's native ABI")

    @property
    def place(self) -> str:
        """Where it lies in the folder of built programs."""
        return self.name if self.native else f"bin/{self.name}"


class ImageSuite(_Strict):
    """A suite whose program every image has: one of the [[program]]s, or of the [selftests]."""

    name: str
    about: str
    guest: str = Field(default="", description="the name of a [[program]]")
    selftest: str = Field(default="", description="the name of a program of the [selftests]")
    timeout: float = Field(gt=0, description="seconds at native speed")
    brought: bool = Field(default=False, description="only a patched tree has it")
    own_limits: bool = Field(default=False, description="its cases have time limits")
    picks: bool = Field(default=False, description="it is kselftest_harness's, and runs cases")
    left_out: dict[str, str] = Field(default={}, description="cases that only -k runs, and why")
    rich: bool = Field(default=False, description="on a machine with all that CPUs can have")
    files: tuple[str, ...] = Field(default=(), description="patterns of files it looks at")
    tests: tuple[str, ...] = Field(default=(), description="the same of selftests' sources")
    kcidb: str = Field(default="", description="the test's path in KCIDB")

    @model_validator(mode="after")
    def _can_leave_out(self) -> ImageSuite:
        if self.left_out and not self.picks:
            raise ValueError("left_out needs picks = true: only such a program can leave cases out")
        return self


class Contract(_Strict):
    """What the series promises, and the selftest whose cases are named after that."""

    statements: str = "contract.toml"
    suite: str = Field(min_length=1)
    selftest: str = Field(default="", description="the source that patches of a selftest name")


class Races(_Strict):
    """Lists of windows to look into."""

    windows: str = ""
    benchmark: str = ""


class MutantsTable(_Strict):
    """Where the mutants lie, and which tests have to see them."""

    folder: str = "mutants"
    torture: bool = Field(default=False, description="the torture program races the feature")
    price: bool = Field(default=False, description="the price program counts its calls")


def _kind(table: object) -> str:
    of_image = isinstance(table, ImageSuite) or (
        isinstance(table, dict) and not {"guest", "selftest"}.isdisjoint(table)
    )
    return "image" if of_image else "own"


# A [[suite]]: one of the image's, or the table of one that pinrace.suites.own reads.
_Suite = Annotated[
    Annotated[ImageSuite, Tag("image")] | Annotated[dict[str, Any], Tag("own")],
    Discriminator(_kind),
]


class Manifest(_Strict):
    """All of a series.toml."""

    requires: tuple[Requirement, ...] = ()
    feature: FeatureTable | None = None
    selftests: Selftests | None = None
    program: tuple[Program, ...] = ()
    suite: tuple[_Suite, ...] = ()
    contract: Contract | None = None
    races: Races = Races()
    mutants: MutantsTable | None = None

    @property
    def image_suites(self) -> tuple[ImageSuite, ...]:
        """The suites that are in every image."""
        return tuple(one for one in self.suite if isinstance(one, ImageSuite))

    @property
    def own_suites(self) -> tuple[dict[str, Any], ...]:
        """The tables of the suites that the series brings with their programs."""
        return tuple(one for one in self.suite if isinstance(one, dict))


class _Defaults(_Strict):
    tree: str
    series: str


def read(folder: Path) -> Manifest:
    """Return what lies beside a series' patches; UserError when the file is malformed."""
    path = folder / FILE
    if not path.exists():
        return Manifest()
    return userfile.read(Manifest, path, "does not describe a series", hint="docs/series.md")


def folder_of(series: Series) -> Path:
    """Return the folder of a series, where its manifest and what that names lie."""
    return series.folder or series.patches[0].parent


@cache
def _defaults() -> _Defaults:
    try:
        return _Defaults.model_validate(tomllib.loads(DEFAULTS.read_text()))
    except (OSError, ValidationError, tomllib.TOMLDecodeError) as exc:
        raise InfrastructureError(f"{DEFAULTS} cannot be used: {exc}") from exc


def default_tree() -> str:
    """Return what --tree is when nobody says."""
    return _defaults().tree


def default_name() -> str:
    """Return the name of the series that is tested when nobody says."""
    return _defaults().series


def default_folder() -> Path:
    """Return the folder of that series."""
    return KERNEL / default_name()


@cache
def shipped() -> dict[Path, Manifest]:
    """Return the manifests of the series that the project ships, by folder, the default first."""
    folders = sorted(path.parent for path in KERNEL.glob(f"*/{FILE}"))
    folders.sort(key=lambda folder: folder != default_folder())
    found = {}
    for folder in folders:
        try:
            found[folder] = read(folder)
        except UserError:  # who asks for that series is told
            if folder == default_folder():
                raise
    return found


def default_file(name: Callable[[Manifest], str], what: str) -> Path:
    """Return a file that the default series' manifest names; UserError when it names none."""
    folder = default_folder()
    file = name(shipped()[folder])
    if not file:
        raise UserError(f"{folder / FILE} names no {what}", hint="see docs/series.md")
    return folder / file


def mutant_folders(first: Path | None = None) -> tuple[Path, ...]:
    """Return the folders with mutants of the shipped series; first: a series' own folder."""
    folders = dict.fromkeys([*([first] if first else []), *shipped()])
    tables = ((folder, read(folder).mutants) for folder in folders)
    named = (os.path.normpath(folder / table.folder) for folder, table in tables if table)
    return tuple(map(Path, dict.fromkeys(named)))


def beside(series: Series) -> tuple[Path, Manifest]:
    """Return the folder and the manifest that speak of a series.

    That is its own where it has one; else that of the default series, whose other versions and
    whose like on lists have none.
    """
    folder = folder_of(series)
    if (folder / FILE).is_file():
        return folder, read(folder)
    return default_folder(), shipped()[default_folder()]


def feature_of(series: Series | None) -> Feature | None:
    """Return the feature that a series brings: one of a shipped manifest, or of its own.

    OSError when a patch cannot be read.
    """
    if series is None:
        return None
    own = read(folder_of(series))
    added = b"".join(patch.read_bytes() for patch in series.patches)
    for table in filter(None, (own.feature, *(one.feature for one in shipped().values()))):
        feature = Feature(table.name, table.defines, table.record)
        if feature.defined_in(added):
            return feature
    return None
