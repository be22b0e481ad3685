# SPDX-License-Identifier: GPL-2.0-or-later
"""The command under injected trouble: the right exit code, a clear message, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pinrace.errors import Exit
from pinrace.paths import PROJECT

SMOKE = ("test", "--abi", "x86_64", "--suite", "smoke")
# Commands that go on for a while with a guest
REPEATED = (*SMOKE, "--repeat", "20")
SSH = ("ssh", "--arch", "arm64", "--", "sleep 1000")
GDB = ("gdb", "--arch", "x86_64", "--", "-nx", "-batch", "-ex", "continue")
# Of a window that no CPU time of a test's is enough to find.
SEARCH = (
    *("searchbench", "--at-once", "2", "--seeds", "2", "--alarms", "0", "--budget", "3600"),
    *("--arms", "icount", "--windows", "torn-data", "--arch", "arm64", "--abi", "arm64"),
)


def pinrace(*words: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pinrace", *words],
        cwd=PROJECT,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate()
    return process.returncode, output


def guests_of(marker: Path) -> list[psutil.Process]:
    """The QEMU processes that write below a folder."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        line = process.info["cmdline"] or []
        if "qemu-system" in " ".join(line[:1]) and any(str(marker) in word for word in line):
            found.append(process)
    return found


def wait_for_guest(process: subprocess.Popen[str], runs: Path) -> None:
    while not guests_of(runs):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def none_left(runs: Path) -> bool:
    for _ in range(200):
        if not guests_of(runs):
            return True
        time.sleep(0.05)
    return False


