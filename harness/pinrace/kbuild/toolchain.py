# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiler of a build: what make is told, and what makes two builds the same."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pinrace import procs
from pinrace.arches import Arch
from pinrace.errors import InfrastructureError
from pinrace.host import sandbox
from pinrace.paths import cache_dir

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


def llvm_tool(name: str, llvm: str) -> str:
    """Return how a tool of LLVM is called, for "1" or a suffix (Documentation/kbuild/llvm.rst)."""
    return f"{name}{llvm}" if llvm.startswith("-") else name


def toolchain(arch: Arch, *, llvm: str = "") -> Toolchain:
    """Return the toolchain for an arch, through ccache where that is installed.

    llvm: what make gets as LLVM=, "" for gcc.  Raises InfrastructureError when the compiler is not
    installed.
    """
    cross = "" if os.uname().machine == arch.host_machine else arch.cross
    compiler = llvm_tool("clang", llvm) if llvm else f"{cross}gcc"
    suffix = llvm_tool("", llvm)
    wanted = f"clang{suffix} lld{suffix} llvm{suffix}" if llvm else " ".join(arch.packages)
    sandbox.find(compiler, hint=f"apt-get install {wanted}, or pinrace doctor")
    identity = procs.run([compiler, "--version"], what=compiler).output.splitlines()[0]
    command = f"ccache {compiler}" if shutil.which("ccache") else compiler
    make_vars = [f"ARCH={arch.kernel_arch}", f"CC={command}"]
    make_vars.append(f"LLVM={llvm}" if llvm else f"CROSS_COMPILE={cross}")
    return Toolchain(tuple(make_vars), identity)


# What debug information calls the folder that a work tree and its objects are in: were it the real
# one, a build id would tell caches apart, and a kernel not be the same on another machine.
BUILT_IN = "/pinrace"


def portable(folder: Path) -> list[str]:
    """Return what make is told, so that what is built below folder names BUILT_IN instead."""
    option = f"-fdebug-prefix-map={folder}={BUILT_IN}"
    return [f"KCFLAGS={option}", f"KAFLAGS={option}"]


def build_env(stats: Path | None = None, *, keep: bool = True) -> dict[str, str]:
    """Return what a build adds to the environment; stats is ccache's log of hits and misses.

    ccache sees paths relative to the build folder and that folder as BUILT_IN, so that every
    worktree shares its results.  Without `keep` it takes results and keeps none, so that others
    never get what a stranger's code had it compile.
    """
    env = dict(REPRODUCIBLE)
    env["CCACHE_DIR"] = str(_ccache())
    env["CCACHE_BASEDIR"] = str(cache_dir())
    env["CCACHE_MAXSIZE"] = os.environ.get("CCACHE_MAXSIZE", "10G")
    if stats:
        env["CCACHE_STATSLOG"] = str(stats)
    if not keep:
        env |= {"CCACHE_READONLY": "1", "CCACHE_NOSTATS": "1"}
        if sandbox.contained():
            env["CCACHE_TEMPDIR"] = sandbox.TMP
    return env


def ccache_binds(*, keep: bool = True) -> tuple[sandbox.Bind, ...]:
    """Return ccache's folder as a build sees it; read-only without `keep`.

    Raises InfrastructureError when it cannot be made or written.
    """
    folder = _ccache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    if not usable:
        raise InfrastructureError(
            f"ccache's folder {folder} cannot be written",
            hint="set CCACHE_DIR to a folder of your own, or unset it",
        )
    return sandbox.writes(folder) if keep else sandbox.reads(folder)


def _ccache() -> Path:
    """Return ccache's folder."""
    return Path(os.environ.get("CCACHE_DIR", cache_dir() / "ccache")).absolute()
