# SPDX-License-Identifier: GPL-2.0-or-later
"""Which case of one run is which of another: by name and occurrence, as names may repeat."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from pinrace.values import CaseResult

# What differs between two runs of the same program: process ids, addresses, times, made-up files.
_VARIES = re.compile(
    r"0x[0-9a-f]+"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|(?:(?<=\binode)|(?<=\bino))[ =:#-]*[0-9]{2,}|(?<=\bport)[ =:#-]*[0-9]{5}\b"
    r"|\b(?=[0-9a-f]*[0-9])[0-9a-f]{8,16}\b"
    r"|(?<=\[)[0-9]+(?=\])"
    r"|(?<=/proc/)[0-9]+|/tmp/[^\s/]+"
    r"|(?<=\bpid)[ =:#-]*[0-9]+|(?<=\btid)[ =:#-]*[0-9]+"
    r"|(?:(?<=\bchild)|(?<=\btask)|(?<=\bprocess)|(?<=\bthread)|(?<=\bparent)|(?<=\btracee))"
    r"[ =:#-]*[0-9]{2,}"
    r"|^[0-9]{2,}(?=[:.] )"
    r"|(?:(?<=\bfd)|(?<=\bdescriptor))[ =:#-]*[0-9]+"
    r"|\b[0-9]+(?=[ ](?:iterations?|loops?|rounds?|tries|attempts|retries|calls|events|faults"
    r"|samples|wakeups|switches)\b)"
    r"|\b[0-9]+(?:\.[0-9]+)?[ ]?(?:[num]?s|[num]?secs?|seconds?|microseconds|milliseconds"
    r"|nanoseconds|minutes?|cycles|ticks|jiffies)\b"
    r"|\b[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?\b|\b[0-9]+\.[0-9]{3,}\b",
    re.I,
)


def normal(name: str) -> str:
    """Return a name without what differs between two runs."""
    return _VARIES.sub("*", name)


def keyed(cases: Iterable[CaseResult]) -> list[tuple[str, CaseResult]]:
    """Return the cases with keys of their own: the name, and from the second on "name [2]"."""
    seen: Counter[str] = Counter()
    found = []
    for case in cases:
        seen[case.name] += 1
        count = seen[case.name]
        found.append((case.name if count == 1 else f"{case.name} [{count}]", case))
    return found


def pair(now: Sequence[CaseResult], before: Sequence[CaseResult]) -> dict[int, int]:
    """Return, by its index, which case of now is which case of before.

    The k-th of a name is the k-th of that name.  Those that are left are paired by the normal form
    of their names, where that leaves no choice: there are as many on both sides, and those of
    before either all count against the kernel or none does.
    """
    places = {key: index for index, (key, _) in enumerate(keyed(before))}
    pairs = {index: places[key] for index, (key, _) in enumerate(keyed(now)) if key in places}
    taken = set(pairs.values())
    left, right = defaultdict(list), defaultdict(list)
    for index, case in enumerate(now):
        if index not in pairs:
            left[normal(case.name)].append(index)
    for index, case in enumerate(before):
        if index not in taken:
            right[normal(case.name)].append(index)
    for name, mine in left.items():
        theirs = right.get(name, [])
        same = len({before[index].status.bad for index in theirs}) == 1
        if "*" in name and same and len(theirs) == len(mine):
            pairs |= dict(zip(mine, theirs, strict=True))
    return pairs
