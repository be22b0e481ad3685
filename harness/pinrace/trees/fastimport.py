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
KERNEL_FILES = ("Makefile", "Kconfig", "kernel/fork.c")
# Bytes and counts.  Linux 7.3 has 95,000 files and 1.7 GiB; its largest file has 25 MiB.
MEMBER_LIMIT = 512 << 20
TOTAL_LIMIT = 16 << 30
FILES_LIMIT = 2_000_000
NAME_LIMIT = 1 << 20
_PIECE = 1 << 20
_REF = "refs/heads/import"
_BROKEN = (EOFError, lzma.LZMAError, gzip.BadGzipFile, tarfile.TarError, OSError)


@dataclass(frozen=True)
class Entry:
    """One file of a tree: its mode, and its content, link target or the path to copy."""

    path: str
    mode: str
    content: bytes | IO[bytes]  # a stream is read once, before the next entry is asked for
    size: int = 0  # of a stream, in bytes


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
        missing = _stream(draft, entries, origin)
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


def _stream(draft: Path, entries: Iterator[Entry], origin: str) -> set[str]:
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
                    _write(process.stdin, entry, origin)
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


def _write(stream: IO[bytes], entry: Entry, origin: str) -> None:
    """Write one entry as git-fast-import(1) wants it."""
    if entry.mode == COPY:
        target = entry.content if isinstance(entry.content, bytes) else entry.content.read()
        stream.write(b"C %s %s\n" % (_quote(os.fsdecode(target)), _quote(entry.path)))
        return
    stream.write(b"M %s inline %s\n" % (entry.mode.encode(), _quote(entry.path)))
    if isinstance(entry.content, bytes):
        stream.write(b"data %d\n" % len(entry.content))
        stream.write(entry.content)
    else:
        stream.write(b"data %d\n" % entry.size)
        left = entry.size
        while left:
            try:
                piece = entry.content.read(min(_PIECE, left))
                if not piece:
                    raise EOFError(f"{entry.path} ends early")
            except _BROKEN as exc:
                what = f"{origin} is damaged or cut short: {exc}"
                raise UserError(what, hint="fetch it again") from exc
            stream.write(piece)
            left -= len(piece)
    stream.write(b"\n")


def _quote(path: str) -> bytes:
    """Return a path as a C string."""
    text = os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + text + b'"'


class _Tail(io.RawIOBase):
    """A stream that remembers its last bytes, to tell an end from a cut, and has a limit."""

    def __init__(self, stream: IO[bytes], origin: str) -> None:
        self._stream = stream
        self._origin = origin
        self._total = 0
        self.last = b""

    def readable(self) -> bool:
        """As of io.RawIOBase."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read that many bytes; fewer only at the end."""
        data = self._stream.read(size)
        self._total += len(data)
        if self._total > TOTAL_LIMIT:
            raise UserError(
                f"{self._origin} holds more than {TOTAL_LIMIT >> 30} GiB, which is no kernel tree"
            )
        self.last = (self.last + data[-1024:])[-1024:]
        return data


class _Member(tarfile.TarInfo):
    """A member whose header takes no more memory than a kernel's does."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """Process a header, the way in that tarfile leaves to subclasses."""
        names = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE)
        if self.type in (*names, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE):
            if self.size > NAME_LIMIT:
                raise UserError(f"a name or header in it has {self.size} bytes")
        elif self.type == tarfile.GNUTYPE_SPARSE:
            raise UserError(f"{self.name!r} is a sparse file of {self.size} bytes")
        return cast(tarfile.TarInfo, super()._proc_member(archive))  # type: ignore[misc]

    def _proc_gnusparse_00(self, *_: object) -> None:
        raise UserError(f"{self.name!r} is a sparse file")

    _proc_gnusparse_01 = _proc_gnusparse_10 = _proc_gnusparse_00


def read_tar(stream: BinaryIO, origin: str) -> Iterator[Entry]:
    """Yield the files of a tar stream (plain, gzip or xz), without the top folder they share.

    Raises UserError for a stream that is damaged or cut short, or that holds what no kernel
    tarball holds.
    """
    buffered = io.BufferedReader(stream) if isinstance(stream, io.RawIOBase) else stream
    try:
        tail = _Tail(_decompressed(buffered), origin)
        with tarfile.open(fileobj=tail, mode="r|", bufsize=_PIECE, tarinfo=_Member) as archive:
            top, seen = "", set[str]()
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # else it remembers them all
                first, _, path = member.name.removeprefix("./").rstrip("/").partition("/")
                top = top or first
                if first != top or (path and not _harmless(path)):
                    raise UserError(f"{member.name!r} is no path of one kernel tree")
                if path and not member.isdir():
                    seen.add(path)
                    if len(seen) > FILES_LIMIT:
                        raise UserError(f"it has more than {FILES_LIMIT} files")
                    yield _entry(archive, member, path, top, seen)
        while tail.read(_PIECE):  # to the end, so that checksums are checked
            pass
        if not top or len(tail.last) < 1024 or tail.last.strip(b"\0"):
            raise EOFError("the end of the archive is missing")
    except UserError as exc:
        what = exc.what if exc.what.startswith(origin) else f"{origin} cannot be taken: {exc.what}"
        raise UserError(
            what, hint=exc.hint or "name a tarball of kernel.org or git archive"
        ) from exc
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
    """Whether a path stays in the tree, and out of git's own folder on every file system."""
    parts = [part.casefold().rstrip(". ") for part in path.split("/")]
    plain = all(parts)  # neither "", nor "." nor ".."
    return plain and not any(part in (".git", "git~1") or part[:5] == ".git:" for part in parts)


def _entry(
    archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, top: str, seen: set[str]
) -> Entry:
    """Return one member that is no folder; seen: the paths up to it."""
    if member.issym():
        return Entry(path, SYMLINK, os.fsencode(member.linkname))
    if member.islnk():
        first, _, target = member.linkname.removeprefix("./").partition("/")
        if first != top or target == path or target not in seen:
            raise UserError(f"{member.name!r} is a hard link to {member.linkname!r}, not in it yet")
        return Entry(path, COPY, os.fsencode(target))
    content = archive.extractfile(member) if member.isfile() else None
    if content is None:
        raise UserError(f"{member.name!r} is no file, folder or link")
    if member.size > MEMBER_LIMIT:
        raise UserError(
            f"{member.name!r} has {member.size} bytes, and a source file at most {MEMBER_LIMIT}"
        )
    mode = EXECUTABLE if member.mode & 0o100 else REGULAR
    return Entry(path, mode, content, member.size)


def read_files(folder: Path, paths: list[str]) -> Iterator[Entry]:
    """Yield files of a folder; those that went away meanwhile are left out."""
    for path in paths:
        full = folder / path
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if full.is_symlink():
                yield Entry(path, SYMLINK, os.fsencode(full.readlink()))
            elif full.is_file():
                with full.open("rb") as content:
                    told = os.fstat(content.fileno())
                    mode = EXECUTABLE if told.st_mode & 0o100 else REGULAR
                    yield Entry(path, mode, content, told.st_size)
