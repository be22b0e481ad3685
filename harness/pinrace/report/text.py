# SPDX-License-Identifier: GPL-2.0-or-later
"""Text that a guest, a mail or a file's name brought, made fit to be seen.

Nothing in a report can hide, reorder or overprint what stands beside it: what is not a visible
character is shown by its name or its number.
"""

from __future__ import annotations

import re

from markupsafe import escape

_COMBINING = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"

# Controls but tab and line feed, formats (bidi, joiners, tags), line separators, surrogates,
# private use, noncharacters, blanks that are no blanks, and the third of combining marks.
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    "\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164"
    "\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U0010ffff]"
    f"|(?<=[{_COMBINING}]{{2}})[{_COMBINING}]"
)
# ISO 646's names of the controls
_NAMES = (
    *("NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR"),
    *("SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB"),
    *("ESC", "FS", "GS", "RS", "US"),
)
_LINE_END = re.compile(r"\r+\n")


def visible(text: str) -> str:
    """Return the text with everything odd made visible: «ESC», «U+202E»."""
    return _ODD.sub(_shown, text)


def _shown(m: re.Match[str]) -> str:
    code = ord(m[0])
    return f"«{_NAMES[code]}»" if code < len(_NAMES) else f"«U+{code:04X}»"


def decode(data: bytes) -> str:
    """Return bytes as text with plain line ends; those that are no UTF-8 show as \\xff."""
    return _LINE_END.sub("\n", data.decode(errors="backslashreplace"))


def size(text: str) -> int:
    """Return how many bytes a visible text takes in the page."""
    return len(escape(text).encode())


def fit(text: str, limit: int) -> str:
    """Return the text made visible, cut at its end to take about `limit` bytes in the page."""
    shown = visible(text[:limit])
    if len(text) <= limit and size(shown) <= limit:
        return shown
    while (takes := size(shown)) > limit:
        shown = shown[: len(shown) * limit // (takes + 1)]
    return f"{shown} … (cut)"
