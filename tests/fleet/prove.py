# SPDX-License-Identifier: GPL-2.0-or-later
"""`nox -s fleet`: cells on four hosts while everything that can go wrong does.

A cell is a process that sleeps (pinrace.fleet.trial), really started by a worker: what is looked
at here is the fleet.  Faults: a worker killed, a host cut off and back, one that stands still, a
full disk, a wrong clock, the scheduler killed, a second operator, and a stop as of Ctrl-C.  Prints
a line for each thing that holds, and ends with status 1 for the first that does not.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))

import namespaces
import psutil

from pinrace.errors import InfrastructureError
from pinrace.fleet import cluster as clusters
from pinrace.fleet.certs import security
from pinrace.fleet.client import Fleet
from pinrace.fleet.hosts import load
from pinrace.fleet.trial import SUITE, trial
from pinrace.runs.journal import Run
from pinrace.runs.journal import load as load_run
from pinrace.values import NATIVE, Cell, CellResult, Verdict

NAMES = ["a", "b", "c", "d"]


def look(what: str, good: bool, more: object = "") -> None:
    """Say whether something holds."""
    print(f"{'ok ' if good else 'BAD'} {what} {more}".rstrip(), flush=True)
    if not good:
        raise SystemExit(1)


def cells(count: int) -> list[Cell]:
    """Return cells, every tenth for a native host."""
    return [
        Cell("x86_64", "x86_64", "plain", SUITE, number, NATIVE if number % 10 == 0 else "")
        for number in range(1, count + 1)
    ]


def run_all(fleet: Fleet, record: Run, todo: list[Cell], seconds: float) -> list[CellResult]:
    """Run them, each into the journal as it ends."""

    def one(cell: Cell) -> CellResult:
        folder = record.cell_start(cell)
        try:
            result = fleet.call(trial, cell, seconds * (1 + cell.repeat % 3), folder)
        except InfrastructureError as error:
            result = CellResult(cell, Verdict.MISS, str(error))
        record.cell_end(result)
        return result

    with ThreadPoolExecutor(fleet.width(1)) as threads:
        return list(threads.map(one, todo))


def faults(made: namespaces.Site, up: clusters.Cluster, ended: threading.Event) -> list[str]:
    """Do one thing after the other to the fleet; return what was done."""
    done = []

    def pause(seconds: float) -> bool:
        return ended.wait(seconds)

    def kill_worker() -> None:
        made.workers("a")[0].kill()

    def kill_scheduler() -> None:
        if up.scheduler:
            up.scheduler.kill()

    stopped: list[psutil.Process] = []

    def stand_still() -> None:
        stopped.extend(made.workers("c"))
        stopped[0].suspend()

    steps = [
        ("worker of a killed", kill_worker),
        ("b cut off", lambda: made.link("b", "down")),
        ("b back", lambda: made.link("b", "up")),
        ("c stands still", stand_still),
        ("c goes on", lambda: [one.resume() for one in stopped]),
        ("disk of c full", lambda: made.fill("c", full=True)),
        ("room on the disk of c", lambda: made.fill("c", full=False)),
        ("scheduler killed", kill_scheduler),
    ]
    for name, step in steps:
        if pause(5):
            break
        step()
        done.append(name)
        print(f"    {name}", flush=True)
    return done


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--send", action="store_true", help="send the environment to host d")
    args = parser.parse_args()
    with TemporaryDirectory(prefix="pinrace-fleet-") as name:
        place = Path(name)
        os.environ["PINRACE_CACHE"] = str(place / "cache")
        with namespaces.site(place / "hosts", NAMES) as made:
            python = dict.fromkeys(NAMES[:-1] if args.send else NAMES, sys.executable)
            python["b"] = wrong_clock(place)
            text = namespaces.hosts_toml(made, python, args.slots, {"d": ["native-x86_64"]})
            (place / "hosts.toml").write_text(text)
            hosts = load(place / "hosts.toml")
            wrong_key(hosts)
            _prove(args, made, hosts, place)
            look("nothing runs on any host", not any(made.processes(n) for n in NAMES))
            left = [p for n in NAMES for p in (made.folder / n / "pinrace-home").glob("run-*")]
            look("no certificate and no scratch file is left", not left)


def wrong_clock(place: Path) -> str:
    """Return a Python whose time.time() is three days ahead; OpenSSL's clock stays."""
    script = place / "python-with-a-wrong-clock"
    code = (
        "import runpy, sys, time; real = time.time; time.time = lambda: real() + 259200; "
        'sys.argv = sys.argv[2:]; runpy.run_module(sys.argv[0], run_name="__main__")'
    )
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{code}' \"$@\"\n")
    script.chmod(0o755)
    print("    the clock of b is three days ahead", flush=True)
    return str(script)


