# SPDX-License-Identifier: GPL-2.0-or-later
"""The tree's own selftests as suites: `kselftest:futex`, `kselftest:timers/posix_timers`."""

from __future__ import annotations

import glob
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from pinrace import store
from pinrace.arches import Abi, get_arch
from pinrace.errors import UserError
from pinrace.guest.machine import Machine
from pinrace.image import land
from pinrace.image.cpio import Entry
from pinrace.kbuild import collections, kconfig
from pinrace.kbuild.collections import Collection
from pinrace.kbuild.elf import is_elf
from pinrace.kbuild.libraries import Libraries, linked
from pinrace.kbuild.quirks import Quirk, quirk
from pinrace.kbuild.sysroot import libraries
from pinrace.kbuild.userspace import SELFTESTS, Source
from pinrace.paths import CONFIGS
from pinrace.suites.brought import Brought
from pinrace.suites.suite import Suite
from pinrace.trees.git import in_store, show_file
from pinrace.values import Job, PatchedTree

PREFIX = "kselftest:"
PLACE = "/pinrace/kselftest"  # in the guest
COMMON = CONFIGS / "kselftest.config"
DEFAULT_SECONDS = 45.0  # kselftest_default_timeout of runner.sh
ENDLESS_SECONDS = 300.0  # for a collection whose settings say that there is no limit
_SHELLS = ("/bin/sh", "/usr/bin/sh", "/bin/ash")  # that every image has


@dataclass(frozen=True)
class Kselftest(Suite):
    """A collection, or one test of it, or with `/*` all that lie in a folder and below.

    path: what follows the prefix, below tools/testing/selftests.
    """

    path: str = ""
    many: bool = True

    def soft(self, tree: PatchedTree) -> tuple[str, tuple[str, ...]]:
        """Return what the collections ask of Kconfig beside what all of them share."""
        common = kconfig.parse(COMMON.read_text())
        given, own = _given(), self._own(tree)
        more = {k: v for k, v in own.items() if v not in (common.get(k), given.get(k))}
        lines = tuple(f"{name}={value}" for name, value in sorted((common | more).items()))
        name = f"kselftest-{store.digest(*lines)[:6]}" if more else "kselftest"
        return name, lines

    def asks(self, tree: PatchedTree) -> tuple[str, ...]:
        """Return what the collections' own files ask for."""
        return tuple(f"{name}={value}" for name, value in sorted(self._own(tree).items()))

    def _own(self, tree: PatchedTree) -> dict[str, str]:
        """Return the options of the collections' `config` files; modules are built in."""
        own: dict[str, str] = {}
        for name in self.collections(tree):
            if f"{name}/config" in _files(tree.commit, name):
                text = show_file(tree.commit, f"{SELFTESTS}/{name}/config")
                asked = kconfig.parse(text)
                own |= {key: "y" if value == "m" else value for key, value in asked.items()}
        return own

    def collections(self, tree: PatchedTree) -> tuple[str, ...]:
        """Return the folders of the collections; UserError when the tree has none of that name."""
        known = targets(tree.commit)
        if self.path in known:
            return (self.path,)
        below = self.path.removesuffix("/*")
        found = [name for name in known if f"{name}/".startswith(f"{below}/")]
        if found:
            return tuple(found)
        for folder in (self.path, *(str(parent) for parent in Path(self.path).parents)):
            if folder in known or f"{folder}/Makefile" in _files(tree.commit, folder):
                return (folder,)
        top = sorted({name.split("/")[0] for name in known})
        raise UserError(
            f"{tree.label} has no selftests '{self.path}'",
            hint=f"its collections are: {', '.join(top)}",
        )

    def bring(self, tree: PatchedTree, abi: Abi, source: Source) -> Brought:
        """Build the collections and return their tests as jobs."""
        names = self.collections(tree)
        below = self.path.removesuffix("/*")
        one = below[len(names[0]) + 1 :] if below.startswith(f"{names[0]}/") else ""
        loads = []
        for name in names:
            built = collections.build(source, tree, abi, name, quirk(name))
            above = f"{name[len(below) + 1 :]}/" if name.startswith(f"{below}/") else ""
            loads.append(_load(built, abi, quirk(name), above, one))
        if one and not any(brought.jobs or brought.absent for brought in loads):
            listed = ", ".join(built.tests) or "none"
            raise UserError(f"{names[0]} has no test '{one}'", hint=f"its tests are: {listed}")
        return Brought(
            digest=store.digest(*(brought.digest for brought in loads)),
            jobs=tuple(job for brought in loads for job in brought.jobs),
            files=tuple({e.path: e for brought in loads for e in brought.files}.values()),
            absent={k: v for brought in loads for k, v in brought.absent.items()},
        )

    def jobs(self, brought: Brought, only: str = "") -> tuple[Job, ...]:
        """Return its jobs; `only` keeps tests: those named, or those of the cases named."""
        return pick(brought.jobs, only)

    def only(self, cases: Sequence[str]) -> str:
        """Return the text with which jobs() keeps the tests of these cases."""
        return "\\|".join(cases)

    def about_series(self, tree: PatchedTree) -> Suite:
        """Return it with the files of the series that MAINTAINERS has it for."""
        from pinrace.suites import auto  # it knows this module

        files = auto.looked_at(tree, self.collections(tree))
        tests = tuple(f"{SELFTESTS}/{name}/*" for name in self.collections(tree))
        return replace(self, about_files=tuple(glob.escape(name) for name in files), tests=tests)

    def machine(self, usual: Machine) -> Machine:
        """Return the machine with as much memory as the collection needs."""
        needs = max(quirk(name).memory for name in _above(self.path.removesuffix("/*")))
        more = land.land().memory if land.wanted() else 0
        return replace(usual, mem_mb=max(usual.mem_mb, needs) + more)


