# SPDX-License-Identifier: GPL-2.0-or-later
"""What git sees in somebody's checkout, without running what its configuration names.

A repository may name programs to run: core.fsmonitor, hooks, filters, a transport for objects that
are missing.  So its index and objects are read by a repository of our own, which takes over a few
settings that say how files are compared, and none that names a program.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pinrace.errors import UserError
from pinrace.paths import cache_dir
from pinrace.trees.git import git

# Each compares or lists files, and none runs anything.
_SETTINGS = (
    "core.autocrlf",
    "core.eol",
    "core.excludesFile",
    "core.fileMode",
    "core.ignoreCase",
    "core.symlinks",
)
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True)
class Checkout:
    """The files of a checkout that git tracks or shows as untracked."""

    paths: list[str]
    dirty: bool  # they differ from its last commit


def look(folder: Path) -> Checkout | None:
    """Return what git sees in a folder; None when it is not the top of a checkout.

    Raises UserError when it is one that git refuses, as for one of another user.
    """
    done = _ask(folder, "rev-parse", "--show-toplevel")
    if done is None:
        said = git("-C", folder, *_SAFE, "rev-parse", "--git-dir", check=False, users_config=True)
        if (folder / ".git").exists():
            raise UserError(f"git does not like {folder}: {said.output.strip()}", hint="git status")
        return None
    if Path(done).resolve() != folder.resolve():
        return None
    with _mirror(folder) as words:
        listed = git(
            *words, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"
        )
        head = _ask(folder, "rev-parse", "--verify", "--quiet", "HEAD")
        dirty = True
        if head:
            git(*words, "update-ref", "--no-deref", "HEAD", head, check=False)
            status = (*words, "--no-optional-locks", "status", "--porcelain")
            said = git(*status, "--ignore-submodules=all", check=False)
            dirty = said.status != 0 or bool(said.output.strip())
    # A name that ends in "/" is another repository inside this one.
    names = [name for name in listed.output.split("\0") if name and not name.endswith("/")]
    return Checkout([name for name in names if not (folder / name).is_dir()], dirty)


def version(folder: Path) -> str | None:
    """Return the commit that a folder has checked out, with "-dirty" where its files differ.

    None when it is not the top of a checkout, or one that git refuses to look into.
    """
    try:
        found = look(folder)
    except UserError:
        return None
    head = _ask(folder, "rev-parse", "--verify", "--quiet", "HEAD") if found else None
    return f"{head}{'-dirty' if found and found.dirty else ''}" if head else None


def _ask(folder: Path, *argv: str) -> str | None:
    """Return what git says of a repository in one line; None when it fails."""
    done = git("-C", folder, *_SAFE, *argv, check=False, users_config=True)
    return done.output.rstrip("\n") if done.status == 0 else None


@contextmanager
def _mirror(folder: Path) -> Iterator[list[str]]:
    """Hold a repository with the index and the objects of another one; yield git's options."""
    kind = _ask(folder, "rev-parse", "--show-object-format") or "sha1"
    with tempfile.TemporaryDirectory(prefix="look-", dir=cache_dir()) as place:
        ours = Path(place)
        git("init", "--quiet", "--bare", f"--object-format={kind}", "--template=", ours)
        for name in ("index", "info/exclude", "info/attributes"):
            _copy(_path(folder, name), ours / name)
        for shared in _path(folder, "index").parent.glob("sharedindex.*"):
            _copy(shared, ours / shared.name)
        alternates = ours / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_text(f"{_path(folder, 'objects')}\n")
        words = list(_SAFE)
        for name in _SETTINGS:
            if (value := _ask(folder, "config", "--get", name)) is not None:
                words += ["-c", f"{name}={value}"]
        # From the top, so that names are the tree's.
        yield ["-C", str(folder), *words, f"--git-dir={ours}", f"--work-tree={folder}"]


def _path(folder: Path, name: str) -> Path:
    """Return where a repository has a file of its own."""
    return (folder / (_ask(folder, "rev-parse", "--git-path", name) or f".git/{name}")).resolve()


def _copy(source: Path, target: Path) -> None:
    """Copy a file; one that is not there, or no file, is left out."""
    if source.is_file():
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(source, target)
