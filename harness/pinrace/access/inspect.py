# SPDX-License-Identifier: GPL-2.0-or-later
"""What a guest's memory says: a program for drgn, run on a dump by access/crash.py.

python -m pinrace.access.inspect VMCORE VMLINUX prints three sections: tasks with their stacks,
locks held (where lockdep was on), and the kernel's ring buffer.
"""

from __future__ import annotations

import sys
from typing import Any

STACKS = 400  # tasks whose stack is printed
LINES = 4000  # of the ring buffer


def tasks(prog: Any) -> None:
    """Print each task; those that run first, then those that wait for something."""
    from drgn.helpers.linux.pid import for_each_task
    from drgn.helpers.linux.sched import task_cpu, task_state_to_char

    found = []
    for task in for_each_task(prog):
        state = task_state_to_char(task)
        found.append(("RDSI".find(state) % 9, int(task.pid), state, task))
    found.sort(key=lambda one: one[:2])
    print(f"# Tasks: {len(found)}")
    for _, pid, state, task in found[:STACKS]:
        name = task.comm.string_().decode(errors="replace")
        print(f"\n{state} {pid} {name} on CPU {task_cpu(task)}")
        try:
            for frame in prog.stack_trace(task):
                print(f"    {_place(frame)}")
        except (LookupError, ValueError) as error:
            print(f"    (no stack: {error})")


def _place(frame: Any) -> str:
    """Return a frame as function, file and line."""
    name = frame.name or hex(frame.pc)
    try:
        file, line, _ = frame.source()
    except LookupError:
        return str(name)
    return f"{name} ({file}:{line})"


def locks(prog: Any) -> None:
    """Print which task holds which lock."""
    from drgn.helpers.linux.pid import for_each_task

    print("\n# Locks held")
    if not prog.type("struct task_struct").has_member("lockdep_depth"):
        print("not known: this kernel has no lockdep (--flavor debug has it)")
        return
    any_held = False
    for task in for_each_task(prog):
        for index in range(int(task.lockdep_depth)):
            any_held = True
            held = task.held_locks[index]
            name = prog["lock_classes"][held.class_idx].name.string_().decode(errors="replace")
            where = _symbol(prog, int(held.acquire_ip))
            who = task.comm.string_().decode(errors="replace")
            print(f"{who} {int(task.pid)}: {name} at {int(held.instance):#x}, taken in {where}")
    if not any_held:
        print("none")


def _symbol(prog: Any, address: int) -> str:
    try:
        return str(prog.symbol(address).name)
    except LookupError:
        return hex(address)


def ring_buffer(prog: Any) -> None:
    """Print the end of the kernel's log."""
    from drgn.helpers.linux.printk import get_dmesg

    lines = get_dmesg(prog).decode(errors="replace").splitlines()
    print(f"\n# Ring buffer: {len(lines)} lines")
    print("\n".join(lines[-LINES:]))


def main(argv: list[str]) -> int:
    """Open the dump and print all; a section that fails says why, and the others go on."""
    import drgn

    vmcore, vmlinux = argv
    prog = drgn.Program()
    prog.set_core_dump(vmcore)
    prog.load_debug_info([vmlinux])
    failed = 0
    for section in (tasks, locks, ring_buffer):
        try:
            section(prog)
        except Exception as error:
            failed += 1
            print(f"({section.__name__} cannot be read: {type(error).__name__}: {error})")
    return 1 if failed == 3 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
