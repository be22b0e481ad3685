# SPDX-License-Identifier: GPL-2.0-or-later
"""The line `again` is a command line of ours, and asks for the very same run."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pytest

from pinrace.cli import again, main, options
from pinrace.cli import test as test_command
from pinrace.cli.commands import EXAMPLES
from pinrace.engine import batch
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


EVERYTHING = (
    "pinrace test --tree v7.3 --insecure --series none --arch x86_64 --abi i386 --flavor debug"
    " --config A=y --config B=n --llvm=-19 -j 3 --suite smoke --land --ltp /opt/ltp -k '-x y'"
    " --repeat 2 --guests 2 --smp 3 --no-baseline --baseline-days 0.25 --accept-uncovered"
    " --mem 600 --append a=b --append=-c --sysctl vm.swappiness=10 --share /usr:/mnt/u:rw"
    " --deterministic --seed 11 --kernel /boot/one --runs /tmp/there --no-sandbox"
)
# How many at once, where results go and what is said change nothing that a cell tells.
NOT_OF_A_CELL = {"guests", "jobs", "repeat", "runs_folder", "verbose"}
# What EVERYTHING leaves out: what is no option of a run, keeps more of it, or has it elsewhere.
UNSAID = {"command", "completion", "dump", "on", "hosts", "scheduler", "tls"}
LINES = [line for examples in EXAMPLES.values() for line, _ in examples]
LINES += [
    EVERYTHING,
    "pinrace exec --mem 900 --append a=b --append=-c --put /etc/hosts:/root/ -- sh -c 'a -b; c'",
    "pinrace torture --for 30s --seed 0 --no-chaos --families open,write --break hang",
    "pinrace torture --bench --mutants",
    "pinrace gdb --series none -- -batch -ex 'p $pc'",
    "pinrace race check kernel/races/dirty-cow --kernels",
    "pinrace series apply --series none -v",
    "pinrace cache --prune kernels images",
    "pinrace try --args=-v --cflags=-lcap --for 2m prog.c",
    "pinrace bisect --suite smoke --releases 7.1,7.2 --way free",
]


def asked(line: str) -> dict[str, object]:
    return {name: value for name, value in vars(parse(line)).items() if name != "verbose"}


def whole(line: str) -> str:
    command = shlex.split(line)[1]
    return shlex.join(["pinrace", *again.words(main.parser(command), parse(line))])


@pytest.mark.parametrize("line", LINES)
def test_what_a_run_keeps_parses_to_what_was_asked(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where nothing is a file
    here = {
        name: value.expanduser().absolute() if isinstance(value, Path) else value
        for name, value in asked(line).items()
    }
    assert asked(whole(line)) == here


def test_what_a_run_keeps_means_the_same_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("own.toml", "fix.patch", "pin", "smoke"):
        Path(name).write_text("")
    line = "pinrace test --series none+fix.patch --suite own.toml:a --suite smoke --tree ./pin"
    args = parse(whole(line))
    assert args.series == f"none+{tmp_path}/fix.patch"
    assert args.suite == [f"{tmp_path}/own.toml:a", "smoke"]
    assert args.tree == f"{tmp_path}/pin"
    assert parse(whole("pinrace test --series pin")).series == f"{tmp_path}/pin"
    assert parse(whole("pinrace exec --put pin:/root/x id")).put == ["pin:/root/x"]
    assert parse(whole("pinrace exec --put ./pin:/root/x id")).put == [f"{tmp_path}/pin:/root/x"]


def test_what_came_from_the_environment_is_in_the_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLVM", "-19")
    monkeypatch.setenv("PINRACE_LTP", str(tmp_path))
    monkeypatch.setenv("PINRACE_LAND", "1")
    line = whole("pinrace test")
    for name in ("LLVM", "PINRACE_LTP", "PINRACE_LAND"):
        monkeypatch.delenv(name)
    args = parse(line)
    assert (args.llvm, args.ltp, args.land) == ("-19", tmp_path, True)


def test_a_seed_that_was_chosen_is_in_the_line() -> None:
    line = "pinrace torture --race mine"
    args = parse(line)
    args.words = again.words(main.parser("torture"), args)
    again.settle(args, "--seed", 17)
    again.settle(args, "--seed", 17)
    assert parse(shlex.join(["pinrace", *args.words])).seed == 17
    assert args.words.count("--seed") == 1


def of_a_cell(line: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The options of the line that repeats the one cell of a `pinrace test`."""
    for name in ("PINRACE_LTP", "PINRACE_LAND"):
        monkeypatch.setenv(name, "")
    args = parse(line)
    monkeypatch.setattr("pinrace.host.sandbox._off", args.no_sandbox)
    wanted = options.request(args)
    (cell,) = [one for one in options.cells(wanted, args) if one.repeat == 1]
    tree = Tree(args.tree, "7.3.4", "1" * 40, "2" * 40, "debian", "no", insecure=args.insecure)
    todo = test_command.make_batch(args, wanted, [cell], tree, None)
    how = batch._again(todo)
    assert how
    return asked(commands.rerun(cell, how))


def test_no_option_of_test_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, want = asked("pinrace test"), asked(EVERYTHING)
    unsaid = UNSAID  # the dump does not go with --deterministic
    assert {n for n in plain if want[n] == plain[n]} == unsaid
    got = of_a_cell(EVERYTHING, monkeypatch)
    assert {n for n in want if want[n] != got[n]} <= NOT_OF_A_CELL


def test_a_suite_of_a_file_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text('[[suite]]\nname = "a"\ncommand = "true"\n')
    line = "pinrace test --series none --abi x86_64 --suite own.toml"
    assert of_a_cell(line, monkeypatch)["suite"] == [f"{tmp_path}/own.toml:a"]
