# SPDX-License-Identifier: GPL-2.0-or-later
"""Turn the addresses of a kernel's traces into source lines, with the tree's own script."""

from __future__ import annotations

import os
from pathlib import Path

from pinrace import procs
from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError

SCRIPT = Path("scripts") / "decode_stacktrace.sh"
LIMIT = 180.0  # seconds; addr2line reads the whole DWARF for each function of a trace


def symbolize(text: str, vmlinux: Path, tree: Path | None, cross: str) -> str:
    """Return the text with source lines in its traces.

    tree is a checkout of the kernel's source, cross the prefix of the binutils for its arch.  Never
    raises: when the script cannot be used, the text comes back as it was, with a note on its end.
    """
    if not vmlinux.is_file():
        return _noted(text, f"{vmlinux} is not there")
    if tree is None or not (tree / SCRIPT).is_file():
        return _noted(text, f"no tree that has {SCRIPT}")
    try:
        done = procs.run(
            ["bash", tree / SCRIPT, vmlinux, "auto"],
            cwd=tree,
            env={"CROSS_COMPILE": cross, "LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", "")},
            # The script loses a last line that has no end.
            stdin=f"{text.rstrip()}\n".encode(errors="backslashreplace"),
            deadline=Deadline.after(LIMIT),
            what="symbolizing a kernel's report",
        )
    except (InfrastructureError, OSError) as exc:
        return _noted(text, str(exc).splitlines()[0])
    if len(done.output.splitlines()) < len(text.rstrip().splitlines()):
        return _noted(text, "the script lost lines")
    return done.output


def _noted(text: str, why: str) -> str:
    """Return the text as it was, and why."""
    return f"{text.rstrip()}\n(not symbolized: {why})\n"
