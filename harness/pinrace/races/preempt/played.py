# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest program tells at its markers, and what came of a hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pinrace.errors import InfrastructureError
from pinrace.races.preempt.spec import Hold

MAGIC = 0x5A000000  # rootfs/lib/race/race.c

# Where a vCPU that runs alone goes when it can go no further: it has nothing to run, or waits
# for what a stopped one holds.
IDLE = "arch_cpu_idle"
BLOCKERS = (
    IDLE,
    "queued_spin_lock_slowpath",
    "native_queued_spin_lock_slowpath",
    "mutex_spin_on_owner",
    "rwsem_spin_on_owner",
    "osq_lock",
)


class Mark(IntEnum):
    """Where the guest program is; the same numbers as in rootfs/lib/race/race.c."""

    NEXT = 1
    READY_A = 2
    READY_B = 3
    DONE_A = 4
    DONE_B = 5
    END = 6
    HELLO = 7
    READY_C = 8
    DONE_C = 9


MARKS = frozenset(int(mark) for mark in Mark)
READY = {"a": Mark.READY_A, "b": Mark.READY_B, "c": Mark.READY_C}
ENDS = frozenset({Mark.DONE_A, Mark.DONE_B, Mark.DONE_C})


@dataclass(frozen=True)
class Verdict:
    """What the guest program says of a round."""

    violated: bool
    what: str  # how the tracee's call went, a letter of guest/hold/hold.h
    a: int  # errno of side a's operation
    b: int

    def __str__(self) -> str:
        return f"{'violated' if self.violated else 'kept'}.{self.what}.{self.a}.{self.b}"


@dataclass(frozen=True)
class Played:
    """What came of a hold; `hold` is the one that was played, which slides may have changed.

    stopped: why the moves went no further, "" when all were made.  `over` says that a window was
    left before its count, so that larger counts need no try.  at: the address of the instruction
    before which the side was held that is swept, None when it did not get there.
    """

    hold: Hold
    verdict: Verdict
    stopped: str = ""
    over: bool = False
    at: int | None = None


class CutError(Exception):
    """The moves go no further; everything is let go."""

    def __init__(self, why: str, *, over: bool = False) -> None:
        super().__init__(why)
        self.why, self.over = why, over


class LostError(InfrastructureError):
    """The round did not come to its end."""


def decode(payload: int) -> Verdict:
    """Return the verdict that an END marker carries."""
    letter = chr(payload >> 12 & 0x7F)
    return Verdict(bool(payload >> 19 & 1), letter, payload >> 6 & 63, payload & 63)
