# SPDX-License-Identifier: GPL-2.0-or-later
"""Build a kernel into the store, and only compile what must be."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.enums import ENUM_E_MACHINE

from pinrace import __version__, procs, store
from pinrace.arches import Arch, get_arch
from pinrace.errors import BuildError, InfrastructureError, UserError
from pinrace.host import sandbox
from pinrace.kbuild import kconfig, warnings
from pinrace.kbuild.objects import STATS, Objects, objects
from pinrace.kbuild.toolchain import Toolchain, llvm_tool, portable, toolchain
from pinrace.trees.worktree import Worktree, worktree
from pinrace.values import Kernel, PatchedTree

KIND = "kernels"
_LAYOUT = "2"  # of what a kernel's folder holds; part of its key

Progress = Callable[[int, int], None]  # objects built, objects expected (0: not known)


@dataclass(frozen=True)
class BuildOptions:
    """What the user may choose about a build."""

    flavor: str = "plain"
    extra: tuple[str, ...] = ()  # --config
    llvm: str = ""  # what make gets as LLVM=: "1" or a suffix as "-16"; "" for gcc
    jobs: int = 0  # 0: one a CPU
    soft: tuple[str, ...] = ()  # what suites ask for, see kconfig.wanted()
    soft_name: str = ""  # of that, for people and folders

    @property
    def named(self) -> str:
        """The flavor, and what suites add to it."""
        return f"{self.flavor}+{self.soft_name}" if self.soft_name else self.flavor

    @property
    def parallel(self) -> int:
        """How many compilers at once."""
        return self.jobs or len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Plan:
    """One kernel to have: everything that its key is made of."""

    tree: PatchedTree
    arch: Arch
    options: BuildOptions
    want: kconfig.Wanted
    chain: Toolchain

    @property
    def key(self) -> str:
        """The same for the same kernel, whatever the paths and the time."""
        return store.digest(
            _LAYOUT,
            self.tree.tree_id,
            self.arch.name,
            self.want.text,
            self.chain.identity,
            *self.chain.make_vars[:1],
        )

    @property
    def label(self) -> str:
        """How people call it."""
        return f"{self.arch.name} {self.options.named} {self.tree.label}"


def plan(tree: PatchedTree, arch_name: str, options: BuildOptions) -> Plan:
    """Return what building this would mean; raises for what is unknown or not installed."""
    arch = get_arch(arch_name)
    want = kconfig.wanted(arch, options.flavor, options.extra, options.soft)
    return Plan(tree, arch, options, want, toolchain(arch, llvm=options.llvm))


def find(wanted: Plan) -> Kernel | None:
    """Return the kernel if the store has it."""
    folder = store.find(KIND, wanted.key)
    return _load(folder) if folder else None


def build(wanted: Plan, *, progress: Progress = lambda done, total: None) -> Kernel:
    """Return the kernel, built if the store lacks it.

    Raises BuildError when the configuration is refused or make fails, with make's log.
    """
    found = find(wanted)
    if found:
        return found
    with worktree(wanted.tree.base) as place:
        folder = store.make(KIND, wanted.key, lambda into: _fill(into, wanted, place, progress))
    return _load(folder)


def obj_folder(place: Worktree, wanted: Plan) -> Objects:
    """Return the object folder beside a work tree."""
    llvm = wanted.options.llvm
    compiler = f"-llvm{llvm.lstrip('1')}" if llvm else ""
    name = f"{wanted.arch.name}-{wanted.options.named}{compiler}"
    return objects(place.path, name, wanted.tree)


def make_line(wanted: Plan, obj: Objects) -> list[str]:
    """Return make's command line without its targets."""
    where = ("make", "-C", str(obj.src), f"O={obj.inside}")
    return [
        *(*where, *wanted.chain.make_vars, *portable(obj.src.parent)),
        f"-j{wanted.options.parallel}",
    ]


