# SPDX-License-Identifier: GPL-2.0-or-later
"""Open a file of SQLite, so that what is done with it is kept whole or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pinrace.errors import InfrastructureError

BUSY_SECONDS = 30  # how long another process may keep the file to itself


@contextmanager
def opened(
    path: Path, prepare: Callable[[sqlite3.Connection], None], what: str, hint: str
) -> Iterator[sqlite3.Connection]:
    """Open the file, made if need be, and have it prepared.

    what: how the error begins.  Raises InfrastructureError, with that hint, when the file cannot be
    used, and what prepare() raises.
    """
    try:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
        try:
            with connection:
                prepare(connection)
                yield connection
        finally:
            connection.close()
    except sqlite3.Error as exc:
        raise InfrastructureError(f"{what}: {exc}", log=path, hint=hint) from exc
