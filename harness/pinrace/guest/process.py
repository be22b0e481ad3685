# SPDX-License-Identifier: GPL-2.0-or-later
"""The QEMU process: started on a pty, always ended, never left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

import pexpect
import psutil

from pinrace import procs
from pinrace.errors import InfrastructureError

CHUNK = 65536  # bytes to read at once
TALK_SECONDS = 0.2  # between two looks at what the guest says


class Guest:
    """A running QEMU whose stdin and stdout are a pty of ours.

    A context manager: at its end, whatever the reason, QEMU is dead and reaped.  When the harness
    is killed with SIGKILL, QEMU dies of PDEATHSIG and of the pty's hangup.  PDEATHSIG fires when
    the *thread* that started QEMU ends: enter the context in one that stays until its end.
    """

    def __init__(self, argv: list[str], channel: Path) -> None:
        self._argv = argv
        self._channel_path = channel
        self.cpu_seconds = 0.0  # user and system, known once it has ended
        self._eof = False

    def __enter__(self) -> Guest:
        self._channel_path.write_bytes(b"")
        self._channel = self._channel_path.open("rb")
        procs.log.info("%s", procs.show(self._argv))
        try:
            self._child: pexpect.spawn[bytes] = pexpect.spawn(
                procs.PDEATHSIG[0],
                [*procs.PDEATHSIG[1:], *self._argv],
                timeout=None,
                echo=False,
            )
        except (pexpect.ExceptionPexpect, OSError) as exc:
            self._channel.close()
            raise InfrastructureError(f"cannot start QEMU: {exc}", hint="pinrace doctor") from exc
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._child.close(force=True)
        self._channel.close()

    @property
    def pid(self) -> int:
        """The process id of QEMU, setpriv having become it."""
        assert self._child.pid is not None  # noqa: S101
        return self._child.pid

    @property
    def ended(self) -> bool:
        """Whether it has closed its side of the pty, which it does only by ending."""
        return self._eof

    def read_console(self, seconds: float) -> bytes:
        """Return what it printed; waits for that many seconds at most."""
        try:
            data = self._child.read_nonblocking(CHUNK, seconds)
        except pexpect.TIMEOUT:
            return b""
        except pexpect.EOF:
            self._eof = True
            return b""
        return data

    def read_channel(self) -> bytes:
        """Return what came on the result channel since the last call, a chunk at most."""
        return self._channel.read(CHUNK)

    def type(self, data: bytes) -> None:
        """Send bytes to its stdin; what it no longer takes is dropped."""
        with contextlib.suppress(OSError, pexpect.ExceptionPexpect):
            self._child.send(data)

    def talk(self) -> None:
        """Give the console to whoever is at our stdin, until the guest ends or Ctrl-].

        What is no terminal is read to its end and typed, and the shell is left behind it.
        """
        if os.isatty(0):
            self._child.interact()
            return
        self._child.send(sys.stdin.buffer.read() + b"\nexit\n")
        while not self._eof:
            os.write(1, self.read_console(TALK_SECONDS))

    def end(self) -> str:
        """Kill it unless it has ended; return how it ended: "" for exit status 0."""
        if self._child.exitstatus is None and self._child.signalstatus is None:
            if not self._eof:
                os.kill(self.pid, signal.SIGKILL)
            # A zombie still knows its CPU time; reaping it loses that.
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            times = psutil.Process(self.pid).cpu_times()
            self.cpu_seconds = times.user + times.system
            self._child.wait()
        if self._child.signalstatus is not None:
            return signal.Signals(self._child.signalstatus).name
        return f"status {self._child.exitstatus}" if self._child.exitstatus else ""
