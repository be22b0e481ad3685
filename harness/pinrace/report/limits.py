# SPDX-License-Identifier: GPL-2.0-or-later
"""How large a page may become, and how that is shared out.

Whatever a run's folder holds, a page is no larger than LARGEST.  Sizes are those of the page:
escaped, and as UTF-8.  Cells that did not pass come first and have their own share.
"""

from __future__ import annotations

from dataclasses import dataclass

KIB, MIB = 1 << 10, 1 << 20

LARGEST = 40 * MIB  # bytes; the shares below and what is around them

SECTIONS = 800  # cells with a section of their own
FINDINGS = 200  # things that are bad, each with the cells that have it
LINKS = 40  # cells named by one finding
NIGHTS = 60  # of the history, the latest
TRENDS = 300  # cells of the history

NAME = 300  # bytes of a name or a title
SENTENCE = 512  # of a reason or a note
COMMAND = 1 * KIB  # of a command line
LINE = 2 * KIB  # of a line of output
NOTES = 8  # notes of a cell

# All cells together, and one cell at most.
_CONSOLES_BAD, _CONSOLES_GOOD, _CONSOLE = 6 * MIB, 5 * MIB, 192 * KIB
_CASES_BAD, _CASES_GOOD, _CASE = 3 * MIB, 5 * MIB, 256 * KIB
_SPLATS, _SPLAT = 3 * MIB, 256 * KIB
_PICTURES, _PICTURE = 3 * MIB, 512 * KIB
_DUMPS, _DUMP = 4 * MIB, 96 * KIB


@dataclass(frozen=True)
class Share:
    """What one cell may take, in bytes."""

    console: int
    bad_cases: int
    good_cases: int
    splats: int
    pictures: int
    dump: int


def share(*, bad: bool, cells_bad: int, cells_good: int) -> Share:
    """Return the share of a cell, bad or not, of so many of either kind."""
    mine, consoles = (cells_bad, _CONSOLES_BAD) if bad else (cells_good, _CONSOLES_GOOD)
    every = cells_bad + cells_good
    return Share(
        console=min(_CONSOLE, consoles // mine),
        bad_cases=min(_CASE, _CASES_BAD // every),
        good_cases=min(_CASE, _CASES_GOOD // every),
        splats=min(_SPLAT, _SPLATS // every),
        pictures=min(_PICTURE, _PICTURES // every),
        dump=min(_DUMP, _DUMPS // every),
    )


class Purse:
    """Bytes that can be spent."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, size: int) -> bool:
        """Whether there was that much; then it is gone."""
        if size > self.left:
            return False
        self.left -= size
        return True
