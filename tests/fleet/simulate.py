# SPDX-License-Identifier: GPL-2.0-or-later
"""`nox -s fleet -- simulate`: 10,000 cells on 1 to 256 hosts, as the page docs/fleet-scale.md.

Durations are drawn from those of real cells (durations.json, seconds under TCG on two CPUs).  What
a cell costs the scheduler is measured here with a real one, over TLS; the rest is computed: hosts
take the longest cell that is left, and nothing before the files of its kernel have come.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl
import psutil

from pinrace.fleet import certs
from pinrace.fleet.client import Fleet
from pinrace.fleet.trial import SUITE, trial
from pinrace.values import Cell

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
CELLS = 10_000
SLOTS = 4  # of a host
HOSTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
FILES = 60e6  # bytes of two kernels and an image, compressed: 90 MB and 16 MB before
RESULT = 60e3  # bytes of a cell's result and its files, compressed
LINK = 125e6  # bytes a second of the scheduler's link: 1 Gbit/s


@dataclass(frozen=True)
class Row:
    """One size of a fleet."""

    hosts: int
    seconds: float
    bound: float
    unsorted: float
    sent: float
    scheduler: float


def drawn() -> list[float]:
    """Return the durations of the cells, always the same."""
    known = json.loads((HERE / "durations.json").read_text())
    pool = [seconds for many in known.values() for seconds in many]
    rng = random.Random(7)  # noqa: S311 (no secret)
    return [rng.choice(pool) for _ in range(CELLS)]


def finish(cells: list[float], hosts: int) -> float:
    """Return when the last of these ends; each slot takes the next one when it is free."""
    free = [((host + 1) * FILES / LINK, host) for host in range(hosts) for _ in range(SLOTS)]
    heapq.heapify(free)
    last = 0.0
    for seconds in cells:
        at, host = heapq.heappop(free)
        end = at + seconds + RESULT / LINK
        last = max(last, end)
        heapq.heappush(free, (end, host))
    return last


def rows(cells: list[float], cost: float) -> list[Row]:
    """Return a row for each size."""
    found = []
    for hosts in HOSTS:
        bound = max(sum(cells) / (hosts * SLOTS), *cells)
        seconds = finish(sorted(cells, reverse=True), hosts)
        sent = hosts * FILES + len(cells) * RESULT
        found.append(Row(hosts, seconds, bound, finish(cells, hosts), sent, cost * len(cells)))
    return found


def measure(count: int) -> tuple[float, float]:
    """Return the CPU seconds that a scheduler spends on a call, and its memory in MiB."""
    with TemporaryDirectory(prefix="pinrace-scale-") as name, socket.socket() as probe:
        place = Path(name)
        os.environ["PINRACE_CACHE"] = str(place / "cache")
        probe.bind(("127.0.0.1", 0))
        address = f"tls://127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        tls = certs.Authority("scale").member("all").write(place / "tls")
        serve = [sys.executable, "-m", "pinrace.fleet.serve"]
        more = ["--tls", str(tls)]
        pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
        scheduler = subprocess.Popen([*serve, "scheduler", address, *more], **pipe)
        worker = subprocess.Popen([*serve, "worker", address, *more, "--name", "a"], **pipe)
        try:
            with Fleet(address, certs.security(tls)) as fleet:
                fleet.wait_for_hosts()
                watched = psutil.Process(scheduler.pid)
                before = sum(watched.cpu_times()[:2])

                def one(number: int) -> None:
                    cell = Cell("x86_64", "x86_64", "plain", SUITE, number)
                    fleet.call(trial, cell, 0.0, place / str(number))

                with ThreadPoolExecutor(4) as threads:
                    list(threads.map(one, range(1, count + 1)))
                spent = sum(watched.cpu_times()[:2]) - before
                return spent / count, watched.memory_info().rss / 2**20
        finally:
            for process in (worker, scheduler):
                if process.stdin:
                    process.stdin.close()
                process.wait(20)


def draw(table: list[Row], path: Path) -> None:
    """Draw time against the bound."""
    mpl.use("svg")
    from matplotlib import pyplot as plt

    with mpl.rc_context({"svg.hashsalt": "pinrace", "svg.fonttype": "path"}):
        figure, axes = plt.subplots(figsize=(7, 4.2))
        at = [row.hosts for row in table]
        axes.plot(at, [row.bound / 3600 for row in table], "--", color="#999999", label="bound")
        longest = [row.seconds / 3600 for row in table]
        axes.plot(at, longest, "o-", color="#0072B2", label="longest first")
        other = [row.unsorted / 3600 for row in table]
        axes.plot(at, other, "x:", color="#D55E00", label="in the order of the table")
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(at, [str(one) for one in at])
        axes.set_xlabel(f"hosts of {SLOTS} slots")
        axes.set_ylabel("hours")
        axes.set_title(f"{CELLS:,} cells")
        axes.grid(visible=True, which="both", alpha=0.3)
        axes.legend()
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
    text = re.sub(r"[ \t]+$", "", path.read_text(), flags=re.MULTILINE)
    license_line = f"<!-- {'SPDX'}-License-Identifier: GPL-2.0-or-later -->"
    head, _, rest = text.partition("\n")
    path.write_text(f"{head}\n{license_line}\n{rest}")


def page(table: list[Row], cells: list[float], cost: float, memory: float, count: int) -> str:
    """Return the page."""
    lines = [
        f"# {CELLS:,} cells on 1 to 256 hosts",
        "",
        "Made by `nox -s fleet -- simulate`. Durations are drawn from those of real cells:"
        f" {sum(cells) / CELLS:.0f} seconds on average, {max(cells):.0f} at most. A host has"
        f" {SLOTS} slots. It begins when {FILES / 1e6:.0f} MB of kernels and an image have come"
        " over the scheduler's link of 1 Gbit/s, one host after the other. The bound is the work"
        " divided by the slots, or the longest cell.",
        "",
        f"The scheduler's cost is measured: {cost * 1e3:.1f} ms of CPU a call over {count} calls of"
        f" one worker over TLS, and {memory:.0f} MiB of memory at their end. All else in this"
        " table is computed. Nobody ran 256 hosts.",
        "",
        "| hosts | time | bound | time / bound | not sorted | moved | scheduler's CPU, share of"
        " one CPU |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row.hosts} | {row.seconds / 3600:.2f} h | {row.bound / 3600:.2f} h"
        f" | {row.seconds / row.bound:.2f} | {row.unsorted / row.bound:.2f}"
        f" | {row.sent / 1e9:.1f} GB | {row.scheduler:.0f} s, {row.scheduler / row.seconds:.1%} |"
        for row in table
    ]
    return "\n".join([*lines, "", "![time against hosts](fleet-scale.svg)", ""])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=300, help="of a real scheduler, to measure it")
    args = parser.parse_args()
    began, cells = time.monotonic(), drawn()
    cost, memory = measure(args.calls)
    table = rows(cells, cost)
    draw(table, DOCS / "fleet-scale.svg")
    (DOCS / "fleet-scale.md").write_text(page(table, cells, cost, memory, args.calls))
    print(f"written in {time.monotonic() - began:.0f} s; {threading.active_count()} threads left")


if __name__ == "__main__":
    main()
