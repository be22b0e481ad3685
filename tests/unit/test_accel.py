# SPDX-License-Identifier: GPL-2.0-or-later
"""The accelerator is found by running a guest; these run the real probe under the real QEMU."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from pinrace.arches import ARCHES, PROBE_END, PROBE_ROUNDS, PROBE_TICK, PROBE_TURNS, Arch
from pinrace.errors import InfrastructureError
from pinrace.host import accel
from pinrace.host.qemu import get_qemu

EVERY_ARCH = pytest.mark.parametrize("arch", ARCHES.values(), ids=lambda arch: arch.name)


@EVERY_ARCH
def test_the_real_one(arch: Arch, own_cache: Path) -> None:
    qemu = get_qemu(arch)
    found = accel.probe(arch, qemu)
    assert found.name in ("kvm", "tcg")
    assert bool(found.reason) == (found.name == "tcg")
    low, high = accel.TCG_SCALE if found.name == "tcg" else accel.KVM_SCALE
    assert low <= found.scale <= high
    if arch.host_machine != os.uname().machine:
        assert found.name == "tcg"
        assert arch.name in found.reason


def test_asked_once_unless_told_to_forget(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arch = ARCHES["arm64"]
    qemu = get_qemu(arch)
    monkeypatch.setattr(accel, "KVM", Path("/nonexistent"))
    first = accel.probe(arch, qemu)
    (memo,) = (own_cache / "host").glob("accel-*.json")
    memo.write_text(first.model_copy(update={"reason": "from the memo"}).model_dump_json())
    assert accel.probe(arch, qemu).reason == "from the memo"
    assert accel.probe(arch, qemu, forget=True).reason == first.reason


def test_a_guest_that_makes_no_progress(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "KVM", Path("/nonexistent"))
    monkeypatch.setattr(accel, "TCG_SECONDS", 1)
    arch = ARCHES["x86_64"]
    stuck = dataclasses.replace(arch, probe_rom=b"\xf4" * 0x10000)  # nothing but hlt
    with pytest.raises(InfrastructureError, match="did not finish in 1 s"):
        accel.probe(stuck, get_qemu(arch))
    assert not list((own_cache / "host").glob("accel-*.json"))


def test_the_median_round_counts() -> None:
    native = PROBE_TURNS * accel.NATIVE_TURN
    ticks = [0.0, 10 * native, 20 * native, 900 * native, 910 * native, 920 * native]
    assert accel.scale_of(ticks, (1.0, 60.0)) == pytest.approx(10.0)
    assert accel.scale_of(ticks, (20.0, 60.0)) == pytest.approx(20.0)
    assert accel.scale_of([n * 1e3 for n in ticks], (1.0, 60.0)) == pytest.approx(60.0)


def test_the_firmware_holds_the_numbers_that_the_probe_reckons_with() -> None:
    turns = PROBE_TURNS.to_bytes(4, "little")
    x86 = ARCHES["x86_64"].probe_rom
    assert b"\x66\xb9" + turns in x86  # mov $PROBE_TURNS,%ecx
    assert b"\xb3" + bytes([PROBE_ROUNDS]) in x86  # mov $PROBE_ROUNDS,%bl
    assert b"\xb0" + PROBE_TICK in x86
    assert b"\xb0" + PROBE_END in x86

    def movz(register: int, value: int) -> bytes:
        return (0x52800000 | value << 5 | register).to_bytes(4, "little")

    arm64 = ARCHES["arm64"].probe_rom
    for code in (
        movz(5, PROBE_ROUNDS),
        movz(2, ord(PROBE_TICK)),
        movz(2, ord(PROBE_END)),
        movz(3, PROBE_TURNS & 0xFFFF),
        (0x72A00000 | PROBE_TURNS >> 16 << 5 | 3).to_bytes(4, "little"),  # movk
    ):
        assert code in arm64
