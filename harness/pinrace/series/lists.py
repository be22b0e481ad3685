# SPDX-License-Identifier: GPL-2.0-or-later
"""A thread from a mailing list's archive, by message id or URL, and who signed its mails.

The patches are taken as they were sent, without the trailers of the replies, so that the same
message of the same archive is the same series on every day.  Signatures are b4's to check.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pinrace import net, store
from pinrace.errors import InfrastructureError, UserError
from pinrace.paths import cache_dir
from pinrace.procs import PYTHON, Completed, run
from pinrace.series import box
from pinrace.series.pick import Picked
from pinrace.trees.git import LOCAL_VARIABLES, git

Say = Callable[[str], None]

LORE = "https://lore.kernel.org/all"

_ID = re.compile(r"<?([^\s<>@/-][^\s<>@/]*@[^\s<>@/]+)>?")
_URL = re.compile(r"[a-z]+://", re.I)
_SIGNED = re.compile(r"\S+ ((?:Signed|BADSIG|No key): .+)")
_WARNED = re.compile(r"^\s*(?:WARNING|ERROR|CRITICAL|NOTE): (.+)$|^(.*(?:reroll|review).*)$", re.M)
_PERMALINK = "copy the permalink: https://lore.kernel.org/all/ID/"


@dataclass(frozen=True)
class Taken:
    """A thread as an archive has it."""

    message: str  # the id that was asked for
    url: str  # of that message, at the archive
    thread: bytes  # an mbox

    @property
    def host(self) -> str:
        """Who says that this is the thread."""
        return urlsplit(self.url).netloc


def message_id(text: str) -> str | None:
    """Return the message id that a word is, or that an archive's URL has; None without one."""
    if _URL.match(text):
        try:
            words = [unquote(word) for word in urlsplit(text).path.split("/")]
        except ValueError:  # a host that is none, as [x
            return None
        return next((match[1] for word in words if (match := _ID.fullmatch(word))), None)
    match = _ID.fullmatch(unquote(text) if "@" not in text else text)
    return match[1] if match else None


def is_message(text: str) -> bool:
    """Whether it names a message on a list."""
    return bool(re.match(r"https?://", text, re.I)) or message_id(text) is not None


def by_message(text: str, *, say: Say) -> Taken:
    """Return the thread of a message, by its id or by its URL at an archive.

    Fetched once from an archive, it needs no network.  An id alone is asked for at the archive of
    git's b4.midmask, which is lore.kernel.org unless the user has set it.  Raises UserError when
    there is no such message and for an address that is not encrypted, InfrastructureError when
    the archive does not answer.
    """
    name = message_id(text)
    if name is None:
        raise UserError(f"{text} has no message id", hint=_PERMALINK)
    archive = _archive(text, name)
    parts = urlsplit(archive)
    if parts.password or parts.username:
        raise UserError(
            "there is a user in that address, and results would show it", hint=_PERMALINK
        )
    if not net.is_encrypted(archive):
        raise UserError(
            f"{archive} is not encrypted, so anybody on the way can change the patches",
            hint=f"use https: https://{parts.netloc}{parts.path}/{quote(name, safe='')}/",
        )
    url = f"{archive}/{quote(name, safe='')}/"

    def fill(folder: Path) -> None:
        say(f"fetching the thread of {name} from {parts.netloc}")
        try:
            packed = net.document(f"{url}t.mbox.gz")
        except net.NotThereError as exc:
            raise UserError(
                f"{parts.netloc} has no message {name}", hint="is it whole?  a URL works as well"
            ) from exc
        except InfrastructureError as exc:
            raise InfrastructureError(
                f"cannot get the thread of {name}: {exc.what}",
                hint="is there a network?  save the thread elsewhere, and name the mbox",
            ) from exc
        (folder / "thread.mbox").write_bytes(box.unpack(packed, f"the thread of {name}"))

    folder = store.make("threads", store.digest("1", archive, name), fill)
    return Taken(name, url, (folder / "thread.mbox").read_bytes())