def _fill(into: Path, wanted: Plan, place: Worktree, progress: Progress) -> None:
    """Configure and make in the warm folder, then copy what is kept."""
    began = time.monotonic()
    obj = obj_folder(place, wanted)
    obj.prepare()
    obj.log.unlink(missing_ok=True)
    place.checkout(wanted.tree.commit)
    kconfig.configure(obj, wanted.want, wanted.chain)
    configured = time.monotonic()
    argv, lines = make(wanted, obj, progress)
    _keep(into, obj, wanted)
    (into / "build.log").write_text(obj.log.read_text())
    metadata = {
        "arch": wanted.arch.name,
        "flavor": wanted.options.flavor,
        "extra_config": list(wanted.options.extra),
        "tree": wanted.tree.label,
        "tree_id": wanted.tree.tree_id,
        "base_tree_id": wanted.tree.base.tree_id,
        "series": wanted.tree.series.digest if wanted.tree.series else None,
        "release": _release(obj),
        "compiler": wanted.chain.identity,
        "make": procs.show(argv, env=obj.env()),
        "sandbox": sandbox.said(),
        "built_in": str(obj.src.parent),
        "seconds_configure": round(configured - began, 1),
        "seconds_make": round(time.monotonic() - configured, 1),
        "compiled": sum(1 for line in lines if _COMPILED.match(line)),
        "ccache": _ccache(obj),
        "warnings": warnings.collect(obj.state / "pinrace.warnings.json", lines),
        "pinrace": __version__,
    }
    store.write_json(into / "metadata.json", metadata)


_COMPILED = re.compile(r"^\s+(?:CC|AS)\s")


def make(
    wanted: Plan, obj: Objects, progress: Progress = lambda done, total: None
) -> tuple[list[str], list[str]]:
    """Make a configured kernel, with progress; return make's command line and what it printed.

    Its failure is a BuildError with the first errors in it.
    """
    argv = [*make_line(wanted, obj), "vmlinux", wanted.arch.boot_target]
    count, log = obj.state / "pinrace.objects", obj.log
    (obj.path / STATS).unlink(missing_ok=True)
    # How many objects a change touches is not known before make has found out.
    again = obj.has("vmlinux")
    expected = int(count.read_text()) if count.exists() and not again else 0
    done = 0

    def on_line(line: str) -> None:
        nonlocal done
        if _COMPILED.match(line):
            done += 1
            progress(done, expected)

    ended = sandbox.run(
        argv,
        binds=obj.binds,
        env=obj.env(stats=True),
        log_to=log,
        on_line=on_line,
        check=False,
        what="make",
    )
    if ended.status:
        _raise_failed(ended.output, log, wanted)
    count.write_text(str(max(done, expected)))
    return argv, ended.output.splitlines()


def _raise_failed(output: str, log: Path, wanted: Plan) -> None:
    """Say why make failed: the disk, a killed compiler, or the code."""
    lines = output.splitlines()
    errors = [x for x in lines if re.search(r"\b(?:fatal )?error\b[: ]|\*\*\*|undefined ref", x)]
    shown = "\n".join(f"  {x}" for x in (errors or lines[-8:])[:8])
    if "No space left on device" in output:
        raise InfrastructureError(
            f"the disk is full: {wanted.label} was not built",
            log=log,
            hint="make room (pinrace cache), then run the same command again: it goes on",
        )
    if re.search(r"Killed signal|terminated signal|ccache: error", output):
        raise InfrastructureError(
            f"the compiler was killed while building {wanted.label}\n{shown}",
            log=log,
            hint="was memory short? run the same command again: it goes on where it was",
        )
    raise BuildError(
        f"{wanted.label} does not build:\n{shown}",
        log=log,
        hint="mend the series (pinrace series edit) or the configuration, and build again",
    )


