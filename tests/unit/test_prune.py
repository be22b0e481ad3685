# SPDX-License-Identifier: GPL-2.0-or-later
"""Old runs go; failures stay longer, and what goes on stays."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from pinrace.cli.main import main
from pinrace.errors import Exit
from pinrace.runs import journal
from pinrace.runs.journal import Run
from pinrace.runs.prune import HOUR, Rule, prune


def make(root: Path, *codes: int | None) -> list[Path]:
    folders = []
    for code in codes:
        run = Run.create(["pinrace"], root=root)
        if code is not None:
            run.finish([], exit_code=code)
        folders.append(run.folder)
    return folders


def test_failures_are_kept_longer(tmp_path: Path) -> None:
    old, failed, good, failed_too, newest = make(tmp_path, 0, 1, 0, 1, 0)
    assert prune(tmp_path, Rule(keep=1, keep_failed=2)) == [old]
    assert journal.list_runs(root=tmp_path) == [failed, good, failed_too, newest]


def test_latest_and_what_goes_on_stay(tmp_path: Path) -> None:
    going, latest = make(tmp_path, None, 0)
    assert prune(tmp_path, Rule(0, 0)) == []
    assert prune(tmp_path, Rule(0, 0), now=time.time() + 2 * HOUR) == [going]
    assert journal.list_runs(root=tmp_path) == [latest]


def test_age(tmp_path: Path) -> None:
    old, _ = make(tmp_path, 1, 0)
    assert prune(tmp_path, Rule(days=1)) == []
    assert prune(tmp_path, Rule(days=1), now=time.time() + 25 * HOUR) == [old]


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PINRACE_RUNS", str(tmp_path))
    make(tmp_path, 0, 0, 0)
    assert main(["runs", "--prune"]) == Exit.USAGE
    assert main(["runs", "--keep", "1"]) == Exit.USAGE
    assert main(["runs", "--prune", "--keep", "1"]) == Exit.OK
    capsys.readouterr()
    assert main(["runs", "--json"]) == Exit.OK
    listed = json.loads(capsys.readouterr().out)
    assert [one["exit_code"] for one in listed] == [0, 0]
