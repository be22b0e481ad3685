# SPDX-License-Identifier: GPL-2.0-or-later
"""What QEMU says of itself is read rightly: the QEMU that is installed here."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from pinrace.arches import ARCHES, Arch
from pinrace.errors import InfrastructureError
from pinrace.host.qemu import choose_cpu, get_qemu, parse_cpus, parse_devices, parse_version

EVERY_ARCH = pytest.mark.parametrize("arch", ARCHES.values(), ids=lambda arch: arch.name)


@EVERY_ARCH
def test_the_real_one(arch: Arch, own_cache: Path) -> None:
    qemu = get_qemu(arch)
    assert qemu.version in qemu.build
    assert qemu.path.name == arch.qemu
    assert arch.machine.split(",")[0] in qemu.machines
    assert set(arch.cpus) <= qemu.cpus
    assert choose_cpu(arch, qemu) == arch.cpus[0]
    assert choose_cpu(arch, qemu, "kvm") == arch.kvm_cpu
    assert {"pci-serial", "virtio-serial", "virtio-serial-pci"} <= qemu.devices
    # Headings and help texts are not names.
    assert not {"Supported", "Available", "Recognized", "x86", "fpu"} & (qemu.machines | qemu.cpus)


@EVERY_ARCH
def test_asked_once_until_the_file_changes(arch: Arch, own_cache: Path, tmp_path: Path) -> None:
    first = get_qemu(arch)
    memos = list((own_cache / "host").glob("qemu-*.json"))
    assert len(memos) == 1
    memos[0].write_text(memos[0].read_text().replace(first.version, "99.9"))
    assert get_qemu(arch).version == "99.9"
    memos[0].write_text("half a f")
    assert get_qemu(arch) == first


def test_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for arch in ARCHES.values():
        with pytest.raises(InfrastructureError) as caught:
            get_qemu(arch)
        assert arch.qemu_package in caught.value.hint
        assert "pinrace doctor" in caught.value.hint


def test_something_else_of_that_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_cache: Path
) -> None:
    arch = ARCHES["x86_64"]
    fake = tmp_path / "bin" / arch.qemu
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho hello\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    with pytest.raises(InfrastructureError, match="does not answer as QEMU does: 'hello'"):
        get_qemu(arch)


@EVERY_ARCH
def test_what_it_lacks(arch: Arch, own_cache: Path) -> None:
    with pytest.raises(InfrastructureError, match="no machine 'nix'"):
        get_qemu(dataclasses.replace(arch, machine="nix,gic=1"))
    with pytest.raises(InfrastructureError, match="no device 'nix'"):
        get_qemu(dataclasses.replace(arch, channel_device="nix,chardev=chan"))
    other = dataclasses.replace(arch, cpus=("nix", "max"))
    assert choose_cpu(other, get_qemu(arch)) == "max"
    with pytest.raises(InfrastructureError, match="none of the CPUs nix"):
        choose_cpu(dataclasses.replace(arch, cpus=("nix",)), get_qemu(arch))


def test_texts_that_say_nothing() -> None:
    assert parse_version("hello") == ""
    assert parse_cpus("") == frozenset()
    assert parse_devices("") == frozenset()
