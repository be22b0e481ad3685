# SPDX-License-Identifier: GPL-2.0-or-later
"""The pairs of kernel functions that are known to share state, as data beside a series."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pinrace import userfile
from pinrace.errors import UserError
from pinrace.races.preempt import spec
from pinrace.series import manifest


def default() -> Path:
    """Return the list of the default series; UserError when it has none."""
    return manifest.default_file(lambda one: one.races.windows, "[races] windows")


class Window(BaseModel):
    """One entry: a side is held at each instruction of a function while the other one runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    scenario: str = Field(pattern=r"^[a-z][a-z0-9-]*$")  # of guest/hold, or a race's name
    window: str  # the function
    side: str = Field(default="a", pattern="^[abct]$")  # the one that is held
    first: int = Field(default=0, ge=0)  # instructions into the function, the first to hold at
    last: int | None = None  # and the last; None for all
    until: str = spec.DONE  # how far the other side runs meanwhile
    settle: bool = False  # the tracee that it has woken runs meanwhile, too
    against: str = ""  # for pairs of preemptions: the other side's window
    control: bool = False  # loses by its nature: shows that holds find what there is
    before: str = ""  # moves that lead to where the window begins, as of a hold
    # Who runs meanwhile, one after the other; "" for the other of two sides
    runners: str = Field(default="", pattern="^[abc]*$")

    @model_validator(mode="after")
    def _in_order(self) -> Window:
        if self.last is not None and self.last < self.first:
            raise ValueError(f"its last instruction, {self.last}, is before {self.first}")
        return self

    @property
    def led(self) -> tuple[spec.Move, ...]:
        """The moves that lead to where the window begins."""
        return spec.parse(self.before).moves if self.before else ()

    @property
    def runner(self) -> str:
        """The side that runs first while this one is held."""
        return self.runners[:1] or spec.other(self.side)


class _Windows(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    window: tuple[Window, ...] = Field(min_length=1)


def load(path: Path | None = None) -> tuple[Window, ...]:
    """Return the list; UserError when it cannot be used, or names something twice."""
    path = path or default()
    found = userfile.read(_Windows, path, "is no list of windows", hint=f"mend {path}").window
    for window in found:
        for name in filter(None, (window.window, window.against)):
            spec.parse_function(name)
    names = [window.name for window in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"windows of one name in {path}: {', '.join(sorted(twice))}")
    return found
