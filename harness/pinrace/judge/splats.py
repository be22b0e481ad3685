# SPDX-License-Identifier: GPL-2.0-or-later
"""Find what a kernel reports about itself on its console.

The rules are data, in splats.toml.  A check that does not work must not look like a clean log:
rules that cannot be read and a console without a kernel's lines raise.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pinrace.errors import InfrastructureError
from pinrace.judge.frames import fingerprint, place
from pinrace.judge.lines import BANNER, Line, split
from pinrace.judge.reports import Cutter, Report
from pinrace.judge.rules import RULES, Rules, Severity, load_rules
from pinrace.values import Splat

__all__ = ["RULES", "Rules", "Severity", "against", "deaf", "find", "load_rules", "read"]

MANY = "many"  # the rule for reports that there were too many of
_COMMAND_LINE = ("Command line:", "Kernel command line:")


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


def deaf(splats: Iterable[Splat]) -> dict[str, Splat]:
    """Return the detectors that were off from some report on, each with the first such report.

    Names are those of the rules' `deafens` in splats.toml: "lockdep", "kasan", "console", ….
    """
    off: dict[str, Splat] = {}
    for splat in splats:
        if splat.deafens:
            off.setdefault(splat.deafens, splat)
    return off


def find(console: str, rules: Rules | None = None) -> tuple[Splat, ...]:
    """Return the reports in a console log, in order; one that repeats counts once.

    Two WARNs of one function are two reports, and have one fingerprint.

    Those beyond the rules' `kept` are counted in a last one, which is a blind one.  Raises
    InfrastructureError when the log is empty or holds no kernel's line, because that says
    nothing about the kernel.
    """
    rules = rules or load_rules()
    booted = _Boot()
    kept: dict[tuple[str, str], Splat] = {}
    more = 0
    for report in Cutter(rules).cut(booted.watch(split(console))):
        if report.rule.severity == "none":
            continue
        splat = _splat(report, rules, booted.command_line)
        which = splat.fingerprint, splat.place.partition(" ")[0]
        same = kept.get(which)
        if same is None and len(kept) >= rules.kept:
            more += 1
        elif same is None or splat.line < same.line:
            kept[which] = splat
    if not booted.seen and BANNER not in console:
        what = "holds no line of a kernel" if console.strip() else "is empty"
        raise InfrastructureError(
            f"the console log {what}: it cannot be judged",
            hint="see that the kernel's console= is the one that is logged",
        )
    found = sorted(kept.values(), key=lambda splat: splat.line)
    if more:
        found.append(_many(found[-1], more))
    return tuple(found)


class _Boot:
    """What a log says of its boot, while it is read."""

    def __init__(self) -> None:
        self.seen = False  # a line that is surely a kernel's
        self.command_line = ""

    def watch(self, lines: Iterable[Line]) -> Iterable[Line]:
        """Return the lines as they are."""
        for line in lines:
            self.seen = self.seen or line.time is not None
            if line.text.startswith(_COMMAND_LINE):
                self.command_line = line.text
            yield line


def _many(last: Splat, more: int) -> Splat:
    """Say that there were more reports than are kept."""
    title = f"{more} more reports than are kept"
    return Splat(MANY, title, last.line, title, f"{MANY}: {title}", deafens="console")


def _splat(report: Report, rules: Rules, command_line: str) -> Splat:
    """Turn a finished report into the value."""
    rule = report.rule
    heard = rule.unless and rule.unless in command_line.split()
    return Splat(
        rule=rule.id,
        title=report.title,
        line=report.number,
        text="\n".join(line.raw for line in report.lines),
        fingerprint=fingerprint(report, rules),
        deafens="" if heard else rule.deafens,
        panicked=report.panicked or rule.id == "panic",
        place=place(report),
    )
