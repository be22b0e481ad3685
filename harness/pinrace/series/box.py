# SPDX-License-Identifier: GPL-2.0-or-later
"""Mailboxes as bytes: read and unpacked within bounds, and cut into messages."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from pinrace.errors import UserError

# Bytes.  The biggest patches of kernels are lists of registers, of some 20 MiB.
MAIL_LIMIT = 64 << 20
BOX_LIMIT = 256 << 20

_HELP = "git format-patch makes what is wanted"
# A line that separates messages has a time and a year, and a header follows.  So does what git
# takes, which also wants the year right behind the time.
_FROM = re.compile(
    rb"^From [^\n]*\d\d?:\d\d[^\n]*\b\d{4}\b[^\n]*\n(?=(?:>?From [^\n]*\n)?[!-9;-~]+:)", re.M
)
_GIT_FROM = re.compile(rb"^From [^\n]*\d:\d\d:\d\d\s*\d{2,}[^\n]*$", re.M)
_PACKED: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gz"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bz2"),
)
_OPEN: dict[str, Callable[[io.BytesIO], IO[bytes]]] = {
    "gz": lambda packed: cast(IO[bytes], gzip.GzipFile(fileobj=packed)),
    "xz": lzma.LZMAFile,
    "bz2": bz2.BZ2File,
}
# What cannot be read here, and what to do with it.
_FOREIGN = (
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd", "unzstd it first"),
    (b"PK\x03\x04", "is a zip archive", "unpack it, and name the folder or the mbox in it"),
    (b"!<arch>", "is an archive of programs or a package", "name a mailbox or a folder of patches"),
    (b"# v2 git bundle", "is a git bundle", "git clone it, then git format-patch"),
    (b"# v3 git bundle", "is a git bundle", "git clone it, then git format-patch"),
)


def read(path: Path) -> bytes:
    """Return what a mailbox or patch file holds, unpacked and without a byte-order mark.

    Raises UserError for what cannot be read, is no regular file, is bigger than BOX_LIMIT or is
    no text.
    """
    try:
        kind = path.stat()
        if not stat.S_ISREG(kind.st_mode):
            raise UserError(f"{path} is no regular file", hint="save it as a file, and name that")
        if kind.st_size > BOX_LIMIT:
            raise _too_big(str(path))
        content = path.read_bytes()
    except OSError as exc:
        raise UserError(f"cannot read {path}: {exc.strerror}", hint=_HELP) from exc
    return text_of(unpack(content, path.name), path.name)


def unpack(content: bytes, what: str) -> bytes:
    """Return the plain bytes of what gzip, xz or bzip2 may have packed.

    Raises UserError when they are damaged or more than BOX_LIMIT.
    """
    for magic, why, hint in _FOREIGN:
        if content.startswith(magic):
            raise UserError(f"{what} {why}", hint=hint)
    kind = next((name for magic, name in _PACKED if content.startswith(magic)), "")
    if not kind:
        return content
    packed = io.BytesIO(content)
    try:
        with _OPEN[kind](packed) as stream:
            plain = stream.read(BOX_LIMIT + 1)
    except (OSError, EOFError, lzma.LZMAError, ValueError) as exc:
        raise UserError(f"{what} is damaged or cut short: {exc}", hint="save it again") from exc
    if len(plain) > BOX_LIMIT:
        raise _too_big(what)
    return plain


def _too_big(what: str) -> UserError:
    """Return the error for a mailbox that is no mailbox."""
    return UserError(
        f"{what} holds more than {BOX_LIMIT >> 20} MiB, which is no patch series",
        hint="save only the messages of the series",
    )


def text_of(content: bytes, what: str) -> bytes:
    """Return a file's text without a UTF-8 mark; UserError for UTF-16 and UTF-32."""
    if content.startswith(codecs.BOM_UTF8):
        return content.removeprefix(codecs.BOM_UTF8)
    marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
    head = content[:256]
    if content.startswith(marks) or (len(head) > 8 and head.count(0) * 3 > len(head)):
        raise UserError(
            f"{what} is UTF-16, as the > of PowerShell writes it",
            hint="git format-patch -o FOLDER writes the files itself",
        )
    return content


def cut(content: bytes) -> list[bytes]:
    """Return the messages of a mailbox, each without the line that separates it.

    Without such a line, all of it is one message.
    """
    starts = list(_FROM.finditer(content))
    found = [(content[: starts[0].start()] if starts else content).lstrip(b"\r\n")]
    ends = [mark.start() for mark in starts[1:]] + [len(content)]
    found += [content[mark.end() : end] for mark, end in zip(starts, ends, strict=False)]
    return [message for message in found if message.strip()]


def is_one_for_git(content: bytes) -> bool:
    """Whether git splits a file into no more than one message."""
    marks = list(_GIT_FROM.finditer(content))
    return not marks or (len(marks) == 1 and not content[: marks[0].start()].strip())


def as_file(message: bytes) -> bytes:
    """Return a message as a file of its own, which git takes for one message."""
    body = _GIT_FROM.sub(lambda match: b">" + match[0], message)
    ending = b"" if body.endswith(b"\n") else b"\n"
    return b"From pinrace Mon Sep 17 00:00:00 2001\n" + body + ending
