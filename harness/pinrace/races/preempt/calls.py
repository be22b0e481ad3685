# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls from one CPU to others, which a CPU that stands still has to answer all the same.

Whoever throws pages away, or changes what they may be used for, asks all CPUs that have run this
address space to forget them, and waits.  The held CPU is let run for that interrupt alone: it
begins and ends at the very instruction at which the CPU is held.
"""

from __future__ import annotations

import time
from collections.abc import Container

from pinrace.arches import Arch
from pinrace.errors import InfrastructureError
from pinrace.races.preempt.stub import SIGINT, Stub

# Where a CPU waits for the answers.
WAITERS = frozenset({"smp_call_function_many_cond", "smp_call_function_single"})
MOST_ASKED = 10  # times in one wait that CPUs are let answer: who has interrupts off, does not
SECONDS = 5.0  # for one interrupt


def answer(stub: Stub, arch: Arch, thread: int, inserted: Container[int]) -> None:
    """Let a stopped vCPU take the interrupts that wait for it, and have it back where it was.

    inserted: where there are breakpoints.  A vCPU with interrupts off is back at once.  Raises
    InfrastructureError when it does not come back.
    """
    registers = (arch.debug.pc, arch.debug.sp)
    home = [stub.read_register(thread, number) for number in registers]
    mine = home[0] not in inserted
    if mine:
        stub.insert(home[0])
    until = time.monotonic() + SECONDS
    try:
        while time.monotonic() < until:
            # QEMU takes an interrupt that waits before it looks for a breakpoint.
            stop = stub.run([thread], max(until - time.monotonic(), 0.1))
            if stop.signal == SIGINT:
                break
            if [stub.read_register(thread, number) for number in registers] == home:
                return
            stub.step(thread)  # a breakpoint on the interrupt's way
        raise InfrastructureError("a held CPU did not come back from an interrupt")
    finally:
        if mine:
            stub.remove(home[0])
