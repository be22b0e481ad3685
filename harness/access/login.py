# SPDX-License-Identifier: GPL-2.0-or-later
"""Logins to a guest, by paramiko: sessions, commands, files."""

from __future__ import annotations

import shlex
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType

import paramiko
from paramiko.ssh_exception import SSHException

from harness.access.keys import Keys
from harness.errors import InfrastructureError, UserError

HOST = "127.0.0.1"
SIGNALLED = 255  # the status of a command that a signal ended, as ssh(1) has it
FAILURES = (OSError, EOFError, SSHException)  # what paramiko raises when a connection fails


class LostError(InfrastructureError):
    """The connection to a guest does not come about, or has ended."""


@dataclass(frozen=True)
class Output:
    """What a command in a guest came to."""

    status: int
    out: bytes
    err: bytes


@dataclass(frozen=True)
class Pty:
    """The terminal that a session is to have."""

    term: str
    columns: int
    lines: int


def command_line(words: Sequence[str]) -> str:
    """Return what the guest's shell gets: one word is a line for it, more are words to be kept."""
    return words[0] if len(words) == 1 else shlex.join(words)


class Login:
    """One connection to a guest, as root; each session on it is a channel of its own.

    A context manager.  What the guest's end or a cut connection does is a LostError.
    """

    def __init__(self, port: int, keys: Keys, patience: float) -> None:
        """Log in; the guest has to have the key of this run.

        patience: seconds for each step of it.
        """
        self._client = paramiko.SSHClient()
        self._client.set_missing_host_key_policy(paramiko.RejectPolicy())
        host_key = keys.host_key()
        self._client.get_host_keys().add(f"[{HOST}]:{port}", host_key.get_name(), host_key)
        try:
            self._client.connect(
                HOST,
                port,
                "root",
                pkey=keys.user_key(),
                timeout=patience,
                banner_timeout=patience,
                auth_timeout=patience,
                look_for_keys=False,
                allow_agent=False,
            )
        except FAILURES as error:
            self._client.close()
            raise LostError(
                f"cannot log into the guest: {error or type(error).__name__}"
            ) from error

    def __enter__(self) -> Login:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def open(self, command: str | None = None, *, pty: Pty | None = None) -> paramiko.Channel:
        """Start a command, or a shell for None."""
        try:
            transport = self._client.get_transport()
            if transport is None:
                raise EOFError
            channel = transport.open_session()
            if pty:
                channel.get_pty(pty.term, pty.columns, pty.lines)
            if command is None:
                channel.invoke_shell()
            else:
                channel.exec_command(command)
        except FAILURES as error:
            raise LostError(f"the guest opens no session: {error or 'it is gone'}") from error
        return channel

    def status(self, channel: paramiko.Channel) -> int:
        """Return the exit status of a session, once it has ended."""
        status = channel.recv_exit_status()
        if status >= 0:
            return status
        transport = self._client.get_transport()
        if transport is None or not transport.is_active():
            raise LostError("the connection to the guest was cut")
        return SIGNALLED

    def run(self, command: str, *, data: bytes = b"", patience: float | None = None) -> Output:
        """Run a command to its end with these bytes as its stdin.

        patience: seconds that it may be silent.
        """
        channel = self.open(command)
        try:
            channel.settimeout(patience)
            # All of it, before anything is read: it has to fit into the windows of both sides.
            channel.sendall(data)
            channel.shutdown_write()
            out = channel.makefile("rb").read()
            err = channel.makefile_stderr("rb").read()
            return Output(self.status(channel), out, err)
        except FAILURES as error:
            raise LostError(f"'{command}' did not end: {error or 'no answer'}") from error
        finally:
            channel.close()

    def put(self, local: Path, remote: str) -> None:
        """Copy a file into the guest, with its mode; a remote place that ends in / is a folder.

        Raises UserError when one of the places is not there.
        """
        if remote.endswith("/"):
            remote = str(PurePosixPath(remote) / local.name)
        with self._sftp() as sftp:
            try:
                sftp.put(str(local), remote)
                sftp.chmod(remote, stat.S_IMODE(local.stat().st_mode))
            except (FileNotFoundError, PermissionError) as error:
                raise UserError(f"cannot put {local} to {remote}: {error}") from error
            except FAILURES as error:
                raise LostError(f"putting {local} to {remote} failed: {error}") from error

    def get(self, remote: str, local: Path) -> None:
        """Copy a file out of the guest, with its mode; a local folder gets it under its name.

        Raises UserError when one of the places is not there.
        """
        place = local / PurePosixPath(remote).name if local.is_dir() else local
        with self._sftp() as sftp:
            try:
                mode = sftp.stat(remote).st_mode
                sftp.get(remote, str(place))
            except (FileNotFoundError, PermissionError) as error:
                raise UserError(f"cannot get {remote} to {place}: {error}") from error
            except FAILURES as error:
                raise LostError(f"getting {remote} to {place} failed: {error}") from error
        if mode is not None:
            place.chmod(stat.S_IMODE(mode))

    def _sftp(self) -> paramiko.SFTPClient:
        try:
            return self._client.open_sftp()
        except FAILURES as error:
            raise LostError(f"the guest serves no files: {error or 'it is gone'}") from error
