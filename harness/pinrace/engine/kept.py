# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test of a kernel is kept under, so that it need not be run again on the same."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pinrace import store
from pinrace.engine.cell import Bench
from pinrace.image import cpio
from pinrace.suites.suite import PROGRAMS, SELFTESTS

_LAYOUT = "2"  # of what is kept; part of the key
# What each test leaves alone of an image.
_NOT_RUN = {"torture": SELFTESTS, "selftest": PROGRAMS, "again": PROGRAMS}


def key(bench: Bench, test: str, *what: str) -> str:
    """Return what the result of a test is kept under.

    Of the image only what the test may run counts: a torture program that has changed is no
    reason to have every selftest again.
    """
    on = bench.machine
    machine = f"{on.qemu.version} {on.cpu} {on.smp} {on.mem_mb} {on.accel.name}"
    image = _content(bench.image.path, _NOT_RUN.get(test, ""))
    brought = (bench.brought.digest,) if bench.brought.digest else ()
    return store.digest(_LAYOUT, bench.kernel.digest, image, machine, test, *what, *brought)


@cache
def _content(image: Path, without: str) -> str:
    """Return the digest of an image without what is below a folder; "" for all of it."""
    return cpio.digest_without(image, [without] if without else [])
