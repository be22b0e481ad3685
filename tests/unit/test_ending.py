# SPDX-License-Identifier: GPL-2.0-or-later
"""The one reading of a guest's end."""

from __future__ import annotations

import pytest

from pinrace.judge.ending import End, read
from pinrace.values import Ending, Splat

WARN = Splat("warn", "WARNING: x", 3, "", "warn: x")
SETUP = Splat("no-init", "No working init found", 3, "", "no-init: x")
HOST = Splat("timer-check", "Kernel panic - not syncing: IO-APIC", 3, "", "timer-check: x")


@pytest.mark.parametrize(
    ("ending", "end"),
    [
        (Ending.DONE, End.ENDED),
        (Ending.PANIC, End.DIED),
        (Ending.EARLY_EXIT, End.DIED),
        (Ending.HANG, End.HUNG),
        (Ending.FLOOD, End.HUNG),
        (Ending.KILLED, End.INFRA),
        (Ending.NO_BOOT, End.INFRA),
    ],
)
def test_each_ending(ending: Ending, end: End) -> None:
    reading = read(ending, "so it was")
    assert reading.end is end
    assert "so it was" in reading.sentence
    assert reading.against == (end in (End.DIED, End.HUNG))


def test_no_boot_is_the_kernel_s_where_another_boots() -> None:
    assert read(Ending.NO_BOOT, boots=True).end is End.HUNG


def test_a_damaged_channel_says_nothing_unless_the_kernel_died() -> None:
    for ending in (Ending.DONE, Ending.HANG, Ending.FLOOD):
        assert read(ending, damage="torn").end is End.INFRA
    assert read(Ending.PANIC, damage="torn").end is End.DIED


def test_reports() -> None:
    assert read(Ending.DONE, splats=[WARN]).end is End.REPORTED
    assert read(Ending.PANIC, splats=[WARN]).end is End.DIED
    assert read(Ending.DONE, splats=[WARN], known={"warn: x"}).end is End.ENDED
    assert read(Ending.KILLED, splats=[WARN]).end is End.REPORTED
    assert "and 1 more" in read(Ending.DONE, splats=[WARN, WARN]).sentence


def test_setup_counts_only_before_init_reports() -> None:
    assert read(Ending.PANIC, splats=[SETUP], booted=False).end is End.INFRA
    # a program may print these words later: what it hides is judged as ever
    assert read(Ending.DONE, splats=[SETUP, WARN], booted=True).end is End.REPORTED


def test_the_host_s_fault_is_not_the_kernel_s() -> None:
    assert read(Ending.PANIC, splats=[HOST], booted=False).end is End.INFRA
    assert read(Ending.PANIC, splats=[HOST, WARN], booted=False).end is End.DIED
