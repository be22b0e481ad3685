# SPDX-License-Identifier: GPL-2.0-or-later
"""Cells on real kernels: each ABI loses the race unpinned and closes it pinned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import runner
from harness.arches import ABIS, get_arch
from harness.cells import Bench, run_baseline, run_cell
from harness.guest.machine import get_machine
from harness.judge.verdict import Ending, judge
from harness.stages import Lab
from harness.values import CaseStatus, Cell, Verdict

EVERY_ABI = [pytest.param(abi, marks=pytest.mark.xdist_group(ABIS[abi].arch)) for abi in ABIS]
GetLab = Callable[[str], Lab]


def bench(lab: Lab, cell: Cell) -> runner.Task:
    machines = {cell.arch: get_machine(get_arch(cell.arch))}
    return runner.tasks(lab, [cell], machines)[0]


def patched(get_lab: GetLab, abi: str, suite: str) -> tuple[Cell, Bench]:
    cell = Cell(ABIS[abi].arch, abi, "plain", suite)
    return cell, bench(get_lab(abi), cell).patched


@pytest.mark.parametrize("abi", EVERY_ABI)
def test_smoke_shows_both_sides_of_the_race(abi: str, get_lab: GetLab, tmp_path: Path) -> None:
    cell, on = patched(get_lab, abi, "smoke")
    outcome = run_cell(cell, on, tmp_path)
    assert outcome.evidence.ending is Ending.DONE
    assert outcome.evidence.abi_ok, outcome.evidence.abi_note
    assert {case.status for case in outcome.cases} == {CaseStatus.PASS}, outcome.cases
    assert any("unpinned" in case.name for case in outcome.cases)
    assert f"audit_arch={ABIS[abi].audit_arch:#x}" in (tmp_path / "records.txt").read_text()


@pytest.mark.parametrize("abi", EVERY_ABI)
def test_the_selftest_passes(abi: str, get_lab: GetLab, tmp_path: Path) -> None:
    cell, on = patched(get_lab, abi, "pin_args")
    outcome = run_cell(cell, on, tmp_path)
    assert judge(cell, outcome.evidence, outcome.cases, outcome.splats).verdict is Verdict.PASS
    assert any(case.status is CaseStatus.PASS for case in outcome.cases)


@pytest.mark.xdist_group("x86_64")
def test_the_unpatched_tree_has_nothing_to_pin(get_lab: GetLab, tmp_path: Path) -> None:
    cell = Cell("x86_64", "x86_64", "plain", "smoke")
    base = bench(get_lab("x86_64"), cell).base
    assert base is not None
    found = {case.name: case.status for case in run_cell(cell, base, tmp_path).cases}
    assert set(found.values()) == {CaseStatus.PASS, CaseStatus.SKIP}
    kept = {case.name: case.status for case in run_baseline(cell, base).cases}
    assert kept == found


@pytest.mark.xdist_group("x86_64")
def test_a_native_program_is_no_compat_cell(get_lab: GetLab, tmp_path: Path) -> None:
    cell, on = patched(get_lab, "x86_64", "smoke")
    disguised = replace(cell, abi="i386")
    outcome = run_cell(disguised, on, tmp_path)
    assert not outcome.evidence.abi_ok
    result = judge(disguised, outcome.evidence, outcome.cases, outcome.splats)
    assert result.verdict is Verdict.MISS
