# SPDX-License-Identifier: GPL-2.0-or-later
"""Write an initramfs: a newc cpio archive whose bytes depend on nothing but its entries.

The format is the one of Documentation/driver-api/early-userspace/buffer-format.rst in the kernel.
"""

from __future__ import annotations

import ctypes
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import libarchive
from libarchive import ffi
from libarchive.entry import ArchiveEntry

from pinrace import store
from pinrace.errors import InfrastructureError

# Archives are concatenated at multiples of this: the kernel skips zeros between two, and takes a
# header only at a multiple of 4 bytes.
PADDING = 512

# libarchive-c has no way to set a symbolic link's target: its `linkpath` makes a hard link.
_set_symlink = ffi.ffi("entry_set_symlink", [ffi.c_archive_entry_p, ctypes.c_char_p], None)


@dataclass(frozen=True)
class Entry:
    """One file of the archive, owned by root.

    path is absolute.  Exactly one of these tells what it is: data for a regular file, target for
    a symbolic link, device (major, minor) for a character device; none of them for a directory.
    """

    path: str
    mode: int = 0o755
    data: bytes | Path | None = None
    target: str | None = None
    device: tuple[int, int] | None = None

    def content(self) -> bytes:
        """Return a regular file's bytes."""
        if self.data is None:
            return b""
        return self.data.read_bytes() if isinstance(self.data, Path) else self.data


def with_parents(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries sorted by path, directories that nobody named added before them.

    The kernel makes no parents: an entry without one is dropped without a word.
    """
    by_path = {entry.path: entry for entry in entries}
    for path in list(by_path):
        for parent in Path(path).parents:
            if str(parent) != "/":
                by_path.setdefault(str(parent), Entry(str(parent)))
    return [by_path[path] for path in sorted(by_path)]


def _kind(entry: Entry) -> int:
    """Return the kind of an entry; libarchive's AE_IF* have the values of S_IF*."""
    if entry.data is not None:
        return stat.S_IFREG
    if entry.target is not None:
        return stat.S_IFLNK
    return stat.S_IFCHR if entry.device else stat.S_IFDIR


def _add(archive: libarchive.write.ArchiveWrite, entry: Entry) -> None:
    """Write one entry."""
    data = entry.content()
    major, minor = entry.device or (0, 0)
    made = ArchiveEntry(
        pathname=entry.path.lstrip("/"),
        filetype=_kind(entry),
        perm=entry.mode,
        size=len(data),
        uid=0,
        gid=0,
        mtime=0,
        rdevmajor=major,
        rdevminor=minor,
    )
    if entry.target is not None:
        _set_symlink(made._entry_p, entry.target.encode())
    ffi.write_header(archive._pointer, made._entry_p)
    if data:
        ffi.write_data(archive._pointer, data, len(data))
    ffi.write_finish_entry(archive._pointer)


def write(entries: Iterable[Entry], sink: Callable[[bytes], object]) -> None:
    """Write the entries, and the parents they lack, as one padded archive."""
    written = 0

    def count(data: bytes) -> int:
        nonlocal written
        sink(bytes(data))
        written += len(data)
        return len(data)

    with libarchive.custom_writer(count, "cpio_newc") as archive:
        for entry in with_parents(entries):
            _add(archive, entry)
    sink(b"\0" * (-written % PADDING))


def digest_without(archive: Path, below: Sequence[str]) -> str:
    """Return a digest of an archive's files, but those whose absolute path begins like this.

    Raises InfrastructureError when it cannot be read.
    """
    parts: list[str | bytes] = []
    try:
        with libarchive.file_reader(str(archive)) as entries:
            for entry in entries:
                path = f"/{entry.pathname}"
                if not path.startswith(tuple(below)):
                    data = b"".join(entry.get_blocks()) if entry.isreg else b""
                    parts += [path, oct(entry.mode), str(entry.linkpath), data]
    except (OSError, libarchive.ArchiveError) as exc:
        raise InfrastructureError(
            f"the image {archive} is damaged: {exc}", hint=f"rm -r {archive.parent}, and again"
        ) from exc
    return store.digest(*parts)
