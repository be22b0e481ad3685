# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the Linux Test Project as suites: `ltp:syscalls`, `ltp:syscalls/futex`.

They come from a folder that the user names: an installed LTP, whose programs are of one ABI, or
its sources, of which what is asked for is built for each.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pinrace import store
from pinrace.arches import Abi
from pinrace.errors import InfrastructureError, UserError
from pinrace.host import sandbox, tools
from pinrace.image.cpio import Entry
from pinrace.kbuild import collections, userspace
from pinrace.kbuild.elf import is_elf
from pinrace.kbuild.libraries import Libraries, linked
from pinrace.kbuild.sysroot import libraries
from pinrace.paths import given
from pinrace.suites.brought import Brought
from pinrace.suites.formats import Format
from pinrace.suites.kselftest import pick
from pinrace.suites.suite import Suite
from pinrace.trees import checkout
from pinrace.values import Job, PatchedTree

PREFIX = "ltp:"
VARIABLE = "PINRACE_LTP"  # the folder; --ltp sets it
PLACE = "/opt/ltp"  # in the guest, where its scripts expect it
SECONDS = 300.0  # for one test; each has a limit of its own, which is shorter
_ENV = (
    ("LTPROOT", PLACE),
    ("PATH", f"{PLACE}/testcases/bin:/bin:/sbin:/usr/bin:/usr/sbin"),
    ("TMPDIR", "/tmp"),  # noqa: S108 (in the guest)
    ("LTP_COLORIZE_OUTPUT", "n"),
    ("KCONFIG_SKIP_CHECK", "1"),
)


@dataclass(frozen=True)
class Ltp(Suite):
    """Tests of a runtest file: all, or those whose tag begins with, or matches, a word."""

    group: str = ""
    word: str = ""
    many: bool = True

    def bring(self, tree: PatchedTree, abi: Abi, source: userspace.Source) -> Brought:
        """Return the tests that the folder has for an ABI."""
        root = folder()
        wanted = entries(root, self.group, self.word)
        programs = {line.split()[0] for line in wanted.values()}
        place = _built(root, abi, programs) if _is_source(root) else root / "testcases/bin"
        shared = Libraries(abi, (libraries(abi) / "usr/lib" / abi.triple,))
        jobs, absent, files = [], {}, {}
        for tag, line in wanted.items():
            name = line.split()[0]
            path = place / name
            if why := _lacks(path, abi, shared):
                absent[tag] = why
                continue
            files[name] = path
            argv = _argv(line)
            direct = is_elf(path) and argv[0] != "/bin/sh"
            jobs.append(Job(tag, argv, SECONDS, _ENV, direct=direct, records=False))
        for helper in _helpers(place, programs):
            if not _lacks(helper, abi, shared):
                files[helper.name] = helper
        laid = [
            *(Entry(f"{PLACE}/testcases/bin/{n}", data=p) for n, p in sorted(files.items())),
            *(Entry(n, data=p) for n, p in sorted(shared.files.items())),
        ]
        digest = store.digest(
            repr(jobs), *(f"{p.name} {store.digest_file(p)}" for p in files.values())
        )
        return Brought(digest, tuple(jobs), tuple(laid), absent, format=Format("ltp"))

    def jobs(self, brought: Brought, only: str = "") -> tuple[Job, ...]:
        """Return its jobs; `only` keeps tests."""
        return pick(brought.jobs, only)


def suite(name: str) -> Ltp:
    """Return the suite of a name that begins with the prefix; UserError for one that is none."""
    group, _, word = name.removeprefix(PREFIX).partition("/")
    if not re.fullmatch(r"[\w.-]+", group) or not re.fullmatch(r"[\w.*?-]*", word):
        raise UserError(f"'{name}' names no tests of LTP", hint="ltp:syscalls/futex")
    about = f"LTP's {group}" + (f", {word}" if word else "")
    return Ltp(
        name, "", SECONDS, about, own_limits=True, about_files=("*",), group=group, word=word
    )


def folder() -> Path:
    """Return the folder of LTP; UserError when none is named, or it is none."""
    named = os.environ.get(VARIABLE)
    if not named:
        raise UserError("LTP's tests come from a folder of yours", hint="--ltp FOLDER")
    path = given(named).absolute()
    if not (path / "runtest").is_dir():
        raise UserError(
            f"{path} is no LTP: it has no runtest/",
            hint="--ltp with an installed LTP (/opt/ltp), or with its sources",
        )
    return path


def entries(root: Path, group: str, word: str = "") -> dict[str, str]:
    """Return the command lines of a runtest file by tag; UserError when there are none."""
    path = root / "runtest" / group
    if not path.is_file():
        names = sorted(p.name for p in (root / "runtest").iterdir() if p.is_file())
        raise UserError(f"{root} has no runtest file '{group}'", hint=f"it has: {', '.join(names)}")
    found = {}
    for line in path.read_text(errors="replace").splitlines():
        tag, _, command = line.strip().partition(" ")
        if tag and not tag.startswith("#") and command.strip() and _fits(tag, word):
            found[tag] = command.strip()
    if not found:
        raise UserError(f"no test of {path} is like '{word}'", hint=f"look into {path}")
    return found


