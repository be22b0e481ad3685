# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files a series is about."""

from __future__ import annotations

import re
from dataclasses import replace

from pinrace import store
from pinrace.values import Series

_CHANGED = re.compile(rb"^\+\+\+ b/(\S+)", re.MULTILINE)


def touched(series: Series | None) -> frozenset[str]:
    """Return the files that a series changes or adds; OSError when a patch cannot be read."""
    patches = series.patches if series else ()
    return frozenset(
        name.decode(errors="replace") for p in patches for name in _CHANGED.findall(p.read_bytes())
    )


def first(series: Series, count: int) -> Series:
    """Return the first patches of a series; OSError when one cannot be read."""
    patches = series.patches[:count]
    digest = store.digest(*(p.read_bytes() for p in patches))
    return replace(series, name=f"{series.name}-{count}", digest=digest, patches=patches)
