# SPDX-License-Identifier: GPL-2.0-or-later
"""What a torture amounts to.  PASS is what is left when nothing speaks against it."""

from __future__ import annotations

from collections.abc import Sequence

from pinrace.judge import ending
from pinrace.judge.ending import End, Reading
from pinrace.judge.splats import Rules, load_rules
from pinrace.judge.verdict import Evidence
from pinrace.races.trials.records import Told
from pinrace.values import Feature, Splat, Verdict

CONFIDENCE = 0.95
SHOWN = 5  # families that a sentence names before it only counts


def bound(trials: int) -> float:
    """Return what the chance of a violation is below when none came in that many trials.

    Exact, from the binomial distribution: with more than this, no violation in all of them would
    have had a chance of less than 5 %.  About 3 / trials.  1 when there was no trial.
    """
    if trials < 0:
        raise ValueError("a negative number of trials")
    return float(1 - (1 - CONFIDENCE) ** (1 / trials)) if trials else 1.0


def inconclusive(told: Told) -> dict[str, str]:
    """Return the families that are inconclusive, and why."""
    found: dict[str, str] = {}
    for name in told.families:
        proven = told.proven(name).values()
        count = told.by_family(name)
        if not proven:
            found[name] = f"the unprotected control never lost the race, in {count.control} trials"
        elif not any(one.exposed for one in proven):
            found[name] = (
                f"none of {count.pinned} trials was exposed to a change that the control lost to"
            )
    return found


def judge(
    told: Told,
    evidence: Evidence,
    splats: Sequence[Splat],
    rules: Rules | None = None,
    *,
    promised: Feature | None = None,
    booted: bool = True,
) -> tuple[Verdict, str]:
    """Return the verdict and its reason, the gravest first.

    promised: the feature that the series brings, so that a kernel without it is a failure and not
    one to skip.  booted: the guest's init reported; a kernel that does not come that far, be it for
    a host so busy that its timers do not pass for some, was not tortured.
    """
    rules = rules or load_rules()
    reading = read(evidence, splats, rules, booted=booted)
    reports = [s for s in splats if rules.counts(s)]
    blind = [s for s in splats if rules.severity(s.rule) == "blind"]
    if reading.end is End.INFRA and not booted:
        return Verdict.MISS, reading.sentence
    if not booted and not told.began:
        title = reports[0].title if reports else evidence.reason
        return Verdict.MISS, f"the guest did not boot: {title}"
    if told.absent and promised:
        return Verdict.FAIL, f"the kernel does not know {promised.name}, which the series brings"
    if told.absent:
        return Verdict.SKIP, "the kernel does not know the feature that is raced"
    if seen := against(told, reports):
        return Verdict.FAIL, seen
    lost = _lost(told, evidence, reading)
    if lost:
        return lost
    if "-1" in (told.rest.get("group"), told.rest.get("kernel")):
        return Verdict.INCONCLUSIVE, "leaks could not be looked for: the kernel does not tell"
    if blind:
        return Verdict.INCONCLUSIVE, f"the log cannot be trusted: {blind[0].title}"
    unproven = inconclusive(told)
    if unproven or not told.families:
        return Verdict.INCONCLUSIVE, _unproven(unproven)
    return Verdict.PASS, clean(told)


def read(
    evidence: Evidence, splats: Sequence[Splat], rules: Rules | None = None, *, booted: bool = True
) -> Reading:
    """Return what the end of a tortured guest says."""
    return ending.read(
        evidence.ending,
        evidence.reason,
        splats=splats,
        damage=evidence.channel_error,
        booted=booted,
        rules=rules,
    )


def against(told: Told, reports: Sequence[Splat]) -> str:
    """Say what speaks against the kernel, the gravest; "" when nothing does.

    reports: those of its own that count.
    """
    if told.violations or told.nr_violations:
        return _violated(told)
    if reports:
        more = f", and {len(reports) - 1} more" if len(reports) > 1 else ""
        return f"the kernel reported {reports[0].title}{more}"
    if told.leaks:
        return f"something leaks: {'; '.join(told.leaks)}"
    if told.hangs:
        return f"the lanes hang: {told.hangs[0]}; the console has all tasks"
    if crashes := int(told.rest.get("crashes", 0)):
        return f"{crashes} tracees crashed, which nothing in the guest makes them do"
    return ""


def clean(told: Told) -> str:
    """Return the sentence of a run without a violation.

    Only trials count whose family has lost a control to the same mutator.
    """
    pairs = [count for name in told.families for count in told.proven(name).values()]
    exposed = sum(count.exposed for count in pairs)
    of = len({(family, mutator) for family, mutator, _ in told.counts})
    proven = len(told.families) - len(inconclusive(told))
    return (
        f"0 violations in {exposed:,} exposed trials (below {bound(exposed):.1e} a trial, 95 %)"
        f" · controls lost in {proven} of {len(told.families)} families,"
        f" in {len(pairs)} of {of} with a mutator"
    )


def _violated(told: Told) -> str:
    total = max(told.nr_violations, len(told.violations))
    if not told.violations:
        return f"{total} violations, and none was described"
    first = told.violations[0]
    times = f"{total} violations" if total > 1 else "1 violation"
    return (
        f"{times}; {first.statement} in {first.family} by {first.mutator} at"
        f" {first.second:.1f} s, trial {first.trial}: {first.text}"
    )


def _unproven(unproven: dict[str, str]) -> str:
    named = [f"{name}: {why}" for name, why in list(unproven.items())[:SHOWN]]
    more = f", and {len(unproven) - SHOWN} more" if len(unproven) > SHOWN else ""
    return f"inconclusive for {'; '.join(named) or 'any family'}{more}"


def _lost(told: Told, evidence: Evidence, reading: Reading) -> tuple[Verdict, str] | None:
    """Judge a run that did not come to its end, or whose results are not all there."""
    if reading.end is not End.ENDED:
        return Verdict.FAIL if reading.against else Verdict.MISS, reading.sentence
    if not evidence.abi_ok:
        return Verdict.MISS, f"the program was not of this ABI: {evidence.abi_note}"
    if told.bails or not told.began:
        said = told.bails[0] if told.bails else evidence.reason or "it said nothing"
        return Verdict.MISS, f"the program could not do its work: {said}"
    if evidence.timed_out:
        return Verdict.FAIL, "the program hung: it was ended by its time limit"
    if told.damage:
        return Verdict.MISS, f"the results arrived damaged: {told.damage[0]}"
    if not told.ended:
        how = (
            f"signal {evidence.job_signal}"
            if evidence.job_signal is not None
            else f"status {evidence.job_status}"
        )
        return Verdict.FAIL, f"results are lost: the program ended early, with {how}"
    if evidence.job_status:
        return Verdict.FAIL, f"the program ended with status {evidence.job_status}, unexplained"
    return None
