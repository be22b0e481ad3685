# SPDX-License-Identifier: GPL-2.0-or-later
"""Torture one cell: boot a guest, let the lanes run, judge what they and the console say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

from harness.arches import ABIS
from harness.cells import BOOT_SECONDS, ENDINGS, Bench, check_abi, find_splats
from harness.deadline import Deadline
from harness.guest.boot import Limits, run_guest
from harness.guest.channel import Record
from harness.guest.outcome import GuestRun
from harness.judge.verdict import Ending, Evidence
from harness.suites.suite import ABIPROBE, PROGRAMS
from harness.torture import judge as judging
from harness.torture.records import Told, parse
from harness.torture.values import Count, TorturePlan, TortureResult, Violation
from harness.values import Cell, Job, Splat, Verdict

__all__ = ["Count", "TorturePlan", "TortureResult", "Violation", "torture"]

NAME = "torture"
RECORDS = "records.txt"
# Guests of 2 CPUs with 2 lanes a CPU.  Exposed trials a CPU second of QEMU, 7.3.4 under TCG, 10 s
# each on a host of two cores that was busy with other work, x86_64 / arm64:
#   1 CPU   1 lane   120 / 143   but then nothing runs at the same time
#   2 CPUs  1 lane    94 /  75
#   2 CPUs  2 lanes   83 /  65   and 151 /  66 once the spinning mutators yielded
#   2 CPUs  3 lanes   90 /  69
#   2 CPUs  4 lanes   91 / 115   and 175 / 113 once they did
#   4 CPUs  4 lanes   80 /  69
# The guest program has the lanes a CPU as its default; the CPUs are this:
SMP = 2

AFTER = 60.0  # guest seconds for the lanes to end, and for the kernel to say what all tasks do
_WHOLE_SLACK = 60.0  # host seconds on top of everything, for a host that is busy
CONSOLE_LIMIT = 64 << 20  # bytes; the list of all tasks is long


def job(plan: TorturePlan, scale: float) -> Job:
    """Return the job of a plan; its time is that of the guest, whatever the accelerator."""
    words = ["--seed", str(plan.seed), "--seconds", f"{plan.seconds:.0f}"]
    words += ["--stall", f"{plan.stall:.0f}"]
    words += ["--lanes", str(plan.lanes)] if plan.lanes else []
    words += ["--families", ",".join(plan.families)] if plan.families else []
    words += ["--stop-at-first"] if plan.stop_at_first else []
    words += [] if plan.chaos else ["--no-chaos"]
    words += ["--break", plan.broken] if plan.broken else []
    return Job(
        NAME, (f"{PROGRAMS}/pintorture", *words), (plan.seconds + plan.stall + AFTER) / scale
    )


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
    scale = bench.machine.accel.scale
    work = job(plan, scale)
    limit = (BOOT_SECONDS + ABIPROBE.timeout + work.timeout) * scale + _WHOLE_SLACK
    folder.mkdir(parents=True, exist_ok=True)
    live = Live(folder / RECORDS, on_second)
    try:
        ran = run_guest(
            bench.kernel.boot,
            bench.image,
            [ABIPROBE, work],
            bench.machine,
            folder,
            deadline=Deadline.after(limit),
            limits=replace(Limits(), console=CONSOLE_LIMIT),
            on_record=live.take,
            stop=stop,
        )
    except KeyboardInterrupt:
        if stop is None or not stop.is_set():
            raise
        return stopped(live.told(), folder)
    jobs = {done.name: done for done in ran.jobs}
    main = jobs.get(NAME)
    told = parse(main.recs if main else ())
    ok, note = check_abi(ABIS[cell.abi], jobs, direct=True)
    evidence = Evidence(
        ending=ENDINGS[ran.ending],
        reason=ran.reason if ENDINGS[ran.ending] is not Ending.DONE else _said(ran),
        job_status=main.status if main else None,
        job_signal=main.signal if main else None,
        timed_out=bool(main and main.timed_out),
        abi_ok=ok,
        abi_note=note,
        channel_error="; ".join(ran.damage),
    )
    splats = find_splats(ran, bench, folder, ABIS[cell.abi])
    verdict, reason = judging.judge(
        told, evidence, splats, promised=bench.promised, booted=ran.boot_seconds is not None
    )
    return result(told, verdict, reason, splats, folder, tcg=bench.machine.accel.name == "tcg")


def _said(ran: GuestRun) -> str:
    """Return what the program printed, which is nothing when all is well."""
    return next(
        (
            j.error or j.output.decode(errors="replace").strip()[-300:]
            for j in ran.jobs
            if j.name == NAME
        ),
        "",
    )


def result(
    told: Told,
    verdict: Verdict,
    reason: str,
    splats: tuple[Splat, ...],
    folder: Path,
    *,
    tcg: bool,
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
        splats=splats,
        seconds=told.seconds,
        folder=folder,
        counts=dict(told.counts),
        unshown=max(0, told.nr_violations - len(told.violations)),
        notes=("under TCG: says nothing about missing memory barriers",) if tcg else (),
        inconclusive=tuple(judging.inconclusive(told)),
    )


def stopped(told: Told, folder: Path) -> TortureResult:
    """Judge what there is of a run that was ended from outside."""
    if told.violations or told.nr_violations:
        verdict, reason = judging.judge(told, Evidence(Ending.HOST), ())
        return result(told, verdict, reason, (), folder, tcg=False)
    so_far = f"so far {judging.clean(told)}" if told.counts else f"{told.trials} trials so far"
    reason = f"stopped after {told.seconds:.0f} s; {so_far}"
    return result(told, Verdict.MISS, reason, (), folder, tcg=False)


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