@contextmanager
def small_disk(at: Path, mib: int) -> Iterator[Path]:
    at.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=755", "none", at],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"cannot mount a small disk here: {done.stderr.decode().strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", at], check=True)


def make_tree(folder: Path, *, size_mib: int = 0) -> Path:
    """A folder with the files that make a kernel tree."""
    for name in ("Kconfig", "kernel/fork.c", "arch/x86/Kconfig", "scripts/x", "init/main.c"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x\n")
    (folder / "Makefile").write_text("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 0\nEXTRAVERSION =\n")
    if size_mib:
        (folder / "init/big").write_bytes(os.urandom(size_mib << 20))
    return folder


def test_a_tree_that_is_no_kernel(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("all:\n")
    code, said = ended(pinrace("fetch", str(tmp_path)))
    assert code == Exit.USAGE
    assert str(tmp_path) in said


def test_an_unknown_tree_names_the_known_ones() -> None:
    code, said = ended(pinrace("fetch", "debian:2.4"))
    assert code == Exit.USAGE
    assert "7.3" in said


def test_a_half_tarball_leaves_nothing(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "linux-7.3", size_mib=1)
    whole, half = tmp_path / "whole.tar.gz", tmp_path / "half.tar.gz"
    subprocess.run(["tar", "czf", whole, "-C", tmp_path, tree.name], check=True)
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    cache = {"PINRACE_CACHE": str(tmp_path / "cache")}
    code, said = ended(pinrace("fetch", str(half), **cache))
    assert code in (Exit.USAGE, Exit.INFRA)
    assert "half.tar.gz" in said
    code, said = ended(pinrace("fetch", str(whole), **cache))
    assert code == Exit.OK, said


def test_a_full_disk_is_the_hosts_trouble_and_passes(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "linux-7.3", size_mib=8)
    with small_disk(tmp_path / "disk", 4) as disk:
        code, said = ended(pinrace("fetch", str(tree), PINRACE_CACHE=str(disk)))
        assert code == Exit.INFRA, said
        assert "disk" in said
        assert "full" in said
        subprocess.run(["mount", "-o", "remount,size=64m,mode=755", disk], check=True)
        code, said = ended(pinrace("fetch", str(tree), PINRACE_CACHE=str(disk)))
        assert code == Exit.OK, said


def test_a_missing_tool_is_named_with_what_installs_it(tmp_path: Path) -> None:
    for name in ("git", "setpriv", "sh", "env"):
        (tmp_path / name).symlink_to(Path("/usr/bin") / name)
    code, said = ended(pinrace("doctor", "--quick", PATH=str(tmp_path)))
    assert code == Exit.INFRA
    assert "qemu-system-x86_64" in said
    assert "apt-get install" in said


def test_a_refused_option_names_itself_and_the_reason() -> None:
    line = ("build", "--arch", "x86_64", "--config", "KASAN_HW_TAGS=y", "--no-baseline")
    code, said = ended(pinrace(*line))
    assert code == Exit.BUILD, said
    assert "CONFIG_KASAN_HW_TAGS=y is n" in said
    assert "Kconfig" in said


def test_a_patch_that_does_not_apply_is_shown_with_its_work_tree(tmp_path: Path) -> None:
    patch = tmp_path / "0001-no.patch"
    patch.write_text(
        "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n"
        "From: A Person <a@example.org>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\n"
        "Subject: [PATCH] seccomp: change what is not there\n\n---\n"
        "diff --git a/kernel/fork.c b/kernel/fork.c\n"
        "--- a/kernel/fork.c\n+++ b/kernel/fork.c\n"
        "@@ -10,3 +10,3 @@\n int nothing;\n-int of_this;\n+int is_there;\n int really;\n"
    )
    code, said = ended(pinrace("series", "apply", "--series", str(tmp_path)))
    assert code == Exit.BUILD, said
    assert "0001-no.patch" in said
    assert "kernel/fork.c" in said


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (REPEATED, signal.SIGINT),
        (REPEATED, signal.SIGTERM),
        (SSH, signal.SIGINT),
        (SSH, signal.SIGTERM),
        (GDB, signal.SIGTERM),  # Ctrl-C is gdb's
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else value.name,
)
def test_interrupted_leaves_no_guest(
    tmp_path: Path, number: signal.Signals, words: tuple[str, ...]
) -> None:
    process = pinrace(*words, PINRACE_RUNS=str(tmp_path))
    wait_for_guest(process, tmp_path)
    process.send_signal(number)
    code, said = ended(process)
    assert code == Exit.INTERRUPTED, said
    assert "kept" in said
    assert none_left(tmp_path)
    assert (tmp_path / "latest" / "events.jsonl").exists()


@pytest.mark.parametrize("words", [REPEATED, SSH, GDB, SEARCH], ids=lambda words: words[0])
def test_killed_leaves_no_guest(tmp_path: Path, words: tuple[str, ...]) -> None:
    process = pinrace(*words, PINRACE_RUNS=str(tmp_path))
    wait_for_guest(process, tmp_path)
    process.kill()
    ended(process)
    assert none_left(tmp_path)


def test_a_killed_qemu_is_a_miss_and_not_a_failure(tmp_path: Path) -> None:
    process = pinrace(*SMOKE, PINRACE_RUNS=str(tmp_path))
    wait_for_guest(process, tmp_path)
    for guest in guests_of(tmp_path):
        guest.kill()
    code, said = ended(process)
    assert code == Exit.INFRA, said
    assert "MISS" in said


def test_a_killed_helper_of_a_search_is_said(tmp_path: Path) -> None:
    process = pinrace(*SEARCH, PINRACE_RUNS=str(tmp_path))
    wait_for_guest(process, tmp_path)
    guests_of(tmp_path)[0].parent().kill()
    code, said = ended(process)
    assert code == Exit.INFRA, said
    assert "was killed; what was finished is kept" in said
    assert none_left(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_search_leaves_no_guest(tmp_path: Path, number: signal.Signals) -> None:
    process = pinrace(*SEARCH, PINRACE_RUNS=str(tmp_path))
    wait_for_guest(process, tmp_path)
    process.send_signal(number)
    code, said = ended(process)
    assert code == Exit.INTERRUPTED, said
    assert none_left(tmp_path)


def test_two_at_once_agree(tmp_path: Path) -> None:
    both = [pinrace(*SMOKE, PINRACE_RUNS=str(tmp_path)) for _ in range(2)]
    results = [ended(process) for process in both]
    assert [code for code, _ in results] == [Exit.OK, Exit.OK], results
    assert len([p for p in tmp_path.iterdir() if not p.is_symlink()]) == 2
