# SPDX-License-Identifier: GPL-2.0-or-later
"""Work trees of the object store: one for each base, where its kernels are built."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pinrace import store
from pinrace.paths import cache_dir
from pinrace.trees.git import COMMITTER, git, in_store, repository
from pinrace.values import Tree


@dataclass(frozen=True)
class Worktree:
    """A work tree whose lock is held; kernels are built beside `path`, not in it."""

    path: Path

    def checkout(self, commit: str) -> None:
        """Make the files those of a commit; only files that differ are written anew.

        Clears what a killed or failed command left: a half-done `git am`, stray files, locks.
        """
        clear_state(self.path)
        git("checkout", "--quiet", "--detach", "--force", commit, cwd=self.path)
        git("clean", "-ffdxq", cwd=self.path)


def build_folder(tree: Tree) -> Path:
    """Return the folder that holds a base's source (src) and its builds.

    A local folder keeps one, whatever its content, so that an edit rebuilds what it touches.
    """
    version = re.sub(r"[^A-Za-z0-9.+~_-]", "_", tree.version)
    local = tree.origin.startswith("folder ")
    key = "local-" + store.digest(tree.origin)[:12] if local else tree.tree_id[:12]
    return cache_dir() / "build" / f"{version}-{key}"


@contextmanager
def worktree(tree: Tree, *, say: Callable[[str], None] | None = None) -> Iterator[Worktree]:
    """Hold a base's work tree, made or repaired when need be; on leaving it is unlocked.

    What it contains is not defined until checkout().  The lock is not reentrant: apply a series
    before.
    """
    folder = build_folder(tree)
    with store.locked(f"build-{folder.name}", say=say):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "src"
        ensure(path, tree.commit)
        yield Worktree(path)


@contextmanager
def scratch(
    name: str, commit: str, paths: Iterable[str], *, say: Callable[[str], None] | None = None
) -> Iterator[Path]:
    """Hold a work tree that has a commit's index and, of its files, these; gone on leaving.

    That is all that `git am` needs of a base.  The lock is the name's.
    """
    path = cache_dir() / "scratch" / name
    with store.locked(f"scratch-{name}", say=say):
        path.parent.mkdir(exist_ok=True)
        shutil.rmtree(path, ignore_errors=True)  # of one that was killed
        ensure(path, commit)
        try:
            git("read-tree", commit, cwd=path)
            wanted = set(paths)
            there = git("ls-files", "-z", cwd=path).output.split("\0")
            files = "".join(f"{name}\0" for name in there if name in wanted)
            git("checkout-index", "-u", "-z", "--stdin", cwd=path, stdin=files.encode())
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            with store.locked("trees-worktrees"):
                in_store("worktree", "prune")


def ensure(path: Path, commit: str) -> None:
    """Make sure that a folder is a work tree of the store; the caller holds its lock.

    One that git does not know (half made, or moved along with the cache) is made anew, without
    files.
    """
    if _admin(path) is not None:
        return
    repository()
    if path.is_symlink() or path.exists():
        shutil.rmtree(path)
    with store.locked("trees-worktrees"):
        in_store("worktree", "prune")
        in_store("worktree", "add", "--quiet", "--force", "--detach", "--no-checkout", path, commit)


def clear_state(path: Path) -> None:
    """Forget an operation in progress and the locks of killed commands; the lock is held."""
    admin = _admin(path)
    if admin is None:
        return
    for name in ("rebase-apply", "rebase-merge", "sequencer"):
        shutil.rmtree(admin / name, ignore_errors=True)
    for name in ("index.lock", "HEAD.lock", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD"):
        (admin / name).unlink(missing_ok=True)


def in_progress(path: Path) -> bool:
    """Whether a `git am` or a rebase waits in the work tree for a person."""
    admin = _admin(path)
    names = ("rebase-apply", "rebase-merge", "sequencer", "CHERRY_PICK_HEAD", "MERGE_HEAD")
    return admin is not None and any((admin / name).exists() for name in names)


def start_am(path: Path, patches: tuple[Path, ...]) -> tuple[int, str]:
    """Apply patches there by `git am --3way`; return its status and what it said.

    The commits are the same on every host: the author is the patch's, the committer is fixed.
    """
    # As pinrace.series.mails reads them, whatever git would guess.
    reading = ("--patch-format=mbox", "--keep-cr", "--quoted-cr=nowarn", "--no-scissors")
    flags = ("--3way", "--no-gpg-sign", *reading, "--")
    done = git("am", *flags, *patches, cwd=path, env=COMMITTER, check=False)
    return done.status, done.output


def _admin(path: Path) -> Path | None:
    """Return git's own folder of a work tree, None when it is not one of the store's."""
    try:
        said = (path / ".git").read_text()
    except OSError:
        return None
    admin = Path(said.removeprefix("gitdir:").strip())
    try:
        points_back = Path((admin / "gitdir").read_text().strip())
    except OSError:
        return None
    ours = admin.parent == repository() / "worktrees"
    return admin if ours and points_back == path / ".git" and (admin / "HEAD").is_file() else None
