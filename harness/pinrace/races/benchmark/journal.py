# SPDX-License-Identifier: GPL-2.0-or-later
"""What was measured, a JSON line each, so that a killed benchmark goes on where it was."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter

from pinrace.races.benchmark.trial import Repeat, Result
from pinrace.runs import jsonl

Line = Result | Repeat
_LINE: TypeAdapter[Line] = TypeAdapter(Line)


def read(path: Path) -> list[Line]:
    """Return all lines in their order; raises InfrastructureError as lines.read()."""
    hint = "remove that line, or the file to begin anew"
    return jsonl.read(path, _LINE, what="the benchmark's journal", hint=hint)


def append(path: Path, line: Line) -> None:
    """Add one line; it is on the disk when this returns."""
    jsonl.append(path, _LINE, line)
