# SPDX-License-Identifier: GPL-2.0-or-later
"""Files by the sha256 of their content, kept compressed, with a limit on the size of each.

The digest is that of the content as it was before it was compressed, so that what is taken out is
what was put in, whoever kept or carried it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pinrace.errors import InfrastructureError

LARGEST = 4 << 30  # bytes of one file, before it is compressed
PIECE = 4 << 20  # bytes that travel at once
OLD = 86400.0  # seconds after which an upload that did not end is removed
_LEVEL = 1  # of zlib: kernels shrink to a third, as fast as a disk writes
_GZIP = 31  # wbits of zlib for gzip's format
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"[A-Za-z0-9._+-]{1,200}")


class Blobs:
    """A folder of such files; several processes may use it at once."""

    def __init__(self, folder: Path, *, largest: int = LARGEST) -> None:
        self.folder = folder
        self.largest = largest
        for name in ("blobs", "results", "drafts"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        """Return where a digest's file is, if it is; ValueError for what is no digest."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"'{digest}' is no digest")
        return self.folder / "blobs" / digest

    def has(self, digest: str) -> bool:
        """Whether it is here."""
        return self.path(digest).exists()

    def add(self, source: Path | bytes) -> str:
        """Keep a file or bytes; return the digest.  InfrastructureError for what is too large."""
        digest = digest_of(source)
        if self.has(digest):
            return digest
        draft = self._draft()
        try:
            with draft.open("wb") as out:
                self._compress(source, out)
            draft.replace(self.path(digest))
        finally:
            draft.unlink(missing_ok=True)
        return digest

    def pieces(self, digest: str) -> Iterator[bytes]:
        """Yield the compressed content."""
        with self.path(digest).open("rb") as stream:
            while piece := stream.read(PIECE):
                yield piece

    def read(self, digest: str, offset: int) -> bytes:
        """Return a piece of the compressed content; b"" at its end."""
        with self.path(digest).open("rb") as stream:
            stream.seek(offset)
            return stream.read(PIECE)

    def receive(self, digest: str, pieces: Iterator[bytes]) -> None:
        """Keep compressed content that comes in pieces; InfrastructureError when it is another."""
        if self.has(digest):
            return
        draft = self._draft()
        try:
            with draft.open("wb") as out:
                for piece in pieces:
                    out.write(piece)
                    if out.tell() > self.largest:
                        raise too_large(digest, self.largest)
            self.verify(draft, digest)
            draft.replace(self.path(digest))
        finally:
            draft.unlink(missing_ok=True)

    def verify(self, draft: Path, digest: str, out: BinaryIO | None = None) -> None:
        """Decompress a file, to `out` if that is given; InfrastructureError unless it is that.

        What it decompresses to is bounded: nothing is written past the limit.
        """
        told = hashlib.sha256()
        size = 0
        for part in _decompressed(draft, digest):
            size += len(part)
            if size > self.largest:
                raise too_large(digest, self.largest)
            told.update(part)
            if out:
                out.write(part)
        if told.hexdigest() != digest:
            raise InfrastructureError(
                f"what came as {digest[:16]} has the digest {told.hexdigest()[:16]}",
                hint="run it again; if it comes back, a disk or a host is broken",
            )

    def take(self, digest: str, into: Path) -> None:
        """Write the content, verified; nothing is there when it is not what it should be."""
        draft = into.with_name(f".{into.name}.{secrets.token_hex(4)}")
        try:
            with draft.open("wb") as out:
                self.verify(self.path(digest), digest, out)
            draft.replace(into)
        finally:
            draft.unlink(missing_ok=True)

    def append(self, name: str, offset: int, piece: bytes) -> None:
        """Write a piece of an upload; those of one upload come in order."""
        draft = self._upload(name)
        if offset + len(piece) > self.largest:
            draft.unlink(missing_ok=True)
            raise too_large(name, self.largest)
        with draft.open("r+b" if offset else "wb") as out:
            out.seek(offset)
            out.write(piece)

    def commit(self, name: str, digest: str) -> None:
        """End an upload: it is kept if it has that digest, InfrastructureError if not."""
        draft = self._upload(name)
        try:
            if not self.has(digest):
                self.verify(draft, digest)
                draft.replace(self.path(digest))
        finally:
            draft.unlink(missing_ok=True)

    def publish(self, key: str, digest: str) -> str:
        """Note the result of a call, the first one; return the digest that counts."""
        place = self._result(key)
        if not self.has(digest):
            raise InfrastructureError(f"the result {digest[:16]} was not uploaded")
        draft = self._draft()
        draft.write_text(digest)
        try:
            place.hardlink_to(draft)  # fails where there is one, in one step
        except FileExistsError:
            return place.read_text()
        finally:
            draft.unlink(missing_ok=True)
        return digest

    def published(self, key: str) -> str:
        """Return the digest of a call's result; "" when there is none."""
        try:
            return self._result(key).read_text()
        except FileNotFoundError:
            return ""

    def drop(self, key: str) -> None:
        """Forget a call's result, which somebody has taken."""
        digest = self.published(key)
        self._result(key).unlink(missing_ok=True)
        if digest:
            self.path(digest).unlink(missing_ok=True)

    def remove(self, digest: str) -> None:
        """Remove one."""
        self.path(digest).unlink(missing_ok=True)

    def sweep(self, seconds: float = OLD) -> None:
        """Remove uploads that did not end."""
        limit = time.time() - seconds
        for draft in (self.folder / "drafts").iterdir():
            if draft.stat().st_mtime < limit:
                draft.unlink(missing_ok=True)

    def _result(self, key: str) -> Path:
        return self.folder / "results" / _safe(key)

    def _upload(self, name: str) -> Path:
        return self.folder / "drafts" / f"up-{_safe(name)}"

    def _draft(self) -> Path:
        return self.folder / "drafts" / secrets.token_hex(8)

    def _compress(self, source: Path | bytes, out: BinaryIO) -> None:
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        size = 0
        for piece in _read(source):
            size += len(piece)
            if size > self.largest:
                raise too_large(str(source)[:200], self.largest)
            out.write(packer.compress(piece))
        out.write(packer.flush())


def digest_of(source: Path | bytes) -> str:
    """Return the sha256 of a file or of bytes, in hex."""
    told = hashlib.sha256()
    for piece in _read(source):
        told.update(piece)
    return told.hexdigest()


def too_large(what: str, limit: int) -> InfrastructureError:
    """Return the error of a file that is larger than any may be."""
    return InfrastructureError(
        f"{what} is larger than the {limit >> 20} MiB that one file of a fleet may have",
        hint="build it without debug information, or run it here, without a fleet",
    )


def room(folder: Path) -> int:
    """Return the bytes that are free on a folder's disk."""
    return shutil.disk_usage(folder).free


def _safe(name: str) -> str:
    if not _KEY.fullmatch(name) or name.startswith("."):
        raise ValueError(f"'{name}' is no name of a result or an upload")
    return name


def _read(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as stream:
        while piece := stream.read(PIECE):
            yield piece


def _decompressed(draft: Path, digest: str) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        with draft.open("rb") as stream:
            while piece := stream.read(PIECE):
                while piece:
                    yield unpacker.decompress(piece, PIECE)
                    piece = unpacker.unconsumed_tail
            yield unpacker.flush()
    except zlib.error as error:
        raise InfrastructureError(
            f"what came as {digest[:16]} is damaged: {error}", hint="run it again"
        ) from error
    if not unpacker.eof:
        raise InfrastructureError(f"what came as {digest[:16]} is cut short", hint="run it again")
