# SPDX-License-Identifier: GPL-2.0-or-later
"""How many guests of how many CPUs: what is tried, what is best, and when it is used."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from pinrace.arches import ARCHES, Arch
from pinrace.cli import torture_shapes
from pinrace.errors import Exit
from pinrace.guest.machine import Machine
from pinrace.host.accel import Accelerator
from pinrace.host.budget import Budget
from pinrace.host.qemu import choose_cpu, get_qemu
from pinrace.races.torture import outcome, shapes
from pinrace.races.torture.run import SMP
from pinrace.races.torture.shapes import Measured, Shape
from pinrace.runs import summary
from pinrace.values import Cell, Verdict

CELL = Cell("x86_64", "x86_64", "plain", outcome.SHAPES)


def asked(**words: object) -> argparse.Namespace:
    return argparse.Namespace(**({"smp": 0, "guests": 0, "deterministic": False} | words))


def machine(arch: Arch) -> Machine:
    qemu = get_qemu(arch)
    tcg = Accelerator(name="tcg", reason="a test", scale=10.0)
    return Machine(arch.name, qemu, choose_cpu(arch, qemu), tcg)


def host(monkeypatch: pytest.MonkeyPatch, cache: Path, cpus: int, mem_mb: int) -> None:
    """Be on such a host, whose cache is empty."""
    monkeypatch.setenv("PINRACE_CACHE", str(cache))
    monkeypatch.setattr(Budget, "of_host", classmethod(lambda cls: Budget(cpus, mem_mb)))
    monkeypatch.setattr(torture_shapes, "get_machine", machine)


def measured(guests: int, smp: int, exposed: int, cpu: float) -> Measured:
    return Measured(Shape(guests=guests, smp=smp), (Verdict.PASS,), 2 * exposed, exposed, cpu)


def test_shapes_fit_the_host_or_are_twice_too_many() -> None:
    tried = shapes.candidates(2)
    assert Shape(guests=1, smp=2) in tried
    assert Shape(guests=2, smp=2) in tried
    assert all(shape.smp > 1 for shape in tried), "a race needs two CPUs"
    assert Shape(guests=1, smp=16) in shapes.candidates(16)
    assert len(set(tried)) == len(tried)


def test_the_best_has_most_exposed_trials_a_cpu_second() -> None:
    found = [measured(1, 2, 400, 10.0), measured(2, 2, 500, 20.0)]
    assert shapes.best(found) == Shape(guests=1, smp=2)
    lines = shapes.table(found)
    assert [line[0] for line in lines] == ["*", " "]
    assert "40.0 exposed trials a CPU second" in lines[0]


def test_nothing_exposed_is_no_shape() -> None:
    assert shapes.best([measured(1, 2, 0, 10.0), measured(1, 4, 0, 0.0)]) is None
    assert shapes.best([]) is None


def test_what_was_found_is_used_unless_asked_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(monkeypatch, tmp_path, 2, 16384)
    usual = Shape(guests=1, smp=SMP)
    assert torture_shapes.choose(asked(), ["x86_64"]) == usual
    best = Shape(guests=2, smp=4)
    shapes.keep(machine(ARCHES["x86_64"]), 2, best)
    assert torture_shapes.choose(asked(), ["x86_64"]) == best
    assert torture_shapes.choose(asked(guests=5), ["x86_64"]) == Shape(guests=5, smp=4)
    assert torture_shapes.choose(asked(smp=2), ["x86_64"]) == usual
    assert torture_shapes.choose(asked(deterministic=True), ["x86_64"]).smp == SMP
    # Arches that do not agree are raced as they always are.
    assert torture_shapes.choose(asked(), ["x86_64", "arm64"]) == usual
    shapes.keep(machine(ARCHES["arm64"]), 2, best)
    assert torture_shapes.choose(asked(), ["x86_64", "arm64"]) == best


def test_memory_bounds_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch, tmp_path, 8, 2048)
    shapes.keep(machine(ARCHES["x86_64"]), 8, Shape(guests=8, smp=2))
    assert torture_shapes.choose(asked(), ["x86_64"]).guests == 2


def test_a_host_without_memory_runs_one_guest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(monkeypatch, tmp_path, 8, 100)
    shapes.keep(machine(ARCHES["x86_64"]), 8, Shape(guests=8, smp=2))
    assert torture_shapes.choose(asked(), ["x86_64"]).guests == 1


def test_a_shape_whose_guests_could_not_all_be_run_is_not_chosen(tmp_path: Path) -> None:
    lost = replace(measured(2, 2, 900, 10.0), verdicts=(Verdict.PASS, Verdict.MISS))
    sound = measured(1, 2, 400, 10.0)
    assert shapes.best([lost, sound]) == sound.shape

    def code(*found: Measured) -> Exit:
        return summary.exit_code([outcome.measured(CELL, found, tmp_path)])

    assert code(lost, sound) is Exit.INFRA
    failed = replace(sound, verdicts=(Verdict.FAIL,))
    assert code(lost, failed) is Exit.KERNEL
    assert code(sound) is Exit.OK
    assert code(measured(1, 2, 0, 0.0)) is Exit.INFRA
