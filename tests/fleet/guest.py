# SPDX-License-Identifier: GPL-2.0-or-later
"""`nox -s fleet -- guest ARGS`: `pinrace test ARGS` here and on two hosts, verdicts compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))

import namespaces

from pinrace.runs.journal import find_run, load

NAMES = ["a", "b"]
USUAL = ["--series", "none", "--abi", "x86_64", "--suite", "smoke", "--repeat", "2"]


def test(place: Path, args: list[str]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Run it and return the verdict and the notes of each cell."""
    argv = [sys.executable, "-m", "pinrace", "test", "--runs", str(place), *args]
    subprocess.run(argv, check=False, timeout=900)
    return {one.cell.name: (str(one.verdict), one.notes) for one in load(find_run(root=place))}


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
        here = test(place / "here", args)
    for cell, (verdict, notes) in there.items():
        print(f"{cell}: {verdict} there ({notes[-1:]}), {here.get(cell, ('nothing',))[0]} here")
    same = {c: v for c, (v, _) in there.items()} == {c: v for c, (v, _) in here.items()}
    print(f"{'ok ' if same and there else 'BAD'} the same verdicts as one machine")
    print(f"{'BAD' if left else 'ok '} nothing runs on any host {left or ''}")
    raise SystemExit(0 if same and there and not left else 1)


if __name__ == "__main__":
    main()
