# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job from the built wheel, in an environment of its own and outside of any checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from pinrace.errors import Exit
from pinrace.paths import PROJECT
from pinrace.runs import journal
from pinrace.values import Verdict

pytestmark = pytest.mark.wheel

CELL = ("--arch", "x86_64", "--abi", "x86_64", "--suite", "smoke", "--no-baseline")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the command of the wheel, installed where nothing else of pinrace is."""
    place = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", os.fspath(place)]
    subprocess.run(build, cwd=PROJECT, check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    home = place / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin/python"
    pip = [sys.executable, "-m", "pip", f"--python={python}", "install", "-q"]
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True, capture_output=True)
    # The libraries are those of this environment, whose checkout a path alone does not bring.
    libraries = sysconfig.get_paths()["purelib"]
    (site,) = home.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(f"{libraries}\n")
    return home / "bin/pinrace"


def test_the_wheel_runs_the_main_job(program: Path, tmp_path: Path) -> None:
    away = ("PINRACE_RUNS", "PYTHONPATH", "VIRTUAL_ENV")
    env = {name: value for name, value in os.environ.items() if name not in away}
    env["XDG_CONFIG_HOME"] = os.fspath(tmp_path / "config")
    done = subprocess.run(
        [program, "test", *CELL], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == Exit.OK, said
    assert os.fspath(PROJECT) not in said, "it took something from the checkout"
    run = (tmp_path / "runs" / "latest").resolve()
    (cell,) = journal.load(run)
    assert (cell.cell.suite, cell.verdict) == ("smoke", Verdict.PASS)
    assert (run / "junit.xml").is_file()
    assert (run / "report.html").is_file()
    assert json.loads((run / "manifest.json").read_text())["tree"]["series"]
    assert not (tmp_path / "config").exists() or not list((tmp_path / "config").rglob("*.patch"))
