# SPDX-License-Identifier: GPL-2.0-or-later
"""One mail: what its subject says of its place, its text as decoded, and what git is to be given.

Nothing in a mail makes this raise: what is odd in a header is taken as the bytes it is.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import email
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from functools import cached_property

from pinrace.series import box, diffs
from pinrace.series.diffs import Diffs

_REPLY = re.compile(r"\s*(?:(?:re|aw|fwd?|sv|antw|wg)(?:\[\d+\])?\s*:|答复|回复)", re.I)
_VERSION = re.compile(r"(?:(?:patch|rfc|resend)[-_]?)?v(\d{1,9})(?:->v?(\d{1,9}))?", re.I)
_PLACE = re.compile(r"(\d+)/(\d+)")
_HG_PLACE = re.compile(r"\b(\d+) +of +(\d+)\b", re.I)
_LONGEST_HEADER = 4096  # characters that are decoded: the library takes quadratic time
_MOST = 99_999  # patches of a series; a greater number of one stands for this
_ID = re.compile(r"<([^<>\s]+)>")
_SCISSORS = re.compile(rb">8|8<|>%|%<")
_DIFF_LINE = re.compile(rb"^(?:diff --git |\+\+\+ )[^\n]*\n", re.M)
_WORD = re.compile(rb"=\?([^?\s]{1,60})\?(?=[bBqQ]\?)")
_FLOWED = re.compile(r"format\s*=\s*\"?flowed\b", re.I)
_TYPE = re.compile(rb"^content-type:[^\n]*(?:\n[ \t][^\n]*)*", re.I | re.M)
_HEAD = re.compile(rb"\r?\n\r?\n")
_ENCODED = ("base64", "quoted-printable")


@dataclass(frozen=True)
class Place:
    """What a subject says of a patch's place in its series."""

    version: int = 1
    number: int | None = None  # 0 for a cover letter; None when it says none
    total: int | None = None
    reply: bool = False


def place_of(subject: str) -> Place:
    """Return what the marks in front of a subject say: [PATCH RFC net-next v3 02/10]."""
    reply = bool(_REPLY.match(subject))
    marks = re.match(r"(?:[^\[]{0,20}:)?((?:\s*\[[^\]]*\])*)", subject)
    inside = re.sub(r"[\[\]]", " ", marks[1] if marks else "")
    version, number, total = 1, None, None
    for word in re.split(r"[\s,;:]+", inside):
        if found := _VERSION.fullmatch(word):
            version = max(int(each) for each in found.groups() if each)
        elif found := _PLACE.fullmatch(word):
            number, total = _number(found[1]), _number(found[2])
    if number is None and (found := _HG_PLACE.search(inside)):
        number, total = _number(found[1]), _number(found[2])
    return Place(version, number, total, reply)


def _number(digits: str) -> int:
    """Return a number of a mail's subject, which may have any length."""
    digits = digits.lstrip("0")
    return min(int(digits or "0"), _MOST) if len(digits) < 9 else _MOST


