# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutants of the real tree: all apply, and one of them is killed by what it breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.arches import get_arch
from harness.cli.options import DEFAULT_SERIES, DEFAULT_TREE
from harness.guest.machine import get_machine
from harness.mutants import file
from harness.mutants.finding import Kind
from harness.mutants.run import Column, Work, runner
from harness.request import Request
from harness.trees.apply import scratch_for
from harness.trees.fetch import resolve
from harness.trees.git import git
from harness.trees.series import load_series
from harness.trees.worktree import start_am


@pytest.mark.xdist_group("builds")
def test_all_mutants_apply_on_top_of_the_series() -> None:
    tree, series = resolve(DEFAULT_TREE, say=print), load_series(DEFAULT_SERIES)
    with scratch_for(tree, series, say=print) as path:
        status, said = start_am(path, series.patches)
        assert status == 0, said
        for mutant in file.load():
            patch = file.FOLDER / mutant.file
            done = git("apply", "--cached", "--check", patch, cwd=path, check=False)
            assert done.status == 0, f"{mutant.name}: {done.output}"


@pytest.mark.xdist_group("builds")
def test_a_mutant_is_killed_by_what_it_breaks(tmp_path: Path) -> None:
    tree, series = resolve(DEFAULT_TREE, say=print), load_series(DEFAULT_SERIES)
    column = Column("x86_64", "x86_64", "plain")
    asked = Request(("x86_64",), ("x86_64",))
    work = Work(asked, tree, series, (column,), runs=1, torture=0, resume=False, guests=1)
    its = runner(work, {"x86_64": get_machine(get_arch("x86_64"))}, tmp_path)
    clean = its.series("own", its.built)
    assert clean.alarms == []
    (mutant,) = file.select(file.load(), ["errno-no-room"])
    row = its.mutant(mutant, clean)
    assert row.kind(column) is Kind.KILLED
    assert "c02_" in row.findings[column]["selftest"].by
