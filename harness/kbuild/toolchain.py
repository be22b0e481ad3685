# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiler of a build: what make is told, and what makes two builds the same."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness import procs
from harness.arches import Arch
from harness.errors import InfrastructureError
from harness.paths import cache_dir

# Same bytes from the same source, whenever and wherever it is built
# (Documentation/kbuild/reproducible-builds.rst).
REPRODUCIBLE = {
    "KBUILD_BUILD_TIMESTAMP": "2024-01-01",
    "KBUILD_BUILD_USER": "pinrace",
    "KBUILD_BUILD_HOST": "pinrace",
    "KBUILD_BUILD_VERSION": "1",
    "LOCALVERSION": "",  # set and empty: no "+" for a commit without a tag
}


@dataclass(frozen=True)
class Toolchain:
    """How make is told to compile, and the compiler's own word on what it is."""

    make_vars: tuple[str, ...]
    identity: str  # first line of its --version


def toolchain(arch: Arch, *, llvm: bool = False) -> Toolchain:
    """Return the toolchain for an arch, through ccache where that is installed.

    Raises InfrastructureError when the compiler is not installed.
    """
    cross = "" if os.uname().machine == arch.host_machine else arch.cross
    compiler = "clang" if llvm else f"{cross}gcc"
    if not shutil.which(compiler):
        wanted = "clang lld llvm" if llvm else " ".join(arch.packages)
        raise InfrastructureError(
            f"{compiler} is not installed", hint=f"apt-get install {wanted}, or pinrace doctor"
        )
    identity = procs.run([compiler, "--version"], what=compiler).output.splitlines()[0]
    command = f"ccache {compiler}" if shutil.which("ccache") else compiler
    make_vars = [f"ARCH={arch.kernel_arch}", f"CC={command}"]
    make_vars.append("LLVM=1" if llvm else f"CROSS_COMPILE={cross}")
    return Toolchain(tuple(make_vars), identity)


def build_env(stats: Path | None = None) -> dict[str, str]:
    """Return what a build adds to the environment; stats is ccache's log of hits and misses.

    ccache sees paths relative to the build folder, so that every worktree shares its results.
    """
    env = dict(REPRODUCIBLE)
    env["CCACHE_DIR"] = os.environ.get("CCACHE_DIR", str(cache_dir() / "ccache"))
    env["CCACHE_BASEDIR"] = str(cache_dir())
    env["CCACHE_NOHASHDIR"] = "1"
    env["CCACHE_MAXSIZE"] = os.environ.get("CCACHE_MAXSIZE", "10G")
    if stats:
        env["CCACHE_STATSLOG"] = str(stats)
    return env
