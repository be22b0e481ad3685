# SPDX-License-Identifier: GPL-2.0-or-later
"""A job for a real board: what it deploys, runs and takes for a pass."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from pinrace.arches import get_arch
from pinrace.cli import board as cli
from pinrace.cli.main import parser
from pinrace.engine.build import Built
from pinrace.errors import UserError
from pinrace.image import cpio
from pinrace.races.race import board
from pinrace.races.race.board import Board, Payload
from pinrace.races.race.folder import Race
from pinrace.values import Cell, Image, Job, Kernel, PatchedTree

ARM64 = get_arch("arm64")
JOBS = (
    Job("smoke", ("/pinrace/bin/smoke", "two words"), 10, (("V", "a b"),)),
    Job("spin-1000+5", ("./race", "spin"), 60, cwd="/pinrace/race"),
)


def _payload(folder: Path, *, boots: bool = True) -> Payload:
    kernel = folder / "k"
    kernel.mkdir()
    at, magic = ARM64.boot_magic
    (kernel / "boot").write_bytes(b"\0" * at + (magic if boots else b"????") + b"\0" * 64)
    image = folder / "image"
    with image.open("wb") as out:
        cpio.write(
            [
                cpio.Entry("/init", 0o755, data=b"#!init"),
                cpio.Entry("/pinrace/bin/smoke", 0o755, data=b"#!/bin/sh\necho ok\n"),
            ],
            out.write,
        )
    return Payload(
        ARM64,
        Kernel("d", "arm64", "plain", "t", "7.3", kernel),
        Image("d", "arm64", "arm64", image),
        JOBS,
        (cpio.Entry("/pinrace/race/race", 0o755, data=b"race"),),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "out"
    board.write(out, Board("rk3399", console="ttyS2", url="https://lab.example/b/"),
                _payload(tmp_path))  # fmt: skip
    return out


def test_the_job_deploys_what_lies_beside_it(folder: Path) -> None:
    job = json.loads((folder / board.JOB).read_text())
    deploy, boot, test = (next(iter(action.values())) for action in job["actions"])
    for part in ("kernel", "ramdisk"):
        name = deploy[part]["url"].removeprefix("https://lab.example/b/")
        assert (folder / name).is_file()
    assert boot["prompts"] == [board.PROMPT]
    assert [step.get("name") for step in test["interactive"][0]["script"]] == [
        None, "smoke", "spin-1000-5",
    ]  # fmt: skip
    total = sum(board.seconds(one) for one in JOBS)
    assert test["timeout"]["seconds"] > total
    assert job["timeouts"]["job"]["minutes"] * 60 > total + 2 * 20 * 60


def test_the_ramdisk_gives_a_shell_on_the_boards_console(folder: Path) -> None:
    whole = gzip.decompress((folder / board.RAMDISK).read_bytes())
    assert b"console ttyS2\nshell\n" in whole
    assert b"console ttyAMA0" not in whole
    with tarfile.open(folder / board.OVERLAY) as tar:
        modes = {member.name: member.mode for member in tar.getmembers()}
    assert modes == {"pinrace/bin/smoke": 0o755, "pinrace/race/race": 0o755}


def _step(folder: Path) -> dict[str, Any]:
    job = json.loads((folder / board.JOB).read_text())
    step: dict[str, Any] = job["actions"][2]["test"]["interactive"][0]["script"][1]
    return step


@pytest.mark.parametrize(("status", "passes"), [(0, True), (1, False), (10, False), (137, False)])
def test_a_status_is_read_from_what_a_shell_prints(
    folder: Path, tmp_path: Path, status: int, passes: bool
) -> None:
    """The command runs in a real shell; its own echo on a console must match nothing."""
    step = _step(folder)
    program = tmp_path / "smoke"
    program.write_text(f'#!/bin/sh\nprintf "%s %s\\n" "$V" "$1"\necho rec >&3\nexit {status}\n')
    program.chmod(0o755)
    command = step["command"].replace("/pinrace/bin/smoke", str(program))
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    assert said.startswith("a b two words\nrec\n")
    good = [one["message"] for one in step["successes"]]
    bad = [one["message"] for one in step["failures"]]
    assert any(re.search(pattern, said) for pattern in good) is passes
    assert any(re.search(pattern, said) for pattern in bad) is not passes
    assert not any(re.search(pattern, step["command"]) for pattern in (*good, *bad))


def test_the_suite_runs_the_same_in_a_shell(folder: Path, tmp_path: Path) -> None:
    suite = json.loads((folder / board.SUITE).read_text())
    assert suite["metadata"]["format"] == "Lava-Test Test Definition 1.0"
    tool = tmp_path / "bin" / "lava-test-case"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\nname=$1; shift 2\n"$@" >/dev/null 2>&1; echo "$name $?"\n')
    tool.chmod(0o755)
    path = f"{tool.parent}:{os.environ['PATH']}"
    steps = "\n".join(suite["run"]["steps"])
    done = subprocess.run(
        ["sh", "-c", steps], capture_output=True, text=True, check=False, env={"PATH": path}
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["smoke", "spin-1000-5"]


def test_what_no_board_boots_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no Image"):
        board.write(tmp_path / "out", Board("rk3399"), _payload(tmp_path, boots=False))
    with pytest.raises(UserError, match="device type"):
        Board("a b; c")


def test_a_suite_that_asks_for_options_gets_the_kernel_that_has_them(tmp_path: Path) -> None:
    plain = Kernel("1", "arm64", "plain", "t", "7.3", tmp_path)
    more = replace(plain, digest="2", flavor="plain+net")
    kernels = {("arm64", "plain"): plain, ("arm64", "plain+net"): more}
    built = Built(cast(PatchedTree, None), kernels, {}, wishes={"net": "net", "smoke": ""})
    smoke, net = (Cell("arm64", "arm64", "plain", name) for name in ("smoke", "net"))
    assert cli.the_kernel(built, [net]) == more
    assert cli.the_kernel(built, [smoke]) == plain
    with pytest.raises(UserError, match="kernels of their own"):
        cli.the_kernel(built, [smoke, net])


def test_a_race_brings_the_options_that_it_needs() -> None:
    words = ["board", "--abi", "arm", "--config", "B=y", "--race", "x", "--device-type", "d"]
    args = parser("board").parse_args(words)
    race = Race(about="x", need=("A=y", "B=y"), abis=("arm",))
    assert cli.request(args, race).extra == ("A=y", "B=y")
    assert cli.request(args, None).extra == ("B=y",)
    with pytest.raises(UserError, match="not on arm"):
        cli.request(args, race.model_copy(update={"abis": ("i386",)}))
