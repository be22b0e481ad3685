# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hold is, and how it is written.

A hold is a list of moves.  In each, one side of the guest program runs alone, on its own vCPU, up
to a point; after the last, everything runs freely.  A side is `a`, on the first CPU, `b`, on the
second, or `c`, on the third; what they do is the program's (guest/hold/, or a race's folder).
`t` is the tracee, on the second CPU too: it gets there when `b` waits for it.  Written, the moves
follow each other with a comma:

    MOVE  = SIDE.POINT
    POINT = FUNCTION        its first instruction
          | FUNCTION+N      N instructions of its own later, what it calls not counted
          | FILE:FUNCTION   the one of that name in a source file, as fs/locks.c:fcntl_setlk
          | done            the operation of `a` or `b` has returned to user space; of `t`, there
                            is nothing left to run on its CPU

`a.fcntl_setlk+12,b.done,a.done` holds side a twelve instructions into fcntl_setlk()
while side b does all of its operation.  `a.F+3,b.G+5,a.done,b.done` is a pair of preemptions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from pinrace.errors import UserError

DONE = "done"
SIDES = {"a": 1, "b": 2, "c": 3, "t": 2}  # and the CPU that each runs on, from 1
MOST_MOVES = 8

_FUNCTION = re.compile(r"(?:[\w./+-]+\.[chS]:)?[A-Za-z_][A-Za-z0-9_]*(?:\.[a-z0-9.]+)?")
_MOVE = re.compile(
    rf"(?P<side>[abct])\.(?P<function>{_FUNCTION.pattern})(?:\+(?P<count>\d{{1,5}}))?"
)


@dataclass(frozen=True)
class Move:
    """One side runs alone up to a point."""

    side: str
    function: str  # DONE for the end of the side's operation
    count: int = 0  # instructions into the function

    def __str__(self) -> str:
        return f"{self.side}.{self.function}{f'+{self.count}' if self.count else ''}"


@dataclass(frozen=True)
class Hold:
    """Moves, one after the other.

    at: which of them a sweep moves along its function; those before it lead there.
    """

    moves: tuple[Move, ...]
    at: int = field(default=0, compare=False)

    @property
    def swept(self) -> Move:
        """The move that a sweep moves along."""
        return self.moves[self.at]

    def at_count(self, count: int) -> Hold:
        """Return the hold with that move so many instructions into its function."""
        moved = replace(self.swept, count=count)
        return replace(self, moves=(*self.moves[: self.at], moved, *self.moves[self.at + 1 :]))

    def __str__(self) -> str:
        return ",".join(map(str, self.moves))


def other(side: str) -> str:
    """Return the side that this one is held against, where there are two."""
    return "b" if side == "a" else "a"


def single(
    side: str,
    function: str,
    count: int,
    until: str = DONE,
    *,
    settle: bool = False,
    runners: str = "",
    before: tuple[Move, ...] = (),
) -> Hold:
    """Return the hold with one preemption: the others run in it, and then this one ends.

    settle: what the other side has woken runs in it, too.  runners: who runs, one after the other,
    the first of them until `until`, where it stays until all run freely; "" for the other of two
    sides.  before: moves that lead to where the sweep begins.
    """
    first, *others = list(runners or other(side))
    holder = "b" if side == "t" else side
    moves = [Move(side, function, count), Move(first, until)]
    moves += [Move(each, DONE) for each in others]
    if settle:
        moves.append(Move("t", DONE))
    moves.append(Move(holder, DONE))
    return Hold((*before, *moves), len(before))


def pair(first: Move, second: Move, before: tuple[Move, ...] = ()) -> Hold:
    """Return the hold with two: the first side does the rest while the second one is held.

    before: moves that lead to where the first is held.
    """
    ends = (Move(move.side, DONE) for move in (first, second))
    return Hold((*before, first, second, *ends), len(before))


def parse_function(text: str) -> str:
    """Return the name of a function, perhaps with its file; UserError when it can be none."""
    if text == DONE or not _FUNCTION.fullmatch(text):
        raise UserError(f"'{text}' is no name of a function", hint="as nm vmlinux prints it")
    return text


def parse(text: str) -> Hold:
    """Return the hold; UserError says what is wrong with a text that is none."""
    hint = "for example a.fcntl_setlk+12,b.done,a.done; see pinrace hunt --help"
    words = text.replace("=", ":").split(",")  # as tokens write a colon
    if len(words) > MOST_MOVES:
        raise UserError(f"a hold has {MOST_MOVES} moves at the most, not {len(words)}", hint=hint)
    moves = []
    for word in words:
        match = _MOVE.fullmatch(word)
        if not match or (match["function"] == DONE and match["count"]):
            raise UserError(f"'{word}' is no move of a hold", hint=hint)
        moves.append(Move(match["side"], match["function"], int(match["count"] or 0)))
    return Hold(tuple(moves))
