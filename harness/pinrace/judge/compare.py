# SPDX-License-Identifier: GPL-2.0-or-later
"""A run's cases and reports, held against what the unpatched tree gave."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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
    excused: tuple[str, ...]  # pass there, and fail here as the program expects
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
        excused=tuple(key for key, now in passed if now and now.status is CaseStatus.XFAIL),
        known_splats=tuple(s for s in splats if rules.counts(s) and s.fingerprint in seen_before),
        elsewhere=tuple(s for s in splats if s.elsewhere),
        blind=tuple(s for s in splats if rules.severity(s.rule) == "blind"),
        deaf=deaf(splats),
        unexplained=tuple(s for s in splats if rules.severity(s.rule) == "note"),
    )


def told_apart(now: Sequence[Splat], before: Sequence[Splat]) -> tuple[Splat, ...]:
    """Return the reports, those that only look like one of before with fingerprints of their own.

    Two WARNs of one function have one fingerprint.  In code that is the same in both builds, whose
    size tells, they are told apart by where they stand.  In code that has changed, as many are
    known as were before.
    """
    places: dict[str, dict[str, str]] = defaultdict(dict)  # of before; whose it is now
    for splat in before:
        places[splat.fingerprint].setdefault(splat.place, "")
    own: dict[str, str] = {}  # the names of those that are new, by their places
    for exact in (True, False):
        for splat in now:
            theirs = places.get(splat.fingerprint)
            if theirs and "" not in theirs and splat.place and splat.place not in own:
                free = [at for at, mine in theirs.items() if mine in ("", splat.place)]
                same = [at for at in free if _agree(splat.place, at, exact=exact)]
                if same:
                    theirs[same[0]] = splat.place
                elif not exact and splat.place not in theirs.values():
                    source = splat.place.partition(" ")[0]
                    own[splat.place] = f"{splat.fingerprint} at {source}"
    return tuple(replace(s, fingerprint=own[s.place]) if s.place in own else s for s in now)


def _agree(one: str, other: str, *, exact: bool) -> bool:
    """Whether two places of one function are one; not exact: may be one, in code that changed."""
    (source, _, code), (elsewhere, _, other_code) = one.partition(" "), other.partition(" ")
    if source == elsewhere or (code and code == other_code):
        return True
    return not exact and code.partition("/")[2] != other_code.partition("/")[2]


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
    worse = (
        (found.gone, "are absent"),
        (found.skipped, "skip here"),
        (found.excused, "are expected to fail here"),
    )
    for names, did in worse:
        if names:
            said.append(f"{len(names)} pass on the unpatched tree and {did}: {few(names)}")
    said += [f"blind: {splat.title}" for splat in found.blind]
    said += [f"{name} off from there on: {splat.title}" for name, splat in found.deaf.items()]
    said += [f"nothing explains: {splat.title}" for splat in found.unexplained[:NAMED]]
    return said


def few(names: Sequence[str]) -> str:
    """Return the first names."""
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
