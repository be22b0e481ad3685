# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs to report on: written by the journal itself, with consoles that real kernels printed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

from pinrace.judge import splats
from pinrace.judge.verdict import Ending, Evidence, judge
from pinrace.report.model import History, Night, Trend
from pinrace.runs.journal import Run
from pinrace.suites import ktap
from pinrace.values import Cell, CellResult, Verdict

GOLDEN = Path(__file__).parents[1] / "golden"
ABIS = (("x86_64", "x86_64"), ("x86_64", "i386"), ("arm64", "arm64"), ("arm64", "arm"))
TREE = {
    "label": "linux 7.3.4 + pin-args",
    "version": "7.3.4",
    "origin": "debian trixie-backports",
    "verified": "signature ok",
    "dirty": False,
    "base_tree_id": "5b1b93321fb4aa02" * 2,
    "tree_id": "d2d6f85daeb1c3e9" * 2,
    "series": "pin-args",
    "series_digest": "1f0c77aa90b2d3e4" * 4,
    "patches": ["0001-seccomp-pin.patch", "0002-selftests.patch"],
    "subjects": ["[PATCH] seccomp: let a supervisor pin arguments", "[PATCH] selftests/seccomp: …"],
}
MACHINE = {
    "qemu": "7.2.22",
    "cpu": "cortex-a57",
    "smp": 2,
    "memory_mib": 512,
    "accelerator": "tcg",
    "why": "/dev/kvm opens, but a test guest made no progress in 5 s",
    "scale": 9.4,
}
QEMU = "/usr/bin/qemu-system-aarch64 -nodefaults -machine virt,gic-version=3 -append 'panic=-1'\n"


def kselftest(
    names: Sequence[str], failing: Iterable[str] = (), skipped: Iterable[str] = ()
) -> str:
    """What a program on kselftest_harness.h prints."""
    failing, skipped = set(failing), set(skipped)
    lines = ["TAP version 13", f"1..{len(names)}"]
    for number, name in enumerate(names, 1):
        lines.append(f"#  RUN           {name} ...")
        if name in failing:
            lines += [f"# seccomp_pin_args.c:418:{name}:Expected 2 (2) == argc (3)"]
            lines += [
                f"# {name}: Test failed",
                f"#          FAIL  {name}",
                f"not ok {number} {name}",
            ]
        elif name in skipped:
            lines.append(f"ok {number} {name} # SKIP no uprobes in this kernel")
        else:
            lines += [f"#            OK  {name}", f"ok {number} {name}"]
    return "\n".join(lines) + "\n"


def start(root: Path, cells: Sequence[Cell] = (), **facts: object) -> Run:
    """A run that has begun."""
    return Run.create(
        ["pinrace", "test", "--tree", "debian:7.3"],
        root=root,
        tree=TREE,
        machines={"x86_64": MACHINE | {"cpu": "qemu64"}, "arm64": MACHINE},
        compared=True,
        cells=cells,
        again={"build": ["--tree", "debian:7.3", "--series", "pin-args"], "test": ["--smp", "2"]},
        **facts,
    )


def end_cell(
    run: Run,
    cell: Cell,
    output: str,
    console: bytes | str = "clean",
    base: str = "",
    *,
    evidence: Evidence | None = None,
    symbolized: bool = False,
) -> CellResult:
    """Put a cell's files into the run, judge it and note its end; `console` names a golden log."""
    folder = run.cell_start(cell)
    if isinstance(console, str):
        console = (GOLDEN / f"{cell.arch}-{console}.log").read_bytes()
    (folder / "console.log").write_bytes(console)
    (folder / "ktap.txt").write_text(output)
    (folder / "qemu.txt").write_text(QEMU)
    found = splats.find(splats.read(folder / "console.log"))
    if found:
        texts = [splat.text for splat in found]
        if symbolized:
            texts = [t.replace("+0xe/0x20", " (drivers/misc/lkdtm/bugs.c:164)") for t in texts]
        (folder / "splats.txt").write_text("\n\n".join(texts) + "\n")
    result = judge(
        cell,
        evidence or Evidence(Ending.DONE, job_status=0),
        ktap.parse(output).flatten(),
        found,
        ktap.parse(base).flatten() if base else (),
        seconds=5.4,
        folder=folder,
    )
    run.cell_end(result)
    return result


NAMES = [f"pin_args.c{n:02}_{w}" for n, w in zip(range(1, 57), itertools.cycle(("open", "execve")))]


