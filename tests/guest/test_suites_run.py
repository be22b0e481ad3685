# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of others in guests: a command, a program, a suite of one's own, and the known kinds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pinrace.arches import ABIS
from pinrace.errors import Exit
from pinrace.runs import journal
from pinrace.suites import ltp
from pinrace.values import CaseStatus, CellResult, Verdict

BARE = ("--series", "none")
REVERTS = Path(__file__).parents[1] / "reverts"
# What each revert of a fix is caught by: the suite, and the case that is new.
CAUGHT = {
    "clone3-exit-signal": ("kselftest:clone3", "clone3/"),
    "landlock-threads": ("kselftest:landlock/scoped_signal_test", "signal_scoping_thread"),
    "posix-timers-sigev-none": ("kselftest:timers/posix_timers", "check_sigev_none"),
}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder for results."""
    folder = tmp_path / "runs"
    folder.mkdir(mode=0o700)
    return folder


def pinrace(runs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pinrace", *words]
    environment = os.environ | {"PINRACE_RUNS": str(runs)}
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)


def judged(runs: Path) -> dict[str, CellResult]:
    """The cells of the latest run, by ABI and suite."""
    found = journal.load(journal.find_run(root=runs))
    return {f"{one.cell.abi} {one.cell.suite}": one for one in found}


def test_a_command_keeps_its_status_and_has_its_machine(runs: Path) -> None:
    line = "cat /proc/sys/vm/swappiness\ngrep -o aword /proc/cmdline; free -m | grep Mem; exit 7"
    machine = ("--mem", "300", "--append", "aword", "--sysctl", "vm.swappiness=11")
    done = pinrace(runs, "exec", *BARE, "--abi", "x86_64", *machine, "--", "sh", "-c", line)
    assert done.returncode == 7, done.stderr
    swappiness, word, memory = done.stdout.splitlines()
    assert (swappiness, word) == ("11", "aword")
    assert int(memory.split()[1]) < 300


def test_a_suite_of_ones_own_passes_and_fails(runs: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        '[[suite]]\nname = "good"\ncommand = "echo TAP version 13; echo 1..1; echo ok 1 a"\n'
        '[[suite]]\nname = "bad"\ncommand = "echo one done; echo two broke"\nformat = "regex"\n'
        "regex = { ok = '^(?P<name>.+) done', bad = '^(?P<name>.+) broke' }\n"
    )
    words = (*BARE, "--no-baseline", "--abi", "x86_64", "--suite", str(file))
    done = pinrace(runs, "test", *words)
    assert done.returncode == Exit.KERNEL, done.stdout
    found = judged(runs)
    good, bad = (found[f"x86_64 {file}:{name}"] for name in ("good", "bad"))
    assert (good.verdict, bad.verdict) == (Verdict.PASS, Verdict.FAIL)
    said = {case.name: case.status for case in bad.cases}
    assert said["bad/one"] is CaseStatus.PASS
    assert said["bad/two"] is CaseStatus.FAIL


@pytest.mark.slow
def test_a_program_runs_on_every_abi(runs: Path, tmp_path: Path) -> None:
    source = tmp_path / "prog.c"
    source.write_text('int puts(const char *); int main(int n, char **v) { puts("hi"); return n; }')
    done = pinrace(runs, "try", *BARE, str(source), "--args=x y")
    assert done.returncode == Exit.OK, done.stdout
    rows = re.findall(r"^try +(\S+) +unpatched +status 3$", done.stdout, re.MULTILINE)
    assert rows == list(ABIS)


@pytest.mark.slow
def test_a_folder_of_the_host_is_read_and_not_written(runs: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "file").write_text("of the host\n")
    line = "cat /mnt/shared/file; touch /mnt/shared/no || exit 5"
    words = (*BARE, "--abi", "x86_64", "--share", str(shared))
    done = pinrace(runs, "exec", *words, "--", "sh", "-c", line)
    assert done.returncode == 5, done.stderr
    assert "of the host" in done.stdout
    assert [path.name for path in shared.iterdir()] == ["file"]
    line = "touch /data/yes"
    words = (*BARE, "--abi", "x86_64", "--share", f"{shared}:/data:rw")
    assert pinrace(runs, "exec", *words, "--", "sh", "-c", line).returncode == 0
    assert (shared / "yes").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", CAUGHT)
def test_a_fix_that_is_undone_is_caught_by_its_collection(runs: Path, name: str) -> None:
    suite, case = CAUGHT[name]
    series = f"none+{REVERTS / name}.patch"
    done = pinrace(runs, "test", "--series", series, "--abi", "x86_64", "--suite", suite)
    assert done.returncode == Exit.KERNEL, done.stdout
    result = judged(runs)[f"x86_64 {suite}"]
    assert result.verdict is Verdict.FAIL
    assert any(case in new for new in result.new), result.new


@pytest.mark.slow
def test_suites_of_kunit_are_run_by_the_kernel(runs: Path) -> None:
    words = (*BARE, "--no-baseline", "--suite", "kunit:list_sort", "--suite", "kunit:hlist")
    done = pinrace(runs, "test", *words)
    assert done.returncode == Exit.OK, done.stdout
    found = judged(runs)
    assert len(found) == 4  # one ABI of each arch
    for result in found.values():
        good = [case for case in result.cases if case.status is CaseStatus.PASS]
        assert good
        assert all(case.name.startswith(("list_sort", "hlist")) for case in good)


@pytest.mark.slow
def test_tests_of_ltp(runs: Path) -> None:
    if not os.environ.get(ltp.VARIABLE):
        pytest.skip(f"no LTP: ${ltp.VARIABLE} names its folder")
    words = (*BARE, "--no-baseline", "--abi", "x86_64", "--suite", "ltp:syscalls/futex_wa")
    pinrace(runs, "test", *words)
    (result,) = judged(runs).values()
    names = [case.name for case in result.cases if case.status is CaseStatus.PASS]
    assert any(name.startswith("futex_wait01/") for name in names)
    manifest = json.loads((journal.find_run(root=runs) / journal.MANIFEST).read_text())
    assert "--ltp" in json.dumps(manifest["again"])
