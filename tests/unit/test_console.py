# SPDX-License-Identifier: GPL-2.0-or-later
"""A panic is one when the kernel says so, and only then."""

from __future__ import annotations

import pytest

from pinrace.guest.console import TAIL_LINES, Watcher


def watch(*chunks: bytes) -> Watcher:
    watcher = Watcher()
    for chunk in chunks:
        watcher.feed(chunk)
    watcher.finish()
    return watcher


@pytest.mark.parametrize(
    "line",
    [
        b"[    1.5] Kernel panic - not syncing: Fatal exception\r\r\n",
        b"[   12.345678][    C1] Kernel panic - not syncing: Fatal exception\r\n",
        b"[   12.345678][   T42] Kernel panic - not syncing: Fatal exception\n",
        b"Kernel panic - not syncing: Fatal exception",
    ],
)
def test_panics(line: bytes) -> None:
    assert watch(b"[    0.0] booting\r\n" + line).panic == "Fatal exception"
    assert watch(line[:9], line[9:20], line[20:]).panic == "Fatal exception"


@pytest.mark.parametrize(
    "line",
    [
        b"# the log must not hold 'Kernel panic - not syncing: x'\n",
        b"[    1.0] misbehave: Kernel panic - not syncing: x\n",
        b"[    1.0] panic_print: Kernel panic\n",
    ],
)
def test_no_panics(line: bytes) -> None:
    assert watch(line).panic is None


def test_the_end_that_qemu_reports_with_status_0() -> None:
    watcher = watch(b"qemu-system-x86_64: terminating on signal 15 from pid 77 (bash)\r\n")
    assert watcher.terminated == "signal 15 from pid 77 (bash)"
    assert not watcher.guest_spoke


def test_the_tail_is_bounded_and_so_is_a_line() -> None:
    watcher = watch(b"".join(b"line %d\r\n" % n for n in range(100)), b"x" * 100_000)
    assert watcher.size == 100_000 + sum(len(b"line %d\r\n" % n) for n in range(100))
    assert len(watcher.tail.splitlines()) == TAIL_LINES
    assert len(watcher.last_line) < 5000
