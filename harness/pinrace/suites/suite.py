# SPDX-License-Identifier: GPL-2.0-or-later
"""The suites: which program of the image is one, and how long it may take."""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from pinrace.arches import Abi
from pinrace.guest.machine import Machine
from pinrace.kbuild import userspace
from pinrace.suites.brought import Brought
from pinrace.values import CaseResult, Job, PatchedTree

PROGRAMS = "/pinrace/bin"
SELFTESTS = "/pinrace/selftests"
SELFTEST_SOURCES = f"{userspace.SELFTESTS}/"

# Runs before every suite: what a supervisor sees of this ABI's programs.
ABIPROBE = Job("abiprobe", (f"{PROGRAMS}/abiprobe",), timeout=5)

NO_MATCH = 78  # exit status of a job that was to pick cases, and found none

# kselftest_harness.h lists its cases on stderr: a block for each fixture, whose first row names it,
# with the variants and the tests in columns of their own.  Their names are those of the results.
_NAMES = (
    "function put(i, j) {{ for (i = 1; i <= T; i++) if (V) for (j = 1; j <= V; j++)"
    ' print f "." v[j] "." t[i]; else for (i = 1; i <= T; i++) print f "." t[i]; T = V = 0 }}'
    " /^# FIXTURE/ || /^-----/ {{ put(); next }}"
    ' {{ at = 22; if (substr($0, 1, 1) != " ") {{ put(); f = $1;'
    " if (length(f) > 20) at = length(f) + 2 }}"
    ' n = at + 26; if (substr($0, at, 1) != " ") {{ split(substr($0, at), w, " "); v[++V] = w[1];'
    " if (length(w[1]) > 25) n = at + length(w[1]) + 1 }}"
    ' rest = substr($0, n); sub(/ *$/, "", rest); if (rest != "") t[++T] = rest }}'
    " END {{ put() }}"
)
_PICK = (
    f"names=$({{program}} -l 2>&1 | awk '{_NAMES}' | grep -i -e {{only}});"
    f' [ "$names" ] || exit {NO_MATCH};'
    ' for n in $names; do set -- "$@" -r "$n"; done;'
    ' exec {program} "$@"'
)
_SPECIAL = re.compile(r"[\\\[*^$]")  # in a basic regular expression
_BASIC = re.compile(r"(?<!\\)[+?(){}|]")  # in a Python one, and not in a basic one
_AGAIN = re.compile(r" \[[0-9]+\]$")


@dataclass(frozen=True)
class Suite:
    """A program that prints KTAP, or, of a subclass, many tests.

    timeout: seconds on a machine of native speed.
    brought_by_series: the unpatched tree does not have it, so that nothing of it is known there.
    own_limits: its cases have time limits of their own, which a slow host misses now and then.
    rich: its machine has what CPUs and boards can have, protection keys and memory tags included.
    picks: its program is kselftest_harness's, which runs single cases; of others all are run.
    left_out: cases that only `-k` runs, with the reason; of a suite that picks.
    about_files: patterns, as fnmatch has them, of the kernel's files that it looks at.
    tests: the same of the selftests' sources that it is built of.
    """

    name: str
    program: str
    timeout: float
    about: str
    brought_by_series: bool = False
    own_limits: bool = False
    picks: bool = False
    left_out: tuple[tuple[str, str], ...] = ()
    rich: bool = False
    about_files: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    slow_boot: float = 0.0  # seconds that its kernel may take to boot, 0 for the usual
    native: bool = False  # it is about the kernel alone: one ABI of an arch is enough
    many: bool = False  # each of its jobs is a test, which an exit status tells of
    kcidb: str = ""  # its path in KCIDB, where that is not one below ours

    def covers(self, path: str) -> bool:
        """Whether it looks at that file of a tree."""
        patterns = self.tests if path.startswith(SELFTEST_SOURCES) else self.about_files
        return any(fnmatch.fnmatchcase(path, each) for each in patterns)

    def about_series(self, tree: PatchedTree) -> Suite:
        """Return it with those files that a tree's series changes and that it looks at."""
        return self

    def soft(self, tree: PatchedTree) -> tuple[str, tuple[str, ...]]:
        """Return a name and the lines of a .config that it asks for and may be refused.

        Raises UserError when the tree has no such suite.
        """
        return "", ()

    def asks(self, tree: PatchedTree) -> tuple[str, ...]:
        """Return those of the lines of soft() that are its own: the user is told what is refused.

        What many suites share is asked for in common, and an arch may lack some of it.
        """
        return self.soft(tree)[1]

    def bring(self, tree: PatchedTree, abi: Abi, source: userspace.Source) -> Brought:
        """Build what it brings to the guests of an ABI; source is as in userspace.headers()."""
        return Brought()

    def jobs(self, brought: Brought, only: str = "") -> tuple[Job, ...]:
        """Return its jobs; `only` keeps the cases whose name holds that text."""
        return (self.job(only),)

    def machine(self, usual: Machine) -> Machine:
        """Return the machine that its guests need."""
        return usual

    def job(self, only: str = "") -> Job:
        """Return the job that runs it; `only` keeps the cases whose name holds that text."""
        if not only or not self.picks:
            without = (word for name, _ in self.left_out for word in ("-T", name))
            return Job(self.name, (self.program, *without), self.timeout)
        pick = _PICK.format(program=self.program, only=shlex.quote(only))
        return Job(self.name, ("/bin/sh", "-c", pick), self.timeout)

    def only(self, cases: Sequence[str]) -> str:
        """Return the text with which job() and kept() keep these cases."""
        return "\\|".join(dict.fromkeys(pattern(name) for name in cases))

    def kept(self, cases: Sequence[CaseResult], only: str) -> tuple[CaseResult, ...]:
        """Return the cases that `only` means, by their whole names or by parts of them."""
        return tuple(case for case in cases if matches(case.name, only))


def pattern(name: str) -> str:
    """Return what `-k` takes for a case as tables and pages name it.

    Of a path, the last part is what its program knows; "name [2]" is the second of its name.
    """
    last = _AGAIN.sub("", name).rsplit("/", 1)[-1]
    return _SPECIAL.sub(lambda m: f"\\{m[0]}", last)


def matches(name: str, only: str) -> bool:
    """Whether a case's name, or a part of it, is what `-k` asks for, as grep -i has it."""
    wanted = re.split(r"\\\|", only)
    return any(_found(name, each) or _found(name, each.rsplit("/", 1)[-1]) for each in wanted)


def _found(name: str, wanted: str) -> bool:
    """Whether a name holds a basic regular expression, or that text."""
    try:
        return bool(re.search(_BASIC.sub(r"\\\g<0>", wanted), name, re.I))
    except re.error:
        return wanted.lower() in name.lower()
