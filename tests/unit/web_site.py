# SPDX-License-Identifier: GPL-2.0-or-later
"""A web server on 127.0.0.1 for the tests: files, faults by plan, and git's smart protocol."""

from __future__ import annotations

import email.utils
import gzip
import hashlib
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Status:
    """Answer with a status and headers, and nothing else."""

    code: int
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Cut:
    """Promise the whole answer and break the connection after some bytes of it."""

    at: int


@dataclass(frozen=True)
class Stall:
    """Send some bytes, then nothing until the test is over."""

    at: int


@dataclass(frozen=True)
class Trickle:
    """Send the answer in small pieces, with a pause before each."""

    size: int
    pause: float


@dataclass(frozen=True)
class OtherRange:
    """Answer a range with another one: so many bytes later, and short of the end."""

    later: int
    short: int


Step = Status | Cut | Stall | Trickle | OtherRange


@dataclass
class Site:
    """What the server has, what it will do wrong, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    plans: dict[str, list[Step]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    repositories: Path | None = None
    ranges: bool = True  # whether it knows Range
    dated: bool = False  # Last-Modified in place of ETag
    url: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def plan(self, path: str, *steps: Step) -> None:
        """Let the next requests for a path go wrong in this order; then it works."""
        self.plans[path] = list(steps)

    def asked(self, path: str) -> list[dict[str, str]]:
        """The headers of each request for a path."""
        return [headers for one, headers in self.seen if one == path]

    def validator(self, path: str) -> tuple[str, str]:
        """The header that names the version of a file."""
        digest = hashlib.sha256(self.files[path]).hexdigest()
        if self.dated:
            return "Last-Modified", email.utils.formatdate(int(digest[:7], 16), usegmt=True)
        return "ETag", f'"{digest[:16]}"'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.site.seen.append((path, dict(self.headers.items())))
        if path.startswith("/git/"):
            return self._git()
        steps = self.site.plans.get(path) or [None]  # type: ignore[list-item]
        step = steps.pop(0)
        if isinstance(step, Status):
            self.send_response(step.code)
            for key, value in (*step.headers, ("Content-Length", "0")):
                self.send_header(key, value)
            return self.end_headers()
        if path not in self.site.files:
            return self.send_error(404)
        return self._file(path, step)

    do_POST = do_HEAD = do_GET  # noqa: N815

    def _file(self, path: str, step: Step | None) -> None:
        body = self.site.files[path]
        name, value = self.site.validator(path)
        if self.headers.get("If-None-Match" if name == "ETag" else "If-Modified-Since") == value:
            self.send_response(304)
            return self.end_headers()
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = 0
        if self.site.ranges and asked and self.headers.get("If-Range") == value:
            begin = int(asked[1])
        if begin >= len(body) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if begin and isinstance(step, OtherRange):
            begin, body = begin + step.later, body[: len(body) - step.short]
        total = len(self.site.files[path])
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{total}")
        self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) - begin))
        self.end_headers()
        return self._send(body[begin:], step)

    def _send(self, body: bytes, step: Step | None) -> None:
        if isinstance(step, Cut | Stall):
            self.wfile.write(body[: step.at])
            self.wfile.flush()
            if isinstance(step, Stall):
                self.site.over.wait()
            self.close_connection = True
            self.connection.close()
        elif isinstance(step, Trickle):
            for at in range(0, len(body), step.size):
                self.site.over.wait(step.pause)
                self.wfile.write(body[at : at + step.size])
                self.wfile.flush()
        else:
            self.wfile.write(body)

    def _git(self) -> None:
        """Hand the request to git http-backend, as RFC 3875 has it."""
        parts = urlsplit(self.path)
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        done = subprocess.run(
            ["git", "http-backend"],
            input=data,
            capture_output=True,
            check=True,
            env={
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(self.site.repositories),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": parts.path.removeprefix("/git"),
                "QUERY_STRING": parts.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(data)),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "GIT_CONFIG_GLOBAL": os.devnull,
            },
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for key, value in (*headers.items(), ("Content-Length", str(len(body)))):
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serve() -> Iterator[Site]:
    """Serve a site while the context lasts."""
    site = Site()
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # cuts are on purpose
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        site.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
