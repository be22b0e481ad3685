# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules that judge consoles, as splats.toml has them."""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pinrace.errors import InfrastructureError
from pinrace.values import Splat

RULES = Path(__file__).with_name("splats.toml")
WIDTH = 512  # characters of a line that rules look at; what a kernel says first is what tells

Severity = Literal["panic", "bug", "warning", "note", "none", "setup", "host", "blind"]
COUNTS: tuple[Severity, ...] = ("panic", "bug", "warning")
Role = Literal["report", "trap", "warn", "words", "cut", "panic", "inside", "line", "list"]
UNEXPLAINED = "trace"  # the rule for a stack trace that no other rule explains
_GROUP = re.compile(r"\(\?P<\w+>")


class Rule(BaseModel):
    """One entry of splats.toml, where its fields are explained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z][a-z-]*$")
    start: re.Pattern[str]
    end: re.Pattern[str] | None = None
    severity: Severity
    role: Role = "report"
    stack: re.Pattern[str] | None = None
    stacks: int = Field(default=1, ge=1)
    whose: Literal["", "cpu", "task"] = ""
    follows: re.Pattern[str] | None = None
    gap: float | None = Field(default=None, gt=0)
    ignore: tuple[re.Pattern[str], ...] = ()
    deafens: str = ""
    unless: str = ""
    closes: re.Pattern[str] | None = None

    def match(self, text: str) -> re.Match[str] | None:
        """Return the match of a line that starts a report of this kind."""
        found = self.start.match(text)
        return None if found and any(i.search(text) for i in self.ignore) else found


class Rules(BaseModel):
    """The whole of splats.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    longest: int = Field(gt=1)
    gap: float = Field(gt=0)
    near: int = Field(ge=0)
    kept: int = Field(ge=1)
    plumbing: tuple[re.Pattern[str], ...]
    common: tuple[re.Pattern[str], ...]
    entry: tuple[re.Pattern[str], ...]
    interrupt: tuple[re.Pattern[str], ...]
    rule: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sound(self) -> Rules:
        """Refuse rules that match anything, and an id that counts in one rule and not in another.

        A report is known by the id of its rule alone, whose severity decides.
        """
        counting: dict[str, str] = {}
        for rule in self.rule:
            if rule.start.match(""):
                raise ValueError(f"rule '{rule.id}' matches an empty line")
            blame = "counts" if rule.severity in COUNTS else rule.severity
            if counting.setdefault(rule.id, blame) != blame:
                raise ValueError(f"rules '{rule.id}' have severities of several kinds")
        return self

    def __hash__(self) -> int:
        return id(self)

    @functools.cached_property
    def _any(self) -> re.Pattern[str]:
        """All starts in one expression, which most lines fail."""
        starts = (_GROUP.sub("(?:", rule.start.pattern) for rule in self.rule)
        return re.compile("|".join(f"(?:{start})" for start in starts))

    def match(self, text: str) -> tuple[Rule, re.Match[str]] | None:
        """Return the first rule that a line starts a report of, and its match."""
        text = text[:WIDTH]
        if not self._any.match(text):
            return None
        return next(((r, m) for r in self.rule if (m := r.match(text))), None)

    @functools.cached_property
    def _sorts(self) -> dict[str, str]:
        """What functions are, by name, as far as it was asked."""
        return {}

    def sort(self, function: str) -> str:
        """Return which list a function is in: plumbing, common, entry, interrupt, or ""."""
        if function not in self._sorts:
            lists = ("interrupt", "entry", "plumbing", "common")
            self._sorts[function] = next(
                (name for name in lists if any(p.fullmatch(function) for p in getattr(self, name))),
                "",
            )
        return self._sorts[function]

    def severity(self, rule_id: str) -> Severity:
        """Return the severity of the rule of that id ("bug" for one that is not there)."""
        return next((r.severity for r in self.rule if r.id == rule_id), "bug")

    def counts(self, splat: Splat) -> bool:
        """Whether a report speaks against the kernel under test."""
        return self.severity(splat.rule) in COUNTS and not splat.elsewhere


@functools.cache
def load_rules(path: Path = RULES) -> Rules:
    """Return the rules; InfrastructureError when they cannot be used."""
    try:
        return Rules.model_validate(tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as exc:
        raise InfrastructureError(
            f"the rules that judge consoles cannot be used: {exc}", log=path, hint=f"mend {path}"
        ) from exc
