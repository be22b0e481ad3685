# SPDX-License-Identifier: GPL-2.0-or-later
"""What was measured, a JSON line each, so that a killed benchmark goes on where it was."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.errors import InfrastructureError
from harness.searchbench.trial import Repeat, Result

Line = Result | Repeat
_LINE: TypeAdapter[Line] = TypeAdapter(Line)


def read(path: Path) -> list[Line]:
    """Return all lines in their order.

    A last line that a crash tore is left out; any other damage is an InfrastructureError.
    """
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    found: list[Line] = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            found.append(_LINE.validate_json(line))
        except ValidationError as exc:
            if number == len(lines):
                break
            raise InfrastructureError(
                f"the benchmark's journal is damaged in line {number}",
                log=path,
                hint="remove that line, or the file to begin anew",
            ) from exc
    return found


def append(path: Path, line: Line) -> None:
    """Add one line; it is on the disk when this returns.  A line that a crash tore goes first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with path.open("rb+") as stream:
        whole = stream.read().rfind(b"\n") + 1
        stream.truncate(whole)
        stream.seek(whole)
        stream.write(_LINE.dump_json(line) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
