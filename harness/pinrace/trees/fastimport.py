# SPDX-License-Identifier: GPL-2.0-or-later
"""Streams of files into one pack, by git fast-import: quick, and complete or absent.

The pack is made in a repository of its own and moved into the object store when it is whole, so
a stream that breaks leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from pinrace.errors import InfrastructureError, UserError
from pinrace.procs import PDEATHSIG
from pinrace.trees.git import IDENT_DATE, IDENT_EMAIL, IDENT_NAME, git, object_id, plain_environment
from pinrace.trees.git import repository as object_store

REGULAR, EXECUTABLE, SYMLINK, COPY = "100644", "100755", "120000", "copy"
MESSAGE = "A kernel tree as it came\n"
KERNEL_FILES = ("Makefile", "Kconfig", "kernel/seccomp.c")
_REF = "refs/heads/import"
_BROKEN = (EOFError, lzma.LZMAError, gzip.BadGzipFile, tarfile.TarError, OSError)


@dataclass(frozen=True)
class Entry:
    """One file of a tree: its mode, and its content, link target or the path to copy."""

    path: str
    mode: str
    content: bytes


@dataclass(frozen=True)
class Imported:
    """A tree in the object store, and a root commit of it."""

    tree_id: str
    commit: str


def import_entries(entries: Iterator[Entry], origin: str) -> Imported:
    """Write the entries as one tree and one root commit into one new pack of the store.

    The caller holds the lock "trees".  Raises what `entries` raises, UserError when the tree is
    no kernel's, InfrastructureError when git fails.
    """
    final = object_store()
    for stale in final.parent.glob(".import-*"):  # of one that was killed
        shutil.rmtree(stale, ignore_errors=True)
    draft = Path(tempfile.mkdtemp(prefix=".import-", dir=final.parent))
    try:
        git("init", "--quiet", "--bare", "--object-format=sha1", "--template=", draft)
        missing = _stream(draft, entries)
        if missing:
            raise not_a_kernel(origin, missing)
        ids = [
            object_id(git(f"--git-dir={draft}", "rev-parse", "--verify", name).output)
            for name in (f"{_REF}^{{tree}}", _REF)
        ]
        packs = final / "objects" / "pack"
        packs.mkdir(parents=True, exist_ok=True)
        # The index last: a pack counts from when its index is there.
        for path in sorted(
            (draft / "objects" / "pack").iterdir(), key=lambda p: p.suffix == ".idx"
        ):
            path.rename(packs / path.name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Imported(*ids)


def not_a_kernel(origin: str, missing: set[str]) -> UserError:
    """Return the error for a tree that lacks these files of every kernel."""
    return UserError(
        f"{origin} is no kernel tree: it has no {', '.join(sorted(missing))}",
        hint="name the top folder of a kernel, a kernel tarball, or debian:VERSION",
    )


def _stream(draft: Path, entries: Iterator[Entry]) -> set[str]:
    """Feed fast-import; return the kernel's files that did not come."""
    missing = set(KERNEL_FILES)
    # Deltas and strong compression cost minutes and save little: the pack is a cache.
    settings = ["-c", "pack.compression=1", "-c", "fastimport.unpackLimit=1"]
    argv = [*PDEATHSIG, "git", *settings, f"--git-dir={draft}", "fast-import"]
    with (draft / "fast-import.log").open("w+") as said:
        process = subprocess.Popen(
            [*argv, "--quiet", "--depth=0", "--done", "--date-format=raw"],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            env=plain_environment(),
            start_new_session=True,
        )
        try:
            assert process.stdin is not None  # noqa: S101
            who = f"{IDENT_NAME} <{IDENT_EMAIL}> {IDENT_DATE}"
            head = f"commit {_REF}\nauthor {who}\ncommitter {who}\ndata {len(MESSAGE)}\n{MESSAGE}"
            with contextlib.suppress(BrokenPipeError):  # its exit status and log say why
                process.stdin.write(head.encode())
                for entry in entries:
                    missing.discard(entry.path)
                    _write(process.stdin, entry)
                process.stdin.write(b"done\n")
                process.stdin.close()
                process.wait()
        finally:
            # What it made so far goes with the draft.
            process.kill()
            process.wait()
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
        if process.returncode:
            said.seek(0)
            tail = said.read().strip()[-2000:] or "a full disk?"
            raise InfrastructureError(
                f"git fast-import failed with status {process.returncode}: {tail}",
                hint="see whether the disk of the cache is full: `pinrace cache`",
            )
    return missing


