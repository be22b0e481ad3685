# SPDX-License-Identifier: GPL-2.0-or-later
"""The token of a torture that ran freely: all that it takes to have the same cell once more.

pt1:ABI:JOB:TREE:PATCHED:FLAVOR:SEED, written as races/replay/words.py says, where JOB is as in
races/torture/jobs.py.  It draws the same trials; what becomes of them is chance, so that there is
no more to promise than how often the failure comes back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pinrace.races.replay import words
from pinrace.races.trials.jobs import job_name, parse_job
from pinrace.races.trials.values import TorturePlan

VERSION = "pt1"
_SEED = re.compile(r"s(\d+)\.(\d+)")  # seed, vCPUs


@dataclass(frozen=True)
class TortureToken:
    """A torture on a machine that does not repeat itself."""

    abi: str
    job: str
    tree: str
    patched: str
    flavor: str
    seed: str  # "s7.2": seed 7, 2 vCPUs

    def __str__(self) -> str:
        return words.write(VERSION, self)

    @property
    def plan(self) -> TorturePlan:
        """What was asked for."""
        return parse_job(self.job, int(self.seed[1:].split(".")[0]))

    @property
    def smp(self) -> int:
        """How many vCPUs."""
        return int(self.seed.split(".")[1])


def is_token(text: str) -> bool:
    """Whether a text is a token of this kind, rather than of another."""
    return words.is_of(VERSION, text)


def parse(text: str) -> TortureToken:
    """Return the token; UserError says what is wrong with a text that is none."""
    token = words.read(VERSION, TortureToken, text, ("patched",))
    if not _SEED.fullmatch(token.seed):
        raise words.wrong(VERSION, f"'{token.seed}' is no seed as s7.2")
    parse_job(token.job, 0)
    return token


def make(
    plan: TorturePlan, *, abi: str, tree: str, patched: str, flavor: str, smp: int
) -> TortureToken:
    """Return the token of a plan; patched: the id of the tree with its series."""
    seed = f"s{plan.seed}.{smp}"
    return TortureToken(abi, job_name(plan), tree, patched[: words.DIGITS], flavor, seed)
