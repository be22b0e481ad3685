# SPDX-License-Identifier: GPL-2.0-or-later
"""Send a mail to the people of a configuration, and to nobody else.

The file is mail.toml in the user's configuration folder, or what $PINRACE_MAIL names:

    from = "Name <address>"
    to = ["Name <address>"]
    cc = []
    [smtp]                      # or: command = "msmtp -t", which gets the mail on stdin
    host = "mail.example.org"
    port = 587
    security = "starttls"       # or "tls"; "none" only for this host
    user = "name"               # the password is in $PINRACE_SMTP_PASSWORD
"""

from __future__ import annotations

import os
import shlex
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import getaddresses
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pinrace import procs, userfile
from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError

VARIABLE = "PINRACE_MAIL"
PASSWORD = "PINRACE_SMTP_PASSWORD"
SECONDS = 60.0  # for a server to take a mail
_HERE = ("localhost", "127.0.0.1", "::1")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Smtp(_Strict):
    """A server that takes mail."""

    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""

    @model_validator(mode="after")
    def _is_private(self) -> Smtp:
        if self.security == "none" and self.host not in _HERE:
            raise ValueError("security = 'none' is only for a server on this host")
        return self


class Mail(_Strict):
    """Who sends, to whom, and how."""

    sender: str = Field(alias="from")
    to: tuple[str, ...] = Field(min_length=1)
    cc: tuple[str, ...] = ()
    smtp: Smtp | None = None
    command: str = ""

    @field_validator("sender", "to", "cc")
    @classmethod
    def _are_addresses(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for one in (value,) if isinstance(value, str) else value:
            found = getaddresses([one])
            if len(found) != 1 or "@" not in found[0][1] or any(c in one for c in "\r\n"):
                raise ValueError(f"'{one}' is no address")
        return value

    @model_validator(mode="after")
    def _can_send(self) -> Mail:
        if (self.smtp is None) == (not self.command):
            raise ValueError("needs [smtp] or command, and only one of them")
        return self


def file() -> Path:
    """Return where the configuration is."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path(platformdirs.user_config_dir("pinrace")) / "mail.toml"


def load(path: Path | None = None) -> Mail:
    """Return the configuration; UserError when there is none, or what is wrong with it."""
    path = path or file()
    hint = "docs/ci.md, section Mail, says what it holds"
    return userfile.read(Mail, path, "configures no mail", hint=hint)


def send(mail: EmailMessage, by: Mail) -> None:
    """Send it; InfrastructureError when it was not taken, or not for everybody."""
    if by.command:
        procs.run(
            shlex.split(by.command),
            stdin=mail.as_bytes(),
            deadline=Deadline.after(SECONDS),
            what="sending the mail",
        )
        return
    server = by.smtp
    assert server  # noqa: S101 (the configuration was checked)
    try:
        with _connected(server) as smtp:
            if server.user:
                smtp.login(server.user, os.environ.get(PASSWORD, ""))
            refused = smtp.send_message(mail)
    except (smtplib.SMTPException, OSError) as exc:
        raise InfrastructureError(
            f"{server.host}:{server.port} does not take the mail: {exc}", hint="try again later"
        ) from exc
    if refused:
        raise InfrastructureError(f"the mail was refused for {', '.join(sorted(refused))}")


def _connected(server: Smtp) -> smtplib.SMTP:
    """Connect, with TLS unless the server is this host."""
    context = ssl.create_default_context()
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=SECONDS, context=context)
    smtp = smtplib.SMTP(server.host, server.port, timeout=SECONDS)
    if server.security == "starttls":
        try:
            smtp.starttls(context=context)
        except BaseException:
            smtp.close()
            raise
    return smtp
