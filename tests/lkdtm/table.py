#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What pinrace says of each crash that LKDTM can provoke, one guest a crash.

    python tests/lkdtm/table.py [--only TYPE]... [--for SECONDS] [--kernel FILE] FOLDER

The kernel is that of tests/lkdtm/README.md, which holds the table; the first run builds it.  FOLDER
gets a console a crash.  One that is there is read and not provoked again, so that the run can be
cut short, and the table made anew after a change of the rules.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pinrace import ui
from pinrace.arches import get_abi, get_arch
from pinrace.engine import build
from pinrace.guest.boot import run_guest
from pinrace.guest.machine import Machine, get_machine
from pinrace.image.cpio import Entry
from pinrace.judge import ending, splats
from pinrace.judge.ending import End
from pinrace.kbuild import compile as compiling
from pinrace.trees.fetch import resolve
from pinrace.values import Ending, Job, Request

HERE = Path(__file__).parent
CONFIG = (HERE / "config").read_text().split()
DIRECT = "/sys/kernel/debug/provoke-crash/DIRECT"
PREPARE = (
    "mount -t debugfs none /sys/kernel/debug 2>/dev/null; cd /proc/sys/kernel;"
    " echo 3 > watchdog_thresh; echo 5 > hung_task_timeout_secs;"
    " echo 1 > hung_task_check_interval_secs; "
)
# Crashes that end nothing: the detector has to wait first.
SLOW = {"SOFTLOCKUP", "HARDLOCKUP", "SMP_CALL_LOCKUP", "SPINLOCKUP", "HUNG_TASK", "LOOP"}
# What LKDTM has no type for.  The first is two reports, of two CPUs at once.
MORE = {
    "(TWO_AT_ONCE)": f"for cpu in 0 1; do (for i in 1 2 3; do taskset $((1 << cpu))"
    f" sh -c 'echo WARNING_MESSAGE > {DIRECT}; echo CORRUPT_LIST_ADD > {DIRECT}'; done) & done;"
    " wait",
    "(RCU_STARVED)": "echo -1 > sched_rt_runtime_us; for cpu in"
    " /sys/kernel/debug/sched/fair_server/cpu*; do echo 0 > $cpu/runtime; done; /spin 25",
}
SECONDS, WAIT = 20.0, 60.0  # of the host, for a crash that ends by itself, and for one that hangs


def main() -> None:
    """Provoke what is missing, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", action="append", default=[], metavar="TYPE")
    parser.add_argument("--for", dest="limit", type=float, default=1e9, metavar="SECONDS")
    parser.add_argument("--kernel", type=Path, help="a kernel with LKDTM that is built already")
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    until = time.monotonic() + args.limit
    lab, machine = prepared(args.kernel)
    listed = known(lab, machine, args.folder)
    types = args.only or [*listed, *MORE]
    for name in types:
        if time.monotonic() < until and not (args.folder / f"{name}.log").exists():
            provoke(name, lab, machine, args.folder)
    print("\n".join(table(types, args.folder)))


def prepared(kernel: Path | None) -> tuple[build.Lab, Machine]:
    """Have the kernel and the image."""
    asked = Request(("x86_64",), ("x86_64",), ("plain",), kernel, () if kernel else tuple(CONFIG))
    tree = resolve("debian:7.3", say=ui.say, insecure=False)
    with ui.on_stderr():
        lab = build.prepare(asked, tree, None, with_base=False)
    machine = get_machine(get_arch("x86_64"), smp=2)
    return lab, replace(machine, cmdline=(*machine.cmdline, "rcupdate.rcu_cpu_stall_timeout=5"))


def boot(command: str, seconds: float, lab: build.Lab, machine: Machine, folder: Path) -> bytes:
    """Run a line of shell in a guest; return what it printed, or how the guest ended."""
    line = ("/bin/sh", "-c", f"{PREPARE}{command}")
    job = Job("crash", line, seconds / machine.accel.scale, direct=False, records=False)
    kernel, image = lab.patched.kernels["x86_64", "plain"], lab.patched.images["x86_64"]
    spin = Entry("/spin", 0o755, data=compiling.program(HERE / "spin.c", get_abi("x86_64"), ()))
    went = run_guest(kernel.boot, image, [job], machine, folder, files=[spin])
    (folder / "end").write_text(f"{went.ending.value}\n{went.reason}\n")
    return went.jobs[0].output


def known(lab: build.Lab, machine: Machine, folder: Path) -> list[str]:
    """Return the types that this kernel has, as it lists them; kept in the folder."""
    kept = folder / "types"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        said = boot(f"cat {DIRECT}", SECONDS, lab, machine, folder / "boot").decode()
        types = re.findall(r"^[A-Z][A-Z_]+$", said, re.M)
        if not types:
            raise SystemExit(f"this kernel has no {DIRECT}: it is not built with CONFIG_LKDTM")
        kept.write_text("\n".join(types))
    return kept.read_text().split()


def provoke(name: str, lab: build.Lab, machine: Machine, folder: Path) -> None:
    """Provoke one crash; keep the console, and how the guest ended."""
    place = folder / "boot"
    seconds = WAIT if name in SLOW or name in MORE else SECONDS
    boot(MORE.get(name, f"echo {name} > {DIRECT}"), seconds, lab, machine, place)
    (place / "end").rename(folder / f"{name}.end")
    (place / "console.log").rename(folder / f"{name}.log")


def table(types: list[str], folder: Path) -> Iterator[str]:
    """Return the table as markdown, of those crashes whose console is there."""
    rules = splats.load_rules()
    yield "| crash | end | pinrace says | fingerprint |"
    yield "| --- | --- | --- | --- |"
    for name in types:
        log = folder / f"{name}.log"
        if not log.exists():
            continue
        end, _, why = (folder / f"{name}.end").read_text().partition("\n")
        found = splats.find(splats.read(log))
        said = [one for one in found if rules.counts(one)]
        read = ending.read(Ending(end), why.strip(), splats=found)
        titles = "<br>".join(f"{one.rule}: {one.title}" for one in said)
        prints = "<br>".join(one.fingerprint.rpartition(": ")[2] for one in said)
        none = "nothing" if read.end is End.ENDED else read.sentence
        cells = (name, read.end.value, titles or f"{none}{_own(log)}", prints)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _own(log: Path) -> str:
    """Return what LKDTM itself says of a crash that nothing reported."""
    lines = re.findall(r"lkdtm: (.*)", log.read_text(errors="replace"))
    own = [line for line in lines if not line.startswith(("No crash points", "Performing direct"))]
    return f"; LKDTM: {own[-1]}" if own else ""


if __name__ == "__main__":
    main()
