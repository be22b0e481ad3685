# SPDX-License-Identifier: GPL-2.0-or-later
"""The nights before, as a leg's page shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from pinrace.matrix.file import Leg
from pinrace.nightly.changes import Change, Kind
from pinrace.nightly.history import Said, Spot
from pinrace.report.model import History, Night, Trend
from pinrace.values import Cell, Verdict


def of_leg(
    leg: Leg,
    nights: Sequence[tuple[int, str]],
    past: Mapping[Spot, Sequence[Said]],
    changes: Sequence[Change],
) -> History:
    """Return what the nights (number and date, newest first) said of a leg's cells."""
    flavor = " ".join((leg.flavor, *leg.config))
    head = (leg.tree, leg.series, leg.arch, flavor)
    mine = {spot: said for spot, said in past.items() if _head(spot) == head}
    ordered = list(reversed(nights))
    by_night: dict[Spot, dict[int, Verdict]] = {
        spot: {one.night: one.verdict for one in said} for spot, said in mine.items()
    }
    notes = {
        c.spot: f"{c.kind}: {c.note}".removesuffix(": ") for c in changes if c.kind is not Kind.SAME
    }
    trends = [
        Trend(
            Cell(spot.arch, spot.abi, leg.flavor, spot.suite).name,
            tuple(by_night[spot].get(number) for number, _ in ordered),
            notes.get(spot, ""),
        )
        for spot in sorted(mine)
    ]
    counted = []
    for number, began in ordered:
        count = Counter(said[number] for said in by_night.values() if number in said)
        if count:
            runs = {s.run for said in mine.values() for s in said if s.night == number}
            run = next(iter(runs)) if len(runs) == 1 else ""
            counted.append((number, Night(began[:10], tuple(count.items()), run)))
    kept = {number for number, _ in counted}
    columns = [index for index, (number, _) in enumerate(ordered) if number in kept]
    return History(
        tuple(night for _, night in counted),
        tuple(
            Trend(trend.cell, tuple(trend.verdicts[index] for index in columns), trend.note)
            for trend in trends
        ),
    )


def _head(spot: Spot) -> tuple[str, ...]:
    return spot.tree, spot.series, spot.arch, spot.flavor
