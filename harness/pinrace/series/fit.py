# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a tree has what a series builds on.

A series may say so in a `series.toml` beside its patches: [[requires]] tables with `what` (for
people), `file` and `text`.  A tree too old for it is then told from one on which it conflicts.
"""

from __future__ import annotations

from pinrace.errors import UserError
from pinrace.series import manifest
from pinrace.series.manifest import Requirement
from pinrace.trees.git import in_store
from pinrace.values import Series, Tree


class NotApplicableError(UserError):
    """The series is not meant for this tree; `lacks` says what the tree would need."""

    def __init__(self, what: str, lacks: tuple[str, ...]) -> None:
        super().__init__(what, hint="take a newer tree: pinrace help trees")
        self.lacks = lacks


def check(tree: Tree, series: Series) -> None:
    """Raise NotApplicableError when the tree lacks what the series needs."""
    lacks = tuple(
        need.what
        for need in manifest.read(manifest.folder_of(series)).requires
        if not _has(tree, need)
    )
    if lacks:
        listed = "".join(f"\n  {what}" for what in lacks)
        raise NotApplicableError(
            f"{series.name} is not applicable to {tree.label}, which lacks:{listed}", lacks
        )


def _has(tree: Tree, need: Requirement) -> bool:
    """Whether the pristine tree holds the text in that file."""
    words = ("grep", "--quiet", "--fixed-strings", "-e", need.text, tree.commit, "--", need.file)
    return in_store(*words, check=False).status == 0
