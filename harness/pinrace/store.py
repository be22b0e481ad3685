# SPDX-License-Identifier: GPL-2.0-or-later
"""A store of folders by key: made once, under a lock, and there whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pinrace.errors import InfrastructureError, UserError
from pinrace.paths import cache_dir

DIGEST_LENGTH = 16  # hex digits of a key; 64 bits are plenty for one host's cache


def digest(*parts: str | bytes) -> str:
    """Return a key for these parts, order and boundaries included."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        whole.update(f"{len(data)}:".encode() + data)
    return whole.hexdigest()[:DIGEST_LENGTH]


def digest_file(path: Path) -> str:
    """Return the sha256 of a file's content, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def locked(name: str, *, say: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold a lock of the cache, shared by all harnesses of this user; says when it must wait."""
    folder = cache_dir() / "locks"
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if say:
            say(f"waiting for another pinrace that holds '{name}'")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def find(kind: str, key: str) -> Path | None:
    """Return the folder of that key, or None; what is found counts as used now."""
    folder = cache_dir() / kind / key
    try:
        os.utime(folder)
    except FileNotFoundError:
        return None
    return folder


def make(kind: str, key: str, fill: Callable[[Path], None]) -> Path:
    """Return the folder of that key, filled by `fill` in a temporary place when it is missing.

    It appears by rename when `fill` returns; when that raises, nothing appears.  Two harnesses
    that want the same key share the work.  A full disk is an InfrastructureError.
    """
    found = find(kind, key)
    if found:
        return found
    with locked(f"{kind}-{key}"):
        found = find(kind, key)
        if found:
            return found
        parent = cache_dir() / kind
        parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=parent))
        try:
            draft.chmod(0o755)
            fill(draft)
            (parent / key).parent.mkdir(parents=True, exist_ok=True)
            draft.rename(parent / key)
        except OSError as exc:
            raise InfrastructureError(
                f"cannot keep {kind} {key}: {exc.strerror or exc}",
                hint=f"make room on the disk of {cache_dir()}, or `pinrace cache --prune`",
            ) from exc
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return parent / key


def write(path: Path, content: str | bytes) -> None:
    """Write a file that is there whole or not at all; OSError when it cannot be written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: object) -> None:
    """Write a JSON file that is there whole or not at all."""
    write(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def sizes() -> list[tuple[str, int, int]]:
    """Return (kind, entries, bytes) for each folder of the cache."""
    rows = []
    for kind in sorted(p for p in cache_dir().iterdir() if p.is_dir()):
        files = [p for p in kind.rglob("*") if p.is_file() and not p.is_symlink()]
        rows.append((kind.name, sum(1 for _ in kind.iterdir()), sum(_size(p) for p in files)))
    return rows


def _size(path: Path) -> int:
    """Size in bytes; 0 for what went away meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def prune(kinds: tuple[str, ...], days: float) -> list[Path]:
    """Remove the entries of these kinds that were not used for that many days; return them.

    Raises UserError for a kind that the cache does not have.
    """
    limit = time.time() - days * 86400
    gone = []
    for kind in kinds:
        folder = cache_dir() / kind
        if not folder.is_dir():
            have = ", ".join(sorted(p.name for p in cache_dir().iterdir() if p.is_dir()))
            raise UserError(f"the cache has no '{kind}'", hint=f"it has: {have}")
        for entry in folder.iterdir():
            if entry.stat().st_mtime <= limit:
                if entry.is_dir():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)
                gone.append(entry)
    return gone
