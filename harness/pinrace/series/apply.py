# SPDX-License-Identifier: GPL-2.0-or-later
"""Apply a series to a tree, once: the result stays in the object store."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pinrace import store
from pinrace.errors import ApplyError, InfrastructureError
from pinrace.paths import cache_dir
from pinrace.series import check, fit, letters, mails
from pinrace.series.manifest import folder_of
from pinrace.trees.git import git, in_store, lookup, object_id, set_ref
from pinrace.trees.worktree import Worktree, ensure, in_progress, scratch, start_am
from pinrace.values import PatchedTree, Series, Tree

Say = Callable[[str], None]

# Lines of `git apply` that only repeat, or introduce, what others say better.
_ECHOES = ("patch does not apply", "while searching for:")


def result_ref(tree: Tree, series: Series) -> str:
    """Return the ref that keeps what a series makes of a tree."""
    return f"refs/pinrace/series/{tree.tree_id}/{series.digest}"


def apply(
    tree: Tree, series: Series | None, *, say: Say, leave_conflict: bool = True
) -> PatchedTree:
    """Return a tree with a series applied by `git am --3way`; instant when it was done before.

    The tree's own work tree is not needed and stays as it is.  Raises NotApplicableError when the
    tree lacks what the series needs, and ApplyError when a patch does not apply: it names the
    patch, the files and the hunks, and, unless leave_conflict is off, a work tree in which the
    operation waits.
    """
    if series is None:
        return PatchedTree(tree, None, tree.tree_id, tree.commit)
    ref = result_ref(tree, series)
    commit = lookup(ref)
    if commit is None:
        fit.check(tree, series)
        try:
            with scratch_for(tree, series, say=say) as path:
                commit = lookup(ref) or _apply(path, tree, series, say)
                set_ref(ref, commit)
        except ApplyError as failure:
            if leave_conflict:
                failure.hint = _leave_for_person(tree, series, say)
            raise
    return PatchedTree(tree, series, _tree_of(commit), commit)


@contextmanager
def scratch_for(tree: Tree, series: Series, *, say: Say) -> Iterator[Path]:
    """Hold a work tree at a base, with the files that a series is about."""
    with tempfile.TemporaryDirectory(prefix="mails-", dir=cache_dir()) as folder:
        found = mails.split(series, Path(folder))
        mails.confirm(series, found)
        paths = mails.touched(found)
    name = f"{tree.tree_id[:12]}-{series.digest[:12]}"
    with scratch(name, tree.commit, paths, say=say) as path:
        yield path


def _tree_of(commit: str) -> str:
    """Return a commit's tree."""
    return object_id(in_store("rev-parse", "--verify", f"{commit}^{{tree}}").output)


def _apply(path: Path, tree: Tree, series: Series, say: Say) -> str:
    """Apply in a work tree at the base; return the commit."""
    say(f"applying {series.name} to {tree.label}")
    status, said = start_am(path, series.patches)
    if status:
        raise _failure(path, series, tree, said)
    commit = object_id(git("rev-parse", "HEAD", cwd=path).output)
    made = git("log", "--reverse", "--format=%s", f"{tree.commit}..{commit}", cwd=path)
    done = len(made.output.splitlines())
    there = said.count("No changes -- Patch already applied")
    if done + there != len(series.patches):
        raise InfrastructureError(
            f"git am made {done} commits of the {series.count} of {series.name}",
            hint="look: git log in what `pinrace series edit` opens",
        )
    if there:
        say(
            f"{there} of the {series.count} of {series.name}"
            f" {'is' if there == 1 else 'are'} in {tree.label} already"
        )
    return commit


