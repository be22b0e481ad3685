# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark's pictures: each attempt as a point, and how many windows are found by when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pinrace.errors import InfrastructureError
from pinrace.races.benchmark.page import AIM, Report, spent
from pinrace.races.benchmark.stats import reached
from pinrace.races.benchmark.trial import ARMS

# Okabe and Ito's palette, which the colour-blind tell apart, by arm.
COLOURS = {
    "free": "#0072B2",
    "native": "#56B4E9",
    "icount": "#999999",
    "seeds": "#009E73",
    "holds-blind": "#CC79A7",
    "gates": "#E69F00",
    "holds": "#D55E00",
}
ROW = 0.9  # inches a window
SPREAD = 0.7  # of a row that its arms share


def draw(report: Report, folder: Path) -> list[Path]:
    """Draw two pictures an arch; InfrastructureError when there is nothing to draw with."""
    try:
        import matplotlib as mpl

        mpl.use("svg")
        from matplotlib import pyplot
    except ImportError as exc:
        raise InfrastructureError(
            f"no plots without matplotlib: {exc}", hint="pip install 'pinrace[bench]'"
        ) from exc
    # The same numbers are to give the same file.
    mpl.rcParams["svg.hashsalt"] = "pinrace"
    made = []
    for arch in report.arches:
        for name, drawn in (("points", _points), ("reached", _reached)):
            figure = drawn(pyplot, report, arch)
            path = folder / f"search-{name}-{arch}.svg"
            figure.savefig(path, metadata={"Date": None})
            pyplot.close(figure)
            made.append(path)
    return made


def _arms(report: Report, arch: str) -> list[str]:
    """Return the arms that were measured."""
    return [a for a in ARMS if any(report.of(w.name, a, arch) for w in report.windows)]


def _points(pyplot: Any, report: Report, arch: str) -> Any:
    """Each attempt as a point; one that the budget ended as a hollow triangle there."""
    arms = _arms(report, arch)
    figure, axes = pyplot.subplots(
        figsize=(10, 1.6 + ROW * len(report.windows)), layout="constrained"
    )
    names = [window.name for window in report.windows]
    for row, window in enumerate(names):
        axes.axhspan(row - 0.5, row + 0.5, color="#f4f4f4" if row % 2 else "white", zorder=0)
        for number, arm in enumerate(arms):
            y = row + SPREAD * ((number + 0.5) / len(arms) - 0.5)
            values = report.values(window, arm, arch, spent)
            hits = [value for value in values if value is not None]
            colour = COLOURS[arm]
            axes.scatter(hits, [y] * len(hits), s=18, color=colour, alpha=0.75, zorder=3)
            if None in values:
                axes.scatter(
                    [report.budget], [y], s=30, marker=">", edgecolors=colour, facecolors="none"
                )
                axes.annotate(
                    f"{values.count(None)}",
                    (report.budget, y),
                    xytext=(6, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=7,
                    color=colour,
                )
    for arm in arms:
        axes.scatter([], [], s=24, color=COLOURS[arm], label=f"{ARMS[arm].title}")
    axes.axvline(AIM, color="#444444", linestyle=":", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(right=report.budget * 1.35)
    _seconds_axis(axes, report.budget)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(
        "CPU seconds to the first hit, boots included; triangles: not within the budget, how many"
    )
    axes.set_title(f"{arch}: attempts to find each window")
    figure.legend(loc="outside upper right", ncols=len(arms), fontsize=8, frameon=False)
    return figure


def _reached(pyplot: Any, report: Report, arch: str) -> Any:
    """For each arm, the share of all its attempts that have hit by then."""
    figure, axes = pyplot.subplots(figsize=(10, 4.5), layout="constrained")
    for arm in _arms(report, arch):
        values: list[float | None] = []
        for window in report.windows:
            values += report.values(window.name, arm, arch, spent)
        steps = reached(values, report.budget)
        able = sum(1 for w in report.windows if report.of(w.name, arm, arch))
        axes.step(
            [x for x, _ in steps],
            [100 * y for _, y in steps],
            where="post",
            color=COLOURS[arm],
            label=f"{ARMS[arm].title} ({able} windows)",
        )
    axes.axvline(AIM, color="#444444", linestyle=":", linewidth=1)
    axes.set_xlim(0, report.budget)
    axes.set_ylim(0, 102)
    axes.set_xlabel("CPU seconds, boots included")
    axes.set_ylabel("attempts that have hit, %")
    axes.set_title(f"{arch}: attempts in all windows that an arm can be tried in")
    figure.legend(loc="outside right center", fontsize=8, frameon=False)
    return figure


def _seconds_axis(axes: Any, budget: float) -> None:
    """Write seconds as such, not as powers of ten."""
    low = axes.get_xlim()[0]
    ticks = [t for t in (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800) if low <= t <= budget]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