def wrong_key(hosts: clusters.Hosts) -> None:
    """Log into a host that has another key than the pinned one."""
    other = hosts.host[0].model_copy(update={"host_key": hosts.host[1].host_key})
    try:
        clusters.Login(other).__enter__()
    except InfrastructureError as error:
        look("a host with another key is refused", "pinned" in str(error))
    else:
        look("a host with another key is refused", False)


def _prove(
    args: argparse.Namespace, made: namespaces.Site, hosts: clusters.Hosts, place: Path
) -> None:
    todo = cells(args.cells)
    began = time.monotonic()
    with clusters.up(hosts) as fleet:
        up = fleet.cluster
        assert isinstance(up, clusters.Cluster)
        print(f"    up in {time.monotonic() - began:.0f} s", flush=True)
        look("all four hosts are there", len(fleet.hosts()) == 4, sorted(fleet.hosts()))
        try:
            fleet.call(trial, Cell("arm64", "arm64", "plain", SUITE, on=NATIVE), 0.0, place / "x")
        except InfrastructureError as error:
            look("what no host can serve is said at once", "native-arm64" in str(error))
        record = Run.create(["prove"], root=place / "runs")
        ended = threading.Event()
        done: list[str] = []
        trouble = threading.Thread(target=lambda: done.extend(faults(made, up, ended)))
        began = time.monotonic()
        trouble.start()
        with Fleet(fleet.address, security(up.tls)) as second:
            other = Run.create(["second"], root=place / "runs")
            few = threading.Thread(target=run_all, args=(second, other, todo[:20], 0.2))
            few.start()
            results = run_all(fleet, record, todo, args.seconds)
            few.join()
        ended.set()
        trouble.join()
        took = time.monotonic() - began
        _compare(results, record, todo, place)
        look("a second operator had all of its cells", len(load_run(other.folder)) == 20)
        work = sum(args.seconds * (1 + cell.repeat % 3) for cell in todo)
        print(f"    {took:.0f} s for {work:.0f} s of cells on {fleet.slots:.0f} slots, "
              f"{fleet.again} sent again, faults: {', '.join(done)}")  # fmt: skip
        _interrupt(fleet, made, place)


def _compare(results: list[CellResult], record: Run, todo: list[Cell], place: Path) -> None:
    missed = [one for one in results if one.verdict is Verdict.MISS]
    look("no cell is lost", len(results) == len(todo) and not missed, missed[:2])
    ends = Counter(
        line.split('"name": "')[1].split('"')[0]
        for line in (record.folder / "events.jsonl").read_text().splitlines()
        if '"cell-end"' in line
    )
    look("no cell is there twice", set(ends.values()) == {1} and len(ends) == len(todo))
    (place / "here").mkdir()
    here = [trial(cell, 0.0, place / "here").verdict for cell in todo]
    look("the verdicts are those of one machine", [one.verdict for one in results] == here)
    native = {one.notes[-1] for one in results if one.cell.on == NATIVE}
    look("native cells ran on the native host", native == {"ran on d (native x86_64)"}, native)
    ran = Counter(one.notes[-1].split()[2] for one in results)
    look("all hosts had cells", set(ran) == set(NAMES), dict(ran))


def _interrupt(fleet: Fleet, made: namespaces.Site, place: Path) -> None:
    """Set the stop of running cells, as Ctrl-C does, and wait until no process is left."""
    stop = threading.Event()

    def one(cell: Cell) -> None:
        with contextlib.suppress(KeyboardInterrupt, InfrastructureError):
            fleet.call(trial, cell, 500.0, place / "stopped" / cell.name, stop=stop)

    with ThreadPoolExecutor(24) as threads:
        for cell in cells(24):
            threads.submit(one, cell)
        until = time.monotonic() + 60
        while sleepers(made) < 8 and time.monotonic() < until:
            time.sleep(0.1)
        many = sleepers(made)
        stop.set()
        began = time.monotonic()
        while sleepers(made) and time.monotonic() < began + 30:
            time.sleep(0.05)
        took = time.monotonic() - began
        look("a stop ends every process on every host", many and not sleepers(made),
             f"{many} in {took:.1f} s")  # fmt: skip


def sleepers(made: namespaces.Site) -> int:
    """Return how many cells run on all hosts."""
    found = 0
    for name in NAMES:
        for process in made.processes(name):
            with contextlib.suppress(psutil.Error):
                found += process.name() == "sleep"
    return found


if __name__ == "__main__":
    main()
