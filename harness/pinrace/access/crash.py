# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest's kept memory: what it says, in a text beside it, and a debugger on it.

A cell's folder has vmcore (or vmcore.gz), dump.json (the kernel that it is of) and dump.txt.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from pinrace import procs
from pinrace.access import gdb
from pinrace.arches import get_arch
from pinrace.deadline import Deadline
from pinrace.errors import InfrastructureError, UserError
from pinrace.guest.dump import FILE, PACKED, Kept
from pinrace.host import sandbox
from pinrace.kbuild import kernel as kbuild
from pinrace.kbuild.toolchain import BUILT_IN
from pinrace.paths import PACKAGE
from pinrace.store import write_json
from pinrace.values import Kernel

FACTS = "dump.json"
TEXT = "dump.txt"
SECONDS = 300.0  # for drgn to read what vmlinux says of types, and the dump
# What a kernel needs so that its memory can be read: whole types, and its own description.
CONFIG = ("DEBUG_INFO_REDUCED=n", "PROC_KCORE=y", "FW_CFG_SYSFS=y")
DEBUGGERS = ("drgn", "crash", "gdb")
PYTHON_SEES = tuple({Path(sys.base_prefix), Path(sys.prefix), PACKAGE})
_INSTALL = "pip install 'pinrace[dump]' brings drgn"


def look_into(kept: Kept, folder: Path, kernel: Kernel) -> tuple[str, ...]:
    """Write dump.json and dump.txt beside a dump, and return notes on it.

    Whatever goes wrong is said in a note; the verdict does not depend on it.
    """
    if kept.path is None:
        return (kept.note,)
    facts = {
        "vmlinux": str(kernel.vmlinux),
        "arch": kernel.arch,
        "release": kernel.release,
        "sources": _sources(kernel),
    }
    write_json(folder / FACTS, facts)
    if find_spec("drgn") is None:
        return (kept.note, f"dump: nothing read it: {_INSTALL}")
    try:
        # What it reads, a guest and a stranger's build wrote.
        said = sandbox.run(
            [*procs.PYTHON, "-m", "pinrace.access.inspect", _core(folder), kernel.vmlinux],
            binds=sandbox.reads(*PYTHON_SEES, folder.absolute(), kernel.vmlinux.absolute()),
            deadline=Deadline.after(SECONDS),
            what="reading the dump",
        )
        (folder / TEXT).write_text(said.output)
    except (InfrastructureError, OSError, EOFError) as error:
        why = error.what if isinstance(error, InfrastructureError) else str(error)
        return (kept.note, f"dump: nothing could be read in it: {why}")
    finally:
        if (folder / PACKED).exists():  # what was asked for is the packed one alone
            (folder / FILE).unlink(missing_ok=True)
    return (kept.note, f"dump: tasks, locks and the ring buffer are in {TEXT}")


def _sources(kernel: Kernel) -> str:
    """Return the folder that its sources were in; "" for a kernel that was built elsewhere."""
    try:
        return str(kbuild.metadata(kernel).get("built_in", ""))
    except (OSError, ValueError):
        return ""


def _core(folder: Path) -> Path:
    """Return the dump as a debugger takes it, unpacked if need be."""
    plain, packed = folder / FILE, folder / PACKED
    if not plain.exists() and packed.exists():
        draft = plain.with_suffix(".part")
        with gzip.open(packed) as source, draft.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        draft.replace(plain)
    return plain


def find(run: Path, cell: str = "") -> Path:
    """Return the folder in a run that has a dump; `cell` is part of its name.

    Raises UserError when there is none, or more than one.
    """
    found = sorted({path.parent for path in run.rglob(f"{FILE}*") if path.name in (FILE, PACKED)})
    mine = [folder for folder in found if cell in str(folder.relative_to(run))]
    if len(mine) == 1:
        return mine[0]
    if not mine:
        named = f" of a cell with '{cell}' in its name" if cell else ""
        raise UserError(
            f"{run.name} has no dump{named}", hint="pinrace test --dump keeps one when a guest dies"
        )
    names = ", ".join(str(folder.relative_to(run)) for folder in mine)
    raise UserError(f"{run.name} has several dumps: {names}", hint="--cell NAME")


def command_line(folder: Path, wanted: str = "", words: Sequence[str] = ()) -> list[str]:
    """Return the command line of the first debugger that is there; words are its own.

    Raises UserError when the kernel is gone, and InfrastructureError without a debugger.
    """
    try:
        facts = json.loads((folder / FACTS).read_text())
        vmlinux, arch = Path(facts["vmlinux"]), get_arch(facts["arch"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise UserError(f"{folder / FACTS} does not say which kernel this is of: {exc}") from exc
    if not vmlinux.is_file():
        raise UserError(
            f"the kernel of this dump was pruned: {vmlinux}",
            hint="build it again: the page of the run has the line",
        )
    try:
        core = str(_core(folder))
    except (OSError, EOFError) as exc:
        raise InfrastructureError(f"{folder / PACKED} cannot be unpacked: {exc}") from exc
    near = f"{Path(sys.executable).parent}:"
    for name in [wanted] if wanted else DEBUGGERS:
        if name == "drgn" and (path := shutil.which("drgn", path=near) or shutil.which("drgn")):
            return [path, "-c", core, "-s", str(vmlinux), *words]
        if name == "crash" and (path := shutil.which("crash")):
            return [path, str(vmlinux), core, *words]
        if name == "gdb" and _is_elf(Path(core)):
            source = f"set substitute-path {BUILT_IN} {facts.get('sources') or '.'}"
            argv = [str(gdb.find_gdb(arch)), *gdb.QUIET, str(vmlinux), core]
            return [*argv, "-ex", source, *words]
    which = wanted or ", ".join(DEBUGGERS)
    raise InfrastructureError(f"nothing here opens {core} ({which})", hint=_INSTALL)


def _is_elf(path: Path) -> bool:
    """Whether gdb can open it; kdump's format is for the others."""
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"
