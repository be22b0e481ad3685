# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured: one attempt of one arm to find one window."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Given(StrEnum):
    """What an arm is told beyond the two operations that meet."""

    NOTHING = "blind"
    ACCESS = "given the access"  # which memory the kernel stops at
    SYMBOL = "given the window's symbol"


@dataclass(frozen=True)
class Arm:
    """A way to look for a race."""

    name: str
    title: str
    given: Given
    about: str
    tries: str  # what is counted
    sequential: bool = True  # one CPU at a time: what a weaker memory order does is never seen


_ALL = (
    Arm(
        "free",
        "free-running",
        Given.NOTHING,
        "TCG with a host thread a vCPU; one side begins a random moment after the other",
        "rounds",
        sequential=False,
    ),
    Arm(
        "native",
        "native (KVM)",
        Given.NOTHING,
        "the same on the host's own CPUs",
        "rounds",
        sequential=False,
    ),
    Arm(
        "icount",
        "icount only",
        Given.NOTHING,
        "the same program on a machine that counts instructions: a run that repeats itself, and"
        " nothing that perturbs it",
        "rounds",
    ),
    Arm(
        "seeds",
        "seeds",
        Given.NOTHING,
        "that machine, and a timer that wakes one side at a random instruction of the other; each"
        " boot is a token",
        "rounds",
    ),
    Arm(
        "holds-blind",
        "holds, blind",
        Given.NOTHING,
        "one vCPU held at each instruction of every function that the operation was seen in, in"
        " random order, while the other one runs",
        "holds",
    ),
    Arm(
        "gates",
        "gates",
        Given.ACCESS,
        "the page that the kernel reads or writes is missing; the other side runs while it waits",
        "rounds",
    ),
    Arm(
        "holds",
        "holds",
        Given.SYMBOL,
        "one vCPU held at each instruction of the named function, from its first one on",
        "holds",
    ),
)
ARMS: dict[str, Arm] = {arm.name: arm for arm in _ALL}


@dataclass(frozen=True)
class Trial:
    """One attempt.  `alarm`: on the unmutated series, where nothing may be found."""

    window: str
    arm: str
    arch: str
    seed: int
    alarm: bool = False

    @property
    def name(self) -> str:
        """Names its folder."""
        return f"{self.window}-{self.arm}-{self.arch}{'-alarm' * self.alarm}"


@dataclass(frozen=True)
class Result:
    """What came of one.  Without a hit it is censored: at the budget, whatever more was spent.

    cpu_seconds: user and system time of QEMU and of the harness itself, boots included.
    made: a digest of what it ran on; results of other kernels or guests are not comparable.
    lost: why it could not be run, "" when it was.  at_once: so many ran beside each other.
    """

    trial: Trial
    made: str
    hit: bool
    cpu_seconds: float
    boots: int
    tries: int
    budget: float
    how: str = ""  # what was seen
    token: str = ""  # `pinrace repro` replays the hit
    lost: str = ""
    at_once: int = 1


@dataclass(frozen=True)
class Repeat:
    """Replays of one token: how many gave the same."""

    kind: str  # "hold" or "seed"
    abi: str
    what: str  # the window or the job
    made: str
    reference: str  # the verdict or the fingerprint
    same: int
    of: int
    token: str = ""
