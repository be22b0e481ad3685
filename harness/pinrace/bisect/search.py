# SPDX-License-Identifier: GPL-2.0-or-later
"""Halve what is left until one remains, and keep what was seen, so that it can go on later."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pinrace import store
from pinrace.bisect.candidates import BAD, GOOD, SKIP, Candidates
from pinrace.errors import InfrastructureError, UserError


@dataclass(frozen=True)
class Outcome:
    """What came of testing one candidate."""

    word: str  # good, bad or skip
    why: str
    sure: str = ""  # how sure a good or a bad one is, for people
    again: str = ""  # the command that shows it


Test = Callable[[str], Outcome]


@dataclass(frozen=True)
class Answer:
    """The first bad one; several where those before it could not be tested."""

    names: tuple[str, ...]
    outcome: Outcome
    tested: int

    @property
    def exact(self) -> bool:
        """Whether it is one."""
        return len(self.names) == 1


class Kept:
    """The outcomes of a bisection, in a file that is whole after each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.outcomes: dict[str, Outcome] = {}
        if path.exists():
            try:
                said = json.loads(path.read_text())
                self.outcomes = {name: Outcome(**one) for name, one in said.items()}
            except (ValueError, TypeError) as exc:
                raise InfrastructureError(
                    f"what was kept of this bisection cannot be read: {exc}",
                    log=path,
                    hint=f"rm {path}, and begin again",
                ) from exc

    @property
    def words(self) -> dict[str, str]:
        """Good, bad or skip, by name, in the order in which they were tested."""
        return {name: one.word for name, one in self.outcomes.items()}

    def add(self, name: str, outcome: Outcome) -> None:
        """Keep one more."""
        self.outcomes[name] = outcome
        store.write_json(self._path, {n: asdict(one) for n, one in self.outcomes.items()})


def bisect(candidates: Candidates, test: Test, kept: Kept, say: Callable[[str], None]) -> Answer:
    """Return the first bad candidate.

    Both ends are tested first: UserError when the good one is not good, or the bad one not bad.
    """
    good, bad = candidates.ends()
    for name, wanted in ((bad, BAD), (good, GOOD)):
        outcome = _once(name, candidates, test, kept, say)
        if outcome.word != wanted:
            raise UserError(
                f"{candidates.about(name)} is said to be {wanted}, and is {outcome.word}:"
                f" {outcome.why}",
                hint="name other ends, or look longer",
            )
    while (middle := candidates.next(kept.words)) is not None:
        _once(middle, candidates, test, kept, say)
    names = candidates.first_bad(kept.words)
    return Answer(names, kept.outcomes[names[-1]], len(kept.outcomes))


def _once(
    name: str, candidates: Candidates, test: Test, kept: Kept, say: Callable[[str], None]
) -> Outcome:
    """Test one, unless that was done."""
    if name not in kept.outcomes:
        kept.add(name, test(name))
    one = kept.outcomes[name]
    sure = f" ({one.sure})" if one.sure else ""
    say(f"bisect  {one.word:<5} {candidates.about(name)}: {one.why}{sure}")
    return one


def status_of(word: str) -> int:
    """Return the exit status that `git bisect run` takes: 0 good, 1 bad, 125 skip."""
    return {GOOD: 0, BAD: 1, SKIP: 125}[word]