def pick(jobs: tuple[Job, ...], only: str) -> tuple[Job, ...]:
    """Return the jobs that a text picks: several texts are joined as grep joins them."""
    words = [word for word in only.lower().split("\\|") if word]
    if not words:
        return jobs

    def wanted(job: Job) -> bool:
        name = job.name.lower()
        return any(word in name or word.startswith(f"{name}/") for word in words)

    return tuple(job for job in jobs if wanted(job))


def suite(name: str) -> Kselftest:
    """Return the suite of a name that begins with the prefix; UserError for one that is none."""
    path = name.removeprefix(PREFIX).strip("/")
    if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*(/[\w.+-]+)*(/\*)?", path) or ".." in path:
        raise UserError(f"'{name}' names no selftests", hint="for example kselftest:futex")
    about = f"the tree's own selftests of {path}"
    return Kselftest(f"{PREFIX}{path}", "", ENDLESS_SECONDS, about, own_limits=True, path=path)


@cache
def targets(commit: str) -> tuple[str, ...]:
    """Return the collections that the selftests' makefile lists, and that are there."""
    text = show_file(commit, f"{SELFTESTS}/Makefile")
    listed = re.findall(r"^TARGETS\s*\+?=\s*(.+)$", text, re.MULTILINE)
    names = dict.fromkeys(name for line in listed for name in line.split())
    there = set(
        in_store("ls-tree", "-r", "--name-only", commit, f"{SELFTESTS}/").output.split("\n")
    )
    return tuple(name for name in names if f"{SELFTESTS}/{name}/Makefile" in there)


@cache
def _files(commit: str, name: str) -> frozenset[str]:
    """Return the files of a folder of the selftests, by their path below those."""
    argv = ("ls-tree", "--name-only", commit, f"{SELFTESTS}/{name}/")
    lines = in_store(*argv, check=False).output.splitlines()
    return frozenset(line.removeprefix(f"{SELFTESTS}/") for line in lines)


@cache
def _given() -> dict[str, str]:
    """Return what every guest's kernel has anyway."""
    paths = (CONFIGS / "base.config", *sorted((CONFIGS / "arch").glob("*.config")))
    return {
        name: value for path in paths for name, value in kconfig.parse(path.read_text()).items()
    }


def _above(path: str) -> tuple[str, ...]:
    return (path, *(str(parent) for parent in Path(path).parents))


