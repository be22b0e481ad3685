# SPDX-License-Identifier: GPL-2.0-or-later
"""Addresses of a report become source lines, and words of a report become nothing else."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from pinrace.judge.symbolize import MOST, symbolize, symbolize_all

MAIN = """\
int helper(int), other(int);
static inline __attribute__((always_inline)) int folded(int x)
{
	return helper(x) + 1;
}
int fold(int x)
{
	return folded(x) + 2;
}
static __attribute__((noinline, used)) int twin(int x)
{
	return helper(x) + 3;
}
int start_kernel(void)
{
	return fold(1) + twin(2) + other(3);
}
"""
OTHER = """\
__attribute__((noipa)) int helper(int x) { return x; }
static __attribute__((noinline, used)) int twin(int x)
{
	return helper(x) + helper(x + 1) + helper(x + 2);
}
int other(int x) { return twin(x) + 4; }
"""


@pytest.fixture(scope="module")
def vmlinux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program with debug information, laid out as a kernel's tree."""
    tree = tmp_path_factory.mktemp("tree")
    for name, text in (("init/main.c", MAIN), ("kernel/other.c", OTHER)):
        (tree / name).parent.mkdir()
        (tree / name).write_text(text)
    flags = ["-g", "-O1", "-nostdlib", "-static", "-no-pie", "-Wl,-e,start_kernel"]
    files = [tree / "init/main.c", tree / "kernel/other.c"]
    subprocess.run(["gcc", *flags, "-o", tree / "vmlinux", *files], check=True)
    return tree / "vmlinux"


def sizes(vmlinux: Path) -> dict[str, list[int]]:
    """The bytes from each function to the next symbol, as a kernel reckons them."""
    said = subprocess.run(["nm", "-n", vmlinux], check=True, capture_output=True, text=True)
    rows = [line.split() for line in said.stdout.splitlines()]
    found: dict[str, list[int]] = {}
    for (at, kind, name), (after, *_) in pairwise(rows):
        if kind in "tT":
            found.setdefault(name, []).append(int(after, 16) - int(at, 16))
    return found


def frame(name: str, size: int, offset: int = 0x6) -> str:
    return f"[    1.000000]  {name}+{offset:#x}/{size:#x}"


def test_calls_get_file_and_line(vmlinux: Path) -> None:
    (size,) = sizes(vmlinux)["start_kernel"]
    said = symbolize(frame("start_kernel", size, size - 1), vmlinux, "")
    assert said == "[    1.000000]  start_kernel (init/main.c:17)\n"


def test_what_is_inlined_names_both_places(vmlinux: Path) -> None:
    (size,) = sizes(vmlinux)["fold"]
    whole = "\n".join(f"RIP: 0010:fold+{at:#x}/{size:#x}" for at in range(size))
    said = symbolize(whole, vmlinux, "")
    assert "RIP: 0010:fold (init/main.c:4 init/main.c:8)\n" in said, said
    assert "RIP: 0010:fold (init/main.c:8)\n" in said, said


def test_two_of_one_name_are_told_apart_by_their_size(vmlinux: Path) -> None:
    (first, second) = sizes(vmlinux)["twin"]
    said = symbolize(f"{frame('twin', first)}\n{frame('twin', second)}", vmlinux, "")
    assert ["main.c" in line for line in said.splitlines()] == [True, False]
    assert ["other.c" in line for line in said.splitlines()] == [False, True]
    neither = frame("twin", 0x7777)
    assert symbolize(neither, vmlinux, "") == f"{neither}\n"


HOSTILE = (
    'x"||system("touch {mark}")||1{{exit}}$0=="+0x0/0x10',
    "$(touch {mark})+0x0/0x10",
    "`touch {mark}`+0x1/0x10 ; touch {mark} | touch {mark} && touch {mark}",
    "'; touch {mark}; '+0x0/0x10",
    "-e/etc/passwd+0x0/0x10 --exe=/etc/passwd+0x0/0x10 @{mark}+0x0/0x10",
    "start_kernel\x00+0x0/0x10 \x1b]52;c;eA==\x07+0x0/0x10",
    "start_kernel+0x" + "f" * 5000 + "/0x" + "f" * 5000,
)


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_a_guest_runs_nothing(
    text: str, vmlinux: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("addr2line", "setpriv"):
        where = shutil.which(name)
        assert where
        (tools / name).symlink_to(where)
    monkeypatch.setenv("PATH", str(tools))  # no shell, no awk
    (size,) = sizes_of = sizes_without_path(vmlinux)
    assert sizes_of
    mark = tmp_path / "mark"
    line = f"[    1.000000]  {text.format(mark=mark)}"
    said = symbolize(f"{line}\n{frame('start_kernel', size, size - 1)}", vmlinux, "")
    assert not mark.exists()
    assert said.split("\n")[-3].rstrip() == line.rstrip().split("\n")[-1]
    assert "init/main.c:17" in said


def sizes_without_path(vmlinux: Path) -> list[int]:
    """The size of start_kernel, by a tool that is found without PATH."""
    nm = "/usr/bin/nm"
    said = subprocess.run([nm, "-S", vmlinux], check=True, capture_output=True, text=True)
    return [int(s.split()[1], 16) for s in said.stdout.splitlines() if s.endswith("start_kernel")]


def test_only_the_first_reports_and_it_says_so(vmlinux: Path) -> None:
    (size,) = sizes(vmlinux)["start_kernel"]
    said = symbolize_all([frame("start_kernel", size)] * (MOST + 2), vmlinux, "")
    assert ["main.c" in text for text in said] == [True] * MOST + [False] * 2
    assert f"only the first {MOST} of {MOST + 2}" in said[-1]


def test_there_is_a_limit_and_no_error(vmlinux: Path, tmp_path: Path) -> None:
    (size,) = sizes(vmlinux)["start_kernel"]
    text = frame("start_kernel", size)
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF" + bytes(100))
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    for said in (
        symbolize(text, tmp_path / "none", ""),
        symbolize(text, broken, ""),
        symbolize(text, empty, ""),
        symbolize(text, vmlinux, "no-such-arch-"),
        symbolize_all([text], vmlinux, "", limit=0.0)[0],
    ):
        assert said.startswith(f"{text}\n(not symbolized: "), said
