# SPDX-License-Identifier: GPL-2.0-or-later
"""Fetch over HTTP: tried again, resumed where it was cut, never half a file at its final name."""

from __future__ import annotations

import base64
import json
import logging
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ProtocolError
from urllib3.util import Retry

from pinrace import __version__, store
from pinrace.errors import InfrastructureError
from pinrace.paths import cache_dir

log = logging.getLogger("pinrace.net")
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # what fails is said here

TIMEOUT = (20.0, 60.0)  # seconds: to connect, and between two pieces of an answer
# Set to 1, it allows http: to a server on this host itself, as the tests have it.
PLAIN_HTTP = "PINRACE_PLAIN_HTTP"
TRIES = 5  # in a row that bring nothing new
BACKOFF = 0.5  # seconds, doubled each time
_DOCUMENT_LIMIT = 16 << 20  # bytes
_CHUNK = 1 << 18
_BUSY = (408, 429, 500, 502, 503, 504)

Say = Callable[[str], None]


def is_local(url: str) -> bool:
    """Whether it is plain HTTP to this host, which nobody hears or changes."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    except ValueError:
        return False


def is_encrypted(url: str) -> bool:
    """Whether nobody on the way can change what it brings; $PINRACE_PLAIN_HTTP allows this host."""
    return url[:8].lower() == "https://" or (is_local(url) and bool(os.environ.get(PLAIN_HTTP)))


class NotThereError(InfrastructureError):
    """The server says that it does not have it (404, 410)."""


def _unencrypted(url: str, hop: str) -> InfrastructureError:
    """Return the error for an address that is not encrypted, behind one that is."""
    return InfrastructureError(
        f"{url} leads to {hop}, which is not encrypted", hint="name another mirror"
    )


class _Session(requests.Session):
    """A session that does not follow a redirect from https to anything else."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """As of requests; raises InfrastructureError for a hop that is not encrypted."""
        target = super().get_redirect_target(resp)
        hop = urljoin(resp.url, target) if target else ""
        if hop and urlsplit(resp.url).scheme == "https" and urlsplit(hop).scheme != "https":
            raise _unencrypted(resp.url, hop)
        return target


def session() -> requests.Session:
    """Return a session that asks again when a server is busy or a connection fails."""
    retry = Retry(
        total=TRIES,
        connect=2,
        backoff_factor=BACKOFF,
        status_forcelist=_BUSY,
        allowed_methods=("GET",),
        retry_after_max=60,
    )
    web = _Session()
    web.mount("https://", HTTPAdapter(max_retries=retry))
    web.mount("http://", HTTPAdapter(max_retries=retry))
    # identity: a resumed download counts the bytes of the file itself.
    web.headers.update({"User-Agent": f"pinrace/{__version__}", "Accept-Encoding": "identity"})
    return web


def _get(web: requests.Session, url: str, headers: dict[str, str]) -> requests.Response:
    """Ask for a URL; the body is still to be read.  NotThereError for 404 and 410."""
    log.info("GET %s %s", url, headers or "")
    answer = web.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    if url.startswith("https:") and not answer.url.startswith("https:"):
        answer.close()
        raise _unencrypted(url, answer.url)
    if answer.status_code in (404, 410):
        answer.close()
        raise NotThereError(f"there is no {url} (status {answer.status_code})")
    if answer.status_code >= 400 and answer.status_code != 416:
        answer.close()
        raise InfrastructureError(
            f"{url}: {urlsplit(url).hostname} answered {answer.status_code} {answer.reason}",
            hint="try again later, or name a mirror: see pinrace help trees",
        )
    return answer


def _trouble(url: str, exc: Exception) -> InfrastructureError:
    """Return the error for a URL that could not be had."""
    cause = getattr(exc.args[0], "reason", None) if exc.args else None  # of the last try
    reason = re.sub(r"^HTTPS?Connection(Pool)?\([^)]*\): ", "", str(cause or exc))
    return InfrastructureError(
        f"cannot get {url}: {reason[:300]}",
        hint="is there a network?  a mirror can be named: see pinrace help trees",
    )


def document(url: str) -> bytes:
    """Return a small document as it is now; one that did not change is not sent again.

    Raises NotThereError, or InfrastructureError when it cannot be had: an old copy is no answer.
    """
    folder = cache_dir() / "http"
    folder.mkdir(exist_ok=True)
    note = folder / f"{store.digest(url)}.json"
    known = _read_note(note, url)
    headers = {}
    if known.get("etag"):
        headers["If-None-Match"] = known["etag"]
    elif known.get("modified"):
        headers["If-Modified-Since"] = known["modified"]
    try:
        with session() as web, _get(web, url, headers) as answer:
            if answer.status_code == 304 and known:
                return base64.b64decode(known["body"])
            body = b""
            for piece in answer.iter_content(_CHUNK):
                body += piece
                if len(body) > _DOCUMENT_LIMIT:
                    raise InfrastructureError(f"{url} is no document: it does not end")
            fresh = {
                "url": url,
                "etag": answer.headers.get("ETag", ""),
                "modified": answer.headers.get("Last-Modified", ""),
                "body": base64.b64encode(body).decode(),
            }
    except (requests.RequestException, HTTPError) as exc:
        raise _trouble(url, exc) from exc
    store.write_json(note, fresh)
    return body


def _read_note(note: Path, url: str) -> dict[str, str]:
    """Return what is known of a URL; nothing when that is damaged."""
    try:
        known = json.loads(note.read_text())
        base64.b64decode(known["body"], validate=True)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return known if known.get("url") == url else {}


@dataclass(frozen=True)
class _Mark:
    """Which version of a file a partial download is of; the validators of RFC 9110."""

    url: str
    etag: str = ""
    modified: str = ""

    @property
    def validator(self) -> str:
        """What If-Range may carry; "" when the server gave nothing that is strong."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return "" if self.etag else self.modified


