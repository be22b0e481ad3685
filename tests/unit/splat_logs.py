# SPDX-License-Identifier: GPL-2.0-or-later
"""Consoles put together from parts, in the forms of the kernels of `help trees`.

Functions and drivers are made up; what stands around them is what a kernel prints.
"""

from __future__ import annotations

from collections.abc import Iterable

BOOT = (
    "Linux version 7.3.4 (builder@example) (gcc 14) #1 SMP PREEMPT",
    "Run /init as init process",
)
CUT = "------------[ cut here ]------------"
END = "---[ end trace 0000000000000000 ]---"
FATAL = "Kernel panic - not syncing: Fatal exception"
NULL = "BUG: kernel NULL pointer dereference, address: 0000000000000018"
BAR = "=" * 66
_SYSCALL = ("do_syscall_64", "entry_SYSCALL_64_after_hwframe")


def log(*parts: str | Iterable[str], caller: str = "", step: float = 0.00015) -> str:
    """A console: the boot, and the parts' lines with times (and callers) in front.

    A part that begins with "raw:" stands there as it is; "wait:N" lets N seconds pass.
    """
    lines = [f"[    {i}.000000]{_prefix(caller)} {text}" for i, text in enumerate(BOOT)]
    now = 20.0
    for text in flat(parts):
        if text.startswith("raw:"):
            lines.append(text.removeprefix("raw:"))
        elif text.startswith("wait:"):
            now += float(text.removeprefix("wait:"))
        else:
            lines.append(f"[{now:12.6f}]{_prefix(caller)} {text}")
            now += step
    return "\n".join(lines) + "\n"


def merged(one: str, two: str) -> str:
    """Two consoles as one, a line of each in turn behind the boot, times rising."""
    a, b = one.splitlines()[len(BOOT) :], two.splitlines()[len(BOOT) :]
    turns = [line for pair in zip(a, b, strict=False) for line in pair]
    turns += a[len(b) :] + b[len(a) :]
    rising = [f"[{20 + i / 10000:12.6f}]{line.partition(']')[2]}" for i, line in enumerate(turns)]
    return "\n".join([*one.splitlines()[: len(BOOT)], *rising]) + "\n"


def flat(parts: Iterable[str | Iterable[str]]) -> list[str]:
    """The lines of parts, each of which is one or has some."""
    return [t for part in parts for t in ([part] if isinstance(part, str) else flat(part))]


def _prefix(caller: str) -> str:
    return f"[{caller:>6}]" if caller else ""


def who(cpu: int = 1, pid: int = 217, comm: str = "qed") -> list[str]:
    """The lines that say where a report comes from."""
    return [
        f"CPU: {cpu} UID: 0 PID: {pid} Comm: {comm} Not tainted 7.3.4 #1 PREEMPT",
        "Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2",
    ]


def regs(function: str) -> list[str]:
    """Registers as x86 prints them."""
    return [
        f"RIP: 0010:{function}+0x5e/0x90",
        "Code: 48 89 df e8 00 00 00 00 0f 0b eb d8",
        "RSP: 0018:ffffc90000a3bd18 EFLAGS: 00010286",
        "RAX: 0000000000000000 RBX: ffff888004a1c000 RCX: 0000000000000000",
    ]


def trace(*functions: str, syscall: bool = True) -> list[str]:
    """A stack as x86 prints it; of a system call unless told otherwise."""
    whole = (*functions, *(_SYSCALL if syscall else ()))
    frames = [f" {name}+{16 + 7 * i:#x}/{128 + 16 * i:#x}" for i, name in enumerate(whole)]
    return ["Call Trace:", " <TASK>", *frames, " </TASK>"]


def warn(*functions: str, words: str = "", head: str = "", cpu: int = 1) -> list[str]:
    """A WARN in the first function, of which `words` are what it says."""
    head = head or f"WARNING: fs/qed/tree.c:58 at {functions[0]}+0x5e/0x90, CPU#{cpu}: qed/217"
    said = [words] if words else []
    return [CUT, *said, head, *who(cpu), *regs(functions[0]), *trace(*functions), END]


def oops(*functions: str, head: str = NULL) -> list[str]:
    """A trap in the first function."""
    return [head, "Oops: Oops: 0000 [#1] SMP", *who(), *regs(functions[0]), *trace(*functions), END]


def arm64(*functions: str, head: str) -> list[str]:
    """A trap as arm64 prints it."""
    first, *rest = (f"{name}+{16 + i:#x}/{128 + i:#x}" for i, name in enumerate(functions))
    return [
        head,
        *who(),
        "pstate: 60000005 (nZCv daif -PAN -UAO -TCO -DIT -SSBS BTYPE=--)",
        f"pc : {first}",
        "lr : qed_link_register+0x38/0x64",
        "sp : ffff800083547b60",
        "x29: ffff800083547b60 x28: 000000003ba96910 x27: ffff800083547db0",
        "Call trace:",
        f" {first} (P)",
        *(f" {frame}" for frame in rest),
        " el0_svc_common.constprop.0+0xdc/0x328",
        " el0t_64_sync+0x154/0x158",
        "Code: 17fffff6 d2d00000 52800061 f2fbffe0 (39c00000) ",
        END,
    ]
