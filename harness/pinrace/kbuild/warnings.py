# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiler warnings of a build folder, kept across incremental builds.

An incremental make shows only the warnings of what it compiles again, so they are kept by
object: what is compiled again replaces what its object had said before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from pinrace.store import write_json

# `  CC      kernel/fork.o` as scripts/Kbuild.include prints it.
_OBJECT = re.compile(r"^\s+(?:CC|AS|HOSTCC|LD|AR)\b.*?\s(\S+)$")
_WARNING = re.compile(r"^(\S+?):(\d+):(?:\d+:)? warning: (.*)$")


def collect(book: Path, lines: Iterable[str]) -> tuple[str, ...]:
    """Update the book (a JSON file) from make's output and return all warnings of the folder.

    A warning is "file: text", without its line number, so that code above it may move.
    """
    kept: dict[str, list[str]] = json.loads(book.read_text()) if book.exists() else {}
    fresh: dict[str, list[str]] = {}
    for line in lines:
        if match := _OBJECT.match(line):
            fresh.setdefault(_stem(match[1]), [])
        elif match := _WARNING.match(line):
            file = re.sub(r"^(?:\.\./)*(?:src/)?", "", match[1])
            fresh.setdefault(_stem(file), []).append(f"{file}: {match[3]}")
    kept.update(fresh)
    write_json(book, {stem: texts for stem, texts in kept.items() if texts})
    return tuple(sorted({text for texts in kept.values() for text in texts}))


def _stem(path: str) -> str:
    return str(Path(path).with_suffix(""))


def added(patched: Iterable[str], base: Iterable[str]) -> tuple[str, ...]:
    """Return the warnings that only the patched tree has."""
    return tuple(sorted(set(patched) - set(base)))
