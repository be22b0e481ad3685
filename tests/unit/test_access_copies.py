# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hostile guest's SFTP server says does no harm here."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from pinrace.access import login

SIZE = 70_000


class _Handle(paramiko.SFTPHandle):
    """A file that says what the test wants of itself, and holds zeros."""

    def __init__(self, holds: int) -> None:
        super().__init__()
        self._holds = holds

    def read(self, offset: int, length: int) -> bytes | int:
        return bytes(max(0, min(length, self._holds - offset))) or paramiko.SFTP_EOF


class _Files(paramiko.SFTPServerInterface):
    claims, holds, mode = SIZE, SIZE, 0o644

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        told = paramiko.SFTPAttributes()
        told.st_size, told.st_mode = self.claims, stat.S_IFREG | self.mode
        return told

    def open(
        self, path: str, flags: int, attr: paramiko.SFTPAttributes
    ) -> paramiko.SFTPHandle | int:
        return _Handle(self.holds)


class _Server(paramiko.ServerInterface):
    def check_auth_none(self, username: str) -> int:
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[login.Account]:
    """An account of a guest whose server the tests play."""
    ours, theirs = socket.socketpair()
    server = paramiko.Transport(theirs)
    server.add_server_key(paramiko.RSAKey.generate(2048))
    server.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files)
    threading.Thread(target=server.start_server, kwargs={"server": _Server()}, daemon=True).start()
    client = paramiko.SSHClient()
    client._transport = paramiko.Transport(ours)  # type: ignore[attr-defined]
    client._transport.start_client()  # type: ignore[attr-defined]
    client._transport.auth_none("root")  # type: ignore[attr-defined]
    monkeypatch.setattr(login.Account, "connect", lambda self: client)
    yield login.Account(1, None, 1.0)  # type: ignore[arg-type]
    client.close()
    server.close()


def test_no_setuid_bit_comes_out(
    account: login.Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Files, "mode", 0o7777)
    before = os.umask(0o027)
    try:
        account.get("suid", tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "suid").stat().st_mode) == 0o750
    assert (tmp_path / "suid").stat().st_size == SIZE


def test_a_claim_of_size_takes_no_memory(
    account: login.Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Files, "claims", 1 << 62)
    with pytest.raises(login.LostError, match="may come out"):
        account.get("huge", tmp_path / "huge")
    assert (tmp_path / "huge").stat().st_size == 0


def test_a_file_without_end_is_cut(
    account: login.Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Files, "claims", 0)  # as files of /proc have it
    monkeypatch.setattr(_Files, "holds", 1 << 40)
    monkeypatch.setattr(login, "LARGEST", 10 * SIZE)
    with pytest.raises(login.LostError, match="may come out"):
        account.get("endless", tmp_path / "endless")
    assert (tmp_path / "endless").stat().st_size <= 11 * SIZE


def test_one_cut_short_is_said(
    account: login.Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Files, "holds", SIZE - 1)
    with pytest.raises(login.LostError, match="only 69999 of 70000"):
        account.get("short", tmp_path / "short")
