# SPDX-License-Identifier: GPL-2.0-or-later
"""The object store: kernel trees from debs, tarballs and folders, known by git's tree id.

A ref `refs/pinrace/base/<tree id>` appears when a tree is complete, and
`refs/pinrace/source/<sha256>` when it came from a file of that digest.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from pinrace import store
from pinrace.errors import InfrastructureError, PinraceError, UserError
from pinrace.procs import PDEATHSIG
from pinrace.trees import checkout
from pinrace.trees.fastimport import (
    KERNEL_FILES,
    MEMBER_LIMIT,
    MESSAGE,
    Entry,
    Imported,
    import_entries,
    not_a_kernel,
    read_files,
    read_tar,
)
from pinrace.trees.git import (
    AUTHOR,
    COMMITTER,
    in_store,
    lookup,
    object_id,
    repository,
    set_ref,
    show_file,
)

Say = Callable[[str], None]
LOCK = "trees"


def known_source(sha256: str) -> Imported | None:
    """Return the tree that came from a file of this digest, if it is in the store."""
    commit = lookup(f"refs/pinrace/source/{sha256}")
    tree = commit and lookup(f"{commit}^{{tree}}")
    return Imported(tree, commit) if commit and tree else None


def import_file(path: Path, sha256: str, *, say: Say) -> Imported:
    """Import a kernel tarball, or Debian's linux-source deb, whose digest must be `sha256`.

    Raises UserError when the file is damaged or holds no kernel, InfrastructureError when its
    digest differs or git fails; the store is then as before.
    """
    known = known_source(sha256)
    if known:
        return known
    with store.locked(LOCK, say=say):
        known = known_source(sha256)
        if known:
            return known
        if (got := store.digest_file(path)) != sha256:
            raise InfrastructureError(
                f"{path} has the digest {got}, not {sha256}", hint=f"rm {path}"
            )
        say(f"importing {path.name}")
        entries = _read_deb(path) if path.suffix == ".deb" else _read_tarball(path)
        imported = import_entries(entries, path.name)
        set_ref(f"refs/pinrace/base/{imported.tree_id}", imported.commit)
        set_ref(f"refs/pinrace/source/{sha256}", imported.commit)
    return imported


def _read_tarball(path: Path) -> Iterator[Entry]:
    """Yield the files of a tarball."""
    with path.open("rb") as stream:
        yield from read_tar(stream, path.name)


def _read_deb(path: Path) -> Iterator[Entry]:
    """Yield the files of the tarball usr/src/linux-source-*.tar.* in a deb."""
    process = subprocess.Popen(
        [*PDEATHSIG, "dpkg-deb", "--fsys-tarfile", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101
    assert process.stderr is not None  # noqa: S101
    found = False
    try:
        with tarfile.open(fileobj=process.stdout, mode="r|") as outer:
            for member in outer:
                inner = outer.extractfile(member) if _is_source(member) else None
                if inner:
                    found = True
                    yield from read_tar(cast(BinaryIO, inner), f"{path.name}: {member.name}")
    except tarfile.TarError as exc:
        raise UserError(f"{path} is no deb that can be read: {exc}", hint=f"rm {path}") from exc
    finally:
        process.kill()
        process.wait()
    if not found:
        said = process.stderr.read().decode(errors="replace").strip()
        raise UserError(f"{path} holds no kernel source. {said}".strip(), hint=f"rm {path}")


def _is_source(member: tarfile.TarInfo) -> bool:
    """Whether it is the kernel's tarball."""
    name = member.name.removeprefix("./")
    return bool(re.fullmatch(r"usr/src/linux-source-[0-9.]+\.tar(\.[a-z0-9]+)?", name))


def snapshot(folder: Path, *, say: Say) -> tuple[Imported, bool]:
    """Bring a folder as it is now into the store; the flag says that it has uncommitted changes.

    Of a git checkout, what git would track or show as untracked counts; of another folder, all.
    Raises UserError when it is no kernel or was built in place.
    """
    missing = {name for name in KERNEL_FILES if not (folder / name).is_file()}
    if missing:
        raise not_a_kernel(str(folder), missing)
    found = checkout.look(folder)
    if found:
        paths, dirty = found.paths, found.dirty
    else:
        paths, dirty = _all_files(folder), False
        if (folder / ".config").exists() or (folder / "include" / "config").exists():
            raise UserError(
                f"{folder} was built in place, so what is source is not clear",
                hint=f"make -C {folder} mrproper, or make it a git checkout",
            )
    for name in paths:
        _check_kind(folder, name)
    with store.locked(LOCK, say=say):
        imported = _into_store(folder, paths, say)
        set_ref(f"refs/pinrace/base/{imported.tree_id}", imported.commit)
    return imported, dirty


