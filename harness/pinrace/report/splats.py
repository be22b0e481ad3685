# SPDX-License-Identifier: GPL-2.0-or-later
"""The reports of a cell's kernel, with file and line where the cell has them."""

from __future__ import annotations

import re
from pathlib import Path

from pinrace.judge.splats import load_rules
from pinrace.report import text
from pinrace.report.limits import LINE, NAME, Purse, Share
from pinrace.report.model import SplatView
from pinrace.values import CellResult, Splat

SYMBOLIZED = "splats.txt"

_LONGEST = 8 << 20  # bytes of that file; more is not read
_EACH = 600  # bytes that one takes beside its text
# As decode_stacktrace.sh writes it: the place in parentheses, or after "at" in a WARNING.
_PLACE = re.compile(r"(?<![\w/.-])(?:(?:\.\./)+src/)?(?P<place>[\w./+-]+\.(?:[chS]|rs):[1-9]\d*)\b")


def read(result: CellResult, folder: Path | None, share: Share) -> tuple[list[SplatView], int]:
    """Return those that there is room for, and the number of the others."""
    texts = _symbolized(folder / SYMBOLIZED if folder else None, result.splats)
    purse = Purse(share.splats)
    views = []
    for splat, body in zip(result.splats, texts, strict=True):
        shown = "\n".join(text.fit(line.rstrip("\r"), LINE) for line in body.split("\n"))
        if purse.take(text.size(shown) + _EACH):
            place = _PLACE.search(body)
            where = place["place"] if place else ""
            title = text.fit(splat.title, NAME)
            views.append(SplatView(title, splat.line, tag(splat, result), shown, where))
    return views, len(result.splats) - len(views)


def tag(splat: Splat, result: CellResult) -> str:
    """Return what it is to the verdict: new, known, or a trouble of the test itself."""
    severity = load_rules().severity(splat.rule)
    if severity in ("setup", "host", "blind", "note"):
        return severity
    return "known" if splat.fingerprint in result.known else "new"


def _symbolized(path: Path | None, splats: tuple[Splat, ...]) -> list[str]:
    """Return the text of each report, from the cell's own file where it has just these."""
    raw = [splat.text for splat in splats]
    try:
        if not path or not 0 < path.stat().st_size <= _LONGEST:
            return raw
        whole = path.read_bytes().decode(errors="replace")
    except OSError:
        return raw
    blocks = [block.strip("\n") for block in re.split(r"\n{2,}", whole) if block.strip()]
    return blocks if len(blocks) == len(splats) else raw
