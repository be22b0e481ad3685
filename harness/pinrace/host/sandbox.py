# SPDX-License-Identifier: GPL-2.0-or-later
"""The one way in which the code of a tree or a series runs on this host.

make, the tree's scripts, checkers, and tools that read files which a build left: all of them start
here, with an environment of their own, and contained as far as the host can.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from pinrace import procs
from pinrace.deadline import Deadline
from pinrace.errors import BuildError, InfrastructureError
from pinrace.host import containment
from pinrace.host.containment import TMP, Bind, Containment, Kind, reads, writes

__all__ = [
    "TMP",
    "Bind",
    "contained",
    "environment",
    "find",
    "output",
    "reads",
    "run",
    "said",
    "switch_off",
    "writes",
]

# What counts of the user's environment.  Not LANG: messages are read, and ccache tells languages
# apart.  Not MAKEFLAGS, CFLAGS, LLVM, ARCH, KBUILD_OUTPUT and their like: they change what is
# built, and no key of the store knows them.
KEPT = ("PATH", "TMPDIR")
FIXED = {"LANG": "C.UTF-8"}

_OFF = Containment(kind=Kind.NONE, reason="--no-sandbox")
_off = False


def switch_off() -> None:
    """Contain nothing from now on, as --no-sandbox asks for."""
    global _off  # noqa: PLW0603 (one command, one choice)
    _off = True


def is_off() -> bool:
    """Whether --no-sandbox was given."""
    return _off


def state() -> Containment:
    """Return what programs are contained with."""
    return _OFF if _off else containment.probe()


def contained() -> bool:
    """Whether programs are contained at all."""
    return state().kind is not Kind.NONE


def said() -> str:
    """Return how results say it: "bubblewrap 0.8.0", or "no sandbox (why)"."""
    how = state()
    return f"{how} ({how.reason})" if how.kind is Kind.NONE else str(how)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the whole environment of such a program, but its HOME."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {**kept, **FIXED, **(more or {})}


def run(
    argv: Sequence[str | Path],
    *,
    binds: Iterable[Bind] = (),
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | Path | None = None,
    log_to: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    deadline: Deadline = Deadline(),  # noqa: B008 (frozen)
    check: bool = True,
    what: str = "",
    hint: str = "",
) -> procs.Completed:
    """Run a program that a tree or a series steers; as procs.run(), which see.

    binds is what it sees besides the system's programs, by reads() and writes(); cwd can be read.
    env is added to the few variables that such a program gets.  Without a sandbox it sees all of
    the host; its HOME is an empty folder in either case.  Raises InfrastructureError when the
    program is missing, or the sandbox cannot be set up.
    """
    how = state()
    words = [str(word) for word in argv]
    whole = environment(env)
    if "/" not in words[0]:
        find(words[0])
    seen = list(binds)
    if cwd and not any(cwd.is_relative_to(bind.at) for bind in seen):
        seen += reads(cwd)
    inside = contained()
    with tempfile.TemporaryDirectory(prefix="pinrace-home-") as home:
        whole["HOME"] = containment.HOME if inside else home
        if inside:
            whole |= {"TMPDIR": TMP, "PATH": containment.path()}
        done = procs.run(
            containment.command(how, words, seen, cwd),
            shown=words,
            cwd=None if inside else cwd,
            env=whole,
            inherit=False,
            stdin=stdin,
            log_to=log_to,
            on_line=on_line,
            deadline=deadline,
            check=False,
            what=what or words[0],
            hint=hint,
        )
    if done.status and done.output.startswith(("bwrap: ", "unshare: ", "mount: ", "pivot_root: ")):
        raise InfrastructureError(
            f"the sandbox of {what or words[0]} cannot be set up: {done.output.splitlines()[0]}",
            log=log_to,
            hint="pinrace doctor; --no-sandbox does without, for code that you trust",
        )
    if check:
        procs.succeeded(done, what or words[0], log_to=log_to, hint=hint)
    return done


def find(program: str, hint: str = "pinrace doctor") -> Path:
    """Return where a program of PATH is, as such programs see it; InfrastructureError without."""
    found = shutil.which(program)
    if not found:
        raise InfrastructureError(f"{program} is not installed", hint=hint)
    if contained() and shutil.which(program, path=containment.path()) != found:
        raise InfrastructureError(
            f"{found} cannot be seen in the sandbox, which shows no home",
            hint="install it elsewhere, or --no-sandbox for code that you trust",
        )
    return Path(found)


def output(folder: Path, name: str) -> Path:
    """Return a file that a program left in a folder which it could write to.

    Nothing on the way may lead elsewhere.  Raises BuildError for a link, and for what is no plain
    file, and FileNotFoundError when it is not there.
    """
    path = folder / name
    mode = path.lstat().st_mode
    if path.resolve() != folder.resolve() / name or not stat.S_ISREG(mode):
        raise BuildError(f"the build made {name} something else than a file: {path}")
    return path
