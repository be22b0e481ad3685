# SPDX-License-Identifier: GPL-2.0-or-later
"""Cells on real kernels: each ABI loses the race unpinned and closes it pinned."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pinrace.arches import ABIS, get_arch
from pinrace.engine import pool
from pinrace.engine.baseline import run_baseline
from pinrace.engine.build import Lab
from pinrace.engine.cell import judge_cell, run_cell
from pinrace.engine.confirm import confirm
from pinrace.errors import Exit
from pinrace.guest.machine import get_machine
from pinrace.judge.symbolize import symbolize
from pinrace.judge.verdict import Ending, judge
from pinrace.values import CaseStatus, Cell, Verdict

GetLab = Callable[..., Lab]


def task(lab: Lab, cell: Cell) -> pool.Task:
    machines = {cell.arch: get_machine(get_arch(cell.arch), turns=True)}
    return pool.tasks(lab, [cell], machines)[0]


def records(folder: Path) -> str:
    return (folder / "records.txt").read_text()


def cell_of(abi: str, flavor: str, suite: str) -> Cell:
    return Cell(ABIS[abi].arch, abi, flavor, suite)


@pytest.mark.cells
@pytest.mark.parametrize("abi", ABIS)
def test_smoke_shows_both_sides_of_the_race(
    abi: str, flavor: str, get_lab: GetLab, tmp_path: Path
) -> None:
    cell = cell_of(abi, flavor, "smoke")
    outcome = run_cell(cell, task(get_lab(abi, flavor), cell).patched, tmp_path)
    assert outcome.evidence.ending is Ending.DONE
    assert outcome.evidence.abi_ok, outcome.evidence.abi_note
    assert {case.status for case in outcome.cases} == {CaseStatus.PASS}, outcome.cases
    assert any("unpinned" in case.name for case in outcome.cases)
    assert f"audit_arch={ABIS[abi].audit_arch:#x}" in records(tmp_path)


@pytest.mark.cells
@pytest.mark.parametrize("abi", ABIS)
def test_every_argument_is_lost_at_its_gate_and_kept_when_pinned(
    abi: str, flavor: str, get_lab: GetLab, tmp_path: Path
) -> None:
    cell = cell_of(abi, flavor, "gates")
    outcome = run_cell(cell, task(get_lab(abi, flavor), cell).patched, tmp_path)
    assert outcome.evidence.ending is Ending.DONE
    assert {case.status for case in outcome.cases} == {CaseStatus.PASS}, outcome.cases
    found = re.search(r"gates tested=(\d+) total=\1 .*pinned=1", records(tmp_path))
    assert found
    assert int(found[1]) > 60


@pytest.mark.cells
@pytest.mark.parametrize("suite", ["pin_args", "seccomp_bpf"])
@pytest.mark.parametrize("abi", ABIS)
def test_the_selftests_pass_but_for_what_fails_unpatched(
    abi: str, flavor: str, suite: str, get_lab: GetLab, tmp_path: Path
) -> None:
    cell = cell_of(abi, flavor, suite)
    work = task(get_lab(abi, flavor), cell)
    assert work.base is not None
    base = run_baseline(cell, work.base)
    outcome = run_cell(cell, work.patched, tmp_path)
    outcome = confirm(cell, work.patched, outcome, base, tmp_path, base=work.base)
    result = judge_cell(cell, outcome, base, tmp_path)
    assert result.verdict is Verdict.PASS, result
    assert any(case.status is CaseStatus.PASS for case in outcome.cases)


@pytest.mark.parametrize("suite", ["smoke", "gates"])
def test_the_unpatched_tree_has_nothing_to_pin(suite: str, get_lab: GetLab, tmp_path: Path) -> None:
    cell = Cell("x86_64", "x86_64", "plain", suite)
    base = task(get_lab("x86_64"), cell).base
    assert base is not None
    found = {case.name: case.status for case in run_cell(cell, base, tmp_path).cases}
    assert set(found.values()) == {CaseStatus.PASS, CaseStatus.SKIP}
    kept = {case.name: case.status for case in run_baseline(cell, base).cases}
    assert kept == found


@pytest.mark.parametrize("abi", ["x86_64", "arm64"])
def test_a_report_gets_its_source_lines(abi: str, get_lab: GetLab) -> None:
    on = task(get_lab(abi), cell_of(abi, "plain", "smoke")).patched
    title, place = "[    1.0] BUG: KCSAN: data-race in a / b", "[    1.0]  do_seccomp+0x10/0x20"
    rule = "[    1.0] ===="  # the last line of a report, with no line's end behind it
    said = symbolize("\n".join((title, place, rule)), on.kernel.vmlinux, ABIS[abi].cross)
    first, middle, last = said.splitlines()
    assert (first, last) == (title, rule)
    assert "kernel/seccomp.c:" in middle


def test_a_native_program_is_no_compat_cell(get_lab: GetLab, tmp_path: Path) -> None:
    cell = cell_of("x86_64", "plain", "smoke")
    on = task(get_lab("x86_64"), cell).patched
    disguised = replace(cell, abi="i386")
    outcome = run_cell(disguised, on, tmp_path)
    assert not outcome.evidence.abi_ok
    result = judge(disguised, outcome.evidence, outcome.cases, outcome.splats)
    assert result.verdict is Verdict.MISS


def pinrace(*words: str, runs: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pinrace", *words]
    environment = os.environ | {"PINRACE_RUNS": str(runs)}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.cells
def test_the_line_again_has_that_very_failure_again(tmp_path: Path) -> None:
    """These kernels have no uprobes, which is a failure where nothing is compared with."""
    runs = tmp_path / "runs"
    runs.mkdir(mode=0o700)
    where = ["--series", "none", "--abi", "x86_64", "--suite", "seccomp_bpf"]
    first = pinrace("test", *where, "-k", "uprobe_default_allow", runs=runs)
    assert first.returncode == Exit.KERNEL, first.stdout
    (line,) = re.findall(r"^ +again +pinrace (.*)$", first.stdout, re.MULTILINE)
    second = pinrace(*shlex.split(line), runs=runs)
    assert second.returncode == Exit.KERNEL, second.stdout
    said = [
        re.findall(r"^.*uprobe_default_allow: .*$", one.stdout, re.M) for one in (first, second)
    ]
    assert said[0] == said[1]
    assert said[0]


@pytest.mark.cells
def test_a_case_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir(mode=0o700)
    for suite in ("smoke", "seccomp_bpf"):
        where = ["--series", "none", "--abi", "x86_64", "--suite", suite]
        done = pinrace("test", *where, "-k", "nosuch", runs=runs)
        assert done.returncode == Exit.USAGE, done.stdout
        assert f"no case of {suite} matches 'nosuch'" in done.stderr