def _archive(text: str, name: str) -> str:
    """Return the address of the archive that a word names, without a slash at its end."""
    parts = urlsplit(text)
    if not _URL.match(text) or "/project/" in parts.path:  # patchwork has no threads
        said = git("config", "--get", "b4.midmask", users_config=True, check=False, cwd=cache_dir())
        mask = said.output.strip() if said.status == 0 else f"{LORE}/%s"
        archive = mask.replace("/%s", "").rstrip("/")
        return archive if urlsplit(archive).path else f"{archive}/all"
    words = parts.path.split("/")
    at = next(at for at, word in enumerate(words) if unquote(word).strip("<>") == name)
    path = "/".join(words[:at])
    if parts.hostname == "lore.kernel.org" and path in ("", "/r"):
        path = "/all"  # where these lead
    return f"{parts.scheme.lower()}://{parts.netloc}{path}"


def name_of(picked: Picked) -> str:
    """Return a short name for a series: the subject of its first patch, and its version."""
    version = f" v{picked.version}" if picked.version > 1 else ""
    text = f"{picked.letters[0].title[:48]}{version}"
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower() or "series"


def attest(picked: Picked, *, host: str = "") -> tuple[str, tuple[str, ...]]:
    """Return what b4 says of signatures, in one line, and what it warns of.

    host: the archive that the mails came from; without one, no network is used.
    """
    where = f", from {host}" if host else ""
    if not any(letter.signed for letter in picked.letters):
        none = "not signed" if host else "no signature that can be checked offline"
        return none + where, ()
    with tempfile.TemporaryDirectory(prefix="b4-", dir=cache_dir()) as work:
        thread = Path(work) / "thread.mbx"
        thread.write_bytes(b"".join(_quoted(letter.raw) for letter in picked.letters))
        argv = ["am", "-m", str(thread), "-o", str(Path(work) / "out"), "-n", "series"]
        argv += ["--no-add-trailers", "--no-cover", "--use-version", str(picked.version)]
        done = _b4(Path(work), *argv, offline=not host)
    warned = tuple(
        f"b4: {' '.join((first or second).split())[:300]}"
        for first, second in _WARNED.findall(done.output)
    )
    if done.status:
        said = [line.strip() for line in done.output.splitlines() if line.strip()]
        why = f": {said[-1][:200]}" if said else ""
        return f"signatures not checked, b4 ended with status {done.status}{why}{where}", warned
    marks = list(dict.fromkeys(_SIGNED.findall(done.output)))
    # Indented deeper: they differ from patch to patch.
    differ = re.search(r"^ {4}\S+ (Signed|BADSIG|No)", done.output, re.M)
    some = " (not the same on every patch)" if differ else ""
    none = "not signed" if host else "no signature that can be checked offline"
    return ("; ".join(marks) + some if marks else none) + where, warned


def _quoted(raw: bytes) -> bytes:
    """Return a mail as it stands in an mbox; lines that look like a border are quoted."""
    body = re.sub(rb"^(?=>*From )", b">", raw.lstrip(b"\r\n"), flags=re.M)
    return b"From mboxrd@z Thu Jan  1 00:00:00 1970\n" + body.rstrip(b"\n") + b"\n\n"


def _b4(cwd: Path, *argv: str, offline: bool) -> Completed:
    """Run b4, with the user's configuration and keyrings, and no question asked.

    What it keeps of each series, it keeps in cwd: nobody asks for it, and HOME may not be there.
    """
    flags = ["--no-interactive", "--no-stdin", *(["--offline-mode"] if offline else [])]
    settings = ("b4.attestation-policy=softfail", "b4.attestation-checkmarks=simple")
    unset = [word for name in LOCAL_VARIABLES for word in ("-u", name)]
    home = os.environ.get("HOME", "/nonexistent")
    given = Path(os.environ.get("XDG_DATA_HOME") or f"{home}/.local/share")
    data = cwd / "data"
    data.mkdir()
    (data / "patatt").symlink_to(given / "patatt")  # the keys that the user trusts
    return run(
        [
            *("env", *unset, *PYTHON, "-m", "b4.command", *flags),
            *(word for setting in settings for word in ("-c", setting)),
            *argv,
        ],
        cwd=cwd,
        env={
            "XDG_CACHE_HOME": str(cache_dir() / "b4"),
            "XDG_DATA_HOME": str(data),
            "GIT_CEILING_DIRECTORIES": str(cwd),
        },
        check=False,
        what="b4",
    )
