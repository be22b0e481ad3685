# SPDX-License-Identifier: GPL-2.0-or-later
"""A small client of the gdb remote protocol, for QEMU's stub on a unix socket.

The protocol is described in gdb's manual, appendix "Remote Serial Protocol".  Threads are vCPUs,
numbered from 1.  All of them stop when one does, and only those that are asked for go on.
"""

from __future__ import annotations

import contextlib
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError

ANSWER_SECONDS = 30.0  # for an answer that needs no guest to run; a busy host is slow
CHUNK = 65536  # bytes to read at once
SIGINT, SIGTRAP = 2, 5  # as the protocol numbers them, on every arch

_STOP = re.compile(r"T([0-9a-f]{2})(?:.*;)?thread:(?:p[0-9a-f]+\.)?([0-9a-f]+);")
_ESCAPED = re.compile(rb"}(.)", re.DOTALL)


class StubGoneError(InfrastructureError):
    """QEMU has closed the connection, as it does when it ends."""


@dataclass(frozen=True)
class Stop:
    """Why everything stopped."""

    signal: int  # SIGTRAP for a breakpoint or a step, SIGINT when it was asked for
    thread: int  # the vCPU, from 1


def frame(payload: bytes) -> bytes:
    """Return the packet that carries this payload."""
    return b"$%b#%02x" % (payload, sum(payload) & 0xFF)


