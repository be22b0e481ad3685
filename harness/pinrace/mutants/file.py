# SPDX-License-Identifier: GPL-2.0-or-later
"""Read the list of a series' mutants, mutants.toml, where its fields are explained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pinrace import userfile
from pinrace.arches import ABIS
from pinrace.errors import UserError
from pinrace.series import manifest
from pinrace.series.load import with_patch
from pinrace.values import Series

LIST = "mutants.toml"


class Mutant(BaseModel):
    """One patch that breaks what the series promises."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    folder: Path = Path()  # of its patch; not in the file
    file: str = Field(pattern=r"^[a-z][a-z-]*\.patch$")
    statements: tuple[str, ...] = Field(min_length=1)
    kind: Literal["promise", "race"]
    about: str = Field(min_length=1)
    abis: tuple[str, ...] = tuple(ABIS)
    flavor: Literal["plain", "debug", "kcsan"] = "plain"
    ending: tuple[Literal["panic", "hang"], ...] = ()

    @field_validator("abis")
    @classmethod
    def _known(cls, abis: tuple[str, ...]) -> tuple[str, ...]:
        if not abis or not set(abis) <= set(ABIS):
            raise ValueError(f"the ABIs are: {', '.join(ABIS)}")
        return abis

    @property
    def name(self) -> str:
        """How people call it."""
        return Path(self.file).stem


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    mutant: tuple[Mutant, ...]


def load(folder: Path | None = None) -> tuple[Mutant, ...]:
    """Return the mutants of a folder, else of the default series.

    Raises UserError when that series has none, or the file is no such list, or names one twice.
    """
    if folder is None:
        home = manifest.default_folder()
        table = manifest.shipped()[home].mutants
        if table is None:
            raise UserError(f"{home.name} has no mutants", hint=f"[mutants] in {home}")
        folder = home / table.folder
    path = folder / LIST
    listed = userfile.read(_File, path, "is no list of mutants", hint=f"mend {path}").mutant
    found = tuple(one.model_copy(update={"folder": folder}) for one in listed)
    names = [mutant.name for mutant in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path} lists {', '.join(twice)} twice")
    return found


def select(mutants: Sequence[Mutant], names: Sequence[str]) -> tuple[Mutant, ...]:
    """Return the mutants of these names or statements, all for none; UserError for an unknown."""
    known = {mutant.name for mutant in mutants} | {s for m in mutants for s in m.statements}
    unknown = [name for name in names if name not in known and name != "race"]
    if unknown:
        raise UserError(
            f"no mutant '{unknown[0]}'",
            hint="a name or a statement such as C4, or race: see its mutants.toml",
        )
    if not names:
        return tuple(mutants)
    asked = set(names)
    return tuple(m for m in mutants if {m.name, m.kind, *m.statements} & asked)


def on_top(series: Series, mutant: Mutant) -> Series:
    """Return the series with the mutant as its last patch; UserError when that is no patch."""
    return with_patch(series, mutant.folder / mutant.file)
