# SPDX-License-Identifier: GPL-2.0-or-later
"""Logins to a guest, by paramiko: sessions, commands, files."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import paramiko
from paramiko.ssh_exception import SSHException

from pinrace.access.keys import Keys
from pinrace.errors import InfrastructureError, UserError

HOST = "127.0.0.1"
LARGEST = 4 << 30  # bytes of a file that comes out of a guest; its files are in its memory
_PIECE = 32768  # bytes to read at once, what one answer of SFTP holds
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


def plain_mode(mode: int) -> int:
    """Return the permissions that a file of a guest gets here."""
    umask = os.umask(0o077)
    os.umask(umask)
    return mode & 0o777 & ~umask


def _receive(sftp: paramiko.SFTPClient, remote: str, size: int, sink: BinaryIO) -> None:
    """Copy a file that claims this size; OSError for one that is too large or cut short."""
    room = min(LARGEST, shutil.disk_usage(sink.name).free)
    taken = 0
    with sftp.open(remote, "rb") as source:
        if size <= room:  # it asks for all of that at once
            source.prefetch(size, max_concurrent_requests=64)
        while taken <= room and size <= room and (piece := source.read(_PIECE)):
            sink.write(piece)
            taken += len(piece)
    if max(size, taken) > room:
        raise OSError(f"it has {max(size, taken)} bytes or more, and {room} may come out")
    if taken < size:
        raise OSError(f"only {taken} of {size} bytes came")


def command_line(words: Sequence[str]) -> str:
    """Return what the guest's shell gets: one word is a line for it, more are words to be kept."""
    return words[0] if len(words) == 1 else shlex.join(words)


class Session:
    """One session in a guest, on a connection that nothing else uses.

    A context manager; both end with it.
    """

    def __init__(self, client: paramiko.SSHClient, channel: paramiko.Channel) -> None:
        self._client, self.channel = client, channel

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self._client.close()

    def status(self) -> int:
        """Return the exit status, once the command has ended; LostError when none comes."""
        status = self.channel.recv_exit_status()
        if status >= 0:
            return status
        transport = self._client.get_transport()
        if transport is None or not transport.is_active():
            raise LostError("the connection to the guest was cut")
        return SIGNALLED


@dataclass(frozen=True)
class Account:
    """How to get into a guest, as root.  There may be many sessions at once.

    Each has a connection of its own: on a shared one dropbear closes a session that is just being
    opened when a child of another one ends in that moment.  Whatever goes wrong on the way is a
    LostError.
    """

    port: int  # on HOST
    keys: Keys
    patience: float  # seconds, for each step of a login

    def connect(self) -> paramiko.SSHClient:
        """Return a new connection, to the guest that has the key of this run and to no other."""
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        host_key = self.keys.host_key()
        client.get_host_keys().add(f"[{HOST}]:{self.port}", host_key.get_name(), host_key)
        try:
            client.connect(
                HOST,
                self.port,
                "root",
                pkey=self.keys.user_key(),
                timeout=self.patience,
                banner_timeout=self.patience,
                auth_timeout=self.patience,
                look_for_keys=False,
                allow_agent=False,
            )
        except FAILURES as error:
            client.close()
            why = error or type(error).__name__
            raise LostError(f"cannot log into the guest: {why}") from error
        return client

    def session(self, command: str | None = None, *, pty: Pty | None = None) -> Session:
        """Start a command, or a shell for None."""
        client = self.connect()
        try:
            transport = client.get_transport()
            if transport is None:
                raise EOFError
            channel = transport.open_session(timeout=self.patience)
            if pty:
                channel.get_pty(pty.term, pty.columns, pty.lines)
            if command is None:
                channel.invoke_shell()
            else:
                channel.exec_command(command)
        except FAILURES as error:
            client.close()
            raise LostError(f"the guest opens no session: {error or 'it is gone'}") from error
        return Session(client, channel)

    def run(self, command: str, *, data: bytes = b"", silence: float | None = None) -> Output:
        """Run a command to its end with these bytes as its stdin, which it has to take.

        silence: seconds that it may say nothing.
        """
        with self.session(command) as session:
            channel = session.channel
            channel.settimeout(silence)
            try:
                channel.sendall(data)
                channel.shutdown_write()
                out = channel.makefile("rb").read()
                err = channel.makefile_stderr("rb").read()
            except FAILURES as error:
                raise LostError(f"'{command}' did not end: {error or 'no answer'}") from error
            return Output(session.status(), out, err)

    def put(self, local: Path, remote: str) -> None:
        """Copy a file into the guest, with its mode; a remote place that ends in / is a folder.

        Raises UserError when one of the places is not there.
        """
        if remote.endswith("/"):
            remote = str(PurePosixPath(remote) / local.name)
        with self._files(f"cannot put {local} to {remote}") as sftp:
            sftp.put(str(local), remote)
            sftp.chmod(remote, stat.S_IMODE(local.stat().st_mode))

    def get(self, remote: str, local: Path) -> None:
        """Copy a file out of the guest, with its mode; a local folder gets it under its name.

        As with scp, the umask counts, and setuid, setgid and sticky bits stay in the guest.
        Raises UserError when one of the places is not there, and LostError when the guest claims
        or sends more than LARGEST or the room on the disk, or less than it claimed.
        """
        place = local / PurePosixPath(remote).name if local.is_dir() else local
        with self._files(f"cannot get {remote} to {place}") as sftp:
            known = sftp.stat(remote)
            with place.open("wb") as sink:
                _receive(sftp, remote, known.st_size or 0, sink)
            if known.st_mode is not None:
                place.chmod(plain_mode(known.st_mode))

    @contextmanager
    def _files(self, what: str) -> Iterator[paramiko.SFTPClient]:
        """Hold a session of SFTP; what fails in it is said after `what`."""
        with self.connect() as client:
            try:
                with client.open_sftp() as sftp:
                    yield sftp
            except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
                raise UserError(f"{what}: {error}") from error
            except FAILURES as error:
                raise LostError(f"{what}: {error or 'the guest is gone'}") from error
