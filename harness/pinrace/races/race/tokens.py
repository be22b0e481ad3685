# SPDX-License-Identifier: GPL-2.0-or-later
"""Tokens of a race of one's own.

pr2 and ph2 are pr1 (races/replay/token.py) and ph1 (races/preempt/token.py) with a last word more:
the digest of the race's folder.  So who replays one names the folder, and another one is refused.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pinrace.errors import InfrastructureError
from pinrace.races.preempt import token as hold_tokens
from pinrace.races.preempt.session import Lab
from pinrace.races.preempt.spec import Hold
from pinrace.races.preempt.token import HoldToken
from pinrace.races.race.folder import Race
from pinrace.races.replay import run as replays
from pinrace.races.replay import token as run_tokens
from pinrace.races.replay import words
from pinrace.races.replay.run import Made
from pinrace.races.replay.token import Token

RUN, HOLD = "pr2", "ph2"


@dataclass(frozen=True)
class RaceToken(Token):
    """A deterministic run of a race's program."""

    race: str

    def __str__(self) -> str:
        return words.write(RUN, self)


@dataclass(frozen=True)
class RaceHoldToken(HoldToken):
    """A hold in a race's program."""

    race: str

    def __str__(self) -> str:
        return words.write(HOLD, self)


def is_token(text: str) -> bool:
    """Whether a text is a token of a race."""
    return words.is_of(RUN, text) or words.is_of(HOLD, text)


def parse(text: str) -> RaceToken | RaceHoldToken:
    """Return the token; UserError says what is wrong with a text that is none."""
    if words.is_of(HOLD, text):
        held = words.read(HOLD, RaceHoldToken, text, (*hold_tokens.MADE_OF, "race"))
        hold_tokens.check(HOLD, held)
        return held
    token = words.read(RUN, RaceToken, text, (*run_tokens.DIGESTS, "race"))
    run_tokens.check(RUN, token)
    return token


def refuse(token: RaceToken | RaceHoldToken, race: Race) -> None:
    """Raise InfrastructureError when the folder is not the token's."""
    if token.race != race.digest:
        raise InfrastructureError(
            f"the race in {race.folder} is {race.digest}, and the token's is {token.race}",
            hint="name the folder, or the .tar, that came with the token: --race",
        )


def of_run(
    race: Race, made: Made, fingerprint: str, *, tree: str, patched: str, abi: str
) -> RaceToken:
    """Return the token of a run that left this fingerprint."""
    token = replays.make_token(made, fingerprint, tree=tree, patched=patched, abi=abi)
    return RaceToken(**asdict(token), race=race.digest)


def of_hold(
    race: Race, lab: Lab, hold: Hold, verdict: str, *, tree: str, patched: str
) -> RaceHoldToken:
    """Return the token of a hold in this lab."""
    token = hold_tokens.make(
        lab, tree=tree, patched=patched, scenario=race.name, hold=hold, verdict=verdict
    )
    return RaceHoldToken(**asdict(token), race=race.digest)