def sample(root: Path) -> Path:
    """Every verdict, and everything that a cell can have."""
    suites = ("smoke", "pin_args", "seccomp_bpf")
    cells = [Cell(arch, abi, "plain", suite) for arch, abi in ABIS for suite in suites]
    run = start(root, cells)
    results = []
    for cell in cells:
        names = NAMES if cell.suite == "pin_args" else NAMES[:6]
        good = kselftest(names, skipped=names[3:5])
        place = (cell.abi, cell.suite)
        if place == ("arm", "pin_args"):
            bad = kselftest(names, failing=[names[10], names[40]], skipped=names[3:5])
            results.append(
                end_cell(run, cell, bad, base=kselftest(names, failing=[names[40], names[9]]))
            )
        elif place == ("arm64", "pin_args"):
            results.append(end_cell(run, cell, kselftest(names, failing=[names[10]]), base=good))
        elif place == ("x86_64", "seccomp_bpf"):
            results.append(end_cell(run, cell, good, "warn", symbolized=True))
        elif place == ("i386", "seccomp_bpf"):
            hang = Evidence(Ending.HANG, "still running job 'seccomp_bpf' at the limit of 120 s")
            results.append(end_cell(run, cell, "", evidence=hang))
        elif place == ("i386", "smoke"):
            folder = run.cell_start(cell)
            why = "could not be run: QEMU did not start (exit 1): no such machine"
            results.append(CellResult(cell, Verdict.MISS, why, folder=folder))
            run.cell_end(results[-1])
        elif place == ("arm", "seccomp_bpf"):
            bad = kselftest(names, failing=[names[2]])
            results.append(end_cell(run, cell, bad, base=bad))
        elif place == ("arm", "smoke"):
            skip = "1..0 # SKIP this tree brings no pinsmoke\n"
            results.append(end_cell(run, cell, "TAP version 13\n" + skip))
        else:
            results.append(end_cell(run, cell, good, base=good))
    run.finish(results, exit_code=1)
    return run.folder


def large(root: Path, number: int = 500) -> Path:
    """Many cells, as many repeats of each square as it takes."""
    suites = ("smoke", "pin_args", "seccomp_bpf")
    flavors = ("plain", "debug", "kcsan")
    squares = [(*abi, flavor, suite) for flavor in flavors for abi in ABIS for suite in suites]
    all_cells = (
        Cell(arch, abi, flavor, suite, repeat)
        for repeat in itertools.count(1)
        for arch, abi, flavor, suite in squares
    )
    cells = list(itertools.islice(all_cells, number))
    run = start(root, cells)
    names = [f"{name}.{n}" for n in (1, 2) for name in NAMES]
    good = kselftest(names)
    results = []
    for index, cell in enumerate(cells):
        bad = kselftest(names, failing=[names[index % 7]]) if index % 40 == 7 else good
        console = "kasan" if index % 100 == 50 else "clean"
        results.append(end_cell(run, cell, bad, console))
    run.finish(results, exit_code=1)
    return run.folder


def history(nights: int = 30) -> History:
    """Some past."""
    verdicts = (Verdict.PASS, Verdict.PASS, Verdict.FAIL, Verdict.PASS, Verdict.MISS, Verdict.SKIP)
    trends = tuple(
        Trend(
            f"{arch}-{abi}-plain-pin_args",
            tuple(
                None if (n + k) % 11 == 5 else verdicts[(n * (k + 1) // 3) % 6]
                for n in range(nights)
            ),
            "fails now and then" if k == 1 else "",
        )
        for k, (arch, abi) in enumerate(ABIS)
    )
    made = []
    for n in range(nights):
        row = [trend.verdicts[n] for trend in trends]
        counts = tuple((verdict, row.count(verdict)) for verdict in Verdict)
        made.append(Night(f"2026-11-{n % 30 + 1:02}", counts, f"2026-11-{n % 30 + 1:02}-0200"))
    return History(tuple(made), trends)


EVIL = (
    "</script><img src=x onerror=document.title='owned'>",
    "</pre></details><script>document.title='owned'</script>",
    '" onmouseover="document.title=1" x="',
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "&lt;b&gt; &#60;",
    "]]><!--",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00nul \x08back \x7fdel \x9b31m",
    "\u202egpj.exe \u2066isolate\u2069 \u200bnothing\u200f\ufeff",
    "mem\u0301\u0302\u0303\u0304\u0305\u0306ory",
    "\u05d0\u05d1\u05d2 right to left",
)


def hostile(root: Path) -> Path:
    """A guest, a series and paths that mean harm."""
    evil = " ".join(EVIL)
    cell = Cell("arm64", "arm", "plain", "pin_args")
    odd = Cell("arm64", "arm", "plain", f"../{EVIL[0].replace('/', '_')}{EVIL[8]}")
    run = start(root, [cell])
    run.add_facts(
        argv=["pinrace", "test", *EVIL],
        project=evil,
        tree=TREE | {"subjects": list(EVIL), "origin": evil, "series": evil, "version": evil},
        machines={evil: MACHINE | {"why": evil, "cpu": evil, "scale": evil}},
        host={"system": evil},
        again={"build": ["--tree", *EVIL], "test": [evil]},
    )
    lines = ["TAP version 13", f"1..{len(EVIL)}"]
    for number, text in enumerate(EVIL, 1):
        one = text.replace("\n", " ")
        lines += [f"# {one}", f"not ok {number} {one}"]
    console = (GOLDEN / "arm64-warn.log").read_bytes()
    console += b"invalid \xff\xfe\xc0\x80 utf-8\r\n" + "\r\n".join(EVIL).encode() + b"\r\n"
    console += f"[   99.000000] BUG: KASAN: slab-use-after-free in {evil}\r\n".encode()
    results = [end_cell(run, cell, "\n".join(lines) + "\n", console)]
    (run.cell_folder(cell) / "qemu.txt").write_text(evil)
    (run.cell_folder(cell) / EVIL[2].replace("/", "_")).write_text("")
    results.append(CellResult(odd, Verdict.MISS, evil, notes=EVIL, folder=run.cell_folder(cell)))
    run.cell_end(results[-1])
    run.finish(results, exit_code=1)
    return run.folder
