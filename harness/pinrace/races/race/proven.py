# SPDX-License-Identifier: GPL-2.0-or-later
"""A page with what proofs came to: a line for each race and ABI, a cell for each way.

A proof of some ways on some ABIs replaces their cells and leaves the others as they are.
"""

from __future__ import annotations

import re
from pathlib import Path

from pinrace.arches import ABIS
from pinrace.errors import UserError
from pinrace.races.race.prove import FREE, HOLDS, SEEDS, WAYS, Proof, Row
from pinrace.races.trials.judge import bound

BEGIN, END = "<!-- proofs: pinrace prove --add -->", "<!-- end of proofs -->"
_HEAD = (
    f"| race | ABI | {' | '.join(WAYS)} |",
    f"|---|---|{'---|' * len(WAYS)}",
)
_LINE = re.compile(r"\| `(?P<race>[^`]+)` \| (?P<abi>\S+) \| (?P<cells>.*) \|")
_HOLD = re.compile(r"under (\S+);")

Table = dict[tuple[str, str], list[str]]


def add(path: Path, race: str, proofs: list[Proof]) -> None:
    """Put proofs of a race into a page, between its two marks, or at its end.

    Raises UserError when the page cannot be read or written, and for a first mark without the other
    one: nobody knows where the table ends then.
    """
    try:
        text = path.read_text() if path.exists() else ""
        before, begin, rest = text.partition(BEGIN)
        inside, end, after = rest.partition(END)
        if begin and not end:
            raise UserError(f"{path} has no end of the table", hint=f"write {END} there")
        table = _read(inside)
        for proof in proofs:
            _merge(table.setdefault((race, proof.abi), [""] * len(WAYS)), proof)
        path.write_text(f"{before}{BEGIN}\n\n{_write(table)}\n{END}{after or chr(10)}")
    except UnicodeDecodeError as exc:
        raise UserError(f"cannot add to {path}: it is no text in UTF-8") from exc
    except OSError as exc:
        raise UserError(f"cannot add to {path}: {exc.strerror}") from exc


def _read(text: str) -> Table:
    """Return the lines of a table."""
    table: Table = {}
    for match in map(_LINE.fullmatch, text.splitlines()):
        cells = [cell.strip() for cell in match["cells"].split("|")] if match else []
        if match and len(cells) == len(WAYS):
            table[match["race"], match["abi"]] = cells
    return table


def _write(table: Table) -> str:
    order = list(ABIS)
    keys = sorted(table, key=lambda key: (key[0], order.index(key[1]) if key[1] in order else 9))
    lines = [f"| `{race}` | {abi} | {' | '.join(table[race, abi])} |" for race, abi in keys]
    return "\n".join((*_HEAD, *lines)) + "\n"


def _merge(cells: list[str], proof: Proof) -> None:
    """Replace the cells of the ways that a proof went."""
    for number, way in enumerate(WAYS):
        rows = [row for row in proof.rows if row.kernel == "broken" and row.way == way]
        if rows:
            cells[number] = _cell(rows[0], proof)


def _cell(row: Row, proof: Proof) -> str:
    """Say what a way came to, without the fix and with it."""
    if row.miss:
        return f"failed: {row.text}"
    if not row.lost:
        return f"kept in {row.tries:,}, {row.cpu:.0f} s" if row.tries else f"kept, {row.cpu:.0f} s"
    words = [f"{row.cpu:.1f} s"]
    words += [f"{row.again[0]}/{row.again[1]}"] if row.again else []
    hold = _HOLD.search(row.text)
    words += [f"`{hold[1]}`"] if hold else []
    words += _kept(row.way, proof)
    return ", ".join(words)


def _kept(way: str, proof: Proof) -> list[str]:
    """Say what was kept with the fix, that a way has lost without it."""
    names = {SEEDS: ("same seed",), HOLDS: ("same hold", HOLDS)}.get(way, (way,))
    rows = [row for row in proof.rows if row.kernel == "fixed" and row.way in names]
    if not rows:
        return []
    if any(row.lost for row in rows):
        return ["**lost with the fix**"]
    tries = rows[-1].tries
    if not all(row.ok for row in rows):
        return [f"fixed: kept in {tries}, but not all was tried"]
    if way == FREE:
        return [f"fixed: below {bound(tries):.1g} a round"]
    return [f"fixed: kept in {tries}"]
