# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of QEMU holds what every guest needs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pinrace.arches import ARCHES, Arch
from pinrace.guest.machine import Machine, Replay, append_line, argv
from pinrace.host.accel import Accelerator
from pinrace.host.qemu import choose_cpu, get_qemu

EVERY_ARCH = pytest.mark.parametrize("arch", ARCHES.values(), ids=lambda arch: arch.name)


@pytest.fixture
def machine(arch: Arch) -> Machine:
    qemu = get_qemu(arch)
    tcg = Accelerator(name="tcg", reason="a test", scale=10.0)
    return Machine(arch.name, qemu, choose_cpu(arch, qemu), tcg)


def value(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


def line(machine: Machine, folder: Path) -> list[str]:
    return argv(
        machine,
        folder / "boot",
        folder / "initrd",
        console_log=folder / "console.log",
        channel=folder / "channel.bin",
    )


@EVERY_ARCH
def test_what_every_guest_has(arch: Arch, machine: Machine, tmp_path: Path) -> None:
    words = line(machine, tmp_path)
    assert {"-nodefaults", "-no-user-config", "-no-reboot"} <= set(words)
    assert value(words, "-display") == "none"
    assert value(words, "-cpu") == arch.cpus[0]
    assert value(words, "-accel") == "tcg"
    assert value(words, "-smp").split(",")[:2] == ["2", "sockets=2"]
    assert value(words, "-kernel") == str(tmp_path / "boot")
    live = f" {arch.live_cmdline}" if arch.live_cmdline else ""
    assert value(words, "-append") == f"console={arch.console_tty} panic=-1{live}"
    assert value(words, "-device") == arch.channel_device
    assert f"file,id=chan,path={tmp_path}/channel.bin" in words
    assert "-icount" not in words


@EVERY_ARCH
def test_a_replay_has_the_whole_recipe(arch: Arch, machine: Machine, tmp_path: Path) -> None:
    words = line(dataclasses.replace(machine, replay=Replay(seed=7)), tmp_path)
    assert value(words, "-accel") == "tcg,thread=single"
    assert value(words, "-icount") == "shift=1,sleep=off"
    assert value(words, "-seed") == "7"
    assert "clock=vm" in value(words, "-rtc")
    assert "nokaslr" in value(words, "-append").split()


@EVERY_ARCH
def test_cpus_that_take_turns(arch: Arch, machine: Machine, tmp_path: Path) -> None:
    turns = dataclasses.replace(machine, turns=True)
    assert value(line(turns, tmp_path), "-accel") == "tcg,thread=single"
    assert (machine.threads, turns.threads) == (2, 1)
    kvm = dataclasses.replace(turns, accel=Accelerator(name="kvm", reason="", scale=1.0))
    assert value(line(kvm, tmp_path), "-accel") == "kvm"
    assert kvm.threads == 2


@EVERY_ARCH
def test_the_kernels_command_line_can_grow(arch: Arch, machine: Machine) -> None:
    more = dataclasses.replace(machine, cmdline=("a=1", "b"))
    assert append_line(more).endswith(" a=1 b")


@EVERY_ARCH
def test_a_busy_host_fails_no_timer_check(arch: Arch, machine: Machine) -> None:
    live = append_line(machine).split()
    replay = append_line(dataclasses.replace(machine, replay=Replay(seed=7))).split()
    assert ("no_timer_check" in live) == (arch.kernel_arch == "x86")
    assert "no_timer_check" not in replay


@EVERY_ARCH
@pytest.mark.parametrize("kasan", [True, False])
def test_kasan_goes_on_behind_its_first_report(
    kasan: bool, arch: Arch, machine: Machine, tmp_path: Path
) -> None:
    word = "CONFIG_KASAN=y" if kasan else "# CONFIG_KASAN is not set"
    (tmp_path / "config").write_text(f"CONFIG_SMP=y\n{word}\n")
    assert ("kasan_multi_shot" in value(line(machine, tmp_path), "-append").split()) == kasan
    replay = dataclasses.replace(machine, replay=Replay(seed=7))
    assert "kasan_multi_shot" not in value(line(replay, tmp_path), "-append")


@EVERY_ARCH
def test_commas_in_paths(arch: Arch, machine: Machine, tmp_path: Path) -> None:
    words = line(machine, tmp_path / "a,b")
    assert any("a,,b/console.log" in word for word in words)
    assert any("a,,b/channel.bin" in word for word in words)
    assert value(words, "-kernel").endswith("a,b/boot")
