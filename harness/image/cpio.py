# SPDX-License-Identifier: GPL-2.0-or-later
"""Write an initramfs: a newc cpio archive whose bytes depend on nothing but its entries.

The format is the one of Documentation/driver-api/early-userspace/buffer-format.rst in the kernel.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import libarchive

# Archives are concatenated at multiples of this: the kernel skips zeros between two, and takes a
# header only at a multiple of 4 bytes.
PADDING = 512


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


def _attributes(entry: Entry) -> dict[str, object]:
    """The kind of an entry; libarchive's AE_IF* have the values of S_IF*."""
    if entry.data is not None:
        return {"filetype": stat.S_IFREG}
    if entry.target is not None:
        return {"filetype": stat.S_IFLNK, "linkpath": entry.target}
    if entry.device is not None:
        major, minor = entry.device
        return {"filetype": stat.S_IFCHR, "rdevmajor": major, "rdevminor": minor}
    return {"filetype": stat.S_IFDIR}


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
            data = entry.content()
            archive.add_file_from_memory(
                entry.path.lstrip("/"),
                len(data),
                data,
                permission=entry.mode,
                uid=0,
                gid=0,
                mtime=0,
                **_attributes(entry),
            )
    sink(b"\0" * (-written % PADDING))
