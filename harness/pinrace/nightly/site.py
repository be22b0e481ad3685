# SPDX-License-Identifier: GPL-2.0-or-later
"""The trends of a matrix as a static site: index.html, with nothing to load beside it.

A night is one step of a path, so that a thousand of them open at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from pinrace import store
from pinrace.nightly.trends import Curve, Line, Trends
from pinrace.report.render import asset, environment, hashed
from pinrace.values import Verdict

INDEX = "index.html"
WIDE = 600  # units of a strip
HIGH = 18
CASES = 200  # that are shown
CURVES = 400
# Each verdict has a height of its own, so that no colour is needed to read it.
_HEIGHTS = {
    Verdict.FAIL: 16,
    Verdict.MISS: 10,
    Verdict.INCONCLUSIVE: 10,
    Verdict.PASS: 5,
    Verdict.SKIP: 2,
}


def write(folder: Path, trends: Trends) -> Path:
    """Write the site and return its index; OSError when that cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / INDEX
    store.write(path, render(trends))
    (folder / ".nojekyll").touch()  # GitHub Pages serves it as it is
    return path


def render(trends: Trends) -> str:
    """Return the page."""
    style = asset("style.css") + asset("trends.css")
    return (
        environment()
        .get_template("trends.html.j2")
        .render(
            it=trends,
            cases=trends.cases[:CASES],
            curves=trends.curves[:CURVES],
            style=Markup(style),  # noqa: S704 (files of ours)
            policy=f"default-src 'none'; img-src data:; style-src '{hashed(style)}'",
            wide=WIDE,
            high=HIGH,
            strip=strip,
            curve=curve,
            told=told,
        )
    )


def strip(line: Line) -> list[tuple[str, str]]:
    """Return a path for each verdict: its class, and a stroke for each night."""
    step = WIDE / max(1, len(line.verdicts))
    paths: dict[Verdict, list[str]] = {}
    for index, verdict in enumerate(line.verdicts):
        if verdict:
            x = f"{(index + 0.5) * step:.1f}".removesuffix(".0")
            paths.setdefault(verdict, []).append(f"M{x} 17v-{_HEIGHTS[verdict]}")
    return [(verdict.value.lower(), "".join(parts)) for verdict, parts in paths.items()]


def curve(it: Curve) -> str:
    """Return the points of a curve; a night without a value is left out."""
    known = [value for value in it.values if value is not None]
    low, high = min(known), max(known)
    span = high - low or 1.0
    step = WIDE / max(1, len(it.values))
    points = [
        f"{(index + 0.5) * step:.1f},{16 - 14 * (value - low) / span:.1f}"
        for index, value in enumerate(it.values)
        if value is not None
    ]
    return " ".join(points)


def told(verdicts: Sequence[Verdict | None]) -> str:
    """Return the nights of a strip in words, for those who do not see it."""
    count: dict[str, int] = {}
    for verdict in verdicts:
        name = verdict.value if verdict else "not run"
        count[name] = count.get(name, 0) + 1
    return ", ".join(f"{number} {name}" for name, number in count.items())
