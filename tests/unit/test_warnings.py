# SPDX-License-Identifier: GPL-2.0-or-later
"""Warnings survive incremental builds, and only those of the series are its own."""

from __future__ import annotations

from pathlib import Path

from pinrace.kbuild.warnings import added, collect

FIRST = """\
  CC      kernel/seccomp.o
../src/kernel/seccomp.c:10:5: warning: unused variable 'x' [-Wunused-variable]
  CC      fs/open.o
../src/fs/open.c:7:1: warning: old [-Wold]
""".splitlines()


def test_kept_until_the_object_is_compiled_again(tmp_path: Path) -> None:
    book = tmp_path / "book.json"
    both = ("fs/open.c: old [-Wold]", "kernel/seccomp.c: unused variable 'x' [-Wunused-variable]")
    assert collect(book, FIRST) == both
    assert collect(book, ["  CC      mm/mmap.o"]) == both
    assert collect(book, ["  CC      kernel/seccomp.o"]) == both[:1]


def test_added_ignores_what_the_base_has() -> None:
    assert added(["a: x", "b: y"], ["b: y", "c: z"]) == ("a: x",)
