# SPDX-License-Identifier: GPL-2.0-or-later
"""Find what a kernel reports about itself on its console.

The rules are data, in splats.toml.  A check that does not work must not look like a clean log:
rules that cannot be read and a console without a kernel's lines raise.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pinrace.errors import InfrastructureError
from pinrace.values import Splat

RULES = Path(__file__).with_name("splats.toml")
FRAMES = 5  # functions of a fingerprint, as many as netdev's CI takes

Severity = Literal["panic", "bug", "warning", "setup", "blind"]

# "[   12.345678] " and with CONFIG_PRINTK_CALLER "[   12.345678][  T123] "; wherever in the line
# it stands, because a program may have left the console in mid-line.
_PRINTK = re.compile(r"(?:<\d+>)?\[ *(?P<time>\d+\.\d{6})\](?:\[ *[TC]\d+\])? ?")
_BANNER = "Linux version "
_OFFSET = re.compile(r"\+0x[0-9a-f]+/0x[0-9a-f]+")
_FRAME = re.compile(
    r"(?P<guess>\? )?(?P<function>[A-Za-z_][\w.]*)"
    r"(?:\+0x[0-9a-f]+/0x[0-9a-f]+| \([^()\s]+\.[chS]:\d+[^()]*\))"  # the latter when symbolized
)
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm)\b.*")
_VARYING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+")


class Rule(BaseModel):
    """One entry of splats.toml, where its fields are explained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z][a-z-]*$")
    start: re.Pattern[str]
    end: re.Pattern[str] | None = None
    severity: Severity
    follows: bool = False
    renames: bool = False
    ignore: tuple[re.Pattern[str], ...] = ()

    def match(self, line: str) -> re.Match[str] | None:
        """Return the match of a line that starts a report of this kind."""
        found = self.start.match(line)
        return None if found and any(i.search(line) for i in self.ignore) else found


class Rules(BaseModel):
    """The whole of splats.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    longest: int = Field(gt=1)
    gap: float = Field(gt=0)
    near: int = Field(ge=0)
    plumbing: tuple[re.Pattern[str], ...]
    rule: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _sound(self) -> Rules:
        """Refuse rules that match anything, and one id with several severities of blame."""
        for rule in self.rule:
            if rule.start.match(""):
                raise ValueError(f"rule '{rule.id}' matches an empty line")
        return self

    def severity(self, rule_id: str) -> Severity:
        """Return the severity of the rule of that id ("bug" for one that is not there)."""
        return next((r.severity for r in self.rule if r.id == rule_id), "bug")

    def counts(self, splat: Splat) -> bool:
        """Whether a report speaks against the kernel under test."""
        return self.severity(splat.rule) not in ("blind", "setup") and not splat.elsewhere


@functools.cache
def load_rules(path: Path = RULES) -> Rules:
    """Return the rules; InfrastructureError when they cannot be used."""
    try:
        return Rules.model_validate(tomllib.loads(path.read_text()))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as exc:
        raise InfrastructureError(
            f"the rules that judge consoles cannot be used: {exc}", log=path, hint=f"mend {path}"
        ) from exc


def read(path: Path) -> str:
    """Return a console log's text; InfrastructureError when it cannot be read."""
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError as exc:
        raise InfrastructureError(
            f"cannot read the console log: {exc.strerror or exc}", log=path, hint="run it again"
        ) from exc


def against(console: Path) -> tuple[Splat, ...]:
    """Return the reports of a console's log that speak against the kernel; raises as find()."""
    rules = load_rules()
    return tuple(splat for splat in find(read(console), rules) if rules.counts(splat))


@dataclass(frozen=True)
class _Line:
    """A line of the console as printk meant it."""

    number: int  # from 1
    raw: str
    text: str
    time: float | None  # seconds


@dataclass
class _Report:
    """A report while it is read."""

    rule: Rule
    title: str
    lines: list[_Line]
    ids: list[str] = field(default_factory=list)
    over: bool = False
    end: re.Pattern[str] | None = None


