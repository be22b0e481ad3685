# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that died or hangs: what its tasks did is on the console, its memory in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pinrace.access import crash
from pinrace.arches import ARCHES, get_arch
from pinrace.cli.options import DEFAULT_TREE
from pinrace.deadline import Deadline
from pinrace.engine import build
from pinrace.guest.boot import Ending, run_guest
from pinrace.guest.machine import Machine, get_machine
from pinrace.guest.outcome import GuestRun
from pinrace.judge import splats
from pinrace.trees.fetch import resolve
from pinrace.values import Image, Job, Request

EVERY_ARCH = pytest.mark.parametrize("arch", ARCHES)


@pytest.fixture
def boot(
    boot_kernel: Callable[[str], Path], abi_image: Callable[[str], Image], tmp_path: Path
) -> Callable[..., GuestRun]:
    def run(arch: str, *words: str, limit: float = 60.0, **more: int) -> GuestRun:
        machine: Machine = replace(get_machine(get_arch(arch), mem_mb=192), **more)
        return run_guest(
            boot_kernel(arch),
            abi_image(get_arch(arch).abis[0].name),
            [Job("it", ("/pinrace/bin/misbehave", *words), limit)],
            machine,
            tmp_path / "guest",
            deadline=Deadline.after(60 if words[0] == "hang" and limit > 1 else 120),
        )

    return run


@EVERY_ARCH
def test_a_panic_leaves_its_memory(boot: Callable[..., GuestRun], arch: str) -> None:
    run = boot(arch, "panic", dump=256)
    assert run.ending is Ending.PANIC
    assert run.dump is not None
    assert run.dump.path is not None, run.dump.said
    assert run.dump.path.read_bytes()[:12] in (b"makedumpfile", b"KDUMP   \x06\0\0\0")
    assert run.dump.path.stat().st_size < 192 << 20


@pytest.mark.slow
@EVERY_ARCH
def test_a_hang_says_what_its_tasks_do(boot: Callable[..., GuestRun], arch: str) -> None:
    run = boot(arch, "hang", dump=256)
    assert run.ending is Ending.HANG
    console = run.console.read_text(errors="replace")
    for said in ("sysrq: Show State", "sysrq: Show Blocked State", "task:misbehave"):
        assert said in console
    assert run.dump is not None
    assert run.dump.path is not None, run.dump.said
    assert not [splat for splat in splats.find(console) if splat.deafens]
    assert splats.against(run.console) == ()


def test_a_job_that_init_ends_says_what_tasks_do(boot: Callable[..., GuestRun]) -> None:
    run = boot("x86_64", "hang", limit=0.1, dump=256)
    assert run.ending is Ending.DONE
    assert run.jobs[0].timed_out
    assert run.dump is None
    console = run.console.read_text(errors="replace")
    assert "sysrq: Show State" in console
    assert splats.find(console) == ()


def test_a_dump_over_its_limit_is_not_kept(boot: Callable[..., GuestRun]) -> None:
    run = boot("x86_64", "panic", dump=1)
    assert run.ending is Ending.PANIC
    assert run.dump is not None
    assert run.dump.path is None
    assert "limit of 1 MiB" in run.dump.said
    assert not list(run.console.parent.glob("vmcore*"))


def test_a_guest_that_ends_well_is_not_dumped(boot: Callable[..., GuestRun]) -> None:
    run = boot("x86_64", "exit", "0", dump=256)
    assert run.ending is Ending.DONE
    assert run.dump is None


@pytest.mark.slow
def test_a_dump_tells_its_tasks_and_its_ring_buffer(tmp_path: Path) -> None:
    """On a kernel of its own, with whole types; `pinrace test --dump` asks for the same."""
    asked = Request(("x86_64",), ("x86_64",), ("plain",), None, crash.CONFIG)
    lab = build.prepare(asked, resolve(DEFAULT_TREE, say=print), None, with_base=False)
    kernel = lab.patched.kernels["x86_64", "plain"]
    run = run_guest(
        kernel.boot,
        lab.patched.images["x86_64"],
        [Job("it", ("/pinrace/bin/misbehave", "panic"), 60)],
        replace(get_machine(get_arch("x86_64"), mem_mb=256), dump=256),
        tmp_path,
        deadline=Deadline.after(120),
    )
    assert run.dump is not None
    notes = crash.look_into(run.dump, tmp_path, kernel)
    said = (tmp_path / crash.TEXT).read_text() if (tmp_path / crash.TEXT).exists() else ""
    assert " misbehave on CPU " in said, notes
    assert "sysrq_handle_crash" in said
    assert "sysrq: Trigger a crash" in said.split("# Ring buffer")[1]