class Packets:
    """Takes a stream apart into packets, however it is cut; what is damaged raises."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> None:
        """Take what came."""
        self._data += data

    def take(self) -> bytes | None:
        """Return the payload of the next packet, None when it has not come whole.

        Raises InfrastructureError for a wrong checksum: a unix socket loses nothing, so that is
        somebody else's protocol.
        """
        start = self._data.find(b"$")
        end = self._data.find(b"#", start)
        if start < 0 or end < 0 or len(self._data) < end + 3:
            return None
        payload, check = self._data[start + 1 : end], self._data[end + 1 : end + 3]
        if b"%02x" % (sum(payload) & 0xFF) != check.lower():
            raise InfrastructureError(f"QEMU's gdb stub sent a damaged packet: {payload[:60]!r}")
        self._data = self._data[end + 3 :]
        return _ESCAPED.sub(lambda m: bytes([m[1][0] ^ 0x20]), payload)


class Stub:
    """A connection to QEMU's stub.  A context manager; connecting stops the machine, and what is
    raised in the context ends QEMU.

    Nothing waits without an end.  Raises InfrastructureError for answers that are none or do not
    come, and StubGoneError when QEMU ends.
    """

    def __init__(self, path: Path, deadline: Deadline) -> None:
        self._path = path
        self._deadline = deadline  # of connecting
        self._packets = Packets()
        self._owe_ack = False
        self._acks = True
        self._selected = 0  # the thread whose registers are read
        self._registers: dict[tuple[int, int], int] = {}  # read since the last stop

    def __enter__(self) -> Stub:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        while True:
            try:
                self._socket.connect(str(self._path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if self._deadline.expired:
                    self._socket.close()
                    raise InfrastructureError("QEMU's gdb stub did not come up") from None
                time.sleep(0.02)
        # A guest that ran has been stopped by this, and QEMU may have said so, unasked.
        answer = self.ask("qSupported:vContSupported+")
        while _STOP.match(answer):
            answer = self._receive(Deadline.after(ANSWER_SECONDS), "to its first question")
        # QEMU answers single registers only to those who have read its description of them.
        self.ask("qXfer:features:read:target.xml:0,ffb")
        if self.ask("QStartNoAckMode") == "OK":
            self._acks = False
        self.ask("?")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with contextlib.suppress(InfrastructureError):
                self._write(b"+" + frame(b"k"))
        self._socket.close()

    def ask(self, text: str) -> str:
        """Send a packet and return the answer; "" is the stub's way to say that it cannot."""
        self._send(text)
        return self._receive(Deadline.after(ANSWER_SECONDS), f"to '{text[:40]}'")

    def threads(self) -> list[int]:
        """Return the numbers of all vCPUs."""
        found: list[int] = []
        answer = self.ask("qfThreadInfo")
        while answer.startswith("m"):
            found += [int(word.rpartition(".")[2], 16) for word in answer[1:].split(",")]
            answer = self.ask("qsThreadInfo")
        return found

    def read_register(self, thread: int, number: int) -> int:
        """Return a register of a vCPU, by the stub's number."""
        if (thread, number) not in self._registers:
            self._select(thread)
            value = int.from_bytes(self._hex(f"p{number:x}"), "little")
            self._registers[thread, number] = value
        return self._registers[thread, number]

    def write_register(self, thread: int, number: int, value: int, size: int = 8) -> None:
        """Set a register of a vCPU; size is the register's, in bytes."""
        self._select(thread)
        self._registers.clear()
        self._ok(f"P{number:x}={value.to_bytes(size, 'little').hex()}")

    def read_memory(self, thread: int, address: int, size: int) -> bytes:
        """Return bytes at a virtual address as that vCPU sees it."""
        self._select(thread)
        data = self._hex(f"m{address:x},{size:x}")
        if len(data) != size:
            raise InfrastructureError(f"QEMU's gdb stub gave {len(data)} bytes of {size}")
        return data

    def insert(self, address: int) -> None:
        """Set a breakpoint, for all vCPUs, at a virtual address of whatever address space."""
        self._ok(f"Z0,{address:x},1")

    def remove(self, address: int) -> None:
        """Take a breakpoint away."""
        self._ok(f"z0,{address:x},1")

    def step(self, thread: int, seconds: float = ANSWER_SECONDS) -> Stop:
        """Run one instruction of one vCPU and nothing else."""
        return self._resume(f"vCont;s:{thread:x}", seconds)

    def run(self, threads: list[int] | None, seconds: float) -> Stop:
        """Run these vCPUs, or all of them, until one stops or the time is over (SIGINT)."""
        only = "".join(f";c:{thread:x}" for thread in threads or [])
        return self._resume(f"vCont{only or ';c'}", seconds)

    def detach(self) -> None:
        """Let everything run on, without breakpoints."""
        with contextlib.suppress(StubGoneError):
            self.ask("D")

    def _resume(self, packet: str, seconds: float) -> Stop:
        """Let something run and return why it stopped; stop it when the time is over."""
        self._registers.clear()
        self._send(packet)
        payload = self._next(Deadline.after(seconds))
        if payload is None:
            # A stop that comes at this very moment is the answer, and this is then ignored.
            self._write(b"\x03")
            payload = self._next(Deadline.after(ANSWER_SECONDS))
        text = "" if payload is None else payload.decode(errors="replace")
        if text[:1] in ("W", "X"):
            raise StubGoneError("QEMU ended while the guest ran")
        match = _STOP.match(text)
        if not match:
            raise InfrastructureError(f"QEMU's gdb stub said no stop: '{text[:60]}'")
        stop = Stop(int(match[1], 16), int(match[2], 16))
        self._selected = stop.thread
        return stop

    def _select(self, thread: int) -> None:
        if thread != self._selected:
            self._ok(f"Hg{thread:x}")
            self._selected = thread

    def _ok(self, text: str) -> None:
        if (answer := self.ask(text)) != "OK":
            raise InfrastructureError(f"QEMU's gdb stub refused '{text}': '{answer[:60]}'")

    def _hex(self, text: str) -> bytes:
        answer = self.ask(text)
        try:
            data = bytes.fromhex(answer)
        except ValueError:
            data = b""
        if not data:
            raise InfrastructureError(f"QEMU's gdb stub refused '{text}': '{answer[:60]}'")
        return data

    def _send(self, text: str) -> None:
        # An acknowledgement of its own would stop a guest that has begun to run.
        ack = b"+" if self._owe_ack else b""
        self._owe_ack = False
        self._write(ack + frame(text.encode()))

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as exc:
            raise StubGoneError(f"QEMU's gdb stub is gone: {exc}") from exc

    def _receive(self, deadline: Deadline, what: str) -> str:
        payload = self._next(deadline)
        if payload is None:
            raise InfrastructureError(f"QEMU's gdb stub gave no answer {what}")
        return payload.decode(errors="replace")

    def _next(self, deadline: Deadline) -> bytes | None:
        """Return the next packet, None when it does not come in time."""
        while (payload := self._packets.take()) is None:
            self._socket.settimeout(max(deadline.remaining, 0.001))
            try:
                data = self._socket.recv(CHUNK)
            except TimeoutError:
                return None
            except OSError as exc:
                raise StubGoneError(f"QEMU's gdb stub is gone: {exc}") from exc
            if not data:
                raise StubGoneError("QEMU has closed its gdb stub")
            self._packets.feed(data)
        self._owe_ack = self._acks
        return payload
