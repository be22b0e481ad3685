# SPDX-License-Identifier: GPL-2.0-or-later
"""configs/kselftest.toml: what collections of selftests need beside their makefiles."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError

from pinrace.errors import InfrastructureError
from pinrace.paths import CONFIGS

FILE = CONFIGS / "kselftest.toml"


class Quirk(BaseModel):
    """What one collection needs; the file says what each means."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    programs: tuple[str, ...] = ()
    skip: dict[str, str] = {}
    linked: Literal["static", "dynamic"] = "static"
    arch: dict[str, str] = {}
    memory: int = 0
    before: tuple[str, ...] = ()
    known: dict[str, str] = {}


class _File(RootModel[dict[str, Quirk]]):
    pass


@cache
def quirks(path: Path = FILE) -> dict[str, Quirk]:
    """Return the quirks by collection; InfrastructureError when the file is malformed."""
    try:
        return _File.model_validate(tomllib.loads(path.read_text())).root
    except (ValidationError, tomllib.TOMLDecodeError, OSError) as exc:
        raise InfrastructureError(f"{path} is no list of collections: {exc}") from exc


def quirk(name: str) -> Quirk:
    """Return what a collection needs."""
    return quirks().get(name, Quirk())
