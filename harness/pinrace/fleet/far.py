# SPDX-License-Identifier: GPL-2.0-or-later
"""The fleet's store as a host or an operator sees it, over the connection to the scheduler."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pinrace import store
from pinrace.errors import InfrastructureError
from pinrace.fleet.blobs import Blobs

KIND = "fleet-files"  # what a host keeps of what came, in its cache
Ask = Callable[..., Any]  # asks the scheduler: the handler's name, and its arguments


class Far:
    """Puts files there and has them from there, each verified where it arrives."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def _value(self, name: str, **words: Any) -> Any:
        """Ask for something that may fail there."""
        told = self._ask(name, **words)
        if "error" in told:
            raise InfrastructureError(told["error"])
        return told["value"]

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Return those that are not there."""
        return list(self._ask("pinrace_missing", digests=list(digests)))

    def put(self, source: Path | bytes) -> str:
        """Have it there; return its digest.  InfrastructureError for what is too large."""
        with tempfile.TemporaryDirectory(prefix="pinrace-") as place:
            mine = Blobs(Path(place))
            digest = mine.add(source)
            if self.missing([digest]):
                upload, offset = secrets.token_hex(8), 0
                for piece in mine.pieces(digest):
                    self._value("pinrace_write", upload=upload, offset=offset, piece=piece)
                    offset += len(piece)
                self._value("pinrace_commit", upload=upload, digest=digest)
        return digest

    def take(self, digest: str, into: Path) -> None:
        """Write what has that digest to a file."""
        with tempfile.TemporaryDirectory(prefix=".pinrace-", dir=into.parent) as place:
            mine = Blobs(Path(place))
            mine.receive(digest, self._pieces(digest))
            mine.take(digest, into)

    def content(self, digest: str) -> bytes:
        """Return what has that digest."""
        with tempfile.TemporaryDirectory(prefix="pinrace-") as place:
            self.take(digest, Path(place) / "it")
            return (Path(place) / "it").read_bytes()

    def folder(self, files: Mapping[str, str]) -> Path:
        """Return a folder with these files, name to digest; "->NAME" is a link within it.

        It is kept in this host's cache: the next call that wants the same has it already.
        """
        key = store.digest(*(f"{name} {digest}" for name, digest in sorted(files.items())))

        def fill(draft: Path) -> None:
            for name, digest in files.items():
                if "/" in name or name.startswith("."):
                    raise InfrastructureError(f"'{name}' is no name of an artefact")
                if digest.startswith("->"):
                    (draft / name).symlink_to(Path(digest[2:]).name)
                else:
                    self.take(digest, draft / name)

        return store.make(KIND, key, fill)

    def publish(self, key: str, digest: str) -> str:
        """Note the result of a call; return the digest of the first one, which counts."""
        return str(self._value("pinrace_publish", key=key, digest=digest))

    def published(self, key: str) -> str:
        """Return the digest of a call's result, "" without one."""
        return str(self._value("pinrace_published", key=key))

    def drop(self, key: str, digests: Sequence[str]) -> None:
        """Forget a result that was taken, and these."""
        self._value("pinrace_drop", key=key, digests=list(digests))

    def stop(self, keys: Sequence[str]) -> list[str]:
        """End calls; return those that ran."""
        return list(self._ask("pinrace_stop", keys=list(keys)))

    def hosts(self) -> dict[str, dict[str, float]]:
        """Return what each worker has, by name."""
        return dict(self._ask("pinrace_hosts"))

    def addresses(self) -> dict[str, str]:
        """Return where each worker is, by name."""
        return dict(self._ask("pinrace_addresses"))

    def _pieces(self, digest: str) -> Iterator[bytes]:
        offset = 0
        while piece := self._value("pinrace_read", digest=digest, offset=offset):
            yield piece
            offset += len(piece)
