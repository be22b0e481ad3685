# SPDX-License-Identifier: GPL-2.0-or-later
"""Medians with confidence intervals, where some values are only known to be too large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A median and its interval; math.inf is "more than the budget".

    low and high are None when there are too few values for an interval of that confidence.
    """

    median: float
    low: float | None
    high: float | None
    hits: int
    count: int


def rank(count: int) -> int:
    """Return k so that the k-th smallest and the k-th largest of `count` values enclose the median.

    0 when not even the smallest and the largest do with CONFIDENCE.  The number of values below the
    median is binomial with p = 1/2, whatever they are distributed as: H. A. David and H. N.
    Nagaraja, "Order Statistics", 3rd edition, 2003, section 7.1.
    """
    below, found = 0.0, 0
    for k in range(1, count // 2 + 1):
        below += math.comb(count, k - 1) / 2**count
        if 2 * below > 1 - CONFIDENCE:
            break
        found = k
    return found


def estimate(values: Sequence[float | None]) -> Estimate:
    """Return the median; None is a censored value, larger than all that are known.

    That all of them are censored at one and the same budget is up to the caller.  Raises ValueError
    for no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(math.inf if value is None else value for value in values)
    count = len(ordered)
    median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    k = rank(count)
    low, high = (ordered[k - 1], ordered[count - k]) if k else (None, None)
    return Estimate(median, low, high, sum(map(math.isfinite, ordered)), count)


def reached(values: Sequence[float | None], limit: float) -> list[tuple[float, float]]:
    """Return the steps of the share of values up to a moment, from 0 to `limit`."""
    known = sorted(value for value in values if value is not None and value <= limit)
    steps = [(0.0, 0.0)]
    steps += [(value, number / len(values)) for number, value in enumerate(known, 1)]
    return [*steps, (limit, len(known) / len(values))] if values else steps
