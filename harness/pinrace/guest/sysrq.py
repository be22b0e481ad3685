# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest that hangs is asked before it is ended, by the console: sysrq behind a break.

Documentation/admin-guide/sysrq.rst.  The console's chardev is multiplexed, so that QEMU makes a
break of Ctrl-A b ("Keys in the character backend multiplexer" in its manual).
"""

from __future__ import annotations

import time

from pinrace.guest.console import Watcher
from pinrace.guest.process import Guest

BREAK = b"\x01b"
# What each CPU does, locks held (with lockdep), blocked tasks, all tasks
QUESTIONS = b"ldwt"
HEARD = 16  # bytes on the console that are more than an echo
QUIET = 0.3  # native seconds of silence after which an answer is over
LONGEST = 3.0  # native seconds for one answer
MOST = 20.0  # seconds for one answer, however slow the machine


def ask(guest: Guest, watcher: Watcher, scale: float) -> None:
    """Ask all questions and feed the answers to the watcher; a guest that is deaf is asked once.

    scale: how much slower than native the machine is.
    """
    for question in QUESTIONS:
        before = watcher.size
        guest.type(BREAK + bytes([question]))  # at once: a break is forgotten after 5 seconds
        _listen(guest, watcher, min(QUIET * scale, MOST / 4), min(LONGEST * scale, MOST))
        if guest.ended or watcher.size < before + HEARD:
            return


def _listen(guest: Guest, watcher: Watcher, quiet: float, longest: float) -> None:
    """Read the console until it was quiet for so long, or the longest time is over."""
    began = last = time.monotonic()
    while not guest.ended:
        now = time.monotonic()
        if now - last >= quiet or now - began >= longest:
            return
        if data := guest.read_console(0.05):
            watcher.feed(data)
            last = time.monotonic()
