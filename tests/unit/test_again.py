# SPDX-License-Identifier: GPL-2.0-or-later
"""The line `again` is a command line of ours, and asks for the very same run."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pytest

from pinrace.cli import main, options
from pinrace.runs import commands, summary
from pinrace.values import CaseResult, CaseStatus, Cell, CellResult, Mark, Series, Tree, Verdict

TREE = Tree("debian:7.3", "7.3.4", "1" * 40, "2" * 40, "debian", "signature ok")
CELL = Cell("arm64", "arm", "debug", "seccomp_bpf")
MORE = ["--baseline-days", "0", "--accept-uncovered"]


def parse(line: str) -> argparse.Namespace:
    name, *words = shlex.split(line)
    assert name == "pinrace"
    return main.parser(words[0]).parse_args(words)


def how(tmp_path: Path, only: str = "") -> commands.Again:
    kernel = tmp_path / "boot image"
    args = parse(
        shlex.join(["pinrace", "test", "--arch", "arm64", "--config", "A=y", "--config", "B=n"])
        + " --llvm=-19 --flavor debug --kernel "
        + shlex.quote(str(kernel))
    )
    asked = options.request(args)
    series = Series("tea", "d" * 64, (tmp_path / "a b.patch",), spec=str(tmp_path / "a b.mbox"))
    found = commands.again(
        asked, TREE, series, smp=3, only=only, with_base=False, seed=11, more=MORE
    )
    assert found
    return found


def test_every_option_that_matters_comes_back(tmp_path: Path) -> None:
    args = parse(commands.rerun(CELL, how(tmp_path, "c05\\|it's")))
    assert (args.command, args.tree) == ("test", "debian:7.3")
    assert args.series == str(tmp_path / "a b.mbox")
    assert (args.arch, args.abi, args.flavor) == (["arm64"], ["arm"], ["debug"])
    assert (args.suite, args.only) == (["seccomp_bpf"], "c05\\|it's")
    assert (args.config, args.llvm) == (["A=y", "B=n"], "-19")
    assert args.kernel == tmp_path / "boot image"
    assert (args.smp, args.deterministic, args.seed) == (3, True, 11)
    assert (args.no_baseline, args.baseline_days, args.accept_uncovered) == (True, 0.0, True)
    built = parse(commands.rebuild(CELL, how(tmp_path)))
    assert (built.command, built.series) == ("build", str(tmp_path / "a b.mbox"))


@pytest.mark.parametrize(
    "name", ["global.kcmp", "group/case one", "--config=X", "it's $(odd) `x`", "a [2]", "[1] *b*"]
)
def test_a_single_case_is_picked(name: str, tmp_path: Path) -> None:
    case = CaseResult(name, CaseStatus.FAIL)
    args = parse(commands.rerun(CELL, how(tmp_path), only=[case]))
    assert options.get_suite(CELL.suite).kept([CaseResult(name, CaseStatus.PASS)], args.only)
    assert args.config == ["A=y", "B=n"]


def test_a_fault_of_the_output_picks_nothing(tmp_path: Path) -> None:
    for case in (
        CaseResult("(plan)", CaseStatus.ERROR),
        CaseResult("kitchen", CaseStatus.ERROR, mark=Mark.SILENT),
    ):
        assert parse(commands.rerun(CELL, how(tmp_path), only=[case])).only == ""


@pytest.mark.parametrize("suite", ["seccomp_bpf", "torture", "boot", "coverage"])
@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.MISS, Verdict.INCONCLUSIVE])
def test_every_verdict_shows_a_line_that_parses(
    suite: str, verdict: Verdict, tmp_path: Path
) -> None:
    cell = Cell("arm64", "arm", "debug", suite)
    plain = commands.Again(how(tmp_path).build, ("--smp", "2"))
    lines = summary.details([CellResult(cell, verdict, "so")], plain)
    (line,) = [line for line in lines if line.strip().startswith("again ")]
    args = parse(line.strip().removeprefix("again").strip())
    assert args.series == str(tmp_path / "a b.mbox")


def test_where_no_line_repeats_a_cell_the_run_s_own_does() -> None:
    argv = ["pinrace", "price", "--series", "a b"]
    found = commands.shown({"argv": argv})
    assert found
    assert shlex.split(commands.rerun(CELL, found)) == argv
    assert commands.shown({}) is None
