# SPDX-License-Identifier: GPL-2.0-or-later
"""A busy host is not a bad kernel, and what fails now and then is not known."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pinrace.engine import baseline, confirm, pool
from pinrace.engine.cell import Bench, Outcome, judge_cell
from pinrace.errors import InfrastructureError
from pinrace.host.load import IDLE, Load, watch
from pinrace.judge.verdict import Ending, Evidence
from pinrace.runs.journal import Run
from pinrace.suites.brought import Brought
from pinrace.values import CaseResult, CaseStatus, Cell, Mark, Splat, Verdict

CELL = Cell("x86_64", "x86_64", "plain", "seccomp_bpf")
SMOKE = dataclasses.replace(CELL, suite="smoke")
BUSY = Load(60.0, 20.0, runnable=4.0)
GOOD = CaseResult("g.a", CaseStatus.PASS)
LATE = CaseResult("g.late", CaseStatus.TIMEOUT, "ended by its own time limit", ("# late",))
ON_TIME = CaseResult("g.late", CaseStatus.PASS)
BAD = CaseResult("g.late", CaseStatus.FAIL)
MACHINE = SimpleNamespace(
    qemu=SimpleNamespace(version="7"),
    accel=SimpleNamespace(name="tcg"),
    cpu="c",
    smp=2,
    mem_mb=512,
    cmdline=(),
    replay=None,
    turns=True,
    beside=(),
)
BENCH = cast(
    Bench,
    SimpleNamespace(
        kernel=SimpleNamespace(digest="k"),
        image=SimpleNamespace(digest="i"),
        machine=MACHINE,
        brought=Brought(),
    ),
)


def outcome(*cases: CaseResult, host: Load = IDLE, **changes: Any) -> Outcome:
    status = int(any(case.status.bad for case in cases))
    evidence = Evidence(Ending.DONE, job_status=status, booted=True)
    evidence = dataclasses.replace(evidence, **changes.pop("evidence", {}))
    return Outcome(tuple(cases), changes.pop("splats", ()), evidence, 1.0, host=host, **changes)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Path]]:
    """Make further runs of the patched kernel, and of the one beside it, come to these outcomes."""

    def set_up(again: list[Outcome], beside: list[Outcome] | None = None) -> list[Path]:
        ran: list[Path] = []
        left = {"again": iter(again), "beside": iter(beside or []), "confirm": iter(again)}

        def run_cell(cell: Cell, bench: Bench, folder: Path, **_: object) -> Outcome:
            ran.append(folder)
            queue: Iterator[Outcome] = left.get(folder.name.rsplit("-", 1)[0], left["again"])
            return next(queue)

        monkeypatch.setattr(confirm, "run_cell", run_cell)
        monkeypatch.setattr(baseline, "run_cell", run_cell)
        return ran

    return set_up


def verdict(first: Outcome, base: Outcome | None, *, cell: Cell = CELL) -> tuple[Verdict, str]:
    before = base or outcome(GOOD, ON_TIME)
    told = confirm.confirm(cell, BENCH, first, before, Path("f"), base=BENCH)
    result = judge_cell(cell, told, before, Path("f"))
    return result.verdict, " ".join([result.reason, *result.notes])


LATE_BUSY = outcome(GOOD, LATE, host=BUSY)


def test_a_time_limit_on_a_host_that_stays_busy_is_a_miss(runs: Callable[..., Any]) -> None:
    runs([LATE_BUSY] * 3, [LATE_BUSY, outcome(GOOD, ON_TIME), LATE_BUSY])
    said, why = verdict(LATE_BUSY, None)
    assert said is Verdict.MISS
    assert "too busy" in why
    assert "4.0 tasks a CPU" in why
    assert "the same in 2 of 3 of the unpatched kernel" in why


def test_one_that_passes_on_another_try_is_flaky_with_its_rate(runs: Callable[..., Any]) -> None:
    runs([LATE_BUSY, outcome(GOOD, ON_TIME)], [LATE_BUSY] * 3)
    said, why = verdict(LATE_BUSY, None)
    assert said is Verdict.PASS
    assert "flaky, passed on another try: g.late (1 of 3)" in why


def test_one_that_fails_again_on_a_quiet_host_is_the_kernel_s(runs: Callable[..., Any]) -> None:
    runs([outcome(GOOD, LATE)] * 3, [outcome(GOOD, ON_TIME)] * 3)
    assert verdict(LATE_BUSY, None)[0] is Verdict.FAIL
    runs([outcome(GOOD, LATE)] * 3)
    assert verdict(outcome(GOOD, LATE), None)[0] is Verdict.FAIL


def test_another_failure_gets_no_excuse(runs: Callable[..., Any]) -> None:
    bad = outcome(GOOD, BAD, host=BUSY)
    runs([bad] * 3, [outcome(GOOD, ON_TIME)] * 3)
    assert verdict(bad, None)[0] is Verdict.FAIL
    ran = runs([])
    assert verdict(bad, None, cell=SMOKE)[0] is Verdict.FAIL
    assert not ran  # of suites without limits of their own nothing is repeated
    report = Splat("kasan", "BUG: KASAN: x", 3, "", "kasan: x")
    runs([outcome(GOOD, LATE, host=BUSY, splats=(report,))])
    assert verdict(LATE_BUSY, None)[0] is Verdict.FAIL


def test_beside_another_failure_the_late_one_is_not_counted(runs: Callable[..., Any]) -> None:
    other = CaseResult("g.b", CaseStatus.FAIL)
    both = outcome(GOOD, LATE, other, host=BUSY)
    runs([both] * 3, [both] * 3)
    told = confirm.confirm(CELL, BENCH, both, outcome(GOOD), Path("f"), base=BENCH)
    result = judge_cell(CELL, told, outcome(GOOD), Path("f"))
    assert (result.verdict, result.new) == (Verdict.FAIL, ("g.b",))
    assert any(note.startswith("not counted: the host was too busy") for note in result.notes)


def test_a_stall_and_a_hang_on_a_busy_host(runs: Callable[..., Any]) -> None:
    stall = Splat("rcu-stall", "rcu: INFO: stall", 3, "", "rcu-stall: x")
    first = outcome(GOOD, splats=(stall,), host=BUSY)
    runs([outcome(GOOD)], [outcome(GOOD)])
    said, why = verdict(first, outcome(GOOD), cell=SMOKE)
    assert (said, "in 1 of 2 runs" in why) == (Verdict.MISS, True)
    hang = {"ending": Ending.HANG, "reason": "still running", "job_status": None}
    cut = CaseResult("(results)", CaseStatus.ERROR, "", mark=Mark.SILENT)
    hung = outcome(cut, host=BUSY, evidence=hang)
    runs([hung] * 3, [hung] * 3)
    assert verdict(hung, outcome(GOOD), cell=SMOKE)[0] is Verdict.MISS
    quiet = dataclasses.replace(hung, host=IDLE)
    assert verdict(quiet, outcome(GOOD), cell=SMOKE)[0] is Verdict.FAIL
    runs([quiet] * 3, [outcome(GOOD)] * 3)
    assert verdict(hung, outcome(GOOD), cell=SMOKE)[0] is Verdict.FAIL


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PINRACE_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("own_cache")
def test_a_baseline_is_kept_whole(runs: Callable[..., Any]) -> None:
    report = Splat("warn", "WARNING: x", 3, "text", "warn: x", deafens="lockdep")
    bad = outcome(GOOD, BAD, splats=(report,), evidence={"job_status": 3})
    ran = runs([bad, bad, bad])
    first = baseline.run_baseline(CELL, BENCH)
    assert len(ran) == 3  # what fails is run again before it is called known
    assert (first, baseline.run_baseline(CELL, BENCH)) == (bad, bad)
    assert len(ran) == 3
    runs([outcome(GOOD)])
    assert baseline.run_baseline(CELL, BENCH, days=0).cases == (GOOD,)


@pytest.mark.usefixtures("own_cache")
def test_what_fails_there_now_and_then_is_not_known(runs: Callable[..., Any]) -> None:
    runs([outcome(GOOD, BAD), outcome(ON_TIME), outcome(BAD)])
    base = baseline.run_baseline(CELL, BENCH)
    assert base.rates == {"g.late": (2, 3)}
    result = judge_cell(CELL, outcome(GOOD, BAD), base, Path("f"))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "g.late (2 of 3)" in result.reason


@pytest.mark.usefixtures("own_cache")
def test_what_a_busy_host_made_of_a_baseline_is_not_kept(runs: Callable[..., Any]) -> None:
    runs([LATE_BUSY] * 3)
    assert baseline.run_baseline(CELL, BENCH).rates == {"g.late": (3, 3)}
    runs([outcome(GOOD, ON_TIME)])
    assert baseline.run_baseline(CELL, BENCH).rates == {}


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize(
    "how",
    [
        {"ending": Ending.NO_BOOT, "booted": False},
        {"ending": Ending.PANIC},
        {"ending": Ending.HANG},
        {"ending": Ending.KILLED},
        {"channel_error": "torn"},
        {"abi_ok": False, "abi_note": "another ABI"},
    ],
)
def test_of_a_baseline_that_did_not_end_well_nothing_is_known(
    how: dict[str, Any], runs: Callable[..., Any]
) -> None:
    runs([outcome(GOOD, BAD, evidence=how)] * 2)
    for _ in range(2):
        with pytest.raises(InfrastructureError):
            baseline.run_baseline(CELL, BENCH)
    result = judge_cell(CELL, outcome(GOOD, BAD), None, Path("f"), lost="it hung")
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "nothing is known of the unpatched tree: it hung" in result.reason
    assert judge_cell(CELL, outcome(GOOD), None, Path("f"), lost="x").verdict is Verdict.PASS


def test_a_baseline_that_cannot_be_read_says_what_to_type(
    own_cache: Path, runs: Callable[..., Any]
) -> None:
    runs([outcome(GOOD)])
    baseline.run_baseline(CELL, BENCH)
    (path,) = own_cache.rglob(baseline.FILE)
    path.write_text(json.dumps({"cases": 7}))
    with pytest.raises(InfrastructureError, match="cannot be read") as error:
        baseline.run_baseline(CELL, BENCH)
    assert "cache --prune" in error.value.hint


@pytest.mark.parametrize(
    ("load", "busy"),
    [
        (IDLE, False),
        (Load(60, 55, runnable=1.1), False),
        (Load(60, 20, runnable=3.0), True),
        (Load(60, 55, steal=0.1), True),
        (Load(60, 20, stalled=0.8), True),
        (Load(60, 20, stopped=5.0), True),
    ],
)
def test_what_busy_means(load: Load, busy: bool) -> None:
    assert load.busy == busy
    assert "tasks a CPU" in str(load)


def test_the_host_is_measured() -> None:
    with watch() as watched:
        pass
    load = watched.load(1.5)
    assert (load.qemu, load.stopped) == (1.5, 0.0)
    assert load.seconds >= 0
    assert 0 <= load.steal <= 1


def test_an_exception_of_ours_is_a_miss_of_its_cell(tmp_path: Path) -> None:
    future: Future[Outcome] = Future()
    future.set_exception(OverflowError("int too large to convert"))
    record = cast(Run, SimpleNamespace(cell_folder=lambda _: tmp_path))
    task = cast(pool.Task, SimpleNamespace(cell=CELL))
    result = pool._judged(task, record, future, None, only="", asked=None)
    assert result.verdict is Verdict.MISS
    assert "OverflowError: int too large" in result.reason
