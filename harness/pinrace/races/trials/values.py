# SPDX-License-Identifier: GPL-2.0-or-later
"""What a torture is asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pinrace.judge.ending import End
from pinrace.values import Splat, Verdict

# What can be broken on purpose: a supervisor that replies plainly where a pinned reply is meant,
# one that stops replying, a process that stays, a program that ends without its last word.
BREAKAGES = ("plain", "hang", "leak", "lost")
# What guest/pintorture knows: system calls (ops_*.c), who changes their arguments (mutate.c), and
# how many lanes there can be (torture.h).
FAMILIES = (
    *("open", "mkdir", "symlink", "link", "rename", "unlink", "stat", "access", "chmod"),
    *("truncate", "xattr", "write", "pipe", "socket", "procfs", "eventfd", "bind", "connect"),
    *("sendto", "setsockopt", "mount", "execve"),
)
MUTATORS = (
    *("thread", "vm-process", "process_vm_writev", "alias", "proc-mem", "ptrace"),
    *("munmap", "mprotect", "mremap", "madvise", "replace"),
)
MOST_LANES = 8


@dataclass(frozen=True)
class TorturePlan:
    """What to do in one guest.

    seconds: how long its lanes run, on the guest's clock.  trials: it is over after that many of
    all lanes together, and after the seconds at the latest; 0: after the seconds.  families and
    mutators: some of the above; empty for all.
    """

    seed: int
    seconds: float
    families: tuple[str, ...] = ()
    stop_at_first: bool = False  # end at the first violation
    chaos: bool = True  # signals, freezes, hotplug and so on beside the races
    lanes: int = 0  # tracees with their supervisors; 0: two a CPU of the guest
    stall: float = 45.0  # guest seconds without a trial in some lane, and it hangs
    broken: str = ""  # one of BREAKAGES, which has to FAIL
    trials: int = 0
    mutators: tuple[str, ...] = ()


@dataclass(frozen=True)
class Violation:
    """A statement of the contract that did not hold in one trial."""

    statement: str  # "C5"
    family: str
    mutator: str
    trial: int  # its number in its lane
    second: float  # of the guest, since the start
    text: str  # what was seen, with lane, call and plan of the trial
    number: int | None = None  # among the trials of all lanes; unknown in older records


@dataclass(frozen=True)
class Count:
    """Trials of one family with one mutator, free-running or staged by the supervisor."""

    pinned: int = 0  # went on with a pinned reply
    exposed: int = 0  # of them, the source was provably another between pin and reply
    control: int = 0  # went on with a plain reply
    lost: int = 0  # of them, the kernel acted on something that was not shown

    def __add__(self, other: Count) -> Count:
        return Count(
            self.pinned + other.pinned,
            self.exposed + other.exposed,
            self.control + other.control,
            self.lost + other.lost,
        )


@dataclass(frozen=True)
class TortureResult:
    """The judged torture of one cell.

    exposed: trials by family, free-running mutators and staged ones together; counts tells them
    apart.  lost: control trials by family that lost the race.
    """

    verdict: Verdict
    reason: str
    violations: tuple[Violation, ...]
    trials: int
    exposed: Mapping[str, int]
    lost: Mapping[str, int]
    splats: tuple[Splat, ...]
    seconds: float  # of the guest, from the start of the lanes
    folder: Path
    counts: Mapping[tuple[str, str, bool], Count] = field(default_factory=dict)
    unshown: int = 0  # violations that were counted and not described
    notes: tuple[str, ...] = ()
    inconclusive: tuple[str, ...] = ()  # families that prove nothing
    began: bool = False  # the lanes had started
    end: End = End.ENDED  # what the guest's end says; HUNG for lanes that hang, too
    leaks: tuple[str, ...] = ()
