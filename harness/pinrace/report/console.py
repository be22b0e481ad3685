# SPDX-License-Identifier: GPL-2.0-or-later
"""A console's log for the page: whole, or its two ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from pinrace.report import text
from pinrace.report.limits import LINE
from pinrace.report.model import Console, Part, Piece

_HEAD = 4  # one part in so many of a cut console is its beginning
_BLOCK = 1 << 20


def read(path: Path, run: Path, limit: int, marks: Collection[int]) -> Console | None:
    """Return the console, taking at most about `limit` bytes in the page; None without a log.

    run: the folder that its path is told from.  marks: the lines that something points at.
    """
    shown_path = str(path.relative_to(run))
    try:
        size = path.stat().st_size
        if size <= limit:
            whole = text.visible(text.decode(path.read_bytes()))
            if text.size(whole) <= limit:
                return _whole(whole, shown_path, size, marks)
        head, tail, count = _ends(path, size, limit)
    except OSError:
        return None
    first = _take(text.decode(head).split("\n")[:-1], limit // _HEAD)
    last = _take(reversed(text.decode(tail).split("\n")[1:]), limit - limit // _HEAD)[::-1]
    if len(first) + len(last) >= count:  # they meet
        first = first[: max(0, count - len(last))]
    start = count - len(last) + 1
    pieces = [_piece(first, 1, marks), _piece(last, start, marks)]
    skipped = count - len(first) - len(last)
    return Console(shown_path, size, count, tuple(p for p in pieces if p), skipped)


def _whole(shown: str, path: str, size: int, marks: Collection[int]) -> Console:
    lines = shown.removesuffix("\n").split("\n") if size else []
    piece = _piece(lines, 1, marks)
    return Console(path, size, len(lines), (piece,) if piece else ())


def _ends(path: Path, size: int, limit: int) -> tuple[bytes, bytes, int]:
    """Return the first and the last bytes, and the number of lines."""
    count, last = 0, b"\n"
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            count += block.count(b"\n")
            last = block[-1:]
        stream.seek(0)
        head = stream.read(limit)
        stream.seek(max(0, size - limit))
        tail = stream.read().removesuffix(b"\n")
    return head + b"\n", b"\n" * (size <= limit) + tail, count + (last != b"\n")


def _take(lines: Iterable[str], limit: int) -> list[str]:
    """Return the first of these lines, visible, as many as fit."""
    taken = []
    for line in lines:
        shown = text.fit(line, LINE)
        limit -= text.size(shown) + 1
        if limit < 0:
            break
        taken.append(shown)
    return taken


def _piece(lines: list[str], first: int, marks: Collection[int]) -> Piece | None:
    """Return the lines as one piece, the marked ones apart."""
    if not lines:
        return None
    parts: list[Part] = []
    begin = 0
    for mark in sorted({m - first for m in marks if first <= m < first + len(lines)}):
        if begin < mark:
            parts.append(Part("\n".join(lines[begin:mark]) + "\n"))
        parts.append(Part(lines[mark] + "\n", mark + first))
        begin = mark + 1
    if begin < len(lines):
        parts.append(Part("\n".join(lines[begin:]) + "\n"))
    return Piece(first, tuple(parts))
