# SPDX-License-Identifier: GPL-2.0-or-later
"""A session of a guest on this process's own stdin, stdout and stderr."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import paramiko

from pinrace.access.login import FAILURES, Account, Pty

STDIN, STDOUT, STDERR = 0, 1, 2
CHUNK = 32768  # bytes
LEAVE = b"\x1d"  # Ctrl-], which ends an interactive session whatever the guest does
LEFT = 130  # the status of a session that was left so
HELP = "`exit` or Ctrl-D leaves the guest, Ctrl-] too when it does not answer"


def command(account: Account, line: str) -> int:
    """Run a command with our stdin, stdout and stderr; return its exit status."""
    with account.session(line) as session, _stdin_to(session.channel, leave=None):
        _copy_out(session.channel)
        return session.status()


def interactive(account: Account) -> int:
    """Give the terminal to a shell; return its exit status.

    Where our stdin is no terminal the shell reads it as a script.
    """
    if not os.isatty(STDIN):
        return command(account, "/bin/sh")
    size = shutil.get_terminal_size()
    pty = Pty(os.environ.get("TERM", "vt220"), size.columns, size.lines)
    left = threading.Event()
    with account.session(pty=pty) as session:
        print(HELP, file=sys.stderr)
        with _resized(session.channel), _raw(), _stdin_to(session.channel, leave=left):
            _copy_out(session.channel)
            return LEFT if left.is_set() else session.status()


def _copy_out(channel: paramiko.Channel) -> None:
    """Write what the guest says until it has said all."""

    def errors() -> None:
        while data := channel.recv_stderr(CHUNK):
            _write(STDERR, data)

    # A thread a stream: paramiko wakes a reader of one of them only.
    other = threading.Thread(target=errors, daemon=True)
    other.start()
    while data := channel.recv(CHUNK):
        _write(STDOUT, data)
    other.join()


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


@contextmanager
def _stdin_to(channel: paramiko.Channel, *, leave: threading.Event | None) -> Iterator[None]:
    """Send our stdin to a session while the context lasts.

    leave: set, with the session closed, when LEAVE is typed; None when that is a byte as others.
    """
    wake, end = os.pipe()

    def feed() -> None:
        with contextlib.suppress(*FAILURES):
            while True:
                if wake in select.select([STDIN, wake], [], [])[0]:
                    return
                data = os.read(STDIN, CHUNK)
                if leave and LEAVE in data:
                    leave.set()
                    channel.close()
                    return
                if not data:
                    channel.shutdown_write()
                    return
                channel.sendall(data)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    try:
        yield
    finally:
        channel.close()  # before the join: sendall() would wait for a guest that does not read
        os.write(end, b".")
        feeder.join()
        os.close(wake)
        os.close(end)


@contextmanager
def _raw() -> Iterator[None]:
    """Let the guest have every key; the terminal is as before afterwards."""
    before = termios.tcgetattr(STDIN)
    try:
        tty.setraw(STDIN)
        yield
    finally:
        termios.tcsetattr(STDIN, termios.TCSADRAIN, before)


@contextmanager
def _resized(channel: paramiko.Channel) -> Iterator[None]:
    """Pass on each change of the window's size."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        size = shutil.get_terminal_size()
        with contextlib.suppress(*FAILURES):
            channel.resize_pty(size.columns, size.lines)

    before = signal.signal(signal.SIGWINCH, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
