# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark as a page of Markdown: a table for each arch and for each kind of arm."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinrace.races.benchmark.stats import Estimate, estimate
from pinrace.races.benchmark.trial import ARMS, Arm, Given, Repeat, Result
from pinrace.races.benchmark.windows import Window
from pinrace.races.trials.judge import bound

PAGE = "SEARCH.md"
AIM = 60.0  # CPU seconds that some arm should need at the most
BARRIERS = (
    "Arms marked * have one CPU run at a time, be it that all take turns in one host thread or that"
    " one of them waits while the other runs: what they see is sequentially consistent, and their"
    " silence about arm64 says nothing of a missing memory barrier. Free-running TCG keeps to the"
    " order of the host that it runs on, and only a native host of the arch has all of its own; so"
    " these two have columns of their own."
)


@dataclass(frozen=True)
class Report:
    """What a page is made of."""

    windows: Sequence[Window]
    results: Sequence[Result]
    repeats: Sequence[Repeat]
    budget: float
    facts: Mapping[str, str]

    @property
    def arches(self) -> list[str]:
        """Those that were measured."""
        return sorted({one.trial.arch for one in self.results})

    def of(self, window: str, arm: str, arch: str, *, alarm: bool = False) -> list[Result]:
        """Return the attempts of a cell."""
        wanted = (window, arm, arch, alarm)
        return [
            one
            for one in self.results
            if (one.trial.window, one.trial.arm, one.trial.arch, one.trial.alarm) == wanted
        ]

    def values(
        self, window: str, arm: str, arch: str, what: Callable[[Result], float]
    ) -> list[float | None]:
        """Return what a cell's attempts took, None for those that the budget ended."""
        return [what(one) if one.hit else None for one in self.of(window, arm, arch)]


def spent(one: Result) -> float:
    """CPU seconds of an attempt."""
    return one.cpu_seconds


def write(report: Report, folder: Path) -> Path:
    """Write the page and its plots; return the page."""
    from pinrace.races.benchmark import plots

    folder.mkdir(parents=True, exist_ok=True)
    pictures = plots.draw(report, folder)
    path = folder / PAGE
    path.write_text(markdown(report, pictures))
    return path


def markdown(report: Report, pictures: Sequence[Path] = ()) -> str:
    """Return the page."""
    lines = ["# How races are found, measured", ""]
    lines += [f"- {name}: {value}" for name, value in report.facts.items()]
    lines += [*_words(report), *_aim(report), ""]
    for arch in report.arches:
        lines += [f"## {arch}", ""]
        lines += [
            f"![{picture.stem}]({picture.name})" for picture in pictures if arch in picture.stem
        ]
        for given in Given:
            lines += ["", f"### {arch}, {given}", "", *_table(report, arch, given)]
        lines.append("")
    lines += _alarms(report) + _repeats(report) + _notes(report)
    return "\n".join(lines).rstrip() + "\n"


def _words(report: Report) -> list[str]:
    budget = f"{report.budget:g}"
    planted = sum(window.planted for window in report.windows)
    return [
        "",
        f"{len(report.windows)} windows, fixed beforehand, {planted} of them planted in mutants of"
        " the series. Each arm"
        " plays the same scenario in the same kernel, one attempt after the other on the same host:"
        " all arms and windows with one seed, then all with the next. A cell has the median of the"
        " CPU seconds to the first hit, of QEMU and of the harness, boots included; in brackets its"
        " 95 % confidence interval, by order statistics (distribution-free: the values below the"
        " median are binomial); the rounds or holds that it took, boots in brackets; and how many"
        f" attempts hit. One without a hit in {budget} CPU seconds is censored and counts as"
        f" more than {budget}.",
        "",
        BARRIERS,
        "",
    ]


def _aim(report: Report) -> list[str]:
    """Say for each arch which windows some arm finds soon."""
    lines = []
    for arch in report.arches:
        best = {w.name: _best(report, w.name, arch) for w in report.windows}
        soon = [name for name, value in best.items() if value <= AIM]
        missed = [
            f"{name} ({_seconds(value, report.budget)})"
            for name, value in best.items()
            if value > AIM
        ]
        line = f"- {arch}: {len(soon)} of {len(best)} windows are hit by some arm"
        line += f" within {AIM:g} CPU seconds, in the median"
        lines.append(line + (f"; not {', '.join(missed)}" if missed else ""))
    return lines


