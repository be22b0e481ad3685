# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests that go wrong: each end is told from the others, in time, and no QEMU stays behind."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pinrace.arches import ARCHES, Arch
from pinrace.errors import InfrastructureError
from pinrace.guest.boot import Ending, GuestRun, Limits, run_guest
from pinrace.guest.channel import Record
from pinrace.guest.machine import Machine, get_machine
from pinrace.values import Image, Job

MISBEHAVE = "/pinrace/bin/misbehave"
FIRST = Job("first", (MISBEHAVE, "exit", "3"), 5)
LAST = Job("last", (MISBEHAVE, "exit", "0"), 5)

EVERY_ARCH = pytest.mark.parametrize("arch", ARCHES.values(), ids=lambda arch: arch.name)
ONE_ARCH = pytest.mark.parametrize("arch", [ARCHES["x86_64"]], ids=lambda arch: arch.name)

Boot = Callable[..., GuestRun]


@pytest.fixture
def machine(arch: Arch) -> Machine:
    return get_machine(arch)


@pytest.fixture
def what(
    arch: Arch, boot_kernel: Callable[[str], Path], abi_image: Callable[[str], Image]
) -> tuple[Path, Image]:
    return boot_kernel(arch.name), abi_image(arch.abis[0].name)


@pytest.fixture
def boot(what: tuple[Path, Image], machine: Machine, tmp_path: Path) -> Boot:
    def act(*jobs: Job, on: Machine = machine, **more: object) -> GuestRun:
        run = run_guest(*what, jobs, on, tmp_path, **more)  # type: ignore[arg-type]
        assert not guests(tmp_path)
        return run

    return act


def guests(folder: Path) -> list[psutil.Process]:
    """QEMU processes that write below a folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any("qemu-system" in word for word in (process.info["cmdline"] or [])[:5])
        and any(str(folder) in word for word in process.info["cmdline"])
    ]


def at(kind: str, job: str, act: Callable[[], object]) -> Callable[[Record], None]:
    """Act when that record of a job comes."""

    def look(record: Record) -> None:
        if record.type == kind and record.fields().get("job") == job:
            act()

    return look


def kill_guest(folder: Path, number: int) -> None:
    (guest,) = guests(folder)
    os.kill(guest.pid, number)


@EVERY_ARCH
def test_panic(boot: Boot) -> None:
    run = boot(FIRST, Job("bad", (MISBEHAVE, "panic"), 5), LAST)
    assert run.ending is Ending.PANIC
    assert "running job 'bad'" in run.reason
    assert "panic" in run.tail
    first, bad, last = run.jobs
    assert first.status == 3
    assert bad.started
    assert bad.error.startswith("cut off: kernel panic")
    assert last.error.startswith("not run: ")
    assert not last.started


@EVERY_ARCH
def test_early_power_off(boot: Boot) -> None:
    run = boot(FIRST, Job("bad", (MISBEHAVE, "poweroff"), 5), LAST)
    assert run.ending is Ending.EARLY_EXIT
    assert "running job 'bad'" in run.reason
    assert run.jobs[0].status == 3
    assert run.jobs[1].status is None
    assert not run.sound


@EVERY_ARCH
def test_no_init(boot: Boot, machine: Machine) -> None:
    run = boot(LAST, on=dataclasses.replace(machine, cmdline=("rdinit=/none", "init=/none")))
    assert run.ending is Ending.PANIC
    assert "while booting" in run.reason
    assert run.boot_seconds is None
    assert not run.hello


@EVERY_ARCH
def test_hang_at_boot(boot: Boot, machine: Machine) -> None:
    """An init that never reports; the console's end is shown."""
    stuck = dataclasses.replace(machine, cmdline=(f"rdinit={MISBEHAVE}", "--", "hang"))
    run = boot(LAST, on=stuck, limits=Limits(boot=1.0))
    assert run.ending is Ending.NO_BOOT
    assert "still booting at the limit of" in run.reason
    assert "Run /pinrace/bin/misbehave" in run.tail
    assert run.jobs[0].error.startswith("not run: still booting")


@ONE_ARCH
def test_a_kernel_that_says_nothing(boot: Boot, machine: Machine) -> None:
    run = boot(LAST, on=dataclasses.replace(machine, qemu_args=("-S",)), limits=Limits(boot=0.1))
    assert run.ending is Ending.NO_BOOT
    assert run.tail == ""


