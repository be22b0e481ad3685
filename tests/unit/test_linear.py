# SPDX-License-Identifier: GPL-2.0-or-later
"""What reads foreign text takes time in proportion to it.

Each input is so large that quadratic work takes minutes, and linear work a fraction of a second.
The cap is CPU time, and far beyond what a linear reader needs, so that no busy host can reach it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
from splat_logs import CUT, log, warn

from pinrace.judge.match import normal
from pinrace.judge.splats import find
from pinrace.series import letters
from pinrace.suites import ktap

CAP = 20.0  # seconds of CPU time; the slowest input takes half a second
TAP = "TAP version 13\n"
MAIL = (
    "From x Mon Sep 17 00:00:00 2001\nFrom: A Person <a@example.org>\n"
    "Date: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: [PATCH 1/1] {}\n\n{}\n---\n tea | 2 +-\n\n"
    "diff --git a/tea b/tea\n--- a/tea\n+++ b/tea\n@@ -1 +1 @@\n-cold\n+hot\n-- \n2.39\n"
)


def place(subject: str, text: str = "why") -> None:
    for letter in letters.read(MAIL.format(subject, text).encode()):
        assert letter.place
        assert letter.diffs


def cases(text: str) -> None:
    assert ktap.parse(text).flatten()


ENTRY = ["ref_tracker: net@f has 1/3 users at", " qed_open+0x1/0x2"]
READERS: dict[str, tuple[Callable[[str], object], str]] = {
    "glued results": (cases, TAP + "ok 1 a[   1.000000] " * 300_000),
    "blocks of YAML": (cases, f"{TAP}ok 1 a\n" + "  ---\n  ...\n" * 50_000),
    "directives": (cases, f"{TAP}ok 1 " + "# x " * 200_000),
    "escapes": (cases, f"{TAP}ok 1 " + "\\" * 500_000 + "# x"),
    "colours": (cases, f"{TAP}ok 1 " + "\x1b[" * 50_000),
    "indentation": (cases, "# " * 300_000),
    "encoded words": (place, "=?utf-8?q?a" * 50_000),
    "brackets": (place, "[PATCH " * 100_000),
    "scissors": (lambda text: place("tea", text), "-- >8 " * 100_000),
    "quotes": (lambda text: place("tea", text), "> " * 300_000),
    "a line of a console": (find, log("BUG: " + "0a" * 400_000)),
    "times in a line": (find, log("x" + "[   20.000000] BUG: x" * 3_000)),
    "numbers of CPUs": (
        find,
        log("rcu: INFO: rcu_sched detected stalls on CPUs/tasks:", "\t" + "1-...!: " * 90_000),
    ),
    "cuts": (find, log([CUT] * 3_000)),
    "warnings of one function": (
        find,
        log(
            warn("qed", head=f"WARNING: fs/tea.c:{line} at qed+0x5e/0x90, CPU#1: qed/217")
            for line in range(300)
        ),
    ),
    "entries of a list": (find, log(ENTRY * 3_000, CUT, ["tea"] * 3_000)),
    "names": (normal, "deadbee1-1234-" * 6_000),
    "digits of names": (normal, "1" * 100_000),
}


@contextmanager
def capped() -> Iterator[None]:
    def over(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"took more than {CAP} s of CPU time")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, CAP)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@pytest.mark.parametrize("name", READERS)
def test_a_reader_is_linear(name: str) -> None:
    read, text = READERS[name]
    with capped():
        read(text)


def spin() -> None:
    with capped():
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.05)
        while True:
            pass


def test_the_cap_ends_what_is_not_linear() -> None:
    with pytest.raises(AssertionError, match="CPU time"):
        spin()
