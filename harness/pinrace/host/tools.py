# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host must have installed, and the Debian packages that bring it."""

from __future__ import annotations

import ctypes.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pinrace import procs
from pinrace.arches import ABIS, ARCHES, Arch

# What makes a `configure` for sources that come without one.
AUTOTOOLS = ("autoconf", "automake", "m4", "pkgconf")


@dataclass(frozen=True)
class Tool:
    """Something that the harness runs or links."""

    name: str
    packages: tuple[str, ...]
    why: str
    present: Callable[[], bool]


def _command(name: str, package: str, why: str) -> Tool:
    return Tool(name, (package,), why, lambda: shutil.which(name) is not None)


def _header(path: str, package: str, why: str) -> Tool:
    places = [Path("/usr/include") / path, *Path("/usr/include").glob(f"*-linux-gnu*/{path}")]
    return Tool(path, (package,), why, lambda: any(p.exists() for p in places))


def _libarchive() -> Tool:
    there = ctypes.util.find_library("archive") is not None
    return Tool("libarchive", ("libarchive13",), "writes the images", lambda: there)


def tools() -> tuple[Tool, ...]:
    """Return all of them: the base, then what each arch and ABI adds."""
    base = [
        _command("git", "git", "holds the trees, applies the series"),
        _command("make", "make", "builds kernels"),
        _command("flex", "flex", "builds kernels"),
        _command("bison", "bison", "builds kernels"),
        _command("bc", "bc", "builds kernels"),
        _command("perl", "perl", "builds kernels"),
        _command("xz", "xz-utils", "unpacks trees"),
        _command("ccache", "ccache", "compiles nothing twice"),
        _command("setpriv", "util-linux", "lets no process outlive the harness"),
        _command("dpkg-deb", "dpkg", "unpacks Debian's sources"),
        _header("gelf.h", "libelf-dev", "builds objtool"),
        _libarchive(),
    ]
    found = {tool.name: tool for tool in base}
    for arch in ARCHES.values():
        tool = _command(arch.qemu, arch.qemu_package, f"boots {arch.name}")
        found.setdefault(tool.name, tool)
    for abi in ABIS.values():
        name = f"{abi.cross}gcc"
        why = f"builds {abi.name} programs"
        found.setdefault(name, Tool(name, abi.packages, why, _compiles(name)))
    return tuple(found.values())


def for_tests() -> tuple[Tool, ...]:
    """Return what only the project's own tests use; without it some of them are skipped."""
    return (
        *optional(),
        _command("chromium", "chromium", "opens reports as a browser does"),
        _command("cpio", "cpio", "reads images as others do"),
    )


def gdbs(arch: Arch) -> tuple[str, ...]:
    """Return the programs that debug kernels of the arch, and packages of Debian's, best first."""
    native = os.uname().machine == arch.host_machine
    return ("gdb", "gdb-multiarch") if native else ("gdb-multiarch",)


def optional() -> tuple[Tool, ...]:
    """Return what single commands need: its absence stops nothing else."""
    checker = _command("sparse", "sparse", "pinrace series check")
    sandbox = _command("bwrap", "bubblewrap", "a sandbox around builds")
    ltp = [_command(name, name, "LTP's sources that are no release") for name in AUTOTOOLS]
    return (*(_debugger(arch) for arch in ARCHES.values()), checker, sandbox, *ltp)


def _debugger(arch: Arch) -> Tool:
    names = gdbs(arch)
    why = f"pinrace gdb --arch {arch.name}"
    return Tool(names[0], names[:1], why, lambda: any(shutil.which(name) for name in names))


def _compiles(compiler: str) -> Callable[[], bool]:
    """Whether a compiler is there, and a static libc for it."""

    def works() -> bool:
        if not shutil.which(compiler):
            return False
        libc = procs.run([compiler, "-print-file-name=libc.a"], check=False, what=compiler)
        return Path(libc.output.strip()).is_absolute()

    return works


def missing(*, tests: bool = False) -> tuple[Tool, ...]:
    """Return the tools that are not there; tests: those of the project's own tests too."""
    wanted = (*tools(), *for_tests()) if tests else tools()
    return tuple(tool for tool in wanted if not tool.present())


def packages(lacking: tuple[Tool, ...]) -> tuple[str, ...]:
    """Return the Debian packages that bring them, each once."""
    return tuple(dict.fromkeys(name for tool in lacking for name in tool.packages))
