# SPDX-License-Identifier: GPL-2.0-or-later
"""How long calls took before, so that the longest begin first."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import replace
from pathlib import Path

from pinrace import store
from pinrace.values import Cell

_WEIGHT = 0.5  # of the newest one
FILE = "durations.json"


class Durations:
    """Seconds by what was called, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._known: dict[str, float] = {}
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(path.read_text())
            self._known = {str(name): float(seconds) for name, seconds in found.items()}

    def expected(self, name: str, *args: object) -> float:
        """Return the seconds that such a call took; 0 when that is not known."""
        return self._known.get(_key(name, args), 0.0)

    def note(self, seconds: float, name: str, *args: object) -> None:
        """Note that a call took so long."""
        key = _key(name, args)
        with self._lock:
            old = self._known.get(key, seconds)
            self._known[key] = round(old + _WEIGHT * (seconds - old), 2)

    def save(self) -> None:
        """Write them down."""
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            store.write_json(self._path, self._known)


def _key(name: str, args: tuple[object, ...]) -> str:
    """Name what is called: of its arguments the cell, without its repetition."""
    cells = [replace(one, repeat=1).name for one in args if isinstance(one, Cell)]
    return " ".join([name.rpartition(":")[2], *cells])
