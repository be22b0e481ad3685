# SPDX-License-Identifier: GPL-2.0-or-later
"""The gdb client: packets however they are cut, and QEMU's own stub with a small firmware."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pinrace.arches import ARCHES, Arch
from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError
from pinrace.races.preempt.stub import SIGINT, SIGTRAP, Packets, Stop, Stub, StubGoneError, frame


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=20).map(lambda b: b.translate(None, b"$#}"))), st.data())
def test_packets_come_out_however_they_are_cut(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"+".join(frame(payload) for payload in payloads)
    packets, found = Packets(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        packets.feed(stream[:cut])
        stream = stream[cut:]
        while (payload := packets.take()) is not None:
            found.append(payload)
    assert found == payloads


def test_what_was_escaped_is_read() -> None:
    packets = Packets()
    packets.feed(frame(b"a}\x03b"))
    assert packets.take() == b"a#b"


def test_a_damaged_packet_raises() -> None:
    packets = Packets()
    packets.feed(b"$OK#00")
    with pytest.raises(InfrastructureError, match="damaged"):
        packets.take()


@contextmanager
def machine(arch: Arch, folder: Path, *, running: bool = False) -> Iterator[Stub]:
    """A machine of two CPUs that runs the probe's firmware, and a connection to its stub."""
    rom, path = folder / "rom", folder / "gdb"
    rom.write_bytes(arch.probe_rom)
    argv = [arch.qemu, "-nodefaults", "-display", "none", "-machine", arch.machine]
    argv += ["-cpu", arch.cpus[0], "-accel", "tcg", "-smp", "2", "-bios", str(rom)]
    argv += [*([] if running else ["-S"]), "-gdb", f"unix:path={path},server=on,wait=off"]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        with Stub(path, Deadline.after(60)) as stub:
            yield stub
    finally:
        process.kill()
        process.wait()


EVERY_ARCH = pytest.mark.parametrize("arch", ARCHES.values(), ids=list(ARCHES))


@EVERY_ARCH
@pytest.mark.parametrize("running", [False, True], ids=["stopped", "running"])
def test_one_cpu_steps_and_the_other_stands(arch: Arch, running: bool, tmp_path: Path) -> None:
    with machine(arch, tmp_path, running=running) as stub:
        assert stub.threads() == [1, 2]
        pc = arch.debug.pc
        before = [stub.read_register(thread, pc) for thread in (1, 2)]
        assert stub.step(1) == Stop(SIGTRAP, 1)
        stub.step(1)
        assert stub.read_register(2, pc) == before[1]
        if not running:
            assert stub.read_register(1, pc) != before[0]


@EVERY_ARCH
def test_registers_are_written_and_read(arch: Arch, tmp_path: Path) -> None:
    with machine(arch, tmp_path) as stub:
        stub.write_register(2, arch.debug.first, 0x1234)
        assert stub.read_register(2, arch.debug.first) == 0x1234
        assert stub.read_register(1, arch.debug.first) != 0x1234


def test_a_breakpoint_stops_and_time_does(tmp_path: Path) -> None:
    arch = ARCHES["arm64"]
    stop, loop = 0x3C, 0x1C  # labels of the firmware
    with machine(arch, tmp_path) as stub:
        assert stub.read_memory(1, 0, 8) == arch.probe_rom[:8]
        stub.insert(loop)
        assert stub.run([1], 60) == Stop(SIGTRAP, 1)
        assert stub.read_register(1, arch.debug.pc) == loop
        stub.remove(loop)
        assert stub.run([1], 0.1).signal == SIGINT
        assert loop <= stub.read_register(1, arch.debug.pc) < stop
        with pytest.raises(InfrastructureError, match="refused"):
            stub.remove(loop)
        assert stub.read_memory(1, 0, 4) == arch.probe_rom[:4]  # still in step


def test_a_stub_that_goes_raises(tmp_path: Path) -> None:
    with machine(ARCHES["arm64"], tmp_path) as stub:
        assert stub.ask("k") == "W00"
        with pytest.raises(StubGoneError):
            stub.ask("?")


def test_what_is_raised_ends_qemu(tmp_path: Path) -> None:
    arch, path = ARCHES["arm64"], tmp_path / "gdb"
    argv = [arch.qemu, "-nodefaults", "-display", "none", "-machine", arch.machine, "-S"]
    argv += ["-cpu", arch.cpus[0]]
    argv += ["-gdb", f"unix:path={path},server=on,wait=off"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as process:
        with pytest.raises(ValueError, match="because"), Stub(path, Deadline.after(60)):
            raise ValueError("because")
        assert process.wait(60) == 0


def test_a_stub_that_never_comes_raises(tmp_path: Path) -> None:
    with (
        pytest.raises(InfrastructureError, match="did not come up"),
        Stub(tmp_path / "none", Deadline.after(0.1)),
    ):
        pass