def find(console: str, rules: Rules | None = None) -> tuple[Splat, ...]:
    """Return the reports in a console log, in order; one that repeats counts once.

    Raises InfrastructureError when the log is empty or holds no kernel's line, because that says
    nothing about the kernel.
    """
    rules = rules or load_rules()
    lines = list(_lines(console))
    if _BANNER not in console and all(line.time is None for line in lines):
        what = "holds no line of a kernel" if console.strip() else "is empty"
        raise InfrastructureError(
            f"the console log {what}: it cannot be judged",
            hint="see that the kernel's console= is the one that is logged",
        )
    splats: dict[str, Splat] = {}
    for report in _reports(lines, rules):
        splat = _splat(report, rules)
        splats.setdefault(splat.fingerprint, splat)
    return tuple(splats.values())


def _lines(console: str) -> Iterator[_Line]:
    """Split a log; not at the odd characters that str.splitlines() takes for line ends."""
    for number, raw in enumerate(console.split("\n"), 1):
        raw = raw.rstrip("\r")  # noqa: PLW2901 (the same line, without the terminal's part)
        if m := _PRINTK.search(raw):
            yield _Line(number, raw, raw[m.end() :], float(m["time"]))
        else:
            yield _Line(number, raw, raw, None)


def _reports(lines: list[_Line], rules: Rules) -> list[_Report]:
    """Cut the log into reports, consequences joined to what they follow."""
    reports: list[_Report] = []
    for line in lines:
        current = reports[-1] if reports else None
        hit = next(((r, m) for r in rules.rule if (m := r.match(line.text))), None)
        if hit:
            rule, m = hit
            if current and (rule.follows or rule.renames) and _close(current, line, rules):
                _join(current, rule, m, line)
            else:
                new = _Report(rule, _title(m), [line], [rule.id], end=rule.end)
                reports.append(new)
            continue
        if current and not current.over:
            _extend(current, line, rules)
    return reports


def _extend(report: _Report, line: _Line, rules: Rules) -> None:
    """Add a line to an open report, or see that it is over."""
    silence = _silence(report.lines[-1], line)
    if silence > rules.gap or len(report.lines) >= rules.longest:
        report.over = True
        return
    report.lines.append(line)
    if report.end and report.end.match(line.text):
        report.over = True


def _close(report: _Report, line: _Line, rules: Rules) -> bool:
    """Whether a line stands in a report or right behind it."""
    last = report.lines[-1]
    return line.number - last.number <= rules.near and _silence(last, line) <= rules.gap


def _silence(before: _Line, after: _Line) -> float:
    """Seconds between two lines; 0 when the kernel prints no times."""
    return (after.time or 0.0) - before.time if before.time is not None and after.time else 0.0


def _join(report: _Report, rule: Rule, m: re.Match[str], line: _Line) -> None:
    """Make a report go on with a line that has a rule of its own."""
    if rule.renames and len(report.lines) <= 2:
        report.rule, report.title = rule, _title(m)
        report.ids[:] = [rule.id]
    elif rule.id not in report.ids:
        report.ids.append(rule.id)
    report.lines.append(line)
    if rule.end:
        report.end, report.over = rule.end, False


def _title(m: re.Match[str]) -> str:
    """Return what the rule calls the title, without offsets."""
    whole = m.groupdict().get("title") or m.string
    return _OFFSET.sub("", whole).strip()


def _splat(report: _Report, rules: Rules) -> Splat:
    """Turn a finished report into the value."""
    functions = trace(report.lines, rules)
    where = " < ".join(functions) or _VARYING.sub("N", report.title)
    return Splat(
        rule=report.rule.id,
        title=report.title,
        line=report.lines[0].number,
        text="\n".join(line.raw for line in report.lines),
        fingerprint=f"{'+'.join(report.ids)}: {where}",
    )


def trace(lines: list[_Line], rules: Rules) -> tuple[str, ...]:
    """Return the first functions that a report names, innermost first, without the plumbing."""
    functions: list[str] = []
    for line in lines:
        if line.text.startswith(("lr :", "Workqueue:")):
            continue
        m = _FRAME.search(line.text)
        if not m or m["guess"]:
            continue
        function = _SUFFIX.sub("", m["function"])
        if any(p.fullmatch(function) for p in rules.plumbing) or function in functions[-1:]:
            continue
        functions.append(function)
        if len(functions) == FRAMES:
            break
    return tuple(functions)
