# SPDX-License-Identifier: GPL-2.0-or-later
"""How many guests this host can run at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
QEMU_MB = 150  # of a QEMU process besides its guest's memory: code, translations, buffers
KEEP_MB = 512  # for the rest of the host


@dataclass(frozen=True)
class Budget:
    """What this process may use: of the host, and of the cgroups that it is in."""

    cpus: int
    mem_mb: int

    @classmethod
    def of_host(cls) -> Budget:
        """Return what is there now; memory in use by others is not."""
        cpus = float(len(os.sched_getaffinity(0)))
        mem = float(psutil.virtual_memory().available)
        for folder in own_cgroups(Path("/proc/self/cgroup"), CGROUPS):
            cpus = min(cpus, cpu_limit(_read(folder / "cpu.max")))
            limit = mem_limit(_read(folder / "memory.max"))
            mem = min(mem, limit - mem_limit(_read(folder / "memory.current"), missing=0.0))
        return cls(max(1, int(cpus)), max(0, int(mem)) >> 20)

    def guests_at_once(self, smp: int, mem_mb: int) -> int:
        """Return how many guests of that many vCPUs and MiB may run together, 1 at least.

        A race needs its vCPUs to run at the same time, so no host CPU is counted twice; a host
        that is too small even for one guest runs one.
        """
        return max(1, min(self.cpus // smp, self.guests_in_memory(mem_mb)))

    def guests_in_memory(self, mem_mb: int) -> int:
        """Return how many guests of that many MiB there is memory for, 1 at least."""
        return max(1, (self.mem_mb - KEEP_MB) // (mem_mb + QEMU_MB))


def own_cgroups(listing: Path, root: Path) -> list[Path]:
    """Return the cgroup v2 folders from our own up to the root; none where v2 is not mounted."""
    for line in _read(listing).splitlines():
        if line.startswith("0::"):
            own = root / line.removeprefix("0::").strip().lstrip("/")
            return [own, *(p for p in own.parents if p.is_relative_to(root))]
    return []


def _read(path: Path) -> str:
    """A file's text, or "" where there is none: the root cgroup has no limits, v1 no such files."""
    try:
        return path.read_text()
    except OSError:
        return ""


def cpu_limit(text: str) -> float:
    """CPUs that `cpu.max` ("QUOTA PERIOD" in microseconds, or "max PERIOD") allows."""
    words = text.split()
    if len(words) != 2 or words[0] == "max":
        return float("inf")
    return int(words[0]) / int(words[1])


def mem_limit(text: str, *, missing: float = float("inf")) -> float:
    """Bytes that a `memory.*` file says."""
    word = text.strip()
    return float(int(word)) if word.isdigit() else missing
