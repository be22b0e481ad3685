# SPDX-License-Identifier: GPL-2.0-or-later
"""A series from a mailing list: by message id, by an archive's URL, or from a saved thread.

b4 does the work, as a command: it finds the thread, picks the patches of one version in order, and
checks who signed them.  They are taken as they were sent, without the trailers of the replies, so
that the same message id is the same series on every day.
"""

from __future__ import annotations

import gzip
import json
import mailbox
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pinrace import store
from pinrace.errors import InfrastructureError, UserError
from pinrace.paths import cache_dir
from pinrace.procs import Completed, run
from pinrace.trees.git import LOCAL_VARIABLES

Say = Callable[[str], None]

INFO = "info.json"
_ID = re.compile(r"<?([^\s<>@]+@[^\s<>@/]+)>?")
_DIFF = re.compile(r"^(diff --git |--- )", re.M)
_SIGNED = re.compile(r"\S+ ((?:Signed|BADSIG|No key): .+)")


@dataclass(frozen=True)
class Taken:
    """Where a series' patches are, and what is known of them."""

    folder: Path  # holds the *.patch
    origin: str  # the message id, or the name of the file
    attestation: str  # what b4 says of signatures; not asked for, so nothing hangs on it


@dataclass(frozen=True)
class _Subject:
    """What a subject says of a patch's place."""

    version: int
    number: int | None
    reply: bool


def message_id(text: str) -> str | None:
    """Return the message id that a word is, or that an archive's URL has; None without one."""
    if re.match(r"https?://", text):
        words = [unquote(word) for word in urlsplit(text).path.split("/")]
        return next((word for word in words if _ID.fullmatch(word)), None)
    match = _ID.fullmatch(text)
    return match[1] if match else None


def is_message(text: str) -> bool:
    """Whether it names a message on a list."""
    return bool(re.match(r"https?://", text)) or message_id(text) is not None


def by_message(text: str, *, say: Say) -> Taken:
    """Return the series that a message is of, in the version of that message.

    Fetched once, it needs no network.  Raises UserError when there is no such message or its
    series is not whole, InfrastructureError when the archive does not answer.
    """
    name = message_id(text)
    if name is None:
        raise UserError(
            f"{text} has no message id", hint="copy the permalink: https://lore.kernel.org/all/ID/"
        )

    def fill(folder: Path) -> None:
        say(f"fetching the thread of {name}")
        with tempfile.TemporaryDirectory(prefix="b4-", dir=cache_dir()) as work:
            done = _b4(Path(work), "mbox", "-o", work, "-n", "thread.mbx", text)
            thread = Path(work) / "thread.mbx"
            if done.status or not thread.exists():
                raise _no_thread(text, done)
            _pick(thread, name, folder, offline=False)

    return _taken(store.make("lists", store.digest("1", name), fill))


def by_mbox(path: Path, *, say: Say) -> Taken | None:
    """Return the series in a saved thread, the latest version of it; no network is used.

    None for a mailbox that holds one series in order and nothing else: `git am` takes it as it
    is.  Raises UserError when there is no series in it, or one that is not whole.
    """
    content = path.read_bytes()
    if packed := content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)

    def fill(folder: Path) -> None:
        say(f"picking a series from {path.name}")
        with tempfile.TemporaryDirectory(prefix="b4-", dir=cache_dir()) as work:
            thread = Path(work) / "thread.mbx"
            thread.write_bytes(content)
            _pick(thread, None, folder, offline=True, origin=path.name)

    with tempfile.TemporaryDirectory(prefix="mbox-", dir=cache_dir()) as work:
        copy = Path(work) / "copy.mbx"
        copy.write_bytes(content)
        if _ready(copy) and not packed:
            return None
    return _taken(store.make("lists", store.digest("1", content), fill))


def _ready(path: Path) -> bool:
    """Whether a mailbox holds the patches of one series in order, and nothing else."""
    versions, last = set(), 0
    for message in mailbox.mbox(path, create=False):
        subject = _subject(message)
        if subject.reply or not _DIFF.search(_text(message)):
            return False
        versions.add(subject.version)
        if subject.number is not None:
            if subject.number <= last:
                return False
            last = subject.number
    return len(versions) <= 1


def _text(message: Message) -> str:
    """Return the plain text of a message."""
    parts = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    return "\n".join(part.decode(errors="replace") for part in parts if isinstance(part, bytes))


def _subject(message: Message) -> _Subject:
    """Return what a message's subject says."""
    text = str(make_header(decode_header(re.sub(r"\s+", " ", str(message["subject"] or "")))))
    mark = re.search(r"\[([^\]]*)\]", text)
    inside = mark[1] if mark else ""
    version = re.search(r"\bv(\d+)\b", inside, re.I)
    number = re.search(r"\b(\d+)/\d+\b", inside)
    reply = bool(re.match(r"\s*(re|aw|fwd?)\s*:", text, re.I))
    return _Subject(int(version[1]) if version else 1, int(number[1]) if number else None, reply)