def _load(built: Collection, abi: Abi, extra: Quirk, above: str, one: str) -> Brought:
    """Turn what was installed into jobs and files of a guest."""
    limit = _limit(built.place / "settings")
    shared = Libraries(abi, (libraries(abi) / "usr/lib" / abi.triple,))
    absent = {f"{above}{name}": why for name, why in built.missing.items()}
    absent |= {f"{above}{n}": why for n, why in extra.skip.items() if n in built.tests}
    jobs = []
    for name in built.tests:
        shown = f"{above}{name}"
        if shown in absent or (one and name != one):
            continue
        path = built.place / name
        job, why = _job(path, f"{PLACE}/{built.name}/{name}", shown, limit, abi)
        if job and is_elf(path) and (lacking := shared.add(path)):
            why = f"needs {', '.join(lacking)}"
        if job and not why:
            jobs.append(job)
        else:
            absent[shown] = why
    if one:
        absent = {name: why for name, why in absent.items() if name == one}
    if jobs and extra.before:
        words = ("/bin/sh", "-c", "\n".join(extra.before))
        setup = Job(f"{above}(before)", words, 30, direct=False, records=False)
        jobs.insert(0, setup)
    for path in _programs(built.folder):
        shared.add(path)
    # What is of the land gives way to what a test brings itself.
    below = land.entries(get_arch(abi.arch)) if land.wanted() else ()
    files = [*below, *_entries(built.folder), *_entries_of(shared.files)]
    return Brought(store.digest(*(e.path for e in files), repr(jobs), built.folder.parent.name),
                tuple(jobs), tuple(files), absent)  # fmt: skip


def _job(path: Path, place: str, shown: str, limit: float, abi: Abi) -> tuple[Job | None, str]:
    """Return the job of a test as runner.sh starts it, or why it cannot be run.

    path is the test's file on the host, place the one in the guest, shown its name.
    """
    where = place.rsplit("/", 1)[0]
    words: tuple[str, ...] = (f"./{path.name}",)
    direct = False
    if is_elf(path):
        said = linked(path)
        direct = (said.machine, said.bits) == (abi.elf_machine, abi.bits)
    else:
        interpreter = _interpreter(path)
        if not interpreter:
            return None, "is neither a program nor a script"
        if not _runs(interpreter, abi):
            return None, f"needs {' '.join(interpreter)}, which --land brings"
        if not path.stat().st_mode & 0o100:
            words = (*interpreter, *words)
    return Job(shown, words, limit, cwd=where, direct=direct, records=False), ""


def _runs(interpreter: tuple[str, ...], abi: Abi) -> bool:
    """Whether guests have what a script's first line names."""
    if interpreter[0] in _SHELLS:
        return True
    name = interpreter[1] if interpreter[0].endswith("/env") and interpreter[1:] else interpreter[0]
    places = [name] if name.startswith("/") else [f"/bin/{name}", f"/usr/bin/{name}"]
    return land.wanted() and any(land.has(get_arch(abi.arch), place) for place in places)


def _interpreter(path: Path) -> tuple[str, ...]:
    """Return the words of a script's first line, () when it has none."""
    with path.open("rb") as stream:
        first = stream.readline(256)
    return tuple(first[2:].decode(errors="replace").split()) if first.startswith(b"#!") else ()


def _limit(settings: Path) -> float:
    """Return the seconds that a collection's settings give each of its tests."""
    text = settings.read_text(errors="replace") if settings.is_file() else ""
    match = re.search(r"^timeout=(\d+)", text, re.MULTILINE)
    seconds = float(match[1]) if match else DEFAULT_SECONDS
    return seconds or ENDLESS_SECONDS


def _programs(folder: Path) -> list[Path]:
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted(path for path in paths if is_elf(path))


def _entries(folder: Path) -> list[Entry]:
    """Return a folder's files as those of a guest, links and empty folders too."""
    found = []
    for path in sorted(folder.rglob("*")):
        place = f"{PLACE}/{path.relative_to(folder)}"
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_symlink():
            found.append(Entry(place, 0o777, target=str(path.readlink())))
        elif path.is_dir():
            found.append(Entry(place, mode))
        elif path.is_file():  # a makefile may leave a FIFO, whose reading would not end
            found.append(Entry(place, mode, data=path))
    return found


def _entries_of(files: Mapping[str, Path]) -> list[Entry]:
    return [Entry(path, 0o755, data=file) for path, file in sorted(files.items())]
