# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernels of mutants: built where the series was, and kept without what only a debugger reads."""

from __future__ import annotations

from collections.abc import Callable

from pinrace import procs
from pinrace.arches import ABIS
from pinrace.errors import BuildError
from pinrace.kbuild import kernel as kbuild
from pinrace.kbuild import warnings
from pinrace.mutants.file import Mutant, on_top
from pinrace.series.apply import apply
from pinrace.values import Kernel, Request, Series, Tree

Say = Callable[[str], None]


def build(
    asked: Request,
    tree: Tree,
    series: Series,
    mutant: Mutant,
    clean: Kernel,
    *,
    say: Say,
    soft: tuple[str, tuple[str, ...]] = ("", ()),
) -> Kernel:
    """Return the kernel of a mutant, as `clean`, the series' own, was asked for.

    soft: the name and the lines of what a suite asks for on top of a flavor, as Suite.soft().

    Raises ApplyError when the mutant does not apply on top of the series, and as have().
    """
    patched = apply(tree, on_top(series, mutant), say=lambda line: None, leave_conflict=False)
    name, lines = soft
    flavor = clean.flavor.removesuffix(f"+{name}") if name else clean.flavor
    options = kbuild.BuildOptions(flavor, asked.extra, asked.llvm, asked.jobs, lines, name)
    return have(kbuild.plan(patched, clean.arch, options), clean, say=say)


def have(wanted: kbuild.Plan, clean: Kernel, *, say: Say) -> Kernel:
    """Return the kernel, built if need be, without its debug information.

    The work tree is held only while make runs, and make compiles only what the mutant touches.
    Raises BuildError when it does not build, or with warnings that `clean`, the series', has not.
    """
    found = kbuild.find(wanted)
    if found is None:
        found = kbuild.build(wanted)
        data = kbuild.metadata(found)
        say(f"  {wanted.label}: {data['compiled']} objects, {data['seconds_make']:.0f} s")
        _slim(found)
    more = warnings.added(kbuild.metadata(found)["warnings"], kbuild.metadata(clean)["warnings"])
    if more:
        log = found.folder / "build.log"
        raise BuildError(f"{wanted.label} builds with a warning: {more[0]}", log=log)
    return found


def _slim(kernel: Kernel) -> None:
    """Take away what only a debugger reads: three quarters of a kernel's folder.

    Reports keep their functions, and lose their lines.
    """
    prefix = next(abi.cross for abi in ABIS.values() if abi.arch == kernel.arch)
    draft = kernel.folder / ".vmlinux"
    procs.run([f"{prefix}objcopy", "--strip-debug", kernel.vmlinux, draft], what="objcopy")
    draft.replace(kernel.vmlinux)
    if kernel.boot.is_symlink():
        return
    kernel.boot.unlink()
    kernel.boot.hardlink_to(kernel.vmlinux)
    for spare in kernel.folder.glob("bzImage"):
        spare.unlink()
