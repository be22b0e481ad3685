# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a cell in a guest, and judge what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from pinrace.access import crash
from pinrace.arches import ABIS, Abi
from pinrace.errors import InfrastructureError
from pinrace.guest.machine import Machine, richest
from pinrace.guest.outcome import GuestRun, JobRun
from pinrace.guest.setup import Setup
from pinrace.host import load
from pinrace.host.load import IDLE, Load
from pinrace.judge import blame, splats
from pinrace.judge.symbolize import symbolize_all
from pinrace.judge.verdict import Ending, Evidence, judge
from pinrace.suites import feature, ktap
from pinrace.suites.brought import Brought, compose
from pinrace.suites.formats import KSFT_SKIP
from pinrace.suites.registry import get_suite
from pinrace.suites.suite import ABIPROBE, NO_MATCH, Suite
from pinrace.values import (
    CaseResult,
    CaseStatus,
    Cell,
    CellResult,
    Feature,
    Image,
    Job,
    Kernel,
    Mark,
    Splat,
)

KTAP = "ktap.txt"  # in a cell's folder: what its suite said
GUESTS = 8  # that a suite of many tests may use up


@dataclass(frozen=True)
class Bench:
    """What a cell runs on: one tree's kernel and image for it, and the machine."""

    kernel: Kernel
    image: Image
    machine: Machine
    promised: Feature | None = None  # its series brings it, so the kernel must have it
    changed: frozenset[str] = frozenset()  # the files that its series changes
    brought: Brought = field(default_factory=Brought)  # by the suite


@dataclass(frozen=True)
class Outcome:
    """What came of running a cell once, not yet judged."""

    cases: tuple[CaseResult, ...]
    splats: tuple[Splat, ...]
    evidence: Evidence
    seconds: float
    notes: tuple[str, ...] = ()
    host: Load = IDLE  # while it ran
    rates: dict[str, tuple[int, int]] = field(default_factory=dict)  # of cases: failed in, of runs
    late: tuple[str, ...] = ()  # cases that a host without time made fail, by key
    missed: str = ""  # why these do not speak of the kernel; without any, why nothing does


def run_cell(
    cell: Cell,
    bench: Bench,
    folder: Path,
    *,
    only: str = "",
    stop: Event | None = None,
    within: float = math.inf,
) -> Outcome:
    """Boot a guest for the cell and collect what it says; everything it printed stays in folder.

    Setting `stop` ends it; what takes longer than `within` host seconds hangs.  Raises
    InfrastructureError when the guest cannot be started at all.
    """
    suite = get_suite(cell.suite)
    work = suite.jobs(bench.brought, only)
    if suite.many:
        return _run_many(cell, work, bench, folder, only=only, stop=stop, within=within)
    with load.watch() as watched:
        run = boot(suite, work, bench, folder, stop=stop, within=within)
    jobs = {done.name: done for done in run.jobs}
    main = jobs.get(suite.name)
    output = main.output.decode(errors="replace") if main else ""
    (folder / KTAP).write_text(output)
    if main and main.recs:
        (folder / "records.txt").write_text("\n".join(main.recs) + "\n")
    cases = _cases(suite, main, output)
    if only:
        cases = _picked(suite, main, cases, only)
    if bench.promised and main and not only and not _absent(suite, main):
        own = suite.brought_by_series
        lack = feature.lacking(bench.promised, main.recs, cases, own=own)
        cases = (*cases, lack) if lack else cases
    abi = ABIS[cell.abi]
    ok, note = check_abi(abi, jobs, direct=not only and all(job.direct for job in work))
    evidence = Evidence(
        ending=run.ending,
        reason=run.reason,
        job_status=_status(suite, main),
        job_signal=main.signal if main else None,
        timed_out=bool(main and main.timed_out),
        abi_ok=ok or run.ending is not Ending.DONE,
        abi_note=note,
        channel_error="; ".join(run.damage),
        booted=run.boot_seconds is not None,
    )
    found = find_splats(run, bench, folder, abi)
    host = watched.load(run.cpu_seconds)
    notes = crash.look_into(run.dump, folder, bench.kernel) if run.dump else ()
    return Outcome(cases, found, evidence, run.seconds, notes, host=host)