def _best(report: Report, window: str, arch: str) -> float:
    """Return the median of the arm that is soonest in a window."""
    medians = [math.inf]
    for arm in ARMS:
        values = report.values(window, arm, arch, spent)
        if values:
            medians.append(estimate(values).median)
    return min(medians)


def _table(report: Report, arch: str, given: Given) -> list[str]:
    """Return the table of the arms that are given so much."""
    arms = [arm for arm in ARMS.values() if arm.given is given]
    heads = [f"{arm.title}{' *' * arm.sequential}" for arm in arms]
    lines = [f"| window | {' | '.join(heads)} |", f"|---|{'---|' * len(arms)}"]
    for window in report.windows:
        cells = [cell(report, window, arm, arch) for arm in arms]
        lines.append(f"| {window.name} | {' | '.join(cells)} |")
    return lines


def cell(report: Report, window: Window, arm: Arm, arch: str) -> str:
    """Return what a table says of one arm in one window."""
    if arm.name in window.without:
        return "n/a"
    found = report.of(window.name, arm.name, arch)
    if not found:
        return "no such host" if arm.name == "native" else "not measured"
    got = estimate(report.values(window.name, arm.name, arch, spent))
    text = f"{_seconds(got.median, report.budget)}{_interval(got, report.budget)}"
    hits = [one for one in found if one.hit]
    if hits:
        tries = _middle([one.tries for one in hits], arm.tries)
        text += f"; {tries} ({_middle([one.boots for one in hits], 'boots')})"
    return f"{text}; {got.hits}/{got.count}"


def _middle(values: Iterable[int], what: str) -> str:
    """Return the median of a count among the attempts that hit, of what is called so."""
    count = f"{estimate(list(values)).median:,.0f}"
    return f"{count} {what.removesuffix('s') if count == '1' else what}"


def _seconds(value: float, budget: float) -> str:
    return f"{value:.1f} s" if math.isfinite(value) else f"> {budget:g} s"


def _interval(got: Estimate, budget: float) -> str:
    if got.low is None or got.high is None:
        return " (too few)"
    ends = [f"{end:.1f}" if math.isfinite(end) else f"> {budget:g}" for end in (got.low, got.high)]
    return f" ({ends[0]} to {ends[1]})"


def _alarms(report: Report) -> list[str]:
    """Return what every arm came to on the series, where nothing may be found."""
    lines = ["## False alarms", "", "The planted windows on the unmutated series, pinned.", ""]
    lines += [
        "| arch | arm | hits | tries | below, a try (95 %) | CPU s |",
        "|---|---|---|---|---|---|",
    ]
    for arch in report.arches:
        for arm in ARMS.values():
            found = [
                one
                for window in report.windows
                for one in report.of(window.name, arm.name, arch, alarm=True)
            ]
            if not found:
                continue
            tries = sum(one.tries for one in found)
            hits = sum(one.hit for one in found)
            most = "" if hits else f"{bound(tries):.1e}"
            cpu = sum(one.cpu_seconds for one in found)
            lines.append(
                f"| {arch} | {arm.title}{' *' * arm.sequential} | {hits} |"
                f" {tries:,} {arm.tries} | {most} | {cpu:,.0f} |"
            )
    return [*lines, ""]


def _repeats(report: Report) -> list[str]:
    """Return how often tokens gave the same."""
    if not report.repeats:
        return []
    lines = [
        "## Replays",
        "",
        "A hold's token promises the same verdict, a seed's the same fingerprint of all that the"
        " guest said.",
        "",
        "| ABI | token | of | the same |",
        "|---|---|---|---|",
    ]
    for key in dict.fromkeys((one.abi, one.kind, one.what) for one in report.repeats):
        mine = [one for one in report.repeats if (one.abi, one.kind, one.what) == key]
        same, of = sum(one.same for one in mine), sum(one.of for one in mine)
        lines.append(f"| {key[0]} | {key[1]} | {key[2]} | {same}/{of} |")
    return [*lines, ""]


def _notes(report: Report) -> list[str]:
    """Return what the names mean, and why an arm cannot be tried."""
    lines = ["## Windows", ""]
    for window in report.windows:
        where = f" ({window.kernel})" if window.planted else ""
        lines.append(f"- {window.name}{where}: {window.about}")
        for arm, why in window.without.items():
            lines.append(f"  - no {ARMS[arm].title}: {why}")
    lines += ["", "## Arms", ""]
    lines += [f"- {arm.title} ({arm.given}): {arm.about}" for arm in ARMS.values()]
    return lines
