# SPDX-License-Identifier: GPL-2.0-or-later
"""Where new series come from: a mailbox, an archive's Atom feed, a Patchwork project."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pinrace import net, store
from pinrace.errors import InfrastructureError
from pinrace.nightly.patchwork import Server, encrypted
from pinrace.series import box, letters
from pinrace.series.letters import Letter

_ATOM = "{http://www.w3.org/2005/Atom}"
_THREAD = "{http://purl.org/syndication/thread/1.0}"  # RFC 4685
# Marks stand in front, behind the name of a list at most.
_PATCH = re.compile(r"\s*(?:\[[^\]]*\]\s*){0,3}\[[^\]]*\b(?:PATCH|RFC)\b[^\]]*\]", re.IGNORECASE)


class Source(BaseModel):
    """What is watched."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["mbox", "atom", "patchwork"]
    path: str = Field(default="", description="of a mailbox or a Maildir's mbox export")
    url: str = Field(default="", description="of a feed (…/new.atom), or of a Patchwork server")
    project: str = Field(default="", description="of a Patchwork server")

    @model_validator(mode="after")
    def _is_whole(self) -> Source:
        needs = {"mbox": ("path",), "atom": ("url",), "patchwork": ("url", "project")}[self.kind]
        for name in ("path", "url", "project"):
            if bool(getattr(self, name)) is not (name in needs):
                raise ValueError(f"kind '{self.kind}' takes {' and '.join(needs)}")
        return self


@dataclass(frozen=True)
class Incoming:
    """A series that came; `key` is the same whenever it is seen."""

    key: str
    title: str
    message: str  # id of its first mail, without <>
    spec: str  # the URL of its mailbox, or the mailbox that it was cut from
    thread: bytes = b""  # its mails, where a mailbox has them
    patches: tuple[int, ...] = ()  # ids on the Patchwork server

    def materialize(self, folder: Path) -> Path:
        """Return its mailbox in the folder, written anew: more of it may have come.

        Raises InfrastructureError when the mails cannot be had, and UserError when the way to them
        is not encrypted: one such series ends no round.
        """
        content = self.thread or box.unpack(net.document(encrypted(self.spec)), self.title)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{store.digest(self.key)[:16]}.mbox"
        store.write(path, content)
        return path


def look(source: Source, *, after: int = 0) -> list[Incoming]:
    """Return the series that are there, the oldest first; after: a Patchwork id already seen.

    Raises InfrastructureError when the source cannot be read.
    """
    if source.kind == "mbox":
        return _of_mailbox(Path(source.path))
    if source.kind == "atom":
        return _of_feed(net.document(encrypted(source.url)), source.url)
    found = Server(source.url, source.project).series(after)
    return [
        Incoming(str(one.id), one.name, one.message, one.mbox, patches=one.patches) for one in found
    ]


def begins(subject: str, *, answers: bool) -> bool:
    """Whether a mail begins a series: its cover letter, its only patch, or a first one alone."""
    place = letters.place_of(subject)
    if place.reply or not _PATCH.match(subject):
        return False
    return place.number in (None, 0) or (place.number == 1 and not answers)


def _of_mailbox(path: Path) -> list[Incoming]:
    """Cut a mailbox into series."""
    try:
        mails = letters.read(box.read(path))
    except OSError as exc:
        raise InfrastructureError(f"cannot read {path}: {exc.strerror}") from exc
    found = []
    for mail in mails:
        number = mail.place.number
        if not mail.message_id or not begins(mail.subject, answers=bool(mail.parents)):
            continue
        thread = _thread(mail, mails)
        if number is None and len(thread) > 1:
            thread = [mail, *(one for one in thread[1:] if not _PATCH.match(one.subject))]
        raw = b"".join(box.as_file(one.raw) for one in thread)
        found.append(Incoming(mail.message_id, mail.subject, mail.message_id, str(path), raw))
    return found


def _thread(root: Letter, mails: Iterable[Letter]) -> list[Letter]:
    """Return a mail and all that answers it."""
    return [root, *(one for one in mails if root.message_id in one.parents)]


def _of_feed(content: bytes, url: str) -> list[Incoming]:
    """Return the series that a feed names; its links lead to the messages."""
    try:
        text = content.decode("utf-8-sig")  # in another encoding, what is looked for would hide
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise InfrastructureError(f"{url} is no Atom feed: it declares entities")
        feed = ElementTree.fromstring(text)  # noqa: S314 (it declares no entities)
    except (UnicodeDecodeError, ElementTree.ParseError) as exc:
        raise InfrastructureError(f"{url} is no Atom feed: {exc}") from exc
    if feed.tag != f"{_ATOM}feed":
        raise InfrastructureError(f"{url} is no Atom feed: it begins with {feed.tag}")
    found = []
    for entry in feed.findall(f"{_ATOM}entry"):
        subject = (entry.findtext(f"{_ATOM}title") or "").strip()
        link = entry.find(f"{_ATOM}link")
        target = cast(str, link.get("href", "")) if link is not None else ""
        message = unquote(urlsplit(target).path.rstrip("/").rpartition("/")[2])
        answers = entry.find(f"{_THREAD}in-reply-to") is not None
        if "@" in message and begins(subject, answers=answers):
            thread = f"{target.rstrip('/')}/t.mbox.gz"
            found.append(Incoming(message, subject, message, thread))
    return found[::-1]