def download(url: str, into: Path, *, say: Say) -> None:
    """Fetch a file, going on where an earlier try was cut; it appears at `into` when it is whole.

    The caller holds a lock for `into`.  What came so far stays in `into`.part for the next try,
    with the validators that tell whether the server's file is still the same.  Raises
    NotThereError, or InfrastructureError when it cannot be had or kept.
    """
    into.parent.mkdir(parents=True, exist_ok=True)
    part = into.with_name(f"{into.name}.part")
    fruitless = 0
    with session() as web:
        while True:
            before = _size(part)
            try:
                if _fetch(web, url, part):
                    break
                why: Exception = ValueError("the server sends ranges that nobody asked for")
            except HTTPError as exc:  # in the body: the session tried again what comes before
                say(f"{into.name}: cut at {_size(part) / 1e6:.1f} MB, going on")
                why = exc
            except requests.RequestException as exc:
                raise _trouble(url, exc) from exc
            except OSError as exc:
                raise InfrastructureError(
                    f"cannot keep {into}: {exc.strerror or exc}",
                    hint=f"make room on the disk of {cache_dir()}, or `pinrace cache --prune`",
                ) from exc
            fruitless = 0 if _size(part) > before else fruitless + 1
            if fruitless >= TRIES:
                raise _trouble(url, why) from why
    part.replace(into)
    _mark_file(part).unlink(missing_ok=True)


def discard(into: Path) -> None:
    """Forget a file that download() brought, and what is left of one that it did not finish."""
    part = into.with_name(f"{into.name}.part")
    for path in (into, part, _mark_file(part)):
        path.unlink(missing_ok=True)


def _fetch(web: requests.Session, url: str, part: Path) -> bool:
    """Bring a partial file to its end; False when it was not of the file there is now."""
    have, mark = _size(part), _read_mark(part, url)
    headers = {}
    if have and mark and mark.validator:
        headers = {"Range": f"bytes={have}-", "If-Range": mark.validator}
    with _get(web, url, headers) as answer:
        if answer.status_code == 416 and answer.headers.get("Content-Range") == f"bytes */{have}":
            return True  # all of it was there already
        if answer.status_code == 416 or (answer.status_code == 206 and not headers):
            part.unlink(missing_ok=True)
            return False
        total = int(answer.headers.get("Content-Length") or -1)
        if answer.status_code == 206:
            told = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
            if not told or int(told[1]) != have:
                part.unlink(missing_ok=True)
                return False
            total = int(told[2])
        else:
            have = 0
            fresh = _Mark(
                url, answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
            )
            store.write_json(_mark_file(part), asdict(fresh))
        with part.open("ab" if have else "wb") as sink:
            for piece in answer.raw.stream(_CHUNK, decode_content=False):
                sink.write(piece)
                have += len(piece)
    if total >= 0 and have != total:
        raise ProtocolError(f"{have} bytes came, of {total}")
    return True


def _size(part: Path) -> int:
    """Return a file's size in bytes, 0 when there is none."""
    return part.stat().st_size if part.exists() else 0


def _mark_file(part: Path) -> Path:
    """Return the file beside a partial one that says of which version it is."""
    return part.with_name(f"{part.name}.json")


def _read_mark(part: Path, url: str) -> _Mark | None:
    """Return the mark of a partial file, None when it is of something else."""
    try:
        mark = _Mark(**json.loads(_mark_file(part).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return mark if mark.url == url else None
