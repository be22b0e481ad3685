# SPDX-License-Identifier: GPL-2.0-or-later
"""How many guests fit."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from pinrace.host.budget import Budget, cpu_limit, mem_limit, own_cgroups


def test_this_host() -> None:
    budget = Budget.of_host()
    assert 1 <= budget.cpus <= len(os.sched_getaffinity(0))
    assert budget.mem_mb > 0


@pytest.mark.parametrize(
    ("cpus", "mem_mb", "smp", "guests"),
    [(2, 24000, 2, 1), (8, 24000, 2, 4), (7, 24000, 2, 3), (8, 2000, 2, 2), (2, 100, 4, 1)],
)
def test_no_cpu_and_no_memory_twice(cpus: int, mem_mb: int, smp: int, guests: int) -> None:
    assert Budget(cpus, mem_mb).guests_at_once(smp, 512) == guests


def test_limits_of_cgroups() -> None:
    assert cpu_limit("150000 100000\n") == pytest.approx(1.5)
    assert math.isinf(cpu_limit("max 100000\n"))
    assert math.isinf(cpu_limit(""))
    assert mem_limit("1048576\n") == pytest.approx(1 << 20)
    assert math.isinf(mem_limit("max\n"))


def test_own_cgroups_up_to_the_root(tmp_path: Path) -> None:
    listing = tmp_path / "listing"
    listing.write_text("4:memory:/elsewhere\n0::/a/b\n")
    root = tmp_path / "root"
    assert own_cgroups(listing, root) == [root / "a/b", root / "a", root]
    listing.write_text("4:memory:/elsewhere\n")
    assert own_cgroups(listing, root) == []
