# SPDX-License-Identifier: GPL-2.0-or-later
"""The memory of a guest that died or hangs, kept as a file that crash and drgn open.

QEMU writes it (dump-guest-memory), compressed by page in kdump's format where it can, else as ELF,
which is then packed with gzip.  Format: docs/interop and qapi/dump.json of QEMU's sources.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pinrace.guest.qmp import FAILURES, Monitor, options
from pinrace.host import sockets

FILE = "vmcore"
PACKED = "vmcore.gz"
# The first one that QEMU offers: with "raw" it is the format itself and not makedumpfile's stream.
FORMATS = ("kdump-raw-zlib", "kdump-zlib", "elf")
LIMIT = 256  # MiB of one file, unless another limit is asked for
SECONDS = 300.0  # for QEMU to write it

# A reset becomes the end of the machine, and that end a pause, so that its memory is still there.
PAUSE = ("-action", "reboot=shutdown,shutdown=pause")


@dataclass(frozen=True)
class Kept:
    """What came of it."""

    path: Path | None
    said: str  # what it is, or why there is none

    @property
    def note(self) -> str:
        """One line for a result."""
        return f"dump: {self.said}"


@contextmanager
def monitor() -> Iterator[tuple[tuple[str, ...], Monitor]]:
    """Hold a monitor, with what QEMU has to be started with for it."""
    with sockets.folder() as private, Monitor(private / "qmp") as held:
        # With this device the kernel's own description of itself comes into the dump.
        yield (*options(private / "qmp"), *PAUSE, "-device", "vmcoreinfo"), held


def keep(held: Monitor, folder: Path, *, memory: int, limit: int) -> Kept:
    """Write the guest's memory into the folder; memory and limit are MiB.

    Whatever goes wrong is said and raises nothing: the verdict does not depend on it.
    """
    path = folder / FILE
    try:
        if shutil.disk_usage(folder).free < (memory + 64) << 20:
            return Kept(None, f"none: the disk of {folder} has no room for {memory} MiB")
        offered = held.ask("query-dump-guest-memory-capability")
        formats = offered.get("formats", []) if isinstance(offered, dict) else []
        form = next((name for name in FORMATS if name in formats), "elf")
        words: dict[str, object] = {"paging": False, "protocol": f"file:{path}"}
        if form != "elf":
            words["format"] = form
        held.ask("dump-guest-memory", words, seconds=SECONDS)
        if form == "elf":
            path = _packed(path)
        path.chmod(0o600)  # QEMU leaves it read-only
        size = path.stat().st_size
    except (*FAILURES, OSError) as error:
        path.unlink(missing_ok=True)
        return Kept(None, f"none: QEMU wrote none: {error or type(error).__name__}")
    if size > limit << 20:
        path.unlink()
        return Kept(None, f"none: {size >> 20} MiB are more than the limit of {limit} MiB")
    return Kept(path, f"{path.name}, {form}, {max(1, size >> 20)} MiB")


def _packed(path: Path) -> Path:
    """Compress a file and remove it; return the compressed one."""
    target = path.with_name(PACKED)
    with path.open("rb") as source, gzip.open(target, "wb", compresslevel=1) as sink:
        shutil.copyfileobj(source, sink, 1 << 20)
    path.unlink()
    return target
