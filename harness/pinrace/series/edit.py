# SPDX-License-Identifier: GPL-2.0-or-later
"""A series as commits in a work tree for a person, and commits back as patch files."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from pinrace import store
from pinrace.errors import InfrastructureError, UserError
from pinrace.paths import cache_dir
from pinrace.series.apply import apply
from pinrace.trees.git import git, in_store, object_id
from pinrace.trees.worktree import Worktree, ensure, in_progress
from pinrace.values import Series, Tree

log = logging.getLogger("pinrace.series")

# The same bytes whoever exports, wherever and whenever.  No "n/m": adding a patch leaves the
# others' files alone.
FORMAT = (
    "--zero-commit",
    "--no-signature",
    "--no-base",
    "--no-numbered",
    "--no-cover-letter",
    "--no-thread",
    "--no-attach",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-relative",
    "--find-renames",
    "--abbrev=12",
    "--suffix=.patch",
)


def edit(tree: Tree, series: Series | None, *, say: Callable[[str], None] = log.info) -> Path:
    """Return a work tree in which a series is commits on a branch; without one, there are none.

    Raises UserError when the work tree is there with work that was not exported, BuildError when
    the series does not apply.
    """
    patched = apply(tree, series, say=say)
    name = f"{series.name if series else 'new'}-{tree.tree_id[:12]}"
    path = cache_dir() / "edit" / name
    path.parent.mkdir(exist_ok=True)
    with store.locked(f"edit-{name}", say=say):
        ensure(path, patched.commit)
        if (path / "Makefile").exists():
            _refuse_to_clobber(path)
        say(f"opening {patched.label} in {path}")
        Worktree(path).checkout(patched.commit)
        git("checkout", "--quiet", "-B", f"edit/{name}", patched.commit, cwd=path)
        # As Debian's does, whose packaging wants nothing but debian/ in git.
        if git("check-ignore", "--quiet", "kernel/new.c", cwd=path, check=False).status == 0:
            say("the tree's .gitignore hides new files: git add -f FILE")
    return path


def _refuse_to_clobber(path: Path) -> None:
    """Raise UserError when a work tree holds what is nowhere else."""
    if in_progress(path) or _status(path):
        raise UserError(f"{path} holds uncommitted work", hint=f"commit it there, or: rm -r {path}")
    head = object_id(git("rev-parse", "HEAD", cwd=path).output)
    if not in_store("for-each-ref", f"--points-at={head}", "refs/pinrace/").output.strip():
        raise UserError(
            f"{path} holds commits that were not exported",
            hint=f"pinrace series export {path}, or: rm -r {path}",
        )


def _status(path: Path) -> str:
    """What git calls changed or new in a work tree; '' when nothing is."""
    return git("status", "--porcelain", cwd=path).output.strip()


def export(edit_path: Path, into: Path) -> list[Path]:
    """Write the commits of a work tree as patch files into a folder; return them in order.

    Patch files of before are replaced; those that are the same are not touched.  A commit whose
    author is the user gets a Signed-off-by when it has none.  Raises UserError when the folder is
    no work tree of ours, or holds uncommitted work, a merge or no commits.
    """
    path = edit_path.expanduser().resolve()
    if not (path / ".git").exists() or git("rev-parse", "HEAD", cwd=path, check=False).status:
        raise UserError(f"{path} is no work tree", hint="pinrace series edit makes one")
    if in_progress(path) or _status(path):
        raise UserError(f"{path} holds uncommitted work", hint=f"cd {path}, then git status")
    commits, head = _commits(path)
    signer = _identity(path)
    into = into.expanduser().resolve()  # git runs in the work tree
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=into) as draft:
        for number, commit in enumerate(commits, 1):
            _format(path, commit, number, signer, Path(draft))
        new = sorted(Path(draft).iterdir())
        for old in into.glob("*.patch"):
            if old.name not in {p.name for p in new}:
                old.unlink()
        for patch in new:
            final = into / patch.name
            if not final.exists() or final.read_bytes() != patch.read_bytes():
                patch.replace(final)
    git("update-ref", f"refs/pinrace/exported/{head}", head, cwd=path)
    return [into / patch.name for patch in new]


def _commits(path: Path) -> tuple[list[str], str]:
    """Return the commits on top of the base, oldest first, and the last one."""
    head = object_id(git("rev-parse", "HEAD", cwd=path).output)
    roots = git("rev-list", "--max-parents=0", head, cwd=path).output.split()
    if len(roots) != 1 or git("rev-list", "--merges", head, cwd=path).output.strip():
        raise UserError(
            f"{path} holds a merge, which no series can hold", hint="rebase it: git rebase"
        )
    commits = git("rev-list", "--reverse", f"{roots[0]}..{head}", cwd=path).output.split()
    if not commits:
        raise UserError(f"{path} has no commits on top of its base", hint="git commit -s")
    return commits, head


def _identity(path: Path) -> tuple[str, str] | None:
    """Return the user's name and mail address as git knows them, None when it does not."""
    done = git("var", "GIT_AUTHOR_IDENT", cwd=path, check=False, users_config=True)
    match = re.search(r"^(.+) <(.+)> \d+ [-+]\d+$", done.output, re.M)
    return (match[1], match[2]) if match and done.status == 0 else None


def _format(
    path: Path, commit: str, number: int, signer: tuple[str, str] | None, into: Path
) -> None:
    """Write one commit as a patch file."""
    mail = git("show", "-s", "--format=%ae", commit, cwd=path).output.strip()
    body = git("show", "-s", "--format=%B", commit, cwd=path).output
    flags: list[str | Path] = [*FORMAT, "-1", f"--start-number={number}", "--output-directory"]
    env = {}
    if signer and mail == signer[1] and f"Signed-off-by: {signer[0]} <{signer[1]}>" not in body:
        flags.insert(0, "--signoff")
        env = {"GIT_COMMITTER_NAME": signer[0], "GIT_COMMITTER_EMAIL": signer[1]}
    before = len(list(into.iterdir()))
    git("format-patch", *flags, into, commit, cwd=path, env=env)
    if len(list(into.iterdir())) != before + 1:
        raise InfrastructureError(
            f"git wrote no patch for {commit[:12]}", hint=f"git -C {path} show {commit[:12]}"
        )
