# SPDX-License-Identifier: GPL-2.0-or-later
"""What is made of a kept dump, and what is said when there is none."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pinrace.access import crash, gdb
from pinrace.cli import options
from pinrace.cli.main import main, parser
from pinrace.errors import InfrastructureError, UserError
from pinrace.guest import dump
from pinrace.guest.qmp import Monitor
from pinrace.report.gather import gather
from pinrace.report.render import render
from pinrace.runs.journal import Run
from pinrace.values import Cell, CellResult, Kernel, Verdict

QEMU = shutil.which("qemu-system-x86_64")


def _kernel(folder: Path) -> Kernel:
    folder.mkdir()
    (folder / "vmlinux").write_bytes(b"\x7fELF")
    return Kernel("d" * 16, "x86_64", "plain", "t" * 40, "7.3.4", folder)


@pytest.mark.skipif(not QEMU, reason="no QEMU")
@pytest.mark.parametrize(("limit", "kept"), [(64, True), (0, False)])
def test_a_real_qemu_writes_its_memory(tmp_path: Path, limit: int, kept: bool) -> None:
    """A machine without a kernel, stopped before its first instruction."""
    with dump.monitor() as (words, held):
        argv = [str(QEMU), "-nodefaults", "-display", "none", "-m", "8M", "-S", *words]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        try:
            while not held._connected:
                assert held.stopped is False
            it = dump.keep(held, tmp_path, memory=8, limit=limit)
            held.ask("quit")
            assert process.wait(30) == 0
        finally:
            process.kill()
            process.wait()
    assert (it.path is not None) is kept, it.said
    assert [path.name for path in tmp_path.iterdir()] == (["vmcore"] if kept else [])


def test_a_monitor_without_a_qemu_is_no_end(tmp_path: Path) -> None:
    with Monitor(tmp_path / "nobody") as held:
        assert held.stopped is False


def test_a_dump_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    folder.mkdir()
    (folder / dump.FILE).write_bytes(b"no dump")
    kept = dump.Kept(folder / dump.FILE, "vmcore, kdump-zlib, 1 MiB")
    notes = crash.look_into(kept, folder, _kernel(tmp_path / "kernel"))
    assert "nothing could be read" in notes[1] or "nothing read it" in notes[1]
    assert not (folder / crash.TEXT).exists()
    assert json.loads((folder / crash.FACTS).read_text())["arch"] == "x86_64"
    assert crash.look_into(dump.Kept(None, "none: no room"), folder, _kernel(tmp_path / "k")) == (
        "dump: none: no room",
    )


def test_a_packed_dump_stays_packed_and_may_be_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cell"
    folder.mkdir()
    packed = folder / dump.PACKED
    kernel = _kernel(tmp_path / "kernel")
    monkeypatch.setattr(crash, "find_spec", lambda name: name)
    for content in (gzip.compress(b"no dump"), gzip.compress(b"no dump")[:-6], b"no gzip"):
        packed.write_bytes(content)
        notes = crash.look_into(dump.Kept(packed, "vmcore.gz, elf, 1 MiB"), folder, kernel)
        assert "nothing could be read" in notes[1]
        assert not (folder / dump.FILE).exists()
    with pytest.raises(InfrastructureError, match="cannot be unpacked"):
        crash.command_line(folder)


def test_the_page_shows_what_a_dump_says(tmp_path: Path) -> None:
    cell = Cell("x86_64", "x86_64", "plain", "smoke")
    with Run.create(["pinrace", "test"], root=tmp_path) as run:
        folder = run.cell_start(cell)
        (folder / crash.TEXT).write_text("# Tasks: 2\n\nR 37 <misbehave> on CPU 1\n")
        run.cell_end(CellResult(cell, Verdict.FAIL, "it hung", folder=folder))
        run.end(1)
    page = render(gather(run.folder))
    assert "R 37 &lt;misbehave&gt; on CPU 1" in page


def test_a_debugger_is_chosen_by_what_it_can_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    folder = run / "cells" / "one"
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match="no dump"):
        crash.find(run)
    with gzip.open(folder / dump.PACKED, "wb") as stream:
        stream.write(b"\x7fELF and so on")
    assert crash.find(run) == folder
    with pytest.raises(UserError, match=r"dump\.json"):
        crash.command_line(folder)
    kernel = _kernel(tmp_path / "kernel")
    facts = {"vmlinux": str(kernel.vmlinux), "arch": "x86_64"}
    (folder / crash.FACTS).write_text(json.dumps(facts))
    for name in crash.DEBUGGERS:
        place = tmp_path / "bin" / name
        place.parent.mkdir(exist_ok=True)
        place.write_text("#!/bin/sh\n")
        place.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    core = str(folder / dump.FILE)
    drgn = crash.command_line(folder, words=["-q"])
    assert drgn == [str(tmp_path / "bin/drgn"), "-c", core, "-s", str(kernel.vmlinux), "-q"]
    assert crash.command_line(folder, "crash")[1:] == [str(kernel.vmlinux), core]
    assert crash.command_line(folder, "gdb")[1:6] == [*gdb.QUIET, str(kernel.vmlinux), core]
    (folder / dump.FILE).write_bytes(b"KDUMP   ")
    with pytest.raises(InfrastructureError, match="nothing here opens"):
        crash.command_line(folder, "gdb")
    kernel.vmlinux.unlink()
    with pytest.raises(UserError, match="was pruned"):
        crash.command_line(folder)
    (run / "cells" / "two").mkdir()
    (run / "cells" / "two" / dump.FILE).touch()
    with pytest.raises(UserError, match="several"):
        crash.find(run)
    assert crash.find(run, "two").name == "two"


def test_a_dump_asks_for_a_kernel_that_can_be_read(own_cache: Path) -> None:
    args = parser("test").parse_args(["test", "--dump", "--config", "PROC_KCORE=y"])
    options.with_dump(args)
    assert args.dump == dump.LIMIT
    assert sorted(args.config) == sorted(crash.CONFIG)
    assert main(["test", "--dump=-1"]) == 2
    assert main(["test", "--dump", "--deterministic"]) == 2