def _status(suite: Suite, main: JobRun | None) -> int | None:
    """Return how the job ended; one that had nothing to do has skipped."""
    if _absent(suite, main) or (main and suite.picks and main.status == NO_MATCH):
        return KSFT_SKIP
    return main.status if main else None


def boot(
    suite: Suite,
    work: Sequence[Job],
    bench: Bench,
    folder: Path,
    *,
    stop: Event | None,
    within: float,
) -> GuestRun:
    """Run jobs in a guest, after the program that tells the ABI.

    All of them have one budget of time, the sum of what each may take.
    """
    machine = richest(bench.machine) if suite.rich else bench.machine
    return Setup(bench.kernel, bench.image, machine, bench.brought.files).boot(
        [ABIPROBE, *work], folder, slow_boot=suite.slow_boot, within=within, stop=stop
    )


def _run_many(
    cell: Cell,
    work: Sequence[Job],
    bench: Bench,
    folder: Path,
    *,
    only: str,
    stop: Event | None,
    within: float,
) -> Outcome:
    """Run a suite of many tests, and go on in another guest after a test that ended its guest.

    The evidence is of the guest that did not come to its planned end, if one did not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done: dict[str, JobRun] = {}
    found: list[Splat] = []
    evidence = Evidence(Ending.DONE, job_status=0, booted=True)
    notes: tuple[str, ...] = ()
    seconds, left, number = 0.0, list(work), 0
    abi, suite, host = ABIS[cell.abi], get_suite(cell.suite), IDLE
    while left:
        number += 1
        place = folder if number == 1 else folder / f"guest-{number}"
        with load.watch() as watched:
            run = boot(suite, left, bench, place, stop=stop, within=within - seconds)
        host = max(host, watched.load(run.cpu_seconds), key=lambda one: one.runnable)
        seconds += run.seconds
        found += find_splats(run, bench, place, abi)
        done |= {job.name: job for job in run.jobs if job.started}
        if evidence.ended_well:
            evidence = _evidence(abi, left, run)
        left = [job for job in left if job.name not in done]
        if run.dump:
            notes += crash.look_into(run.dump, place, bench.kernel)
        if run.ending is Ending.DONE or number == GUESTS or not evidence.abi_ok:
            break
        if run.ending in (Ending.KILLED, Ending.NO_BOOT) or seconds >= within:
            break
    text = compose(bench.brought, work, done, only=only)
    (folder / KTAP).write_text(text)
    cases = ktap.parse(text).flatten()
    if only and not work:
        why = f"no test of {cell.suite} matches '{only}'"
        cases = (CaseResult(cell.suite, CaseStatus.SKIP, why, mark=Mark.UNMATCHED),)
    return Outcome(cases, tuple(found), evidence, seconds, notes, host=host)


def _evidence(abi: Abi, work: Sequence[Job], run: GuestRun) -> Evidence:
    """What is known of one guest with many tests; each test's end is in its result."""
    direct = {job.name for job in work if job.direct} | {ABIPROBE.name}
    ok, note = check_abi(abi, {j.name: j for j in run.jobs if j.name in direct}, direct=True)
    return Evidence(
        ending=run.ending,
        reason=run.reason,
        job_status=0,
        abi_ok=ok or run.ending is not Ending.DONE,
        abi_note=note,
        channel_error="; ".join(run.damage),
        booted=run.boot_seconds is not None,
    )


def _cases(suite: Suite, main: JobRun | None, output: str) -> tuple[CaseResult, ...]:
    """Return the case results; a suite that this tree does not bring is one skipped case."""
    if main is None:
        return ()
    if _absent(suite, main):
        why = f"this tree brings no {Path(suite.program).name}"
        return (CaseResult(suite.name, CaseStatus.SKIP, why),)
    if main.error:
        return (CaseResult(suite.name, CaseStatus.ERROR, main.error),)
    return ktap.parse(output, ended=main.status is not None).flatten()


