# SPDX-License-Identifier: GPL-2.0-or-later
"""Files and functions are short enough to be read at once."""

from __future__ import annotations

import ast
from pathlib import Path

import pinrace
from pinrace.paths import KERNEL, ROOTFS

PACKAGE = Path(pinrace.__file__).parent
LINES = 400  # of a file
FUNCTION = 60  # lines
# Guest programs that are still to be split: that changes their bytes, and with them what is kept of
# their runs.  The list only gets shorter.
TO_SPLIT = {"scenarios.c", "stage.c", "table.c", "walk.c", "pinsmoke.c"}


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_no_module_is_too_long() -> None:
    long = {str(path.relative_to(PACKAGE)): lines(path) for path in PACKAGE.rglob("*.py")}
    assert {name: count for name, count in long.items() if count > LINES} == {}


def test_no_function_is_too_long() -> None:
    long = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION
    ]
    assert long == []


def test_no_c_source_is_too_long() -> None:
    sources = [
        p for root in (ROOTFS, KERNEL) for kind in ("c", "h") for p in root.rglob(f"*.{kind}")
    ]
    assert sources
    assert {path.name for path in sources if lines(path) > LINES} == TO_SPLIT