@ONE_ARCH
def test_hang_in_a_job(boot: Boot, tmp_path: Path) -> None:
    """All vCPUs stop, so that the guest's own timeout cannot help."""
    job = Job("stopped", (MISBEHAVE, "hang"), 0.2)
    stop = at("start", "stopped", lambda: kill_guest(tmp_path, signal.SIGSTOP))
    run = boot(FIRST, job, LAST, limits=Limits(step=0.2), on_record=stop)
    assert run.ending is Ending.HANG
    assert "still running job 'stopped'" in run.reason
    assert run.jobs[0].status == 3
    assert run.jobs[1].error.startswith("cut off: ")


@ONE_ARCH
def test_hang_when_it_is_done(boot: Boot, tmp_path: Path) -> None:
    def stop(record: Record) -> None:
        if record.type == "done":
            for guest in guests(tmp_path):  # none when it has left already
                with contextlib.suppress(ProcessLookupError):
                    os.kill(guest.pid, signal.SIGSTOP)

    run = boot(FIRST, limits=Limits(step=0.2), on_record=stop)
    assert run.ending in (Ending.HANG, Ending.DONE)
    assert run.jobs[0].status == 3


@EVERY_ARCH
def test_flood_on_the_console(boot: Boot) -> None:
    job = Job("bad", (MISBEHAVE, "flood-console"), 60)
    run = boot(FIRST, job, limits=Limits(console=200_000))
    assert run.ending is Ending.FLOOD
    assert "on the console while running job 'bad'" in run.reason
    assert run.jobs[0].status == 3


@EVERY_ARCH
def test_flood_on_the_channel(boot: Boot) -> None:
    job = Job("bad", (MISBEHAVE, "flood-output"), 60)
    run = boot(FIRST, job, limits=Limits(channel=200_000))
    assert run.ending is Ending.FLOOD
    assert "on the result channel" in run.reason
    assert run.jobs[1].output.startswith(b"flood 0 ")


@ONE_ARCH
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_qemu_is_killed(boot: Boot, tmp_path: Path, number: int) -> None:
    job = Job("victim", (MISBEHAVE, "hang"), 60)
    kill = at("start", "victim", lambda: kill_guest(tmp_path, number))
    run = boot(FIRST, job, on_record=kill)
    assert run.ending is Ending.KILLED
    assert "running job 'victim'" in run.reason
    assert run.jobs[0].status == 3
    assert run.jobs[1].status is None


@ONE_ARCH
def test_qemu_does_not_start(boot: Boot, machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="nonsense"):
        boot(LAST, on=dataclasses.replace(machine, qemu_args=("-nonsense",)))
    assert not guests(tmp_path)
    assert not (tmp_path / "initrd").exists()


@ONE_ARCH
def test_damage_on_the_channel(boot: Boot) -> None:
    """A program that writes to the channel's own port."""
    script = "printf '@PR1 done 9 0 00000000\\n\\n' > /dev/ttyS1"
    run = boot(FIRST, Job("bad", ("/bin/sh", "-c", script), 5), LAST)
    assert run.damage
    assert not run.sound
    assert run.jobs[2].status == 0


@ONE_ARCH
def test_an_exception_leaves_nothing(boot: Boot, tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        boot(FIRST, LAST, on_record=at("start", "first", interrupt))
    assert not guests(tmp_path)


@ONE_ARCH
def test_stop_from_another_thread(boot: Boot, tmp_path: Path) -> None:
    stop = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        boot(
            Job("long", (MISBEHAVE, "hang"), 60), on_record=at("start", "long", stop.set), stop=stop
        )
    assert not guests(tmp_path)


CHILD = """
import pickle, sys
from pathlib import Path
from pinrace.guest.boot import run_guest
kernel, image, jobs, machine, folder = pickle.loads(Path(sys.argv[1]).read_bytes())
run_guest(kernel, image, jobs, machine, folder, on_record=lambda r: print(r.type, flush=True))
"""


@EVERY_ARCH
def test_sigkill_of_the_harness(what: tuple[Path, Image], machine: Machine, tmp_path: Path) -> None:
    jobs = [Job("long", (MISBEHAVE, "hang"), 600)]
    order = tmp_path / "order"
    order.write_bytes(pickle.dumps((*what, jobs, machine, tmp_path / "run")))
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(order)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child.stdout as output:
        assert [next(output), next(output)] == ["hello\n", "start\n"]
        (guest,) = guests(tmp_path)
        child.kill()
        child.wait()
    psutil.wait_procs([guest], timeout=60)
    assert not guests(tmp_path)
