# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the Linux Test Project that use tst_fuzzy_sync.h, through a header of ours.

The user names a tree of theirs, whose library is built for each ABI; nothing of it is kept here.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from pinrace import store
from pinrace.arches import Abi
from pinrace.errors import UserError
from pinrace.host import sandbox
from pinrace.kbuild import userspace
from pinrace.paths import ROOTFS
from pinrace.trees import checkout

LIBRARY = ("lib/race/ltp/ltp.c",)  # instead of race.c and its main()
OURS = ROOTFS / "lib/race/ltp"
# What a test gets, as the harness has no configuration of the kernel for it and time is another.
ENV = (
    ("KCONFIG_SKIP_CHECK", "1"),
    ("LTP_COLORIZE_OUTPUT", "n"),
    ("LTP_TIMEOUT_MUL", "100"),
    ("TMPDIR", "/tmp"),  # noqa: S108 (in the guest)
)


def find(tree: Path | None) -> Path:
    """Return the tree; UserError when none is named, or it is none."""
    if tree is None or not (tree / "include/tst_test.h").is_file():
        raise UserError(
            f"{tree} is no tree of the Linux Test Project"
            if tree
            else "a race of kind ltp needs the sources of the Linux Test Project",
            hint="--ltp with a clone of https://github.com/linux-test-project/ltp",
        )
    return tree.resolve()


def identity(tree: Path) -> str:
    """Return what tells one state of the sources from another."""
    if known := checkout.version(tree):
        return known
    files = sorted([*(tree / "include").rglob("*.h"), *(tree / "lib").glob("*.c")])
    return store.digest(*(p.read_bytes() for p in files))


def library(tree: Path, abi: Abi) -> Path:
    """Return a folder with LTP's include/ and libltp.a for an ABI, built when it is missing.

    Raises UserError, with the log, when the sources cannot be configured or do not build.
    """
    key = store.digest("1", identity(tree), str(tree), abi.name, userspace.compiler_identity(abi))
    log = userspace.log_path(f"ltp-library-{abi.name}")

    def make(place: Path, *argv: str) -> None:
        binds = sandbox.writes(place.parent)
        done = sandbox.run(argv, binds=binds, cwd=place, log_to=log, check=False, what=argv[0])
        if done.status:
            raise UserError(
                f"LTP's sources in {tree} do not build for {abi.name}: {' '.join(argv)} failed",
                log=log,
                hint="apt-get install autoconf automake m4 pkgconf",
            )

    def fill(draft: Path) -> None:
        log.unlink(missing_ok=True)
        place = draft / "src"
        shutil.copytree(tree, place, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        if not (place / "configure").is_file():
            make(place, "make", "autotools")
        host = abi.cross.rstrip("-")
        make(place, "./configure", f"--host={host}", f"CC={abi.cross}gcc", "LDFLAGS=-static")
        make(place, "make", "-j2", "-C", "lib")
        (place / "include").rename(draft / "include")
        shutil.move(place / "lib/libltp.a", draft / "libltp.a")
        shutil.rmtree(place)

    return store.make("ltp-library", key, fill)


def flags(built: Path) -> list[str | Path]:
    """Return what finds our header before theirs."""
    return [
        *("-D_GNU_SOURCE", "-I", OURS, "-I", built / "include", "-I", built / "include/old"),
        *("-I", ROOTFS / "lib/race", "-I", ROOTFS / "lib"),
    ]
