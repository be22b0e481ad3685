# SPDX-License-Identifier: GPL-2.0-or-later
"""Prices are compared call by call, and what is promised is held against them."""

from __future__ import annotations

import pytest

from pinrace.contract import cost
from pinrace.contract.cost import Price


def test_records_become_instructions() -> None:
    found = cost.parse(["price call=open+close ns=3000.500", "feature x", "price call=y ns=1"])
    assert found == {"open+close": 3000.5 / 2**cost.REPLAY.shift, "y": 0.5}


@pytest.mark.parametrize(
    ("call", "without", "now", "too_much"),
    [
        ("write", 1000.0, 1004.9, False),
        ("write", 1000.0, 1006.0, True),
        ("write", 1000.0, 900.0, False),
        ("sendto+recv", 1000.0, 2000.0, False),  # not one that the promise names
        ("open+close", None, 5000.0, False),
    ],
)
def test_too_much(call: str, without: float | None, now: float, too_much: bool) -> None:
    assert Price("arm", call, without, now).too_much is too_much


def test_a_call_that_only_the_series_has_is_no_difference() -> None:
    found = cost.compare("arm", {"a": 100.0}, {"a": 101.0, "b": 7.0})
    text = cost.markdown(found, {"tree": "linux 7"})
    assert "| arm | a | 100.0 | 101.0 | +1.00% |" in text
    assert "| arm | b | n/a | 7.0 | n/a |" in text
