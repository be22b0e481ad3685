# SPDX-License-Identifier: GPL-2.0-or-later
"""Compile one program of a user's own for an ABI."""

from __future__ import annotations

from pathlib import Path

from pinrace import store
from pinrace.arches import Abi
from pinrace.errors import UserError
from pinrace.host import sandbox
from pinrace.kbuild import sysroot
from pinrace.kbuild.userspace import compiler_identity, log_path

SOURCES = (".c", ".S")
_FLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-static", "-pthread")


def program(path: Path, abi: Abi, flags: tuple[str, ...] = ()) -> Path:
    """Return a program to run: a source compiled static for the ABI, everything else as it is.

    Raises UserError when it does not compile; the compiler's words are in the error.
    """
    if path.suffix not in SOURCES:
        return path
    root = sysroot.libraries(abi)
    beside = sorted(p for p in path.parent.glob("*.h") if p.is_file())
    key = store.digest(
        *("own-1", abi.name, compiler_identity(abi), root.name, str(path.absolute()), *flags),
        *(f"{p.name} {store.digest_file(p)}" for p in (path, *beside)),
    )
    log = log_path(f"own-{path.stem}-{abi.name}")

    def fill(draft: Path) -> None:
        log.unlink(missing_ok=True)
        argv: list[str | Path] = [
            f"{abi.cross}gcc",
            *_FLAGS,
            path.absolute(),
            "-o",
            draft / path.stem,
        ]
        binds = (*sandbox.reads(path.parent.absolute(), root), *sandbox.writes(draft))
        argv += ["-idirafter", root / "usr/include", f"-L{root / 'usr/lib' / abi.triple}", *flags]
        done = sandbox.run(argv, binds=binds, log_to=log, check=False, what=str(argv[0]))
        if done.status:
            errors = [line for line in done.output.splitlines() if "error" in line or "ld:" in line]
            said = "".join(f"\n  {line}" for line in (errors or done.output.splitlines()[-8:])[:8])
            raise UserError(f"{path} does not compile for {abi.name}:{said}", log=log)

    return store.make("own", key, fill) / path.stem
