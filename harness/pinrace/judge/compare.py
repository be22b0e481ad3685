# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's cases and reports, held against what the unpatched tree gave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pinrace.judge import blame
from pinrace.judge.match import keyed, pair
from pinrace.judge.splats import Rules, deaf
from pinrace.values import CaseResult, CaseStatus, Splat

NAMED = 3  # cases that a sentence names before it only counts


@dataclass(frozen=True)
class Found:
    """Cases and splats, held against the unpatched tree.  Cases by their keys (judge.match)."""

    new: dict[str, CaseResult]
    known: dict[str, CaseResult]
    late: dict[str, CaseResult]  # bad, for want of time on a busy host
    flaky: dict[str, tuple[int, int]]  # of the new ones, those that fail now and then without
    fixed: tuple[str, ...]
    gone: tuple[str, ...]  # pass on the unpatched tree, and are absent
    skipped: tuple[str, ...]  # pass there, and skip here
    known_splats: tuple[Splat, ...]
    elsewhere: tuple[Splat, ...]
    blind: tuple[Splat, ...]
    deaf: dict[str, Splat]  # detectors that were off from some report on
    unexplained: tuple[Splat, ...]


def compare(
    cases: Sequence[CaseResult],
    splats: Sequence[Splat],
    baseline: Sequence[CaseResult] | None,
    baseline_splats: Sequence[Splat],
    *,
    rates: Mapping[str, tuple[int, int]],
    rules: Rules,
) -> Found:
    """Tell new from known."""
    before = baseline or ()
    pairs = pair(cases, before)
    of = {theirs: cases[mine] for mine, theirs in pairs.items()}
    new: dict[str, CaseResult] = {}
    known: dict[str, CaseResult] = {}
    flaky: dict[str, tuple[int, int]] = {}
    names = [key for key, _ in keyed(before)]
    for index, (key, case) in enumerate(keyed(cases)):
        if case.status.bad:
            had = index in pairs and before[pairs[index]].status.bad
            often = rates.get(names[pairs[index]]) if had else None
            if often:
                flaky[key] = often
            (known if had and not often else new)[key] = case
    good = (CaseStatus.PASS, CaseStatus.XFAIL)
    was = [(key, case, of.get(index)) for index, (key, case) in enumerate(keyed(before))]
    passed = [(key, now) for key, case, now in was if case.status is CaseStatus.PASS]
    seen_before = {splat.fingerprint for splat in baseline_splats}
    return Found(
        new=new,
        known=known,
        late={},
        flaky=flaky,
        fixed=tuple(k for k, case, now in was if case.status.bad and now and now.status in good),
        gone=tuple(key for key, now in passed if now is None),
        skipped=tuple(key for key, now in passed if now and now.status is CaseStatus.SKIP),
        known_splats=tuple(s for s in splats if rules.counts(s) and s.fingerprint in seen_before),
        elsewhere=tuple(s for s in splats if s.elsewhere),
        blind=tuple(s for s in splats if rules.severity(s.rule) == "blind"),
        deaf=deaf(splats),
        unexplained=tuple(s for s in splats if rules.severity(s.rule) == "note"),
    )


def unheard(found: Found) -> str:
    """Say which detector was off before the end, so that a clean log means nothing; "" for none."""
    for name, splat in found.deaf.items():
        if name != "console":
            return f"{name} was off from there on: {splat.title}"
    blind = (*found.blind, *found.deaf.values())
    return f"the log cannot be trusted: {blind[0].title}" if blind else ""


def notes(found: Found) -> list[str]:
    """Return what a reader should know beside the verdict."""
    said = []
    if found.known:
        said.append(f"{len(found.known)} known on the unpatched tree: {few(tuple(found.known))}")
    said += [f"known on the unpatched tree: {splat.title}" for splat in found.known_splats]
    said += blame.notes(found.elsewhere)
    if found.fixed:
        said.append(f"{len(found.fixed)} fixed: {few(found.fixed)}")
    for names, did in ((found.gone, "are absent"), (found.skipped, "skip here")):
        if names:
            said.append(f"{len(names)} pass on the unpatched tree and {did}: {few(names)}")
    said += [f"blind: {splat.title}" for splat in found.blind]
    said += [f"{name} off from there on: {splat.title}" for name, splat in found.deaf.items()]
    said += [f"nothing explains: {splat.title}" for splat in found.unexplained[:NAMED]]
    return said


def few(names: Sequence[str]) -> str:
    """Return the first names."""
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
