# SPDX-License-Identifier: GPL-2.0-or-later
"""The table that holds the torture against the naive loop."""

from __future__ import annotations

from pinrace.mutants import file
from pinrace.races.torture import versus
from pinrace.races.torture.bench import Catch


def catches(how: str, *seconds: float, missed: int = 0) -> list[Catch]:
    found = [Catch(how, n, True, int(10 * s), s) for n, s in enumerate(seconds)]
    return found + [Catch(how, 100 + n, False, 400, 40.0) for n in range(missed)]


def test_the_five_are_mutants_that_a_race_shows() -> None:
    chosen = file.select(file.load(), versus.FIVE)
    assert {mutant.name for mutant in chosen} == set(versus.FIVE)
    assert all(mutant.kind == "race" for mutant in chosen)


def test_medians_are_compared() -> None:
    found = {"seal-late": catches("naive", 20.0, 40.0, 30.0) + catches("torture", 1.0, 3.0, 2.0)}
    text = versus.markdown(found, {"date": "today"})
    assert "- date: today" in text
    assert "| seal-late | 3/3, 300 trials, 30.0 s | 3/3, 20 trials, 2.0 s | 15 times |" in text


def test_what_saw_nothing_is_a_bound() -> None:
    found = {"seal-late": catches("naive", 5.0, missed=2) + catches("torture", 1.0, 4.0, 2.0)}
    text = versus.markdown(found, {})
    assert "1/3, > 400 trials, > 40.0 s" in text
    assert "> 20 times" in text


def test_a_torture_that_misses_is_no_factor() -> None:
    found = {"seal-late": catches("naive", 5.0) + catches("torture", missed=1)}
    assert "unknown" in versus.markdown(found, {})
    found = {"seal-late": catches("naive", missed=1) + catches("torture", missed=1)}
    assert "neither" in versus.markdown(found, {})


def test_most_attempts_have_to_see_it() -> None:
    assert versus.mostly_caught(catches("torture", 1.0, 2.0, missed=1))
    assert not versus.mostly_caught(catches("torture", 1.0, missed=1))
    assert not versus.mostly_caught(catches("naive", 1.0))
