# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster of workers: calls run there, come back, are stopped, and are lost."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed")

from distributed import LocalCluster, get_worker

from pinrace import store
from pinrace.engine import executor
from pinrace.errors import InfrastructureError
from pinrace.fleet import client, needs, wire, work
from pinrace.fleet.client import Fleet
from pinrace.fleet.durations import Durations
from pinrace.fleet.trial import trial
from pinrace.runs import summary
from pinrace.values import EMULATED, NATIVE, Cell, CellResult, Verdict

CELL = Cell("x86_64", "i386", "plain", "trial")
FAILS = next(n for n in range(1, 100) if int(store.digest(f"{CELL.name}-r{n}"), 16) % 7 == 0)
HERE = {needs.SLOTS: 2.0, needs.MEMORY: 4096.0, "runs-x86_64": needs.PLENTY}


def test_a_local_command_imports_nothing_of_a_fleet() -> None:
    code = (
        "import sys; from pinrace.cli.main import main, parser; parser();"
        "from pinrace.engine import batch, executor; executor.call(len, 'x');"
        "print([m for m in sys.modules if m.split('.')[0] in ('dask', 'distributed')"
        " or m.startswith('pinrace.fleet')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_cells_of_native_hosts_have_a_name_of_their_own() -> None:
    assert CELL.name == "x86_64-i386-plain-trial"
    assert Cell("arm64", "arm64", "plain", "x", 2, NATIVE).name == "arm64-arm64-plain-x-native-r2"


def test_native_and_emulated_results_stand_apart() -> None:
    results = [
        CellResult(Cell("arm64", "arm64", "plain", "x", on=on), verdict, "why")
        for on, verdict in ((NATIVE, Verdict.FAIL), (EMULATED, Verdict.PASS))
    ]
    head, native, emulated = summary.table(results)
    assert "  on " in head
    assert native.split()[:5] == ["arm64", "arm64", "native", "x", "FAIL"]
    assert emulated.split()[:5] == ["arm64", "arm64", "emulated", "x", "PASS"]
    one = replace(results[0], cell=replace(results[0].cell, on=""))
    assert " on " not in summary.table([one])[0]


def test_durations_are_kept_without_repetitions(tmp_path: Path) -> None:
    one = Durations(tmp_path / "d.json")
    one.note(10, "m:run_cell", CELL, tmp_path)
    one.note(20, "m:run_cell", Cell("x86_64", "i386", "plain", "trial", 5))
    one.save()
    again = Durations(tmp_path / "d.json")
    assert again.expected("m:run_cell", CELL) == 15
    assert again.expected("m:confirm", CELL) == 0


def _until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; it never does when a minute was not enough."""
    limit = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    patch = pytest.MonkeyPatch()
    patch.setenv("PINRACE_CACHE", str(tmp_path_factory.mktemp("cache")))
    resources = HERE | {"runs-x86_64": needs.PLENTY}
    with LocalCluster(
        n_workers=2,
        threads_per_worker=4,
        processes=False,
        dashboard_address=None,
        resources=resources,
        silence_logs=50,
    ) as made:
        yield made
    patch.undo()


@pytest.fixture
def fleet(cluster: LocalCluster) -> Iterator[Fleet]:
    with Fleet(cluster.scheduler_address, patience=20) as made:
        yield made


@pytest.mark.xdist_group("fleet")
def test_calls_run_on_workers_and_come_back_with_their_files(fleet: Fleet, tmp_path: Path) -> None:
    numbers = (1, 2, 3, FAILS)
    cells = [Cell("x86_64", "i386", "plain", "trial", number) for number in numbers]
    with executor.use(fleet), executor.threads(1) as threads:

        def one(cell: Cell) -> CellResult:
            folder = tmp_path / cell.name
            return executor.call(trial, cell, 0.05, folder, stop=threading.Event())

        results = list(threads.map(one, cells))
    here = [trial(cell, 0, tmp_path) for cell in cells]
    assert [one.verdict for one in results] == [one.verdict for one in here]
    assert {Verdict.PASS, Verdict.FAIL} == {one.verdict for one in results}
    for one in results:
        assert one.folder == tmp_path / one.cell.name
        assert (one.folder / "console.log").read_text().startswith(one.cell.name)
        assert "ran on" in one.notes[-1]
    assert fleet.expected(trial, cells[0]) > 0


@pytest.mark.xdist_group("fleet")
def test_what_a_call_took_is_what_its_host_says(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long it waited for a host says nothing of the next one."""
    real = wire.pack_result
    monkeypatch.setattr(wire, "pack_result", lambda *args: real(*args[:4], 1000.0))
    cell = replace(CELL, flavor="debug")
    assert fleet.expected(trial, cell) == 0
    fleet.call(trial, cell, 0.0, tmp_path)
    assert fleet.expected(trial, cell) == 1000


@pytest.mark.xdist_group("fleet")
def test_what_no_host_serves_is_said_at_once(fleet: Fleet, tmp_path: Path) -> None:
    cell = Cell("arm64", "arm64", "plain", "trial", on=NATIVE)
    with pytest.raises(InfrastructureError, match="no host of the fleet has 'native-arm64'"):
        fleet.call(trial, cell, 1.0, tmp_path)


@pytest.mark.xdist_group("fleet")
def test_an_error_of_a_call_is_its_own(fleet: Fleet, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"the process of .* ended with 1 \(on "):
        fleet.call(trial, CELL, -1.0, tmp_path)
    assert fleet.again == 0


@pytest.mark.xdist_group("fleet")
def test_a_stop_travels(fleet: Fleet, tmp_path: Path) -> None:
    stop = threading.Event()
    raised: list[BaseException] = []

    def call() -> None:
        try:
            fleet.call(trial, CELL, 300.0, tmp_path, stop=stop)
        except BaseException as error:
            raised.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    _until(lambda: work.running() > 0)
    stop.set()
    caller.join()
    assert not work.running()
    assert "it was stopped" in str(raised[0]) or isinstance(raised[0], KeyboardInterrupt)


@pytest.mark.xdist_group("fleet")
def test_an_operator_that_is_gone_ends_its_calls(cluster: LocalCluster, tmp_path: Path) -> None:
    gone = Fleet(cluster.scheduler_address, patience=20)

    def call() -> None:
        with contextlib.suppress(InfrastructureError, KeyboardInterrupt):
            gone.call(trial, CELL, 300.0, tmp_path)

    caller = threading.Thread(target=call, daemon=True)
    caller.start()
    _until(lambda: work.running() > 0)
    gone._client.close()
    _until(lambda: work.running() == 0)


@pytest.mark.xdist_group("fleet")
def test_a_call_that_was_lost_and_had_ended_is_not_run_again(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, lost, ran = Fleet._digest, [], []
    unpack = wire.unpack

    def note(*args: Any) -> Any:
        function, values, words = unpack(*args)
        ran.append(values[0])
        return function, values, words

    monkeypatch.setattr(wire, "unpack", note)

    def lose(self: Fleet, future: Any) -> str:
        found = real(self, future)
        if not lost:
            lost.append(found)
            raise client._LostError("on purpose")
        return found

    monkeypatch.setattr(Fleet, "_digest", lose)
    fleet.call(trial, CELL, 0.0, tmp_path)
    assert lost
    assert fleet.again == 1
    assert ran == [CELL]


@pytest.mark.xdist_group("fleet")
def test_a_host_without_room_gives_a_call_back(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = [0]
    monkeypatch.setattr(work, "_SLOW", 0.0)
    monkeypatch.setattr(work, "room", lambda _: rooms.pop() if rooms else 1 << 40)
    result = fleet.call(trial, CELL, 0.0, tmp_path)
    assert result.cell == CELL
    assert fleet.again == 1


@pytest.mark.xdist_group("fleet")
def test_a_host_that_cannot_even_start_things_is_avoided(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = wire.unpack

    def broken(*args: Any) -> Any:
        if str(get_worker().name) == "0":
            raise OSError("this host has no processes left")
        return real(*args)

    monkeypatch.setattr(wire, "unpack", broken)
    monkeypatch.setattr(work, "_SLOW", 0.0)
    for _ in range(3):
        assert fleet.call(trial, CELL, 0.0, tmp_path).notes[-1].startswith("ran on 1")
