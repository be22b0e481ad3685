# SPDX-License-Identifier: GPL-2.0-or-later
"""How a series stands on a tree: as it was made, moved, merged, in conflict, or not at all."""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pinrace.errors import ApplyError
from pinrace.paths import cache_dir
from pinrace.series import mails
from pinrace.series.apply import apply
from pinrace.series.fit import NotApplicableError
from pinrace.trees.git import in_store
from pinrace.values import PatchedTree, Series, Tree

Say = Callable[[str], None]


class Fit(StrEnum):
    """What `git am --3way` makes of a series."""

    CLEAN = "applies"
    MOVED = "applies with offsets"  # the same context at other lines
    MERGED = "applies by merge"  # other context: look at what it became
    THERE = "is there already"  # all of it
    NOT_FOR = "not for this tree"  # the tree lacks what the series builds on
    CONFLICT = "conflicts"


@dataclass(frozen=True)
class Standing:
    """How a series stands on a tree, and where it is not as it was made."""

    fit: Fit
    notes: tuple[str, ...] = ()
    patched: PatchedTree | None = None  # None when it does not apply


def stand(tree: Tree, series: Series, *, say: Say) -> Standing:
    """Return how a series stands on a tree; nothing is checked out, a conflict leaves nothing.

    Raises InfrastructureError when git fails.
    """
    try:
        patched = apply(tree, series, say=say, leave_conflict=False)
    except NotApplicableError as error:
        return Standing(Fit.NOT_FOR, tuple(f"it lacks {what}" for what in error.lacks))
    except ApplyError as error:
        return Standing(Fit.CONFLICT, tuple(line.strip() for line in error.what.splitlines()))
    fits, notes = _replay(tree, series, patched)
    if set(fits) == {Fit.THERE}:
        worst = Fit.THERE
    else:
        worst = next((fit for fit in (Fit.MERGED, Fit.MOVED) if fit in fits), Fit.CLEAN)
    return Standing(worst, notes, patched)


def _replay(tree: Tree, series: Series, patched: PatchedTree) -> tuple[list[Fit], tuple[str, ...]]:
    """Apply the patches one by one in an index of their own, and see where each one landed."""
    span = f"{tree.commit}..{patched.commit}"
    made = in_store("log", "--reverse", "--format=%H %s", span).output.splitlines()
    fits: list[Fit] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="status-", dir=cache_dir()) as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        in_store("read-tree", tree.commit, env=env)
        (Path(folder) / "mails").mkdir()
        for mail in mails.split(series, Path(folder) / "mails"):
            commit, _, subject = made[0].partition(" ") if made else ("", "", "")
            if not commit or subject != mail.subject:  # git am made no commit of it
                fit, moved = Fit.THERE, list[str]()
            else:
                fit, moved = _one(mail.patch, env)
                in_store("read-tree", commit, env=env)
                made.pop(0)
            fits.append(fit)
            if fit is not Fit.CLEAN:
                about = [f"patch {mail.number} ({mail.subject}) {fit}", *moved]
                notes.append("\n  ".join(about))
    if made:  # a subject that git words in two ways: better look than trust
        fits.append(Fit.MERGED)
        notes.append(f"{len(made)} of the commits could not be told from one another")
    return fits, tuple(notes)


def _one(patch: Path, env: dict[str, str]) -> tuple[Fit, list[str]]:
    """Try one diff on the index; return how it goes, and what moved."""
    done = in_store("apply", "--cached", "--check", "--verbose", patch, env=env, check=False)
    if done.status:
        return Fit.MERGED, []
    file, offsets = "", defaultdict[str, list[int]](list)
    for line in done.output.splitlines():
        if line.startswith("Checking patch "):
            file = line.removeprefix("Checking patch ").removesuffix("...")
        if hunk := re.match(r"Hunk #\d+ succeeded at \d+ \(offset (-?\d+) lines?\)", line):
            offsets[file].append(int(hunk[1]))
    return (Fit.MOVED if offsets else Fit.CLEAN), [
        f"{file}: {len(by)} {'hunk' if len(by) == 1 else 'hunks'}, offset {_span(by)}"
        for file, by in offsets.items()
    ]


def _span(numbers: list[int]) -> str:
    """Return a range of numbers in words."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
