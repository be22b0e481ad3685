# SPDX-License-Identifier: GPL-2.0-or-later
"""Text that a guest, a mail or a file's name brought, as a page of HTML takes it."""

from __future__ import annotations

import re

from markupsafe import escape

from pinrace.visible import visible

__all__ = ["decode", "fit", "size", "visible"]

_LINE_END = re.compile(r"\r+\n")


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
