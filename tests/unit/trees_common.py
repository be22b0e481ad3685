# SPDX-License-Identifier: GPL-2.0-or-later
"""Made-up kernel trees, small, for the tests of pinrace.trees."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

MAKEFILE = "# SPDX\nVERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION = -rc1\nNAME = Test\n"
SECCOMP = "".join(f"int line_{n};\n" for n in range(1, 41))
PERSON = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ann Author"), ("EMAIL", "ann@example.org"))
}


def no_say(line: str) -> None:
    """Say nothing."""


def git(folder: Path, *argv: str) -> str:
    """Run git as a person would, with an identity and no configuration."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env |= {**PERSON, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *argv], cwd=folder, env=env, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def kernel_folder(folder: Path) -> Path:
    """Make a tree with what matters: exec bits, symlinks, odd names, an empty file."""
    for name, text in {
        "Makefile": MAKEFILE,
        "Kconfig": "mainmenu\n",
        "kernel/fork.c": SECCOMP,
        "scripts/run.sh": "#!/bin/sh\n",
        "scripts/empty": "",
        'odd "name\\ é': "odd\n",
        "crlf.txt": "a\r\nb\r\n",
        ".gitattributes": "*.txt text eol=lf\n",
        ".gitignore": "*.o\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    (folder / "scripts/run.sh").chmod(0o755)
    (folder / "scripts/link").symlink_to("run.sh")
    (folder / "dirlink").symlink_to("scripts")
    return folder


def expected_tree(folder: Path) -> str:
    """The tree id that git itself gives to a folder's bytes."""
    bare = folder.parent / f"{folder.name}.check"
    git(folder.parent, "init", "-q", "--bare", str(bare))
    (bare / "info").mkdir(exist_ok=True)
    (bare / "info/attributes").write_text("* -text\n")
    there = (f"--git-dir={bare}", f"--work-tree={folder}")
    git(folder, *there, "add", "-A", "-f", ".")
    return git(folder, *there, "write-tree")


def tarball(folder: Path, path: Path, top: str = "linux-7.3.4") -> Path:
    """Pack a folder under one top folder, compressed as the name says."""
    mode = {".xz": "w:xz", ".gz": "w:gz"}.get(path.suffix, "w")
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        archive.add(folder, top)
    return path


def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the process a git identity of its own."""
    for key, value in PERSON.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