def _write(stream: IO[bytes], entry: Entry) -> None:
    """Write one entry as git-fast-import(1) wants it."""
    if entry.mode == COPY:
        stream.write(b"C %s %s\n" % (_quote(os.fsdecode(entry.content)), _quote(entry.path)))
        return
    stream.write(b"M %s inline %s\n" % (entry.mode.encode(), _quote(entry.path)))
    stream.write(b"data %d\n" % len(entry.content))
    stream.write(entry.content)
    stream.write(b"\n")


def _quote(path: str) -> bytes:
    """Return a path as a C string."""
    text = os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + text + b'"'


class _Tail(io.RawIOBase):
    """A stream that remembers its last bytes, to tell an end from a cut."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.last = b""

    def readable(self) -> bool:
        """As of io.RawIOBase."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read that many bytes; fewer only at the end."""
        data = self._stream.read(size)
        self.last = (self.last + data[-1024:])[-1024:]
        return data


def read_tar(stream: BinaryIO, origin: str) -> Iterator[Entry]:
    """Yield the files of a tar stream (plain, gzip or xz), without the top folder they share.

    Raises UserError for a stream that is damaged or cut short, or that holds what no kernel
    tarball holds.
    """
    buffered = io.BufferedReader(stream) if isinstance(stream, io.RawIOBase) else stream
    try:
        tail = _Tail(_decompressed(buffered))
        with tarfile.open(fileobj=tail, mode="r|", bufsize=1 << 20) as archive:
            top = None
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # else it remembers them all
                first, _, path = member.name.removeprefix("./").rstrip("/").partition("/")
                top = top or first
                if first != top or not _harmless(path):
                    raise UserError(f"{origin} does not hold one kernel tree: {member.name!r}")
                if path and not member.isdir():
                    yield _entry(archive, member, path, origin)
        while tail.read(1 << 20):  # to the end, so that checksums are checked
            pass
        if not top or len(tail.last) < 1024 or tail.last.strip(b"\0"):
            raise EOFError("the end of the archive is missing")
    except UserError:
        raise
    except _BROKEN as exc:
        raise UserError(f"{origin} is damaged or cut short: {exc}", hint="fetch it again") from exc


def _decompressed(stream: BinaryIO | io.BufferedReader) -> IO[bytes]:
    """Return the stream's plain bytes, told by its first ones."""
    magic = stream.peek(6)[:6] if isinstance(stream, io.BufferedReader) else b""
    if magic.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(stream)
    if magic.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    return stream


def _harmless(path: str) -> bool:
    """Whether a path stays in the tree and out of git's own folder."""
    return not {"..", ".git"} & set(path.split("/"))


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, origin: str) -> Entry:
    """Return one member that is no folder."""
    if member.issym():
        return Entry(path, SYMLINK, os.fsencode(member.linkname))
    if member.islnk():
        target = member.linkname.removeprefix("./").partition("/")[2]
        return Entry(path, COPY, os.fsencode(target))
    content = archive.extractfile(member) if member.isfile() else None
    if content is None:
        raise UserError(f"{origin} holds {member.name!r}, which is no file, folder or link")
    return Entry(path, EXECUTABLE if member.mode & 0o100 else REGULAR, content.read())


def read_files(folder: Path, paths: list[str]) -> Iterator[Entry]:
    """Yield files of a folder; those that went away meanwhile are left out."""
    for path in paths:
        full = folder / path
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if full.is_symlink():
                yield Entry(path, SYMLINK, os.fsencode(full.readlink()))
            elif full.is_file():
                executable = full.stat().st_mode & 0o100
                yield Entry(path, EXECUTABLE if executable else REGULAR, full.read_bytes())