def _failure(path: Path, series: Series, tree: Tree, said: str) -> ApplyError:
    """Return the error for a stopped `git am`, from what it left in the work tree."""
    admin = Path(git("rev-parse", "--absolute-git-dir", cwd=path).output.strip())
    try:
        number = int((admin / "rebase-apply" / "next").read_text())
        total = int((admin / "rebase-apply" / "last").read_text())
    except (OSError, ValueError):
        tail = "\n".join(f"  {line}" for line in said.splitlines()[-8:])
        return ApplyError(f"git cannot read the series {series.name} as mailed patches:\n{tail}")
    name = series.patches[0].name
    if total == len(series.patches):
        name = series.patches[number - 1].name
    subject = re.search(r"^Patch failed at \d+ (.*)$", said, re.M)
    title = f" ({subject[1]})" if subject else ""
    reasons = _conflicts(said) or _hunks(path, admin / "rebase-apply" / "patch")
    if not reasons:
        reasons = [line for line in said.splitlines() if line.startswith(("error:", "fatal:"))]
    reasons = [*reasons[:20], *check.builds_on([one for p in series.patches for one in _mails(p)])]
    listed = "\n".join(f"  {reason}" for reason in reasons)
    return ApplyError(
        f"patch {number} of {total}, {name}{title}, does not apply to {tree.label}:\n{listed}"
    )


def _mails(patch: Path) -> list[letters.Letter]:
    """Return the mails of a patch file."""
    return letters.read(patch.read_bytes())


def _conflicts(said: str) -> list[str]:
    """What a three-way merge could not settle."""
    return re.findall(r"^CONFLICT .*$", said, re.M)


def _hunks(path: Path, patch: Path) -> list[str]:
    """Ask git which files and hunks of a patch do not fit; the work tree stays as it is."""
    done = git("apply", "--check", "--reject", "--verbose", patch, cwd=path, check=False)
    number, found = 0, []
    for line in done.output.splitlines():
        failed = re.match(r"error: patch failed: (.*):(\d+)$", line)
        if line.startswith("Checking patch "):
            number = 0
        elif line.startswith("Hunk #"):
            number = int(re.findall(r"\d+", line)[0])
        elif failed:
            number = _hunk_number(patch, failed[1], int(failed[2])) or number + 1
            found.append(f"{failed[1]}: hunk {number}, at line {failed[2]}")
        elif line.startswith("error:") and not line.endswith(_ECHOES):
            found.append(line.removeprefix("error: "))
    return found


def _hunk_number(patch: Path, file: str, line: int) -> int | None:
    """Return which hunk of a file in a patch begins at that old line."""
    text = patch.read_text(errors="replace")
    for part in re.split(r"^(?=diff --git )", text, flags=re.M):
        if re.search(rf"^(---|\+\+\+) [ab]/{re.escape(file)}$", part, re.M):
            starts = re.findall(r"^@@ -(\d+)", part, re.M)
            if str(line) in starts:
                return starts.index(str(line)) + 1
    return None


def _leave_for_person(tree: Tree, series: Series, say: Say) -> str:
    """Leave a work tree in which `git am` waits; return what to do there.

    One that was left before, and has been worked in, stays as it is.
    """
    name = f"{series.name}-{series.digest[:12]}-{tree.tree_id[:12]}"
    path = cache_dir() / "conflicts" / name
    path.parent.mkdir(exist_ok=True)
    with store.locked(f"conflict-{name}", say=say):
        ensure(path, tree.commit)
        head = git("rev-parse", "HEAD", cwd=path).output.strip()
        if not in_progress(path) and head == tree.commit:
            say(f"leaving a work tree with the conflict in {path}")
            Worktree(path).checkout(tree.commit)
            status, _ = start_am(path, series.patches)
            if status == 0:
                raise InfrastructureError(
                    f"{series.name} failed to apply, and then did in {path}", hint="try again"
                )
    if not in_progress(path) and head == tree.commit:
        return "mend the patch files"
    # What came from a list stays as it was sent.
    into = Path(series.name) if series.origin else folder_of(series)
    return (
        f"cd {path}, resolve, git add, git am --continue;"
        f" then: pinrace series export {path} --into {into}"
    )
