# SPDX-License-Identifier: GPL-2.0-or-later
"""A call that costs nearly nothing: a process that sleeps where a cell has a guest.

It shows that calls travel, end and come back, on hosts without kernels: see tests/fleet.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from threading import Event

from pinrace import procs, store
from pinrace.errors import InfrastructureError
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Verdict

SUITE = "trial"
CONSOLE = "console.log"
_LOOK = 0.05
_FAILS = 7  # one of so many cells fails, always the same


def trial(cell: Cell, seconds: float, folder: Path, *, stop: Event | None = None) -> CellResult:
    """Start a process that sleeps so long; return a verdict that only the cell decides.

    Raises KeyboardInterrupt when `stop` is set, InfrastructureError when the process is killed.
    """
    began = time.monotonic()
    argv = [*procs.PDEATHSIG, "sleep", str(seconds)]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True) as child:
        try:
            while child.poll() is None:
                if stop and stop.is_set():
                    raise KeyboardInterrupt
                time.sleep(_LOOK)
        finally:
            child.kill()
    if child.returncode:
        raise InfrastructureError(f"the process of {cell.name} ended with {child.returncode}")
    told = int(store.digest(cell.name), 16)
    bad = told % _FAILS == 0
    (folder / CONSOLE).write_text(f"{cell.name} {told:x}\n")
    case = CaseResult("sleep", CaseStatus.FAIL if bad else CaseStatus.PASS)
    verdict = Verdict.FAIL if bad else Verdict.PASS
    reason = "it fails on purpose" if bad else "1 case passed"
    took = time.monotonic() - began
    return CellResult(cell, verdict, reason, (case,), seconds=took, folder=folder)
