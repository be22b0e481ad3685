# SPDX-License-Identifier: GPL-2.0-or-later
"""The windows that a search has to find, fixed beforehand, as data beside the series.

[races] of a series.toml names the file, which says what its fields are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pinrace import userfile
from pinrace.arches import ARCHES
from pinrace.errors import UserError
from pinrace.mutants import file as mutants
from pinrace.races.benchmark.trial import ARMS
from pinrace.races.preempt import spec
from pinrace.series import manifest

SERIES = "series"  # the kernel of the unmutated series


class Window(BaseModel):
    """One entry: two operations, and a kernel in which they can meet badly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    about: str = Field(min_length=1)
    kernel: str = SERIES  # or a mutant's name
    scenario: str = Field(pattern=r"^[a-z]+$")  # of guest/hold
    # By arch: where side a is held by who is given the symbol.
    function: dict[str, str] = Field(min_length=1)
    clean: dict[str, str] = {}  # the series' own function, where a mutant's is one of its own
    settle: bool = False  # held, the tracee that side b has woken gets on
    without: dict[str, str] = {}  # arms that cannot be tried here, and why

    @field_validator("function", "clean")
    @classmethod
    def _on_each_arch(cls, function: dict[str, str]) -> dict[str, str]:
        if function and set(function) != set(ARCHES):
            raise ValueError(f"one function for each of {', '.join(ARCHES)}")
        for name in function.values():
            spec.parse_function(name)
        return function

    @field_validator("without")
    @classmethod
    def _known(cls, without: dict[str, str]) -> dict[str, str]:
        if unknown := set(without) - set(ARMS):
            raise ValueError(f"no arm {unknown}; the arms are: {', '.join(ARMS)}")
        return without

    @property
    def planted(self) -> bool:
        """Whether a mutant has it, and the series must not."""
        return self.kernel != SERIES


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    window: tuple[Window, ...] = Field(min_length=1)


def default() -> Path:
    """Return the list of the default series; UserError when it has none."""
    return manifest.default_file(lambda one: one.races.benchmark, "[races] benchmark")


def load(path: Path | None = None) -> tuple[Window, ...]:
    """Return the windows; UserError when the file cannot be used or names something twice."""
    path = path or default()
    found = userfile.read(_File, path, "is no list of windows", hint=f"mend {path}").window
    names = [window.name for window in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"windows of one name in {path}: {', '.join(twice)}")
    known = {mutant.name for mutant in mutants.load()}
    for window in found:
        if window.planted and window.kernel not in known:
            raise UserError(f"window {window.name} wants an unknown mutant '{window.kernel}'")
    return found


def select(windows: Sequence[Window], names: Sequence[str]) -> tuple[Window, ...]:
    """Return the windows of these names, all for none; UserError for an unknown one."""
    known = {window.name for window in windows}
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"no window '{unknown[0]}'", hint=f"they are: {', '.join(sorted(known))}")
    return tuple(window for window in windows if not names or window.name in names)
