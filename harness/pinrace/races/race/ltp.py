# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the Linux Test Project that use tst_fuzzy_sync.h, through a header of ours.

The user names a tree of theirs; nothing of it is kept here.
"""

from __future__ import annotations

from pathlib import Path

from pinrace import store
from pinrace.errors import UserError
from pinrace.paths import ROOTFS
from pinrace.races.race.folder import Race

LIBRARY = ("lib/race/ltp/ltp.c",)
OURS = ROOTFS / "lib/race/ltp"


def find(tree: Path | None) -> Path:
    """Return the tree; UserError when none is named, or it is none."""
    if tree is None or not (tree / "include/tst_test.h").is_file():
        raise UserError(
            f"{tree} is no tree of the Linux Test Project"
            if tree
            else "a race of kind ltp needs the tree of the Linux Test Project",
            hint="git clone https://github.com/linux-test-project/ltp, and --ltp ltp",
        )
    return tree.resolve()


def identity(tree: Path) -> str:
    """Return what tells one tree from another: its headers."""
    files = sorted((tree / "include").rglob("*.h"))
    return store.digest(*(p.read_bytes() for p in files))


def flags(tree: Path, race: Race) -> list[str | Path]:
    """Return what finds our header before theirs."""
    return ["-D_GNU_SOURCE", "-I", OURS, "-I", ROOTFS / "lib/race", "-I", tree / "include"]
