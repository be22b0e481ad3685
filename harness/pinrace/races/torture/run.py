# SPDX-License-Identifier: GPL-2.0-or-later
"""Torture one cell: boot a guest, let the lanes run, judge what they and the console say."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from threading import Event

from pinrace.arches import ABIS, Abi
from pinrace.engine.cell import Bench, check_abi, find_splats
from pinrace.errors import InfrastructureError, said
from pinrace.guest.boot import Limits
from pinrace.guest.channel import Record
from pinrace.guest.machine import SEQUENTIAL, UNORDERED, Machine
from pinrace.guest.outcome import GuestRun
from pinrace.guest.setup import Setup
from pinrace.judge import blame, splats
from pinrace.judge.ending import End
from pinrace.judge.verdict import Ending, Evidence
from pinrace.races.trials import judge as judging
from pinrace.races.trials.jobs import job
from pinrace.races.trials.records import Told, parse
from pinrace.races.trials.values import Count, TorturePlan, TortureResult, Violation
from pinrace.suites.suite import ABIPROBE
from pinrace.values import Cell, Splat, Verdict

__all__ = ["Count", "TorturePlan", "TortureResult", "Violation", "torture"]

RECORDS = "records.txt"
# CPUs of a guest, unless `pinrace torture --measure` has found another number for this host.  On
# one of two cores with nothing else to do, exposed trials a CPU second, x86_64 / arm64 (7.3.4 under
# TCG, 20 s each):
#   1 guest  of 2 CPUs  134 / 87
#   2 guests of 2 CPUs   55 / 45
#   1 guest  of 4 CPUs   57 / 72
#   2 guests of 4 CPUs   37 / 17
# Lanes a CPU matter less: 40 with one, 54 with two and with four, on a busy host (x86_64, boot
# included); the guest program has two as its default.
SMP = 2

CONSOLE = 64 << 20  # bytes: the list of all tasks is long
CHANNEL, CHANNEL_SECOND = 64 << 20, 16 << 10  # bytes; about 4,400 were seen in a guest's second


def torture(
    cell: Cell,
    bench: Bench,
    plan: TorturePlan,
    folder: Path,
    *,
    stop: Event | None = None,
    on_second: Callable[[Told], None] | None = None,
) -> TortureResult:
    """Torture a cell and judge it; everything that was printed stays in the folder.

    on_second sees each second what has been told so far.  Setting `stop` ends it early: what was
    found so far is kept, and the verdict is MISS where that is no failure.  Raises
    InfrastructureError when the guest cannot be started at all.
    """
    work = job(plan, bench.machine.accel.scale)
    folder.mkdir(parents=True, exist_ok=True)
    live = Live(folder / RECORDS, on_second)
    try:
        ran = Setup(bench.kernel, bench.image, bench.machine).boot(
            [ABIPROBE, work],
            folder,
            limits=Limits(console=CONSOLE, channel=CHANNEL + int(plan.seconds) * CHANNEL_SECOND),
            on_record=live.take,
            stop=stop,
        )
    except KeyboardInterrupt:
        if stop is None or not stop.is_set():
            raise
        return stopped(live.told(), folder)
    return judged(ABIS[cell.abi], bench, ran, folder)


def judged(abi: Abi, bench: Bench, ran: GuestRun, folder: Path) -> TortureResult:
    """Judge a guest whose last job was a torture.

    Raises InfrastructureError when its console cannot be read.
    """
    jobs = {done.name: done for done in ran.jobs}
    main = ran.jobs[-1]
    told = parse(main.recs)
    ok, note = check_abi(abi, jobs, direct=True)
    ending = ran.ending
    said = main.error or main.output.decode(errors="replace").strip()[-300:]
    evidence = Evidence(
        ending=ending,
        reason=said if ending is Ending.DONE else ran.reason,
        job_status=main.status,
        job_signal=main.signal,
        timed_out=main.timed_out,
        abi_ok=ok,
        abi_note=note,
        channel_error="; ".join(ran.damage),
        booted=ran.boot_seconds is not None,
    )
    found = find_splats(ran, bench, folder, abi)
    verdict, reason = judging.judge(
        told, evidence, found, promised=bench.promised, booted=ran.boot_seconds is not None
    )
    notes = (*_notes(told, bench.machine), *blame.notes(found))
    end = judging.read(evidence, found, booted=evidence.booted).end
    if end is End.ENDED and main.timed_out:
        end = End.HUNG
    return result(told, verdict, reason, found, folder, notes=notes, end=end)


def _notes(told: Told, machine: Machine) -> tuple[str, ...]:
    """Say what a verdict does not speak of, on such a machine."""
    if machine.replay:
        return (
            f"deterministic: {told.trials:,} trials of seed {machine.replay.seed},"
            f" fingerprint {told.fingerprint or 'none'}",
            SEQUENTIAL,
        )
    tcg = machine.accel.name == "tcg"
    return (UNORDERED,) if tcg else ()


def result(
    told: Told,
    verdict: Verdict,
    reason: str,
    reports: tuple[Splat, ...],
    folder: Path,
    *,
    notes: tuple[str, ...] = (),
    end: End = End.ENDED,
) -> TortureResult:
    """Put the value together."""
    sums = {name: told.by_family(name) for name in told.families}
    return TortureResult(
        verdict=verdict,
        reason=reason,
        violations=tuple(told.violations),
        trials=told.trials,
        exposed={name: count.exposed for name, count in sums.items()},
        lost={name: count.lost for name, count in sums.items()},
        splats=reports,
        seconds=told.seconds,
        folder=folder,
        counts=dict(told.counts),
        unshown=max(0, told.nr_violations - len(told.violations)),
        notes=notes,
        inconclusive=tuple(judging.inconclusive(told)),
        began=told.began,
        end=End.HUNG if told.hangs and end is End.ENDED else end,
        leaks=tuple(told.leaks),
    )


def missed(error: Exception, folder: Path) -> TortureResult:
    """Return the result of a guest that could not be run."""
    why = f"could not be run: {said(error)}"
    return TortureResult(Verdict.MISS, why, (), 0, {}, {}, (), 0.0, folder)


def stopped(told: Told, folder: Path) -> TortureResult:
    """Judge what there is of a run that was ended from outside."""
    reports: tuple[Splat, ...] = ()
    with contextlib.suppress(InfrastructureError):  # its kernel had not said anything yet
        reports = splats.against(folder / "console.log")
    if seen := judging.against(told, reports):
        return result(told, Verdict.FAIL, seen, reports, folder)
    so_far = f"so far {judging.clean(told)}" if told.counts else f"{told.trials} trials so far"
    reason = f"stopped after {told.seconds:.0f} s; {so_far}"
    return result(told, Verdict.MISS, reason, (), folder)


class Live:
    """Keeps the records as they come, so that nothing is lost with the guest."""

    def __init__(self, path: Path, on_second: Callable[[Told], None] | None = None) -> None:
        self.path = path
        self._on_second = on_second
        self._told, self._rest = Told(), ""
        path.write_bytes(b"")

    def take(self, record: Record) -> None:
        """Append what a program said."""
        if record.type == "rec":
            with self.path.open("ab") as stream:
                stream.write(record.payload)
            text = self._rest + record.payload.decode(errors="replace")
            *lines, self._rest = text.split("\n")
            for line in lines:
                self._told.feed(line)
                if self._on_second and line.startswith("torture second"):
                    self._on_second(self._told)

    def told(self) -> Told:
        """Return what there is; the last line may be half a one."""
        return self._told
