# SPDX-License-Identifier: GPL-2.0-or-later
"""Results as JSON lines, one added behind the other, so that a killed command goes on later."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from pinrace.errors import InfrastructureError

T = TypeVar("T")


def read(path: Path, adapter: TypeAdapter[T], *, what: str, hint: str) -> list[T]:
    """Return all lines in their order; none when there is no file.

    A last line that a crash tore is left out; any other damage is an InfrastructureError, which
    calls the file `what`.
    """
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    found = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            found.append(adapter.validate_json(line))
        except ValidationError as exc:
            if number == len(lines):
                break
            raise InfrastructureError(
                f"{what} is damaged in line {number}", log=path, hint=hint
            ) from exc
    return found


def append(path: Path, adapter: TypeAdapter[T], value: T) -> None:
    """Add one line; it is on the disk when this returns.  A line that a crash tore goes first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with path.open("rb+") as stream:
        whole = stream.read().rfind(b"\n") + 1
        stream.truncate(whole)
        stream.seek(whole)
        stream.write(adapter.dump_json(value) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
