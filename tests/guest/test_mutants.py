# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutants of the real tree: all apply, and one of them is killed by what it breaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from pinrace.arches import get_arch
from pinrace.cli.options import DEFAULT_SERIES, DEFAULT_TREE
from pinrace.guest.machine import get_machine
from pinrace.mutants import file
from pinrace.mutants.finding import Kind
from pinrace.mutants.run import Column, Work, runner
from pinrace.series.apply import scratch_for
from pinrace.series.load import load_series
from pinrace.trees.fetch import resolve
from pinrace.trees.git import git
from pinrace.trees.worktree import start_am
from pinrace.values import Request


@pytest.mark.slow
@pytest.mark.xdist_group("builds")
def test_all_mutants_apply_on_top_of_the_series() -> None:
    tree, series = resolve(DEFAULT_TREE, say=print), load_series(DEFAULT_SERIES)
    with scratch_for(tree, series, say=print) as path:
        status, said = start_am(path, series.patches)
        assert status == 0, said
        for mutant in file.load():
            patch = mutant.folder / mutant.file
            done = git("apply", "--cached", "--check", patch, cwd=path, check=False)
            assert done.status == 0, f"{mutant.name}: {done.output}"


@pytest.mark.slow
@pytest.mark.xdist_group("builds")
def test_a_mutant_is_killed_by_what_it_breaks(tmp_path: Path) -> None:
    tree, series = resolve(DEFAULT_TREE, say=print), load_series(DEFAULT_SERIES)
    column = Column("x86_64", "x86_64", "plain")
    asked = Request(("x86_64",), ("x86_64",))
    work = Work(
        asked, tree, series, "pin_args", (column,), runs=1, torture=0, resume=False, guests=1
    )
    its = runner(work, {"x86_64": get_machine(get_arch("x86_64"))}, tmp_path)
    clean = its.series("own", its.built)
    assert clean.alarms == []
    (mutant,) = file.select(file.load(), ["errno-no-room"])
    row = its.mutant(mutant, clean)
    assert row.kind(column) is Kind.KILLED
    assert "c02_" in row.findings[column]["selftest"].by
