# SPDX-License-Identifier: GPL-2.0-or-later
"""What guest/pintorture says of its run: lines of `torture WHAT key=value …`.

Counts are cumulative, so that the last line of a kind says all that came before a run was cut off.
A line that cannot be read is kept as damage and never skipped in silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pinrace.races.trials.values import Count, Violation

PREFIX = "torture "
# guest/pintorture/torture.h has the numbers; v: whether the supervisor still lived.
_PLAN = ("private", "before", "between", "reply", "meanwhile", "gate", "v")
Key = tuple[str, str, bool]  # family, mutator, free-running


@dataclass(frozen=True)
class Naive:
    """What came of the naive loop, which ends with the first trial that is lost."""

    trials: int
    lost: bool
    seconds: float


@dataclass
class Told:
    """What has been said so far."""

    families: tuple[str, ...] = ()
    seed: int | None = None
    lanes: int = 0
    began: bool = False
    ended: bool = False
    seconds: float = 0.0  # of the last record that has a time
    trials: int = 0
    pinned: int = 0
    exposed: int = 0
    nr_violations: int = 0
    counts: dict[Key, Count] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    bails: list[str] = field(default_factory=list)
    rest: dict[str, str] = field(default_factory=dict)
    absent: bool = False  # the kernel does not know the feature that is raced
    naive: Naive | None = None
    fingerprint: str = ""  # of what came of each trial, and when
    damage: list[str] = field(default_factory=list)

    def feed(self, line: str) -> None:
        """Take one record; those of other programs are ignored."""
        if not line.startswith(PREFIX):
            return
        kind, _, rest = line.removeprefix(PREFIX).partition(" ")
        head, _, text = f" {rest}".partition(" text=")
        fields = dict(word.partition("=")[::2] for word in head.split())
        try:
            self._take(kind, fields, text, rest)
        except (KeyError, ValueError):
            self.damage.append(line)

    def _take(self, kind: str, fields: dict[str, str], text: str, rest: str) -> None:
        if kind == "begin":
            self.seed, self.lanes = int(fields["seed"]), int(fields["lanes"])
            self.families = tuple(fields["families"].split(","))
            self.began = True
        elif kind == "second":
            self.seconds = int(fields["ns"]) / 1e9
            self.trials = int(fields["trials"])
            self.pinned, self.exposed = int(fields["pinned"]), int(fields["exposed"])
            self.nr_violations = int(fields["violations"])
            self.fingerprint = fields.get("fingerprint", "")
        elif kind == "count":
            names = ("pinned", "exposed", "control", "lost")
            key = (fields["family"], fields["mutator"], fields["free"] == "1")
            self.counts[key] = Count(*(int(fields[name]) for name in names))
        elif kind == "violation":
            self.violations.append(_violation(fields, text))
        elif kind == "hang":
            self.hangs.append(rest)
        elif kind == "leak":
            self.leaks.append(text)
        elif kind == "bail":
            self.bails.append(rest.removeprefix("what="))
        elif kind in ("rest", "left"):
            self.rest |= fields
        elif kind == "absent":
            self.absent = True
        elif kind == "naive":
            self.naive = Naive(
                int(fields["trials"]), fields["lost"] == "1", int(fields["ns"]) / 1e9
            )
        elif kind == "end":
            self.nr_violations = int(fields["violations"])
            self.ended = True
        else:
            raise ValueError(kind)

    def proven(self, name: str) -> dict[str, Count]:
        """Return a family's counts by mutator, of those that its control has lost to."""
        found: dict[str, Count] = {}
        for (family, mutator, _), count in self.counts.items():
            if family == name:
                found[mutator] = found.get(mutator, Count()) + count
        return {mutator: count for mutator, count in found.items() if count.lost}

    def by_family(self, name: str, *, free: bool | None = None) -> Count:
        """Return the sum of a family's counts; free: only those of that kind."""
        found = (
            count
            for (family, _, is_free), count in self.counts.items()
            if family == name and free in (None, is_free)
        )
        return sum(found, Count())


def _violation(fields: dict[str, str], text: str) -> Violation:
    plan = " ".join(
        f"{name}={fields[name]}"
        for name in (*("lane", "generation", "age", "call", "free"), *_PLAN)
    )
    return Violation(
        statement=fields["statement"],
        family=fields["family"],
        mutator=fields["mutator"],
        trial=int(fields["trial"]),
        number=int(fields["number"]) if "number" in fields else None,
        second=int(fields["ns"]) / 1e9,
        text=f"{text} ({plan})",
    )


def parse(lines: Iterable[str]) -> Told:
    """Return what these records say."""
    told = Told()
    for line in lines:
        told.feed(line)
    return told