def _pick(thread: Path, name: str | None, folder: Path, *, offline: bool, origin: str = "") -> None:
    """Have b4 write the patches of one version into a folder, and note what it says of them."""
    argv = ["am", "-m", str(thread), "-o", str(thread.parent / "out"), "-n", "series"]
    argv += ["--save-as-maildir", "--no-add-trailers", "--no-cover"]
    argv += ["--use-version", str(_version(thread, name)), *([name] if name else [])]
    done = _b4(thread.parent, *argv, offline=offline)
    mails = sorted((thread.parent / "out").glob("series.maildir/new/*"))
    what = name or origin
    wrong = re.findall(
        r"^\s*(?:ERROR|WARNING|CRITICAL): (?:.*missing.*|Thread incomplete!)$", done.output, re.M
    )
    if done.status or wrong or not mails:
        said = wrong or [line for line in done.output.splitlines() if line.strip()][-3:]
        raise UserError(
            f"b4 makes no whole series of {what}:\n" + "\n".join(f"  {s.strip()}" for s in said),
            hint="name the cover letter or a patch, or save the thread as an mbox and look",
        )
    into = folder / _slug(done.output, what)
    into.mkdir()
    for mail in mails:
        plain = re.sub(r"[^A-Za-z0-9]+", "-", mail.stem).strip("-")
        (into / f"{plain[:60]}.patch").write_bytes(mail.read_bytes())
    store.write_json(
        folder / INFO,
        {"folder": into.name, "origin": what, "attestation": _attestation(done.output, offline)},
    )


def _version(thread: Path, name: str | None) -> int:
    """Return the version of the message of that id, and without one the highest in the thread."""
    found = {1}
    for message in mailbox.mbox(thread, create=False):
        subject = _subject(message)
        if name and str(message["message-id"] or "").strip().strip("<>") == name:
            return subject.version
        if not subject.reply and _DIFF.search(_text(message)):
            found.add(subject.version)
    return max(found)


def _slug(said: str, fallback: str) -> str:
    """Return a short name for the series: the subject of its first patch and its version."""
    first = re.search(r"^\s+(?:\S+ )?\[(PATCH[^\]]*)\] (.+)$", said, re.M)
    text = fallback
    if first:
        version = re.search(r"\bv\d+\b", first[1])
        text = f"{first[2][:48]} {version[0] if version else ''}"
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower() or "series"


def _attestation(said: str, offline: bool) -> str:
    """Return what b4 says of signatures, in one line."""
    marks = list(dict.fromkeys(_SIGNED.findall(said)))
    # Indented deeper: they differ from patch to patch.
    differ = re.search(r"^ {4}\S+ (Signed|BADSIG|No)", said, re.M)
    some = " (not the same on every patch)" if differ else ""
    none = "no signature that can be checked offline" if offline else "not signed"
    return "; ".join(marks) + some if marks else none


def _taken(folder: Path) -> Taken:
    """Return what a folder of the store holds."""
    info = json.loads((folder / INFO).read_text())
    return Taken(folder / info["folder"], info["origin"], info["attestation"])


def _b4(cwd: Path, *argv: str, offline: bool = False) -> Completed:
    """Run b4, with the user's configuration (archives, keyrings) and no question asked."""
    flags = ["--no-interactive", "--no-stdin", *(["--offline-mode"] if offline else [])]
    settings = ("b4.attestation-policy=softfail", "b4.attestation-checkmarks=simple")
    unset = [word for name in LOCAL_VARIABLES for word in ("-u", name)]
    return run(
        [
            *("env", *unset, sys.executable, "-m", "b4.command", *flags),
            *(word for setting in settings for word in ("-c", setting)),
            *argv,
        ],
        cwd=cwd,
        env={"XDG_CACHE_HOME": str(cache_dir() / "b4"), "GIT_CEILING_DIRECTORIES": str(cwd)},
        check=False,
        what="b4",
    )


def _no_thread(text: str, done: Completed) -> UserError | InfrastructureError:
    """Return the error for a thread that did not come."""
    said = "\n".join(f"  {line[:300]}" for line in done.output.splitlines()[-1:])
    if re.search(r"Server returned an error: (404|300)|No messages found", done.output):
        return UserError(
            f"the archive has no message {text}", hint="is it whole?  a URL works as well"
        )
    return InfrastructureError(
        f"b4 cannot get the thread of {text}:\n{said}",
        hint="is there a network?  save the thread elsewhere, and name the mbox",
    )
