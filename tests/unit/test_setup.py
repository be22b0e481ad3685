# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests are run in one way, and have one budget of time."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pinrace
from pinrace.arches import ARCHES
from pinrace.guest.boot import REPLAY_SLOWER
from pinrace.guest.machine import Replay, get_machine
from pinrace.guest.setup import BOOT_SECONDS, SLACK, budget
from pinrace.values import Job

PACKAGE = Path(pinrace.__file__).parent
# The way itself, and guests that a person uses for as long as he likes.
OWN = ("guest/boot.py", "guest/setup.py", "access/live.py")


def test_nothing_else_runs_guests() -> None:
    others = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"\brun_guest\b", path.read_text())
    ]
    assert set(others) <= set(OWN), "take pinrace.guest.setup"


def test_a_guest_may_take_what_its_boot_and_jobs_may() -> None:
    machine = get_machine(ARCHES["x86_64"], smp=1)
    machine = replace(machine, accel=machine.accel.model_copy(update={"scale": 10.0}))
    jobs = [Job("a", ("a",), 3.0), Job("b", ("b",), 4.0)]
    assert budget(machine, jobs) == (BOOT_SECONDS + 7) * 10 + SLACK
    assert budget(machine, jobs, slow_boot=100) == (BOOT_SECONDS + 107) * 10 + SLACK
    slower = replace(machine, replay=Replay(1))
    assert budget(slower, jobs) == (BOOT_SECONDS + 7) * 10 * REPLAY_SLOWER + SLACK
