# SPDX-License-Identifier: GPL-2.0-or-later
"""The wheel: what it carries, and that it works where there is no checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pinrace import paths

DATA = ("configs", "kernel", "rootfs")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files, unpacked as an installer does."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", os.fspath(folder)]
    subprocess.run(build, cwd=paths.PROJECT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def run(site: Path, folder: Path, code: str) -> str:
    """Run code with the unpacked wheel in place of the checkout; return what it prints."""
    env = {**os.environ, "PYTHONPATH": os.fspath(site), "XDG_CONFIG_HOME": os.fspath(folder)}
    env.pop("PINRACE_RUNS", None)
    argv = [sys.executable, "-P", "-c", code]
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tracked(folder: str) -> set[str]:
    """Return the files of a folder that git knows, those to be."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]
    done = subprocess.run(argv, cwd=paths.PROJECT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.splitlines() if (paths.PROJECT / name).exists()}


@pytest.mark.parametrize("folder", DATA)
def test_it_carries_the_data(site: Path, folder: str) -> None:
    carried = {
        f"{folder}/{path.relative_to(site / 'pinrace' / 'data' / folder)}"
        for path in (site / "pinrace" / "data" / folder).rglob("*")
        if path.is_file()
    }
    assert tracked(folder) <= carried


def test_it_uses_its_own_data(site: Path, tmp_path: Path) -> None:
    code = "from pinrace import paths; print(paths.INSTALLED, paths.KERNEL, paths.runs_dir())"
    assert run(site, tmp_path, code).split() == [
        "True",
        f"{site}/pinrace/data/kernel",
        f"{tmp_path.resolve()}/runs",
    ]


def test_its_lock_file_is_the_users(site: Path, tmp_path: Path) -> None:
    code = (
        "from pinrace.trees import lock; print(lock.path());"
        "pins = lock.read(); lock.write('debian:0.1', next(iter(pins.values())));"
        "print(lock.path(), len(lock.read()) - len(pins))"
    )
    shipped, mine, more = run(site, tmp_path, code).split()
    assert shipped == f"{site}/pinrace/data/configs/trees.lock.toml"
    assert mine == f"{tmp_path}/pinrace/trees.lock.toml"
    assert more == "1"


def test_its_commands_load(site: Path, tmp_path: Path) -> None:
    code = (
        "from pinrace.cli.main import parser; from pinrace.cli.options import DEFAULT_SERIES;"
        "from pinrace.series.load import load; parser();"
        "print(len(load(str(DEFAULT_SERIES), say=print).patches) > 0)"
    )
    assert run(site, tmp_path, code).split()[-1] == "True"
