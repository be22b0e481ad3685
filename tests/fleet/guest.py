# SPDX-License-Identifier: GPL-2.0-or-later
"""`nox -s fleet -- guest ARGS`: `pinrace test ARGS` here and on two hosts, verdicts compared.

Then the same is begun again and ended by Ctrl-C, and by SIGKILL: no guest may be left on any host.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))

import namespaces
import psutil

from pinrace.runs.journal import find_run, load

NAMES = ["a", "b"]
USUAL = ["--series", "none", "--abi", "x86_64", "--suite", "smoke", "--repeat", "2"]


def test(place: Path, args: list[str]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Run it and return the verdict and the notes of each cell."""
    argv = [sys.executable, "-m", "pinrace", "test", "--runs", str(place), *args]
    subprocess.run(argv, check=False, timeout=900)
    return {one.cell.name: (str(one.verdict), one.notes) for one in load(find_run(root=place))}


def qemus(made: namespaces.Site) -> int:
    """Return how many guests run on all hosts."""
    found = 0
    for name in NAMES:
        for process in made.processes(name):
            with contextlib.suppress(psutil.Error):
                found += process.name().startswith("qemu-system")
    return found


def ended_by(number: signal.Signals, made: namespaces.Site, place: Path, args: list[str]) -> bool:
    """Begin it, end the command when guests run, and say whether all hosts were clean soon."""
    argv = [sys.executable, "-m", "pinrace", "test", "--runs", str(place / "ended"), *args]
    command = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while not qemus(made) and command.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    many = qemus(made)
    command.send_signal(number)
    began = time.monotonic()
    while qemus(made) and time.monotonic() < began + 60:
        time.sleep(0.05)
    took = time.monotonic() - began
    command.wait(60)
    while any(made.processes(name) for name in NAMES) and time.monotonic() < began + 60:
        time.sleep(0.1)
    rest = time.monotonic() - began
    good = bool(many) and rest < 30
    print(f"{'ok ' if good else 'BAD'} {number.name}: {many} guests ended in {took:.1f} s, and")
    print(f"    everything on the hosts in {rest:.1f} s")
    return good


def main() -> None:
    args = sys.argv[1:] or USUAL
    with TemporaryDirectory(prefix="pinrace-fleet-") as name:
        place = Path(name)
        with namespaces.site(place / "hosts", NAMES) as made:
            python = dict.fromkeys(NAMES, sys.executable)
            text = namespaces.hosts_toml(made, python, 1, {"b": ["native-x86_64"]})
            (place / "hosts.toml").write_text(text)
            there = test(place / "there", [*args, "--hosts", str(place / "hosts.toml")])
            left = [host for host in NAMES if made.processes(host)]
            more = [*args, "--hosts", str(place / "hosts.toml")]
            ends = [ended_by(one, made, place, more) for one in (signal.SIGINT, signal.SIGKILL)]
        here = test(place / "here", args)
    for cell, (verdict, notes) in there.items():
        print(f"{cell}: {verdict} there ({notes[-1:]}), {here.get(cell, ('nothing',))[0]} here")
    same = {c: v for c, (v, _) in there.items()} == {c: v for c, (v, _) in here.items()}
    print(f"{'ok ' if same and there else 'BAD'} the same verdicts as one machine")
    print(f"{'BAD' if left else 'ok '} nothing runs on any host {left or ''}")
    raise SystemExit(0 if same and there and all(ends) and not left else 1)


if __name__ == "__main__":
    main()
