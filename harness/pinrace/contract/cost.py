# SPDX-License-Identifier: GPL-2.0-or-later
"""What system calls cost with a series and without: instructions, counted and not timed.

A guest whose clock advances with each instruction (QEMU's icount) runs the guest program `price`,
twice on each kernel; the number is the same both times or there is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pinrace.arches import ABIS, get_arch
from pinrace.engine.build import Built
from pinrace.errors import InfrastructureError
from pinrace.guest.machine import Machine, Replay, get_machine
from pinrace.guest.outcome import Ending
from pinrace.guest.setup import Setup
from pinrace.suites.suite import PROGRAMS
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Job, Verdict

REPLAY = Replay(seed=1, shift=1)
LIMIT = 0.005  # C22: what a call without a snapshot may cost more
LIMITED = ("open+close", "write", "execve")  # the calls that C22 names
TIMES = 2
PROGRAM = Job("price", (f"{PROGRAMS}/price",), timeout=60)
_RECORD = re.compile(r"^price call=(\S+) ns=([0-9.]+)$")


@dataclass(frozen=True)
class Price:
    """Instructions of one call on an ABI; without: None where only the series has it."""

    abi: str
    call: str
    without: float | None
    with_series: float

    @property
    def more(self) -> float | None:
        """The share that the call costs more."""
        return self.with_series / self.without - 1 if self.without else None

    @property
    def too_much(self) -> bool:
        """Whether it breaks what is promised."""
        return self.call in LIMITED and self.more is not None and self.more >= LIMIT


def machine(abi: str) -> Machine:
    """Return a machine that counts: one CPU, under icount."""
    return get_machine(get_arch(ABIS[abi].arch), smp=1, replay=REPLAY)


def measure(built: Built, abi: str, folder: Path) -> dict[str, float]:
    """Return instructions by call on the plain kernel of an ABI.

    Raises InfrastructureError when a guest fails, or when two of them do not count the same.
    """
    counts = [_once(built, abi, folder / str(number)) for number in range(1, TIMES + 1)]
    if any(count != counts[0] for count in counts):
        differ = sorted(call for call in counts[0] if counts[1].get(call) != counts[0][call])
        raise InfrastructureError(
            f"{abi}: two runs of the same kernel count differently: {', '.join(differ)}",
            log=folder,
            hint="does this QEMU replay? see the two consoles",
        )
    return counts[0]


def _once(built: Built, abi: str, folder: Path) -> dict[str, float]:
    kernel = built.kernels[ABIS[abi].arch, "plain"]
    on = machine(abi)
    run = Setup(kernel, built.images[abi], on).boot([PROGRAM], folder)
    job = run.jobs[0]
    if run.ending is not Ending.DONE or job.status != 0:
        said = job.output.decode(errors="replace").strip()
        why = run.reason if run.ending is not Ending.DONE else said or job.error
        raise InfrastructureError(f"{abi}: nothing was counted: {why}", log=run.console)
    return parse(job.recs)


def parse(records: Sequence[str]) -> dict[str, float]:
    """Return instructions by call: virtual nanoseconds over those of an instruction."""
    found = (match for line in records if (match := _RECORD.match(line)))
    return {match[1]: float(match[2]) / 2**REPLAY.shift for match in found}


def compare(abi: str, base: Mapping[str, float], patched: Mapping[str, float]) -> list[Price]:
    """Return a price for each call that the patched kernel made."""
    return [Price(abi, call, base.get(call), count) for call, count in patched.items()]


def result(cell: Cell, prices: Sequence[Price]) -> CellResult:
    """Return the prices of an ABI as a judged cell, a case for each call."""
    cases = tuple(_case(price) for price in prices)
    bad = tuple(case.name for case in cases if case.status.bad)
    if bad:
        reason = f"{', '.join(bad)} cost at least {LIMIT:.1%} more"
        return CellResult(cell, Verdict.FAIL, reason, cases, new=bad)
    if not cases:
        return CellResult(cell, Verdict.MISS, "no call was counted")
    return CellResult(cell, Verdict.PASS, f"{len(cases)} calls cost what they did", cases)


def _case(price: Price) -> CaseResult:
    """Return the case of a call; one that only the series has cannot be compared."""
    more = f"{price.with_series:,.1f} instructions"
    if price.more is None:
        return CaseResult(price.call, CaseStatus.SKIP, f"{more}, not there without the series")
    status = CaseStatus.FAIL if price.too_much else CaseStatus.PASS
    return CaseResult(price.call, status, f"{more}, {price.more:+.2%}")


def markdown(prices: Sequence[Price], facts: Mapping[str, str]) -> str:
    """Return the table of all prices."""
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "| ABI | call | without | with | difference |", "|---|---|--:|--:|--:|"]
    for price in prices:
        without = "n/a" if price.without is None else f"{price.without:,.1f}"
        more = "n/a" if price.more is None else f"{price.more:+.2%}"
        mark = " **too much**" if price.too_much else ""
        lines.append(
            f"| {price.abi} | {price.call} | {without} | {price.with_series:,.1f} | {more}{mark} |"
        )
    return "\n".join(lines) + "\n"
