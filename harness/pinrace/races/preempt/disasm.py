# SPDX-License-Identifier: GPL-2.0-or-later
"""Which instructions of a function another CPU can notice.

One that only moves registers about cannot be told from the next one by anybody else, so that to
hold a CPU before either is the same.
"""

from __future__ import annotations

import re
from pathlib import Path

from pinrace.arches import Arch
from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError
from pinrace.host import sandbox
from pinrace.races.preempt.symbols import Function

SECONDS = 120.0  # for objdump, which reads a few kilobytes

_LINE = re.compile(r"^ *([0-9a-f]+):\t(.+?)\s*(?:[#</].*)?$")


def noticeable(vmlinux: Path, arch: Arch, function: Function) -> frozenset[int]:
    """Return where the instructions are that do more than to move registers about.

    What objdump prints is matched against the arch's list; what is not on it counts.  Raises
    InfrastructureError when objdump cannot be run or shows nothing.
    """
    quiet = re.compile(arch.debug.quiet)
    found: set[int] = set()
    seen = 0
    for low, high in function.ranges:
        bounds = [f"--start-address={low:#x}", f"--stop-address={high:#x}"]
        shown = sandbox.run(
            [f"{arch.cross}objdump", "-d", "--no-show-raw-insn", *bounds, vmlinux],
            binds=sandbox.reads(vmlinux),
            deadline=Deadline.after(SECONDS),
            what="objdump",
            hint="pinrace doctor",
        )
        for line in shown.output.splitlines():
            if match := _LINE.match(line):
                seen += 1
                if not quiet.fullmatch(" ".join(match[2].split())):
                    found.add(int(match[1], 16))
    if not seen:
        raise InfrastructureError(f"objdump shows no instruction of {function.name}", log=vmlinux)
    return frozenset(found)