class Letter:
    """A message: bytes as they came, without the line that separates it in a mailbox."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @cached_property
    def _headers(self) -> Message:
        """The parsed headers."""
        parts = _HEAD.split(self.raw.lstrip(b"\r\n"), maxsplit=1)
        return email.message_from_bytes(parts[0] + b"\n\n", policy=policy.compat32)

    def _header(self, name: str) -> str:
        """Return a header as it stands, on one line; "" without it."""
        fields = self._headers.raw_items()
        found = next((value for key, value in fields if key.lower() == name.lower()), "")
        return " ".join(str(found).split())

    @cached_property
    def is_mail(self) -> bool:
        """Whether it begins with the headers of a mail."""
        return bool(self._header("From") or self._header("Subject"))

    @cached_property
    def subject(self) -> str:
        """The subject as decoded, on one line; "" without one."""
        return _decoded(self._header("Subject"))

    @cached_property
    def place(self) -> Place:
        """What the subject says of its place."""
        return place_of(self.subject)

    @cached_property
    def title(self) -> str:
        """The subject without its marks."""
        return re.sub(r"^(?:[^\[]{0,20}:)?(?:\s*\[[^\]]*\])*\s*", "", self.subject)

    @cached_property
    def message_id(self) -> str:
        """The message id without its brackets; "" without one."""
        found = _ID.search(self._header("Message-Id"))
        return found[1] if found else ""

    @cached_property
    def parents(self) -> frozenset[str]:
        """The ids of the messages that it answers."""
        text = f"{self._header('In-Reply-To')} {self._header('References')}"
        return frozenset(_ID.findall(text))

    @cached_property
    def sender(self) -> str:
        """The address in From:, in lower case."""
        found = re.search(r"([^\s<>\"]+@[^\s<>\"]+)>?\s*$", self._header("From"))
        return found[1].lower() if found else self._header("From").lower()

    @cached_property
    def signed(self) -> bool:
        """Whether it carries a signature that b4 knows."""
        return any(name in self._headers for name in ("DKIM-Signature", "X-Developer-Signature"))

    @cached_property
    def _leaves(self) -> list[tuple[str, bytes]]:
        """The type and decoded content of each part, in order."""
        kind = self._headers.get_content_type()
        if not kind.startswith(("multipart/", "message/")) or self.parts_are_gone:
            return [(kind, _content(self._headers, self._body))]
        whole = email.message_from_bytes(self.raw.lstrip(b"\r\n"), policy=policy.compat32)
        return list(_walk(whole))

    @property
    def _body(self) -> bytes:
        """What comes after the headers."""
        parts = _HEAD.split(self.raw.lstrip(b"\r\n"), maxsplit=1)
        return parts[1] if len(parts) > 1 else b""

    @property
    def _encoding(self) -> str:
        """The transfer encoding of the whole, in lower case."""
        return self._header("Content-Transfer-Encoding").strip().lower()

    @cached_property
    def parts_are_gone(self) -> bool:
        """Whether the headers promise parts that are not there, as after a careless copy."""
        if self._headers.get_content_maintype() != "multipart":
            return False
        try:
            mark = self._headers.get_boundary()
        except (LookupError, ValueError):
            mark = None
        return not mark or f"--{mark}".encode(errors="surrogateescape") not in self._body

    @cached_property
    def html(self) -> bool:
        """Whether a part that holds a diff is HTML."""
        wanted = (b"diff --git", b"+++ b/")
        return any(
            kind == "text/html" and any(mark in part for mark in wanted)
            for kind, part in self._leaves
        )

    @cached_property
    def attached_mail(self) -> bool:
        """Whether a part of it is a mail by itself, which git does not look into."""
        return self._headers.get_content_type().startswith("multipart/") and any(
            kind == "message/rfc822" for kind, _ in self._leaves
        )

    @cached_property
    def text(self) -> bytes:
        """The text of all parts as decoded, without the CRs of a transport."""
        text = b"\n".join(part for _, part in self._leaves)
        return text.replace(b"\r\n", b"\n") if _is_transport(text) else text

    @cached_property
    def diffs(self) -> Diffs:
        """The diffs in its text."""
        return diffs.scan(self.text)

    @cached_property
    def below_scissors(self) -> Letter | None:
        """The mail without what stands above a line of scissors; None without such a line."""
        lines = self.text.split(b"\n")
        at = next((number for number, line in enumerate(lines) if _are_scissors(line)), None)
        below = b"" if at is None else b"\n".join(lines[at + 1 :]).lstrip(b"\n")
        if not diffs.scan(below).size.files:
            return None
        inner = re.match(rb"(?:(?:From|Subject|Date): [^\n]*\n)+", below)
        subject = re.search(rb"^Subject: ([^\n]*)$", inner[0], re.M) if inner else None
        title = subject[1] if subject else re.sub(r"^(\s*\w{1,4}:)+", "", self.subject).encode()
        return Letter(self._recoded(below, subject=title))

    @cached_property
    def needs_rewriting(self) -> bool:
        """Whether git has to be given other bytes than came."""
        head = _HEAD.split(self.raw.lstrip(b"\r\n"), maxsplit=1)[0]
        return (
            b"\r" in head
            or (b"\r\n" in self._body and _is_transport(self._body))
            or self._needs_recoding
        )

    @cached_property
    def _needs_recoding(self) -> bool:
        """Whether its text does not stand in it as it is.

        Others read the diff in the file, too: which files it changes, what it defines.
        """
        parts = self._headers.get_content_maintype() == "multipart"
        return parts or self._encoding in _ENCODED or self._flowed or self._odd_charset

    @property
    def _flowed(self) -> bool:
        """Whether its lines are broken and stuffed."""
        return bool(_FLOWED.search(self._header("Content-Type")))

    @cached_property
    def _odd_charset(self) -> bool:
        """Whether a header names a charset that nobody knows, at which git would give up."""
        head = _HEAD.split(self.raw.lstrip(b"\r\n"), maxsplit=1)[0]
        named = [match[1] for match in _WORD.finditer(head)]
        parts = self._headers.get_content_maintype() == "multipart"
        for field in _TYPE.findall(self.raw if parts else head):
            named += re.findall(rb"charset\s*=\s*\"?([^\s\";]+)", field, re.I)
        names = [name.decode(errors="replace") for name in named]
        return any(_known(name) != name for name in names)

    def as_file(self) -> bytes:
        """Return it as a patch file that git takes for this one mail."""
        if self._needs_recoding:
            return box.as_file(self._recoded(self.text))
        raw = self.raw.lstrip(b"\r\n")
        head, body = _HEAD.split(raw, maxsplit=1)[0], self._body
        if _is_transport(body):
            body = body.replace(b"\r\n", b"\n")
        return box.as_file(head.replace(b"\r", b"") + b"\n\n" + body)

    @property
    def _charset(self) -> bytes:
        """The charset of the first text in it, one that is known."""
        types = b"\n".join(_TYPE.findall(self.raw))
        named = re.search(rb"charset\s*=\s*\"?([^\s\";]+)", types, re.I)
        return _known(named[1].decode(errors="replace") if named else "utf-8").encode()

    def _recoded(self, text: bytes, subject: bytes | None = None) -> bytes:
        """Return the mail with a text as it is, in place of its own."""
        head = _HEAD.split(self.raw.lstrip(b"\r\n"), maxsplit=1)[0].replace(b"\r\n", b"\n")
        fields = re.split(rb"\n(?![ \t])", head)
        dropped = [b"content-transfer-encoding:", b"content-type:"]
        dropped += [b"subject:"] if subject is not None else []
        kind = b"Content-Type: text/plain; charset=" + self._charset
        kept = [f for f in fields if not f.lower().startswith(tuple(dropped))]
        if subject is not None:
            kept.append(b"Subject: " + subject)
        kept = [_WORD.sub(_rename_charset, field) for field in kept]
        kept += [kind, b"Content-Transfer-Encoding: 8bit"]
        return b"\n".join(kept) + b"\n\n" + text


def read(content: bytes) -> list[Letter]:
    """Return the mails of a mailbox or patch file, in order."""
    return [Letter(raw) for raw in box.cut(content)]


def _is_transport(text: bytes) -> bool:
    """Whether the CRs of a text are of its transport, not of the file that a diff changes.

    git ends the lines of its own in a diff with LF.
    """
    own = _DIFF_LINE.findall(text)
    if own:
        return any(line.endswith(b"\r\n") for line in own)
    lines = text.count(b"\n")
    return bool(lines) and text.count(b"\r\n") == lines


def _are_scissors(line: bytes) -> bool:
    """Whether a line is one of scissors by the rule of git-mailinfo(1): mainly dashes and ">8"."""
    if len(line) > 200 or not _SCISSORS.search(line):
        return False
    bare = line.strip()
    marks = _SCISSORS.sub(b"--", bare)
    return len(bare) >= 8 and len(bare) < 3 * (marks.count(b"-") + marks.count(b" "))


def _walk(message: Message) -> Iterator[tuple[str, bytes]]:
    """Yield the type and the decoded content of each part of a mail that has parts."""
    payload = message.get_payload()
    if isinstance(payload, list):
        if message.get_content_type() == "message/rfc822":
            yield "message/rfc822", b""
        for part in payload:
            if isinstance(part, Message):
                yield from _walk(part)
        return
    raw = str(payload).encode(errors="surrogateescape")
    yield message.get_content_type(), _content(message, raw)


def _content(headers: Message, raw: bytes) -> bytes:
    """Return a part as its headers say that it is to be read."""
    encoding = str(headers.get("Content-Transfer-Encoding", "")).strip().lower()
    plain, kind = _unpacked(encoding, raw), str(headers.get("Content-Type", ""))
    if _FLOWED.search(kind):
        return _unflowed(plain, delete=bool(re.search(r"delsp\s*=\s*\"?yes\b", kind, re.I)))
    return plain


def _unflowed(text: bytes, *, delete: bool) -> bytes:
    """Return a text of RFC 3676 with its lines as they were: stuffing and soft breaks undone.

    delete: the blank before a soft break goes with it.
    """
    lines: list[bytes] = []
    before = b""
    for line in text.replace(b"\r\n", b"\n").split(b"\n"):
        if line == b"-- ":
            lines += [before, line] if before else [line]
            before = b""
            continue
        bare = line.removeprefix(b" ")
        if bare.endswith(b" "):
            before += bare[:-1] if delete else bare
        else:
            lines.append(before + bare)
            before = b""
    return b"\n".join([*lines, before] if before else lines)


def _unpacked(encoding: str, raw: bytes) -> bytes:
    """Return a part without its transfer encoding; as it is when that is broken."""
    if encoding == "quoted-printable":
        return quopri.decodestring(raw)
    if encoding == "base64":
        try:
            return base64.b64decode(re.sub(rb"[^A-Za-z0-9+/=]", b"", raw) + b"===")
        except binascii.Error:
            return raw
    return raw


def _decoded(text: str) -> str:
    """Return a header in plain words; where it is wrongly encoded, as it stands."""
    try:
        pieces = [
            part.decode(_known(charset), "replace") if isinstance(part, bytes) else part
            for part, charset in decode_header(text[:_LONGEST_HEADER])
        ]
    except (LookupError, ValueError, HeaderParseError):
        return _bare(text)
    return " ".join(_bare("".join(pieces)).split())


def _known(charset: str | None) -> str:
    """Return a charset that can be decoded: the one named, or UTF-8 where nobody knows it."""
    try:
        codecs.lookup(charset or "ascii")
    except (LookupError, ValueError):
        return "utf-8"
    return charset or "ascii"


def _rename_charset(match: re.Match[bytes]) -> bytes:
    """Return the head of an encoded word with a charset that is known."""
    return b"=?" + _known(match[1].decode(errors="replace")).encode() + b"?"


def _bare(text: str) -> str:
    """Return a header that holds raw bytes as UTF-8 has them."""
    return text.encode(errors="surrogateescape").decode(errors="replace")
