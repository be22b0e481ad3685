# SPDX-License-Identifier: GPL-2.0-or-later
"""Object folders: warm ones beside a base's work tree, and one of its own for a stranger's series.

What a build leaves in its folder decides what the next one there makes.  So only the bases
themselves, with the series that this project ships, share one.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from pinrace import procs
from pinrace.host import sandbox
from pinrace.host.sandbox import Bind
from pinrace.kbuild.toolchain import build_env, ccache_binds
from pinrace.paths import KERNEL
from pinrace.values import PatchedTree, Series

_MOVED = ("pinrace.configured", "pinrace.warnings.json", "pinrace.objects")
STATS = "pinrace.ccache"  # what ccache did, one word a line


@dataclass(frozen=True)
class Objects:
    """One object folder; its build can write to nothing but it, and to ccache's if `keeps`."""

    path: Path  # where it is
    shared: Path  # the base's own; the same folder unless the series is a stranger's
    src: Path  # the work tree
    keeps: bool  # whether ccache keeps what is compiled here

    @property
    def own(self) -> bool:
        """Whether it is a stranger's alone."""
        return self.path != self.shared

    @property
    def inside(self) -> Path:
        """Where make has it: always in the base's place, so that make and ccache know it again."""
        return self.shared if sandbox.contained() else self.path

    @property
    def state(self) -> Path:
        """A folder for what pinrace notes of it, which no build can write to."""
        return self.path.with_name(f"{self.path.name}.pinrace")

    @property
    def log(self) -> Path:
        """Make's log."""
        return self.state / "pinrace.log"

    @property
    def binds(self) -> tuple[Bind, ...]:
        """What a build sees and may write."""
        here = Bind(self.path, self.inside, writable=True)
        return (*sandbox.reads(self.src), here, *ccache_binds(keep=self.keeps))

    def env(self, *, stats: bool = False) -> dict[str, str]:
        """Return what a build adds to the environment."""
        return build_env(self.inside / STATS if stats else None, keep=self.keeps)

    def has(self, name: str) -> bool:
        """Whether there is something of that name."""
        return (self.path / name).exists()

    def prepare(self) -> None:
        """Make it, a stranger's as a copy of the base's, so that make compiles only what differs.

        A copy keeps the times, or make would compile all of it.  An older stranger's goes.
        """
        if self.own and not self.path.exists() and self.shared.exists():
            for old in self.shared.parent.glob(f"{self.shared.name}+*"):
                shutil.rmtree(old, ignore_errors=True)
            pairs = ((replace(self, path=self.shared).state, self.state), (self.shared, self.path))
            for source, into in pairs:
                if source.exists():
                    draft = into.with_name(f".{into.name}")
                    shutil.rmtree(draft, ignore_errors=True)
                    copy = ("cp", "-a", "--reflink=auto", "--", source, draft)
                    procs.run(copy, what="copying objects", hint="make room: pinrace cache --prune")
                    draft.rename(into)
        self.path.mkdir(parents=True, exist_ok=True)
        self.state.mkdir(exist_ok=True)
        for name in () if self.own else _MOVED:  # of an older pinrace
            if (self.path / name).is_file():
                (self.path / name).replace(self.state / name)


def objects(src: Path, name: str, tree: PatchedTree) -> Objects:
    """Return the folder of that name for a tree that is checked out in src."""
    shared = src.parent / name
    stranger = tree.series is not None and not is_shipped(tree.series)
    digest = tree.series.digest[:12] if tree.series else ""
    path = shared.with_name(f"{name}+{digest}") if stranger else shared
    return Objects(path, shared, src, keeps=not stranger and not tree.base.insecure)


def is_shipped(series: Series) -> bool:
    """Whether each patch of a series is, byte for byte, one below the project's kernel/."""
    return all(_digest(patch) in _shipped() for patch in series.patches)


@cache
def _shipped() -> frozenset[str]:
    return frozenset(_digest(path) for path in KERNEL.rglob("*.patch"))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
