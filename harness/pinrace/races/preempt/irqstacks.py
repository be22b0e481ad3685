# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a CPU is in an interrupt: softirqs and interrupts have stacks of their own."""

from __future__ import annotations

from pinrace.arches import Arch
from pinrace.races.preempt.stub import Stub
from pinrace.races.preempt.symbols import Symbols

# Variables for each CPU, of each arch, that tell where its interrupt stack is.
NOTES = ("hardirq_stack_ptr", "irq_stack_ptr")
CPU_OFFSETS = "__per_cpu_offset"
SIZE = 32768  # bytes at the most: with KASAN; there is nothing behind a smaller one
WORD = 8  # bytes: kernels have 64 bits


class IrqStacks:
    """The interrupt stacks of a guest's CPUs, read when they are asked for."""

    def __init__(self, stub: Stub, arch: Arch, symbols: Symbols) -> None:
        self._stub, self._symbols = stub, symbols
        self._from_end = arch.debug.irq_stack_from_end
        self._noted: dict[int, int] = {}  # by thread

    def has(self, thread: int, sp: int) -> bool:
        """Whether a stack pointer is in a CPU's interrupt stack; no, where the kernel has none."""
        if thread not in self._noted:
            self._noted[thread] = self._read(thread)
        noted = self._noted[thread]
        beyond = noted - sp if self._from_end else sp - noted
        return noted != 0 and 0 <= beyond < SIZE

    def _read(self, thread: int) -> int:
        """Return what a CPU notes of its interrupt stack, 0 where the kernel has no such note."""
        offsets = self._symbols.data(CPU_OFFSETS)
        variable = next(filter(None, map(self._symbols.data, NOTES)), None)
        if offsets is None or variable is None:
            return 0
        place = self._word(thread, offsets + WORD * (thread - 1)) + variable
        return self._word(thread, place % (1 << 64))

    def _word(self, thread: int, address: int) -> int:
        return int.from_bytes(self._stub.read_memory(thread, address, WORD), "little")
