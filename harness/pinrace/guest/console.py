# SPDX-License-Identifier: GPL-2.0-or-later
"""What the harness looks for on the console while a guest runs; judging it comes later."""

from __future__ import annotations

import re
from collections import deque

TAIL_LINES = 25
_MAX_LINE = 4096  # bytes; longer ones are cut, so that a flood without line ends stays small

# A line of the kernel's, with or without time and caller: kernel/panic.c prints it.  Anchored,
# so that a test which prints these words in a line of its own is no panic.
_PANIC = re.compile(r"^(?:\[ *\d+\.\d+\](?:\[ *[CT]\d+\])? )?Kernel panic - not syncing: ?(.*)$")
# QEMU's own words when SIGTERM, SIGINT or SIGHUP ends it, with status 0.
_TERMINATED = re.compile(r"^qemu-system-\S+: terminating on signal (\d+)(.*)$")
_QEMU_SAYS = re.compile(r"^qemu-system-\S+: ")


class Watcher:
    """Reads the console as it comes."""

    def __init__(self) -> None:
        self.size = 0  # bytes so far
        self.panic: str | None = None  # the kernel's words
        self.terminated: str | None = None  # QEMU's, when a signal ended it
        self.qemu_says: list[str] = []
        self.guest_spoke = False
        self._lines: deque[str] = deque(maxlen=TAIL_LINES)
        self._open = b""  # the line that has not ended

    def feed(self, data: bytes) -> None:
        """Take what was printed."""
        self.size += len(data)
        *lines, self._open = (self._open + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._open) > _MAX_LINE:
            self._line(self._open)
            self._open = b""

    def finish(self) -> None:
        """Say that no more comes."""
        if self._open:
            self._line(self._open)
            self._open = b""

    @property
    def tail(self) -> str:
        """The last lines."""
        return "\n".join(self._lines)

    @property
    def last_line(self) -> str:
        """The last line that says anything; "" when there is none."""
        return next((line for line in reversed(self._lines) if line.strip()), "")

    def _line(self, raw: bytes) -> None:
        line = raw[:_MAX_LINE].decode(errors="replace").rstrip("\r")
        self._lines.append(line)
        if _QEMU_SAYS.match(line):
            self.qemu_says.append(line)
        elif line.strip():
            self.guest_spoke = True
        if self.panic is None and (match := _PANIC.match(line)):
            self.panic = match[1].strip()
        if match := _TERMINATED.match(line):
            self.terminated = f"signal {match[1]}{match[2]}"
