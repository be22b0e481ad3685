# SPDX-License-Identifier: GPL-2.0-or-later
"""A short torture of each arch: sound with the series, failing with a broken supervisor."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from pinrace.arches import ABIS, ARCHES, get_arch
from pinrace.cli.main import main
from pinrace.engine.build import Lab
from pinrace.engine.cell import Bench
from pinrace.engine.pool import tasks
from pinrace.errors import Exit
from pinrace.guest.machine import get_machine
from pinrace.races import followup
from pinrace.races.torture.run import SMP, Count, TorturePlan, torture
from pinrace.runs.journal import Run
from pinrace.values import Cell, Request, Verdict

# One after the other: each keeps two CPUs of the host busy.
pytestmark = pytest.mark.xdist_group("torture")

# Each arch's second ABI: the compat one has more that can go wrong.
ONE_ABI_AN_ARCH = [arch.abis[-1].name for arch in ARCHES.values()]
GetLab = Callable[..., Lab]


def bench(lab: Lab, cell: Cell) -> Bench:
    machines = {cell.arch: get_machine(get_arch(cell.arch), smp=SMP)}
    return tasks(lab, [cell], machines)[0].patched


def cell_of(abi: str, flavor: str) -> Cell:
    return Cell(ABIS[abi].arch, abi, flavor, "torture")


@pytest.mark.slow
@pytest.mark.parametrize("abi", ONE_ABI_AN_ARCH)
def test_nothing_is_violated_and_what_proves_nothing_is_named(
    abi: str, flavor: str, get_lab: GetLab, tmp_path: Path
) -> None:
    cell = cell_of(abi, flavor)
    on = bench(get_lab(abi, flavor), cell)
    result = torture(cell, on, TorturePlan(seed=5, seconds=5), tmp_path)
    assert result.violations == (), result.reason
    assert result.splats == ()
    assert result.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE), result.reason
    pairs: dict[tuple[str, str], Count] = {}
    for (family, mutator, _), count in result.counts.items():
        pairs[family, mutator] = pairs.get((family, mutator), Count()) + count
    proven = {family for (family, _), count in pairs.items() if count.lost and count.exposed}
    unproven = [family for family in result.lost if family not in proven]
    assert list(result.inconclusive) == unproven
    assert (result.verdict is Verdict.PASS) == (not unproven)
    assert sum(result.exposed.values()) > 0
    assert result.trials > 0


@pytest.mark.parametrize("abi", ONE_ABI_AN_ARCH)
def test_a_broken_supervisor_is_found(
    abi: str, flavor: str, get_lab: GetLab, tmp_path: Path
) -> None:
    cell = cell_of(abi, flavor)
    on = bench(get_lab(abi, flavor), cell)
    plan = TorturePlan(seed=5, seconds=60, stop_at_first=True, broken="plain")
    result = torture(cell, on, plan, tmp_path)
    assert result.verdict is Verdict.FAIL
    assert {violation.statement for violation in result.violations} == {"C5"}
    assert result.seconds < plan.seconds


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("hang", "the lanes hang: lane=0 seconds=5"),
        ("leak", "something leaks: processes are left"),
        ("lost", "results are lost: the program ended early, with status 0"),
    ],
)
def test_what_goes_wrong_is_seen(broken: str, why: str, get_lab: GetLab, tmp_path: Path) -> None:
    cell = cell_of("x86_64", "plain")
    plan = TorturePlan(
        seed=5, seconds=20 if broken == "hang" else 2, lanes=1, chaos=False, stall=5, broken=broken
    )
    result = torture(cell, bench(get_lab("x86_64"), cell), plan, tmp_path)
    assert result.verdict is Verdict.FAIL
    assert result.reason.startswith(why)
    if broken == "hang":
        assert "task:pintorture" in (tmp_path / "console.log").read_text(errors="replace")


@pytest.mark.slow
def test_the_same_seed_draws_the_same_trials(get_lab: GetLab, tmp_path: Path) -> None:
    cell = cell_of("x86_64", "plain")
    on = bench(get_lab("x86_64"), cell)
    plan = TorturePlan(seed=9, seconds=8, trials=120, lanes=1, chaos=False, broken="plain")
    plans = []
    for number in ("1", "2"):
        result = torture(cell, on, plan, tmp_path / number)
        plans.append({(v.trial, v.family, v.mutator) for v in result.violations})
    # Which of them are lost is chance where a mutator runs freely; what they are is not.
    trials = [{trial: rest for trial, *rest in found} for found in plans]
    common = trials[0].keys() & trials[1].keys()
    assert common
    assert all(trials[0][trial] == trials[1][trial] for trial in common)


@pytest.mark.slow
def test_a_torture_is_repeated_from_its_token(
    get_lab: GetLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, as a user does it: the kernel is built again from what the token says."""
    lab, plan = get_lab("i386"), TorturePlan(seed=5, seconds=20, stop_at_first=True, broken="plain")
    machines = {"x86_64": get_machine(get_arch("x86_64"), smp=SMP)}
    (task,) = tasks(lab, [cell_of("i386", "plain")], machines)
    asked = Request(("x86_64",), ("i386",))
    monkeypatch.setenv("PINRACE_RUNS", str(tmp_path))
    record = Run.create(["pinrace"])
    line = followup.repeat_line(task, followup.Ask(asked, plan, record))
    assert main(shlex.split(line)[1:]) == Exit.OK
