# SPDX-License-Identifier: GPL-2.0-or-later
"""What a cell gives on the unpatched tree: learnt once, kept whole, and confirmed.

It is evidence like the patched tree's and judged as strictly: of a guest that did not come to its
planned end nothing is known.  What failed there once is called known after it failed again.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from threading import Event

from pydantic import TypeAdapter, ValidationError

from pinrace import store
from pinrace.engine.cell import Bench, Outcome, run_cell
from pinrace.errors import InfrastructureError
from pinrace.guest.machine import Machine
from pinrace.judge import ending
from pinrace.judge.ending import End
from pinrace.judge.match import keyed
from pinrace.paths import cache_dir
from pinrace.suites.registry import get_suite
from pinrace.values import CaseStatus, Cell, Mark

KIND = "baselines"
FILE = "baseline.json"
LAYOUT = "baseline-2"  # of the file, and of what counts as known
DAYS = 30.0  # after which a kept one is learnt anew, unless another age is asked for
CONFIRM = 2  # more runs of the cases that fail, before they are called known

_OUTCOME = TypeAdapter(Outcome)


class _NotKept(Exception):  # noqa: N818 (it is no error)
    """Carries an outcome that serves this time, and is not to be kept."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def run_baseline(
    cell: Cell, bench: Bench, *, only: str = "", stop: Event | None = None, days: float = DAYS
) -> Outcome:
    """Return what the cell gives on the unpatched tree, run once for each kernel and image.

    Everything that was learnt is kept in one file, so that the second run of the same kernels is
    held against the same.  One older than `days` is learnt anew.  Raises InfrastructureError when
    nothing is known: the guest did not boot, hung, panicked or could not be run, or its results
    were damaged.
    """
    key = _key(cell, bench, only)
    _expire(cache_dir() / KIND / key, days)

    def fill(into: Path) -> None:
        outcome, sure = _learn(cell, bench, into, only=only, stop=stop)
        if not sure:
            raise _NotKept(outcome)
        (into / FILE).write_bytes(_OUTCOME.dump_json(outcome, indent=1))

    try:
        folder = store.make(KIND, key, fill)
    except _NotKept as once:
        return once.outcome
    try:
        return _OUTCOME.validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError) as error:
        hint = f"pinrace cache --prune {KIND} --days 0"
        what = f"what is kept of the unpatched {cell.name} cannot be read"
        raise InfrastructureError(what, log=folder / FILE, hint=hint) from error


def _key(cell: Cell, bench: Bench, only: str) -> str:
    """Return what a baseline is kept under: all that may change it."""
    jobs = get_suite(cell.suite).jobs(bench.brought, only)
    argv = " ".join(word for job in jobs for word in job.argv)
    own = [bench.brought.digest] if bench.brought.digest else []
    return store.digest(
        LAYOUT,
        *(bench.kernel.digest, bench.image.digest, argv, only, identity(bench.machine)),
        *own,
    )


def _expire(folder: Path, days: float) -> None:
    """Remove what was kept and is too old, or of no use."""
    try:
        age = time.time() - (folder / FILE).stat().st_mtime
    except OSError:
        return
    if age >= days * 86400:
        shutil.rmtree(folder, ignore_errors=True)


def _learn(
    cell: Cell, bench: Bench, folder: Path, *, only: str, stop: Event | None
) -> tuple[Outcome, bool]:
    """Run it, and what fails a few times more; say whether that is sure enough to be kept.

    Raises InfrastructureError when it tells nothing.
    """
    first = run_cell(cell, bench, folder, only=only, stop=stop)
    evidence = first.evidence
    reading = ending.read(
        evidence.ending, evidence.reason, damage=evidence.channel_error, booted=evidence.booted
    )
    if reading.end is not End.ENDED or not evidence.abi_ok:
        why = reading.sentence if reading.end is not End.ENDED else evidence.abi_note
        raise InfrastructureError(f"there, {why}")
    bad = {
        key: case for key, case in keyed(first.cases) if case.status.bad and case.mark is Mark.NONE
    }
    if not bad or bench.machine.replay:
        return first, not (evidence.timed_out and first.host.busy)
    return _confirmed(cell, bench, first, list(bad), folder, stop=stop)


def _confirmed(
    cell: Cell, bench: Bench, first: Outcome, bad: list[str], folder: Path, *, stop: Event | None
) -> tuple[Outcome, bool]:
    """Run the cases that fail again; one that passes then is flaky, and not known.

    What ran into a time limit each time on a host that stayed busy is not known either, and nothing
    to be kept.
    """
    failed: Counter[str] = Counter(bad)
    seen: Counter[str] = Counter(bad)
    busy = first.host.busy
    only = get_suite(cell.suite).only([key for key in bad if "[" not in key] or bad)
    for number in range(1, CONFIRM + 1):
        place = folder / f"confirm-{number}"
        again = run_cell(cell, bench, place, only=only, stop=stop)
        busy = busy and again.host.busy
        for key, case in keyed(again.cases):
            if key in failed:
                seen[key] += 1
                failed[key] += case.status.bad
    late = {k for k, c in keyed(first.cases) if busy and c.status is CaseStatus.TIMEOUT}
    rates = {k: (failed[k], seen[k]) for k in bad if failed[k] < seen[k] or k in late}
    return replace(first, rates=rates), not late


def identity(machine: Machine) -> str:
    """What of a machine may change a result."""
    return (
        f"{machine.qemu.version} {machine.cpu} {machine.smp} {machine.mem_mb} {machine.accel.name}"
        f" {' '.join(machine.cmdline)}"
        + (f" {machine.replay}" if machine.replay else "")
        + (" turns" if machine.turns else "")
        + "".join(f" {seen}" for seen in machine.beside)
    )
