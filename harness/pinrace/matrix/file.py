# SPDX-License-Identifier: GPL-2.0-or-later
"""A matrix as a TOML file: axes, blocks of them, and what is left out with its reason."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pinrace import userfile
from pinrace.arches import ARCHES, get_abi, get_arch
from pinrace.errors import UserError
from pinrace.kbuild.kconfig import flavors
from pinrace.series import manifest
from pinrace.suites import registry
from pinrace.suites.shipped import SUITES

AXES = ("tree", "series", "arch", "flavor")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Block(_Strict):
    """One product of axes; what is not given is as in the file's own axes."""

    trees: tuple[str, ...] | None = None
    series: tuple[str, ...] | None = None
    arches: tuple[str, ...] | None = None
    flavors: tuple[str, ...] | None = None
    abis: tuple[str, ...] | None = Field(default=None, description="of these arches; empty: all")
    suites: tuple[str, ...] | None = Field(
        default=None, description="empty: build and look at warnings"
    )
    config: tuple[str, ...] | None = Field(default=None, description='more options, "NAME=y"')
    repeat: int | None = Field(default=None, ge=1)
    baseline: bool | None = Field(default=None, description="hold it against the unpatched tree")


class Exclude(_Strict):
    """What to leave out: a leg that has all of the values given here."""

    reason: str = Field(min_length=3)
    tree: str | None = None
    series: str | None = None
    arch: str | None = None
    flavor: str | None = None


class MatrixFile(_Strict):
    """The file: the axes of the first product, further products, exclusions and a budget."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    budget_minutes: float | None = Field(
        default=None, gt=0, description="no leg and no cell begins after that"
    )
    watch: tuple[str, ...] = Field(
        default=(), description="files of watches that a night goes through, beside this file"
    )
    trees: tuple[str, ...] = ("debian:7.3",)
    series: tuple[str, ...] = (manifest.default_name(),)
    arches: tuple[str, ...] = tuple(ARCHES)
    flavors: tuple[str, ...] = ("plain",)
    abis: tuple[str, ...] = ()
    suites: tuple[str, ...] = tuple(SUITES)
    config: tuple[str, ...] = ()
    repeat: int = Field(default=1, ge=1)
    baseline: bool = True
    block: tuple[Block, ...] = ()
    exclude: tuple[Exclude, ...] = ()


@dataclass(frozen=True)
class Leg:
    """One kernel and its cells."""

    tree: str
    series: str
    arch: str
    flavor: str
    abis: tuple[str, ...]
    suites: tuple[str, ...]
    config: tuple[str, ...] = ()
    repeat: int = 1
    baseline: bool = True
    excluded: str = ""  # the reason, for one that is left out

    @property
    def name(self) -> str:
        """How people call it."""
        extra = f" {' '.join(self.config)}" if self.config else ""
        return f"{self.tree} {self.series} {self.arch} {self.flavor}{extra}"

    @property
    def facts(self) -> dict[str, Any]:
        """All of it, for a key and a journal."""
        return asdict(self)


def load(path: Path) -> MatrixFile:
    """Return the file's matrix; UserError says what is wrong with it, and where."""
    return userfile.read(MatrixFile, path, "is no matrix", hint="pinrace run --schema")


def legs(matrix: MatrixFile) -> list[Leg]:
    """Return all legs, those left out too, each once.

    Raises UserError for an unknown arch, ABI, flavor or suite, and for an exclusion that fits no
    leg: it was meant to.
    """
    found: dict[Leg, None] = {}
    for block in (Block(), *matrix.block):
        found |= dict.fromkeys(_product(matrix, block))
    all_legs = [_judged(leg, matrix.exclude) for leg in found]
    for rule in matrix.exclude:
        if not any(_fits(leg, rule) for leg in found):
            raise UserError(f"matrix {matrix.name}: '{rule.reason}' excludes nothing")
    return all_legs


def _product(matrix: MatrixFile, block: Block) -> list[Leg]:
    """Return the legs of one block."""
    given = {name: getattr(block, name) for name in Block.model_fields}
    axes = {name: getattr(matrix, name) if had is None else had for name, had in given.items()}
    for name in axes["arches"]:
        get_arch(name)
    axes["suites"] = tuple(registry.names(axes["suites"]))
    for name in axes["flavors"]:
        if name not in flavors():
            hint = f"the flavors are: {', '.join(flavors())}"
            raise UserError(f"unknown flavor '{name}'", hint=hint)
    wanted = [get_abi(name) for name in axes["abis"]]
    product = itertools.product(axes["trees"], axes["series"], axes["arches"], axes["flavors"])
    made = []
    for tree, series, arch, flavor in product:
        mine = [abi.name for abi in ARCHES[arch].abis]
        chosen = tuple(abi.name for abi in wanted if abi.name in mine) if wanted else tuple(mine)
        if chosen:
            rest = (axes["suites"], axes["config"], axes["repeat"], axes["baseline"])
            made.append(Leg(tree, series, arch, flavor, chosen, *rest))
    return made


def _fits(leg: Leg, rule: Exclude) -> bool:
    """Whether an exclusion is about this leg."""
    asked = {axis: getattr(rule, axis) for axis in AXES}
    return all(want is None or getattr(leg, axis) == want for axis, want in asked.items())


def _judged(leg: Leg, rules: tuple[Exclude, ...]) -> Leg:
    """Return the leg, with the reason if it is left out."""
    reason = next((rule.reason for rule in rules if _fits(leg, rule)), "")
    return Leg(**{**leg.facts, "excluded": reason}) if reason else leg
