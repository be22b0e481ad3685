# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that build one cell and run it again as a run did."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pinrace.host import sandbox
from pinrace.image import land
from pinrace.paths import KERNEL
from pinrace.series import manifest
from pinrace.suites import ltp
from pinrace.suites.suite import pattern
from pinrace.trees.fetch import is_published
from pinrace.values import CaseResult, Cell, Mark, PatchedTree, Request, Series, Tree

REPLAY = "replay: "  # begins the note of a cell that holds how to replay it
PLAIN = "plain"  # the flavor that goes without saying
TORTURE = "torture"  # suites that have a command of their own
BOOT = "boot"
COVERAGE = "coverage"  # no suite: the cell that says what no suite looked at


@dataclass(frozen=True)
class Again:
    """What a command line says beside which cells to run."""

    build: tuple[str, ...] = ()  # options of `pinrace build`, and of `pinrace test` too
    test: tuple[str, ...] = ()  # those of `pinrace test` alone
    whole: str = ""  # the line that repeats all cells, where none repeats one
    folder: str = ""  # where files that name suites were meant


def replay(token: str, tree: PatchedTree, asked: Request | None = None) -> str:
    """Return the command that has a token's run again, on kernels as they were asked for."""
    named = _series(tree.series)
    words = ["pinrace", "repro", token, *(["--series", named] if named else [])]
    words += [word for option in (asked.extra if asked else ()) for word in ("--config", option)]
    words += [] if is_published(tree.base.spec) else ["--tree", tree.base.spec]
    words += ["--insecure"] if tree.base.insecure else []
    words += [f"--llvm={asked.llvm}"] if asked and asked.llvm else []
    words += ["--kernel", str(asked.kernel.resolve())] if asked and asked.kernel else []
    words += ["--no-sandbox"] if sandbox.is_off() else []
    return shlex.join(words)


def again(
    asked: Request,
    tree: Tree,
    series: Series | None,
    *,
    smp: int,
    only: str,
    with_base: bool,
    seed: int | None = None,
    more: Sequence[str] = (),
) -> Again | None:
    """Return the options that repeat a request; None when no command line names its series.

    more: options of `pinrace test` that matter beside these.
    """
    named = _series(series)
    if named is None:
        return None
    build = ["--tree", tree.spec, "--series", named]
    build += ["--insecure"] if tree.insecure else []
    build += [word for option in asked.extra for word in ("--config", option)]
    build += ["--kernel", str(asked.kernel.resolve())] if asked.kernel else []
    build += [f"--llvm={asked.llvm}"] if asked.llvm else []
    build += ["--no-sandbox"] if sandbox.is_off() else []
    test = ["--smp", str(smp)]
    test += ["--deterministic", "--seed", str(seed)] if seed is not None else []
    test += _option("-k", only) if only else []
    test += [] if with_base else ["--no-baseline"]
    test += more
    return Again(tuple(build), tuple(test), folder=str(Path.cwd()))


def userland() -> list[str]:
    """Return the options of `pinrace test` for what suites take from outside of pinrace."""
    named = os.environ.get(ltp.VARIABLE)
    words = ["--ltp", str(Path(named).expanduser().absolute())] if named else []
    return [*words, "--land"] if land.wanted() else words


def read(manifest: Mapping[str, Any]) -> Again | None:
    """Return what a manifest holds of it; None when nobody knows.

    A manifest that says nothing is that of an older pinrace; its command line is enough when it
    has no options.
    """
    if "again" not in manifest:
        return Again() if manifest.get("argv") == ["pinrace", "test"] else None
    try:
        said = manifest["again"]
        if isinstance(said, Again):
            return said
        parts = tuple(map(str, said["build"])), tuple(map(str, said["test"]))
        return Again(*parts, whole=str(said.get("whole", "")), folder=str(said.get("folder", "")))
    except (KeyError, TypeError):
        return None


def shown(manifest: Mapping[str, Any]) -> Again | None:
    """Return what to show of it: where no line repeats one cell, the command line of the run."""
    argv = manifest.get("argv")
    whole = shlex.join(map(str, argv)) if isinstance(argv, list | tuple) and argv else ""
    return read(manifest) or (Again(whole=whole) if whole else None)


def rebuild(cell: Cell, how: Again) -> str:
    """Return the line that builds what a cell runs on."""
    return shlex.join(["pinrace", "build", *how.build, *_where(cell)])


def rerun(cell: Cell, how: Again, *, only: Sequence[CaseResult] = ()) -> str:
    """Return the line that runs a cell again; `only` is a case to pick, if it is just one."""
    if how.whole:
        return how.whole
    if cell.suite == TORTURE:
        return shlex.join(["pinrace", "torture", *how.build, *_where(cell), *how.test])
    if cell.suite == BOOT:
        return shlex.join(["pinrace", "boot", *how.build, *_where(cell)])
    if cell.suite == COVERAGE:
        return shlex.join(["pinrace", "test", *how.build, *_where(cell), *how.test])
    one = only[0] if len(only) == 1 and only[0].mark is Mark.NONE else None
    pick = _option("-k", pattern(one.name)) if one and one.name[:1] not in "(#" else []
    where = [*_where(cell), "--suite", _suite(cell, how)]
    return shlex.join(["pinrace", "test", *how.build, *where, *how.test, *pick])


def _suite(cell: Cell, how: Again) -> str:
    """Return the name of a cell's suite, from any folder if a file has it."""
    file, dot, one = cell.suite.partition(".toml")
    return f"{Path(how.folder, file)}{dot}{one}" if dot and how.folder else cell.suite


def _option(name: str, value: str) -> list[str]:
    """Return an option with its value, which may begin with a dash."""
    return [f"{name}={value}"] if value.startswith("-") else [name, value]


def _where(cell: Cell) -> list[str]:
    """Return the options that leave this cell alone."""
    flavor = ["--flavor", cell.flavor] if cell.flavor != PLAIN else []
    return ["--arch", cell.arch, "--abi", cell.abi, *flavor]


def _series(series: Series | None) -> str | None:
    """Return what --series takes for a series; None when its patches come from several places."""
    if series is None:
        return "none"
    if series.spec:
        return series.spec
    if series.origin:
        return series.origin
    folder: Path = series.patches[0].parent
    *others, last = series.patches
    if others and last.parent in manifest.mutant_folders():
        below = _series(replace(series, patches=tuple(others)))
        return f"{below}+{last.stem}" if below else None
    if any(patch.parent != folder for patch in series.patches):
        return None
    if len(series.patches) == 1 and folder.name != series.name:
        return str(series.patches[0])
    return folder.name if folder.parent == KERNEL else str(folder)