def _picked(
    suite: Suite, main: JobRun | None, cases: tuple[CaseResult, ...], only: str
) -> tuple[CaseResult, ...]:
    """Return the cases that were asked for; one that is marked when there is none."""
    if main is None or main.error or not cases:
        return cases
    none = main.status == NO_MATCH if suite.picks else not (cases := suite.kept(cases, only))
    if none:
        why = f"no case of {suite.name} matches '{only}'"
        return (CaseResult(suite.name, CaseStatus.SKIP, why, mark=Mark.UNMATCHED),)
    return cases


def _absent(suite: Suite, main: JobRun | None) -> bool:
    """Whether the suite is one that this tree does not bring."""
    return bool(main and suite.brought_by_series and "No such file" in main.error)


def check_abi(abi: Abi, jobs: Mapping[str, JobRun], *, direct: bool) -> tuple[bool, str]:
    """Whether everything that ran was of this ABI: ELF headers and what a supervisor saw.

    direct: the suite's program was started itself, not through a shell.
    """
    probe = jobs.get(ABIPROBE.name)
    said: dict[str, str] = {}
    for line in probe.recs if probe else ():
        if line.startswith("abi "):
            said = dict(word.split("=", 1) for word in line.split()[1:] if "=" in word)
    try:
        seen = (int(said["elf_machine"]), int(said["elf_class"]), int(said["audit_arch"], 0))
    except (KeyError, ValueError):
        how = f"{probe.error or probe.output[-200:]!r}" if probe else "it did not run"
        return False, f"the ABI probe told nothing ({how})"
    want = (abi.elf_machine, abi.bits, abi.audit_arch)
    if seen != want:
        return False, f"(e_machine, class, AUDIT_ARCH) {_hex(seen)}, not {abi.name}'s {_hex(want)}"
    for job in jobs.values():
        elf = (job.elf_machine, job.elf_class)
        if direct and not job.error and elf != want[:2]:
            return False, f"{job.name} is ELF {elf}, not {abi.name}'s {want[:2]}"
    return True, ""


def _hex(facts: tuple[int, int, int]) -> str:
    return f"({facts[0]}, {facts[1]}, {facts[2]:#x})"


def find_splats(run: GuestRun, bench: Bench, folder: Path, abi: Abi) -> tuple[Splat, ...]:
    """Find the kernel's reports, and keep them with file and line beside the console."""
    if run.ending is Ending.KILLED and not run.console.exists():
        return ()
    try:
        found = splats.find(splats.read(run.console))
    except InfrastructureError:
        if run.ending in (Ending.NO_BOOT, Ending.KILLED):
            return ()  # a guest that printed nothing is judged by its ending
        raise
    if not found:
        return ()
    vmlinux, cross = bench.kernel.vmlinux, ABIS[abi.arch].cross
    texts = symbolize_all([splat.text for splat in found], vmlinux, cross)
    (folder / "splats.txt").write_text("\n\n".join(texts) + "\n")
    return tuple(
        replace(splat, elsewhere=blame.is_elsewhere(splat, text, bench.changed))
        for splat, text in zip(found, texts, strict=True)
    )


def judge_cell(
    cell: Cell, outcome: Outcome, baseline: Outcome | None, folder: Path, *, lost: str = ""
) -> CellResult:
    """Return the verdict of a cell that ran; lost: why there is no baseline, although there was
    to be one.
    """
    return judge(
        cell,
        outcome.evidence,
        outcome.cases,
        outcome.splats,
        baseline.cases if baseline else None,
        baseline_splats=baseline.splats if baseline else (),
        baseline_evidence=baseline.evidence if baseline else None,
        baseline_rates=baseline.rates if baseline else {},
        lost=lost,
        late=outcome.late,
        missed=outcome.missed,
        seconds=outcome.seconds,
        folder=folder,
        notes=outcome.notes,
    )