def _into_store(folder: Path, paths: list[str], say: Say) -> Imported:
    """Write what changed since the last snapshot of the folder; the lock is held.

    A private index remembers each file's stat, so only new content is read.  The first snapshot
    goes into one pack: 90,000 loose objects would take minutes.
    """
    index = repository().parent / "index" / store.digest(str(folder))
    env = {"GIT_INDEX_FILE": str(index)}
    index.with_name(index.name + ".lock").unlink(missing_ok=True)  # of one that was killed
    if not index.exists():
        say(f"taking a first snapshot of {folder}")
        first = import_entries(read_files(folder, paths), str(folder))
        index.parent.mkdir(exist_ok=True)
        in_store("read-tree", first.commit, env=env)
    gone = set(in_store("ls-files", "-z", env=env).output.split("\0")) - {*paths, ""}
    work = f"--work-tree={folder}"
    for flags, names in ((("--force-remove",), sorted(gone)), (("--add", "--remove"), paths)):
        # From the top, so that paths are the tree's; --replace: a file may have become a folder.
        in_store(
            work,
            "update-index",
            "--replace",
            *flags,
            "-z",
            "--stdin",
            cwd=folder,
            env=env,
            stdin="".join(f"{name}\0" for name in names).encode(errors="surrogateescape"),
            what=f"the snapshot of {folder}",
        )
    tree_id = object_id(in_store("write-tree", env=env).output)
    commit = object_id(
        in_store("commit-tree", tree_id, env={**AUTHOR, **COMMITTER}, stdin=MESSAGE.encode()).output
    )
    return Imported(tree_id, commit)


def _check_kind(folder: Path, name: str) -> None:
    """Raise UserError for what git cannot keep, and for a file that is no source."""
    try:
        kind = (folder / name).lstat()
    except OSError:
        return  # gone meanwhile
    if not (stat.S_ISREG(kind.st_mode) or stat.S_ISLNK(kind.st_mode)):
        raise UserError(
            f"{folder} holds {name}, which is no file, folder or link", hint="move it away"
        )
    if kind.st_size > MEMBER_LIMIT:
        raise UserError(
            f"{folder} holds {name} of {kind.st_size >> 20} MiB, which is no source",
            hint="move it away, or make the folder a git checkout that ignores it",
        )


def _all_files(folder: Path) -> list[str]:
    """Return all files and links below a folder, git's own aside."""
    found: list[str] = []
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".git")
        links = [name for name in folders if (Path(top) / name).is_symlink()]
        found += [os.path.relpath(Path(top) / name, folder) for name in sorted([*files, *links])]
    return sorted(found)


def make_version(commit: str) -> str:
    """Return what a tree's Makefile calls its version, as `make kernelversion` prints it.

    Raises UserError when the Makefile does not say.
    """
    fields = dict.fromkeys(("VERSION", "PATCHLEVEL", "SUBLEVEL", "EXTRAVERSION"), "")
    try:
        text = show_file(commit, "Makefile")
    except PinraceError as exc:
        raise UserError(f"the tree has no Makefile: {exc.what}") from exc
    for name, value in re.findall(r"^(\w+)[ \t]*=[ \t]*(.*?)[ \t]*$", text, re.M):
        if name in fields and not fields[name]:
            fields[name] = value
    if not fields["VERSION"] or not fields["PATCHLEVEL"]:
        raise UserError(
            "the tree's Makefile names no VERSION and PATCHLEVEL", hint="is it a kernel?"
        )
    parts = [fields[name] for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL") if fields[name]]
    # It names folders, and is in every line: what no version has becomes "_".
    return re.sub(r"[^\w.+~-]", "_", ".".join(parts) + fields["EXTRAVERSION"], flags=re.A)[:64]


def plain_version(text: str) -> str:
    """Return a version as releases are called: 7.4-rc2 for 7.4.0-rc2 and v7.4-rc2."""
    return re.sub(r"^v?(\d+\.\d+)(\.0(?=-|$))?", r"\1", text)