def _fits(tag: str, word: str) -> bool:
    return fnmatch.fnmatchcase(tag, word) if any(c in word for c in "*?") else tag.startswith(word)


def _argv(line: str) -> tuple[str, ...]:
    """Return what runs a line of a runtest file: the shell, where it is more than words."""
    shell = ("/bin/sh", "-c", line)
    if any(c in line for c in "$;|&<>"):
        return shell
    try:
        name, *words = shlex.split(line)
    except ValueError:  # a quote that nothing ends: the shell says so, and that test fails
        return shell
    return (f"{PLACE}/testcases/bin/{name}", *words)


def _is_source(root: Path) -> bool:
    return (root / "configure.ac").is_file()


def _lacks(path: Path, abi: Abi, shared: Libraries) -> str:
    """Return why a program cannot be run in a guest of the ABI, "" when it can."""
    if not path.is_file():
        return f"there is no {path.name}"
    if not is_elf(path):
        with path.open("rb") as stream:
            first = stream.readline(256).decode(errors="replace").strip()
        shell = first.split()[0] in ("#!/bin/sh", "#!/usr/bin/sh") if first else False
        return "" if shell else f"needs {first.removeprefix('#!') or 'an interpreter'}"
    said = linked(path)
    if (said.machine, said.bits) != (abi.elf_machine, abi.bits):
        return f"is no program of {abi.name}"
    lacking = shared.add(path)
    return f"needs {', '.join(lacking)}" if lacking else ""


def _helpers(place: Path, programs: Iterable[str]) -> list[Path]:
    """Return what tests start: children by their name, and the shell library."""
    patterns = [f"{name}_child*" for name in programs] + ["tst_*", "*.sh"]
    found = {path for pattern in patterns for path in place.glob(pattern) if path.is_file()}
    return sorted(found)


def _built(root: Path, abi: Abi, programs: set[str]) -> Path:
    """Return a folder with these programs, built for the ABI from LTP's sources.

    Raises UserError when the sources cannot be configured.
    """
    sources = {p: found[0] for p in programs if (found := sorted(root.rglob(f"{p}.c")))}
    folders = sorted({str(path.parent.relative_to(root)) for path in sources.values()})
    key = store.digest(
        *("ltp-1", abi.name, userspace.compiler_identity(abi), str(root), _version(root)),
        *folders,
    )
    log = userspace.log_path(f"ltp-{key}")

    def make(place: Path, *argv: str) -> int:
        draft = place.parent
        status = sandbox.run(
            argv, binds=sandbox.writes(draft), cwd=place, log_to=log, check=False, what=argv[0]
        ).status
        if status == 0 or argv[0] == "make":
            return status
        raise UserError(
            f"LTP's sources in {root} cannot be built: {argv[0]} failed",
            log=log,
            hint=f"apt-get install {' '.join(tools.AUTOTOOLS)}, or name an installed LTP",
        )

    def fill(draft: Path) -> None:
        log.unlink(missing_ok=True)
        place = draft / "src"
        shutil.copytree(root, place, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        if not (place / "configure").is_file():
            make(place, "sh", "-c", "make autotools")
        host = abi.cross.rstrip("-")
        make(place, "./configure", f"--host={host}", f"CC={abi.cross}gcc", "LDFLAGS=-static")
        jobs = f"-j{len(os.sched_getaffinity(0))}"
        if make(place, "make", jobs, "-C", "lib"):
            raise UserError(f"LTP's library does not build for {abi.name}", log=log)
        for name in (*_LIBS, *folders):
            if (place / name / "Makefile").is_file():
                make(place, "make", "-k", jobs, "-C", name)
        out = draft / "bin"
        out.mkdir()
        for name in folders:
            for path in (place / name).iterdir():
                if path.is_file() and path.stat().st_mode & 0o100 and is_elf(path):
                    shutil.copy(path, out / path.name)
        collections.strip(out, abi)
        for path in (place / "testcases/lib").glob("*.sh"):
            shutil.copy(path, out / path.name)
        shutil.rmtree(place)
        if not any(out.iterdir()):
            raise InfrastructureError(f"nothing of LTP was built for {abi.name}", log=log)

    return store.make("ltp", key, fill) / "bin"


_LIBS = ("libs", "testcases/lib")


def _version(root: Path) -> str:
    """Return what tells one state of the sources from another."""
    if known := checkout.version(root):
        return known
    newest = max(path.stat().st_mtime for path in root.rglob("*") if path.is_file())
    return str(newest)
