# SPDX-License-Identifier: GPL-2.0-or-later
"""configs/kernel-org.toml: where kernels come from, and whose signature counts for what."""

from __future__ import annotations

import os
import tomllib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pinrace import paths
from pinrace.errors import UserError

Role = Literal["sums", "mainline", "stable", "next"]
RELEASES: tuple[Role, ...] = ("mainline", "stable")
TAGS: tuple[Role, ...] = ("mainline", "stable", "next")
# What the environment may say instead of the file.
VARIABLES = {
    "pub": "PINRACE_KERNEL_PUB",
    "releases": "PINRACE_KERNEL_RELEASES",
    "git": "PINRACE_KERNEL_GIT",
}
KEYS_VARIABLE = "PINRACE_KERNEL_KEYS"


class Signer(BaseModel):
    """Someone whose signature counts, known by the fingerprint of a primary key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    mail: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    fingerprint: str = Field(pattern=r"^[0-9A-F]{40}([0-9A-F]{24})?$")
    vouches: tuple[Role, ...]


class Pins(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pub: str
    releases: str
    git: str
    wkd: tuple[str, ...]  # URLs with {hash} and {local}
    keys: tuple[Signer, ...]

    def signers(self, *roles: Role) -> tuple[Signer, ...]:
        """Return those who may vouch in one of these roles."""
        return tuple(key for key in self.keys if set(roles) & set(key.vouches))


def read() -> Pins:
    """Return the file's content, with what the environment says instead.

    UserError when it is missing or not well made.
    """
    file = paths.KERNEL_ORG_FILE
    try:
        table = tomllib.loads(file.read_text())
        for key, variable in VARIABLES.items():
            if os.environ.get(variable):
                table[key] = os.environ[variable]
        found = Pins.model_validate(table)
    except (OSError, ValueError, ValidationError) as exc:
        raise UserError(f"cannot use {file}: {exc}", hint=f"git checkout -- {file}") from exc
    return found