def _keep(into: Path, obj: Objects, wanted: Plan) -> None:
    """Copy the artefacts under their fixed names; none of them may be anything but a file."""
    arch = wanted.arch
    boot = Path(arch.boot_path).name
    for name, kept in (
        *(("vmlinux", "vmlinux"), (".config", "config"), ("System.map", "System.map")),
        (arch.boot_path, boot),
    ):
        try:
            shutil.copyfile(sandbox.output(obj.path, name), into / kept)
        except FileNotFoundError:
            raise BuildError(f"the build of {wanted.label} made no {name}", log=obj.log) from None
    if arch.boots_vmlinux:
        prefix = next((v[14:] for v in wanted.chain.make_vars if v.startswith("CROSS_")), "")
        llvm = wanted.options.llvm
        strip = llvm_tool("llvm-objcopy", llvm) if llvm else f"{prefix}objcopy"
        argv: list[str | Path] = [strip, "--strip-debug", into / "vmlinux", into / "boot"]
        sandbox.run(argv, binds=sandbox.writes(into), what="objcopy")
    else:
        (into / "boot").symlink_to(boot)


def _release(obj: Objects) -> str:
    """Return what the kernel calls itself."""
    path = sandbox.output(obj.path, "include/config/kernel.release")
    return path.read_text(errors="replace")[:256].strip()


def _ccache(obj: Objects) -> dict[str, int]:
    """Count ccache's results; its log has a line for the file and then one a result."""
    there = obj.has(STATS)
    lines = sandbox.output(obj.path, STATS).read_text().splitlines() if there else []
    return {
        "hits": sum(line in ("direct_cache_hit", "preprocessed_cache_hit") for line in lines),
        "misses": lines.count("cache_miss"),
    }


def metadata(kernel: Kernel) -> dict[str, Any]:
    """Return what is recorded of a build."""
    value: dict[str, Any] = json.loads((kernel.folder / "metadata.json").read_text())
    return value


def _load(folder: Path) -> Kernel:
    try:
        data = json.loads((folder / "metadata.json").read_text())
    except (OSError, ValueError) as exc:
        raise InfrastructureError(
            f"the stored kernel {folder} is damaged: {exc}", hint=f"rm -r {folder}, and build again"
        ) from exc
    return Kernel(
        digest=folder.name,
        arch=data["arch"],
        flavor=data["flavor"],
        tree_id=data["tree_id"],
        release=data["release"],
        folder=folder,
    )


def prebuilt(path: Path, arch_name: str) -> Kernel:
    """Take a kernel that somebody else built: a boot image, a vmlinux, or a folder with one.

    Raises UserError when there is none, or when it is another arch's.
    """
    arch = get_arch(arch_name)
    names = ("vmlinux", "boot", Path(arch.boot_path).name, arch.boot_path)
    files = [path / n for n in names if (path / n).is_file()] if path.is_dir() else [path]
    boot = next((f for f in files if f.is_file() and _bootable(f, arch)), None)
    if boot is None:
        what = f"{path} is no {arch.name} kernel" if path.exists() else f"{path} does not exist"
        raise UserError(what, hint=f"give a {Path(arch.boot_path).name} or a vmlinux, or a folder")
    key = store.digest(store.digest_file(boot), arch.name)

    def fill(into: Path) -> None:
        shutil.copyfile(boot, into / "boot")
        for extra in ("vmlinux", "config", ".config"):
            source = boot.parent / extra
            if source.is_file():
                shutil.copyfile(source, into / extra.lstrip("."))
        store.write_json(
            into / "metadata.json",
            {
                "arch": arch.name,
                "flavor": "prebuilt",
                "tree_id": f"prebuilt-{key}",
                "release": f"prebuilt {boot.name}",
                "warnings": [],
            },
        )

    return _load(store.make(KIND, key, fill))


def _bootable(file: Path, arch: Arch) -> bool:
    """Whether QEMU can start this file on that arch."""
    offset, magic = arch.boot_magic
    with file.open("rb") as stream:
        stream.seek(offset)
        if stream.read(len(magic)) == magic:
            return True
        stream.seek(0)
        try:
            elf = ELFFile(stream)
        except ELFError:
            return False
        return arch.boots_vmlinux and ENUM_E_MACHINE[elf.header.e_machine] == arch.elf_machine
